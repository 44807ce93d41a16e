"""Invertible transforms of arrays: from the units of the data to those of a network, and back.

A transform is written as its steps, in their order: 'symlog', 'log1p+standardize'. `fit` measures
what the steps need, `apply` and `invert` are pure functions of the values.

    none            x
    log1p           log(1 + x), for x > -1
    symlog          sign(x) log(1 + |x|), for values of both signs over many orders of magnitude
    standardize     (x - mean) / standard deviation
    minmax          2 (x - low) / (high - low) - 1, which lies in [-1, 1]

Mean, deviation, low and high are those of each channel: of each position on the last axis of an
example, over all others. A channel whose values are all alike becomes 0 (standardize) or -1
(minmax).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxgan.data.errors import DataError

KINDS = ("none", "log1p", "symlog", "standardize", "minmax")
"""The steps that a transform may have."""

_ALIKE = 1e-10  # relative deviation of values that are all alike: float32 has steps of 6e-8


class Step(NamedTuple):
    """One step of a transform, with what was measured for it.

    Attributes:
        kind: its name, one of `KINDS`.
        center: what is subtracted from each channel [C]; () if nothing is.
        scale: what each channel [C] is then divided by; () if it is not.
    """

    kind: str
    center: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()


class Transform(NamedTuple):
    """An invertible transform.

    Attributes:
        steps: its steps, in the order in which they are applied.
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def recorded(cls, record: Iterable[Mapping[str, Any]]) -> Transform:
        """Returns the transform of a `record`."""
        return cls(
            tuple(
                Step(step["kind"], tuple(step["center"]), tuple(step["scale"])) for step in record
            )
        )

    def record(self) -> list[dict[str, Any]]:
        """Returns the transform as JSON values, which give every number back exactly."""
        return [
            {"kind": step.kind, "center": list(step.center), "scale": list(step.scale)}
            for step in self.steps
        ]


