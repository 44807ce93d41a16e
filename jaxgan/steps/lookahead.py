"""Updates that anticipate the other players' updates, which keeps a game from cycling.

`unrolled` and `consensus` transform objectives, `extragradient` transforms steps.
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
    """Returns the objective after `count` further optimizer steps of the other players.

    The derivative goes through all of these steps. The other players move simultaneously, by their
    own optimizers, each time on the batch and the draws of the objective, as in the authors' code.
    These moves are not kept: a separate step trains the others.

    With gradient accumulation, the others move on each slice alone, so the gradients are not those
    of the whole batch. Warning: the derivative of Adam is infinite if a gradient has always been
    exactly zero (a dead ReLU). Give the unrolled players an Adam with `eps_root` above zero.

    Args:
        objective: Objective of the player that looks ahead, usually the generator.
        others: Objectives of the unrolled players, by their name (or names).
        count: Number of steps to unroll, 0 or more.
        axis_name: Name of the batch's mesh axis under shard_map and pmap, or None.

    Raises:
        ValueError: If the count is negative, or, when traced, in a round with shared noise.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import Out, Player, create
        >>> def player(value):
        ...     params = {"x": jnp.float32(value)}
        ...     return Player.create(apply_fn=None, params=params, tx=optax.sgd(0.5))
        >>> def critic_loss(state, batch, keys):
        ...     return state["critic"].params["x"] * state["generator"].params["x"], Out()
        >>> def generator_loss(state, batch, keys):
        ...     return -state["critic"].params["x"] * state["generator"].params["x"], Out()
        >>> ahead = steps.unrolled(generator_loss, {"critic": critic_loss}, count=2)
        >>> start = create(jax.random.key(0), {"critic": player(0.0), "generator": player(1.0)})
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> float(generator_loss(start, {}, keys)[0]), float(ahead(start, {}, keys)[0])
        (-0.0, 1.0)

    References:
        Metz et al. 2017, Unrolled Generative Adversarial Networks, eq. 7 to 9.
    """
    if count < 0:
        raise ValueError(f"the players are to be unrolled by {count} steps; expected 0 or more")
    move = simultaneous({n: update(n, o, axis_name=axis_name) for n, o in others.items()})
    names = [name for group in others for name in as_names(group)]

    def ahead(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        if shared_forward.is_shared(batch):
            raise ValueError("a round with shared noise cannot unroll; turn off one of the two")

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
    """Returns the objectives with weight * |v|^2 / 2 added to each (consensus optimization).

    v holds every player's gradient of its own loss by its own params. All players descend on the
    same |v|^2, which is zero at equilibria. |v|^2 / 2 is reported as 'energy'. The gradients are
    those of the whole batch. With gradient accumulation, they are those of each slice alone, and
    the result differs from that of the whole batch.

    Args:
        objectives: Objectives by the name (or names) of the players that they move.
        weight: Weight of the regularizer.
        axis_name: Name of the batch's mesh axis under shard_map and pmap, or None.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import Out, Player, create
        >>> def player(value):
        ...     params = {"x": jnp.float32(value)}
        ...     return Player.create(apply_fn=None, params=params, tx=optax.sgd(0.5))
        >>> def critic_loss(state, batch, keys):
        ...     return state["critic"].params["x"] * state["generator"].params["x"], Out()
        >>> def generator_loss(state, batch, keys):
        ...     return -state["critic"].params["x"] * state["generator"].params["x"], Out()
        >>> objectives = steps.consensus(
        ...     {"critic": critic_loss, "generator": generator_loss}, weight=10.0
        ... )
        >>> start = create(jax.random.key(0), {"critic": player(1.0), "generator": player(2.0)})
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> loss, out = objectives["critic"](start, {}, keys)  # 2 + 10 (1^2 + 2^2) / 2
        >>> float(loss), float(out.metrics["energy"].value)
        (27.0, 2.5)

    References:
        Mescheder et al. 2017, The Numerics of GANs, eq. 9.
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
    """Returns a step that updates the old state by the updates found one simultaneous move ahead.

    Both moves get the same batch, each with its own draws. Both pass through the optimizers, whose
    memory (Adam's moments) gathers both, as in ExtraAdam (Gidel et al. 2019, algorithm 4). The
    metrics are those of the second move. A round costs as much as two, and counts as two in the
    optimizers: learning rate schedules run twice as fast.

    Args:
        steps: Steps by the name (or names) of the players that they move. Each must be an `update`.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import Out, Player, create
        >>> def loss(name, sign):
        ...     def objective(state, batch, keys):
        ...         return sign * state["d"].params["x"] * state["g"].params["x"], Out()
        ...     return steps.update(name, objective)
        >>> def player(value):
        ...     params = {"x": jnp.float32(value)}
        ...     return Player.create(apply_fn=None, params=params, tx=optax.sgd(0.5))
        >>> play = steps.extragradient({"d": loss("d", 1.0), "g": loss("g", -1.0)})
        >>> start = create(jax.random.key(0), {"d": player(0.0), "g": player(1.0)})
        >>> state, _ = play(start, {}, random.row_keys(jax.random.key(0), 2))
        >>> float(state["d"].params["x"]), float(state["g"].params["x"])  # g moves by d = -0.5
        (-0.5, 0.75)

    References:
        Korpelevich 1976, The extragradient method for finding saddle points and other problems.
        Gidel et al. 2019, A Variational Inequality Perspective on GANs, algorithms 2 and 4.
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
