"""The training state (`GANState`, `Player`) and the values that a step reports (`Mean`, `Out`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax
from flax import struct
from flax.training import train_state
from jax import Array


class Player(train_state.TrainState):
    """A network and its optimizer.

    Extends flax's `TrainState` (`apply_fn`, `params`, `tx`, `opt_state`, `step`).

    Attributes:
        variables: Non-trained collections by name (batch statistics, spectral-norm vectors).
        modules: Paths of the modules that hold the params, in the order in which the network first
            called them (static).
    """

    variables: Any = struct.field(default_factory=dict)
    modules: tuple[str, ...] = struct.field(pytree_node=False, default=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the network's output; updates of its collections are discarded."""
        return self.mutate(*args, **kwargs)[0]

    def mutate(self, *args: Any, **kwargs: Any) -> tuple[Any, Player]:
        """Returns the network's output and the player with its updated collections.

        Args:
            *args: Positional arguments of the module's `__call__`.
            **kwargs: Keyword arguments of the module's `__call__`.
        """
        output, updated = self.apply_fn(
            {"params": self.params, **self.variables}, *args, mutable=list(self.variables), **kwargs
        )
        return output, self.replace(variables={**self.variables, **updated})


class GANState(struct.PyTreeNode):
    """The complete state of a run: restoring it resumes the run.

    Attributes:
        step: Number of train steps done, int32 [].
        rng: Base PRNG key. It is folded with `step` and never advanced.
        players: Networks with their optimizers by role ('generator', 'discriminator', 'encoder',
            ...).
        ema: Averaged params and collections by player, e.g. {'generator': {'params': ...,
            'batch_stats': ...}}.
        extra: Small replicated values that some steps carry (augmentation strength, fade-in
            counter).
        buffers: Values that are sharded like the batch (replay pools).
    """

    step: Array
    rng: Array
    players: dict[str, Player]
    ema: dict[str, Any]
    extra: dict[str, Any]
    buffers: dict[str, Any]

    def __getitem__(self, name: str) -> Player:
        """Returns the player of this name."""
        return self.players[name]

    def with_params(self, params: Mapping[str, Any]) -> GANState:
        """Returns the state with the params of the named players replaced."""
        return self.replace(
            players={**self.players, **{n: self[n].replace(params=p) for n, p in params.items()}}
        )

    def with_variables(self, variables: Mapping[str, Any]) -> GANState:
        """Returns the state with the collections of the named players replaced."""
        return self.replace(
            players={
                **self.players,
                **{n: self[n].replace(variables=v) for n, v in variables.items()},
            }
        )

    def averaged(self) -> GANState:
        """Returns the state in which each player with an average uses it.

        Use it for sampling and evaluation.
        """
        params = {name: average["params"] for name, average in self.ema.items()}
        variables = {
            name: {k: v for k, v in average.items() if k != "params"}
            for name, average in self.ema.items()
        }
        return self.with_params(params).with_variables(variables)


class Mean(NamedTuple):
    """A mean as a sum and a count, so that means can be added.

    Means add over slices, steps, devices and hosts. The zero (total 0, count 0) stands for "no
    values".

    Attributes:
        total: Sum of the values, [].
        count: Number of the values, [].
    """

    total: Array
    count: Array

    @classmethod
    def of(cls, values: Array) -> Mean:
        """Returns the mean of all entries of `values`, computed in float32 or wider.

        Examples:
            >>> import jax.numpy as jnp
            >>> from jaxgan.state import Mean, add_metrics
            >>> first, second = Mean.of(jnp.array([1.0, 2.0, 3.0])), Mean.of(jnp.array([6.0]))
            >>> print(first.value)
            2.0
            >>> print(add_metrics({"loss": first}, {"loss": second})["loss"].value)
            3.0
        """
        values = jnp.asarray(values)
        wide = values.astype(jnp.promote_types(values.dtype, jnp.float32))
        return cls(total=jnp.sum(wide), count=jnp.asarray(values.size, wide.dtype))

    @property
    def value(self) -> Array:
        """The mean, or NaN if there are no values."""
        return self.total / self.count


class Out(NamedTuple):
    """The values that an objective returns next to its loss.

    Attributes:
        metrics: Means to report, by name.
        players: Players whose collections changed in the forward pass (`Player.mutate`). Only their
            collections are used.
        extra: Entries of `GANState.extra` to replace.
        buffers: Entries of `GANState.buffers` to replace.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.state import Mean, Out
        >>> out = Out(metrics={"accuracy": Mean.of(jnp.array([True, True, False, True]))})
        >>> print(out.metrics["accuracy"].value)
        0.75
        >>> out.players, out.extra, out.buffers
        ({}, {}, {})
    """

    metrics: dict[str, Mean] = {}  # noqa: RUF012 - never mutated
    players: dict[str, Player] = {}  # noqa: RUF012
    extra: dict[str, Any] = {}  # noqa: RUF012
    buffers: dict[str, Any] = {}  # noqa: RUF012


def add_metrics(left: dict[str, Mean], right: dict[str, Mean]) -> dict[str, Mean]:
    """Returns the sum of two reports of the same metrics (totals and counts add).

    Args:
        left: Means by name.
        right: Means with the same names.
    """
    return jax.tree.map(jnp.add, left, right)


