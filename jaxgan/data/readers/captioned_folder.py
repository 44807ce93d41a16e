"""Captioned images in a folder, in the layout that many tools write.

The folder holds images and `metadata.jsonl`, with one JSON object a line. `file_name` is the path
of an image relative to the folder, and `text` is its caption or a list of captions. Several lines
may caption one image.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import posixpath
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxgan import files
from jaxgan.data import captions, holdout, resizing
from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError
from jaxgan.data.readers import decoding, file_listing, image_folder
from jaxgan.data.splits import Splits

FILE = "metadata.jsonl"
COLUMNS = ("file_name", "text")


def load(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the captioned images in a folder, decoded to uint8 in the shape of `fit`.

    Held out are the images that `held` selects. If `held` is None, a list `val.txt` in or next to
    the folder selects them, and otherwise a fraction of 0.1, by a hash of the file name.

    Args:
        place: path of the folder.
        fit: the shape to convert the images to.
        held: a fraction to hold out, a list file, or None (see `holdout.choose`).

    Raises:
        DataError: if the metadata or the images cannot be used.
    """
    name, root = f"captioned:{place}", pathlib.Path(place).expanduser()
    given = _captions(root, name=name)
    names = sorted(given)
    found = file_listing.Listing(names, None, (), None, _ignored(root, names, name=name))
    mask, said = image_folder.held_out(root, found, held, name=name)
    # Labels that number the images show afterwards which of them could be decoded.
    numbers = np.arange(len(names), dtype=np.int32)
    sources = [root / entry for entry in names]
    collection = decoding.Collection(name, names, sources, numbers, tuple(names), mask)
    train, held_out, notes = decoding.decode_splits(collection, fit)
    parts, cut = [], []
    for part in (train, held_out):
        assert isinstance(part, Dataset) and part.labels is not None
        own = [given[names[number]] for number in part.labels]
        captioned, shortened = captions.captioned(
            dataclasses.replace(part, labels=None, classes=()), own
        )
        parts.append(captioned)
        cut += shortened
    train, held_out = parts
    return Splits(train, held_out, (*found.notes, *notes, *dict.fromkeys(cut), *said))


def _captions(root: pathlib.Path, *, name: str) -> dict[str, list[str]]:
    """Returns the captions of each image, by the image's name."""
    given: dict[str, list[str]] = {}
    known = None
    for place, entry in _lines(root, name=name):
        known = known or files.Names(file_listing.images_below(root, name=name).images)
        missing = [column for column in COLUMNS if column not in entry]
        if missing:
            raise DataError(
                f"{name}: {place} has no {missing[0]!r} but has "
                f"{files.shortened(', '.join(entry)) or 'nothing'}; "
                "expected file_name and text: rename the key"
            )
        file = _file(root, str(entry["file_name"]), known, place, name=name)
        texts = entry["text"] if isinstance(entry["text"], list) else [entry["text"]]
        for text in texts or [""]:
            if not isinstance(text, str):
                raise DataError(
                    f"{name}: {place} gives {file} the text {files.shortened(repr(text))}; "
                    "expected a string or a list of strings"
                )
            if not captions.plain(text):
                raise DataError(
                    f"{name}: {place} gives {file} an empty caption; "
                    "say what the image shows or remove the line"
                )
        given.setdefault(file, []).extend(texts)
    if not given:
        raise DataError(f"{name}: {FILE} is empty; caption the images, one line each")
    return given


def _file(root: pathlib.Path, written: str, known: files.Names, place: str, *, name: str) -> str:
    """Returns the name of the image in the folder that the metadata refer to.

    Raises DataError if there is none, or if it lies outside the folder: metadata written by others
    must not read private files.
    """
    file = posixpath.normpath(written.replace("\\", "/"))
    shown = files.shortened(written)
    if posixpath.isabs(file) or file.split("/")[0] == ".." or re.match("[A-Za-z]:/", file):
        raise DataError(
            f"{name}: {place} captions {shown}, which leads out of the folder; "
            "expected the path of an image in the folder, relative to it"
        )
    file = next(iter(known.find(file)), file)
    if not files.is_file(root / file):
        raise DataError(
            f"{name}: {place} captions {shown}, which is not in the folder; "
            "add the image or remove the line"
        )
    if not files.lies_in(root / file, root):
        raise DataError(
            f"{name}: {place} captions {shown}, a link that leads out of the folder; "
            "replace the link with the image itself"
        )
    return file


def _lines(root: pathlib.Path, *, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each object of the metadata, with the description of its line for messages."""
    path = root / FILE
    if not files.is_file(path):
        found = "not a folder" if not files.is_folder(root) else f"a folder without {FILE}"
        raise DataError(
            f"{name}: {root} is {found}; expected a folder of images and {FILE}, "
            'with a line like {"file_name": "cat.jpg", "text": "a cat"} for each image'
        )
    try:
        lines = files.lines(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: {FILE} cannot be read as UTF-8 text; save it in UTF-8") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # RecursionError: nested too deeply
            entry = None
        if not isinstance(entry, dict):
            raise DataError(
                f"{name}: line {number} of {FILE} is not a JSON object; expected one a line, "
                'like {"file_name": "cat.jpg", "text": "a cat"}'
            )
        yield f"line {number} of {FILE}", entry


def _ignored(root: pathlib.Path, names: list[str], *, name: str) -> tuple[str, ...]:
    """Returns a note on the images without a caption."""
    without = sorted(set(file_listing.images_below(root, name=name).images) - set(names))
    if not without:
        return ()
    return (f"Left out {len(without)} images without a caption: {file_listing.some(without)}.",)
