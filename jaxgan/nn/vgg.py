"""VGG19 (Simonyan and Zisserman 2015) as far as the layer that perceptual losses see, with weights
that the user brings.
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
"""Of the red, green and blue of images in [0, 1], as torchvision's weights expect them."""

SCALE = 1.0 / 12.75
"""Of the MAPS (Ledig et al. 2017, section 2.2.1): a loss of their squares shrinks by 0.006."""


class VGG19(linen.Module):
    """Images [B, H, W, 1 or 3] in [-1, 1] to the maps of the fourth convolution before the fifth
    pooling, after its ReLU, times `SCALE`: [B, H / 16, W / 16, 512].

    `widths` and `depths` are, by block, the channels and the number of convolutions.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    depths: tuple[int, ...] = (2, 2, 4, 4, 4)

    @linen.compact
    def __call__(self, images: Array) -> Array:
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
    """The network with the weights of the file (`jaxgan.nn.pretrained_weights.load`), which never
    learns.

    Expected are torchvision's names, features.0.weight to features.34.bias; others, such as those
    of the classifier, are passed over. Raises ValueError where one is missing or of another shape.
    """
    network = network or VGG19()
    given = pretrained_weights.load(path, sha256=sha256)
    image = jnp.zeros((1, 2 ** len(network.widths), 2 ** len(network.widths), 3))
    expected = jax.eval_shape(network.init, jax.random.key(0), image)["params"]
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
    params = jax.tree.map(lambda value: jnp.asarray(value, jnp.float32), params)

    def apply(variables: PyTree, images: Array, *, mutable: object = False) -> tuple[Array, dict]:
        return network.apply({"params": variables["params"]}, images), {}  # type: ignore[return-value]

    resting = Player.create(apply_fn=apply, params=params, tx=optax.identity(), variables={})
    return resting.replace(step=jnp.zeros((), jnp.int32))


def _places(network: VGG19) -> list[int]:
    """The numbers of the convolutions among torchvision's layers: a ReLU follows each, a pooling
    each block.
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
