"""The file of arrays from which PyTorch's side repeats jaxgan's steps."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

TOLERANCE = 1e-3
"""Largest difference between two losses of the first step, relative to the larger one."""
LATER_TOLERANCE = 1e-2
"""The same for later steps. Adam's first steps have the same length whatever the gradient, so they
magnify rounding errors of gradients near zero."""
UPDATE_TOLERANCE = 0.25
"""Largest difference between a player's two updates, relative to jaxgan's, for the same reason.
Updates that do other work differ by 1 or more."""
_NEGLIGIBLE = 1e-6


class Evidence(NamedTuple):
    """Steps of jaxgan that PyTorch can repeat.

    Attributes:
        before: Params of the players before the first step, nested by name.
        after: Params of the players after the last step.
        batch: The batch of every step.
        draws: Names and values of all random draws, in their order.
        losses: By name of the metric, one loss for each step.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    batch: Mapping[str, np.ndarray]
    draws: Sequence[tuple[str, np.ndarray]]
    losses: Mapping[str, Sequence[float]]


class Repetition(NamedTuple):
    """The results of the same steps in PyTorch.

    Attributes:
        losses: As in `Evidence`.
        differences: By player, the norm of the difference between the two updates, divided by the
            norm of jaxgan's update.
    """

    losses: Mapping[str, Sequence[float]]
    differences: Mapping[str, float]


def save(path: pathlib.Path, evidence: Evidence) -> None:
    """Writes the file."""
    arrays = {f"before/{name}": leaf for name, leaf in _flat(evidence.before)}
    arrays |= {f"after/{name}": leaf for name, leaf in _flat(evidence.after)}
    arrays |= {f"batch/{name}": values for name, values in evidence.batch.items()}
    for index, (name, values) in enumerate(evidence.draws):
        arrays[f"draws/{index:06d}/{name}"] = values
    arrays |= {f"losses/{name}": np.asarray(v) for name, v in evidence.losses.items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load(path: pathlib.Path) -> Evidence:
    """Reads the file."""
    params: dict[str, dict[str, Any]] = {"before": {}, "after": {}}
    batch, draws, losses = {}, [], {}
    with np.load(path, allow_pickle=False) as file:
        for entry in sorted(file.files):
            kind, name = entry.split("/", 1)
            if kind in params:
                _put(params[kind], name.split("/"), file[entry])
            elif kind == "batch":
                batch[name] = file[entry]
            elif kind == "draws":
                draws.append((name.split("/", 1)[1], file[entry]))
            else:
                losses[name] = file[entry].tolist()
    return Evidence(params["before"], params["after"], batch, draws, losses)


def disagreement(recorded: Evidence, found: Repetition) -> str | None:
    """Returns a sentence on the first loss or update that differs from jaxgan's, or None."""
    ours, theirs = recorded.losses, found.losses
    unknown = sorted(set(theirs) - set(ours))
    if unknown or not theirs:
        return f"PyTorch reports {unknown or 'no loss'}; jaxgan reports {', '.join(sorted(ours))}"
    sentence = differing(ours, theirs, ("jaxgan", "PyTorch"))
    if sentence is not None:
        return f"{sentence}, from the same weights, batch and draws"
    for name, difference in found.differences.items():
        if not difference <= UPDATE_TOLERANCE:
            steps = len(next(iter(ours.values())))
            return (
                f"after {steps} steps the update of the {name} differs by {difference:.1%} between "
                "jaxgan and PyTorch, from the same weights, batch and draws"
            )
    return None


def differing(
    some: Mapping[str, Sequence[float]],
    others: Mapping[str, Sequence[float]],
    names: tuple[str, str],
) -> str | None:
    """Returns a clause on the first of `others` that differs from `some`, or None."""
    for step in range(max(map(len, others.values()))):
        for loss in sorted(others):
            left, right = some[loss][step], others[loss][step]
            tolerance = LATER_TOLERANCE if step else TOLERANCE
            limit = tolerance * max(abs(left), abs(right)) + _NEGLIGIBLE
            if not abs(left - right) <= limit:
                return (
                    f"{loss} of step {step + 1} is {left:.6g} in {names[0]} and "
                    f"{right:.6g} in {names[1]}"
                )
    return None


def _flat(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}/")
        else:
            yield f"{path}{name}", np.asarray(value)


def _put(tree: dict[str, Any], path: Sequence[str], leaf: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = leaf
