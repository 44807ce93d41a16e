"""Images in a NumPy archive (.npz).

Its keys are `images` [N, H, W, C] or [N, H, W], uint8 or floats in [0, 1] or [-1, 1]; `labels`
[N], integers counted from 0, which may be left out, as may `classes` [K], the labels' names.
`np.savez(path, images=..., labels=...)` makes one.
"""

from __future__ import annotations

import pathlib
import zipfile
import zlib

import numpy as np

from jaxgan.data import fitting, holdout, memory, pixels
from jaxgan.data.dataset import Dataset, check_labels
from jaxgan.data.errors import DataError, reason
from jaxgan.data.splits import Splits

_CHANNELS = (1, 3, 4)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile)


def load(place: str, fit: fitting.Fit, held: holdout.Holdout) -> Splits:
    """The archive's images as uint8 in the shape of `fit`; a tenth, or what `held` says, held out.

    A list file names rows by their number, counted from 0. Raises DataError where the archive
    cannot be used.
    """
    name = f"npz:{place}"
    path = pathlib.Path(place).expanduser()
    keys = _keys(path, name=name)
    _require_images(path, keys, name=name)
    stored = _array(path, "images", name=name)
    labels, classes = _labels(path, keys, len(stored), name=name)
    raw, note = _as_uint8(stored, name=name)
    raw = fitting.fit_array(raw if raw.ndim == 4 else raw[..., None], fit, name=name)
    mask, held_note = holdout.choose([str(row) for row in range(len(raw))], held, name=name)
    dataset = Dataset(name, raw, labels, classes)
    train, held_out = (dataset.subset(np.flatnonzero(part)) for part in (~mask, mask))
    return Splits(train, held_out, (*note, held_note))


def _keys(path: pathlib.Path, *, name: str) -> list[str]:
    """The names of the arrays. Raises DataError where there is no archive or it is damaged."""
    if not path.is_file():
        kind = f"a folder: write folder:{path}" if path.is_dir() else "not there: check the path"
        raise DataError(f"{name}: the archive {path} is {kind}")
    try:
        with zipfile.ZipFile(path) as archive:
            return [entry.removesuffix(".npy") for entry in archive.namelist()]
    except _DAMAGE as error:
        raise DataError(
            f"{name}: {path} is not a whole .npz archive; "
            "write it again by np.savez(path, images=images)"
        ) from error


def _require_images(path: pathlib.Path, keys: list[str], *, name: str) -> None:
    """Raises DataError, before anything large is read, where there are no usable `images`."""
    if "images" not in keys:
        found = ", ".join(sorted(keys)) or "nothing"
        raise DataError(f"{name}: the archive has no 'images', it holds {found}; rename the array")
    shape, dtype = _header(path, "images", name=name)
    if len(shape) not in (3, 4) or 0 in shape:
        raise DataError(
            f"{name}: 'images' has shape {shape}; "
            "expected [N, H, W, C] or [N, H, W] with nothing of size 0"
        )
    if len(shape) == 4 and shape[1] in _CHANNELS and shape[3] not in _CHANNELS:
        raise DataError(
            f"{name}: 'images' has shape {shape}, channels first; expected [N, H, W, C]: "
            "use images.transpose(0, 2, 3, 1)"
        )
    if dtype != np.uint8 and not np.issubdtype(dtype, np.floating):
        raise DataError(
            f"{name}: 'images' is {dtype}; expected floats in [0, 1] or [-1, 1], "
            "or uint8 in [0, 255] as images.astype(np.uint8) gives"
        )
    what = f"{shape[0]} images of {fitting.describe(shape[1:])} {dtype}"
    memory.require(int(np.prod(shape)) * (dtype.itemsize + 1), name=name, what=what)


def _header(path: pathlib.Path, key: str, *, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of an array, without reading it."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(member)](member)
    except _DAMAGE as error:
        raise DataError(
            f"{name}: '{key}' is damaged ({reason(error)}); write the archive again"
        ) from error
    if dtype.hasobject:
        raise DataError(
            f"{name}: '{key}' holds Python objects, which are never loaded since that can run "
            "code; save a plain array of numbers (for names, of strings)"
        )
    return shape, dtype


def _array(path: pathlib.Path, key: str, *, name: str) -> np.ndarray:
    _header(path, key, name=name)
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
    return tuple(classes.astype(str).tolist())


def _as_uint8(images: np.ndarray, *, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The images as uint8, and a note on the range that floats were taken to have.

    Raises DataError where they are not finite or lie in neither range.
    """
    if images.dtype == np.uint8:
        return images, ()
    bad = np.flatnonzero(~np.isfinite(images))
    if len(bad):
        first = np.unravel_index(bad[0], images.shape)[0]
        raise DataError(
            f"{name}: {len(bad)} values are NaN or infinite, the first in image {first}; "
            "replace them or leave these images out"
        )
    low, high = float(images.min()), float(images.max())
    if low < -1.0 or high > 1.0:
        raise DataError(
            f"{name}: the floats lie in [{low:.4g}, {high:.4g}]; "
            "expected [0, 1] or [-1, 1]: rescale them, or save uint8 in [0, 255]"
        )
    signed = images if low < 0.0 else 2.0 * images - 1.0
    taken = "[-1, 1]" if low < 0.0 else "[0, 1]"
    note = f"The floats lie in [{low:.4g}, {high:.4g}]: taken as {taken} and rounded to 256 levels."
    return pixels.to_uint8(signed), (note,)
