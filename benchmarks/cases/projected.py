"""Projected GAN at 64 pixels: FastGAN's generator, discriminators behind EfficientNet-Lite0.

Both sides leave augmentation out, and give the networks that are not trained the same random
kernels: these are not params, so the other side could not load them. For the same reason the
power method starts from vectors of equal entries.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

LEARNING_RATE, BETAS = 2e-4, (0.0, 0.99)


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks of both sides; their default sizes are those of jaxgan's experiment."""

    shape: tuple[int, int, int] = (64, 64, 3)
    """Height, width and channels of an image."""
    rows: int = 16
    width: int = 16
    discriminator_width: int = 64
    latent_size: int = 256
    side: int = 96
    """Height and width at which the feature network sees an image."""


def kernel_of(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the kernel [kh, kw, C, F] of a layer that is not trained.

    Args:
        path: The path of the layer, by which it is drawn.
        shape: Its shape.
    """
    draws = np.random.default_rng(zlib.crc32(path.encode()))
    scale = math.sqrt(2 / math.prod(shape[:-1]))
    return (scale * draws.standard_normal(shape)).astype(np.float32)


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model, without augmentation."""
    from jaxgan import optimizers
    from jaxgan.games.training import Training
    from jaxgan.models import projected
    from jaxgan.nn import efficientnet

    model = projected.build(
        shape=setting.shape,
        latent_size=setting.latent_size,
        width=setting.width,
        discriminator_width=setting.discriminator_width,
        side=setting.side,
        policy=(),
        features=projected.Features(efficientnet.EfficientNetLite()),
        training=Training(
            {
                player: optimizers.adam(LEARNING_RATE, *BETAS)
                for player in ("generator", "discriminator")
            },
            shared_noise=True,
        ),
    )
    return model._replace(init=functools.partial(_as_drawn, model))


def _as_drawn(model: GAN, key: Any) -> Any:
    """Returns the initial state with the kernels of `kernel_of`, and vectors of equal entries."""
    import jax
    import jax.numpy as jnp

    from jaxgan.nn import frozen, spectral_norm

    def fixed(path: Any, leaf: Any) -> Any:
        *names, last = (entry.key for entry in path)
        if last != "kernel" or leaf.ndim != 4:
            return leaf
        inside = [name for name in names if name not in (frozen.ENTRY, "params")]
        return jnp.asarray(kernel_of("/".join(inside), leaf.shape))

    state = model.init(key)
    changed = {}
    for name, player in state.players.items():
        variables = dict(player.variables)
        variables[spectral_norm.COLLECTION] = jax.tree.map(
            lambda u: jnp.full_like(u, u.size**-0.5), variables[spectral_norm.COLLECTION]
        )
        if frozen.COLLECTION in variables:
            variables[frozen.COLLECTION] = jax.tree_util.tree_map_with_path(
                fixed, variables[frozen.COLLECTION]
            )
        changed[name] = variables
    return state.with_variables(changed)


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    import torch

    from benchmarks.pytorch import projected

    def fixed(name: str, network: torch.nn.Module) -> None:
        for path, layer in network.named_modules():
            if isinstance(layer, torch.nn.Conv2d):
                outputs, inputs, *taps = layer.weight.shape
                path = f"{name}/{path.replace('.', '/')}"
                kernel = kernel_of(path, (*taps, inputs, outputs)).transpose(3, 2, 0, 1)
                with torch.no_grad():
                    layer.weight.copy_(torch.from_numpy(kernel.copy()))
                    if layer.bias is not None:
                        layer.bias.zero_()

    height, breadth, channels = setting.shape
    size = setting.latent_size
    generator = projected.Generator(
        (channels, height, breadth),
        stages=(min(height, breadth) // 4).bit_length() - 1,
        latent_size=size,
        width=setting.width,
    )
    discriminator = projected.Discriminator(
        setting.side, width=setting.discriminator_width, fixed=fixed
    )
    return projected.game(
        generator,
        discriminator,
        latents=lambda count, draws: draws.normal("latent", count, size),
        learning_rate=LEARNING_RATE,
        betas=BETAS,
    )


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    return {"image": uniform_images(draws, (setting.rows, *setting.shape))}


_tiny = {
    "shape": (16, 16, 3),
    "rows": 4,
    "width": 2,
    "discriminator_width": 4,
    "latent_size": 3,
    "side": 64,
}

# Without momentum, Adam's steps have the length of the rate wherever a gradient is near zero: after
# two steps the updates of the generator differ by a quarter from PyTorch's, losses do not. In
# the third the losses of two forms of convolutions of jaxgan are 2 % apart.
CASES = [Case("projected64-b16", Setting(), gan, twin, batch, _tiny, compared=1)]
