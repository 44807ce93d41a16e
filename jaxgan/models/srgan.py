"""SRGAN (Ledig et al. 2017): single images made `factor` times larger, first by mean square, then
against a discriminator and by what a network sees in them.

Batches hold pairs: small images 'a' and their originals 'b'. The two parts are one model after the
other (`build` with `pretraining=None`, then `remembering(build(...))` from `game_from`), or one
model that passes from the first to the second by itself. `of_images` makes the pairs of single
images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import collectives, losses, nn, random, steps
from jaxgan.games import builder, domain_translation, objectives, stages
from jaxgan.games.builder import Network, Side
from jaxgan.games.domain_translation import Shape
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.nn import layers, normalization, resampling, super_resolution
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Objective, PyTree

CROSS_ENTROPY = losses.non_saturating()

PRETRAINED = "pretrained"
"""The player that remembers the generator as the pre-training left it."""

ROUNDS = 4
"""Of correction and clipping of a sample."""

Features = Callable[[Array], PyTree]
"""Images [B, H, W, C] in [-1, 1] to feature maps [B, ...], one or several: VGG19's of the paper
(`jaxgan.nn.vgg`), or others.
"""

Distance = Callable[[Array, Array], Array]
"""`(fake, real) -> distance` of every pixel."""

Correction = Callable[[Array, Array], Array]
"""`(enlarged, small) -> enlarged`, such as `jaxgan.nn.resampling.consistent`."""


class Networks(NamedTuple):
    """What the two networks are.

    architecture:        of the generator, one of `super_resolution`'s.
    blocks, width:       the generator's residual blocks, and channels of its layers.
    discriminator_width: channels of the discriminator's first layer.
    """

    architecture: str = "resnet"
    blocks: int = 16
    width: int = 64
    discriminator_width: int = 64


AUTHORS_NETWORKS = Networks()

# --- the judge ------------------------------------------------------------------------------------


class Discriminator(linen.Module):
    """Images [B, H, W, C] to logits [B]: eight 3x3 convolutions, every second of stride 2, the
    channels doubling from `width` to eight times it, then 16 times it densely (figure 4).
    """

    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        x = images
        for index in range(8):
            stride = 1 + index % 2
            x = nn.Conv(
                self.width << (index // 2), (3, 3), strides=(stride, stride), use_bias=index == 0
            )(x)
            norm = normalization.normalize(
                "batch" if index else "none", train=train, axis_name=self.axis_name
            )
            x = layers.leaky_relu(norm(x))
        x = layers.leaky_relu(linen.Dense(16 * self.width)(x.reshape(x.shape[0], -1)))
        return linen.Dense(1)(x)[:, 0]


# --- objectives -----------------------------------------------------------------------------------


def pass_of(correct: Correction | None = None) -> Forward:
    """What the generator makes of 'a', with the batch's statistics, and corrected by it."""

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, dict[str, Player]]:
        images, generator = state["generator"].mutate(batch["a"], train=True)
        images = images if correct is None else correct(images, batch["a"])
        return images, {"generator": generator}

    return Forward(("generator",), run)


def squared(fake: Array, real: Array) -> Array:
    """The squared difference of every pixel."""
    return jnp.square(fake - real)


def absolute(fake: Array, real: Array) -> Array:
    """The absolute difference of every pixel, which learns faster (Lim et al. 2017)."""
    return jnp.abs(fake - real)


def pixel_objective(distance: Distance, draw: Forward) -> Objective:
    """The generator's before there is a discriminator: the mean distance of pixels (equation 4)."""

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, players = draw(state, batch, keys)
        distances = distance(fake, batch["b"])
        return jnp.mean(distances), Out({"content": Mean.of(distances)}, players=players)

    return objective


