"""Finds the images of a folder and the class of each."""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan import files
from jaxgan.data.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_FORMATS = "PNG, JPEG, WebP, BMP, GIF or TIFF"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a TIFF, in either byte order, and of a BigTIFF."""
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", *TIFF)
_TRAIN = {"train", "training"}
_HELD_OUT = {"test": "test", "testing": "test", "val": "val", "valid": "val", "validation": "val"}
SPLITS = {**dict.fromkeys(_TRAIN, "train"), **_HELD_OUT}
"""The split (train, test or val) that a folder's name stands for, by the name in lower case."""


class Listing(NamedTuple):
    """The images of a folder.

    Attributes:
        names: paths relative to the folder, with / between folders, sorted.
        labels: the class number of each image [N], or None if there are no class folders.
        classes: the names of the class folders, sorted.
        held_out: True [N] for the images in a test folder, or None if the folder has no split.
        notes: sentences for the user on what was ignored.
        marks: uint8 [N, K], 1 where an image belongs to a class, or None unless some images have
            several labels; then there are no `labels`.
    """

    names: list[str]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    held_out: np.ndarray | None
    notes: tuple[str, ...]
    marks: np.ndarray | None = None


class Below(NamedTuple):
    """The files below a folder, as paths relative to it with / between folders.

    Attributes:
        images: the files with the suffix of an image, and those without a suffix whose content is
            one, sorted.
        others: all other files.
        runs: run directories; their files are in none of the others.
        made: images that the tools of this package wrote, such as samples and translations.
    """

    images: list[str]
    others: list[str]
    runs: list[str]
    made: list[str]


def find(root: pathlib.Path, *, name: str, apart: Collection[pathlib.Path] = ()) -> Listing:
    """Returns the images below a folder: flat, or in one sub-folder a class.

    Both layouts may also lie in train and test folders. Images may lie deeper in a class folder.
    Numbered folders that only divide one dataset are not classes. Hidden files, __MACOSX, run
    directories and what the tools of this package wrote are skipped.

    Args:
        root: the folder.
        name: the name of the data, for messages.
        apart: other files that the caller reads, so that no note calls them ignored.

    Raises:
        DataError: if there is no folder, no image in it, or images lie next to class folders.
    """
    below = images_below(root, name=name, apart=apart)
    return _classified(below.images, name=name, notes=_ignored(root, below))


def images_below(
    root: pathlib.Path, *, name: str, apart: Collection[pathlib.Path] = (), also_made: bool = False
) -> Below:
    """Returns the files below a folder (see `find`).

    Args:
        root: the folder.
        name: the name of the data, for messages.
        apart: other files that the caller reads, so that no note calls them ignored.
        also_made: whether images that the tools wrote count if there are no others.

    Raises:
        DataError: if there is no folder or no image in it.
    """
    _require_folder(root, name=name)
    images, others, runs, made = [], [], [], []
    for folder, names in _folders(root, name=name):
        if _is_run(folder, names):
            runs.append(folder.relative_to(root).as_posix())
            continue
        written = files.made_in(folder) if files.MADE in names else ()
        for path in (folder / file for file in names if file != files.MADE):
            if is_image(path):
                found = made if path.name in written else images
                found.append(path.relative_to(root).as_posix())
            elif path not in apart:
                others.append(path.relative_to(root).as_posix())
    if also_made and not images:
        images, made = made, []
    if not images:
        raise DataError(
            f"{name}: there are no images in it ({_found_instead(others, runs, made)}); "
            f"expected {_FORMATS} files in it or in its sub-folders"
        )
    return Below(sorted(images), others, runs, sorted(made))


def is_image(path: pathlib.Path) -> bool:
    """Returns whether a file is an image: by its suffix, or by its content if it has none."""
    return path.suffix.lower() in SUFFIXES or (not path.suffix and _begins_as_image(path))


