"""Reads the text in a picture: detection, direction and recognition networks on a simulated accelerator core.

  ./dev demo                                draws a fixed line and reads it
  ./dev demo --text 'any line of ASCII'     draws that line
  ./dev demo --seed 7                       draws a random line
  ./dev demo --image photo.png              reads a file
  ./dev demo --reference                    onnxruntime instead of the simulated core
"""
import argparse
import sys
from pathlib import Path

import numpy as np

import networks
import picture
from geometry import cut_out
from runners import MODELS, Reference, Simulated

TEXT = "Pre-silicon 2026: 128x128 systolic"


def read_text(pixels, run):
    """The text in a picture, line by line; `run(network, tensor)` executes one of the three networks."""
    characters = networks.load_characters(MODELS / "ppocr_keys_v1.txt")
    probability = run("detection", networks.detection_input(pixels))[0, 0]
    lines = []
    for line in networks.lines_of(networks.boxes_from_map(probability, pixels.shape)):
        words = []
        for box in line:
            piece = cut_out(pixels, box.corners)
            if networks.is_upside_down(run("direction", networks.direction_input(piece))):
                piece = np.ascontiguousarray(piece[::-1, ::-1])
            text, _ = networks.decode_text(run("recognition", networks.recognition_input(piece)), characters)
            words.append(text)
        lines.append(" ".join(words))
    return lines


def milliseconds(seconds):
    return f"{seconds * 1e3:.3f} ms"


def table_of(runs):
    """One row per run of a network, then the total."""
    rows = [("network", "input", "time on the core", "bound by", "macs")]
    for run in runs:
        shape = "x".join(map(str, run["shape"]))
        rows.append((run["network"], shape, milliseconds(run["seconds"]), run["bound_by"], f"{run['macs'] / 1e6:.1f} M"))
    total = sum(run["seconds"] for run in runs)
    rows.append(("total", "", milliseconds(total), "", f"{sum(run['macs'] for run in runs) / 1e6:.1f} M"))
    return rows


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def write_report(path, title, lines, runs):
    rows = table_of(runs)
    text = [f"# {title}", "", "![the picture](picture.png)", "", "Text read:", "", *(f"    {line}" for line in lines), ""]
    text += ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    text += ["| " + " | ".join(row) + " |" for row in rows[1:]]
    text += ["", "Per network: report (.html) and Perfetto trace (.pftrace):", ""]
    text += [f"- [{run['stem']}]({run['stem']}.html), [trace]({run['stem']}.pftrace)" for run in runs]
    path.write_text("\n".join(text) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--text", default=TEXT, help="a line of printable ASCII to draw")
    source.add_argument("--seed", type=int, help="draw a random line")
    source.add_argument("--image", help="read a picture file instead of drawing")
    parser.add_argument("--reference", action="store_true", help="run the networks with onnxruntime")
    parser.add_argument("--chip", default="trn2")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for reports and traces")
    return parser.parse_args()


def main():
    options = parse_arguments()
    drawn = None if options.image else options.text if options.seed is None else picture.random_line(options.seed)
    try:
        pixels = picture.load(options.image) if options.image else picture.draw_text(drawn)
    except (OSError, ValueError) as error:
        sys.exit(f"demo: error: {error}")
    options.out.mkdir(parents=True, exist_ok=True)
    picture.save(options.out / "picture.png", pixels)
    run = Reference() if options.reference else Simulated(options.chip, options.precision, options.out)
    lines = read_text(pixels, run)
    print(f"picture: {options.image or options.out / 'picture.png'}, {pixels.shape[1]} x {pixels.shape[0]} pixels")
    if drawn:
        print(f"drawn:   {drawn}")
    print("read:    " + ("\n         ".join(lines) or "(no text found)"))
    if run.runs:
        print(f"on one {run.runs[0]['chip']['name']} core:")
        print_table(table_of(run.runs))
        write_report(options.out / "report.md", f"Reading a picture on {run.runs[0]['chip']['name']}", lines, run.runs)
        print(f"report and traces: {options.out}/report.md, {options.out}/*.html, {options.out}/*.pftrace")
    if drawn and lines != [drawn]:
        sys.exit(1)


if __name__ == "__main__":
    main()