def content_of(features: Features | None, *, pixels: float = 0.0) -> objectives.Content:
    """The mean squared difference of the images' feature maps (equation 5), and `pixels` times that
    of the images; without features that of the images alone.
    """

    def content(state: GANState, batch: Batch, fake: Array) -> Array:
        real, see = batch["b"], state.players.get("features", features)
        if see is None:
            return _of_each(squared(fake, real))
        differences = jax.tree.map(squared, see(fake), see(real))
        start = pixels * _of_each(squared(fake, real))
        return sum(map(_of_each, jax.tree.leaves(differences)), start)

    return content


def _of_each(values: Array) -> Array:
    """The mean [B] of each example's values [B, ...]."""
    return jnp.mean(values.reshape(values.shape[0], -1), axis=1)


def objectives_of(
    loss: AdversarialLoss, draw: Forward, content: objectives.Content, *, adversarial: float
) -> tuple[Side, Side]:
    """The discriminator's side and the generator's."""
    judging = objectives.discriminator_objective(loss, draw, image="b")
    persuading = objectives.generator_objective(
        loss, draw, weight=adversarial, content=content, image="b"
    )
    return (
        Side("discriminator", ("discriminator",), judging),
        Side("generator", ("generator",), persuading),
    )


# --- the game -------------------------------------------------------------------------------------


def build(
    *,
    shape: Shape,
    training: Training,
    factor: int = 4,
    networks: Networks = AUTHORS_NETWORKS,
    pretraining: int | None = 0,
    distance: Distance = squared,
    features: Features | Player | None = None,
    pixels: float = 0.0,
    correct: Correction | None = None,
    loss: AdversarialLoss = CROSS_ENTROPY,
    adversarial: float = 1e-3,
) -> GAN:
    """Enlargement of images to `shape` ([H, W, C]) from `factor` times smaller ones.

    training:    by default with shared noise; without a game, all it needs is an optimizer of
                 'generator'.
    factor:      how many times larger a side becomes.
    networks:    sizes of both networks.
    pretraining: train steps in which the generator alone learns, by the mean `distance` of pixels;
                 then the game begins. None: it never does, and there is no discriminator.
    features:    what the content loss compares (None: pixels). A Player joins the state as
                 'features', is saved with it, and never learns; a function is part of the program.
    pixels:      weight of the pixels' mean square beside the features' in the content loss.
    correct:     what is done to all that the generator makes, in training and in samples.
    adversarial: the adversarial loss's weight beside the content's.

    `sample(state, keys, a=images)` enlarges images of any size, with running batch statistics, to
    [-1, 1]. Raises ValueError where the factor does not divide the size, or on an architecture or a
    factor that there is no network for.
    """
    training = training.otherwise(shared_noise=True)
    small = _smaller(shape, factor)
    architecture, blocks, width, discriminator_width = networks
    generator = super_resolution.network_of(
        architecture, factor=factor, blocks=blocks, width=width, axis_name=training.axis_name
    )
    players = {"generator": Network(generator, training.optimizers["generator"], [small])}
    draw = pass_of(correct)
    body = steps.update(
        "generator",
        pixel_objective(distance, draw),
        prefix="pretraining/",
        accumulate=training.accumulate,
        axis_name=training.axis_name,
    )
    if pretraining is not None:
        judge = Discriminator(discriminator_width, training.axis_name)
        players["discriminator"] = Network(judge, training.optimizers["discriminator"], [shape])
        see = None if isinstance(features, Player) else features
        content = content_of(see, pixels=pixels)
        sides = objectives_of(loss, draw, content, adversarial=adversarial)
        game = builder.round_of_play(*sides, training, draw=draw)
        body = steps.succession(body, until=pretraining, rest=game) if pretraining else game

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        _, images = domain_translation.source(conditions, {"a": small}, len(keys))
        return within_range(state["generator"](images), images, correct)

    gan = builder.assemble(players, body, sample, training, conditions=("a",))
    if isinstance(features, Player):
        return _joined(gan, lambda state: {"features": features})
    return gan


