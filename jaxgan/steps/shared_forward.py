"""A forward pass that is shared by two objectives of one round.

With the same keys, the objectives of the discriminator and the generator use the same fakes.
Compilers do not reliably merge the two forward passes: the differentiated one is simplified
differently before duplicates are removed. So a round that needs one pass asks for it: `share` runs
the pass once and keeps its pullback (the vector-Jacobian product). `Forward` replays the result if
an objective asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from flax import struct

from jaxgan import collectives
from jaxgan.random import Keys
from jaxgan.state import GANState, Player
from jaxgan.types import Batch, PyTree

_ENTRY = "shared forward pass"

Run = Callable[[GANState, Batch, Keys], tuple[PyTree, dict[str, Player]]]


class Shared(struct.PyTreeNode):
    """The result of a forward pass.

    Attributes:
        output: Output of the pass.
        pullback: Function from a cotangent of the output to one of the players' params.
        variables: New collections of the players, by name.
    """

    output: PyTree
    pullback: Callable[[PyTree], tuple[PyTree]]
    variables: dict[str, PyTree]

    def replay(self, params: PyTree) -> PyTree:
        """Returns the output as a function of the params at which it was computed.

        It can be differentiated in reverse mode, once.
        """

        @jax.custom_vjp
        def read(params: PyTree) -> PyTree:
            return self.output

        read.defvjp(lambda params: (self.output, None), lambda _, g: self.pullback(g))
        return read(params)


class Forward(NamedTuple):
    """A forward pass of the named players.

    Attributes:
        names: Names of the players.
        run: `run(state, batch, keys) -> (output, players with updated collections)`.
    """

    names: tuple[str, ...]
    run: Run

    def __call__(self, state: GANState, batch: Batch, keys: Keys) -> tuple[Any, dict[str, Player]]:
        """Returns the round's shared pass if there is one, or runs a pass of its own."""
        entry: Any = batch.get(_ENTRY)
        if entry is None:
            return self.run(state, batch, keys)
        shared: Shared = entry
        output = shared.replay({name: state[name].params for name in self.names})
        players = {
            name: state[name].replace(variables=variables)
            for name, variables in shared.variables.items()
        }
        return output, players


def share(forward: Forward, state: GANState, batch: Batch, keys: Keys) -> dict[str, Any]:
    """Returns the batch with the result of the forward pass in it, for the steps of one round.

    Args:
        forward: The forward pass to share.
        state: The state whose players run it.
        batch: Examples by role.
        keys: Keys [B] of the pass.
    """

    def run(params: Mapping[str, PyTree]) -> tuple[PyTree, PyTree]:
        output, players = forward.run(state.with_params(params), batch, keys)
        return output, {name: player.variables for name, player in players.items()}

    params = {name: state[name].params for name in forward.names}
    for axis in collectives.varying_axes(keys.base):
        params = collectives.vary(params, axis)
    output, pullback, variables = jax.vjp(run, params, has_aux=True)
    return {**batch, _ENTRY: Shared(output, pullback, variables)}


def is_shared(batch: Batch) -> bool:
    """Returns whether the batch holds the result of a shared pass."""
    return _ENTRY in batch
