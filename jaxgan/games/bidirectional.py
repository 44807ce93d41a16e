"""BiGAN and ALI: a generator, an encoder and a discriminator of pairs, for any networks.

The discriminator receives real images with their encodings, (x, E(x)), and generated images with
their latents, (G(z), z). At the optimum E inverts G, although x and G(E(x)) are never compared.

References:
    Donahue et al. 2017, "Adversarial Feature Learning" (BiGAN), theorem 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as linen
import jax.numpy as jnp

from jaxgan import random
from jaxgan.games import builder, objectives
from jaxgan.games.builder import Network, Side
from jaxgan.games.signatures import LOGITS, Output
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Objective

PLAYERS = ("generator", "encoder")
"""The players that are updated together, against the discriminator."""

Relabel = Callable[[Array, Array, Keys], tuple[Array, Array]]
"""`relabel(real_logits, fake_logits, keys) -> (real_logits, fake_logits)`: label flipping."""


class Encoding(NamedTuple):
    """Output of an encoder.

    Attributes:
        latents: Latents [B, Z] of the images.
        features: Features [B, F] from which the latents are computed or sampled.
    """

    latents: Array
    features: Array


class Made(NamedTuple):
    """Output of a forward pass of generator and encoder.

    Attributes:
        encodings: Encodings E(x) [B, Z] of the batch's images.
        images: Generated images G(z) [B, H, W, C].
        latents: Latents z [B, Z] of the generated images.
    """

    encodings: Array
    images: Array
    latents: Array


def passes(latents: objectives.Draw) -> Forward:
    """Returns the forward pass of generator and encoder in training mode.

    It generates from new latents and encodes the batch's images.

    Args:
        latents: Samples the latents from per-example keys.
    """

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Made, dict[str, Player]]:
        z = latents(keys)
        noise = random.fold(keys, objectives.GENERATOR_NOISE)
        draws = random.fold(keys, "encoder noise")
        images, generator = state["generator"].mutate(z, keys=noise, train=True)
        encoding, encoder = state["encoder"].mutate(batch["image"], keys=draws, train=True)
        made = Made(encoding.latents, images, z)
        return made, {"generator": generator, "encoder": encoder}

    return Forward(PLAYERS, run)


# --- objectives -----------------------------------------------------------------------------------


def discriminator_objective(
    loss: AdversarialLoss, draw: Forward, *, relabel: Relabel | None = None
) -> Objective:
    """Returns the discriminator's objective: (x, E(x)) is real and (G(z), z) is fake.

    Real and fake pairs are separate batches for batch normalization. Reported metrics: those of
    `objectives.verdicts`.

    Args:
        loss: The adversarial loss.
        draw: Forward pass of generator and encoder (`passes`).
        relabel: May swap logits before the loss is computed (see
            `objectives.discriminator_objective`). None: no change.

    References:
        Donahue et al. 2017, equation 3.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        made, _ = draw(state, batch, keys)
        judge, real = state["discriminator"], (batch["image"], made.encodings)
        at_real, at_fake = random.fold(keys, "real"), random.fold(keys, "fake")
        real_logits, judge = judge.mutate(*real, keys=at_real, train=True)
        fake_logits, judge = judge.mutate(made.images, made.latents, keys=at_fake, train=True)
        metrics = objectives.verdicts(loss, real_logits, fake_logits)
        if relabel is not None:
            real_logits, fake_logits = relabel(real_logits, fake_logits, keys)
        value = jnp.mean(loss.discriminator(real_logits, fake_logits))
        return value, Out(metrics, players={"discriminator": judge})

    return objective


