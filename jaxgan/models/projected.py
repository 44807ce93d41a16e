"""Projected GAN (Sauer et al. 2021, arXiv 2111.01007) with the generator of FastGAN.

The discriminators look through the fixed features of a pretrained network. FastGAN is by Liu et al.
2021, arXiv 2101.04775.

Real and generated images are augmented (DiffAugment), resized, and passed through the feature
network. Its maps are mixed across channels and across scales by random 1x1 convolutions. Neither is
ever trained. One small discriminator per mixed map gives logits, all of which count equally.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import losses, nn, random
from jaxgan.games import augmentation, input_transforms, two_player
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.models import dcgan, fastgan
from jaxgan.nn import frozen, layers, normalization, resampling
from jaxgan.nn.layers import uniform_weights
from jaxgan.random import Keys
from jaxgan.state import GANState
from jaxgan.types import GAN, Array, PyTree

HINGE = losses.hinge()

POLICY = tuple(augmentation.POLICIES)
"""The policies of DiffAugment that the paper uses: color, translation and cutout."""

LARGEST = 224
"""Shorter side of the images that ImageNet networks are trained on, in pixels."""

_STRIDE = 32  # of the deepest maps of ImageNet networks

_HEAD = 4  # side of the last kernel of a discriminator
_NETWORK = "feature_network"


class Features(NamedTuple):
    """A pretrained network, as the discriminators look through it.

    Attributes:
        network: Module that maps images `[B, H, W, C]` in [-1, 1] to an output whose `maps` are
            features `[B, h, w, c]`, each half as high and wide as the one before it, such as
            `jaxgan.nn.efficientnet.EfficientNetLite`.
        variables: Its weights. None: random ones, drawn with those of the players.
    """

    network: linen.Module
    variables: PyTree | None = None


class RandomMaps(NamedTuple):
    """Output of a `RandomNetwork`: its maps, each half as large as the one before it."""

    maps: tuple[Array, ...]


class RandomNetwork(linen.Module):
    """A small stand-in for a feature network: strided convolutions of random weights.

    It knows nothing of images; it is for tests, and for runs without a pretrained network.

    Attributes:
        widths: Channels of each map, from 1/4 of the image's size on.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64)

    @linen.compact
    def __call__(self, images: Array) -> RandomMaps:
        """Returns the maps of images `[B, H, W, C]`."""
        x = layers.leaky_relu(nn.Conv(self.widths[0], (3, 3), strides=(2, 2))(images))
        maps = []
        for features in self.widths:
            x = layers.leaky_relu(nn.Conv(features, (3, 3), strides=(2, 2))(x))
            maps.append(x)
        return RandomMaps(tuple(maps))


# --- discriminator --------------------------------------------------------------------------------


class Mixing(linen.Module):
    """Random mixing of feature maps across channels and across scales.

    Map i, with 1 / 2^i the resolution of the first, is mixed across channels to `width` * 2^i of
    them. From the deepest map up, each is added to the result of the one below, enlarged 2 times
    (bilinear, corners aligned), and mixed to half the channels, but at least `width`.

    Attributes:
        width: Channels of the first map after mixing.

    References:
        Sauer et al. 2021, section 3.2.
    """

    width: int = 64

    @linen.compact
    def __call__(self, maps: Sequence[Array]) -> tuple[Array, ...]:
        """Returns one mixed map per map, of twice its resolution and in the same order."""
        mixed = [_mix(self.width << i, f"channels_{i}")(x) for i, x in enumerate(maps)]
        results: list[Array] = []
        for i in reversed(range(len(mixed))):
            x = mixed[i] + results[0] if results else mixed[i]
            # Before it is enlarged, a 1x1 convolution costs a quarter, and gives the same.
            x = _mix(self.width << max(i - 1, 0), f"scales_{i}")(x)
            results.insert(0, resampling.double_aligned(x))
        return tuple(results)


def _mix(features: int, name: str) -> nn.Conv:
    """A 1x1 convolution with PyTorch's initial weights: U(-b, b), b = 1 / sqrt(fan-in)."""
    return nn.Conv(features, (1, 1), kernel_init=uniform_weights, name=name)


class MapDiscriminator(linen.Module):
    """A small discriminator of one map `[B, H, W, C]`: logits `[B, L]`, each of one place.

    Spectrally normalized 4x4 convolutions of stride 2, batch normalization and LeakyReLU 0.2 until
    the shorter side has 8 pixels or fewer, then a 4x4 convolution without padding. The authors'
    discriminators of deeper maps begin wider, with the width that the first has at their size.

    Attributes:
        width: Channels of the first convolution; they double up to `max_width`.
        max_width: The most channels of a convolution.
        classes: Number of classes; 0 if unconditional. Else the last convolution gives 64 channels,
            whose product with an embedding of the class, over sqrt(64), is the logit.
        axis_name: Name of the batch's axis under shard_map and pmap.
    """

    width: int = 64
    max_width: int = 256
    classes: int = 0
    axis_name: str | None = None

    @linen.compact
    def __call__(self, x: Array, *conditions: Array, train: bool = False) -> Array:
        """Returns the logits of features, and of labels `[B]` if there are classes."""
        features = self.width
        while min(x.shape[1:3]) > 2 * _HEAD:
            conv = nn.Conv(
                features,
                (4, 4),
                strides=(2, 2),
                padding=1,
                use_bias=False,
                kernel_init=uniform_weights,
            )
            x = nn.SpectralNorm(conv)(x, train=train)
            x = layers.leaky_relu(normalization.batch_norm(train, self.axis_name)(x))
            features = min(2 * features, self.max_width)
        channels = 64 if conditions else 1
        last = nn.Conv(
            channels, (_HEAD, _HEAD), padding="VALID", use_bias=False, kernel_init=uniform_weights
        )
        x = nn.SpectralNorm(last)(x, train=train)
        for label in conditions:
            embedding = linen.Dense(channels)(linen.Embed(self.classes, 128)(label))
            embedding = layers.leaky_relu(embedding)[:, None, None, :]
            x = jnp.sum(x * embedding, axis=-1) / math.sqrt(channels)
        return x.reshape(x.shape[0], -1)


