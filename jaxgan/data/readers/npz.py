"""Images in a NumPy archive (.npz).

Single images have the key `images` [N, H, W, C] or [N, H, W], uint8 or floats in [0, 1] or [-1, 1];
beside it `labels` [N], integers counted from 0, which may be left out, as may `classes` [K], the
labels' names. The images of two domains have the keys `a` and `b`, of the same form; of pairs, row
i of one belongs to row i of the other. Captioned images have beside `images` the key `captions`,
strings [N] or [N, K], of which '' is none, or `embeddings`, floats [N, E] or [N, K, E]; `names`,
strings [N], may say by what images are held out, in the place of their row's number: those of one
name together. `np.savez(path, images=..., labels=...)` makes an archive.
"""

from __future__ import annotations

import collections
import math
import pathlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from jaxgan import files
from jaxgan.data import captions, holdout, memory, pixels, resizing
from jaxgan.data.dataset import Dataset, check_labels
from jaxgan.data.domains import Domains, Pairs
from jaxgan.data.errors import DataError, reason
from jaxgan.data.readers import file_listing
from jaxgan.data.splits import Splits, joined

_CHANNELS = (1, 3, 4)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_ENCRYPTED = 0x1  # the bit of a member's flags
_PIECE = 2**18
"""Numbers converted at a time: what that takes beside the images is not counted."""
_DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile),
    # Encrypted members, kinds of compression that are not known, headers nested beyond reason.
    *(RuntimeError, MemoryError, SyntaxError, TypeError, OverflowError, tokenize.TokenError),
)


