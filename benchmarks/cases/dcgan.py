"""Convolutional networks at 28 and 64 pixels.

With cross-entropy, R1, the Wasserstein critic, and the spectrally normalized discriminator with the
hinge loss.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import Case, uniform_images

if TYPE_CHECKING:
    from benchmarks.pytorch.training import Twin
    from jaxgan.types import GAN

R1_GAMMA = 10.0


@dataclasses.dataclass(frozen=True)
class Setting:
    """The networks and the schedule of both sides."""

    shape: tuple[int, int, int]
    """Height, width and channels of an image."""
    rows: int
    """Images in a discriminator step."""
    penalty: str = "none"
    """'none', 'r1', or 'wgan-gp', which brings its loss."""
    n_critic: int = 1
    width: int = 64
    kernel: int = 4
    latent_size: int = 100

    @property
    def norm(self) -> str:
        """Returns the discriminator's norm: gradient penalties exclude batch normalization."""
        return "batch" if self.penalty == "none" else "none"


def gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import losses, optimizers, penalties, steps
    from jaxgan.games.training import Training
    from jaxgan.models import dcgan

    of_penalty = {
        "none": None,
        "r1": lambda judge, real, fake, keys: penalties.r1(judge, real, gamma=R1_GAMMA),
        "wgan-gp": penalties.gradient_penalty,
    }
    wasserstein = setting.penalty == "wgan-gp"
    return dcgan.build(
        shape=setting.shape,
        latent_size=setting.latent_size,
        width=setting.width,
        kernel=setting.kernel,
        discriminator_norm=setting.norm,
        loss=losses.wasserstein() if wasserstein else losses.non_saturating(),
        penalty=of_penalty[setting.penalty],
        training=Training(
            {player: optimizers.adam() for player in ("generator", "discriminator")},
            schedule=functools.partial(steps.alternate, n_critic=setting.n_critic),
            shared_noise=True,
        ),
    )


def twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import dcgan, penalties, training

    height, width, channels = setting.shape
    shape, stages = (channels, height, width), _stages(height)
    of_penalty = {
        "none": None,
        "r1": penalties.r1(R1_GAMMA),
        "wgan-gp": penalties.gradient_penalty(),
    }
    wasserstein = setting.penalty == "wgan-gp"
    size = setting.latent_size
    sizes = {"stages": stages, "width": setting.width, "kernel": setting.kernel}
    return training.two_players(
        dcgan.generator(shape, latent_size=size, **sizes),
        dcgan.discriminator(shape, norm=setting.norm, **sizes),
        loss=training.wasserstein() if wasserstein else training.non_saturating(),
        penalty=of_penalty[setting.penalty],
        latents=lambda count, draws: draws.normal("latent", count, size),
        n_critic=setting.n_critic,
    )


def _stages(size: int) -> int:
    """Returns how often jaxgan's network halves an image, down to 4 to 7 pixels."""
    return (size // 4).bit_length() - 1


def batch(setting: Setting, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns the batch of a train step."""
    rows = setting.rows * setting.n_critic
    return {"image": uniform_images(draws, (rows, *setting.shape))}


# --- SNGAN ----------------------------------------------------------------------------------------


def sngan_gan(setting: Setting) -> GAN:
    """Returns jaxgan's model."""
    from jaxgan import losses, optimizers
    from jaxgan.games.training import Training
    from jaxgan.models import dcgan

    gan = dcgan.build(
        shape=setting.shape,
        latent_size=setting.latent_size,
        width=setting.width,
        kernel=setting.kernel,
        discriminator_norm="spectral",
        loss=losses.hinge(),
        training=Training(
            {player: optimizers.adam() for player in ("generator", "discriminator")},
            shared_noise=True,
        ),
    )
    return gan._replace(init=functools.partial(_from_equal_entries, gan))


def _from_equal_entries(gan: GAN, key: Any) -> Any:
    """Returns the initial state with power-method vectors of equal entries.

    These vectors are not params, so the other side could not load them.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan.nn import spectral_norm

    state = gan.init(key)
    variables = state["discriminator"].variables
    vectors = jax.tree.map(
        lambda u: jnp.full_like(u, u.size**-0.5), variables[spectral_norm.COLLECTION]
    )
    variables = {**variables, spectral_norm.COLLECTION: vectors}
    return state.with_variables({"discriminator": variables})


def sngan_twin(setting: Setting) -> Twin:
    """Returns PyTorch's model."""
    from benchmarks.pytorch import dcgan, sngan, training

    height, width, channels = setting.shape
    shape, size = (channels, height, width), setting.latent_size
    sizes = {"stages": _stages(height), "width": setting.width, "kernel": setting.kernel}
    return training.two_players(
        dcgan.generator(shape, latent_size=size, **sizes),
        sngan.discriminator(shape, **sizes),
        loss=training.hinge(),
        latents=lambda count, draws: draws.normal("latent", count, size),
    )


_tiny = {"shape": (16, 16, 3), "width": 4, "rows": 4, "latent_size": 3}
_both: dict[str, Any] = {"gan": gan, "twin": twin, "batch": batch, "tiny": _tiny}
_sngan: dict[str, Any] = {**_both, "gan": sngan_gan, "twin": sngan_twin}
_28, _64 = (28, 28, 1), (64, 64, 3)

CASES = [
    Case("dcgan28-b64", Setting(_28, 64), **_both),
    Case("dcgan28-b128", Setting(_28, 128), **_both),
    Case("dcgan28-r1", Setting(_28, 64, "r1"), **_both),
    Case("dcgan28-wgangp", Setting(_28, 64, "wgan-gp"), **_both),
    Case("dcgan64-b64", Setting(_64, 64), **_both),
    Case("dcgan64-b128", Setting(_64, 128), **_both),
    Case("wgangp64-k5", Setting(_64, 64, "wgan-gp", n_critic=5), compared=1, **_both),
    Case("sngan28", Setting(_28, 64), **_sngan),
]