def init_player(
    key: Array,
    module: linen.Module,
    optimizer: optax.GradientTransformation,
    *inputs: Any,
    **options: Any,
) -> Player:
    """Returns a player: a module initialized by example inputs, with its optimizer.

    Call it inside `jax.jit`. Executed op by op, the initialization of a small network takes
    seconds.

    Args:
        key: PRNG key of the initialization.
        module: The flax network.
        optimizer: The optax optimizer.
        *inputs: Example inputs of the module; batch size 1 is enough.
        **options: Keyword arguments of the module's `__call__`.

    Examples:
        >>> import flax.linen as linen
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import optimizers, state
        >>> inputs = jnp.ones((1, 2))
        >>> player = state.init_player(jax.random.key(0), linen.Dense(3), optimizers.adam(), inputs)
        >>> player.params["kernel"].shape, player(jnp.ones((5, 2))).shape
        ((2, 3), (5, 3))
    """
    return player_of(module.init(key, *inputs, **options), module, optimizer)


def player_of(
    collections: Mapping[str, Any], module: linen.Module, optimizer: optax.GradientTransformation
) -> Player:
    """Returns the player with the initial collections of its module.

    Args:
        collections: Params and other collections by name, as `module.init` returns them.
        module: The flax network.
        optimizer: The optax optimizer.
    """
    variables = dict(collections)
    params = variables.pop("params", {})
    player = Player.create(apply_fn=module.apply, params=params, tx=optimizer, variables=variables)
    # TrainState starts counting from a Python int. Its weak type differs from that of the array it
    # becomes, so the train step would compile twice.
    return player.replace(step=jnp.zeros((), jnp.int32), modules=tuple(_holding(params)))


def _holding(params: Mapping[str, Any], path: str = "") -> list[str]:
    """Returns the paths of the modules that hold arrays of their own.

    Flax enters params when a module first asks for them, so their order is that of the calls. Any
    transformation of JAX sorts them by name.
    """
    below = [(name, value) for name, value in params.items() if isinstance(value, Mapping)]
    own = [path] if len(below) < len(params) else []
    for name, value in below:
        own += _holding(value, f"{path}/{name}" if path else name)
    return own


def create(
    key: Array,
    players: Mapping[str, Player],
    *,
    ema: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    buffers: Mapping[str, Any] | None = None,
) -> GANState:
    """Returns the state before the first train step.

    The averages start as copies, because a donated state must not hold one array twice.

    Args:
        key: Base PRNG key of the run.
        players: Players by role.
        ema: Names of the players that `steps.track_ema` averages.
        extra: Initial value of `GANState.extra`; {} by default.
        buffers: Initial value of `GANState.buffers`; {} by default.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from jaxgan import state
        >>> player = state.Player.create(
        ...     apply_fn=lambda variables, x: variables["params"]["scale"] * x,
        ...     params={"scale": jnp.float32(2.0)},
        ...     tx=optax.sgd(0.1),
        ... )
        >>> start = state.create(jax.random.key(0), {"generator": player}, ema=["generator"])
        >>> int(start.step), list(start.players), start.ema["generator"]["params"].keys()
        (0, ['generator'], dict_keys(['scale']))
    """
    averages = {
        name: jax.tree.map(jnp.copy, {"params": players[name].params, **players[name].variables})
        for name in ema
    }
    return GANState(
        step=jnp.zeros((), jnp.int32),
        rng=key,
        players=dict(players),
        ema=averages,
        extra=jax.tree.map(_typed, dict(extra or {})),
        buffers=jax.tree.map(_typed, dict(buffers or {})),
    )


def _typed(leaf: Any) -> Array:
    """Returns the leaf as an array; a Python number's weak type would compile a step twice."""
    return jnp.asarray(leaf, jnp.result_type(leaf))


def with_networks(
    step: Callable[[GANState, Any], Any], change: Callable[[Any], Any]
) -> Callable[[GANState, Any], Any]:
    """Returns the train step during which every player's network is another function.

    Args:
        step: The train step.
        change: `change(apply_fn)` returns the function, called like flax's `Module.apply`.

    Example:
        >>> import jax
        >>> import optax
        >>> from jaxgan import state
        >>> def step(now, batch):
        ...     return now, now["a"].apply_fn({"params": {"x": 2.0}})
        >>> player = state.Player.create(
        ...     apply_fn=lambda values: values["params"]["x"], params={"x": 2.0}, tx=optax.sgd(0.1)
        ... )
        >>> start = state.create(jax.random.key(0), {"a": player})
        >>> squared = state.with_networks(step, lambda apply: lambda values: apply(values) ** 2)
        >>> squared(start, {})[1]
        4.0
    """

    def run(state: GANState, batch: Any) -> Any:
        own = {name: player.apply_fn for name, player in state.players.items()}
        changed = {name: change(network) for name, network in own.items()}
        moved, metrics = step(_calling(state, changed), batch)
        return _calling(moved, own), metrics

    return run


def _calling(state: GANState, networks: Mapping[str, Any]) -> GANState:
    players = state.players.items()
    return state.replace(players={n: p.replace(apply_fn=networks[n]) for n, p in players})
