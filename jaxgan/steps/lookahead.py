"""Moves that take into account how the other players will move: what keeps a game from circling.

`unrolled` and `consensus` make objectives of objectives, `extragradient` a step of steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxgan import collectives, random
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps import shared_forward
from jaxgan.steps.combinators import simultaneous
from jaxgan.steps.common import Names, as_names
from jaxgan.steps.gradient_update import update
from jaxgan.types import Array, Batch, Metrics, Objective, Step


def unrolled(
    objective: Objective,
    others: Mapping[Names, Objective],
    *,
    count: int,
    axis_name: str | None = None,
) -> Objective:
    """The objective after `count` further optimizer steps of the other players, differentiated
    through all of them (Metz et al. 2017, eq. 7 to 9).

    `others` maps the name (or names) of the players that move on to their objective; they move at
    once, by their own optimizers, each time on the batch and the draw that the objective meets, as
    in the authors' code. Nothing of these moves is kept: the step that trains the others is another
    one. Where gradients are accumulated, the others move on by each slice alone: the gradients are
    not those of the whole batch. The derivative of Adam is infinite where a gradient has always
    been exactly zero (a dead ReLU): give the players that move on an Adam with `eps_root` above
    zero.

    Raises ValueError where the count is negative, and, in a round with shared noise, when traced.
    """
    if count < 0:
        raise ValueError(f"the players are to be unrolled by {count} steps; expected 0 or more")
    move = simultaneous({n: update(n, o, axis_name=axis_name) for n, o in others.items()})
    names = [name for group in others for name in as_names(group)]

    def ahead(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        if shared_forward.is_shared(batch):
            raise ValueError("a round with shared noise cannot unroll; share the noise or unroll")

        def further(players: dict[str, Player], _: None) -> tuple[dict[str, Player], None]:
            now = state.replace(players={**state.players, **players})
            reached = move(now, batch, keys)[0]
            return {name: reached[name] for name in names}, None

        players, _ = lax.scan(further, {name: state[name] for name in names}, length=count)
        return objective(state.replace(players={**state.players, **players}), batch, keys)

    return ahead


def consensus(
    objectives: Mapping[Names, Objective], *, weight: float, axis_name: str | None = None
) -> dict[Names, Objective]:
    """The objectives, each with weight * |v|^2 / 2 added (Mescheder et al. 2017, eq. 9), where v
    holds every player's gradient of its own loss by its own params, over the whole batch (of each
    slice alone, where gradients are accumulated, which then are not those of the whole batch).

    All players descend on the same |v|^2, which is reported as 'energy' and is zero at equilibria.
    `objectives` maps the name (or names) of the players an objective moves to the objective.
    """

    def energy(state: GANState, batch: Batch, keys: Keys) -> Array:
        total = jnp.zeros(())
        for names, objective in objectives.items():
            params = {name: state[name].params for name in as_names(names)}

            def loss_of(params: dict, objective: Objective = objective) -> Array:
                return objective(state.with_params(params), batch, keys)[0]

            gradients = jax.grad(loss_of)(collectives.vary(params, axis_name))
            total += optax.tree.norm(collectives.all_mean(gradients, axis_name), squared=True) / 2
        return total

    def regularized(objective: Objective) -> Objective:
        def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
            loss, out = objective(state, batch, keys)
            cost = energy(state, batch, keys)
            return loss + weight * cost, out._replace(
                metrics={**out.metrics, "energy": Mean.of(cost)}
            )

        return run

    return {names: regularized(objective) for names, objective in objectives.items()}


def extragradient(steps: Mapping[Names, Step]) -> Step:
    """Every group of players moves from the old state by the updates found at the state one
    simultaneous move ahead (Korpelevich 1976; for GANs Gidel et al. 2019, algorithm 2).

    `steps` maps the name (or names) of the players a step moves to the step, which must be an
    `update`. Both moves see the same batch, each with draws of its own, and pass through the
    optimizers, whose memory (Adam's moments) gathers both, as in ExtraAdam (algorithm 4); metrics
    are those of the second. A round costs two, and counts as two in the optimizers: schedules of
    their step sizes run twice as fast.
    """
    move = simultaneous(steps)
    names = [name for group in steps for name in as_names(group)]

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        ahead, _ = move(state, batch, random.fold(keys, "ahead"))
        reached, metrics = move(ahead, batch, keys)

        def moved(old: Array, start: Array, end: Array) -> Array:
            return old + (end - start)

        params = {
            name: jax.tree.map(moved, state[name].params, ahead[name].params, reached[name].params)
            for name in names
        }
        return reached.with_params(params), metrics

    return step