def load(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The archive's images as uint8 in the shape of `fit`; a tenth, or what `held` says, held out.

    A list file names rows by their number, counted from 0. Raises DataError where the archive
    cannot be used.
    """
    name, path, keys = _opened(place)
    raw, notes = _images(path, keys, "images", name=name)
    labels, classes = _labels(path, keys, len(raw), name=name)
    dataset = Dataset(name, resizing.fit_array(raw, fit, name=name), labels, classes)
    return _divided(dataset, held, notes)


def load_pairs(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The archive's images `a` and `b` as pairs, which keep together when some are held out.

    Raises DataError where there are more of one than of the other, or where they differ in size.
    """
    name, path, keys = _opened(place)
    (a, notes_a), (b, notes_b) = (_images(path, keys, key, name=name) for key in "ab")
    if a.shape[:3] != b.shape[:3]:
        found = " and ".join(
            f"{key!r} holds {len(images)} images of {resizing.describe(images.shape[1:3])}"
            for key, images in (("a", a), ("b", b))
        )
        raise DataError(
            f"{name}: {found}; pairs need as many of both, of one height and width: "
            "leave images out or resize one side"
        )
    return joined(
        Pairs,
        _divided(Dataset(name, resizing.fit_array(a, fit, name=name)), held, notes_a),
        _divided(Dataset(name, resizing.fit_array(b, fit, name=name)), held, notes_b),
    )


def load_domains(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The archive's images `a` and `b` as two domains, of any number of images each."""
    name, path, keys = _opened(place)
    splits = []
    for key in "ab":
        raw, notes = _images(path, keys, key, name=name)
        dataset = Dataset(name, resizing.fit_array(raw, fit, name=name))
        splits.append(_divided(dataset, held, notes))
    return joined(Domains, *splits)


def load_captions(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The archive's images with their captions or, if it has them, with embeddings of captions.

    Raises DataError where an image has no caption, or there are others than images.
    """
    name, path, keys = _opened(place)
    raw, notes = _images(path, keys, "images", name=name)
    images = Dataset(name, resizing.fit_array(raw, fit, name=name))
    if "embeddings" in keys:
        embeddings = _embeddings(path, len(images), name=name)
        texts = embeddings.reshape(-1, embeddings.shape[-1])
        dataset = captions.with_texts(images, texts, [embeddings.shape[1]] * len(images))
    else:
        dataset, cut = captions.captioned(images, _captions(path, keys, len(images), name=name))
        notes = (*notes, *cut)
    names = _strings(path, "names", len(images), name=name) if "names" in keys else None
    return _divided(dataset, held, notes, names=None if names is None else names.tolist())


def _opened(place: str) -> tuple[str, pathlib.Path, list[str]]:
    """The name for messages, the path and the archive's keys."""
    name, path = f"npz:{place}", pathlib.Path(place).expanduser()
    return name, path, _keys(path, name=name)


def _images(
    path: pathlib.Path, keys: list[str], key: str, *, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The images of a key as uint8 [N, H, W, C], and notes on them."""
    _require_images(path, keys, key, name=name)
    raw, notes = _as_uint8(_array(path, key, name=name), key, name=name)
    return raw if raw.ndim == 4 else raw[..., None], notes


def _divided(
    dataset: Dataset,
    held: holdout.Holdout,
    notes: tuple[str, ...],
    *,
    names: Sequence[str] | None = None,
) -> Splits:
    names = list(map(str, range(len(dataset)))) if names is None else names
    mask, note = holdout.choose(names, held, name=dataset.name)
    train, held_out = (dataset.subset(np.flatnonzero(part)) for part in (~mask, mask))
    return Splits(train, held_out, (*notes, note))


def _keys(path: pathlib.Path, *, name: str) -> list[str]:
    """The names of the arrays. Raises DataError where there is no archive or it is damaged."""
    if not files.is_file(path):
        folder = files.is_folder(path)
        kind = f"a folder: write folder:{path}" if folder else "not there: check the path"
        raise DataError(f"{name}: the archive {path} is {kind}")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except _DAMAGE as error:
        raise DataError(
            f"{name}: {path} is not a whole .npz archive; "
            "write it again by np.savez(path, images=images)"
        ) from error
    keys = [member.filename.removesuffix(".npy") for member in members]
    twice = [key for key, count in collections.Counter(keys).items() if count > 1]
    if twice:
        raise DataError(
            f"{name}: the archive holds '{files.shortened(twice[0])}' more than once, so that "
            "nobody can tell which is meant; write it again"
        )
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise DataError(f"{name}: the archive is encrypted; write it again without a password")
    return keys


def _held(keys: list[str]) -> str:
    """What the archive holds, in words."""
    return file_listing.some(sorted(keys), 20) or "nothing"


def _require_images(path: pathlib.Path, keys: list[str], key: str, *, name: str) -> None:
    """Raises DataError, before anything large is read, where there are no usable images `key`."""
    if key not in keys:
        raise DataError(
            f"{name}: the archive has no '{key}', it holds {_held(keys)}; rename the array"
        )
    shape, dtype = _header(path, key, name=name)
    if len(shape) not in (3, 4) or 0 in shape:
        raise DataError(
            f"{name}: '{key}' has shape {shape}; "
            "expected [N, H, W, C] or [N, H, W] with nothing of size 0"
        )
    if len(shape) == 4 and shape[1] in _CHANNELS and shape[3] not in _CHANNELS:
        raise DataError(
            f"{name}: '{key}' has shape {shape}, channels first; expected [N, H, W, C]: "
            f"use {key}.transpose(0, 2, 3, 1)"
        )
    if dtype != np.uint8 and not np.issubdtype(dtype, np.floating):
        # Never a cast to uint8, which wraps: 256 would become 0.
        truths = dtype == np.bool_
        floats = f"{key}.astype(np.float32)" if truths else f"{key} / {key}.max()"
        raise DataError(
            f"{name}: '{key}' is {dtype}; expected uint8 in [0, 255], or floats in [0, 1] or "
            f"[-1, 1] as {floats} gives"
            + ("" if truths else f" ({key} / 255 where they are levels of 8 bits)")
        )
    what = f"{shape[0]} images of {resizing.describe(shape[1:])} {dtype}"
    memory.require(math.prod(shape) * (dtype.itemsize + 1), name=name, what=what)


def _header(path: pathlib.Path, key: str, *, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of an array, without reading it.

    Raises DataError where it is damaged, holds objects, or is not as large as it claims to be.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(member)](member)
            held = archive.getinfo(f"{key}.npy").file_size - member.tell()
    except _DAMAGE as error:
        raise DataError(
            f"{name}: '{key}' is damaged ({reason(error)}); write the archive again"
        ) from error
    if dtype.hasobject:
        raise DataError(
            f"{name}: '{key}' holds Python objects, which are never loaded since that can run "
            "code; save a plain array of numbers (for names, of strings)"
        )
    claimed = math.prod(shape) * dtype.itemsize
    if any(side < 0 for side in shape) or claimed != held:
        raise DataError(
            f"{name}: '{key}' is damaged (shape {files.shortened(shape)} of "
            f"{files.shortened(dtype)} is {claimed:,} bytes and it holds {held:,}); "
            "write the archive again"
        )
    return shape, dtype


def _array(path: pathlib.Path, key: str, *, name: str) -> np.ndarray:
    """An array of the archive; every one is read here, and only as large as memory allows."""
    shape, dtype = _header(path, key, name=name)
    memory.require(math.prod(shape) * dtype.itemsize, name=name, what=f"the numbers of '{key}'")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[key]
    except _DAMAGE as error:
        raise DataError(
            f"{name}: '{key}' is damaged ({reason(error)}); write the archive again"
        ) from error


def _labels(
    path: pathlib.Path, keys: list[str], count: int, *, name: str
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels and the names of the classes, numbers where the archive has no names."""
    if "labels" not in keys:
        if "classes" in keys:
            raise DataError(f"{name}: the archive has 'classes' but no 'labels'; add or remove one")
        return None, ()
    labels = _array(path, "labels", name=name)
    if "classes" in keys:
        classes = _class_names(_array(path, "classes", name=name), name=name)
    else:
        classes = tuple(map(str, range(_classes(labels, count))))
    return check_labels(labels, count, classes, name=name), classes


def _classes(labels: np.ndarray, count: int) -> int:
    """How many classes labels without names stand for: no more than there are images."""
    if not labels.size or not np.issubdtype(labels.dtype, np.integer):
        return 0
    return int(np.clip(labels.max() + 1, 1, count))


def _class_names(classes: np.ndarray, *, name: str) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind not in "SU":
        raise DataError(
            f"{name}: 'classes' is {classes.dtype} of shape {classes.shape}; "
            "expected one string for each class"
        )
    # Strings of bytes are UTF-8, but for what is none.
    names = (n.decode("utf-8", "surrogateescape") if isinstance(n, bytes) else n for n in classes)
    return tuple(map(files.printable, names))


def _captions(path: pathlib.Path, keys: list[str], count: int, *, name: str) -> list[list[str]]:
    """The captions of each image, of which none is empty."""
    if "captions" not in keys:
        raise DataError(
            f"{name}: the archive has neither 'captions' nor 'embeddings', it holds "
            f"{_held(keys)}; rename the array"
        )
    given = _strings(path, "captions", count, name=name, several=True)
    read = [[entry for entry in row if captions.plain(entry)] for row in given.tolist()]
    if not all(read):
        raise DataError(
            f"{name}: the caption of image {read.index([])} is empty; "
            "say what it shows or leave the image out"
        )
    return read


def _strings(
    path: pathlib.Path, key: str, count: int, *, name: str, several: bool = False
) -> np.ndarray:
    """The array of strings [count], or [count, K] where several are allowed."""
    strings = _array(path, key, name=name)
    if strings.dtype.kind != "U" or strings.ndim not in (1, 1 + several) or len(strings) != count:
        raise DataError(
            f"{name}: '{key}' is {strings.dtype} of shape {strings.shape} for {count} images; "
            f"expected strings of shape [{count}]{f' or [{count}, K]' if several else ''}"
        )
    return strings[:, None] if several and strings.ndim == 1 else strings


def _embeddings(path: pathlib.Path, count: int, *, name: str) -> np.ndarray:
    """The embeddings [count, K, E] in float32."""
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


def _as_uint8(images: np.ndarray, key: str, *, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The images as uint8, and a note on the range that floats were taken to have.

    Raises DataError where they are not finite or lie in neither range.
    """
    if images.dtype == np.uint8:
        return images, ()
    _require_finite(images, key, name=name)
    low, high = float(images.min()), float(images.max())
    if low < -1.0 or high > 1.0:
        raise DataError(
            f"{name}: in '{key}' the floats lie in [{low:.4g}, {high:.4g}]; "
            "expected [0, 1] or [-1, 1]: rescale them, or save uint8 in [0, 255]"
        )
    levels = np.empty(images.shape, np.uint8)
    for rows in _pieces(images):
        piece = images[rows]
        levels[rows] = pixels.to_uint8(piece if low < 0.0 else 2.0 * piece - 1.0)
    taken = "[-1, 1]" if low < 0.0 else "[0, 1]"
    note = (
        f"In '{key}' the floats lie in [{low:.4g}, {high:.4g}]: "
        f"taken as {taken} and rounded to 256 levels."
    )
    return levels, (note,)


def _require_finite(images: np.ndarray, key: str, *, name: str) -> None:
    count, first = 0, None
    for rows in _pieces(images):
        bad = ~np.isfinite(images[rows])
        if first is None and bad.any():
            first = rows.start + np.nonzero(bad)[0][0]
        count += np.count_nonzero(bad)
    if count:
        raise DataError(
            f"{name}: {count} values of '{key}' are NaN or infinite, "
            f"the first in image {first}; replace them or leave these images out"
        )


def _pieces(images: np.ndarray) -> Iterator[slice]:
    """The rows of images [N, ...], some at a time."""
    step = max(1, _PIECE // images[0].size)
    return (slice(at, at + step) for at in range(0, len(images), step))
