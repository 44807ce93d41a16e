"""The Inception-v3 of the FID: the network of the TensorFlow graph of 2015-12-05.

It is not torchvision's Inception-v3, which differs in pooling, classes and weights. Two files hold
its weights under torch's names, with the same content: `pt_inception-2015-12-05-6726825d.pth` and
`weights-inception-2015-12-05-6726825d.pth`. Neither comes with the package.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxgan.metrics import streaming
from jaxgan.nn import pretrained_weights
from jaxgan.types import Array, PyTree

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""The sha256 of the file of weights that published numbers use."""

FILE = "pt_inception-2015-12-05-6726825d.pth"
PUBLISHED = (
    f"{FILE}, 91.2 MB, its sha256 beginning with 6726825d, from "
    f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
)
"""A description of that file for users."""

SIDE = 299
CLASSES = 1008
_BATCH = 50

Kernel = int | tuple[int, int]


class Unit(linen.Module):
    """Convolution, batch normalization with stored statistics, ReLU.

    Attributes:
        features: Number of output features.
        kernel: Kernel size: one number, or height and width.
        stride: Stride. With a stride other than 1 the padding is 'VALID'.
        padding: Padding at stride 1: 'SAME' or 'VALID'.
    """

    features: int
    kernel: Kernel
    stride: int = 1
    padding: str = "SAME"

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the activations [B, H', W', features] of x [B, H, W, C]."""
        sides = (self.kernel, self.kernel) if isinstance(self.kernel, int) else self.kernel
        x = linen.Conv(
            self.features,
            sides,
            strides=(self.stride, self.stride),
            padding=self.padding if self.stride == 1 else "VALID",
            use_bias=False,
            # TF32, the default of recent GPUs, would change the third digit of the features.
            precision=jax.lax.Precision.HIGHEST,
            name="conv",
        )(x)
        x = linen.BatchNorm(use_running_average=True, epsilon=1e-3, name="bn")(x)
        return jax.nn.relu(x)


class Grid35(linen.Module):
    """The block at 35x35 pixels.

    Attributes:
        pool: Number of features of the pooling branch.
    """

    pool: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the concatenated branches, [B, 35, 35, 224 + pool]."""
        return _joined(
            Unit(64, 1, name="branch1x1")(x),
            _chain(x, "branch5x5", (48, 1), (64, 5)),
            _chain(x, "branch3x3dbl", (64, 1), (96, 3), (96, 3)),
            Unit(self.pool, 1, name="branch_pool")(_mean_pool(x)),
        )


class To17(linen.Module):
    """The reduction from 35x35 to 17x17 pixels."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the concatenated branches, [B, 17, 17, 480 + C]."""
        return _joined(
            Unit(384, 3, 2, name="branch3x3")(x),
            _chain(x, "branch3x3dbl", (64, 1), (96, 3), (96, 3, 2)),
            linen.max_pool(x, (3, 3), (2, 2)),
        )


