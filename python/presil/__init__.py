"""presil: an AI accelerator in software.

    import numpy as np
    import presil

    result = presil.run("model.onnx", chip="trn2", inputs={"x": np.ones((1, 3, 224, 224), np.float32)})
    result.outputs["y"]              # what the network computes, bit for bit as the simulated core does
    result.seconds, result.bound_by  # how long the core takes, and what limits it
    result.report("report.html")

Everything that is refused raises presil.Error. Calls release the GIL, and Ctrl-C ends them.
"""
from presil._chips import Chip, chips
from presil._core import __version__
from presil._error import Error
from presil._program import Program, TensorType, compile, run
from presil._result import Engine, Layer, Result

__all__ = ["Chip", "Engine", "Error", "Layer", "Program", "Result", "TensorType", "__version__", "chips", "compile", "run"]
