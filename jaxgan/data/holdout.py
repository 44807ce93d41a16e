"""Which examples are held out: a function of each example's name alone, or of a list."""

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
"""The fraction held out where nothing else is said."""


def choose(names: Sequence[str], holdout: Holdout, *, name: str) -> tuple[np.ndarray, str]:
    """True [N] for the examples held out, by fraction (None: 0.1) or list file, and a note on it.

    Raises DataError, with `name`, where the fraction does not lie between 0 and 1, the list cannot
    be used, or nothing is left on one side.
    """
    parsed = _parse(holdout, name=name)
    if isinstance(parsed, pathlib.Path):
        mask, how = by_list(names, parsed, name=name), f"listed in {parsed}"
    else:
        mask, how = by_hash(names, parsed), f"the fraction {parsed:g} by a hash of the name"
    require_both(mask, name=name)
    return mask, f"Held out are {mask.sum()} of {len(names)} images, {how}."


def by_hash(names: Sequence[str], fraction: float) -> np.ndarray:
    """True [N] for about `fraction` of the names; no name's side depends on the other names."""
    return np.array([_unit(name) < fraction for name in names], bool)


def by_list(names: Sequence[str], path: pathlib.Path, *, name: str) -> np.ndarray:
    """True [N] for the names in the text file `path`, one a line; # starts a comment, but where a
    name has one in it.

    Raises DataError where the file cannot be read, names nothing, or names what there is not.
    """
    listed = read_list(path, names, name=name)
    if listed.missing:
        raise DataError(
            f"{name}: {path} lists {len(listed.missing)} images that are not there, the first "
            f"being '{files.shortened(listed.missing[0])}'; expected names like "
            f"'{files.printable(names[0])}': correct the list, or give --holdout {FRACTION}"
        )
    return np.array([entry in listed.found for entry in names], bool)


class Listed(NamedTuple):
    """What a list file names: names that there are, and entries that name nothing."""

    found: frozenset[str]
    missing: list[str]


def read_list(path: pathlib.Path, names: Sequence[str], *, name: str) -> Listed:
    """What a list file names among `names`, whichever way it parts folders and stores accents.

    Raises DataError where it cannot be read or has no entries.
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
    """The names that a line stands for: all of it if there is such a name, else what stands before
    a comment.
    """
    for entry in (line, line.strip(), _without_comment(line), line.partition("#")[0].strip()):
        for written in (entry, str(pathlib.PurePosixPath(entry.replace("\\", "/")))):
            if entry and (found := known.find(written)):
                return found
    return []


def _without_comment(line: str) -> str:
    return re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()


def require_both(mask: np.ndarray, *, name: str) -> None:
    """Raises DataError where everything, or nothing, is held out."""
    if mask.all() or not mask.any():
        lacking = "to train on" if mask.all() else "held out"
        raise DataError(
            f"{name}: of {len(mask)} images none is left {lacking}; "
            "give another --holdout (a fraction or a list file) or more images"
        )


def _parse(holdout: Holdout, *, name: str) -> float | pathlib.Path:
    if holdout is None:
        return FRACTION
    try:
        fraction = float(holdout)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return pathlib.Path(holdout).expanduser()  # type: ignore[arg-type]
    if not 0.0 < fraction < 1.0:
        raise DataError(
            f"{name}: holdout is {holdout}; expected a fraction between 0 and 1, or a list file"
        )
    return fraction


def _unit(name: str) -> float:
    # File systems store accents composed or decomposed; a file falls on one side on all of them.
    normal = files.composed(name)
    try:
        normal = normal.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves of characters, which no file's name has but an array's may
        normal = normal.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(normal, digest_size=8).digest(), "big") / 2.0**64


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not UTF-8 text"
