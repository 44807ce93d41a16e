"""What is carried from step to step (`GANState`), and what is only reported (`Mean`, `Out`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax
from flax import struct
from flax.training import train_state

from jaxgan.types import Array, PyTree


class Player(train_state.TrainState):
    """A network and its optimizer.

    `variables` holds the non-trained collections by name (batch statistics, spectral-norm vectors).
    """

    variables: PyTree = struct.field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The network's output; its collections are read and their updates dropped."""
        return self.mutate(*args, **kwargs)[0]

    def mutate(self, *args: Any, **kwargs: Any) -> tuple[Any, Player]:
        """The network's output, and the player with its collections updated."""
        output, updated = self.apply_fn(
            {"params": self.params, **self.variables}, *args, mutable=list(self.variables), **kwargs
        )
        return output, self.replace(variables={**self.variables, **updated})


class GANState(struct.PyTreeNode):
    """The whole state of a run: restoring it restores the run.

    step:    int32 [], train steps done.
    rng:     base key; folded with `step`, never advanced.
    players: networks with their optimizers, by role ('generator', 'discriminator', 'encoder', ...).
    ema:     averaged params and collections by player, e.g. {'generator': {'params': ...,
             'batch_stats': ...}}.
    extra:   small replicated values some steps carry (an augmentation strength, a fade-in counter).
    buffers: values sharded like the batch (replay pools).
    """

    step: Array
    rng: Array
    players: dict[str, Player]
    ema: dict[str, PyTree]
    extra: dict[str, Any]
    buffers: dict[str, Any]

    def __getitem__(self, name: str) -> Player:
        return self.players[name]

    def with_params(self, params: Mapping[str, PyTree]) -> GANState:
        """The state in which the named players have these params."""
        return self.replace(
            players={**self.players, **{n: self[n].replace(params=p) for n, p in params.items()}}
        )

    def with_variables(self, variables: Mapping[str, PyTree]) -> GANState:
        """The state in which the named players have these collections."""
        return self.replace(
            players={
                **self.players,
                **{n: self[n].replace(variables=v) for n, v in variables.items()},
            }
        )

    def averaged(self) -> GANState:
        """The state in which every player that has an average plays with it; use it to sample and
        to evaluate.
        """
        params = {name: average["params"] for name, average in self.ema.items()}
        variables = {
            name: {k: v for k, v in average.items() if k != "params"}
            for name, average in self.ema.items()
        }
        return self.with_params(params).with_variables(variables)


class Mean(NamedTuple):
    """A mean as a monoid: means add over slices, steps, devices and hosts; the zero means 'nothing
    seen'.
    """

    total: Array
    count: Array

    @classmethod
    def of(cls, values: Array) -> Mean:
        """The mean of all entries of `values`, taken in float32 at least."""
        values = jnp.asarray(values)
        wide = values.astype(jnp.promote_types(values.dtype, jnp.float32))
        return cls(total=jnp.sum(wide), count=jnp.asarray(values.size, wide.dtype))

    @property
    def value(self) -> Array:
        """The mean; NaN where nothing was seen."""
        return self.total / self.count


class Out(NamedTuple):
    """What an objective returns beside its loss.

    metrics: means to report, by name. players: players whose collections changed in the pass
    (`Player.mutate`); only collections are taken from them. extra, buffers: entries of the state to
    replace.
    """

    metrics: dict[str, Mean] = {}  # noqa: RUF012 - never mutated
    players: dict[str, Player] = {}  # noqa: RUF012
    extra: dict[str, Any] = {}  # noqa: RUF012
    buffers: dict[str, Any] = {}  # noqa: RUF012


def add_metrics(left: dict[str, Mean], right: dict[str, Mean]) -> dict[str, Mean]:
    """The sum of two reports of the same metrics, as monoids."""
    return jax.tree.map(jnp.add, left, right)


def init_player(
    key: Array,
    module: linen.Module,
    optimizer: optax.GradientTransformation,
    *inputs: Any,
    **options: Any,
) -> Player:
    """A player from a module, initialized by example inputs (batch size 1 is enough).

    Call it inside `jax.jit`: op by op, the initialization of a small network takes seconds.
    """
    collections: Any = module.init(key, *inputs, **options)
    params = collections.pop("params", {})
    player = Player.create(
        apply_fn=module.apply, params=params, tx=optimizer, variables=collections
    )
    # TrainState counts from a Python int, whose type differs from the array it becomes: the step
    # would compile twice.
    return player.replace(step=jnp.zeros((), jnp.int32))


def create(
    key: Array,
    players: Mapping[str, Player],
    *,
    ema: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    buffers: Mapping[str, Any] | None = None,
) -> GANState:
    """The state before the first step; `ema` names the players that `steps.track_ema` averages.

    The averages start as copies: a donated state must not hold one array twice.
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
    """The leaf as an array; a Python number's type yields to others and compiles a step twice."""
    return jnp.asarray(leaf, jnp.result_type(leaf))
