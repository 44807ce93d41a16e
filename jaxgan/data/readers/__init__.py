"""Readers of files, one for each kind of source.

They read folders, pairs, captions, archives and TensorFlow Datasets to `Splits`; `jaxgan.data.load`
chooses among them by the name of the data. `image_file` reads one file, `file_listing` lists those
of a folder. The modules that are not in `__all__` help these: label tables, TIFF, IDX, decoding in
processes. May use the rest of data, the ground files and kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.data.readers import (
        arrays,
        captioned_folder,
        file_listing,
        image_file,
        image_folder,
        npz,
        paired_folders,
        tfds,
    )

__all__ = [
    "arrays",
    "captioned_folder",
    "file_listing",
    "image_file",
    "image_folder",
    "npz",
    "paired_folders",
    "tfds",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
