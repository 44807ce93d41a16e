"""SRGAN (Ledig et al. 2017): super-resolution with an adversarial and a perceptual loss.

The generator is pretrained with a pixel loss, then trained against a discriminator and with a
content loss on features. Batches hold pairs: low-resolution images 'a' and originals 'b'.
`of_images` makes the pairs from single images.

The two phases can be two models: `build` with `pretraining=None`, then `remembering(build(...))`
from the state `game_from`. Or one model passes from the first phase to the second
(`pretraining=steps`).
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
"""Name of the player that keeps the generator as it was after pretraining."""

ROUNDS = 4
"""Number of times that a sample is corrected and clipped."""

Features = Callable[[Array], PyTree]
"""Maps images [B, H, W, C] in [-1, 1] to one or several feature maps [B, ...].

The paper's are those of VGG19 (`jaxgan.nn.vgg`).
"""

Distance = Callable[[Array, Array], Array]
"""`(fake, real) -> distance` of every pixel."""

Correction = Callable[[Array, Array], Array]
"""`(upsampled, small) -> upsampled`, such as `jaxgan.nn.resampling.consistent`."""


class Networks(NamedTuple):
    """Architecture and sizes of the two networks.

    Attributes:
        architecture: Architecture of the generator: 'resnet' or 'efficient'
            (`super_resolution.network_of`).
        blocks: Residual blocks of the generator.
        width: Channels of the generator's layers.
        discriminator_width: Channels of the discriminator's first layer.
    """

    architecture: str = "resnet"
    blocks: int = 16
    width: int = 64
    discriminator_width: int = 64


AUTHORS_NETWORKS = Networks()

# --- the discriminator ----------------------------------------------------------------------------


class Discriminator(linen.Module):
    """Maps images [B, H, W, C] to logits [B].

    There are eight 3x3 convolutions. Every second has stride 2. The channels double from `width` to
    eight times it. A dense layer of 16 times `width` follows.

    Attributes:
        width: Channels of the first layer.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Ledig et al. 2017, figure 4.
    """

    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns logits [B].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
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
    """Returns the generator's forward pass on 'a', with the batch's statistics.

    Args:
        correct: Correction of the outputs, or None.
    """

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, dict[str, Player]]:
        images, generator = state["generator"].mutate(batch["a"], train=True)
        images = images if correct is None else correct(images, batch["a"])
        return images, {"generator": generator}

    return Forward(("generator",), run)


def squared(fake: Array, real: Array) -> Array:
    """Returns the squared difference of every pixel.

    Args:
        fake: Generated images [B, H, W, C].
        real: Original images [B, H, W, C].
    """
    return jnp.square(fake - real)


def absolute(fake: Array, real: Array) -> Array:
    """Returns the absolute difference of every pixel, which trains faster (Lim et al. 2017).

    Args:
        fake: Generated images [B, H, W, C].
        real: Original images [B, H, W, C].
    """
    return jnp.abs(fake - real)


def pixel_objective(distance: Distance, draw: Forward) -> Objective:
    """Returns the generator's objective in pretraining: the mean distance of pixels.

    Args:
        distance: Distance of pixels, such as `squared`.
        draw: Forward pass of the generator.

    References:
        Ledig et al. 2017, equation 4.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, players = draw(state, batch, keys)
        distances = distance(fake, batch["b"])
        return jnp.mean(distances), Out({"content": Mean.of(distances)}, players=players)

    return objective


def content_of(features: Features | None, *, pixels: float = 0.0) -> objectives.Content:
    """Returns the content loss: the mean squared difference of feature maps.

    Args:
        features: Maps images to feature maps. None compares the images themselves. A player
            'features' in the state takes precedence.
        pixels: Weight of the mean squared difference of pixels, added to that of the features.

    References:
        Ledig et al. 2017, equation 5.
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
    """Returns the mean [B] of each example's values [B, ...]."""
    return jnp.mean(values.reshape(values.shape[0], -1), axis=1)


