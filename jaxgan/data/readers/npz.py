"""Images in a NumPy archive (.npz), as `np.savez(path, images=..., labels=...)` writes it.

Or a single array of images (.npy), as `np.save(path, images)` writes it.

Single images: `images` [N, H, W, C] or [N, H, W], integers or floats of any range. Optional:
`labels` [N], integers counted from 0, or [N, K] of 0 and 1 for images that may have several, and
`classes` [K], the names of the labels.

Two domains: `a` and `b`, in the format of `images`. In pairs, image i of one belongs to image i of
the other.

Captioned images: `images`, and either `captions`, strings [N] or [N, K], where '' is no caption, or
`embeddings`, floats [N, E] or [N, K, E]. Optional: `names`, strings [N], by which images are held
out, in place of their index; images of one name are held out together.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import zipfile
from collections.abc import Sequence

import numpy as np

from jaxgan import files
from jaxgan.data import bands, captions, holdout, memory, resizing, value_range
from jaxgan.data.dataset import Dataset, check_labels
from jaxgan.data.domains import Domains, Pairs
from jaxgan.data.errors import DataError, reason
from jaxgan.data.multi_labeled import MultiLabeled
from jaxgan.data.readers import file_listing, large_arrays, numpy_files, stored_types
from jaxgan.data.readers.numpy_files import DAMAGE, Header
from jaxgan.data.splits import Splits, joined

_ENCRYPTED = 0x1  # the bit of a member's flags


def load(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the archive's images in the shape of `fit`, with their labels if any.

    Args:
        place: path of the archive.
        fit: the shape to convert the images to.
        held: a fraction to hold out, a list file with the indices of images, counted from 0, or
            None for a fraction of 0.1.

    Raises:
        DataError: if the archive cannot be used.
    """
    name, path, keys = _opened(place)
    images, notes = _images(path, keys, "images", fit, name=name)
    labels, classes = _labels(path, keys, len(images), name=name)
    if labels is None or labels.ndim == 1:
        return _divided(Dataset(name, images, labels, classes), held, notes)
    several = f"{np.sum(labels.sum(axis=1) > 1)} of {len(images)} images have several labels."
    dataset = MultiLabeled(name, images, classes=classes, marks=labels)
    return _divided(dataset, held, (*notes, several))


