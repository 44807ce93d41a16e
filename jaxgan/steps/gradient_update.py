"""An objective lifted to a step, the only place where gradients are taken and reduced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import collectives
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, add_metrics
from jaxgan.steps import shared_forward
from jaxgan.steps.common import Names, as_names, require_players, split_rows
from jaxgan.types import Array, Batch, Metrics, Objective, PyTree, Step


def update(
    names: Names,
    objective: Objective,
    *,
    prefix: str | None = None,
    accumulate: int = 1,
    axis_name: str | None = None,
) -> Step:
    """A step in which the named players, and no others, take one gradient step on the objective's
    loss.

    It changes their params, optimizer states and collections, and the entries of `extra` and
    `buffers` that the objective returns; all else stays bit-identical. Gradients, collections,
    `extra` and metrics are reduced over `axis_name` here and nowhere else. Metrics are the
    objective's, the loss and the gradient norm, named with `prefix` (by default the players' names
    joined by '+', then '/').

    `accumulate=m` averages the gradients of m slices of the batch (slice i holds rows i, i+m, i+2m,
    ... of each shard) before the one update: equal to the whole batch where the loss is a mean over
    examples and no batch statistics enter. Raises ValueError where m does not divide the batch,
    where a player does not exist, or where the objective returns players that this step does not
    move.
    """
    moved = as_names(names)
    label = "+".join(moved) + "/" if prefix is None else prefix

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        require_players(moved, state)
        if accumulate > 1 and shared_forward.is_shared(batch):
            raise ValueError(
                "a round with shared noise cannot accumulate gradients; share or accumulate"
            )
        params = collectives.vary({name: state[name].params for name in moved}, axis_name)

        def gradients_of(state: GANState, batch: Batch, keys: Keys) -> tuple[PyTree, PyTree]:
            def loss_of(params: PyTree) -> tuple[Array, PyTree]:
                loss, out = objective(state.with_params(params), batch, keys)
                _require_known(out, moved, state)
                variables = {name: out.players[name].variables for name in out.players}
                metrics = {"loss": Mean.of(loss), **out.metrics}
                carried = (variables, dict(out.extra), dict(out.buffers), metrics)
                return collectives.vary(loss, axis_name), collectives.vary(carried, axis_name)

            (_, carried), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
            return gradients, carried

        gradients, carried = _accumulate(gradients_of, accumulate)(state, batch, keys)
        variables, extra, buffers, metrics = carried
        gradients = collectives.all_mean(gradients, axis_name)
        variables, extra = collectives.all_mean((variables, extra), axis_name)
        metrics = collectives.all_sum(metrics, axis_name)
        metrics["gradient_norm"] = Mean.of(_norm(gradients))
        players = {n: state[n].apply_gradients(grads=gradients[n]) for n in moved}
        state = state.replace(
            players={**state.players, **players},
            extra={**state.extra, **extra},
            buffers={**state.buffers, **buffers},
        ).with_variables(variables)
        return state, {label + name: mean for name, mean in metrics.items()}

    return step


# From this size on a gradient's squares are summed by its leading axis, in a loop.
_LARGE = 2**16


def _norm(gradients: PyTree) -> Array:
    """The norm of all gradients together."""

    def squares(leaf: Array) -> Array:
        if leaf.size < _LARGE:
            return _squares(leaf)
        return lax.platform_dependent(leaf, cpu=_squares_in_turn, default=_squares)

    return jnp.sqrt(sum(map(squares, jax.tree.leaves(gradients)), jnp.zeros(())))


def _squares(leaf: Array) -> Array:
    return jnp.sum(jnp.square(leaf))


def _squares_in_turn(leaf: Array) -> Array:
    """The sum of squares for a CPU. A loop reads the gradient from memory, so that XLA computes it
    once, and not again in whatever the optimizer does with it; and the squares of a large one never
    lie in memory together. An accelerator would start every turn of it anew.
    """
    return jnp.sum(lax.map(_squares, leaf))


def _accumulate(gradients_of: Callable[..., Any], slices: int) -> Callable[..., Any]:
    """`gradients_of` averaged over slices of the batch; what a slice carries (collections, extra,
    buffers) reaches the next.
    """
    if slices == 1:
        return gradients_of

    def accumulated(state: GANState, batch: Batch, keys: Keys) -> tuple[PyTree, PyTree]:
        sliced = split_rows((dict(batch), keys), slices)
        first = jax.tree.map(lambda leaf: leaf[0], sliced)
        rest = jax.tree.map(lambda leaf: leaf[1:], sliced)
        gradients, carried = gradients_of(state, *first)

        def body(carry: PyTree, piece: PyTree) -> tuple[PyTree, None]:
            total, (variables, extra, buffers, metrics) = carry
            reached = state.with_variables(variables).replace(
                extra={**state.extra, **extra}, buffers={**state.buffers, **buffers}
            )
            gradients, (variables, extra, buffers, new) = gradients_of(reached, *piece)
            total = jax.tree.map(jnp.add, total, gradients)
            return (total, (variables, extra, buffers, add_metrics(metrics, new))), None

        (total, carried), _ = lax.scan(body, (gradients, carried), rest)
        return jax.tree.map(lambda leaf: leaf / slices, total), carried

    return accumulated


def _require_known(out: Out, moved: tuple[str, ...], state: GANState) -> None:
    for name in out.players:
        if name not in moved:
            raise ValueError(
                f"an objective for {', '.join(moved)} returned the player {name!r}; "
                "return only players that this step moves"
            )
    for kind, entries, known in (
        ("extra", out.extra, state.extra),
        ("buffers", out.buffers, state.buffers),
    ):
        for name in entries:
            if name not in known:
                raise ValueError(
                    f"an objective returned {kind}[{name!r}]; the state has {sorted(known)}: "
                    "give it an initial value where the state is created"
                )
