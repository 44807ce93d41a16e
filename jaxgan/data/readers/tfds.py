"""Datasets of TensorFlow Datasets, read without TensorFlow (from array_record files)."""

from __future__ import annotations

import difflib
import functools
import hashlib
import itertools
import os
import pathlib
import re
import threading
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import tensorflow_datasets.public_api as tfds

from jaxgan.data import holdout, memory, resizing
from jaxgan.data.errors import DataError, reason, refuse
from jaxgan.data.readers import decoding, image_file, tfds_mnist
from jaxgan.data.splits import Splits

_BUILDERS = {"mnist": tfds_mnist.Mnist, "fashion_mnist": tfds_mnist.FashionMnist}
_HELD_OUT = ("test", "validation")
_PIECE = 256  # examples whose encoded images are in memory at a time, of a large set


def load(
    place: str,
    fit: resizing.Fit,
    held: holdout.Holdout,
    *,
    data_dir: str | os.PathLike[str] | None,
) -> Splits:
    """Returns the images of a dataset as uint8 in the shape of `fit`.

    MNIST and Fashion-MNIST are prepared if necessary, from the original files in `data_dir` or by
    download. All other datasets must have been prepared. Held out is the test split, or else the
    validation split, or else what `held` selects.

    Args:
        place: name of the dataset in TensorFlow Datasets.
        fit: the shape to convert the images to.
        held: a fraction to hold out, a list file, or None (see `holdout.choose`).
        data_dir: folder of the prepared dataset or of the original files; None is the default
            folder of TensorFlow Datasets.

    Raises:
        DataError: if the dataset cannot be prepared or read.
    """
    name = f"tfds:{place}"
    directory = None if data_dir is None else pathlib.Path(data_dir).expanduser()
    if directory is not None and not directory.is_dir():
        raise DataError(f"{name}: there is no folder {directory}; check --data-dir")
    if place in _BUILDERS:
        builder = _own(place, directory, name=name)
    else:
        builder = _others(place, directory, name=name)
    return _read(builder, fit, held, name=name)


def _own(place: str, directory: pathlib.Path | None, *, name: str) -> tfds.core.DatasetBuilder:
    """Returns the builder of a dataset prepared here, from files in `directory` if it has any."""
    wanted = _BUILDERS[place].originals()
    found = directory is not None and any((directory / file).exists() for file in wanted)
    originals, home = (directory, None) if found else (None, directory)
    try:
        existing = _BUILDERS[place](data_dir=home)  # in whatever format it was prepared
        if existing.is_prepared():
            return existing
        if originals is None:
            _reach(existing.url)
        else:
            _verify(originals, wanted, name=name)
        config = tfds.download.DownloadConfig(
            manual_dir=originals, try_download_gcs=False, force_checksums_validation=True
        )
        builder = _BUILDERS[place](data_dir=home, file_format="array_record")
        builder.download_and_prepare(download_config=config)
    except (OSError, tfds.download.DownloadError) as error:
        raise DataError(
            f"{name}: it cannot be downloaded or written ({reason(error)}); put "
            f"{', '.join(wanted)} into a folder and give it as --data-dir, and set TFDS_DATA_DIR "
            "to a folder that can be written to"
        ) from error
    return builder


