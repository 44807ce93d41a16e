"""Steps composed of steps: in sequence, alternating, simultaneous, or at some train steps only."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import random
from jaxgan.random import Keys
from jaxgan.state import GANState, add_metrics
from jaxgan.steps import shared_forward
from jaxgan.steps.common import Names, as_names, merged, require_players, split_rows
from jaxgan.types import Array, Batch, Metrics, PyTree, Step


def chain(*steps: Step) -> Step:
    """Returns a step that runs the steps in sequence on the same batch, each with its own keys.

    Step i gets the keys `fold(keys, i)`.

    Args:
        *steps: Steps, in the order of execution.

    Raises:
        ValueError: If two steps report a metric of the same name.

    Examples:
        >>> import jax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import create
        >>> def add(state, batch, keys):
        ...     return state.replace(extra={"x": state.extra["x"] + 1}), {}
        >>> def double(state, batch, keys):
        ...     return state.replace(extra={"x": 2 * state.extra["x"]}), {}
        >>> start = create(jax.random.key(0), {}, extra={"x": 3})
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> state, _ = steps.chain(add, double)(start, {}, keys)
        >>> int(state.extra["x"])
        8
    """

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        metrics: Metrics = {}
        for index, inner in enumerate(steps):
            state, new = inner(state, batch, random.fold(keys, index))
            metrics = merged(metrics, new)
        return state, metrics

    return step


def then(first: Step, *rest: Step) -> Step:
    """Returns a step that runs the steps in sequence, all with the same keys.

    Use it for steps that draw nothing of their own (averages, projections).

    Args:
        first: The first step.
        *rest: The steps that follow, in the order of execution.

    Raises:
        ValueError: If two steps report a metric of the same name.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import penalties, random, steps
        >>> from jaxgan.state import Out, Player, create
        >>> def loss(state, batch, keys):
        ...     return -3.0 * state["critic"].params["x"], Out()
        >>> step = steps.then(
        ...     steps.update("critic", loss),
        ...     steps.project("critic", lambda params: penalties.clip_weights(params, 0.5)),
        ... )
        >>> critic = Player.create(apply_fn=None, params={"x": jnp.float32(0.0)}, tx=optax.sgd(1.0))
        >>> start = create(jax.random.key(0), {"critic": critic})
        >>> state, _ = step(start, {}, random.row_keys(jax.random.key(0), 2))
        >>> float(state["critic"].params["x"])
        0.5
    """

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        state, metrics = first(state, batch, keys)
        for inner in rest:
            state, new = inner(state, batch, keys)
            metrics = merged(metrics, new)
        return state, metrics

    return step


def alternate(
    discriminator: Step,
    generator: Step,
    *,
    n_critic: int = 1,
    shared_noise: shared_forward.Forward | None = None,
) -> Step:
    """Returns a round of `n_critic` discriminator steps and one generator step after them.

    The batch holds n_critic minibatches. Discriminator step j gets the examples j, j + n_critic,
    j + 2 n_critic, ... of each shard; the generator gets the minibatch of the last discriminator
    step. The generator draws new latents, as in Algorithm 1 of the paper.

    Args:
        discriminator: Step of the discriminator.
        generator: Step of the generator.
        n_critic: Number of discriminator steps per round, 1 or more.
        shared_noise: Forward pass that generates the fakes. With it, the generator uses the fakes
            of the last discriminator step instead of new ones, and the round computes that pass
            once.

    Raises:
        ValueError: If n_critic is not positive or does not divide the batch size.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import Mean, create
        >>> def reports(name):
        ...     def step(state, batch, keys):
        ...         return state, {name: Mean.of(batch["image"])}
        ...     return step
        >>> play = steps.alternate(reports("d"), reports("g"), n_critic=2)
        >>> start, keys = create(jax.random.key(0), {}), random.row_keys(jax.random.key(0), 4)
        >>> _, metrics = play(start, {"image": jnp.array([0.0, 1.0, 2.0, 3.0])}, keys)
        >>> print(metrics["d"].value, metrics["g"].value)  # g gets the examples 1 and 3
        1.5 2.0

    References:
        Goodfellow et al. 2014, Generative Adversarial Nets, Algorithm 1.
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
            last = shared_forward.share(shared_noise, state, last, generator_keys)
        state, of_last = discriminator(state, last, last_critic_keys)
        state, of_generator = generator(state, last, generator_keys)
        return state, merged(functools.reduce(add_metrics, [*earlier, of_last]), of_generator)

    return step