def inverse_objective(loss: AdversarialLoss, draw: Forward) -> Objective:
    """Returns the objective of generator and encoder: the discriminator's loss with swapped labels.

    For cross-entropy this is softplus(D(x, E(x))) + softplus(-D(G(z), z)), as in the code of both
    papers (BiGAN and ALI). When the discriminator is right, both terms still have a gradient; those
    of the zero-sum game vanish. `loss.generator` is not used.

    Reported metric: the mean square of the encodings, 'encoding_square'. It is 1 (normal prior) or
    1/3 (uniform prior) if their distribution matches that of the latents.

    Args:
        loss: The adversarial loss, whose discriminator loss is used.
        draw: Forward pass of generator and encoder (`passes`).

    References:
        Donahue et al. 2017, section 3.4 (the inverse objective).
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        made, players = draw(state, batch, keys)
        judge, real = state["discriminator"], (batch["image"], made.encodings)
        at_real, at_fake = random.fold(keys, "real"), random.fold(keys, "fake")
        real_logits = judge(*real, keys=at_real, train=True)
        fake_logits = judge(made.images, made.latents, keys=at_fake, train=True)
        value = jnp.mean(loss.discriminator(fake_logits, real_logits))
        metrics = {"encoding_square": Mean.of(jnp.square(made.encodings))}
        return value, Out(metrics, players=players)

    return objective


# --- the model ------------------------------------------------------------------------------------


simultaneously = functools.partial(builder.simultaneously, generators=PLAYERS)
"""The authors' schedule (BiGAN and ALI): all three players are updated from the same state.

They are trained on the same latents.
"""


def build(
    networks: Mapping[str, linen.Module],
    *,
    shape: tuple[int, ...],
    latent_size: int,
    latents: objectives.Draw,
    loss: AdversarialLoss,
    training: Training,
    relabel: Relabel | None = None,
) -> GAN:
    """Returns the bidirectional `GAN`.

    `sample(state, keys)` generates images from new latents. `sample(state, keys, image=images)`
    reconstructs images as G(E(x)); a stochastic encoder draws with these keys. Both run in
    inference mode.

    Args:
        networks: The modules 'generator' (latents to images), 'encoder' (images to an `Encoding`)
            and 'discriminator' (images and latents to logits [B]).
        shape: Shape of the images, (H, W, C), or (D,) for points.
        latent_size: Size Z of a latent.
        latents: Samples the latents from per-example keys.
        loss: The adversarial loss.
        training: Training options. The group 'generator' is `PLAYERS`, both of which are averaged
            (EMA). By default a round is `simultaneously` with shared noise: G(z) and E(x) are
            computed once for both groups. A view (augmentation) changes the image that the
            discriminator receives; the encoder receives the original image.
        relabel: May swap the discriminator's logits of real and fake pairs before the loss is
            computed (see `objectives.discriminator_objective`).
    """
    training = training.otherwise(schedule=simultaneously, shared_noise=True)
    draw = passes(latents)
    judging = discriminator_objective(loss, draw, relabel=relabel)
    body = builder.round_of_play(
        Side("discriminator", ("discriminator",), judging),
        Side("generator", PLAYERS, inverse_objective(loss, draw)),
        training,
        draw=draw,
    )

    def player(name: str, side: str, *inputs: Any, output: Output = None) -> Network:
        return Network(networks[name], training.optimizers[side], inputs, output)

    latent = (latent_size,)
    players = {
        "generator": player("generator", "generator", latent, output=shape),
        "encoder": player("encoder", "generator", shape),
        "discriminator": player("discriminator", "discriminator", shape, latent, output=LOGITS),
    }
    return builder.assemble(
        players,
        body,
        _sampler(latents),
        training,
        conditions=("image",),
        averaged=PLAYERS,
    )


def _sampler(latents: objectives.Draw) -> Callable[..., Array]:
    """Returns `sample(state, keys, image=...)`, which raises ValueError on another condition."""

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        objectives.require_known(conditions, ["image"])
        noise = random.fold(keys, objectives.GENERATOR_NOISE)
        if not conditions:
            return state["generator"](latents(keys), keys=noise)
        draws = random.fold(keys, "encoder noise")
        codes = state["encoder"](conditions["image"], keys=draws).latents
        return state["generator"](codes, keys=noise)

    return sample


def encode(state: GANState, images: Array) -> Encoding:
    """Returns the encoding of images in inference mode, without random draws.

    Args:
        state: The state whose encoder is used. Pass `state.averaged()` if averages are kept.
        images: Images [B, H, W, C] in [-1, 1].
    """
    return state["encoder"](images)