class Grid17(linen.Module):
    """The block at 17x17 pixels.

    Attributes:
        inner: Number of features inside the factorized 7x7 convolutions.
    """

    inner: int

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the concatenated branches, [B, 17, 17, 768]."""
        inner, wide, tall = self.inner, (1, 7), (7, 1)
        return _joined(
            Unit(192, 1, name="branch1x1")(x),
            _chain(x, "branch7x7", (inner, 1), (inner, wide), (192, tall)),
            _chain(
                x,
                "branch7x7dbl",
                *((inner, 1), (inner, tall), (inner, wide), (inner, tall), (192, wide)),
            ),
            Unit(192, 1, name="branch_pool")(_mean_pool(x)),
        )


class To8(linen.Module):
    """The reduction from 17x17 to 8x8 pixels."""

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the concatenated branches, [B, 8, 8, 512 + C]."""
        return _joined(
            _chain(x, "branch3x3", (192, 1), (320, 3, 2)),
            _chain(x, "branch7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
            linen.max_pool(x, (3, 3), (2, 2)),
        )


class Grid8(linen.Module):
    """The block at 8x8 pixels.

    Attributes:
        last: Whether it is the last block of the graph, whose pooling branch takes maxima instead
            of means.
    """

    last: bool

    @linen.compact
    def __call__(self, x: Array) -> Array:
        """Returns the concatenated branches, [B, 8, 8, 2048]."""
        pool = linen.max_pool(x, (3, 3), (1, 1), "SAME") if self.last else _mean_pool(x)
        single = Unit(384, 1, name="branch3x3_1")(x)
        double = _chain(x, "branch3x3dbl", (448, 1), (384, 3))
        return _joined(
            Unit(320, 1, name="branch1x1")(x),
            Unit(384, (1, 3), name="branch3x3_2a")(single),
            Unit(384, (3, 1), name="branch3x3_2b")(single),
            Unit(384, (1, 3), name="branch3x3dbl_3a")(double),
            Unit(384, (3, 1), name="branch3x3dbl_3b")(double),
            Unit(192, 1, name="branch_pool")(pool),
        )


class Head(linen.Module):
    """The linear layer from features to the logits of 1008 classes."""

    @linen.compact
    def __call__(self, features: Array) -> tuple[Array, Array]:
        """Returns the logits [B, 1008] of features [B, F], without and with the bias."""
        initial, shape = linen.initializers.lecun_normal(), (features.shape[-1], CLASSES)
        kernel = self.param("kernel", initial, shape)
        bias = self.param("bias", linen.initializers.zeros, (CLASSES,))
        logits = jnp.matmul(features, kernel, precision=jax.lax.Precision.HIGHEST)
        return logits, logits + jnp.reshape(bias, (1, -1))


class Inception(linen.Module):
    """FID's Inception-v3, with the activations that metrics use."""

    @linen.compact
    def __call__(self, pixels: Array) -> dict[str, Array]:
        """Returns the activations that metrics use, by name.

        '64', '192', '768' and '2048' are spatial means of the feature maps with that number of
        channels. 'logits' are [B, 1008]. 'logits_unbiased' are the logits without the bias, as in
        the original Inception score.

        Args:
            pixels: Pixels, [B, 299, 299, 3] in [0, 255].
        """
        taps = {}
        x = (pixels - 128.0) / 128.0
        x = Unit(32, 3, 2, name="Conv2d_1a_3x3")(x)
        x = Unit(32, 3, padding="VALID", name="Conv2d_2a_3x3")(x)
        x = Unit(64, 3, name="Conv2d_2b_3x3")(x)
        x = linen.max_pool(x, (3, 3), (2, 2))
        taps["64"] = jnp.mean(x, axis=(1, 2))
        x = Unit(80, 1, name="Conv2d_3b_1x1")(x)
        x = Unit(192, 3, padding="VALID", name="Conv2d_4a_3x3")(x)
        x = linen.max_pool(x, (3, 3), (2, 2))
        taps["192"] = jnp.mean(x, axis=(1, 2))
        for letter, pool in zip("bcd", (32, 64, 64), strict=True):
            x = Grid35(pool, name=f"Mixed_5{letter}")(x)
        x = To17(name="Mixed_6a")(x)
        for letter, inner in zip("bcde", (128, 160, 160, 192), strict=True):
            x = Grid17(inner, name=f"Mixed_6{letter}")(x)
        taps["768"] = jnp.mean(x, axis=(1, 2))
        x = To8(name="Mixed_7a")(x)
        x = Grid8(last=False, name="Mixed_7b")(x)
        x = Grid8(last=True, name="Mixed_7c")(x)
        taps["2048"] = x = jnp.mean(x, axis=(1, 2))
        taps["logits_unbiased"], taps["logits"] = Head(name="fc")(x)
        return taps


def resized(pixels: Array, side: int = SIDE) -> Array:
    """Resizes images bilinearly as TensorFlow 1 does.

    Output pixel i lies at i * H / side of the input, without the shift of half a pixel, and without
    antialiasing when it shrinks.

    Args:
        pixels: Pixels, [B, H, W, C].
        side: Height and width of the result.

    Returns:
        Pixels, float32 [B, side, side, C].
    """
    images = jnp.asarray(pixels, jnp.float32)
    for axis in (2, 1):
        low, high, share = _neighbors(images.shape[axis], side)
        share = jnp.expand_dims(share, tuple(other for other in range(4) if other != axis))
        left, right = jnp.take(images, low, axis), jnp.take(images, high, axis)
        images = left + (right - left) * share
    return images


def load(path: str | pathlib.Path, *, sha256: str | None = None) -> PyTree:
    """Loads the variables of `Inception` from a file of weights under torch's names.

    Args:
        path: The file.
        sha256: First digits of its sha256, checked as in `pretrained_weights.load`.

    Raises:
        ValueError: If a tensor is missing or has another shape.
    """
    return variables(pretrained_weights.load(path, sha256=sha256), source=path)


def variables(given: Mapping[str, np.ndarray], *, source: object = "given") -> PyTree:
    """Converts tensors under torch's names to the variables of `Inception`.

    Args:
        given: The tensors by name.
        source: Where they come from, for error messages.

    Raises:
        ValueError: If a tensor is missing or has another shape.
    """
    image = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    template: Any = jax.eval_shape(Inception().init, jax.random.key(0), image)
    return pretrained_weights.placed(
        given, template, called=".".join, network="FID's Inception", source=source
    )


def see(
    variables: PyTree, pixels: np.ndarray, *, mesh: Mesh | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Computes features [N, 2048] and class probabilities [N, 1008], NumPy float32.

    Args:
        variables: Variables of `Inception`.
        pixels: Pixels, uint8 [N, H, W, 3].
        mesh: Devices to share the work; None for one.
    """
    features, probabilities = streaming.in_batches(
        lambda piece: _see(variables, piece), pixels, size=_BATCH, mesh=mesh
    )
    return features, probabilities


@jax.jit
def _see(variables: PyTree, pixels: Array) -> tuple[Array, Array]:
    taps: dict[str, Array] = Inception().apply(variables, resized(pixels))  # type: ignore[assignment]
    return taps["2048"], jax.nn.softmax(taps["logits_unbiased"])


def _chain(x: Array, name: str, *units: tuple) -> Array:
    """Applies units in turn, named NAME_1, NAME_2, ...; each is (features, kernel[, stride])."""
    for number, unit in enumerate(units, start=1):
        x = Unit(*unit, name=f"{name}_{number}")(x)
    return x


def _joined(*branches: Array) -> Array:
    return jnp.concatenate(branches, axis=-1)


def _mean_pool(x: Array) -> Array:
    """Averages over 3x3 windows; padding beyond an edge does not count."""
    return linen.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)


def _neighbors(size: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pixels before and after each output pixel, and its fraction of the way."""
    # In float32 as in TensorFlow: in float64 some positions would fall into another pixel.
    places = np.arange(side, dtype=np.float32) * np.float32(size / side)
    low = places.astype(np.int32)
    return low, np.minimum(low + 1, size - 1), places - low.astype(np.float32)
