"""Products of matrices in float64, whose rows several devices can share.

The numbers of metrics that compare features come from such products: covariances, kernels and
distances. Every device computes whole sums, so that the devices exchange nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxgan import parallel
from jaxgan.types import Array


def by(right: np.ndarray, *, mesh: Mesh | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function of a matrix [N, F] that multiplies it by `right` transposed: [N, M].

    Args:
        right: The other factor, float64 [M, F]. It is copied to the devices once.
        mesh: The devices that share the rows of the product. With None or a single device NumPy
            multiplies; the results agree to rounding.

    Example:
        >>> import numpy as np
        >>> from jaxgan.metrics import products
        >>> products.by(np.array([[1.0, 2.0]]))(np.array([[3.0, 4.0], [0.0, 1.0]]))
        array([[11.],
               [ 2.]])
    """
    if mesh is None or mesh.size == 1:
        return lambda left: left @ right.T
    with jax.enable_x64(True):
        whole = parallel.replicate(right, mesh)

    def shared(left: np.ndarray) -> np.ndarray:
        filled = np.pad(left, ((0, -len(left) % mesh.size), (0, 0)))
        with jax.enable_x64(True):
            product = _product(parallel.shard(filled, mesh), whole)
        return np.array(product)[: len(left)]  # a copy, which may be written to

    return shared


@jax.jit
def _product(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right.T, precision="highest")
