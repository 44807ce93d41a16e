"""Which files of a folder are images, and what class each is of."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgan.data.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
_FORMATS = "PNG, JPEG, WebP, BMP or GIF"
_TRAIN = {"train", "training"}
_HELD_OUT = {"test", "testing", "val", "valid", "validation"}


class Listing(NamedTuple):
    """The images of a folder.

    names:    paths relative to the folder, with / between folders, sorted.
    labels:   the class [N] of each, or None where the folder is flat.
    classes:  the class folders' names, sorted.
    held_out: True [N] for those in a test folder, or None where the folder has no split of its own.
    notes:    what was ignored.
    """

    names: list[str]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    held_out: np.ndarray | None
    notes: tuple[str, ...]


def find(root: pathlib.Path, *, name: str, apart: pathlib.Path | None = None) -> Listing:
    """The images below `root`: flat, or one sub-folder a class, or that in train and test folders.

    Hidden files and __MACOSX are passed over, and so is the file `apart`. Images may lie deeper in
    a class folder. Raises DataError, with `name`, where there is no folder, no image in it, or
    images lie beside class folders.
    """
    images, others = images_below(root, name=name, apart=apart)
    return _classified(images, name=name, notes=_ignored(root, images, others))


def images_below(
    root: pathlib.Path, *, name: str, apart: pathlib.Path | None = None
) -> tuple[list[str], list[str]]:
    """The names of the images below `root`, sorted, and those of all other files (see `find`).

    Raises DataError where there is no folder or no image in it.
    """
    _require_folder(root, name=name)
    images, others = [], []
    for path in _files(root, name=name):
        relative = path.relative_to(root)
        if path.suffix.lower() in SUFFIXES:
            images.append(relative.as_posix())
        elif path != apart:
            others.append(relative.as_posix())
    if not images:
        found = f"only {len(others)} other files such as {others[0]!r}" if others else "no files"
        raise DataError(
            f"{name}: there are no images in it, {found}; "
            f"expected {_FORMATS} files in it or in its sub-folders"
        )
    return sorted(images), others


def _classified(names: list[str], *, name: str, notes: tuple[str, ...]) -> Listing:
    parts = [pathlib.PurePosixPath(entry).parts for entry in names]
    tops = {part[0].lower() if len(part) > 1 else "" for part in parts}
    held_out = None
    if tops & _TRAIN and tops <= _TRAIN | _HELD_OUT:
        if tops & _HELD_OUT:
            held_out = np.array([part[0].lower() in _HELD_OUT for part in parts])
        parts = [part[1:] for part in parts]
    flat = [entry for entry, part in zip(names, parts, strict=True) if len(part) == 1]
    if len(flat) == len(names):
        return Listing(names, None, (), held_out, notes)
    if flat:
        raise DataError(
            f"{name}: {len(flat)} images, the first being {flat[0]!r}, lie beside class folders; "
            "move them into a class folder, or all images into one folder"
        )
    classes = tuple(sorted({part[0] for part in parts}))
    index = {label: number for number, label in enumerate(classes)}
    labels = np.array([index[part[0]] for part in parts], np.int32)
    return Listing(names, labels, classes, held_out, notes)


def _require_folder(root: pathlib.Path, *, name: str) -> None:
    if not root.exists():
        raise DataError(f"{name}: there is no folder {root}; check the path")
    if not root.is_dir():
        kind = (
            "npz:"
            if root.suffix == ".npz"
            else "the folder that holds it, unpacked if it is an archive"
        )
        raise DataError(f"{name}: {root} is a file, not a folder; give {kind}")


def _files(root: pathlib.Path, *, name: str) -> Iterator[pathlib.Path]:
    """Every file below `root` that is not hidden; follows links, but into each folder once."""

    def fail(error: OSError) -> None:
        raise DataError(
            f"{name}: the folder {error.filename} cannot be listed ({error.strerror}); "
            "give yourself the right to read it"
        ) from error

    seen = set()
    for folder, inner, files in os.walk(root, followlinks=True, onerror=fail):
        real = os.path.realpath(folder)
        inner[:] = [] if real in seen else sorted(filter(_visible, inner))
        if real not in seen:
            yield from (pathlib.Path(folder, file) for file in files if _visible(file))
        seen.add(real)


def _visible(file: str) -> bool:
    return not file.startswith(".") and file not in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _ignored(root: pathlib.Path, images: list[str], others: list[str]) -> tuple[str, ...]:
    notes = []
    if others:
        notes.append(
            f"Ignored {len(others)} files that are not {_FORMATS}: {some(sorted(others))}."
        )
    used = {pathlib.PurePosixPath(image).parts[0] for image in images}
    inner = {path.name for path in root.iterdir() if path.is_dir() and _visible(path.name)}
    if inner - used and not used.isdisjoint(inner):
        empty = sorted(inner - used)
        notes.append(f"Ignored {len(empty)} class folders without images: {some(empty)}.")
    return tuple(notes)


def some(names: list[str], count: int = 5) -> str:
    """The first few of the names, and how many more there are."""
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
