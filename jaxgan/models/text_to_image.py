"""Text to image: GAN-CLS and GAN-INT (Reed et al. 2016).

The paper is "Generative adversarial text to image synthesis". Both networks see the embedding of a
caption. The discriminator learns to distinguish matching pairs of image and caption from two kinds
of wrong pairs. These are generated images, and real images with the caption of another image (CLS).
The generator is also trained on interpolations between two captions' embeddings, for which there
are no real images (INT).

The networks are those of DCGAN with the embedding, as in the paper's figure 2. The authors' code
adds residual blocks to both, which are left out here.

Batches hold 'image', and the embeddings [B, E] 'text' of its caption and 'mismatched' of another
image's caption. Or they hold 'caption' and 'mismatched' as character codes [B, L], which a player
'encoder' reads. It is trained beforehand (`jaxgan.games.image_text_embedding`) and never learns
here.
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
    """Sizes of the two networks.

    Attributes:
        width: Channels before the generator's last layer.
        discriminator_width: Channels of the discriminator's first layer.
        kernel: Kernel size of the convolutions.
        compressed: Size to which both networks compress an embedding.
    """

    width: int = 64
    discriminator_width: int = 64
    kernel: int = 4
    compressed: int = 128


AUTHORS_NETWORKS = Networks()

# --- networks -------------------------------------------------------------------------------------


class Compressed(linen.Module):
    """Maps embeddings [B, E] of any scale to [B, size]: a dense layer and LeakyReLU.

    Attributes:
        size: Size of the output.
    """

    size: int

    @linen.compact
    def __call__(self, texts: Array) -> Array:
        """Returns compressed embeddings [B, size] of `texts` [B, E]."""
        return layers.leaky_relu(linen.Dense(self.size)(image_text_embedding.unit(texts)))


class Generator(linen.Module):
    """Maps latents [B, Z] and embeddings [B, E] to images.

    Attributes:
        network: Generator that gets the latents joined with the compressed embeddings.
        compressed: Size of the compressed embeddings.

    References:
        Reed et al. 2016, section 4.1 and figure 2.
    """

    network: linen.Module
    compressed: int = 128

    @linen.compact
    def __call__(
        self, latents: Array, texts: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns generated images.

        Args:
            latents: Latents [B, Z].
            texts: Embeddings [B, E].
            keys: Passed on to `network`.
            train: Passed on to `network`.
        """
        joined = jnp.concatenate([latents, Compressed(self.compressed)(texts)], axis=1)
        return self.network(joined, keys=keys, train=train)  # type: ignore[operator]


