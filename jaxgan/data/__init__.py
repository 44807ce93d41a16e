"""Data sources: images or points, and batches that are a pure function of (seed, step).

Needs no JAX.
"""

from jaxgan.data.captions import Captioned
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains, Pairs
from jaxgan.data.errors import DataError
from jaxgan.data.few_labels import PartlyLabeled
from jaxgan.data.mixtures import Mixture
from jaxgan.data.pixels import to_float, to_uint8
from jaxgan.data.resizing import convert_channels, parse_resolution
from jaxgan.data.sources import load
from jaxgan.data.splits import Source, Splits, require_batch

__all__ = [
    "Captioned",
    "DataError",
    "Dataset",
    "Domains",
    "Mixture",
    "Pairs",
    "PartlyLabeled",
    "Source",
    "Splits",
    "convert_channels",
    "load",
    "parse_resolution",
    "require_batch",
    "to_float",
    "to_uint8",
]
