"""`update` makes a step from an objective. Only here are gradients computed and reduced."""

from __future__ import annotations

import math
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
    """Returns a step that updates the named players by one gradient step on the objective's loss.

    It changes their params, optimizer states and collections, and the entries of `extra` and
    `buffers` that the objective returns. Everything else stays bit-identical. Gradients,
    collections, `extra` and metrics are reduced over `axis_name` here and nowhere else. The metrics
    are those of the objective, the loss and the gradient norm.

    Args:
        names: Name (or names) of the players to update.
        objective: Function `(state, batch, keys) -> (loss [], Out)`.
        prefix: Prefix of the metrics' names. By default the players' names joined by '+', then '/'.
        accumulate: Number of slices of the batch whose gradients are averaged before the one update
            (gradient accumulation). With m slices, slice i holds the examples i, i + m, i + 2m, ...
            of each shard. The result equals that of the whole batch if the loss is a mean over
            examples and no batch statistics are used.
        axis_name: Name of the batch's mesh axis under shard_map and pmap, or None.

    Raises:
        ValueError: When the step is traced, if `accumulate` does not divide the batch size or is
            combined with shared noise, if a player does not exist, or if the objective returns
            players that the step does not move, or entries of `extra` or `buffers` that the state
            does not have.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import Out, Player, create
        >>> def objective(state, batch, keys):
        ...     return jnp.mean((state["generator"].params["x"] - batch["image"]) ** 2), Out()
        >>> player = Player.create(apply_fn=None, params={"x": jnp.float32(0.0)}, tx=optax.sgd(0.5))
        >>> start = create(jax.random.key(0), {"generator": player})
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> step = steps.update("generator", objective)
        >>> state, metrics = step(start, {"image": jnp.array([1.0, 3.0])}, keys)
        >>> float(state["generator"].params["x"])
        2.0
        >>> {name: float(mean.value) for name, mean in sorted(metrics.items())}
        {'generator/gradient_norm': 4.0, 'generator/loss': 5.0}
    """
    moved = as_names(names)
    label = "+".join(moved) + "/" if prefix is None else prefix

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        require_players(moved, state)
        if accumulate > 1 and shared_forward.is_shared(batch):
            raise ValueError(
                "a round with shared noise cannot accumulate gradients; turn off one of the two"
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


# From this size on, the squares of a gradient are summed in a loop over pieces of it (CPU).
_LARGE = 2**16
_MOST_TURNS = 8


def _norm(gradients: PyTree) -> Array:
    """Returns the norm of all gradients together."""

    def squares(leaf: Array) -> Array:
        if leaf.size < _LARGE:
            return _squares(leaf)
        return lax.platform_dependent(leaf, cpu=_squares_in_turn, default=_squares)

    return jnp.sqrt(sum(map(squares, jax.tree.leaves(gradients)), jnp.zeros(())))


def _squares(leaf: Array) -> Array:
    return jnp.sum(jnp.square(leaf))


def _squares_in_turn(leaf: Array) -> Array:
    """Returns the sum of squares, computed by a loop of 2 to 8 turns (for a CPU).

    The loop reads the gradient from memory. So XLA computes the gradient once, and does not
    recompute it in the optimizer's fused loops; a product of the gradient with itself would become
    such a fused loop. The squares of a large gradient are never in memory all at once. On an
    accelerator, every iteration would be a launch of its own.
    """
    return jnp.sum(lax.map(_squares, _pieces(leaf)))


def _pieces(leaf: Array) -> Array:
    """Returns the leaf as at most 8 pieces of equal size, [pieces, ...].

    Only leading axes are split, as few as possible: the last ones may be sharded.
    """
    for split in range(1, leaf.ndim + 1):
        count = _divisor(math.prod(leaf.shape[:split]))
        if count > 1:
            return leaf.reshape(count, -1, *leaf.shape[split:])
    return leaf[None]  # no number up to 8 divides its size


def _divisor(size: int) -> int:
    """Returns the largest number up to 8 that divides the size."""
    return max(count for count in range(1, _MOST_TURNS + 1) if size % count == 0)


def _accumulate(gradients_of: Callable[..., Any], slices: int) -> Callable[..., Any]:
    """Returns `gradients_of`, averaged over slices of the batch.

    The values that a slice carries (collections, extra, buffers) are passed to the next slice.
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
