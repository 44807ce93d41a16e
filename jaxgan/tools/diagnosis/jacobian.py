"""Which learning rates are stable at a checkpoint, by the eigenvalues of the game's Jacobian.

No finding is based on it, as a checkpoint is not an equilibrium.

References:
    Mescheder et al. 2017, "The Numerics of GANs", section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxgan.games import stability
from jaxgan.games.stability import Jacobian
from jaxgan.runs.config import RunConfig
from jaxgan.tools.diagnosis.finding import Part

LEADING = 6
"""Number of eigenvalues that are listed, those with the largest real parts.

The players do not converge if one of the real parts is not negative.
"""


class Play(NamedTuple):
    """How the run updates its players.

    Attributes:
        step_sizes: Learning rate of each player; None if the configuration does not say.
        turns: The players in the order of their updates (`stability.round_of_steps`); None if all
            are updated at once.
    """

    step_sizes: Mapping[str, float] | None
    turns: Sequence[str] | None


def play(config: RunConfig, players: Sequence[str]) -> Play:
    """Returns how a run of this configuration updates the players.

    Args:
        config: The configuration.
        players: The names of the players.
    """
    given = {name: _step_size(config, name) for name in players}
    sizes = {name: size for name, size in given.items() if size is not None}
    known = sizes if len(sizes) == len(given) else None
    if getattr(config, "order", "") == "simultaneous":
        return Play(known, None)
    return Play(known, in_turn(players, judging=getattr(config, "n_critic", 1)))


def in_turn(players: Sequence[str], *, judging: int = 1) -> list[str]:
    """Returns the order of alternating updates: the generators last.

    Args:
        players: The names of the players.
        judging: Number of updates of each other player before the generators'.
    """
    generators = sorted(name for name in players if name.startswith("generator"))
    return judging * sorted(set(players) - set(generators)) + generators


def examined(local: Jacobian, run: Play) -> Part:
    """Returns the leading eigenvalues and the largest stable rates of plain gradient descent.

    A rate of 0 means that no learning rate is stable.

    Args:
        local: The Jacobian at the checkpoint.
        run: How the run updates its players.
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
    """Returns a sentence about the learning rates that are stable near the checkpoint.

    Args:
        at_once: The largest stable learning rate of simultaneous updates; 0 if there is none.
        in_turn: The largest stable learning rate of alternating updates; 0 if there is none.
    """
    if at_once == in_turn == 0:
        return (
            "Near this checkpoint no learning rate of plain gradient descent, however small, is "
            "stable: an eigenvalue's real part is not negative."
        )
    return (
        f"Near this checkpoint plain gradient descent is stable {_below(in_turn)} if players "
        f"alternate, {_below(at_once)} if they move at once."
    )


def of_run(local: Jacobian, run: Play) -> list[str]:
    """Returns a sentence on whether the run's own learning rates are stable, if they are known.

    Args:
        local: The Jacobian at the checkpoint.
        run: How the run updates its players.
    """
    if run.step_sizes is None:
        return []
    bears = stability.bears(stability.scaled(local, run.step_sizes), 1.0, run.turns)
    sizes = ", ".join(f"{name} {size:g}" for name, size in sorted(run.step_sizes.items()))
    how = "at once" if run.turns is None else "in turn"
    stable = "stable" if bears else "not stable"
    return [
        f"The run's own learning rates ({sizes}; {how}), in plain gradient descent, are {stable}."
    ]


def _below(step_size: float) -> str:
    return f"below a learning rate of {step_size:.3g}" if step_size > 0 else "at no learning rate"


def _step_size(config: RunConfig, player: str) -> float | None:
    """Returns the learning rate of the player's group ('generator' for 'generator_ab') or all."""
    for name in (f"{player.partition('_')[0]}_learning_rate", "learning_rate"):
        if hasattr(config, name):
            return float(getattr(config, name))
    return None
