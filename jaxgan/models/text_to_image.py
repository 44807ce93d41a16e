"""Text to image: GAN-CLS and GAN-INT (Reed et al. 2016, Generative adversarial text to image
synthesis).

Both networks see an image's caption as an embedding. The discriminator is to tell matched pairs of
an image and its caption from two kinds of wrong ones: generated images, and real images with the
caption of another (CLS); and the generator is judged on embeddings between two captions, too, which
no real image goes with (INT).

The networks are DCGAN's with the embedding, as in the paper's figure 2. The authors' code adds
residual blocks to both, which are not here.

Batches hold 'image', and 'text' and 'mismatched', the embeddings [B, E] of its caption and of one
that is not; or 'caption' and 'mismatched', codes of characters [B, L] that a player 'encoder' reads
(`jaxgan.games.image_text_embedding` teaches it), which never learns here.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import losses, nn, random
from jaxgan.games import builder, image_text_embedding, objectives, regularizers
from jaxgan.games.builder import Network, Side
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.models import dcgan
from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Objective, Step

CROSS_ENTROPY = losses.non_saturating()


class Networks(NamedTuple):
    """What the two networks are.

    width, discriminator_width: channels of the generator's last but one and of the discriminator's
                                first layer.
    kernel:                     taps of a convolution's side.
    compressed:                 numbers that both networks compress an embedding to.
    """

    width: int = 64
    discriminator_width: int = 64
    kernel: int = 4
    compressed: int = 128


AUTHORS_NETWORKS = Networks()

# --- networks -------------------------------------------------------------------------------------


class Compressed(linen.Module):
    """Embeddings [B, E] of any scale to [B, size]: a dense layer and LeakyReLU."""

    size: int

    @linen.compact
    def __call__(self, texts: Array) -> Array:
        return layers.leaky_relu(linen.Dense(self.size)(image_text_embedding.unit(texts)))


class Generator(linen.Module):
    """Latents [B, Z] and embeddings [B, E] to images: `network` on the latents joined with the
    compressed embeddings.
    """

    network: linen.Module
    compressed: int = 128

    @linen.compact
    def __call__(
        self, latents: Array, texts: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        joined = jnp.concatenate([latents, Compressed(self.compressed)(texts)], axis=1)
        return self.network(joined, keys=keys, train=train)  # type: ignore[operator]


class Discriminator(linen.Module):
    """Images [B, H, W, C] and embeddings [B, E] to logits [B]; of several embeddings for each image
    a tuple of logits, for which what is seen of the image is computed once.

    DCGAN's convolutions, down to a base of 4 to 15 pixels; there the compressed embedding joins
    every place, and a 1x1 convolution sees both (figure 2 of the paper).
    """

    width: int = 64
    kernel: int = 4
    compressed: int = 128
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *texts: Array, keys: Keys | None = None, train: bool = False
    ) -> Any:
        x, height, width = images, *images.shape[1:3]
        for index in range(dcgan.stages((height, width))):
            x = self._halved(x, self.width << index, normal=index > 0, train=train)
        # The 1x1 convolution of both, joined, is the sum of its parts.
        of_image = nn.Conv(x.shape[3], (1, 1), use_bias=False, kernel_init=layers.normal_weights)(x)
        of_text = linen.Dense(x.shape[3], use_bias=False)
        compressed, verdict = (
            Compressed(self.compressed),
            linen.Dense(1, kernel_init=layers.normal_weights),
        )
        norm = normalization.batch_norm(train, self.axis_name)

        def judge(text: Array) -> Array:
            joined = norm(of_image + of_text(compressed(text))[:, None, None, :])  # type: ignore[operator]
            flat = layers.leaky_relu(joined).reshape(len(images), -1)
            return verdict(flat)[:, 0]

        logits = tuple(map(judge, texts))
        return logits if len(texts) > 1 else logits[0]

    def _halved(self, x: Array, features: int, *, normal: bool, train: bool) -> Array:
        taps = (self.kernel, self.kernel)
        conv = nn.Conv(
            features, taps, strides=(2, 2), use_bias=not normal, kernel_init=layers.normal_weights
        )
        norm = normalization.normalize(
            "batch" if normal else "none", train=train, axis_name=self.axis_name
        )
        return layers.leaky_relu(norm(conv(x)))


# --- objectives -----------------------------------------------------------------------------------


def asked(batch: Batch, between: float | None) -> Array:
    """The embeddings that the generator draws from: each example's own [B, E], and then, of every
    second example, the one that lies `between` the mismatched one (0) and its own (1).
    """
    if between is None:
        return batch["text"]
    own, other = batch["text"][::2], batch["mismatched"][::2]
    return jnp.concatenate([batch["text"], between * own + (1 - between) * other])


def pass_of(latents: objectives.Draw, *, between: float | None) -> Forward:
    """What the generator draws for all that is `asked`, each from a latent of its own."""

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, dict[str, Player]]:
        noise = latents(keys)
        if between is not None:
            half = jax.tree.map(lambda leaf: leaf[::2], random.fold(keys, "between"))
            noise = jnp.concatenate([noise, latents(half)])
        images, generator = state["generator"].mutate(noise, asked(batch, between), train=True)
        return images, {"generator": generator}

    return Forward(("generator",), run)


def discriminator_objective(
    loss: AdversarialLoss, draw: Forward, *, mismatched: float
) -> Objective:
    """The discriminator's on matched pairs, and on wrong ones, of which the mismatched ones weigh
    so much and the generated ones the rest (a half each in algorithm 1, line 8).

    Interpolated embeddings are not for it. Each kind of pair has batch statistics of its own.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        real, text = batch["image"], batch["text"]
        drawn, _ = draw(state, batch, keys)
        judge = state["discriminator"]
        (matched, wrong), judge = judge.mutate(real, text, batch["mismatched"], train=True)
        fake, judge = judge.mutate(drawn[: len(real)], text, train=True)
        value = (1 - mismatched) * loss.discriminator(matched, fake)
        value += mismatched * loss.discriminator(matched, wrong)
        metrics = {
            **objectives.verdicts(loss, matched, fake),
            "mismatched_logit": Mean.of(wrong),
        }
        if loss.boundary is not None:
            metrics["mismatched_accuracy"] = Mean.of(wrong < loss.boundary)
        return jnp.mean(value), Out(metrics, players={"discriminator": judge})

    return objective


