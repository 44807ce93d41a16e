"""Labels in a file beside the images, as StyleGAN's tool and spreadsheets write them.

dataset.json   {"labels": [["00000/img00000000.png", 6], ...]}, or null for none
labels.csv     two columns, a name and a class, or columns called so (`file_name`, `label`, ...)

Names are paths relative to the folder that holds the file.
"""

from __future__ import annotations

import csv
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxgan import files
from jaxgan.data.readers import file_listing

_NAMES = ("file_name", "filename", "file", "image", "path", "name")
_CLASSES = ("label", "class", "class_name", "category", "target")


class _Unread(ValueError):
    """Why a file of labels is not read."""


def paths(root: pathlib.Path) -> list[pathlib.Path]:
    """Where files of labels would lie in a folder."""
    return [root / name for name in _READERS]


def applied(root: pathlib.Path, found: file_listing.Listing) -> file_listing.Listing:
    """The images listed in the folder with the labels of the first file that has any, and notes on
    it; images that it gives no label are left out.

    A file that cannot be read, or that names none of the images, is named in a note.
    """
    notes = []
    for path in paths(root):
        if not path.is_file():
            continue
        try:
            labels = _of_images(_READERS[path.name](path), found.names)
        except (_Unread, OSError, ValueError, RecursionError, csv.Error) as error:
            why = str(error) if isinstance(error, _Unread) else "it is damaged, or no UTF-8 text"
            notes.append(f"Did not read {path.name}: {why}.")
            continue
        found = _labeled(found, labels, path.name)
    return found._replace(notes=(*found.notes, *notes))


def _labeled(
    found: file_listing.Listing, labels: Mapping[str, str] | None, file: str
) -> file_listing.Listing:
    """The listing with the labels by name; without classes where there are none."""
    if labels is None:
        note = f"{file} says that there are no labels: folders are no classes."
        return found._replace(labels=None, classes=(), notes=(*found.notes, note))
    kept = [row for row, name in enumerate(found.names) if name in labels]
    given = [labels[found.names[row]] for row in kept]
    classes = sorted(set(given), key=_order(given))
    notes = [f"Took {len(classes)} classes of {len(kept)} images from {file}."]
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
    """The key that sorts classes: as numbers where all of them are."""
    numbers = all(label.isdecimal() and label.isascii() for label in labels)
    return lambda label: (int(label) if numbers else 0, label)


def _of_images(
    written: Sequence[tuple[str, str]] | None, names: Sequence[str]
) -> dict[str, str] | None:
    """The label of each image that the file names."""
    if written is None:
        return None
    known = files.Names(names)
    labels = {
        name: files.composed(label)
        for entry, label in written
        for name in known.find(str(pathlib.PurePosixPath(entry.replace("\\", "/"))))
    }
    if not labels:
        raise _Unread("it names no image of this folder")
    return labels


def _json(path: pathlib.Path) -> list[tuple[str, str]] | None:
    """The names and labels of StyleGAN's file; None where it says that there are none."""
    content = json.loads("\n".join(files.lines(path)))
    if not isinstance(content, dict) or "labels" not in content:
        raise _Unread("it has no 'labels'")
    entries = content["labels"]
    if entries is None:
        return None
    entries = list(entries.items()) if isinstance(entries, dict) else entries
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise _Unread("its 'labels' are not all a name and the number or the name of a class")
    return [(name, str(label)) for name, label in entries]


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and type(entry[1]) in (int, str)
    )


def _csv(path: pathlib.Path) -> list[tuple[str, str]]:
    """The names and labels of a table: by its header, or of its only two columns."""
    lines = [line for line in files.lines(path) if line.strip()]
    if not lines:
        raise _Unread("it is empty")
    delimiter = max(",;\t", key=lines[0].count)
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
        raise _Unread("it has lines without a class")
    return [(row[of_name], row[of_class]) for row in rows]


_READERS = {"dataset.json": _json, "labels.csv": _csv}
