"""A feature network: EfficientNet-Lite0 on images, forward, and with the gradient for the images.

Nothing is trained. Metrics take the first, projected discriminators the second.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Setting:
    """The work of both sides."""

    gradient: bool = False
    """Whether the gradient of the features' squares for the images is computed, too."""
    size: int = 96
    """Height and width of an image."""
    rows: int = 16


def gan(setting: Setting) -> GAN:
    """Returns the network as the only player of a game whose steps change nothing."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxgan import state
    from jaxgan.nn import efficientnet
    from jaxgan.types import GAN

    network = efficientnet.EfficientNetLite()

    def init(key: jax.Array) -> state.GANState:
        images = jnp.zeros((1, setting.size, setting.size, 3))
        variables = dict(network.init(key, images))
        player = state.Player.create(
            apply_fn=network.apply,
            params=variables.pop("params"),
            tx=optax.set_to_zero(),
            variables=variables,
        )
        return state.create(key, {"network": player})

    def step(reached: state.GANState, batch: Any) -> tuple[state.GANState, dict[str, state.Mean]]:
        def total(images: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
            seen = reached["network"](images)
            losses = {
                "maps/loss": sum((jnp.mean(jnp.square(x)) for x in seen.maps), jnp.float32(0)),
                "logits/loss": jnp.mean(jnp.square(seen.logits)),
            }
            return losses["maps/loss"] + losses["logits/loss"], losses

        images = jnp.asarray(batch["image"])
        if setting.gradient:
            slopes, losses = jax.grad(total, has_aux=True)(images)
            losses = {**losses, "slopes/loss": jnp.mean(jnp.abs(slopes))}
        else:
            losses = total(images)[1]
        metrics = {name: state.Mean.of(value) for name, value in losses.items()}
        return reached.replace(step=reached.step + 1), metrics

    def sample(*_: Any, **__: Any) -> Any:
        raise ValueError("a feature network makes no images; time its steps")

    return GAN(init, step, sample)


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's network."""
    from benchmarks.pytorch import efficientnet

    return efficientnet.looking(efficientnet.EfficientNetLite0(), gradient=setting.gradient)


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns a batch of images."""
    return {"image": uniform_images(draws, (setting.rows, setting.size, setting.size, 3))}


_both: dict[str, Any] = {
    "gan": gan,
    "twin": twin,
    "batch": batch,
    "tiny": {"size": 32, "rows": 2},
    "compared": 1,
}

CASES = [
    Case("efficientnet96", Setting(), **_both),
    Case("efficientnet96-gradient", Setting(gradient=True), **_both),
]