def generator_objective(
    loss: AdversarialLoss, draw: Forward, *, between: float | None
) -> Objective:
    """The generator's: that the discriminator takes what it draws for matched, the mean over
    captions and interpolated embeddings (equation 5).
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        images, players = draw(state, batch, keys)
        logits = state["discriminator"](images, asked(batch, between), train=True)
        metrics = {"fake_logit": Mean.of(logits[: len(keys)])}
        if between is not None:
            metrics["between_logit"] = Mean.of(logits[len(keys) :])
        return jnp.mean(loss.generator(logits)), Out(metrics, players=players)

    return objective


def reading(step: Step) -> Step:
    """The step whose batch holds the embeddings that the player 'encoder' gives the captions, as it
    gives them when it is used.
    """

    def read(state: GANState, batch: Batch, keys: Keys) -> Any:
        both = jnp.concatenate([batch["caption"], batch["mismatched"]])
        text, mismatched = jnp.split(state["encoder"](both), 2)
        return step(state, {**batch, "text": text, "mismatched": mismatched}, keys)

    return read


# --- the game -------------------------------------------------------------------------------------


def build(
    *,
    shape: tuple[int, int, int],
    text_size: int,
    training: Training,
    encoder: linen.Module | None = None,
    latent_size: int = 100,
    prior: str = "normal",
    networks: Networks = AUTHORS_NETWORKS,
    mismatched: float = 0.5,
    between: float | None = 0.5,
    variety: float = 0.0,
    loss: AdversarialLoss = CROSS_ENTROPY,
) -> GAN:
    """The game on images of `shape` ([H, W, C]) and embeddings of `text_size` numbers.

    encoder:     what reads captions (`nn.characters`); None: batches hold their embeddings.
    networks:    sizes of both networks.
    mismatched:  share of the mismatched pairs among the wrong ones; 0 is a GAN without CLS.
    between:     where interpolated embeddings lie between two captions'; None: there are none (a
                 GAN without INT). On an odd number of rows in a shard they are some more.
    variety:     weight of the difference of two images of one caption (`mode_seeking`), which
                 the paper does not have.

    `sample(state, keys, caption=codes)`, or `text=embeddings`, draws an image for each of them; by
    default for a caption of nothing. Raises ValueError on a size that the networks cannot make, a
    share outside [0, 1], an unknown prior, or a relativistic loss.
    """
    dcgan.stages(shape[:2])
    _check(loss, mismatched=mismatched, between=between)
    latents = partial(random.latents, size=latent_size, prior=random.known_prior(prior))
    width, discriminator_width, kernel, compressed = networks
    generator = Generator(dcgan.Generator(shape, width, kernel, training.axis_name), compressed)
    judge = Discriminator(discriminator_width, kernel, compressed, training.axis_name)
    text, optimizers = (text_size,), training.optimizers
    players = {
        "generator": Network(generator, optimizers["generator"], [(latent_size,), text]),
        "discriminator": Network(judge, optimizers["discriminator"], [shape, text]),
    }
    draw = pass_of(latents, between=between)
    judging = discriminator_objective(loss, draw, mismatched=mismatched)
    persuading = generator_objective(loss, draw, between=between)
    if variety:
        two = regularizers.mode_seeking(
            latents, lambda batch: (batch["text"],), axis_name=training.axis_name
        )
        persuading = regularizers.plus(persuading, two, name="sameness", weight=variety)
    body = builder.round_of_play(
        Side("discriminator", ("discriminator",), judging),
        Side("generator", ("generator",), persuading),
        training,
        draw=draw,
    )
    role = "text"
    if encoder is not None:
        role, body = "caption", reading(body)
        players["encoder"] = Network(encoder, optax.identity(), [(8,)])

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        objectives.require_known(conditions, [role])
        nothing = jnp.zeros((len(keys), text_size if encoder is None else 8))
        given = jnp.asarray(conditions.get(role, nothing))
        texts = given if encoder is None else state["encoder"](given)
        return state["generator"](latents(keys), texts)

    return builder.assemble(
        players,
        body,
        sample,
        training,
        conditions=(role,),
    )


def _check(loss: AdversarialLoss, *, mismatched: float, between: float | None) -> None:
    if loss.relativistic:
        raise ValueError(
            "the loss is relativistic, but no real image goes with an interpolated or mismatched "
            "caption to compare with; choose another loss"
        )
    for what, share in (("of mismatched pairs", mismatched), ("between captions", between)):
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"the share {what} is {share}; expected 0 to 1")
