"""MNIST, which half of the tables are about. Imports no JAX.

The set that TensorFlow Datasets prepared is taken where there is one; else it is prepared once,
from the four original files in the folder that the variable MNIST_DIR names, or by download.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan.data import Splits

    from .frame import Settings

MNIST = "tfds:mnist"
FOLDER = "MNIST_DIR"

DATA = {"quick": "fashion", "default": MNIST, "full": MNIST}
"""By budget: the quick one needs nothing that the package does not hold."""


def flags(settings: Settings) -> dict[str, Any]:
    """The flags by which a run of an experiment finds the data of a piece's settings."""
    name = settings["data"]
    return {"data": name, "data_dir": os.environ.get(FOLDER) if name == MNIST else None}


def load(settings: Settings) -> Splits:
    """The training and the test images of a piece's settings; RunError where they cannot be had."""
    return _load(settings["data"])


@functools.cache
def _load(name: str) -> Splits:
    from jaxgan import data
    from jaxgan.runs.errors import RunError

    try:
        return data.load(name, data_dir=flags({"data": name})["data_dir"])
    except data.DataError as error:
        raise RunError(f"MNIST is needed, whose folder {FOLDER} may name: {error}") from error
