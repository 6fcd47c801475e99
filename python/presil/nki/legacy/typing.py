"""neuronxcc.nki.typing."""
from presil.nki.typing import mutable_tensor, tensor

__all__ = ["mutable_tensor", "tensor"]
