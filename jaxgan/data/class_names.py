"""What a user calls a class: its name, a part of it, or its number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax.core
import numpy as np

SHOWN = 20
"""Names at each end of a list that is too long for a message."""


def named(word: str, known: Iterable[str]) -> str:
    """The known name that the word means: itself, or the only one that it is a part of, whatever
    the case, and also as a plural.

    Raises:
        ValueError: where that is none, or several.
    """
    spelt = {name.casefold(): name for name in known}
    for part in (word.casefold(), word.casefold().removesuffix("s")):
        if part in spelt:
            return spelt[part]
        holding = [name for key, name in spelt.items() if part in key]
        if len(holding) == 1:
            return holding[0]
    raise ValueError(f"{word!r} names none, or several, of {listed(list(spelt.values()))}")


def listed(names: Sequence[str]) -> str:
    """The names for a message; the middle of a long list is left out."""
    if len(names) > 2 * SHOWN:
        names = [*names[:SHOWN], "...", *names[-SHOWN:]]
    return ", ".join(names) or "nothing"


def numbers(value: Any, classes: Sequence[str], *, name: str = "label") -> Any:
    """The number of each class, int32 [...] in [0, len(classes)), from numbers or names of any one
    shape. What is only traced is given back as it is: it has no value yet.

    Args:
        value: a number or a name, or an array or nested sequence of them.
        classes: the names of the classes, by number.
        name: what the value is called, for messages.

    Raises:
        ValueError: on what is neither, with the list of the classes.
    """
    if isinstance(value, jax.core.Tracer):
        return value
    values = np.asarray(value)
    if values.dtype.kind == "U":
        found = [classes.index(named(str(word), classes)) for word in values.ravel()]
        return np.asarray(found, np.int32).reshape(values.shape)
    if values.size == 0:
        return values.astype(np.int32)
    wrong = values.ravel()
    if values.dtype.kind in "iu":
        wrong = values[(values < 0) | (values >= len(classes))]
        if not len(wrong):
            return values.astype(np.int32)
    raise ValueError(
        f"the {name} {wrong[0]} is no class: expected a number from 0 to {len(classes) - 1} or a "
        f"name of {listed(classes)}"
    )