class Discriminator(linen.Module):
    """Images `[B, H, W, C]` to logits `[B, L]` of all mixed maps of the feature network.

    The feature network and the mixing are never trained (`nn.Frozen`): they are variables of the
    player, not parameters.

    Attributes:
        features: The feature network (`Features.network`).
        size: Height and width to which images are resized (bilinear), in pixels.
        random: Whether the initial weights of the feature network are drawn.
        width: Channels of the first convolution of each small discriminator.
        max_width: The most channels of a convolution.
        classes: Number of classes; 0 if unconditional.
        axis_name: Name of the batch's axis under shard_map and pmap.
    """

    features: linen.Module
    size: tuple[int, int]
    random: bool = True
    width: int = 64
    max_width: int = 256
    classes: int = 0
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *conditions: Array, keys: Keys | None = None, train: bool = False
    ) -> Array:
        """Returns the logits of images, and of labels `[B]` if there are classes."""
        shape = (images.shape[0], *self.size, images.shape[3])
        seen = nn.Frozen(self.features, self.random, name=_NETWORK)(
            jax.image.resize(images, shape, "bilinear")
        )
        maps = nn.Frozen(Mixing(), name="mixing")(seen.maps)
        logits = [
            MapDiscriminator(self.width, self.max_width, self.classes, self.axis_name)(
                x, *conditions, train=train
            )
            for x in maps
        ]
        return jnp.concatenate(logits, axis=1)


def feature_size(size: tuple[int, int], side: int | None = None) -> tuple[int, int]:
    """Returns the height and width at which the feature network sees images.

    Args:
        size: Height and width of the images.
        side: Shorter side that the feature network sees. None: 1.5 times that of the images,
            between 64 and 224 pixels, rounded up to a multiple of 32. The authors' is 224.

    Returns:
        Height and width, the shorter of them `side`, the longer a multiple of 32 pixels unless
        both are equal.
    """
    shorter = min(size)
    if side is None:
        side = min(max(2 * _STRIDE, -(-3 * shorter // (2 * _STRIDE)) * _STRIDE), LARGEST)

    def scaled(length: int) -> int:
        if length == shorter:
            return side
        return max(1, round(length * side / shorter / _STRIDE)) * _STRIDE

    return scaled(size[0]), scaled(size[1])


# --- game -----------------------------------------------------------------------------------------


def build(
    *,
    shape: tuple[int, int, int],
    training: Training,
    features: Features,
    side: int | None = None,
    classes: int = 0,
    latent_size: int = 256,
    width: int = 16,
    noise: bool = False,
    discriminator_width: int = 64,
    policy: Sequence[str] = POLICY,
    loss: AdversarialLoss = HINGE,
    **game: Any,
) -> GAN:
    """Returns the game of FastGAN's generator and a projected discriminator.

    Args:
        shape: Shape (H, W, C) of an image.
        training: How the players are trained. It refines the objectives of
            augmented images.
        features: What the discriminators look through. Its weights become variables of the player
            'discriminator', are saved with it, and are never trained.
        side: Shorter side, in pixels, to which images are resized for the feature network
            (`feature_size`).
        classes: Number of classes of batch['label']. 0: unconditional.
        latent_size: Entries of a latent vector.
        width: Channels of the generator's last map.
        noise: Whether the generator adds noise in training.
        discriminator_width: Channels of the first convolution of each small discriminator, which
            has at most 4 times as many.
        policy: Policies of DiffAugment, of which none may be named.
        loss: The adversarial loss of every logit.
        **game: Other arguments of `two_player.build`.

    Returns:
        The model. With classes, `sample(state, keys, label=...)` draws the classes asked for; by
        default, example i has label i mod `classes`.

    Raises:
        ValueError: If the generator cannot make images of this size, the feature network cannot see
            images of so many channels, a policy is unknown, or there is only one class.
    """
    dcgan.stages(shape[:2])
    axis_name = training.axis_name
    size = feature_size(shape[:2], side)
    discriminator = Discriminator(
        features.network,
        size,
        features.variables is None,
        discriminator_width,
        4 * discriminator_width,
        classes,
        axis_name,
    )
    # Traced, not run: a network that cannot see such images refuses them here.
    jax.eval_shape(features.network.init, jax.random.key(0), jnp.zeros((1, *size, shape[2])))
    gan = two_player.build(
        fastgan.Generator(shape, width, classes, noise, axis_name=axis_name),
        discriminator,
        shape=shape,
        loss=loss,
        latents=partial(random.latents, size=latent_size),
        training=training.refined(input_transforms.for_both(augmentation.diff_augment(policy))),
        **two_player.labeled(classes),
        **game,
    )
    return gan if features.variables is None else _looking(gan, features.variables)


def _looking(gan: GAN, variables: PyTree) -> GAN:
    """The model whose discriminator begins with these weights of the feature network."""

    def init(key: Array) -> GANState:
        state = gan.init(key)
        collections = state["discriminator"].variables
        # Copied, as a state's arrays are given away to the step that it is passed to.
        copied = {frozen.ENTRY: jax.tree.map(jnp.array, variables)}
        fixed = {**collections[frozen.COLLECTION], _NETWORK: copied}
        return state.with_variables({"discriminator": {**collections, frozen.COLLECTION: fixed}})

    return gan._replace(init=init)
