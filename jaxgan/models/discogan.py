"""DiscoGAN (Kim et al. 2017): what two domains have in common, learned without pairs.

Two generators and two discriminators as in CycleGAN, with the losses and the order of the authors'
code: a reconstruction by mean square, the discriminator's features matched in the mean, and one
discriminator update for two of the generators. Batches hold images 'a' and 'b', not paired.
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

# PyTorch's own initial weights, of a convolution and of a transposed one: the authors set none.
_weights = linen.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
_transposed_weights = linen.initializers.variance_scaling(1 / 3, "fan_out", "uniform")


class Weights(NamedTuple):
    """How the generators' terms are weighed against each other.

    adversarial, features: shares of the part that is not reconstruction.
    early, late:           the share of the reconstruction, before and from train step `curriculum`.
    """

    adversarial: float = 0.1
    features: float = 0.9
    early: float = 0.01
    late: float = 0.5
    curriculum: int = 10_000

    def reconstruction(self, step: Array) -> Array:
        """The share of the reconstruction at this train step, float32 []."""
        return jnp.where(step < self.curriculum, self.early, self.late)


AUTHORS_WEIGHTS = Weights()


def adam(learning_rate: optax.ScalarOrSchedule = 2e-4) -> optax.GradientTransformation:
    """The authors' Adam: momentum 0.5, and weight decay 1e-5 as an addition to the gradient."""
    return optax.chain(optax.add_decayed_weights(1e-5), optimizers.adam(learning_rate))


class Generator(linen.Module):
    """Images [B, H, W, C] to images [B, H, W, channels] in [-1, 1]: stride-2 convolutions down to 4
    to 15 pixels, and as many back, without skips.
    """

    channels: int
    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
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
    """Images [B, H, W, C] to logits [B] and the features of all hidden layers but the first."""

    width: int = 64
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *, keys: Keys | None = None, train: bool = False
    ) -> tuple[Array, list[Array]]:
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
    """The mean squared difference of the batches' mean features, summed over layers: [].

    It couples the examples: under shard_map and pmap the name of the batch's axis is needed.
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
    """Both batches translated, `{'a': fakes of a, 'b': fakes of b}`, each by its own statistics."""
    to_b, to_a = (state[name] for name in GENERATORS)
    fake_a, to_a = to_a.mutate(batch["b"], train=True)
    fake_b, to_b = to_b.mutate(batch["a"], train=True)
    return {"a": fake_a, "b": fake_b}, dict(zip(GENERATORS, (to_b, to_a), strict=True))


def generator_objective(
    loss: AdversarialLoss, draw: Forward, weights: Weights, *, axis_name: str | None = None
) -> Objective:
    """Both generators': (adversarial + features) (1 - r) + reconstruction r, in both domains.

    The reconstruction is the mean square on the authors' scale, in which images lie in [0, 1].
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fakes, players = draw(state, batch, keys)
        to_b, to_a = GENERATORS
        back_a, players[to_a] = players[to_a].mutate(fakes["b"], train=True)
        back_b, players[to_b] = players[to_b].mutate(fakes["a"], train=True)
        backs = {"a": back_a, "b": back_b}
        parts = dict.fromkeys(("adversarial", "features", "reconstruction"), jnp.zeros(()))
        for domain, name in zip("ab", DISCRIMINATORS, strict=True):
            real_logits, real_features = state[name](batch[domain], train=True)
            fake_logits, fake_features = state[name](fakes[domain], train=True)
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
    """The mean square that a difference of images has on the scale [0, 1]."""
    return jnp.mean(jnp.square(difference / 2))


def discriminator_objective(loss: AdversarialLoss, draw: Forward) -> Objective:
    """Both discriminators' loss on real images and on fakes, each its own batch to batch
    statistics.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fakes, _ = draw(state, batch, keys)
        value, metrics, players = jnp.zeros(()), {}, {}
        for domain, name in zip("ab", DISCRIMINATORS, strict=True):
            (real_logits, _), judge = state[name].mutate(batch[domain], train=True)
            (fake_logits, _), players[name] = judge.mutate(fakes[domain], train=True)
            value += jnp.mean(loss.discriminator(real_logits, fake_logits))
            verdicts = objectives.verdicts(loss, real_logits, fake_logits)
            metrics |= {f"{domain}/{key}": mean for key, mean in verdicts.items()}
        return value, Out(metrics, players=players)

    return objective


# --- the game -------------------------------------------------------------------------------------


def one_to_two(discriminators: Step, generators: Step) -> Step:
    """The authors' order: the discriminators at every third train step, the generators at the other
    two.
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
    """Translation between images of `shape_a` and of `shape_b` ([H, W, C], of one size).

    training: the sides move both generators, which are averaged, and both discriminators, whose
              loss is halved; by default a round is `one_to_two`. With shared noise, a schedule in
              which both sides move in a round computes its fakes once.
    weights:  of the generators' terms.

    `sample(state, keys, a=images)` gives images of b, and `sample(state, keys, b=images)` images of
    a, with running batch statistics. Raises ValueError where sizes differ, or on one that does not
    halve at least twice (see `dcgan.stages`).
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
        ),
        body,
        domain_translation.both_ways_sample(shapes),
        training,
        conditions=("a", "b"),
        averaged=GENERATORS,
    )
