"""Images and points, and batches of them as a pure function of (seed, step); needs no JAX."""

from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.fitting import parse_resolution
from jaxgan.data.mixtures import Mixture
from jaxgan.data.pixels import to_float, to_uint8
from jaxgan.data.sources import load
from jaxgan.data.splits import Splits, require_batch

__all__ = [
    "DataError",
    "Dataset",
    "Mixture",
    "Splits",
    "load",
    "parse_resolution",
    "require_batch",
    "to_float",
    "to_uint8",
]
