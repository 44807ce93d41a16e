"""The embedded photographs of flowers: five kinds, 64 pixels, Creative Commons Attribution 2.0.

They are the 3,670 photographs of TensorFlow's set `flower_photos`. `CREDITS` names the photographer
and the page of each.
"""

from __future__ import annotations

import importlib.resources
import io
import zipfile

import numpy as np

from jaxgan.data import resizing
from jaxgan.data.splits import Splits

NAME = "flowers"
FILE = "flowers.zip"
CREDITS = "flowers_CREDITS.txt"
HELD_OUT = "val.txt"
"""Entry of the archive that lists the held-out images, one name per line."""
CLASSES = ("daisy", "dandelion", "roses", "sunflowers", "tulips")


def load(fit: resizing.Fit | None = None) -> Splits:
    """Returns 2,934 training photographs and 736 held-out ones.

    They are in color, 64 x 64 x 3 unless `fit` says otherwise, with their kind as the label.

    Raises:
        DataError: If `fit` asks for channels that there are not.
    """
    from jaxgan.data.readers import decoding  # imports PIL

    packed = importlib.resources.files("jaxgan.data.embedded").joinpath(FILE).read_bytes()
    names, sources, held_out = unpack(packed)
    labels = np.array([CLASSES.index(name.partition("/")[0]) for name in names], np.int32)
    collection = decoding.Collection(NAME, names, sources, labels, CLASSES, held_out)
    return decoding.decode_splits(collection, fit or resizing.Fit())


def unpack(packed: bytes) -> tuple[list[str], list[bytes], np.ndarray]:
    """Reads the archive.

    Args:
        packed: The bytes of a zip archive of `CLASS/NAME.webp` and `HELD_OUT`.

    Returns:
        Names [N] of the images, sorted; their encoded bytes [N]; and True [N] for those held out.
    """
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        listed = set(archive.read(HELD_OUT).decode().split())
        names = sorted(set(archive.namelist()) - {HELD_OUT})
        sources = [archive.read(name) for name in names]
    return names, sources, np.array([name in listed for name in names])
