"""What the Jacobian of the game at a checkpoint says of the steps that it bears (Mescheder et al.
2017, "The Numerics of GANs", section 3). No finding rests on it: a checkpoint is no equilibrium.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxgan.games import stability
from jaxgan.games.stability import Jacobian
from jaxgan.runs.config import RunConfig
from jaxgan.tools.diagnosis.finding import Part

LEADING = 6
"""How many eigenvalues are listed, those of the largest real parts: the first that is not negative
keeps the players from settling.
"""


class Play(NamedTuple):
    """How the run moves its players.

    step_sizes: by player; None where the configuration does not say.
    turns:      who moves, one after another (`stability.round_of_steps`); None: all at once.
    """

    step_sizes: Mapping[str, float] | None
    turns: Sequence[str] | None


def play(config: RunConfig, players: Sequence[str]) -> Play:
    """How a run of this configuration moves these players."""
    given = {name: _step_size(config, name) for name in players}
    sizes = {name: size for name, size in given.items() if size is not None}
    known = sizes if len(sizes) == len(given) else None
    if getattr(config, "order", "") == "simultaneous":
        return Play(known, None)
    return Play(known, in_turn(players, judging=getattr(config, "n_critic", 1)))


def in_turn(players: Sequence[str], *, judging: int = 1) -> list[str]:
    """One player after another, the generators last, the others `judging` times before them."""
    generators = sorted(name for name in players if name.startswith("generator"))
    return judging * sorted(set(players) - set(generators)) + generators


def examined(local: Jacobian, run: Play) -> Part:
    """The game near the checkpoint: its leading eigenvalues and the step sizes below which plain
    gradient descent is stable (0 where it is at none), in numbers, and what they say of the run.
    """
    found = stability.eigenvalues(local)
    at_once = stability.largest_step(local)
    one_by_one = stability.largest_step(local, in_turn(list(local.players)))
    leading = enumerate(found[:LEADING], start=1)
    seen = {
        "Jacobian: params": float(len(found)),
        **{f"Jacobian: eigenvalue {number}": complex(value) for number, value in leading},
        "Jacobian: largest imaginary part": float(found.imag.max()),
        "Jacobian: largest stable step, at once": at_once,
        "Jacobian: largest stable step, in turn": one_by_one,
    }
    return Part(numbers=seen, remarks=(bearable(at_once, one_by_one), *of_run(local, run)))


def bearable(at_once: float, in_turn: float) -> str:
    """Below which step sizes a game is stable that has these largest stable ones, 0 being none."""
    if at_once == in_turn == 0:
        return (
            "Near this checkpoint no step size of plain gradient descent, however small, is "
            "stable: an eigenvalue's real part is not negative."
        )
    return (
        f"Near this checkpoint plain gradient descent is stable {_below(in_turn)} in turn, "
        f"{_below(at_once)} at once."
    )


def of_run(local: Jacobian, run: Play) -> list[str]:
    """Whether the game is stable at the run's own step sizes; nothing where they are not known."""
    if run.step_sizes is None:
        return []
    bears = stability.bears(stability.scaled(local, run.step_sizes), 1.0, run.turns)
    sizes = ", ".join(f"{name} {size:g}" for name, size in sorted(run.step_sizes.items()))
    how = "at once" if run.turns is None else "in turn"
    stable = "stable" if bears else "not stable"
    return [f"The run's own step sizes ({sizes}; {how}), as plain steps, are {stable}."]


def _below(step_size: float) -> str:
    return f"below a step size of {step_size:.3g}" if step_size > 0 else "at no step size"


def _step_size(config: RunConfig, player: str) -> float | None:
    """That of the player's side, 'generator' of 'generator_ab', or the one of all."""
    for name in (f"{player.partition('_')[0]}_learning_rate", "learning_rate"):
        if hasattr(config, name):
            return float(getattr(config, name))
    return None
