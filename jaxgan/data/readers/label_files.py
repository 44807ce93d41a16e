"""Labels in a file next to the images, as StyleGAN's tool and spreadsheets write them.

dataset.json     {"labels": [["00000/img00000000.png", 6], ...]}, or null if there are no labels
labels.csv       a name and a class a line, or columns called so (`file_name`, `label`, ...)
labels.tsv       the same, with tabs between the columns
metadata.jsonl   a JSON object a line, with `file_name` and `label`, a number or a name

An image may have several labels: further columns of a table, or columns of 0 (or -1) and 1 called
by the classes; in JSON, a list of numbers or names, or vectors of 0 and 1.

Names are paths relative to the folder that holds the file. This is the folder of the images, or its
train and test folders with a file each.
"""

from __future__ import annotations

import csv
import functools
import itertools
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan import files
from jaxgan.data.readers import file_listing

_NAMES = ("file_name", "filename", "file", "image", "image_name", "image_id", "path", "name")
_CLASSES = ("label", "labels", "class", "class_name", "category", "target")

_Written = list[tuple[str, tuple[str, ...]]]
"""Names with their labels, of which there may be none."""


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


def _joined(root: pathlib.Path, given: Sequence[pathlib.Path]) -> _Written | None:
    """Returns the names, relative to `root`, and the labels of files; None if they have none."""
    found = None
    for path in given:
        written = _READERS[path.name](path)
        if written is not None:
            inner = path.parent.relative_to(root)
            found = found or []
            found += [(f"{inner.as_posix()}/{name}", labels) for name, labels in written]
    return found


def _labeled(
    found: file_listing.Listing, labels: Mapping[str, tuple[str, ...]] | None, file: str
) -> file_listing.Listing:
    """Returns the listing with labels by image name; None stands for a file without labels."""
    if labels is None:
        note = f"{file} states that there are no labels: folders are not used as classes."
        return found._replace(labels=None, classes=(), notes=(*found.notes, note))
    kept = [row for row, name in enumerate(found.names) if name in labels]
    given = [labels[found.names[row]] for row in kept]
    every = set(itertools.chain.from_iterable(given))
    classes = sorted(every, key=_order(every))
    notes = [f"Read {len(classes)} classes of {len(kept)} images from {file}."]
    without = sorted(set(found.names) - labels.keys())
    if without:
        notes.append(
            f"Left out {len(without)} images without a label: {file_listing.some(without)}."
        )
    number = {label: index for index, label in enumerate(classes)}
    several = sum(len(of) > 1 for of in given)
    numbers = marks = None
    if several:
        notes.append(f"{several} of {len(kept)} images have several labels.")
        marks = np.zeros((len(kept), len(classes)), np.uint8)
        for row, of in enumerate(given):
            marks[row, [number[label] for label in of]] = 1
    else:
        numbers = np.array([number[label] for (label,) in given], np.int32)
    return file_listing.Listing(
        [found.names[row] for row in kept],
        numbers,
        tuple(map(files.printable, classes)),
        None if found.held_out is None else found.held_out[kept],
        (*found.notes, *notes),
        marks,
    )