def parsed(text: str | None, entries: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns the steps of the transform of each entry: 'image=symlog,condition=standardize'.

    Args:
        text: the transforms as the user writes them; None for none.
        entries: the names of the entries.

    Returns:
        For every entry the names of its steps, () for an entry that is not transformed.

    Raises:
        DataError: if there is no such entry or step, or an entry is given twice.
    """
    steps: dict[str, tuple[str, ...]] = {}
    known = list(entries)
    for part in (text or "").split(",") if text else []:
        entry, equals, named = (word.strip() for word in part.partition("="))
        chosen = tuple(step.strip() for step in named.split("+"))
        wrong = [step for step in chosen if step not in KINDS]
        if not equals or wrong:
            found = f"has the transform {wrong[0]!r}" if equals else f"has {part.strip()!r}"
            raise DataError(
                f"--transform {found}; expected ENTRY=TRANSFORM, of {', '.join(KINDS)} or several "
                "joined by +, such as image=symlog+standardize"
            )
        if entry not in known or entry in steps:
            why = "which it gives twice" if entry in steps else f"but the data have {_some(known)}"
            raise DataError(f"--transform names the entry {entry!r}, {why}; correct the names")
        steps[entry] = tuple(step for step in chosen if step != "none")
    return {entry: steps.get(entry, ()) for entry in known}


def fit(
    kinds: Iterable[str], pieces: Callable[[], Iterator[np.ndarray]], *, name: str = "the data"
) -> Transform:
    """Returns the transform of these steps, measured on all values.

    Args:
        kinds: the names of the steps, of `KINDS`.
        pieces: returns the values anew, in pieces [n, ..., C] of examples, so that they need not
            all lie in memory. They are read twice at most for each step.
        name: what the values are, for messages.

    Raises:
        DataError: if a step cannot be applied to the values.
    """
    found = Transform()
    for kind in kinds:
        values = _through(found, pieces)
        if kind == "log1p":
            low = min(float(piece.min()) for piece in values())
            if not low > -1.0:
                raise DataError(
                    f"{name}: the smallest value is {low:.4g}, and log1p takes values above -1; "
                    "use symlog, which takes all"
                )
        found = Transform((*found.steps, _fitted(kind, values)))
    return found


def apply(transform: Transform, values: ArrayLike) -> np.ndarray:
    """Returns values in the units of the network.

    Args:
        transform: the transform.
        values: numbers [..., C] in the units of the data.

    Returns:
        The values in float64, so that `invert` gives them back exactly. Networks take them in
        float32.

    Example:
        >>> import numpy as np
        >>> from jaxgan.data import transforms
        >>> masses = np.array([[1.0], [10.0], [1e6]])
        >>> logs = transforms.fit(["log1p", "minmax"], lambda: iter([masses]))
        >>> transforms.apply(logs, masses).ravel().round(2).tolist()
        [-1.0, -0.74, 1.0]
        >>> transforms.invert(logs, transforms.apply(logs, masses)).ravel().round(6).tolist()
        [1.0, 10.0, 1000000.0]
    """
    found = np.asarray(values, np.float64)
    for step in transform.steps:
        found = _forward(step, found)
    return found


def invert(transform: Transform, values: ArrayLike) -> np.ndarray:
    """Returns values in the units of the data: the inverse of `apply`.

    Args:
        transform: the transform.
        values: numbers [..., C] in the units of the network.

    Returns:
        The values in float64.
    """
    found = np.asarray(values, np.float64)
    for step in reversed(transform.steps):
        found = _backward(step, found)
    return found


def described(transform: Transform) -> str:
    """Returns the transform as the user writes it: 'log1p+standardize', or 'none'."""
    return "+".join(step.kind for step in transform.steps) or "none"


def _some(names: list[str]) -> str:
    return ", ".join(names[:8])


def _through(
    transform: Transform, pieces: Callable[[], Iterator[np.ndarray]]
) -> Callable[[], Iterator[np.ndarray]]:
    """Returns the pieces after the transform."""
    return lambda: (apply(transform, piece) for piece in pieces())


def _fitted(kind: str, values: Callable[[], Iterator[np.ndarray]]) -> Step:
    """Returns the step with what it needs of the values [n, ..., C] of each piece."""
    if kind == "standardize":
        center = _mean(values)
        scale = np.sqrt(_mean(lambda: (np.square(piece - center) for piece in values())))
        # Rounding alone gives values that are all alike a deviation.
        return _linear(kind, center, np.where(scale > _ALIKE * np.abs(center), scale, 1.0))
    if kind == "minmax":
        ends = [(_over(np.min, piece), _over(np.max, piece)) for piece in values()]
        low = np.min([low for low, _ in ends], axis=0)
        half = np.max([high for _, high in ends], axis=0) / 2 - low / 2
        half = np.where(half > 0.0, half, 1.0)
        return _linear(kind, low + half, half)
    return Step(kind)


def _linear(kind: str, center: np.ndarray, scale: np.ndarray) -> Step:
    return Step(kind, tuple(center.tolist()), tuple(scale.tolist()))


def _over(function: Callable[..., np.ndarray], piece: np.ndarray) -> np.ndarray:
    """Returns a statistic of each channel, [C]."""
    return function(piece, axis=tuple(range(piece.ndim - 1)))


def _mean(values: Callable[[], Iterator[np.ndarray]]) -> np.ndarray:
    """Returns the mean of each channel, [C]."""
    total, count = np.float64(0.0), 0
    for piece in values():
        total = total + _over(np.sum, piece)
        count += piece.size // piece.shape[-1]
    return np.asarray(total / count)


def _forward(step: Step, values: np.ndarray) -> np.ndarray:
    if step.kind == "log1p":
        return np.log1p(values)
    if step.kind == "symlog":
        return np.sign(values) * np.log1p(np.abs(values))
    return (values - np.array(step.center)) / np.array(step.scale)


def _backward(step: Step, values: np.ndarray) -> np.ndarray:
    if step.kind == "log1p":
        return np.expm1(values)
    if step.kind == "symlog":
        return np.sign(values) * np.expm1(np.abs(values))
    return values * np.array(step.scale) + np.array(step.center)
