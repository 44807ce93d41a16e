"""Data sources: images or points, and batches that are a pure function of (seed, step).

Needs no JAX.

`load` turns a name such as `folder:photos` into a training and a held-out set. `mixtures` has the
points on the plane, `fashion` and `fashion_captions` the embedded garments, `readers` what reads
files. Sets larger than memory are `prepared` on disk, and random parts of images are cut by
`cropping`. May use the ground files and kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule
from jaxgan.data.arrays import Arrays
from jaxgan.data.captions import Captioned
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains, Pairs
from jaxgan.data.errors import DataError
from jaxgan.data.few_labels import PartlyLabeled
from jaxgan.data.mixtures import Mixture
from jaxgan.data.multi_labeled import MultiLabeled
from jaxgan.data.pixels import to_float, to_uint8
from jaxgan.data.resizing import convert_channels, parse_resolution
from jaxgan.data.sources import load
from jaxgan.data.splits import Source, Splits, completed, require_batch
from jaxgan.data.value_range import ValueRange

if TYPE_CHECKING:
    from jaxgan.data import (
        bands,
        captions,
        cropping,
        fashion,
        fashion_captions,
        fashion_domains,
        few_labels,
        limiting,
        mixtures,
        prepared,
        readers,
        resizing,
        super_resolution_pairs,
        transforms,
        value_range,
    )

__all__ = [
    "Arrays",
    "Captioned",
    "DataError",
    "Dataset",
    "Domains",
    "Mixture",
    "MultiLabeled",
    "Pairs",
    "PartlyLabeled",
    "Source",
    "Splits",
    "ValueRange",
    "bands",
    "captions",
    "completed",
    "convert_channels",
    "cropping",
    "fashion",
    "fashion_captions",
    "fashion_domains",
    "few_labels",
    "limiting",
    "load",
    "mixtures",
    "parse_resolution",
    "prepared",
    "readers",
    "require_batch",
    "resizing",
    "super_resolution_pairs",
    "to_float",
    "to_uint8",
    "transforms",
    "value_range",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
