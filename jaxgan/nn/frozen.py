"""Networks inside a network that are never trained."""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan.steps.networks import as_type

COLLECTION = "frozen"
ENTRY = "variables"


class Frozen(linen.Module):
    """A network whose variables, parameters included, are a non-trained collection of this one.

    No optimizer sees them, and no gradient is taken by them. They are saved with the player that
    holds the network. The network stays in inference mode, as no call changes its collections.

    Attributes:
        network: The module, called with the inputs of this one.
        random: Whether its initial variables are drawn. False: they are zeros, to be replaced by
            pretrained ones.
    """

    network: linen.Module
    random: bool = True

    @linen.compact
    def __call__(self, *inputs: Any) -> Any:
        """Returns the output of the network."""
        network = self.network.clone(parent=None)
        kept = self.variable(COLLECTION, ENTRY, self._initial, network, inputs)
        # As those of a trained network, the params come in the type that is computed in.
        held = kept.value
        if "params" in held:
            kind = jnp.result_type(*jax.tree.leaves(inputs))
            held = {**held, "params": as_type(held["params"], kind)}
        return network.apply(held, *inputs)

    def _initial(self, network: linen.Module, inputs: tuple[Any, ...]) -> Any:
        if self.random:
            return network.init(self.make_rng("params"), *inputs)
        shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
