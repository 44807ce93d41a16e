"""Which examples are held out: a function of each example's name alone, or of a list."""

from __future__ import annotations

import hashlib
import os
import pathlib
import unicodedata
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

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
    """True [N] for the names in the text file `path`, one a line; # starts a comment.

    Raises DataError where the file cannot be read, names nothing, or names what there is not.
    """
    listed, known = read_list(path, name=name), set(names)
    missing = [entry for entry in listed if entry not in known]
    if missing:
        raise DataError(
            f"{name}: {path} lists {len(missing)} images that are not there, the first being "
            f"{missing[0]!r}; expected names like {names[0]!r}: correct the list, "
            f"or give --holdout {FRACTION}"
        )
    chosen = set(listed)
    return np.array([entry in chosen for entry in names], bool)


def read_list(path: pathlib.Path, *, name: str) -> list[str]:
    """The entries of a list file, with / between folders. Raises DataError where there are none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{name}: the held-out list {path} cannot be read ({_cause(error)}); "
            f"give a text file with one name a line, or a fraction such as {FRACTION}"
        ) from error
    entries = [line.split("#", 1)[0].strip().replace("\\", "/") for line in lines]
    named = [str(pathlib.PurePosixPath(entry)) for entry in entries if entry]
    if not named:
        raise DataError(f"{name}: the held-out list {path} is empty; list one name a line")
    return named


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
    normal = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(normal, digest_size=8).digest(), "big") / 2.0**64


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or "not UTF-8 text"
