"""Features and class probabilities of EfficientNet-Lite0, trained on ImageNet.

Its weights come from a package index. It is not Inception: its numbers do not compare with
published ones.
"""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import Mesh

from jaxgan.metrics import streaming
from jaxgan.nn import efficientnet
from jaxgan.types import Array, PyTree

SIDE = 128
"""Height and width, in pixels, of the network's input.

At 64 pixels it recognizes half as many daisies. At 224, its training size, it recognizes no more
and takes three times as long.
"""

_BATCH = 32


def see(
    variables: PyTree, pixels: np.ndarray, *, mesh: Mesh | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Computes features [N, 1280] and class probabilities [N, 1000], NumPy float32.

    Args:
        variables: Variables of `EfficientNetLite0`.
        pixels: Pixels, uint8 [N, H, W, 3]; they are scaled to `SIDE`.
        mesh: Devices to share the work; None for one.
    """
    # TF32, the default of recent GPUs, would change the third digit of the features.
    with jax.default_matmul_precision("highest"):
        features, probabilities = streaming.in_batches(
            lambda piece: _see(variables, piece), pixels, size=_BATCH, mesh=mesh
        )
    return features, probabilities


@jax.jit
def _see(variables: PyTree, pixels: Array) -> tuple[Array, Array]:
    images = pixels / 127.5 - 1.0
    # Bilinear, with antialiasing when it shrinks.
    images = jax.image.resize(images, (len(images), SIDE, SIDE, 3), "bilinear")
    seen: efficientnet.Seen = efficientnet.EfficientNetLite0().apply(variables, images)  # type: ignore[assignment]
    return seen.pooled, jax.nn.softmax(seen.logits)
