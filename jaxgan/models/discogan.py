"""DiscoGAN (Kim et al. 2017): relations between two domains, learned without pairs.

There are two generators and two discriminators, as in CycleGAN. Losses and schedule are those of
the authors' code. The reconstruction loss is a mean squared error. The discriminator's features are
matched in the mean. There is one discriminator update for two generator updates. Batches hold
unpaired images 'a' and 'b'.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import losses, nn, optimizers, steps
from jaxgan.games import builder, domain_translation, objectives, regularizers
from jaxgan.games.builder import Side
from jaxgan.games.domain_translation import DISCRIMINATORS, GENERATORS, Shape
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.models import dcgan
from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Objective, Step

CROSS_ENTROPY = losses.non_saturating()

# PyTorch's default initializers of convolutions and transposed convolutions: the authors set none.
_weights = linen.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
_transposed_weights = linen.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


class Weights(NamedTuple):
    """Weights of the terms of the generators' loss.

    Attributes:
        adversarial: Weight of the adversarial loss, relative to the part that is not
            reconstruction.
        features: Weight of feature matching, relative to the same part.
        early: Fraction of the reconstruction loss before train step `curriculum`.
        late: Fraction of the reconstruction loss from train step `curriculum` on.
        curriculum: Train step at which the fraction changes.
    """

    adversarial: float = 0.1
    features: float = 0.9
    early: float = 0.01
    late: float = 0.5
    curriculum: int = 10_000

    def reconstruction(self, step: Array) -> Array:
        """Returns the fraction of the reconstruction loss at this train step, float32 []."""
        return jnp.where(step < self.curriculum, self.early, self.late)


AUTHORS_WEIGHTS = Weights()


def adam(learning_rate: optax.ScalarOrSchedule = 2e-4) -> optax.GradientTransformation:
    """Returns the authors' Adam: momentum 0.5, and weight decay 1e-5 added to the gradient."""
    return optax.chain(optax.add_decayed_weights(1e-5), optimizers.adam(learning_rate))


class Generator(linen.Module):
    """Maps images [B, H, W, C] to images [B, H, W, channels] in [-1, 1].

    Stride-2 convolutions reduce the image to a shorter side of 4 to 15 pixels. As many transposed
    convolutions bring it back. There are no skip connections.

    Attributes:
        channels: Channels of the output.
        width: Channels of the first layer. They double with every layer.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Kim et al. 2017, section 2.
    """

    channels: int
    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns translated images [B, H, W, channels] in [-1, 1].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        height, width = images.shape[1:3]
        count = dcgan.stages((height, width))
        x = images
        for level in range(count):
            x = _halved(self.width << level)(x)
            if level:
                x = normalization.batch_norm(train, self.axis_name)(x)
            x = layers.leaky_relu(x)
        for level in reversed(range(1, count)):
            x = _doubled(self.width << (level - 1))(x)
            x = jax.nn.relu(normalization.batch_norm(train, self.axis_name)(x))
        return jnp.tanh(_doubled(self.channels)(x))


class Discriminator(linen.Module):
    """Maps images [B, H, W, C] to logits [B] and hidden features.

    Attributes:
        width: Channels of the first layer. They double with every layer.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.
    """

    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *, keys: Keys | None = None, train: bool = False
    ) -> tuple[Array, list[Array]]:
        """Returns logits [B], and the features of all hidden layers but the first.

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        height, width = images.shape[1:3]
        x, features = images, []
        for level in range(dcgan.stages((height, width))):
            x = _halved(self.width << level)(x)
            if level:
                x = normalization.batch_norm(train, self.axis_name)(x)
            x = layers.leaky_relu(x)
            features.append(x)
        last = linen.Dense(1, use_bias=False, kernel_init=_weights)
        return last(x.reshape(x.shape[0], -1))[:, 0], features[1:]


def _halved(features: int) -> nn.Conv:
    return nn.Conv(features, (4, 4), strides=(2, 2), use_bias=False, kernel_init=_weights)


def _doubled(features: int) -> nn.ConvTranspose:
    return nn.ConvTranspose(
        features, (4, 4), strides=2, use_bias=False, kernel_init=_transposed_weights
    )


# --- objectives -----------------------------------------------------------------------------------


def feature_distance(
    real: list[Array], fake: list[Array], *, axis_name: str | None = None
) -> Array:
    """Returns the mean squared difference of the batches' mean features, summed over layers: [].

    The term couples the examples of a batch.

    Args:
        real: Features [B, ...] of real images, one array for each layer.
        fake: Features [B, ...] of generated images.
        axis_name: Name of the batch's axis, needed under shard_map and pmap. None under jit.
    """
    total = jnp.zeros(())
    for real_layer, fake_layer in zip(real, fake, strict=True):
        total += jnp.mean(
            regularizers.feature_matching(real_layer, fake_layer, axis_name=axis_name)
        )
    return total


def translations(
    state: GANState, batch: Batch, keys: Keys
) -> tuple[dict[str, Array], dict[str, Player]]:
    """Translates both batches, each normalized by its own statistics.

    Args:
        state: State of the game.
        batch: Images 'a' and 'b'.
        keys: Unused.

    Returns:
        The generated images of each domain, and the generators with new batch statistics.
    """
    to_b, to_a = (state[name] for name in GENERATORS)
    fake_a, to_a = to_a.mutate(batch["b"], train=True)
    fake_b, to_b = to_b.mutate(batch["a"], train=True)
    return {"a": fake_a, "b": fake_b}, dict(zip(GENERATORS, (to_b, to_a), strict=True))


def generator_objective(
    loss: AdversarialLoss, draw: Forward, weights: Weights, *, axis_name: str | None = None
) -> Objective:
    """Returns the objective of both generators.

    For each domain it is (1 - r) (adversarial + features) + r reconstruction, the first two terms
    being weighted. The reconstruction loss is the mean squared error on the authors' scale, images
    in [0, 1].

    Args:
        loss: Adversarial loss.
        draw: Forward pass of both generators.
        weights: Weights of the terms. They include r.
        axis_name: Name of the batch's axis, needed under shard_map and pmap. None under jit.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fakes, players = draw(state, batch, keys)
        to_b, to_a = GENERATORS
        back_a, players[to_a] = players[to_a].mutate(fakes["b"], train=True)
        back_b, players[to_b] = players[to_b].mutate(fakes["a"], train=True)
        backs = {"a": back_a, "b": back_b}
        parts = dict.fromkeys(("adversarial", "features", "reconstruction"), jnp.zeros(()))
        for domain, name in zip("ab", DISCRIMINATORS, strict=True):
            at_real, at_fake = domain_translation.keys_at(domain, keys)
            real_logits, real_features = state[name](batch[domain], keys=at_real, train=True)
            fake_logits, fake_features = state[name](fakes[domain], keys=at_fake, train=True)
            parts["adversarial"] += jnp.mean(loss.generator(fake_logits, real_logits))
            parts["features"] += feature_distance(real_features, fake_features, axis_name=axis_name)
            parts["reconstruction"] += _on_unit_scale(backs[domain] - batch[domain])
        share = weights.reconstruction(state.step)
        imitation = (
            weights.adversarial * parts["adversarial"] + weights.features * parts["features"]
        )
        value = (1 - share) * imitation + share * parts["reconstruction"]
        metrics = {name: Mean.of(term) for name, term in parts.items()}
        return value, Out(metrics, players=players)

    return objective


