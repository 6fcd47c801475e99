"""Does the demo's host side read what it draws? The networks run in onnxruntime here."""
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "examples/ocr"))

import demo
import geometry
import networks
import picture
import runners

models_present = all(path.exists() for path in runners.NETWORKS.values())
needs_models = pytest.mark.skipif(not models_present, reason="models are not there; run tools/fetch_models.py")


@pytest.fixture(scope="session")
def reference():
    return runners.Reference()


@needs_models
@pytest.mark.parametrize("text", [demo.TEXT, "Hello, world!", *map(picture.random_line, range(4))])
def test_drawn_lines_are_read(reference, text):
    assert demo.read_text(picture.draw_text(text), reference) == [text]


@needs_models
@pytest.mark.long
def test_many_random_lines_are_read(reference):
    lines = [picture.random_line(seed) for seed in range(100, 150)]
    read = [demo.read_text(picture.draw_text(line), reference) for line in lines]
    assert sum(r == [line] for r, line in zip(read, lines)) >= 48, [p for p in zip(lines, read) if [p[0]] != p[1]]


@needs_models
def test_upside_down_text_is_turned(reference):
    pixels = picture.draw_text("Upside down text 180")[::-1, ::-1].copy()
    assert demo.read_text(pixels, reference) == ["Upside down text 180"]


@needs_models
def test_lines_come_in_reading_order(reference):
    first, second = picture.draw_text("the first line"), picture.draw_text("and second")
    width = max(first.shape[1], second.shape[1])
    page = np.concatenate([np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255)
                           for p in (first, second)])
    assert demo.read_text(page, reference) == ["the first line", "and second"]


@needs_models
def test_an_empty_picture_has_no_text(reference):
    assert demo.read_text(np.full((64, 96, 3), 255, np.uint8), reference) == []


@pytest.mark.parametrize("text", ["", "   ", "tab\there", "caf\u00e9"])
def test_only_ascii_lines_are_drawn(text):
    with pytest.raises(ValueError, match="a line of printable ASCII"):
        picture.draw_text(text)


def flood_regions(mask):
    """Regions by flood fill, the slow way: set of frozensets of pixels."""
    left, regions = set(map(tuple, np.argwhere(mask))), set()
    while left:
        todo = [left.pop()]
        region = set(todo)
        while todo:
            y, x = todo.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            region |= near
            todo.extend(near)
        regions.add(frozenset(region))
    return regions


@pytest.mark.parametrize("seed", range(20))
def test_regions_agree_with_flood_fill(seed):
    random = np.random.default_rng(seed)
    mask = random.random((random.integers(1, 24), random.integers(1, 24))) < random.choice([0.2, 0.4, 0.6])
    labels, count = geometry.label_regions(mask)
    assert {frozenset(map(tuple, np.argwhere(labels == n))) for n in range(1, count + 1)} == flood_regions(mask)
    assert np.array_equal(labels > 0, mask)


@pytest.mark.parametrize("seed", range(20))
def test_smallest_rectangle_holds_its_points_and_beats_other_angles(seed):
    points = np.random.default_rng(seed).integers(0, 40, (30, 2))
    centre, size, axes = geometry.smallest_rectangle(points)
    assert np.all(np.abs((points - centre) @ axes.T) <= size / 2 + 1e-9)
    for angle in np.linspace(0, np.pi / 2, 90):
        turned = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert (size + 1).prod() <= (turned.max(0) - turned.min(0) + 1).prod() * (1 + 1e-9)


def test_greedy_decoding_merges_repeats_and_drops_blanks():
    steps = [1, 1, 0, 1, 2, 2, 0, 0, 3]
    probabilities = np.eye(4, dtype=np.float32)[steps][None]
    assert networks.decode_text(probabilities, ["", "a", "b", " "]) == ("aab ", 1.0)


@needs_models
@pytest.mark.parametrize("text", [picture.random_line(7), "128 lanes, 2.4 GHz"])
def test_the_simulated_core_reads_lines(tmp_path, text):
    run = runners.Simulated("trn2", "auto", tmp_path)
    assert demo.read_text(picture.draw_text(text), run) == [text]
    assert [r["network"] for r in run.runs] == ["detection", "direction", "recognition"]


@needs_models
def test_the_simulated_core_finds_the_references_map(tmp_path, reference):
    tensor = networks.detection_input(picture.draw_text("map"))
    simulated = runners.Simulated("trn2", "auto", tmp_path)("detection", tensor)
    np.testing.assert_allclose(simulated, reference("detection", tensor), atol=1e-3)
