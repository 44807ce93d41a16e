"""The gzip-compressed idx files in which MNIST and Fashion-MNIST were published."""

from __future__ import annotations

import gzip
import pathlib
import zlib

import numpy as np

from jaxgan.data.errors import DataError, reason

_UINT8 = 0x08
FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
"""The file names of the images and the labels of each split."""


def read(path: pathlib.Path) -> np.ndarray:
    """Returns the array of a gzip-compressed idx file of bytes, uint8 of the shape in its header.

    Raises:
        DataError: if the file is damaged or holds another type.
    """
    try:
        contents = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path}: cannot be read ({reason(error)}); download the file again"
        ) from error
    rank = contents[3] if len(contents) >= 4 else 0
    header = 4 + 4 * rank
    shape = tuple(np.frombuffer(contents[4:header], ">u4").tolist())
    if contents[:3] != bytes([0, 0, _UINT8]) or len(contents) != header + int(np.prod(shape)):
        raise DataError(f"{path}: is not an idx file of bytes; download the file again")
    return np.frombuffer(contents, np.uint8, offset=header).reshape(shape)
