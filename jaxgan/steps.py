"""The steps every GAN is made of: an objective lifted to a step, and the ways steps compose.

A step maps `(state, batch, keys)` to `(state, metrics)`. `update` makes one from an objective;
`chain`, `alternate`, `rotate`, `simultaneous` and `every` make steps of steps; `make_train_step`
closes one over the step counter and the randomness. Nothing here knows which GAN it trains.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxgan import forward, parallel, random
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, add_metrics
from jaxgan.types import Array, Batch, Metrics, Objective, PyTree, Step, TrainStep

Names = str | Sequence[str]


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

    It changes their params, optimiser states and collections, and the entries of `extra` and
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
    moved = _as_names(names)
    label = "+".join(moved) + "/" if prefix is None else prefix

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        _require_players(moved, state)
        if accumulate > 1 and forward.is_shared(batch):
            raise ValueError(
                "a round with shared noise cannot accumulate gradients; share or accumulate"
            )
        params = parallel.vary({name: state[name].params for name in moved}, axis_name)

        def gradients_of(state: GANState, batch: Batch, keys: Keys) -> tuple[PyTree, PyTree]:
            def loss_of(params: PyTree) -> tuple[Array, PyTree]:
                loss, out = objective(state.with_params(params), batch, keys)
                _require_known(out, moved, state)
                variables = {name: out.players[name].variables for name in out.players}
                metrics = {"loss": Mean.of(loss), **out.metrics}
                carried = (variables, dict(out.extra), dict(out.buffers), metrics)
                return parallel.vary(loss, axis_name), parallel.vary(carried, axis_name)

            (_, carried), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
            return gradients, carried

        gradients, carried = _accumulate(gradients_of, accumulate)(state, batch, keys)
        variables, extra, buffers, metrics = carried
        gradients = parallel.all_mean(gradients, axis_name)
        variables, extra = parallel.all_mean((variables, extra), axis_name)
        metrics = parallel.all_sum(metrics, axis_name)
        metrics["gradient_norm"] = Mean.of(optax.tree.norm(gradients))
        players = {n: state[n].apply_gradients(grads=gradients[n]) for n in moved}
        state = state.replace(
            players={**state.players, **players},
            extra={**state.extra, **extra},
            buffers={**state.buffers, **buffers},
        ).with_variables(variables)
        return state, {label + name: mean for name, mean in metrics.items()}

    return step


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


def chain(*steps: Step) -> Step:
    """The steps one after another on the same batch, step i with its own keys `fold(keys, i)`.

    Raises ValueError where two of them report a metric of the same name.
    """

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        metrics: Metrics = {}
        for index, inner in enumerate(steps):
            state, new = inner(state, batch, random.fold(keys, index))
            metrics = _merge(metrics, new)
        return state, metrics

    return step


def then(first: Step, *rest: Step) -> Step:
    """The steps one after another, all with the same keys: for what draws nothing of its own
    (averages, projections).
    """

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        state, metrics = first(state, batch, keys)
        for inner in rest:
            state, new = inner(state, batch, keys)
            metrics = _merge(metrics, new)
        return state, metrics

    return step


def alternate(
    discriminator: Step,
    generator: Step,
    *,
    n_critic: int = 1,
    shared_noise: forward.Forward | None = None,
) -> Step:
    """`n_critic` discriminator steps, each on its own rows, then one generator step (Goodfellow et
    al. 2014, Algorithm 1).

    The batch holds n_critic minibatches: discriminator step j sees rows j, j + n_critic, j + 2
    n_critic, ... of each shard, the generator the rows of the last one. The generator draws afresh,
    as in Algorithm 1. With `shared_noise`, the forward pass that makes the fakes, it meets the
    fakes of the last discriminator step instead, and the round computes that pass once.

    Raises ValueError where n_critic is not positive or does not divide the batch.
    """
    if n_critic < 1:
        raise ValueError(f"n_critic is {n_critic}; expected 1 or more discriminator steps a round")

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        pieces, piece_keys = split_rows((dict(batch), keys), n_critic)
        critic_keys = random.fold(piece_keys, "discriminator")
        last, last_keys, last_critic_keys = jax.tree.map(
            lambda leaf: leaf[-1], (pieces, piece_keys, critic_keys)
        )
        earlier = []
        if n_critic > 1:
            state, stacked = lax.scan(
                lambda state, piece: discriminator(state, *piece),
                state,
                jax.tree.map(lambda leaf: leaf[:-1], (pieces, critic_keys)),
            )
            earlier = [jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), stacked)]
        generator_keys = random.fold(last_keys, "generator")
        if shared_noise is not None:
            generator_keys = last_critic_keys
            last = forward.share(shared_noise, state, last, generator_keys)
        state, of_last = discriminator(state, last, last_critic_keys)
        state, of_generator = generator(state, last, generator_keys)
        return state, _merge(functools.reduce(add_metrics, [*earlier, of_last]), of_generator)

    return step


def simultaneous(steps: Mapping[Names, Step]) -> Step:
    """Every group of players moves from the same old state, on the same keys: one draw, one forward
    pass.

    `steps` maps the name (or names) of the players a step moves to the step; `extra` and `buffers`
    pass from one to the next. This is the update of GAN 2014, ALI and BiGAN. Raises ValueError
    where a player is named twice.
    """
    groups = [(_as_names(names), step) for names, step in steps.items()]
    everyone = [name for names, _ in groups for name in names]
    if len(set(everyone)) < len(everyone):
        raise ValueError(f"simultaneous steps move {everyone}; each player must be named once")

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        _require_players(tuple(everyone), state)
        old, metrics = state, {}
        for names, inner in groups:
            reached, new = inner(old.replace(extra=state.extra, buffers=state.buffers), batch, keys)
            moved = {name: reached[name] for name in names}
            state = state.replace(
                players={**state.players, **moved}, extra=reached.extra, buffers=reached.buffers
            )
            metrics = _merge(metrics, new)
        return state, metrics

    return step


def rotate(schedule: Sequence[Step]) -> Step:
    """At train step t, the step `schedule[t % len(schedule)]`; the metrics of the others are zero
    (nothing seen).

    Raises ValueError on an empty schedule.
    """
    if not schedule:
        raise ValueError("there is nothing to rotate; give the steps of one period")
    distinct = list(dict.fromkeys(schedule))
    branch_at = jnp.array([distinct.index(step) for step in schedule], jnp.int32)

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        reports = [jax.eval_shape(inner, state, batch, keys)[1] for inner in distinct]
        silent: Metrics = {}
        for report in reports:
            silent = _merge(silent, _zeros(report))

        def full(inner: Step) -> Callable[..., tuple[GANState, Metrics]]:
            def run(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
                state, metrics = inner(state, batch, keys)
                return state, {**silent, **metrics}

            return run

        turn = branch_at[state.step % len(schedule)]
        return lax.switch(turn, [full(inner) for inner in distinct], state, dict(batch), keys)

    return step


def every(period: int, inner: Step) -> Step:
    """The inner step at train steps 0, period, 2 period, ...; elsewhere the identity, with zero
    metrics.

    Raises ValueError where the period is not positive.
    """
    if period < 1:
        raise ValueError(f"the period is {period}; expected 1 or more train steps")

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        silent = _zeros(jax.eval_shape(inner, state, batch, keys)[1])
        return lax.cond(
            state.step % period == 0,
            inner,
            lambda state, batch, keys: (state, silent),
            state,
            dict(batch),
            keys,
        )

    return step


def track_ema(
    names: Names, *, half_life: float, ramp_up: float | None = 0.05, axis_name: str | None = None
) -> Step:
    """A step that moves the averages of the named players' params AND collections towards the
    players.

    `half_life` counts images: rows of the train step's whole batch. With `ramp_up`, the half-life
    is at most that share of the images seen so far, so that early averages forget the initial
    weights (Karras et al. 2020, StyleGAN2 code). Raises ValueError where half_life is not positive
    or the state keeps no average of a player.
    """
    if half_life <= 0:
        raise ValueError(f"the half-life is {half_life} images; expected a positive number")
    averaged = _as_names(names)

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        missing = [name for name in averaged if name not in state.ema]
        if missing:
            raise ValueError(
                f"there is no average of {missing[0]!r}; name it where the state is created"
            )
        images = len(keys) * parallel.axis_size(axis_name)
        seen = (state.step + 1).astype(jnp.float32) * images
        effective = jnp.float32(half_life)
        if ramp_up is not None:
            effective = jnp.minimum(effective, ramp_up * seen)
        keep = 0.5 ** (images / jnp.maximum(effective, 1e-8))

        def towards(average: Array, value: Array) -> Array:
            if not jnp.issubdtype(average.dtype, jnp.inexact):
                return value
            return value + (average - value) * keep.astype(average.dtype)

        ema = dict(state.ema)
        for name in averaged:
            current = {"params": state[name].params, **state[name].variables}
            ema[name] = jax.tree.map(towards, ema[name], current)
        return state.replace(ema=ema), {}

    return step


def project(names: Names, projection: Callable[[PyTree], PyTree]) -> Step:
    """A step that replaces the named players' params by their projection (weight clipping after
    each update, say).
    """
    projected = _as_names(names)

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        _require_players(projected, state)
        return state.with_params({n: projection(state[n].params) for n in projected}), {}

    return step


def make_train_step(body: Step, *, axis_name: str | None = None) -> TrainStep:
    """The body closed over the counter and the randomness: each example's key is a function of
    (seed, step, row).
    """

    def train_step(state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        count = jax.tree.leaves(batch)[0].shape[0]
        rows = parallel.global_rows(count, axis_name)
        keys = random.example_keys(state.rng, state.step, rows)
        state, metrics = body(state, batch, keys)
        return state.replace(step=state.step + 1), metrics

    return train_step


def repeat(step: TrainStep) -> TrainStep:
    """The train step over batches stacked on a new first axis [K, B, ...], metrics stacked alike,
    in one compiled loop.
    """

    def run(state: GANState, batches: Batch) -> tuple[GANState, Metrics]:
        return lax.scan(step, state, dict(batches))

    return run


def split_rows(tree: PyTree, slices: int) -> PyTree:
    """Leaves [B, ...] as [slices, B / slices, ...]: slice i holds rows i, i + slices, ... (by
    stride, which keeps shards local).

    Raises ValueError where the slices do not divide the rows.
    """

    def split(leaf: Array) -> Array:
        if leaf.shape[0] % slices:
            raise ValueError(
                f"a batch of {leaf.shape[0]} rows cannot be split into {slices} slices; "
                f"use a batch size that {slices} divides on every device"
            )
        return leaf.reshape(leaf.shape[0] // slices, slices, *leaf.shape[1:]).swapaxes(0, 1)

    return jax.tree.map(split, tree)


def _as_names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _zeros(report: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), report)


def _merge(left: Metrics, right: Metrics) -> Metrics:
    shared = sorted(set(left) & set(right))
    if shared:
        raise ValueError(f"two steps report {shared[0]!r}; give one of them another prefix")
    return {**left, **right}


def _require_players(names: tuple[str, ...], state: GANState) -> None:
    missing = [name for name in names if name not in state.players]
    if missing:
        known = ", ".join(sorted(state.players))
        raise ValueError(f"there is no player {missing[0]!r}; the state has {known}")


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