def _reach(url: str) -> None:
    """Raises OSError if the host is out of reach: a download would retry for minutes."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=20):
            pass
    except urllib.error.HTTPError:
        pass  # any answer shows that the host is up


def _verify(folder: pathlib.Path, wanted: dict[str, str], *, name: str) -> None:
    """Raises DataError, with the name, if a file is missing or differs from the published one."""
    for file, sha256 in wanted.items():
        path = folder / file
        if not path.is_file():
            raise DataError(f"{name}: {path} is missing; expected {', '.join(wanted)} there")
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise DataError(
                f"{name}: {path} has another sha256 than the published file ({sha256}); "
                "download it again"
            )


def _others(place: str, directory: pathlib.Path | None, *, name: str) -> tfds.core.DatasetBuilder:
    """Returns the builder of a dataset that has been prepared elsewhere."""
    try:
        builder = tfds.builder(place, data_dir=directory)
    except tfds.core.DatasetNotFoundError as error:
        # `tfds.list_builders` needs TensorFlow, but the error lists the names too.
        known = re.findall(r"^\s*- (\w+)$", str(error), re.MULTILINE)
        close = difflib.get_close_matches(place, known, n=1)
        meant = f"did you mean tfds:{close[0]}" if close else "check the name"
        raise DataError(f"{name}: TensorFlow Datasets has no such dataset; {meant}") from error
    except Exception as error:  # code of the dataset, which may raise anything
        raise DataError(
            f"{name}: its builder cannot be made ({reason(error)}); "
            "check the name, or install what the error names"
        ) from error
    if not builder.is_prepared():
        raise DataError(
            f"{name}: it is not prepared in {builder.data_path}; preparing it needs TensorFlow: "
            f"run `pip install tensorflow` and `tfds build {place} --file_format=array_record`, "
            "or give its folder as --data-dir"
        )
    return builder


def _read(builder: Any, fit: resizing.Fit, held: holdout.Holdout, *, name: str) -> Splits:
    features, splits = builder.info.features, builder.info.splits
    if "train" not in splits:
        raise DataError(f"{name}: it has the splits {', '.join(splits)}; expected one called train")
    image, label = _keys(features, name=name)
    own = next((split for split in _HELD_OUT if split in splits), None)
    used = ["train"] if own is None else ["train", own]
    needed = sum(splits[split].num_bytes for split in used)
    kept = memory.is_enough(needed)
    parts = [_rows(builder, split, image, kept=kept, name=name) for split in used]
    rows = list(itertools.chain(*parts))
    names = [
        f"{split}/{row}"
        for split, part in zip(used, parts, strict=True)
        for row in range(len(part))
    ]
    if own is None:
        mask, note = holdout.choose(names, held, name=name)
    else:
        refuse(name, f"has a {own} split of its own", holdout=held)
        mask = np.arange(len(rows)) >= len(parts[0])
        note = f"Held out {mask.sum()} images: its {own} split."
    collection = decoding.Collection(
        name=name,
        names=names,
        sources=[row[image] for row in rows],
        labels=None if label is None else np.array([row[label] for row in rows]),
        classes=() if label is None else tuple(features[label].names),
        held_out=mask,
    )
    decoded = decoding.decode_splits(collection, fit)
    return decoded._replace(notes=(*decoded.notes, note))


def _keys(features: Any, *, name: str) -> tuple[str, str | None]:
    """Returns the names of the features that hold the image and, or else None, its class."""
    if not isinstance(features, tfds.features.FeaturesDict):
        raise DataError(f"{name}: its examples are not records of features; choose a set of images")
    image = _only("image", _of_type(features, tfds.features.Image))
    if image is None or features[image].np_dtype != np.uint8:
        raise DataError(
            f"{name}: its features are {', '.join(features)}; "
            "expected one 8-bit image, or one feature called image"
        )
    return image, _only("label", _of_type(features, tfds.features.ClassLabel))


def _of_type(features: Any, kind: type) -> list[str]:
    return [key for key, feature in features.items() if isinstance(feature, kind)]


def _only(preferred: str, keys: list[str]) -> str | None:
    """Returns the preferred key if it is among them, else the only one, else None."""
    if preferred in keys:
        return preferred
    return keys[0] if len(keys) == 1 else None


def _rows(builder: Any, split: str, image: str, *, kept: bool, name: str) -> list[dict[str, Any]]:
    """Returns the examples of a split, with images that are still encoded.

    They are kept in memory if `kept` is True, and else read again when they are needed.
    """
    source, lock = _source(builder, split, image, name=name), threading.Lock()
    files = [os.stat(path) for path in sorted(builder.data_path.glob(f"*-{split}.*"))]
    version = [(file.st_size, file.st_mtime_ns) for file in files]

    def reread(row: int) -> bytes:
        with lock:  # its readers are not made for threads
            return source[row][image]

    def example(row: int, found: dict[str, Any]) -> dict[str, Any]:
        encoded = found[image]
        read = (lambda: encoded) if kept else functools.partial(reread, row)
        place = f"{builder.data_path} {version} {split} {row}"
        return {**found, image: image_file.Record(place, read)}

    rows = []
    for start in range(0, len(source), _PIECE):
        numbers = range(start, min(start + _PIECE, len(source)))
        rows += map(example, numbers, source.__getitems__(numbers))
    return rows


def _source(builder: Any, split: str, image: str, *, name: str) -> Any:
    """Returns what reads the examples of a split, with the images still encoded."""
    try:
        return builder.as_data_source(split, decoders={image: tfds.decode.SkipDecoding()})
    except NotImplementedError as error:
        raise DataError(
            f"{name}: it is prepared in {builder.data_path} in a format that needs TensorFlow; "
            f"run `tfds build {builder.name} --file_format=array_record --overwrite`"
        ) from error
