"""MNIST, the data of half of the tables. Imports no JAX.

It is read as prepared by TensorFlow Datasets. If there is no prepared set, it is prepared once from
the four original files in the folder that the variable MNIST_DIR names, or by download.
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
"""The data of each budget; the quick one needs nothing but the package."""


def flags(settings: Settings) -> dict[str, Any]:
    """Returns the flags with which an experiment's run finds the data of a row's settings."""
    name = settings["data"]
    return {"data": name, "data_dir": os.environ.get(FOLDER) if name == MNIST else None}


def load(settings: Settings) -> Splits:
    """Returns the training and the test images of a row's settings.

    Raises:
        RunError: If they cannot be had.
    """
    return _load(settings["data"])


@functools.cache
def _load(name: str) -> Splits:
    from jaxgan import data
    from jaxgan.runs.errors import RunError

    try:
        return data.load(name, data_dir=flags({"data": name})["data_dir"])
    except data.DataError as error:
        raise RunError(f"MNIST is needed, whose folder {FOLDER} may name: {error}") from error