class Discriminator(linen.Module):
    """Maps images [B, H, W, C] and embeddings [B, E] to logits [B].

    DCGAN's convolutions reduce the image to a base of 4 to 15 pixels. There the compressed
    embedding joins every position, and a 1x1 convolution sees both.

    Attributes:
        width: Channels of the first layer. They double with every layer.
        kernel: Kernel size of the convolutions.
        compressed: Size of the compressed embeddings.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Reed et al. 2016, section 4.1 and figure 2.
    """

    width: int = 64
    kernel: int = 4
    compressed: int = 128
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *texts: Array, keys: Keys | None = None, train: bool = False
    ) -> Any:
        """Returns logits [B], or a tuple of logits for several embeddings of each image.

        Args:
            images: Images [B, H, W, C] in [-1, 1]. Their features are computed once.
            *texts: One or several embeddings [B, E].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        x, height, width = images, *images.shape[1:3]
        for index in range(dcgan.stages((height, width))):
            x = self._halved(x, self.width << index, normal=index > 0, train=train)
        # A 1x1 convolution of both, joined, is the sum of one of each.
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
    """Returns the embeddings for which the generator draws images.

    These are each example's own [B, E]. If `between` is given, interpolations of every second
    example follow, [ceil(B / 2), E].

    Args:
        batch: Embeddings 'text' and 'mismatched', each [B, E].
        between: Position of the interpolation: 0 is the mismatched embedding, 1 the own. None for
            no interpolations.
    """
    if between is None:
        return batch["text"]
    own, other = batch["text"][::2], batch["mismatched"][::2]
    return jnp.concatenate([batch["text"], between * own + (1 - between) * other])


def keys_asked(keys: Keys, between: float | None) -> Keys:
    """Returns a key for each of the embeddings that are `asked`.

    Args:
        keys: The examples' keys [B].
        between: Position of the interpolation, or None for no interpolations.
    """
    if between is None:
        return keys
    half = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys.base[::2])
    return keys.replace(base=jnp.concatenate([keys.base, half]))


def pass_of(latents: objectives.Draw, *, between: float | None) -> Forward:
    """Returns the generator's forward pass for all embeddings that are `asked`.

    Each image has a latent of its own.

    Args:
        latents: Draws latents [B, Z] by keys.
        between: Position of the interpolation, or None for no interpolations.
    """

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
    """Returns the objective of the discriminator, on matching and wrong pairs.

    Interpolated embeddings are not used here. Each kind of pair has batch statistics of its own.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of the generator.
        mismatched: Fraction of mismatched pairs in the loss of wrong pairs. The generated ones have
            the rest. It is 0.5 in the paper.

    References:
        Reed et al. 2016, algorithm 1, line 8.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        real, text = batch["image"], batch["text"]
        drawn, _ = draw(state, batch, keys)
        judge = state["discriminator"]
        at_real, at_fake = random.fold(keys, "real"), random.fold(keys, "fake")
        (matched, wrong), judge = judge.mutate(
            real, text, batch["mismatched"], keys=at_real, train=True
        )
        fake, judge = judge.mutate(drawn[: len(real)], text, keys=at_fake, train=True)
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
    """Returns the objective of the generator: the mean loss over captions and interpolations.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of the generator.
        between: Position of the interpolation, or None for no interpolations.

    References:
        Reed et al. 2016, equation 5.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        images, players = draw(state, batch, keys)
        at_fake = random.fold(keys_asked(keys, between), "fake")
        logits = state["discriminator"](images, asked(batch, between), keys=at_fake, train=True)
        metrics = {"fake_logit": Mean.of(logits[: len(keys)])}
        if between is not None:
            metrics["between_logit"] = Mean.of(logits[len(keys) :])
        return jnp.mean(loss.generator(logits)), Out(metrics, players=players)

    return objective


def reading(step: Step) -> Step:
    """Returns the step for batches of captions: the player 'encoder' computes their embeddings.

    The encoder is in inference mode.
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
    """Builds a text-to-image GAN.

    Args:
        shape: Height, width and channels of the images. The size must halve at least twice.
        text_size: Size of the embeddings.
        training: How the players are trained.
        encoder: Network that maps captions to embeddings (`nn.text_encoder`). None: batches hold
            embeddings.
        latent_size: Size of the latents.
        prior: Prior of the latents: 'normal', 'uniform' or 'unit_uniform'.
        networks: Sizes of both networks.
        mismatched: Fraction of mismatched pairs in the loss of wrong pairs. 0 is a GAN without CLS.
        between: Position of interpolated embeddings between two captions'. None is a GAN without
            INT. Shards with odd numbers of examples have a few more of them.
        variety: Weight of the difference between two images of one caption (`mode_seeking`). The
            paper has no such term.
        loss: Adversarial loss, not a relativistic one.

    Returns:
        The model. `sample(state, keys, caption=codes)`, or `text=embeddings` without an encoder,
        draws an image for each caption. By default the caption is empty.

    Raises:
        ValueError: The networks do not support the size, a fraction is outside [0, 1], the prior is
            unknown, or the loss is relativistic.

    References:
        Reed et al. 2016, section 4, algorithm 1.
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
        nothing = jnp.zeros((keys.count, text_size if encoder is None else 8))
        given = jnp.asarray(conditions.get(role, nothing))
        texts = given if encoder is None else state["encoder"](given)
        noise = random.fold(keys, objectives.GENERATOR_NOISE)
        return state["generator"](latents(keys), texts, keys=noise)

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
            raise ValueError(f"the fraction {what} is {share}; expected 0 to 1")
