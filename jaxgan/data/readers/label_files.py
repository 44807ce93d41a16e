"""Labels in a file next to the images, as StyleGAN's tool and spreadsheets write them.

dataset.json     {"labels": [["00000/img00000000.png", 6], ...]}, or null if there are no labels
labels.csv       two columns, a name and a class, or columns called so (`file_name`, `label`, ...)
labels.tsv       the same, with tabs between the columns
metadata.jsonl   a JSON object a line, with `file_name` and `label`, a number or a name

Names are paths relative to the folder that holds the file. This is the folder of the images, or its
train and test folders with a file each.
"""

from __future__ import annotations

import csv
import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan import files
from jaxgan.data.readers import file_listing

_NAMES = ("file_name", "filename", "file", "image", "path", "name")
_CLASSES = ("label", "class", "class_name", "category", "target")


class _Unread(ValueError):
    """The reason why a file of labels is not read."""


def paths(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns the paths at which a folder may have files of labels."""
    return [folder / name for name in _READERS for folder in _folders(root)]


def _folders(root: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folder itself, and the train and test folders in it."""
    inner = sorted(root.iterdir()) if files.is_folder(root) else []
    return [
        root,
        *(path for path in inner if path.name.lower() in file_listing.SPLITS and path.is_dir()),
    ]


def applied(root: pathlib.Path, found: file_listing.Listing) -> file_listing.Listing:
    """Returns the images of a folder with the labels of a file of labels, and notes on it.

    Images without a label are left out. A note names each file that cannot be read, that names none
    of the images, or that is of no use because another file gives the labels.

    Args:
        root: the folder.
        found: the images in it.
    """
    notes, used = [], None
    for name in _READERS:
        given = [path for folder in _folders(root) if (path := folder / name).is_file()]
        if not given:
            continue
        called = " and ".join(path.relative_to(root).as_posix() for path in given)
        if used is not None:
            notes.append(f"Did not read {called}: the labels are those of {used}.")
            continue
        try:
            labels = _of_images(_joined(root, given), found.names)
        except (_Unread, OSError, ValueError, RecursionError, csv.Error) as error:
            why = str(error) if isinstance(error, _Unread) else "it is damaged or is not UTF-8 text"
            notes.append(f"Did not read {called}: {why}.")
            continue
        used = None if labels is None else called
        found = _labeled(found, labels, called)
    return found._replace(notes=(*found.notes, *notes))


def _joined(root: pathlib.Path, given: Sequence[pathlib.Path]) -> list[tuple[str, str]] | None:
    """Returns the names, relative to `root`, and the labels of files; None if they have none."""
    found = None
    for path in given:
        written = _READERS[path.name](path)
        if written is not None:
            inner = path.parent.relative_to(root)
            found = found or []
            found += [(f"{inner.as_posix()}/{name}", label) for name, label in written]
    return found


def _labeled(
    found: file_listing.Listing, labels: Mapping[str, str] | None, file: str
) -> file_listing.Listing:
    """Returns the listing with labels by image name; None stands for a file without labels."""
    if labels is None:
        note = f"{file} states that there are no labels: folders are not used as classes."
        return found._replace(labels=None, classes=(), notes=(*found.notes, note))
    kept = [row for row, name in enumerate(found.names) if name in labels]
    given = [labels[found.names[row]] for row in kept]
    classes = sorted(set(given), key=_order(given))
    notes = [f"Read {len(classes)} classes of {len(kept)} images from {file}."]
    without = sorted(set(found.names) - labels.keys())
    if without:
        notes.append(
            f"Left out {len(without)} images without a label: {file_listing.some(without)}."
        )
    return file_listing.Listing(
        [found.names[row] for row in kept],
        np.array([classes.index(label) for label in given], np.int32),
        tuple(map(files.printable, classes)),
        None if found.held_out is None else found.held_out[kept],
        (*found.notes, *notes),
    )


def _order(labels: Sequence[str]) -> Callable[[str], tuple[int, str]]:
    """Returns the sort key of classes; it sorts them as numbers if all of them are."""
    numbers = all(label.isdecimal() and label.isascii() for label in labels)
    return lambda label: (int(label) if numbers else 0, label)


def _of_images(
    written: Sequence[tuple[str, str]] | None, names: Sequence[str]
) -> dict[str, str] | None:
    """Returns the label of each image that the file names."""
    if written is None:
        return None
    known = files.Names(names)
    labels: dict[str, str] = {}
    for entry, label in written:
        for name in known.find(str(pathlib.PurePosixPath(entry.replace("\\", "/")))):
            if labels.setdefault(name, files.composed(label)) != files.composed(label):
                raise _Unread(
                    f"it gives {files.shortened(name)} two labels, "
                    f"{files.shortened(labels[name])} and {files.shortened(label)}"
                )
    if not labels:
        raise _Unread("it names no image of this folder")
    return labels


def _json(path: pathlib.Path) -> list[tuple[str, str]] | None:
    """Returns the names and labels of StyleGAN's file, or None if it has no labels."""
    content = json.loads("\n".join(files.lines(path)))
    if not isinstance(content, dict) or "labels" not in content:
        raise _Unread("it has no 'labels'")
    entries = content["labels"]
    if entries is None:
        return None
    entries = list(entries.items()) if isinstance(entries, dict) else entries
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise _Unread(
            "its 'labels' are not all pairs of a file name and the number or name of a class"
        )
    return [(name, str(label)) for name, label in entries]


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and type(entry[1]) in (int, str)
    )


def _jsonl(path: pathlib.Path) -> list[tuple[str, str]]:
    """Returns the names and labels of a file with an object a line; some may have no label."""
    found = []
    for number, line in enumerate(files.lines(path), start=1):
        if not line.strip():
            continue
        entry = json.loads(line)
        if not isinstance(entry, dict):
            raise _Unread(f"its line {number} is not a JSON object")
        name, label = _first(entry, _NAMES), _first(entry, _CLASSES)
        if label is None:
            continue
        if not _is_entry((name, label)):
            raise _Unread(
                f"its line {number} is not a file_name with a label that is a number or a name"
            )
        found.append((name, str(label)))
    if not found:
        raise _Unread("its lines have no 'label'")
    return found


def _first(entry: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Returns the value of the first of the keys that there is, or None."""
    return next((entry[key] for key in keys if key in entry), None)


def _table(path: pathlib.Path, delimiters: str) -> list[tuple[str, str]]:
    """Returns the names and labels of a table: by its header, or from its only two columns."""
    lines = [line for line in files.lines(path) if line.strip()]
    if not lines:
        raise _Unread("it is empty")
    delimiter = max(delimiters, key=lines[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    header = [cell.lower() for cell in rows[0]]
    of_name = next((header.index(word) for word in _NAMES if word in header), None)
    of_class = next((header.index(word) for word in _CLASSES if word in header), None)
    if of_name is None or of_class is None:
        if len(header) != 2:
            raise _Unread(
                "expected two columns, a name and a class, or columns called file_name and label"
            )
        of_name, of_class = 0, 1
    if any(len(row) <= max(of_name, of_class) or not row[of_class] for row in rows):
        raise _Unread("some of its lines have no class")
    return [(row[of_name], row[of_class]) for row in rows]


_READERS: Mapping[str, Callable[[pathlib.Path], Sequence[tuple[str, str]] | None]] = {
    "dataset.json": _json,
    "labels.csv": functools.partial(_table, delimiters=",;\t"),
    "labels.tsv": functools.partial(_table, delimiters="\t"),
    "metadata.jsonl": _jsonl,
}
