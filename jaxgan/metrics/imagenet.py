"""Features and class probabilities of EfficientNet-Lite0 or Lite1, trained on ImageNet.

Their weights come from a package index. They are not Inception: their numbers do not compare with
published ones.
"""

from __future__ import annotations

import functools
from typing import Any

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
    variables: PyTree,
    pixels: np.ndarray,
    *,
    variant: efficientnet.Variant = efficientnet.LITE0,
    mesh: Mesh | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Computes features [N, 1280] and class probabilities [N, 1000], NumPy float32.

    Args:
        variables: Variables of the network.
        pixels: Pixels, uint8 [N, H, W, 3]; they are scaled to `SIDE`.
        variant: The network.
        mesh: Devices to share the work; None for one.
    """
    # TF32, the default of recent GPUs, would change the third digit of the features.
    with jax.default_matmul_precision("highest"):
        features, probabilities = streaming.in_batches(
            lambda piece: _see(variables, piece, variant.stages), pixels, size=_BATCH, mesh=mesh
        )
    return features, probabilities


@functools.partial(jax.jit, static_argnames="stages")
def _see(
    variables: PyTree, pixels: Array, stages: tuple[efficientnet.Stage, ...]
) -> tuple[Array, Array]:
    images = pixels / 127.5 - 1.0
    # Bilinear, with antialiasing when it shrinks.
    images = jax.image.resize(images, (len(images), SIDE, SIDE, 3), "bilinear")
    seen: Any = efficientnet.EfficientNetLite(stages).apply(variables, images)
    return seen.pooled, jax.nn.softmax(seen.logits)
