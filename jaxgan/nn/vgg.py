"""VGG19 features for perceptual losses, with weights from a file.

The network is that of Simonyan and Zisserman 2015, up to the layer that perceptual losses use.
"""

from __future__ import annotations

import pathlib

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import nn
from jaxgan.nn import pretrained_weights
from jaxgan.state import Player
from jaxgan.types import Array, PyTree

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of red, green and blue in [0, 1], as torchvision's weights expect them."""

SCALE = 1.0 / 12.75
"""Factor of the feature maps (Ledig et al. 2017, section 2.2.1).

It multiplies losses of squared differences by 0.006.
"""


class VGG19(linen.Module):
    """VGG19 up to the fourth convolution before the fifth pooling (VGG54 in SRGAN).

    Maps images [B, H, W, 1 or 3] in [-1, 1] to features [B, H / 16, W / 16, 512]. The features are
    taken after the ReLU and multiplied by `SCALE`.

    Attributes:
        widths: Channels of each block.
        depths: Number of convolutions in each block.

    References:
        Simonyan and Zisserman 2015, table 1 (E).
        Ledig et al. 2017, section 2.2.1.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    depths: tuple[int, ...] = (2, 2, 4, 4, 4)

    @linen.compact
    def __call__(self, images: Array) -> Array:
        """Returns the features [B, H / 16, W / 16, 512] of images [B, H, W, 1 or 3] in [-1, 1].

        Raises:
            ValueError: The images have another number of channels.
        """
        if images.shape[-1] not in (1, 3):
            raise ValueError(
                f"VGG19 got images of {images.shape[-1]} channels; expected 1 or 3: give "
                "--features wavelets or pixels"
            )
        x = jnp.broadcast_to(images, (*images.shape[:3], 3))
        mean, deviation = (jnp.reshape(jnp.array(v), (1, 1, 1, 3)) for v in (MEAN, DEVIATION))
        x = ((x + 1.0) / 2.0 - mean) / deviation
        for block, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            if block:
                x = linen.max_pool(x, (2, 2), strides=(2, 2))
            for _ in range(depth):
                x = jax.nn.relu(nn.Conv(width, (3, 3), padding=1)(x))
        return SCALE * x


def player(
    path: str | pathlib.Path, *, sha256: str | None = None, network: VGG19 | None = None
) -> Player:
    """Returns VGG19 with the weights of a file, as a player that never learns.

    The names of the tensors are torchvision's, features.0.weight to features.34.bias. Other
    tensors, such as those of the classifier, are ignored.

    Args:
        path: File of weights (`jaxgan.nn.pretrained_weights.load`).
        sha256: First hex digits of the file's sha256, eight or more. By default those in the file's
            name.
        network: The network. By default `VGG19()`.

    Raises:
        ValueError: The file cannot be read or has another sha256. A tensor is missing or has
            another shape.
    """
    network = network or VGG19()
    given = pretrained_weights.load(path, sha256=sha256)
    expected = _expected(network)
    params: PyTree = {}
    for layer, place in enumerate(_places(network)):
        kernel = _taken(given, f"features.{place}.weight", path).transpose(2, 3, 1, 0)
        bias = _taken(given, f"features.{place}.bias", path)
        params[f"Conv_{layer}"] = {"kernel": kernel, "bias": bias}
        for name, value in params[f"Conv_{layer}"].items():
            wanted = expected[f"Conv_{layer}"][name].shape
            if value.shape != wanted:
                raise ValueError(
                    f"the weights {path} are not VGG19's: the {name} of features.{place} has shape "
                    f"{value.shape}; expected {wanted}"
                )
    return _resting(network, jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), params))


def blank(network: VGG19 | None = None) -> Player:
    """Returns VGG19 as `player` does, with zeros to be replaced by the weights of a checkpoint.

    Args:
        network: The network. By default `VGG19()`.
    """
    network = network or VGG19()
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), _expected(network))
    return _resting(network, zeros)


def _expected(network: VGG19) -> PyTree:
    """Returns the shapes of the network's params."""
    side = 2 ** len(network.widths)
    shapes: PyTree = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
    return shapes["params"]


def _resting(network: VGG19, params: PyTree) -> Player:
    def apply(variables: PyTree, images: Array, *, mutable: object = False) -> tuple[Array, dict]:
        return network.apply({"params": variables["params"]}, images), {}  # type: ignore[return-value]

    resting = Player.create(apply_fn=apply, params=params, tx=optax.identity(), variables={})
    return resting.replace(step=jnp.zeros((), jnp.int32))


def _places(network: VGG19) -> list[int]:
    """Returns the indices of the convolutions among torchvision's layers.

    A ReLU follows each convolution, and a pooling each block.
    """
    places, place = [], 0
    for depth in network.depths:
        places += [place + 2 * index for index in range(depth)]
        place += 2 * depth + 1
    return places


def _taken(given: dict[str, np.ndarray], name: str, path: str | pathlib.Path) -> np.ndarray:
    if name not in given:
        raise ValueError(
            f"the weights {path} have no {name!r}; expected torchvision's VGG19 without batch "
            "normalization"
        )
    return given[name]