def _begins_as_image(path: pathlib.Path) -> bool:
    """Returns whether the content of a regular file begins like an image; no pipe is opened."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return False
    webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    bmp = start[:2] == b"BM" and start[6:10] == bytes(4)  # reserved bytes; a text may begin with BM
    return start.startswith(_SIGNATURES) or webp or bmp


def _found_instead(others: list[str], runs: list[str], made: list[str]) -> str:
    if runs == ["."]:
        return "it is a run directory, whose pictures are not used as data"
    if made:
        return (
            f"only {len(made)} that jaxgan wrote, which are not used as data unless the file "
            f"{files.MADE} next to them is deleted"
        )
    if runs:
        return f"only run directories, whose pictures are not used as data: {some(runs)}"
    if others:
        return f"only {len(others)} other files such as '{files.shortened(others[0])}'"
    return "no files"


def _classified(names: list[str], *, name: str, notes: tuple[str, ...]) -> Listing:
    parts = [pathlib.PurePosixPath(entry).parts for entry in names]
    tops = {part[0].lower() if len(part) > 1 else "" for part in parts}
    held_out = None
    if tops & _TRAIN and tops <= SPLITS.keys():
        if not tops <= _TRAIN:
            held_out = np.array([part[0].lower() in _HELD_OUT for part in parts])
        parts = [part[1:] for part in parts]
    flat = [entry for entry, part in zip(names, parts, strict=True) if len(part) == 1]
    if len(flat) == len(names):
        return Listing(names, None, (), held_out, notes)
    if flat:
        raise DataError(
            f"{name}: {len(flat)} images, the first '{files.shortened(flat[0])}', lie next to "
            "class folders; move them into a class folder, or all images into one folder"
        )
    if all(_numbered(part) for part in parts):
        note = f"The folders {_range(parts)} only divide one dataset: they are not classes."
        return Listing(names, None, (), held_out, (*notes, note))
    folders = sorted({part[0] for part in parts})
    index = {folder: number for number, folder in enumerate(folders)}
    labels = np.array([index[part[0]] for part in parts], np.int32)
    classes = tuple(files.printable(files.composed(folder)) for folder in folders)
    return Listing(names, labels, classes, held_out, notes)


def _numbered(parts: Sequence[str]) -> bool:
    """Whether an image lies in a folder that only repeats the start of its own number.

    This is the layout of StyleGAN's tool (00001/img00001234.png) and of FFHQ (01000/01234.png).
    """
    name = pathlib.PurePosixPath(*parts).with_suffix("").as_posix()
    found = re.fullmatch(r"(\d{5})/(?:img(\d{8})|(\d{5}))", name)
    if not found:
        return False
    folder, packed, plain = found.groups()
    return packed[:5] == folder if packed else int(plain) // 1000 * 1000 == int(folder)


def _range(parts: Sequence[Sequence[str]]) -> str:
    folders = sorted({part[0] for part in parts})
    return f"{folders[0]} to {folders[-1]}"


def _require_folder(root: pathlib.Path, *, name: str) -> None:
    if not files.exists(root):
        raise DataError(f"{name}: there is no folder {files.shortened(root)}; check the path")
    if not root.is_dir():
        kind = (
            "npz:PATH"
            if root.suffix == ".npz"
            else "the folder that holds it, unpacked if it is an archive"
        )
        raise DataError(f"{name}: {root} is a file, not a folder; give {kind}")


def _folders(root: pathlib.Path, *, name: str) -> Iterator[tuple[pathlib.Path, list[str]]]:
    """Yields every folder from `root` on, sorted, with its visible files.

    Follows links, but visits each folder once and does not enter run directories.
    """
    pending, seen = [root], set()
    while pending:  # no recursion: folders may be nested deeper than Python's limit
        folder = pending.pop()
        inner, names, identity = _entries(folder, name=name)
        if identity in seen:
            continue
        seen.add(identity)
        yield folder, names
        if not _is_run(folder, names):
            pending += [folder / entry for entry in sorted(inner, reverse=True)]


def _entries(folder: pathlib.Path, *, name: str) -> tuple[list[str], list[str], object]:
    """Returns the visible folders and files in a folder, and an identity of the folder."""
    inner, names = [], []
    try:
        status = os.stat(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if _visible(entry.name) or entry.name in (files.RUN_LOCK, files.MADE):
                    (inner if entry.is_dir() else names).append(entry.name)
    except OSError as error:
        raise DataError(
            f"{name}: the folder {files.shortened(folder)} cannot be listed ({error.strerror}); "
            "make it readable, or shorten its path if that is too long"
        ) from error
    numbered = status.st_ino != 0  # some file systems have no inode numbers
    return inner, names, (status.st_dev, status.st_ino) if numbered else os.path.realpath(folder)


def _is_run(folder: pathlib.Path, names: Collection[str]) -> bool:
    """Whether a folder with these files is a run directory, of this version or an older one."""
    if files.RUN_LOCK in names:
        return True
    if "config.json" not in names or not files.is_file(folder / "config.json"):
        return False
    try:
        return files.is_run_record(json.loads(files.read(folder / "config.json").decode()))
    except (OSError, ValueError, RecursionError):  # a damaged record
        return "metrics.jsonl" in names


def _visible(file: str) -> bool:
    return not file.startswith(".") and file not in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _ignored(root: pathlib.Path, below: Below) -> tuple[str, ...]:
    notes = []
    bare = [entry for entry in below.images if not pathlib.PurePosixPath(entry).suffix]
    if bare:
        notes.append(f"{len(bare)} images have no suffix, and were recognized by their content.")
    if below.others:
        notes.append(
            f"Ignored {len(below.others)} files that are not {_FORMATS}: "
            f"{some(sorted(below.others))}."
        )
    if below.runs:
        notes.append(
            f"Skipped {len(below.runs)} run directories, whose pictures are not used as data: "
            f"{some(below.runs)}."
        )
    if below.made:
        notes.append(
            f"Left out {len(below.made)} images that jaxgan wrote, which are not used as data: "
            f"{some(below.made)}."
        )
    read = (*below.images, *below.runs, *below.made)
    used = {pathlib.PurePosixPath(path).parts[0] for path in read}
    inner = {path.name for path in root.iterdir() if path.is_dir() and _visible(path.name)}
    if inner - used and not used.isdisjoint(inner):
        empty = sorted(inner - used)
        notes.append(f"Ignored {len(empty)} class folders without images: {some(empty)}.")
    return tuple(notes)


def some(names: Sequence[str], count: int = 5) -> str:
    """Returns the first few names as text, with the number of the others.

    Args:
        names: the names.
        count: how many of them to show.
    """
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(map(files.shortened, names[:count])) + more