def simultaneous(
    steps: Mapping[Names, Step], *, shared_noise: shared_forward.Forward | None = None
) -> Step:
    """Returns a step in which all groups of players move from the same old state.

    All get the same keys, and therefore the same draws. `extra` and `buffers` are passed from one
    step to the next. This is the update in the code of Goodfellow et al. 2014
    (whose Algorithm 1 alternates), ALI, BiGAN and CycleGAN.

    Args:
        steps: Steps by the name (or names) of the players that they move. Changes of other players
            are discarded.
        shared_noise: Forward pass that generates the fakes. With it, the round computes that pass
            once; the result is the same.

    Raises:
        ValueError: If a player is named twice.

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
        >>> play = steps.simultaneous({"d": loss("d", 1.0), "g": loss("g", -1.0)})
        >>> start = create(jax.random.key(0), {"d": player(0.0), "g": player(1.0)})
        >>> state, _ = play(start, {}, random.row_keys(jax.random.key(0), 2))
        >>> float(state["d"].params["x"]), float(state["g"].params["x"])  # g has not seen the new d
        (-0.5, 1.0)
    """
    groups = [(as_names(names), step) for names, step in steps.items()]
    everyone = [name for names, _ in groups for name in names]
    if len(set(everyone)) < len(everyone):
        raise ValueError(f"simultaneous steps move {everyone}; each player must be named once")

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        require_players(tuple(everyone), state)
        old, metrics = state, {}
        if shared_noise is not None:
            batch = shared_forward.share(shared_noise, state, batch, keys)
        for names, inner in groups:
            reached, new = inner(old.replace(extra=state.extra, buffers=state.buffers), batch, keys)
            moved = {name: reached[name] for name in names}
            state = state.replace(
                players={**state.players, **moved}, extra=reached.extra, buffers=reached.buffers
            )
            metrics = merged(metrics, new)
        return state, metrics

    return step


def rotate(schedule: Sequence[Step]) -> Step:
    """Returns a step that runs `schedule[t % len(schedule)]` at train step t.

    The metrics of the other steps are zero (no values).

    Args:
        schedule: The steps of one period.

    Raises:
        ValueError: If the schedule is empty.

    Examples:
        >>> import jax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import create
        >>> def add(count):
        ...     def step(state, batch, keys):
        ...         return state.replace(extra={"x": state.extra["x"] + count}), {}
        ...     return step
        >>> step = steps.rotate([add(1), add(10)])
        >>> start = create(jax.random.key(0), {}, extra={"x": 0})
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> states = [step(start.replace(step=start.step + t), {}, keys)[0] for t in range(3)]
        >>> [int(state.extra["x"]) for state in states]
        [1, 10, 1]
    """
    if not schedule:
        raise ValueError("there is nothing to rotate; give the steps of one period")
    distinct = list(dict.fromkeys(schedule))
    branch_at = jnp.array([distinct.index(step) for step in schedule], jnp.int32)
    return _choice(distinct, lambda step: branch_at[step % len(schedule)])


def succession(first: Step, *, until: int, rest: Step) -> Step:
    """Returns a step that runs `first` before train step `until`, and `rest` from there on.

    The metrics of the step that does not run are zero (no values). It makes one run, with one
    state, of a pre-training and the training that it prepares.

    Args:
        first: The step of train steps 0 ... until - 1.
        until: Number of train steps of `first`, 0 or more.
        rest: The step of all later train steps.

    Raises:
        ValueError: If `until` is negative.

    Examples:
        >>> import jax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import create
        >>> def add(count):
        ...     def step(state, batch, keys):
        ...         return state.replace(extra={"x": state.extra["x"] + count}), {}
        ...     return step
        >>> step = steps.succession(add(1), until=2, rest=add(10))
        >>> start = create(jax.random.key(0), {}, extra={"x": 0})
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> states = [step(start.replace(step=start.step + t), {}, keys)[0] for t in range(3)]
        >>> [int(state.extra["x"]) for state in states]
        [1, 1, 10]
    """
    if until < 0:
        raise ValueError(f"the first step is to last until train step {until}; expected 0 or more")
    return _choice([first, rest], lambda step: (step >= until).astype(jnp.int32))


def _choice(steps: Sequence[Step], turn: Callable[[Array], Array]) -> Step:
    """Returns the step `steps[turn(train step)]`; the metrics of the others are zero."""

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        silent: Metrics = {}
        for inner in steps:
            silent = merged(silent, _zeros(jax.eval_shape(inner, state, batch, keys)[1]))

        def full(inner: Step) -> Callable[..., tuple[GANState, Metrics]]:
            def run(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
                state, metrics = inner(state, batch, keys)
                return state, {**silent, **metrics}

            return run

        branches = [full(inner) for inner in steps]
        return lax.switch(turn(state.step), branches, state, dict(batch), keys)

    return step


def every(period: int, inner: Step) -> Step:
    """Returns a step that runs `inner` every `period` train steps, at 0, period, 2 period, ...

    Use it for lazy regularization. At other train steps it is the identity, with zero metrics (no
    values).

    Args:
        period: Number of train steps from one run to the next, 1 or more.
        inner: The step to run.

    Raises:
        ValueError: If the period is not positive.

    Examples:
        >>> import jax
        >>> from jaxgan import random, steps
        >>> from jaxgan.state import create
        >>> def add(state, batch, keys):
        ...     return state.replace(extra={"x": state.extra["x"] + 1}), {}
        >>> step = steps.every(2, add)
        >>> start = create(jax.random.key(0), {}, extra={"x": 0})
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> states = [step(start.replace(step=start.step + t), {}, keys)[0] for t in range(3)]
        >>> [int(state.extra["x"]) for state in states]
        [1, 0, 1]
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


def _zeros(report: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), report)
