"""Spectral normalization (Miyato et al. 2018): a layer whose kernel has largest singular value 1.

The singular value is estimated by the power method, one iteration a forward pass, from a vector
that a non-trained collection carries from pass to pass. That vector is a function of the kernel and
of itself, never of the examples: it is the same however the batch is split (jit, shard_map, pmap),
mapped (vmap) or padded.

- A training pass keeps the vector it reached. An objective that passes real and generated images
  in turn takes two iterations, as the authors' code does, and the second pass has the better
  estimate.
- A pass whose updates are dropped (a player that is only called, as the generator's objective calls
  the discriminator, or a penalty) takes the same iteration and leaves the vector as it was.
- So does inference: its estimate is as good as that of the next training pass, and asking twice
  gives the same answer.
- `accumulate=m` iterates in each of the m slices, whose kernels hence differ slightly in scale:
  the sum of the slices is not exactly the whole batch.
"""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.types import Array

COLLECTION = "spectral_norm"

_EPSILON = 1e-12


def iterate(kernel: Array, u: Array) -> tuple[Array, Array]:
    """One iteration of the power method: the largest singular value [] of the kernel as a matrix
    [-1, F], and the right singular vector [F] reached from `u` [F].

    A convolution's kernel [kh, kw, C, F] is the matrix that its implementation multiplies patches
    with (Miyato et al. 2018, section 2.2 and algorithm 1; their matrix is the transposed one). The
    gradient takes both singular vectors as given, and is then that of the exact singular value
    (their section 2.3).
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    left = lax.stop_gradient(_unit(matrix @ u))
    right = lax.stop_gradient(_unit(left @ matrix))
    return left @ matrix @ right, right


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x), _EPSILON)


class SpectralNorm(linen.Module):
    """The layer (`nn.Conv`, `nn.ConvTranspose`, `linen.Dense`, ...) with its kernel divided by the
    kernel's largest singular value.

    In a network the layer keeps its own name and parameters; a bias stays as it is.
    Raises ValueError where the layer has no parameter called 'kernel'.
    """

    layer: linen.Module

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        layer: Any = self.layer
        if self.is_initializing():
            layer(x)
        params = layer.variables.get("params", {})
        if "kernel" not in params:
            raise ValueError(
                f"{type(layer).__name__} has no kernel to normalize; "
                "give SpectralNorm a convolution or a dense layer"
            )
        kernel = params["kernel"]
        carried = self.variable(COLLECTION, "u", self._start, kernel)
        largest, reached = iterate(kernel, carried.value)
        if train and not self.is_initializing():
            carried.value = reached
        bounded = {**params, "kernel": kernel / jnp.maximum(largest, _EPSILON)}
        return layer.clone(parent=None).apply({"params": bounded}, x)

    def _start(self, kernel: Array) -> Array:
        return _unit(jax.random.normal(self.make_rng("params"), kernel.shape[-1:], kernel.dtype))