def objectives_of(
    loss: AdversarialLoss, draw: Forward, content: objectives.Content, *, adversarial: float
) -> tuple[Side, Side]:
    """Returns the two sides of the game: discriminator and generator.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of the generator.
        content: Content loss (`content_of`).
        adversarial: Weight of the adversarial loss, relative to the content loss.

    References:
        Ledig et al. 2017, equation 3.
    """
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
    """Builds an SRGAN that upsamples to images of one shape in training.

    Args:
        shape: Height, width and channels of the original images 'b'.
        training: How the players are trained. By default with shared noise. Without a
            discriminator, only the optimizer 'generator' is needed.
        factor: Upsampling factor.
        networks: Architecture and sizes of both networks.
        pretraining: Train steps in which the generator alone is trained, with the mean `distance`
            of pixels. Adversarial training follows. None: it never does, and there is no
            discriminator.
        distance: Distance of pixels in pretraining, `squared` or `absolute`.
        features: Features that the content loss compares. None compares pixels. A Player joins the
            state as 'features', is saved with it, and never learns. A function is compiled into the
            program.
        pixels: Weight of the mean squared difference of pixels, added to that of the features.
        correct: Correction of all outputs of the generator, in training and in samples, or None.
        loss: Adversarial loss.
        adversarial: Weight of the adversarial loss, relative to the content loss.

    Returns:
        The model. `sample(state, keys, a=images)` upsamples images of any size, with the running
        batch statistics, to [-1, 1].

    Raises:
        ValueError: The factor does not divide the size, or there is no network of that architecture
            and factor.

    References:
        Ledig et al. 2017, sections 2 and 3.2.
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
        _, images = domain_translation.source(conditions, {"a": small}, keys.count)
        noise = random.fold(keys, objectives.GENERATOR_NOISE)
        return within_range(state["generator"](images, keys=noise), images, correct)

    gan = builder.assemble(players, body, sample, training, conditions=("a",))
    if isinstance(features, Player):
        return _joined(gan, lambda state: {"features": features})
    return gan


def within_range(images: Array, small: Array, correct: Correction | None) -> Array:
    """Returns the images corrected and clipped to [-1, 1].

    Clipping undoes part of the correction, so both are repeated `ROUNDS` times. If the correction
    is a projection, each of them brings the images nearer to the original.

    Args:
        images: Upsampled images [B, H, W, C].
        small: Low-resolution images [B, h, w, C].
        correct: Correction, or None to clip only.
    """
    if correct is not None:
        for _ in range(ROUNDS):
            images = jnp.clip(correct(images, small), -1.0, 1.0)
    return jnp.clip(images, -1.0, 1.0)


# --- pairs of single images -----------------------------------------------------------------------


def of_images(
    gan: GAN,
    *,
    factor: int,
    size: tuple[int, int],
    axis_name: str | None = None,
    steps: float | None = 255,
) -> GAN:
    """Returns the model for batches of single images 'image' [B, H, W, C].

    A random crop of each image, drawn by the example's own key, becomes 'b'. The downsampled crop
    becomes 'a'. It is rounded to the levels of a file, as downsampled whole images are.

    Args:
        gan: The model, for batches of pairs.
        factor: Downsampling factor.
        size: Height and width of the crops. Images must not be smaller.
        axis_name: Name of the batch's axis under shard_map or pmap. None under jit.
        steps: Steps between the levels -1 and 1, 255 for 8 bits; None for floats, not rounded.
    """

    def step(state: GANState, batch: Batch) -> Any:
        rows = collectives.global_rows(batch["image"].shape[0], axis_name)
        keys = random.fold(random.example_keys(state.rng, state.step, rows), "piece")
        pieces = cut(batch["image"], size, keys)
        small = jnp.clip(resampling.reduced(pieces, factor), -1.0, 1.0)
        if steps is not None:
            small = jnp.round((small + 1) * (steps / 2)) / (steps / 2) - 1
        return gan.step(state, {"a": small, "b": pieces})

    return gan._replace(step=step)


def cut(images: Array, size: tuple[int, int], keys: Keys) -> Array:
    """Returns a random crop [B, *size, C] of each image. All positions are equally likely.

    Args:
        images: Images [B, H, W, C].
        size: Height and width of the crops.
        keys: One key per example.
    """
    _, height, width, channels = images.shape
    ends = jnp.array([height - size[0] + 1, width - size[1] + 1])
    corners = random.draw(keys, lambda key: jax.random.randint(key, (2,), 0, ends))

    def piece(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (*size, channels))

    return jax.vmap(piece)(images, corners)


# --- from one part to the other -------------------------------------------------------------------


def remembering(game: GAN) -> GAN:
    """Returns the model with an additional player 'pretrained', which never learns."""
    return _joined(game, lambda state: {PRETRAINED: _resting(state["generator"])})


def game_from(pretrained: GANState, fresh: GANState) -> GANState:
    """Returns the initial state of adversarial training from the last state of pretraining.

    The generator, or its average if there is one, continues with a fresh optimizer. A copy of it
    becomes the player 'pretrained'.

    Args:
        pretrained: Last state of pretraining.
        fresh: Fresh state of the game (`remembering`).
    """
    state = stages.carry_over(pretrained.averaged(), fresh, optimizers=False)
    before = _resting(state["generator"])
    state = state.replace(players={**state.players, PRETRAINED: before})
    # Copied: the generator starts as its own average, and a state must not hold an array twice.
    return state.replace(ema=jax.tree.map(jnp.copy, state.ema))


def as_pretrained(state: GANState) -> GANState:
    """Returns the state with the generator as it was after pretraining, to sample from.

    For a state of pretraining itself, this is its averaged generator.
    """
    if PRETRAINED not in state.players:
        return state.averaged().replace(ema={})
    return state.replace(players={"generator": state[PRETRAINED]}, ema={})


def _resting(player: Player) -> Player:
    """Returns a copy of the player without an optimizer."""
    return jax.tree.map(jnp.copy, player.replace(tx=optax.identity(), opt_state=optax.EmptyState()))


def _joined(gan: GAN, others: Callable[[GANState], Mapping[str, Player]]) -> GAN:
    """Returns the model with copies of further players in its state.

    They are copied because a step may overwrite the arrays of the state that it gets.
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