def within_range(images: Array, small: Array, correct: Correction | None) -> Array:
    """The images in [-1, 1], and corrected: what clipping undoes is corrected again, some times.

    Where the correction is a projection, each of both brings the images nearer to the original.
    """
    if correct is not None:
        for _ in range(ROUNDS):
            images = jnp.clip(correct(images, small), -1.0, 1.0)
    return jnp.clip(images, -1.0, 1.0)


# --- pairs of single images -----------------------------------------------------------------------


def of_images(gan: GAN, *, factor: int, size: tuple[int, int], axis_name: str | None = None) -> GAN:
    """The model whose batches hold single images, 'image' [B, H, W, C], no smaller than `size`.

    A piece of `size` (height, width) of each, at a place drawn by the example's own key, is its
    'b'; 'a' is that piece reduced by itself, as whole images are, in the 256 levels of a file.
    """

    def step(state: GANState, batch: Batch) -> Any:
        rows = collectives.global_rows(batch["image"].shape[0], axis_name)
        keys = random.fold(random.example_keys(state.rng, state.step, rows), "piece")
        pieces = cut(batch["image"], size, keys)
        small = jnp.clip(resampling.reduced(pieces, factor), -1.0, 1.0)
        return gan.step(state, {"a": jnp.round((small + 1) * 127.5) / 127.5 - 1, "b": pieces})

    return gan._replace(step=step)


def cut(images: Array, size: tuple[int, int], keys: Keys) -> Array:
    """A piece [B, *size, C] of each image [B, H, W, C], all places equally likely."""
    _, height, width, channels = images.shape
    ends = jnp.array([height - size[0] + 1, width - size[1] + 1])
    corners = random.draw(keys, lambda key: jax.random.randint(key, (2,), 0, ends))

    def piece(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (*size, channels))

    return jax.vmap(piece)(images, corners)


# --- from one part to the other -------------------------------------------------------------------


def remembering(game: GAN) -> GAN:
    """The game whose state has one player more: 'pretrained', which never learns."""
    return _joined(game, lambda state: {PRETRAINED: _resting(state["generator"])})


def game_from(pretrained: GANState, fresh: GANState) -> GANState:
    """The first state of a game that remembers (`remembering`), from the last one of a
    pre-training: its generator, the averaged one if there is one, plays on with a fresh optimizer.
    """
    state = stages.carry_over(pretrained.averaged(), fresh, optimizers=False)
    before = _resting(state["generator"])
    state = state.replace(players={**state.players, PRETRAINED: before})
    # A copy: the generator starts as its own average, and a state must not hold an array twice.
    return state.replace(ema=jax.tree.map(jnp.copy, state.ema))


def as_pretrained(state: GANState) -> GANState:
    """The state whose generator is the one remembered, or of a pre-training its own; to sample."""
    if PRETRAINED not in state.players:
        return state.averaged().replace(ema={})
    return state.replace(players={"generator": state[PRETRAINED]}, ema={})


def _resting(player: Player) -> Player:
    """A copy of the player that has no optimizer."""
    return jax.tree.map(jnp.copy, player.replace(tx=optax.identity(), opt_state=optax.EmptyState()))


def _joined(gan: GAN, others: Callable[[GANState], Mapping[str, Player]]) -> GAN:
    """The model with further players in its state, copied: a state's arrays are given away to the
    step that it is passed to.
    """

    def init(key: Array) -> GANState:
        state = gan.init(key)
        joining = jax.tree.map(jnp.copy, dict(others(state)))
        return state.replace(players={**state.players, **joining})

    return gan._replace(init=init)


def _smaller(shape: Shape, factor: int) -> Shape:
    height, width, channels = shape
    if factor < 1 or height % factor or width % factor:
        raise ValueError(
            f"images of {height}x{width} pixels cannot be made from images {factor} times smaller; "
            f"use sides that {factor} divides"
        )
    return height // factor, width // factor, channels
