"""presil's command line on a model with given inputs."""
import json
import subprocess

import numpy as np


def run(presil, model, feeds, folder, *options):
    """The JSON object and, with data, the outputs; only inputs in `feeds` are given. Of a refused model the message, and None."""
    given = []
    for name, value in feeds.items():
        np.save(folder / f"{name}.npy", value)
        given += ["--input", f"{name}={folder / name}.npy"]
    done = subprocess.run([presil, "run", model, *given, *options, "--output-dir", folder / "out", "--json"], capture_output=True,
                          text=True, timeout=120)
    if done.returncode == 2:
        return done.stderr.strip(), None
    result = json.loads(done.stdout)
    return result, [np.load(folder / "out" / o["file"]) for o in result["outputs"] if o.get("file")]
