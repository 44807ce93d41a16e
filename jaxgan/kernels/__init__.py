"""Replacements for XLA's own code on CPUs, where it is slow: convolutions and random bits.

`convolution` has convolutions that are fast in every derivative, `onednn_probe` finds out whether
jaxlib's oneDNN can compute them here, `threefry` JAX's random bits without their loop, `bicubic`
MATLAB's `imresize` in NumPy. No other package of the library imports jax.extend or
jax.interpreters, but for `tools.onnx_graph`, which reads traced programs. May use the ground files
(types, state, random, collectives, parallel, losses, penalties, optimizers, files).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.kernels import bicubic, convolution, onednn_probe, threefry

__all__ = [
    "bicubic",
    "convolution",
    "onednn_probe",
    "threefry",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
