"""The game of a generator, an encoder and a discriminator of pairs, whatever their networks.

The discriminator is shown real images with their encodings, (x, E(x)), and generated images with
their latents, (G(z), z). Where it can tell neither kind from the other, E inverts G (Donahue et al.
2017, theorem 2), although nothing ever compares x with G(E(x)).
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
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Objective

PLAYERS = ("generator", "encoder")
"""Who moves together, against the discriminator."""

Relabel = Callable[[Array, Array, Keys], tuple[Array, Array]]


class Encoding(NamedTuple):
    """What an encoder makes of images: their latents [B, Z], and the features [B, F] that it draws
    them from.
    """

    latents: Array
    features: Array


class Made(NamedTuple):
    """What a pass of both players makes: the encodings E(x) [B, Z] of the batch's images, and the
    images G(z) [B, H, W, C] of latents z [B, Z].
    """

    encodings: Array
    images: Array
    latents: Array


def passes(latents: objectives.Draw) -> Forward:
    """The pass of generator and encoder in training mode, on fresh latents and the batch's
    images.
    """

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Made, dict[str, Player]]:
        z = latents(keys)
        noise, draws = random.fold(keys, "generator noise"), random.fold(keys, "encoder noise")
        images, generator = state["generator"].mutate(z, keys=noise, train=True)
        encoding, encoder = state["encoder"].mutate(batch["image"], keys=draws, train=True)
        made = Made(encoding.latents, images, z)
        return made, {"generator": generator, "encoder": encoder}

    return Forward(PLAYERS, run)


# --- objectives -----------------------------------------------------------------------------------


def discriminator_objective(
    loss: AdversarialLoss, draw: Forward, *, relabel: Relabel | None = None
) -> Objective:
    """The discriminator's: (x, E(x)) is real and (G(z), z) is fake (Donahue et al. 2017, eq. 3),
    each its own batch to batch statistics.

    For `relabel` and for what is reported see `objectives.discriminator_objective`.
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
    """The generator's and the encoder's: the discriminator's loss with its labels exchanged, on
    both kinds of pairs (the inverse objective of Donahue et al. 2017, section 3.4).

    Of the cross-entropy this is softplus(D(x, E(x))) + softplus(-D(G(z), z)), as in the code of
    both papers: where the discriminator is right, both terms have a slope, which the zero-sum game
    would not leave them. The loss's own part for a generator is not used. Reported: the mean square
    of the encodings, which is 1 (normal prior) or 1/3 (uniform) where they match the latents.
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


# --- the game -------------------------------------------------------------------------------------


simultaneously = functools.partial(builder.simultaneously, generators=PLAYERS)
"""The authors' order, of BiGAN and of ALI: all three networks move from the same state, on the same
draw.
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
    """The game on images of `shape` ([H, W, C], or [D] for points).

    networks: 'generator', latents to images; 'encoder', images to an `Encoding`; 'discriminator',
              images and latents to logits [B].
    training: the side 'generator' is that of `PLAYERS`, both of which are averaged; by default a
              round is `simultaneously`, with shared noise: G(z) and E(x) are computed once for both
              sides. Through a view, the discriminator sees the image of a pair; the encoder sees it
              as it is.
    relabel:  as in `two_player.build`.

    `sample(state, keys)` gives images of fresh latents and `sample(state, keys, image=images)`
    gives G(E(x)) of the images, both in inference mode; what the encoder draws, it draws by the
    keys.
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

    def player(name: str, side: str, *inputs: Any) -> Network:
        return Network(networks[name], training.optimizers[side], inputs)

    players = {
        "generator": player("generator", "generator", (latent_size,)),
        "encoder": player("encoder", "generator", shape),
        "discriminator": player("discriminator", "discriminator", shape, (latent_size,)),
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
    """`sample(state, keys, image=...)`; ValueError on another condition."""

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        objectives.require_known(conditions, ["image"])
        if not conditions:
            return state["generator"](latents(keys))
        draws = random.fold(keys, "encoder noise")
        return state["generator"](state["encoder"](conditions["image"], keys=draws).latents)

    return sample


def encode(state: GANState, images: Array) -> Encoding:
    """The encoding of images [B, H, W, C] in inference mode, in which nothing is drawn; give it
    `state.averaged()` where averages are kept.
    """
    return state["encoder"](images)
