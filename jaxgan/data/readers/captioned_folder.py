"""Captioned images in a folder, as many tools write them.

Beside the images, `metadata.jsonl` has a JSON object a line: `file_name`, an image's path relative
to the folder, and `text`, its caption or a list of them. Several lines may caption one image.
"""

from __future__ import annotations

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
    """The images in the folder `place` that its metadata caption, decoded to uint8 in the shape of
    `fit`, with their captions.

    Held out are those in a list `val.txt`, those that `held` names, or a fraction by a hash of the
    file's name. Raises DataError where the metadata or the images cannot be used.
    """
    name, root = f"captioned:{place}", pathlib.Path(place).expanduser()
    given = _captions(root, name=name)
    names = sorted(given)
    found = file_listing.Listing(names, None, (), None, _ignored(root, names, name=name))
    mask, said = image_folder.held_out(root, found, held, name=name)
    # Labels that number the images say which of them could be read.
    numbers = np.arange(len(names), dtype=np.int32)
    sources = [root / entry for entry in names]
    collection = decoding.Collection(name, names, sources, numbers, tuple(names), mask)
    train, held_out, notes = decoding.decode_splits(collection, fit)
    parts, cut = [], []
    for part in (train, held_out):
        assert isinstance(part, Dataset) and part.labels is not None
        own = [given[names[number]] for number in part.labels]
        captioned, shortened = captions.captioned(Dataset(name, part.images), own)
        parts.append(captioned)
        cut += shortened
    train, held_out = parts
    return Splits(train, held_out, (*found.notes, *notes, *dict.fromkeys(cut), *said))


def _captions(root: pathlib.Path, *, name: str) -> dict[str, list[str]]:
    """The captions of each image by its name."""
    given: dict[str, list[str]] = {}
    known = None
    for place, entry in _lines(root, name=name):
        known = known or files.Names(file_listing.images_below(root, name=name).images)
        missing = [column for column in COLUMNS if column not in entry]
        if missing:
            raise DataError(
                f"{name}: {place} has no {missing[0]!r}, it holds "
                f"{files.shortened(', '.join(entry)) or 'nothing'}; "
                "expected file_name and text: rename the column"
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
                    "say what it shows or take the line out"
                )
        given.setdefault(file, []).extend(texts)
    if not given:
        raise DataError(f"{name}: {FILE} is empty; caption the images, one line each")
    return given


def _file(root: pathlib.Path, written: str, known: files.Names, place: str, *, name: str) -> str:
    """The name of the image in the folder that the metadata call so. Raises DataError where there
    is none, or where it lies elsewhere: metadata of others must not reach for files of one's own.
    """
    file = posixpath.normpath(written.replace("\\", "/"))
    shown = files.shortened(written)
    if posixpath.isabs(file) or file.split("/")[0] == ".." or re.match("[A-Za-z]:/", file):
        raise DataError(
            f"{name}: {place} captions {shown}, which leads out of the folder; "
            "give paths relative to the folder, of images in it"
        )
    file = next(iter(known.find(file)), file)
    if not files.is_file(root / file):
        raise DataError(
            f"{name}: {place} captions {shown}, which is not in the folder; "
            "add the image or take the line out"
        )
    if not files.lies_in(root / file, root):
        raise DataError(
            f"{name}: {place} captions {shown}, a link that leads out of the folder; "
            "put the image itself there"
        )
    return file


def _lines(root: pathlib.Path, *, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the metadata, and how messages call its line."""
    path = root / FILE
    if not files.is_file(path):
        found = "not a folder" if not files.is_folder(root) else f"a folder without {FILE}"
        raise DataError(
            f"{name}: {root} is {found}; expected a folder of images and in it {FILE}, "
            'a line like {"file_name": "cat.jpg", "text": "a cat"} for each'
        )
    try:
        lines = files.lines(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{name}: {FILE} cannot be read as UTF-8 text; write it again so"
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # nested beyond all reason
            entry = None
        if not isinstance(entry, dict):
            raise DataError(
                f"{name}: line {number} of {FILE} is no JSON object; expected one a line, "
                'like {"file_name": "cat.jpg", "text": "a cat"}'
            )
        yield f"line {number} of {FILE}", entry


def _ignored(root: pathlib.Path, names: list[str], *, name: str) -> tuple[str, ...]:
    """A note on the images that have no caption."""
    without = sorted(set(file_listing.images_below(root, name=name).images) - set(names))
    if not without:
        return ()
    return (f"Left out {len(without)} images without caption: {file_listing.some(without)}.",)
