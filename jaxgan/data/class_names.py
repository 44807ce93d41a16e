"""Class names and numbers as users write them: a name, a part of a name, or a number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax.core
import numpy as np

SHOWN = 20
"""Number of names shown at each end of a list that is too long for a message."""


def named(word: str, known: Iterable[str]) -> str:
    """Returns the known name that a word stands for.

    The word may be the whole name, or a part of only one name. Upper and lower case are equal, and
    a plural s is ignored.

    Args:
        word: what the user wrote.
        known: the names to choose from.

    Raises:
        ValueError: if the word matches no name, or is a part of several.
    """
    spelt = {name.casefold(): name for name in known}
    for part in (word.casefold(), word.casefold().removesuffix("s")):
        if part in spelt:
            return spelt[part]
        holding = [name for key, name in spelt.items() if part in key]
        if len(holding) == 1:
            return holding[0]
    raise ValueError(
        f"{word!r} names none, or several, of {listed(list(spelt.values()))}; give one whole name"
    )


def listed(names: Sequence[str]) -> str:
    """Returns the names as text for a message, without the middle of a long list."""
    if len(names) > 2 * SHOWN:
        names = [*names[:SHOWN], "...", *names[-SHOWN:]]
    return ", ".join(names) or "nothing"


def numbers(value: Any, classes: Sequence[str], *, name: str = "label") -> Any:
    """Returns class numbers, int32 [...] in [0, len(classes)), from numbers or names of any shape.

    A traced value is returned unchanged: it has no concrete value to check.

    Args:
        value: a number or a name, or an array or nested sequence of them.
        classes: the names of the classes, by number.
        name: what to call the value in messages.

    Raises:
        ValueError: if the value is neither a number nor a name of a class; it lists the classes.
    """
    if isinstance(value, jax.core.Tracer):
        return value
    values = np.asarray(value)
    if values.dtype.kind == "U":
        found = [_number(str(word), classes) for word in values.ravel()]
        return np.asarray(found, np.int32).reshape(values.shape)
    if values.size == 0:
        return values.astype(np.int32)
    wrong = values.ravel()
    if values.dtype.kind in "iu":
        wrong = values[(values < 0) | (values >= len(classes))]
        if not len(wrong):
            return values.astype(np.int32)
    raise ValueError(
        f"the {name} {wrong[0]} is not a class; expected a number from 0 to {len(classes) - 1} or "
        f"a name of {listed(classes)}"
    )


def _number(word: str, classes: Sequence[str]) -> int:
    """Returns the number of the class that a word names; digits are a name first, then a number."""
    if word.isdecimal() and word not in classes and int(word) < len(classes):
        return int(word)
    return classes.index(named(word, classes))
