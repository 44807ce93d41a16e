"""Players small enough to compute their moves by hand."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from jaxgan import random, state
from jaxgan.state import GANState, Mean, Player


def scale(weight: float, *, rate: float = 1.0, running: float | None = None) -> Player:
    """The player x -> weight * x, which descends at `rate` and takes what networks take, unused.

    With `running`, a collection: every pass multiplies that number by 10 and adds the sum of x, so
    that it tells which inputs came in which order.
    """

    def apply(variables, x, *, mutable, **unused):
        updated = {}
        if "stats" in mutable:
            updated["stats"] = {"running": 10 * variables["stats"]["running"] + jnp.sum(x)}
        return variables["params"]["weight"] * x, updated

    collections = {} if running is None else {"stats": {"running": jnp.asarray(running)}}
    player = Player.create(
        apply_fn=apply,
        params={"weight": jnp.asarray(weight)},
        tx=optax.sgd(rate),
        variables=collections,
    )
    return player.replace(step=jnp.zeros((), jnp.int32))


def state_of(players: Mapping[str, Player], **options) -> GANState:
    """The state of the players before the first step, with base key 0."""
    return state.create(jax.random.key(0), players, **options)


def weight(reached: GANState, name: str) -> float:
    """What the named player multiplies by."""
    return float(reached[name].params["weight"])


def keys_of(rows: int) -> random.Keys:
    """Keys of the rows 0 ... rows - 1."""
    return random.row_keys(jax.random.key(1), rows)


def record(name: str):
    """A step that moves nothing and reports the rows and the draws it was given.

    Its reports are matrices [4, B]: line t is what was seen at turn t, as `extra['turn']` counts.
    """

    def step(reached, batch, keys):
        turn = reached.extra["turn"]
        slot = jax.nn.one_hot(turn, 4)[:, None]
        seen = {"rows": batch["row"], "draws": random.uniform(keys, ())}
        metrics = {
            f"{name}/{what}": Mean(slot * values[None, :], jnp.ones(()))
            for what, values in seen.items()
        }
        return reached.replace(extra={**reached.extra, "turn": turn + 1}), metrics

    return step