def _order(labels: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """Returns the sort key of classes; it sorts them as numbers if all of them are."""
    numbers = all(label.isdecimal() and label.isascii() for label in labels)
    return lambda label: (int(label) if numbers else 0, label)


def _of_images(written: _Written | None, names: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
    """Returns the labels of each image that the file names and gives any."""
    if written is None:
        return None
    known = files.Names(names)
    labels: dict[str, tuple[str, ...]] = {}
    for entry, given in written:
        own = tuple(dict.fromkeys(map(files.composed, given)))
        for name in known.find(str(pathlib.PurePosixPath(entry.replace("\\", "/")))):
            if own and set(labels.setdefault(name, own)) != set(own):
                before, now = (files.shortened(", ".join(of)) for of in (labels[name], own))
                raise _Unread(f"it gives {files.shortened(name)} two labels, {before} and {now}")
    if not labels:
        raise _Unread("it names no image of this folder")
    return labels


def _json(path: pathlib.Path) -> _Written | None:
    """Returns the names and labels of StyleGAN's file, or None if it has no labels."""
    content = json.loads("\n".join(files.lines(path)))
    if not isinstance(content, dict) or "labels" not in content:
        raise _Unread("it has no 'labels'")
    entries = content["labels"]
    if entries is None:
        return None
    entries = list(entries.items()) if isinstance(entries, dict) else entries
    wrong = (
        "its 'labels' are not all pairs of a file name and the number or name of a class, or a "
        "list of them"
    )
    pairs = isinstance(entries, list) and all(
        isinstance(entry, list | tuple) and len(entry) == 2 for entry in entries
    )
    if not pairs:
        raise _Unread(wrong)
    return _words(entries, lambda place: wrong)


def _jsonl(path: pathlib.Path) -> _Written:
    """Returns the names and labels of a file with an object a line; some may have no label."""
    entries, places = [], []
    for number, line in enumerate(files.lines(path), start=1):
        if not line.strip():
            continue
        entry = json.loads(line)
        if not isinstance(entry, dict):
            raise _Unread(f"its line {number} is not a JSON object")
        name, label = _first(entry, _NAMES), _first(entry, _CLASSES)
        if label is not None:
            entries.append((name, label))
            places.append(number)
    if not entries:
        raise _Unread("its lines have no 'label'")
    return _words(
        entries,
        lambda place: (
            f"its line {places[place]} is not a file_name with a label that is a number or a name, "
            "or a list of them"
        ),
    )


def _words(entries: Sequence[Sequence[Any]], fault: Callable[[int], str]) -> _Written:
    """Returns the names and the labels as text of entries of JSON.

    A label is a number or a name, or a list of them. If all are lists of 0 and 1 of one length, of
    2 or more, they are vectors with an entry for each class.

    Args:
        entries: a name and its label each.
        fault: `fault(place)` says what is wrong with the entry at that place.
    """
    vectors = _are_vectors([label for _, label in entries])
    found = []
    for place, (name, label) in enumerate(entries):
        if vectors:
            of = tuple(str(index) for index, mark in enumerate(label) if mark)
        else:
            several = label if isinstance(label, list) else [label]
            if not all(type(one) in (int, str) for one in several):
                raise _Unread(fault(place))
            of = tuple(map(str, several))
        if not isinstance(name, str):
            raise _Unread(fault(place))
        found.append((name, of))
    return found


def _are_vectors(labels: Sequence[Any]) -> bool:
    """Returns whether all labels are lists of 0 and 1, of one length."""
    if not all(isinstance(label, list) and len(label) > 1 for label in labels):
        return False
    marks = all(type(one) in (int, float) and one in (0, 1) for of in labels for one in of)
    return marks and len(set(map(len, labels))) == 1


def _first(entry: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Returns the value of the first of the keys that there is, or None."""
    return next((entry[key] for key in keys if key in entry), None)


def _table(path: pathlib.Path, delimiters: str) -> _Written:
    """Returns the names and labels of a table: by its header, or from all of its columns."""
    lines = [line for line in files.lines(path) if line.strip()]
    if not lines:
        raise _Unread("it is empty")
    delimiter = max(delimiters, key=lines[0].count)
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter)]
    header = [cell.lower() for cell in rows[0]]
    of_name = next((header.index(word) for word in _NAMES if word in header), None)
    words = [re.sub(r"[ _-]?\d+$", "", cell) for cell in header]
    word = next((word for word in _CLASSES if word in words), None)
    if of_name is not None and word is not None:
        columns = [index for index, found in enumerate(words) if found == word]
    elif of_name is not None and _are_marks(rows[1:], of_name):
        return _marked(rows, of_name)
    elif (
        len(header) == 2
        or pathlib.PurePosixPath(rows[0][0]).suffix.lower() in file_listing.SUFFIXES
    ):
        of_name, columns = 0, list(range(1, max(map(len, rows))))
    else:
        raise _Unread(
            "expected two columns, a name and a class (more classes may follow), or columns called "
            "file_name and label, or file_name and the classes, of 0 and 1"
        )
    found = [
        (row[of_name] if len(row) > of_name else "", tuple(filter(None, _cells(row, columns))))
        for row in rows
    ]
    if not all(name and of for name, of in found):
        raise _Unread("some of its lines have no class")
    return found


def _cells(row: Sequence[str], columns: Iterable[int]) -> Iterator[str]:
    """Yields the cells of a row in the columns that it has."""
    return (row[column] for column in columns if column < len(row))


def _are_marks(rows: Sequence[Sequence[str]], of_name: int) -> bool:
    """Returns whether all cells but the names are 0, 1 or -1, in two or more columns."""
    cells = [[*row[:of_name], *row[of_name + 1 :]] for row in rows]
    width = len(cells[0]) if cells else 0
    return width > 1 and all(len(of) == width and {*of} <= {"0", "1", "-1"} for of in cells)


def _marked(rows: Sequence[Sequence[str]], of_name: int) -> _Written:
    """Returns the names and labels of a table with a column of 0 (or -1) and 1 for each class."""
    classes = [name for index, name in enumerate(rows[0]) if index != of_name]
    found = []
    for row in rows[1:]:
        marks = [*row[:of_name], *row[of_name + 1 :]]
        of = tuple(name for name, mark in zip(classes, marks, strict=False) if mark == "1")
        found.append((row[of_name], of))
    return found


_READERS: Mapping[str, Callable[[pathlib.Path], _Written | None]] = {
    "dataset.json": _json,
    "labels.csv": functools.partial(_table, delimiters=",;\t"),
    "labels.tsv": functools.partial(_table, delimiters="\t"),
    "metadata.jsonl": _jsonl,
}