def load_pairs(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the archive's images `a` and `b` as pairs, which are held out together.

    Args:
        place: path of the archive.
        fit: the shape to convert the images to.
        held: what to hold out (see `load`).

    Raises:
        DataError: if the two arrays differ in the number or the size of their images, or the
            archive cannot be used.
    """
    name, path, keys = _opened(place)
    shapes = {key: _require_images(path, keys, key, name=name).shape for key in "ab"}
    if shapes["a"][:3] != shapes["b"][:3]:
        found = " and ".join(
            f"{key!r} holds {shape[0]} images of {resizing.describe(shape[1:3])}"
            for key, shape in shapes.items()
        )
        raise DataError(
            f"{name}: {found}; pairs need equally many of both, of one height and width: "
            "remove images or resize one of the two"
        )
    return joined(Pairs, *_sides(path, keys, fit, held, name=name))


def load_domains(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the archive's images `a` and `b` as two domains of any number of images each.

    Args:
        place: path of the archive.
        fit: the shape to convert the images to.
        held: what to hold out (see `load`).

    Raises:
        DataError: if the archive cannot be used.
    """
    name, path, keys = _opened(place)
    return joined(Domains, *_sides(path, keys, fit, held, name=name))


def _sides(
    path: pathlib.Path, keys: list[str], fit: resizing.Fit, held: holdout.Holdout, *, name: str
) -> list[Splits]:
    """Returns the images `a` and `b`, each divided by the same rule."""
    found = (_images(path, keys, key, fit, name=name) for key in "ab")
    return [_divided(Dataset(name, images), held, notes) for images, notes in found]


def load_captions(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the archive's images with their captions, or with embeddings if it has them.

    Args:
        place: path of the archive.
        fit: the shape to convert the images to.
        held: what to hold out (see `load`); a list file lists the `names` if the archive has them.

    Raises:
        DataError: if an image has no caption, the numbers of captions and images differ, or the
            archive cannot be used.
    """
    name, path, keys = _opened(place)
    found, notes = _images(path, keys, "images", fit, name=name)
    images = Dataset(name, found)
    if "embeddings" in keys:
        embeddings = _embeddings(path, len(images), name=name)
        texts = embeddings.reshape(-1, embeddings.shape[-1])
        dataset = captions.with_texts(images, texts, [embeddings.shape[1]] * len(images))
    else:
        dataset, cut = captions.captioned(images, _captions(path, keys, len(images), name=name))
        notes = (*notes, *cut)
    names = _strings(path, "names", len(images), name=name) if "names" in keys else None
    return _divided(dataset, held, notes, names=None if names is None else names.tolist())


def kind(place: str) -> str:
    """Returns the kind of examples that the archive's arrays are.

    Args:
        place: path of the archive.

    Returns:
        'captions', 'pairs' (if `a` and `b` are alike in number and size), 'domains' or 'images'.

    Raises:
        DataError: if there is no archive, or it is damaged.
    """
    name, path, keys = _opened(place)
    if "images" in keys:
        return "captions" if {"captions", "embeddings"} & set(keys) else "images"
    if not {"a", "b"} <= set(keys):
        return "images"
    a, b = (_header(path, key, name=name) for key in "ab")
    return "pairs" if a.shape[:3] == b.shape[:3] else "domains"


def _opened(place: str) -> tuple[str, pathlib.Path, list[str]]:
    """Returns the name for messages, the path, and the keys of the archive."""
    name, path = f"npz:{place}", pathlib.Path(place).expanduser()
    return name, path, _keys(path, name=name)


def _images(
    path: pathlib.Path, keys: list[str], key: str, fit: resizing.Fit, *, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns the images of a key [N, H, W, C] in the shape of `fit`, and notes on them.

    They are in a type of memory, or mapped from a file if they need most of it.
    """
    header = _require_images(path, keys, key, name=name)
    height, width, *channels = header.shape[1:]
    target = resizing.resolve(fit, (height, width), channels[0] if channels else 1)
    large = large_arrays.images(large_arrays.Found(path, key, name, header, target), fit)
    if large is not None:
        return large
    raw, notes = stored_types.stored(_array(path, key, name=name), key, name=name)
    return resizing.fit_array(raw if raw.ndim == 4 else raw[..., None], fit, name=name), notes


def _divided(
    dataset: Dataset,
    held: holdout.Holdout,
    notes: tuple[str, ...],
    *,
    names: Sequence[str] | None = None,
) -> Splits:
    names = list(map(str, range(len(dataset)))) if names is None else names
    mask, note = holdout.choose(names, held, name=dataset.name)
    if not mask.any():
        return Splits(dataset, dataset, (*notes, note))
    train, held_out = (dataset.subset(np.flatnonzero(part)) for part in (~mask, mask))
    values = value_range.found(train.images, name=dataset.name)
    train, held_out = (dataclasses.replace(part, values=values) for part in (train, held_out))
    return Splits(train, held_out, (*notes, note))


def _keys(path: pathlib.Path, *, name: str) -> list[str]:
    """Returns the names of the arrays; raises DataError if there is no archive or it is damaged."""
    if not files.is_file(path):
        folder = files.is_folder(path)
        kind = f"a folder: write folder:{path}" if folder else "not there: check the path"
        raise DataError(f"{name}: the archive {path} is {kind}")
    try:
        if numpy_files.is_single(path):
            return ["images"]
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except DAMAGE as error:
        raise DataError(
            f"{name}: {path} is not a complete .npz archive; "
            "save it again with np.savez(path, images=images)"
        ) from error
    keys = [member.filename.removesuffix(".npy") for member in members]
    twice = [key for key, count in collections.Counter(keys).items() if count > 1]
    if twice:
        raise DataError(
            f"{name}: the archive holds '{files.shortened(twice[0])}' more than once; "
            "expected one array of each name: save it again"
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise DataError(f"{name}: the archive is encrypted; save it again without a password")
    return keys


def _held(keys: list[str]) -> str:
    """Returns the names of the arrays as text."""
    return file_listing.some(sorted(keys), 20) or "nothing"


def _require_images(path: pathlib.Path, keys: list[str], key: str, *, name: str) -> Header:
    """Returns the header of the images of a key; raises DataError if they cannot be used."""
    if key not in keys:
        raise DataError(
            f"{name}: the archive has no array '{key}' but has {_held(keys)}; rename the array"
        )
    header = _header(path, key, name=name)
    shape, dtype = header.shape, header.dtype
    if len(shape) not in (3, 4) or 0 in shape:
        raise DataError(
            f"{name}: '{key}' has shape {shape}; "
            "expected [N, H, W, C] or [N, H, W] with no dimension of size 0"
        )
    if len(shape) == 4 and _is_channels_first(shape):
        raise DataError(
            f"{name}: '{key}' has shape {shape}, channels first; expected [N, H, W, C]: "
            f"use {key}.transpose(0, 2, 3, 1)"
        )
    if dtype.kind not in "uif":
        # Never advise a cast to uint8: it wraps, so that 256 would become 0.
        raise DataError(
            f"{name}: '{key}' is {dtype}; expected integers or floats: use {key}.astype(np.float32)"
        )
    return header


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    """Returns whether [N, C, H, W] is more likely than [N, H, W, C]."""
    few = shape[1] in bands.PICTURES and shape[3] not in bands.PICTURES
    return few and shape[1] < shape[2]


def _header(path: pathlib.Path, key: str, *, name: str) -> Header:
    """Returns the beginning of an array, without reading its values.

    Raises DataError if it is damaged, holds objects, or is not as large as its header claims.
    """
    try:
        with numpy_files.opened(path, key) as (stream, size):
            header = numpy_files.header(stream)
    except DAMAGE as error:
        raise DataError(
            f"{name}: '{key}' is damaged ({reason(error)}); save the archive again"
        ) from error
    shape, dtype, held = header.shape, header.dtype, size - header.start
    if dtype.hasobject:
        raise DataError(
            f"{name}: '{key}' holds Python objects, which are never loaded because that can run "
            "code; save a plain array of numbers (of strings, for names)"
        )
    if any(side < 0 for side in shape) or header.bytes != held:
        raise DataError(
            f"{name}: '{key}' is damaged (shape {files.shortened(shape)} of "
            f"{files.shortened(dtype)} needs {header.bytes:,} bytes but it holds {held:,}); "
            "save the archive again"
        )
    return header


def _array(path: pathlib.Path, key: str, *, name: str) -> np.ndarray:
    """Returns an array of the archive; raises DataError if memory does not suffice.

    All arrays are read here.
    """
    needed = _header(path, key, name=name).bytes
    memory.require(needed, name=name, what=f"the numbers of '{key}'")
    try:
        with numpy_files.opened(path, key) as (stream, _):
            return np.lib.format.read_array(stream, allow_pickle=False)
    except DAMAGE as error:
        raise DataError(
            f"{name}: '{key}' is damaged ({reason(error)}); save the archive again"
        ) from error


def _labels(
    path: pathlib.Path, keys: list[str], count: int, *, name: str
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Returns the labels and the class names; these are numbers if the archive has no names.

    The labels are int32 [N], or uint8 [N, K] of 0 and 1 if an image has several.
    """
    if "labels" not in keys:
        if "classes" in keys:
            raise DataError(f"{name}: the archive has 'classes' but no 'labels'; add or remove one")
        return None, ()
    labels = _array(path, "labels", name=name)
    marks = _marks(labels, count, name=name) if labels.ndim == 2 else None
    if "classes" in keys:
        classes = _class_names(_array(path, "classes", name=name), name=name)
    else:
        found = _classes(labels, count) if marks is None else marks.shape[1]
        classes = tuple(map(str, range(found)))
    if marks is None:
        return check_labels(labels, count, classes, name=name), classes
    if len(classes) != marks.shape[1]:
        raise DataError(
            f"{name}: 'labels' has {marks.shape[1]} columns and 'classes' {len(classes)} names; "
            "give a name for each column"
        )
    if (marks.sum(axis=1) == 1).all():
        return np.argmax(marks, axis=1).astype(np.int32), classes
    return marks, classes


def _marks(labels: np.ndarray, count: int, *, name: str) -> np.ndarray:
    """Returns labels [N, K] as uint8; raises DataError if they are not 0 and 1 for each image."""
    if labels.dtype.kind not in "buif" or len(labels) != count or not labels.size:
        raise DataError(
            f"{name}: the labels are {labels.dtype} of shape {labels.shape}; expected one integer "
            f"for each of the {count} images, or [{count}, classes] of 0 and 1"
        )
    if not np.isin(labels, (0, 1)).all():
        raise DataError(
            f"{name}: 'labels' of shape {labels.shape} holds other values than 0 and 1, as image "
            f"{np.argmin(np.isin(labels, (0, 1)).all(axis=1))} does; expected 1 where an image "
            "belongs to a class and 0 elsewhere"
        )
    without = np.flatnonzero(~labels.any(axis=1))
    if len(without):
        raise DataError(
            f"{name}: {len(without)} images have no label, the first is image {without[0]}; give "
            "each at least one, or remove them"
        )
    return labels.astype(np.uint8)


def _classes(labels: np.ndarray, count: int) -> int:
    """Returns the number of classes of labels without names: at most the number of images."""
    if not labels.size or not np.issubdtype(labels.dtype, np.integer):
        return 0
    return int(np.clip(labels.max() + 1, 1, count))


def _class_names(classes: np.ndarray, *, name: str) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind not in "SU":
        raise DataError(
            f"{name}: 'classes' is {classes.dtype} of shape {classes.shape}; "
            "expected one string for each class"
        )
    # Byte strings are read as UTF-8; other bytes stay printable as escapes.
    names = (n.decode("utf-8", "surrogateescape") if isinstance(n, bytes) else n for n in classes)
    return tuple(map(files.printable, names))


def _captions(path: pathlib.Path, keys: list[str], count: int, *, name: str) -> list[list[str]]:
    """Returns the captions of each image, without empty ones."""
    if "captions" not in keys:
        raise DataError(
            f"{name}: the archive has neither 'captions' nor 'embeddings' but has "
            f"{_held(keys)}; rename the array"
        )
    given = _strings(path, "captions", count, name=name, several=True)
    read = [[entry for entry in row if captions.plain(entry)] for row in given.tolist()]
    if not all(read):
        raise DataError(
            f"{name}: the caption of image {read.index([])} is empty; "
            "say what the image shows or remove it"
        )
    return read


def _strings(
    path: pathlib.Path, key: str, count: int, *, name: str, several: bool = False
) -> np.ndarray:
    """Returns an array of strings [count], or [count, K] if several are allowed."""
    strings = _array(path, key, name=name)
    if strings.dtype.kind != "U" or strings.ndim not in (1, 1 + several) or len(strings) != count:
        raise DataError(
            f"{name}: '{key}' is {strings.dtype} of shape {strings.shape} for {count} images; "
            f"expected strings of shape [{count}]{f' or [{count}, K]' if several else ''}"
        )
    return strings[:, None] if several and strings.ndim == 1 else strings


def _embeddings(path: pathlib.Path, count: int, *, name: str) -> np.ndarray:
    """Returns the embeddings [count, K, E] in float32."""
    found = _array(path, "embeddings", name=name)
    floats = np.issubdtype(found.dtype, np.floating)
    if not floats or found.ndim not in (2, 3) or len(found) != count or 0 in found.shape:
        raise DataError(
            f"{name}: 'embeddings' is {found.dtype} of shape {found.shape} for {count} images; "
            f"expected floats of shape [{count}, E] or [{count}, K, E]"
        )
    if not np.isfinite(found).all():
        raise DataError(f"{name}: 'embeddings' has values that are NaN or infinite; replace them")
    return found.reshape(count, -1, found.shape[-1]).astype(np.float32)
