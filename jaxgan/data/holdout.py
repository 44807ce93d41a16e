"""Selects held-out examples: by each example's name alone, or by a list."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from jaxgan import files
from jaxgan.data.errors import DataError

Holdout: TypeAlias = "float | str | os.PathLike[str] | None"

FRACTION = 0.1
"""Default fraction of the data that is held out."""


def choose(names: Sequence[str], holdout: Holdout, *, name: str) -> tuple[np.ndarray, str]:
    """Returns a mask of the held-out examples and a note that describes the selection.

    Args:
        names: the name of each example [N].
        holdout: a fraction in [0, 1), a text file with one name a line, or None for 0.1.
        name: the name of the data, for messages.

    Returns:
        True [N] for the examples held out, and the note. With the fraction 0 nothing is held out,
        and the readers give the training data in its place (see `Splits`).

    Raises:
        DataError: if the fraction is not between 0 and 1, the list cannot be used, or nothing is
            left to train on or to hold out.
    """
    parsed = _parse(holdout, name=name)
    if parsed == 0.0:
        note = "Held out nothing: training images take the place of held-out ones."
        return np.zeros(len(names), bool), note
    if isinstance(parsed, pathlib.Path):
        mask, how = by_list(names, parsed, name=name), f"those listed in {parsed}"
    else:
        mask, how = by_hash(names, parsed), f"a fraction of {parsed:g}, by a hash of the name"
    require_both(mask, name=name)
    return mask, f"Held out {mask.sum()} of {len(names)} images: {how}."


def by_hash(names: Sequence[str], fraction: float) -> np.ndarray:
    """Returns True [N] for about `fraction` of the names; the choice depends on each name alone.

    Args:
        names: the name of each example [N].
        fraction: expected fraction of True, in [0, 1].
    """
    return np.array([_unit(name) < fraction for name in names], bool)


def by_list(names: Sequence[str], path: pathlib.Path, *, name: str) -> np.ndarray:
    """Returns True [N] for the names that a text file lists, one a line.

    A # starts a comment, unless it is part of a name.

    Args:
        names: the name of each example [N].
        path: the text file.
        name: the name of the data, for messages.

    Raises:
        DataError: if the file cannot be read, lists nothing, or lists a name that does not exist.
    """
    listed = read_list(path, names, name=name)
    if listed.missing:
        raise DataError(
            f"{name}: {path} lists {len(listed.missing)} images that do not exist, the first "
            f"is '{files.shortened(listed.missing[0])}'; expected names like "
            f"'{files.printable(names[0])}': correct the list, or give --holdout {FRACTION}"
        )
    return np.array([entry in listed.found for entry in names], bool)


class Listed(NamedTuple):
    """The entries of a list file.

    Attributes:
        found: names of existing examples.
        missing: entries that match no example.
    """

    found: frozenset[str]
    missing: list[str]


def read_list(path: pathlib.Path, names: Sequence[str], *, name: str) -> Listed:
    r"""Returns the entries of a list file, each matched against the existing names.

    Either / or \ may separate folders, and accents may be stored in either form.

    Args:
        path: the text file.
        names: the name of each example [N].
        name: the name of the data, for messages.

    Raises:
        DataError: if the file cannot be read or has no entries.
    """
    try:
        lines = files.lines(path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{name}: the held-out list {files.shortened(path)} cannot be read ({_cause(error)}); "
            f"give a text file with one name a line, or a fraction such as {FRACTION}"
        ) from error
    known, found, missing = files.Names(names), set(), []
    for line in lines:
        named = _named(line, known)
        found.update(named)
        entry = _without_comment(line)
        if entry and not named:
            missing.append(entry)
    if not found and not missing:
        raise DataError(f"{name}: the held-out list {path} is empty; list one name a line")
    return Listed(frozenset(found), missing)


def _named(line: str, known: files.Names) -> list[str]:
    """Returns the names that a line matches, as a whole or else up to a comment.

    A name may hold # itself, so each # may start the comment, the last one first.
    """
    words = line.split("#", 64)
    parts = ["#".join(words[:count]).strip() for count in range(len(words), 0, -1)]
    for entry in (line, *parts):
        for written in (entry, str(pathlib.PurePosixPath(entry.replace("\\", "/")))):
            if entry and (found := known.find(written)):
                return found
    return []


def _without_comment(line: str) -> str:
    return re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()


def require_both(mask: np.ndarray, *, name: str) -> None:
    """Raises DataError if all examples, or none, are held out.

    Args:
        mask: True [N] for the examples held out.
        name: the name of the data, for messages.

    Raises:
        DataError: if all examples, or none, are held out.
    """
    if mask.all() or not mask.any():
        lacking = "left to train on" if mask.all() else "held out"
        raise DataError(
            f"{name}: of {len(mask)} images none is {lacking}; "
            "give another --holdout (a fraction or a list file) or more images"
        )


def _parse(holdout: Holdout, *, name: str) -> float | pathlib.Path:
    if holdout is None:
        return FRACTION
    try:
        fraction = float(holdout)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return pathlib.Path(holdout).expanduser()  # type: ignore[arg-type]
    if not 0.0 <= fraction < 1.0:
        raise DataError(
            f"{name}: holdout is {holdout}; expected a fraction from 0 to below 1, or a list file"
        )
    return fraction


def _unit(name: str) -> float:
    # File systems store accents composed or decomposed; the choice must not depend on that.
    normal = files.composed(name)
    try:
        normal = normal.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # lone surrogates: not in names of files, but possibly in arrays
        normal = normal.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(normal, digest_size=8).digest(), "big") / 2.0**64


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not UTF-8 text"
