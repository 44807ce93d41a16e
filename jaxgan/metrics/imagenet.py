"""What EfficientNet-Lite0, an ImageNet network that an index ships, sees in pictures of any size.

It is not Inception: its numbers compare with no published ones.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxgan.metrics import streaming
from jaxgan.nn import efficientnet
from jaxgan.types import Array, PyTree

SIDE = 128
"""Of the pictures as the network sees them: at 64 pixels it knows half as many daisies, at the 224
that it learned from no more, in three times the time.
"""

_BATCH = 32


def see(variables: PyTree, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 1280] and class probabilities [N, 1000] (NumPy float32) of pixels uint8 [N, H,
    W, 3], scaled to `SIDE`.
    """
    # TF32, the default of recent GPUs, changes the third digit of the features.
    with jax.default_matmul_precision("highest"):
        features, probabilities = streaming.in_batches(
            lambda piece: _see(variables, piece), pixels, size=_BATCH
        )
    return features, probabilities


@jax.jit
def _see(variables: PyTree, pixels: Array) -> tuple[Array, Array]:
    images = pixels / 127.5 - 1.0
    # Bilinear, and smoothed where it shrinks.
    images = jax.image.resize(images, (len(images), SIDE, SIDE, 3), "bilinear")
    seen: efficientnet.Seen = efficientnet.EfficientNetLite0().apply(variables, images)  # type: ignore[assignment]
    return seen.pooled, jax.nn.softmax(seen.logits)
