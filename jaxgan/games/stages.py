"""Training in stages: a sequence of models, each initialized from the previous one.

Most runs have one stage. A new stage begins when the networks, the batch size or the resolution
change, as in progressive growing. The model of a stage is built and compiled once, at its first
step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxgan.state import GANState, Player
from jaxgan.types import GAN, PyTree


def carry_over(old: GANState, new: GANState, *, optimizers: bool = True) -> GANState:
    """Initializes a stage's state from the previous stage's last state.

    Leaves with the same path, shape and dtype are copied, together with the step and the random
    key. All other leaves keep their new values.

    Warning: Adam has one step counter for all params of a player. If its state is kept, the moments
    of new layers start at zero without bias correction. The first updates of these layers are then
    (1 - b1) / sqrt(1 - b2) times the learning rate, larger than those of a fresh Adam (10 times
    with b1 = 0 and b2 = 0.99).

    Args:
        old: Last state of the previous stage.
        new: Initial state of the new stage.
        optimizers: Whether optimizer states are copied. If False, they keep their initial values.
    """

    def player(name: str) -> Player:
        if name not in old.players:
            return new[name]
        taken = _shared(old[name], new[name])
        return taken if optimizers else taken.replace(opt_state=new[name].opt_state)

    return new.replace(
        step=old.step,
        rng=old.rng,
        players={name: player(name) for name in new.players},
        ema=_shared(old.ema, new.ema),
        extra=_shared(old.extra, new.extra),
        buffers=_shared(old.buffers, new.buffers),
    )


def as_it_is(state: GANState, arrays: Mapping[str, Any], step: int) -> GANState:
    """Returns the state unchanged; the default of `Stage.enter`.

    Args:
        state: The state.
        arrays: Unused: arrays of the other run's checkpoint by path.
        step: Unused: step of that checkpoint.
    """
    return state


class Stage(NamedTuple):
    """A stage of a run.

    Attributes:
        start: Train step at which the stage begins; 0 for the first stage.
        rows: Batch size: examples per train step.
        build: `build(axis_name=...) -> GAN`.
        grow: `grow(old, new) -> state`: initializes the stage from the last state of the previous
            stage and the initial state of this one.
        enter: `enter(state, arrays, step) -> state`: used if a run begins in this stage with the
            weights of another run. `arrays` are the arrays by path in the other run's checkpoint of
            this stage, and `step` is the step of that checkpoint.
        with_numbers: `with_numbers(values)` returns `build` with other numbers in its settings, by
            name (`ensemble.of_settings`); None if it has no settings.
    """

    start: int
    rows: int
    build: Callable[..., GAN]
    grow: Callable[[GANState, GANState], GANState] = carry_over
    enter: Callable[[GANState, Mapping[str, Any], int], GANState] = as_it_is
    with_numbers: Callable[[Mapping[str, Any]], Callable[..., GAN]] | None = None


def check(plan: Sequence[Stage], *, per_call: int) -> tuple[Stage, ...]:
    """Returns the stages of a run, after checking the steps at which they begin.

    Args:
        plan: The stages.
        per_call: Train steps per compiled call. Stages begin at multiples of it.

    Raises:
        ValueError: If the first stage does not begin at step 0, if the others are not in increasing
            order, or if a stage begins within a call.
    """
    starts = [stage.start for stage in plan]
    if not starts or starts[0] != 0 or sorted(set(starts)) != starts:
        raise ValueError(f"the stages begin at steps {starts}; expected 0 and then later ones")
    for start in starts:
        if start % per_call:
            raise ValueError(
                f"a stage begins at step {start}, which is no multiple of the {per_call} steps of "
                "a compiled call"
            )
    return tuple(plan)


def beginning_in(plan: Sequence[Stage], number: int) -> tuple[Stage, ...]:
    """Returns the stages of a run that begins, at step 0, in a later stage.

    Args:
        plan: The stages.
        number: Number of the stage in which the run begins, from 1.

    Raises:
        ValueError: If there is no such stage.
    """
    if number not in range(1, len(plan) + 1):
        raise ValueError(
            f"--first-stage is {number}; expected 1 to {len(plan)}, the stages that the run has"
        )
    rest = plan[number - 1 :]
    return tuple(stage._replace(start=stage.start - rest[0].start) for stage in rest)


def made_at(plan: Sequence[Stage], step: int) -> int:
    """Returns the index of the stage that produced the checkpoint at `step`.

    A stage's last step still belongs to it.

    Args:
        plan: The stages.
        step: The step of the checkpoint.
    """
    return max(index for index, stage in enumerate(plan) if stage.start < max(step, 1))


def span(plan: Sequence[Stage], index: int, *, begin: int, end: int, per_call: int) -> range:
    """Returns the steps at which a stage's compiled calls begin.

    Args:
        plan: The stages.
        index: Index of the stage.
        begin: First step of the run.
        end: Step at which the run ends.
        per_call: Train steps per compiled call.
    """
    later = [stage.start for stage in plan[index + 1 :]][:1]
    return range(max(begin, plan[index].start), min([end, *later]), per_call)


def steps_showing(plan: Sequence[Stage], examples: int, *, per_call: int) -> int:
    """Returns the number of train steps that show a number of examples, in whole calls.

    Args:
        plan: The stages of the run.
        examples: Number of examples, 1 or more. The last call may show some more.
        per_call: Train steps per compiled call.
    """
    for stage, following in itertools.pairwise(plan):
        shown = (following.start - stage.start) * stage.rows
        if examples <= shown:
            break
        examples -= shown
    else:
        stage = plan[-1]
    return stage.start + -(-examples // (stage.rows * per_call)) * per_call


def _shared(old: PyTree, new: PyTree) -> PyTree:
    """Returns `new` with the leaves of `old` that have the same path, shape and dtype."""
    known = dict(jax.tree_util.tree_leaves_with_path(old))

    def choose(path: tuple, leaf: jax.Array) -> jax.Array:
        found = known.get(path, leaf)
        return found if (found.shape, found.dtype) == (leaf.shape, leaf.dtype) else leaf

    return jax.tree_util.tree_map_with_path(choose, new)
