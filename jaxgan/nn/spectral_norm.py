"""Spectral normalization (Miyato et al. 2018): layers whose kernel has largest singular value 1.

The singular value is estimated by power iteration, with one iteration per forward pass. The
iteration starts from a vector `u` in the non-trained collection 'spectral_norm'. The vector depends
on the kernel and on itself, never on the examples. It is therefore the same however the batch is
split (jit, shard_map, pmap), mapped (vmap) or padded.

- A training pass keeps the new vector. An objective that passes real and then generated images
  takes two iterations, as in the authors' code. The second pass has the better estimate.
- A pass whose updates are dropped takes the same iteration and keeps the old vector. Examples are a
  penalty, and the generator's objective, which only calls the discriminator.
- Inference also keeps the old vector. Its estimate is as good as that of the next training pass,
  and two calls give the same answer.
- With `accumulate=m`, each of the m slices takes an iteration. Their kernels differ slightly in
  scale, so the sum over slices is not exactly the result of the whole batch.
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
    """Computes one power iteration on a kernel.

    The kernel [kh, kw, C, F] of a convolution is used as the matrix [kh * kw * C, F] that
    multiplies image patches. The paper's matrix is its transpose. Gradients treat both singular
    vectors as constants, which gives the gradient of the exact singular value.

    Args:
        kernel: Kernel [..., F] of a dense layer or convolution.
        u: Current estimate [F] of the right singular vector.

    Returns:
        The estimate [] of the largest singular value, and the next right singular vector [F].

    References:
        Miyato et al. 2018, sections 2.2 and 2.3 (gradient), algorithm 1.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1]).astype(jnp.promote_types(kernel.dtype, u.dtype))
    left = lax.stop_gradient(_unit(matrix @ u))
    right = lax.stop_gradient(_unit(left @ matrix))
    return left @ matrix @ right, right


def _unit(x: Array) -> Array:
    return x / jnp.maximum(jnp.linalg.norm(x), _EPSILON)


class SpectralNorm(linen.Module):
    """Wraps a layer and divides its kernel by the kernel's largest singular value.

    Works for every layer with a parameter 'kernel': `nn.Conv`, `nn.ConvTranspose`, `linen.Dense`.
    Inside a network, the layer keeps its own name and parameters. A bias is not changed.

    Attributes:
        layer: The layer to normalize.

    Examples:
        >>> import flax.linen as linen, jax, jax.numpy as jnp
        >>> from jaxgan import nn
        >>> layer = nn.SpectralNorm(linen.Dense(2, use_bias=False))
        >>> x = jnp.eye(2)
        >>> variables = layer.init(jax.random.key(0), x)
        >>> variables["params"]["layer"]["kernel"] = jnp.diag(jnp.array([4.0, 1.0]))
        >>> for _ in range(20):  # each training pass improves the estimate of the singular value 4
        ...     y, updated = layer.apply(variables, x, train=True, mutable=["spectral_norm"])
        ...     variables = {**variables, **updated}
        >>> [[round(abs(value), 4) for value in row] for row in y.tolist()]
        [[1.0, 0.0], [0.0, 0.25]]

    References:
        Miyato et al. 2018, Spectral normalization for GANs.
    """

    layer: linen.Module

    @linen.compact
    def __call__(self, x: Array, *, train: bool = False) -> Array:
        """Returns the layer's outputs for `x`, computed with the normalized kernel.

        Args:
            x: Inputs of the layer.
            train: Whether to keep the new singular vector. The collection 'spectral_norm' must then
                be mutable.

        Raises:
            ValueError: The layer has no parameter called 'kernel'.
        """
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
        bounded = (kernel / jnp.maximum(largest, _EPSILON)).astype(kernel.dtype)
        return layer.clone(parent=None).apply({"params": {**params, "kernel": bounded}}, x)

    def _start(self, kernel: Array) -> Array:
        return _unit(jax.random.normal(self.make_rng("params"), kernel.shape[-1:], kernel.dtype))
