"""Makes the embedded excerpt of Fashion-MNIST from the original files.

    python -m jaxgan.data.embedded.make_excerpt FOLDER

FOLDER holds the four files `*-ubyte.gz` of https://github.com/zalandoresearch/fashion-mnist. The
excerpt has the first 1,000 training images and the first 200 test images of each class, in their
original order.
"""

from __future__ import annotations

import io
import lzma
import pathlib
import sys

import numpy as np

from jaxgan.data import fashion
from jaxgan.data.readers import idx

PER_CLASS = {"train": 1000, "test": 200}
# Predictive row filters (up, left, average, median edge) help for photographs but made it larger.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def first_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns the indices, ascending, of the first `count` examples of each class.

    Args:
        labels: the label of each example [N].
        count: number of examples of each class.
    """
    return np.sort(
        np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)])
    )


def excerpt(folder: pathlib.Path) -> bytes:
    """Returns the excerpt as `fashion.unpack` reads it: four .npy arrays in one .xz stream.

    Args:
        folder: the folder of the original files.
    """
    arrays = io.BytesIO()
    for split, count in PER_CLASS.items():
        images, labels = (idx.read(folder / name) for name in idx.FILES[split])
        chosen = first_of_each(labels, count)
        np.save(arrays, labels[chosen], allow_pickle=False)
        np.save(arrays, images[chosen], allow_pickle=False)
    return lzma.compress(arrays.getvalue(), filters=_FILTERS)


def main(folder: str) -> None:
    """Writes the excerpt into the package and prints its size.

    Args:
        folder: path of the folder of the original files.
    """
    target = pathlib.Path(__file__).with_name(fashion.FILE)
    target.write_bytes(excerpt(pathlib.Path(folder)))
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