def _on_unit_scale(difference: Array) -> Array:
    """Returns the mean squared difference of images, rescaled from [-1, 1] to [0, 1]."""
    return jnp.mean(jnp.square(difference / 2))


def discriminator_objective(loss: AdversarialLoss, draw: Forward) -> Objective:
    """Returns the objective of both discriminators, on real and generated images.

    Batch statistics are separate for real and generated images.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of both generators.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fakes, _ = draw(state, batch, keys)
        value, metrics, players = jnp.zeros(()), {}, {}
        for domain, name in zip("ab", DISCRIMINATORS, strict=True):
            at_real, at_fake = domain_translation.keys_at(domain, keys)
            (real_logits, _), judge = state[name].mutate(batch[domain], keys=at_real, train=True)
            (fake_logits, _), players[name] = judge.mutate(fakes[domain], keys=at_fake, train=True)
            value += jnp.mean(loss.discriminator(real_logits, fake_logits))
            verdicts = objectives.verdicts(loss, real_logits, fake_logits)
            metrics |= {f"{domain}/{key}": mean for key, mean in verdicts.items()}
        return value, Out(metrics, players=players)

    return objective


# --- the game -------------------------------------------------------------------------------------


def one_to_two(discriminators: Step, generators: Step) -> Step:
    """Returns the authors' schedule: of three train steps, one updates the discriminators.

    The generators are updated at the other two.

    Args:
        discriminators: Step of the discriminators.
        generators: Step of the generators.
    """
    return steps.rotate([discriminators, generators, generators])


def build(
    *,
    shape_a: Shape,
    shape_b: Shape,
    training: Training,
    loss: AdversarialLoss = CROSS_ENTROPY,
    weights: Weights = AUTHORS_WEIGHTS,
    width: int = 64,
    discriminator_width: int = 64,
) -> GAN:
    """Builds a DiscoGAN between images of two shapes.

    Args:
        shape_a: Height, width and channels of the images 'a'.
        shape_b: Height, width and channels of the images 'b', of the same height and width.
        training: How the players are trained. Each of its two optimizers updates both generators or
            both discriminators. Averages are kept of the generators. By default a round is
            `one_to_two`. With shared noise, a schedule that updates both sides in a round computes
            the generated images once.
        loss: Adversarial loss. The discriminators' is halved.
        weights: Weights of the terms of the generators' loss.
        width: Channels of the generators' first layer.
        discriminator_width: Channels of the discriminators' first layer.

    Returns:
        The model. `sample(state, keys, a=images)` translates to b, and `sample(state, keys,
        b=images)` translates to a, with the running batch statistics.

    Raises:
        ValueError: The sizes differ, or do not halve at least twice (see `dcgan.stages`).

    References:
        Kim et al. 2017, section 2.
    """
    training = training.otherwise(schedule=one_to_two)
    domain_translation.require_one_size(shape_a, shape_b)
    dcgan.stages(shape_a[:2])
    shapes = {"a": shape_a, "b": shape_b}
    draw = Forward(GENERATORS, translations)
    judging = discriminator_objective(domain_translation.halved(loss), draw)
    translating = generator_objective(loss, draw, weights, axis_name=training.axis_name)
    body = builder.round_of_play(
        Side("discriminator", DISCRIMINATORS, judging),
        Side("generator", GENERATORS, translating),
        training,
        draw=draw,
    )
    return builder.assemble(
        domain_translation.both_ways(
            shapes,
            lambda channels: Generator(channels, width, training.axis_name),
            Discriminator(discriminator_width, training.axis_name),
            training.optimizers,
            output=None,  # logits and features
        ),
        body,
        domain_translation.both_ways_sample(shapes),
        training,
        conditions=("a", "b"),
        averaged=GENERATORS,
    )
