"""Semi-supervised learning with a GAN (Salimans et al. 2016, section 5).

The discriminator is also a classifier. It learns from few labeled and many unlabeled images. The K
classes are extended by one, "generated", whose logit is fixed at 0. This loses nothing, because a
softmax does not change when all logits are shifted. An image is then real with probability Z / (Z +
1), Z being the sum of the exponentials of the K logits. So log Z is the discriminator's logit.

A batch holds labeled examples in 'image' and 'label'. It holds as many unlabeled images in
'unlabeled' and again in 'reference' (see `jaxgan.data.PartlyLabeled`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxgan import losses, nn, optimizers, random, steps
from jaxgan.games import builder, objectives, regularizers
from jaxgan.games.training import Training
from jaxgan.nn import weight_norm
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Metrics, Objective, Step, TrainStep

ADVERSARIAL = losses.non_saturating()
"""Loss on log Z: the discriminator's part of the cross-entropy of K + 1 classes."""

# The names of draws decide their bits: another spelling would draw other noise.
LABELED = "labelled"  # codespell:ignore labelled
UNLABELED = "unlabelled"


# --- the networks ---------------------------------------------------------------------------------


class Generator(linen.Module):
    """Perceptron: maps latents [B, Z] to images [B, *shape] in [-1, 1].

    Hidden layers have batch normalization without gains, and softplus. The last layer is
    weight-normalized.

    Attributes:
        shape: Height, width and channels of an image.
        hidden: Units of the hidden layers.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.
    """

    shape: tuple[int, int, int]
    hidden: Sequence[int] = (500, 500)
    axis_name: str | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns generated images [B, *shape] in [-1, 1].

        Args:
            latents: Latents [B, Z].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        x, weights = latents, linen.initializers.glorot_uniform()
        for features in self.hidden:
            x = linen.Dense(features, use_bias=False, kernel_init=weights)(x)
            norm = linen.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                epsilon=1e-6,
                use_scale=False,
                axis_name=self.axis_name,
            )
            x = jax.nn.softplus(norm(x))
        x = weight_norm.WeightNormDense(math.prod(self.shape), kernel_init=weights)(x)
        return (2 * jax.nn.sigmoid(x) - 1).reshape(-1, *self.shape)


class Judgment(NamedTuple):
    """Outputs of the classifier.

    Attributes:
        logits: Logits [B, K] of the classes.
        features: Features [B, F] of the last hidden layer.
    """

    logits: Array
    features: Array


class Discriminator(linen.Module):
    """Perceptron classifier: maps images [B, H, W, C] to logits and features (`Judgment`).

    All layers are weight-normalized. Gaussian noise is added to the input and to every hidden
    layer, by each example's own key.

    Attributes:
        classes: Number of classes K.
        hidden: Units of the hidden layers.
        input_noise: Standard deviation of the input noise, in units of the range [0, 1] of images.
        noise: Standard deviation of the noise on hidden layers.
        axis_name: Name of the batch's axis under shard_map or pmap. None under jit.
    """

    classes: int
    hidden: Sequence[int] = (1000, 500, 250, 250, 250)
    input_noise: float = 0.3
    noise: float = 0.5
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self,
        images: Array,
        *,
        keys: Keys | None = None,
        train: bool = False,
        fit: bool = False,
        whole: bool = False,
    ) -> Judgment:
        """Returns logits [B, K] and features [B, F].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: One key per example, for the noise. None adds no noise, as in tests.
            train: Unused; every network takes it.
            fit: Whether the initial scales and shifts of the layers are set by this batch
                (`weight_norm.FittedDense`).
            whole: Whether a batch to fit to is the whole one, rather than a shard of it.
        """
        fitted = self.variable(weight_norm.COLLECTION, "fitted", jnp.zeros, (), bool)
        if fit:
            fitted.value = jnp.ones((), bool)
        features = (images.reshape(images.shape[0], -1) + 1) / 2
        x = nn.GaussianNoise(self.input_noise)(features, keys)
        axis_name = None if whole else self.axis_name
        for count in self.hidden:
            dense = weight_norm.FittedDense(count, axis_name=axis_name)
            features = jax.nn.relu(dense(x, fit=fit))
            x = nn.GaussianNoise(self.noise)(features, keys)
        last = weight_norm.FittedDense(self.classes, gain=True, axis_name=axis_name)
        return Judgment(last(x, fit=fit), features)


FIT = 500
"""Number of images to which the authors fit the layers."""


def fit(state: GANState, images: Array) -> GANState:
    """Fits the discriminator: its features get mean 0 and variance 1 over the images.

    The scales and shifts stay the same for the whole training. Use some hundreds of training images
    (the authors: `FIT`), not a batch.

    Args:
        state: A fresh state of the game.
        images: Images [B, H, W, C] in [-1, 1], at least 2.

    Returns:
        The state with the fitted layers, also in the average.

    Raises:
        ValueError: There are fewer than 2 images.
    """
    keys = random.example_keys(state.rng, state.step, jnp.arange(len(images), dtype=jnp.int32))
    player = state["discriminator"]
    variables = jax.jit(functools.partial(_fitted, whole=True))(player, images, keys)
    ema = dict(state.ema)
    if "discriminator" in ema:  # copied: a donated state must not hold an array twice
        ema["discriminator"] = {**ema["discriminator"], **jax.tree.map(jnp.copy, variables)}
    return state.with_variables({"discriminator": variables}).replace(ema=ema)


def fit_once(inputs: str) -> Step:
    """Returns a step that fits the discriminator to the batch's images the first time it is taken.

    Later it is the identity, also for weights that another run has trained.

    Args:
        inputs: Name of the images in the batch.
    """

    def step(state: GANState, batch: Batch, keys: Keys) -> tuple[GANState, Metrics]:
        player = state["discriminator"]
        done = player.variables[weight_norm.COLLECTION]["fitted"]
        variables = lax.cond(
            done, lambda: player.variables, lambda: _fitted(player, batch[inputs], keys)
        )
        return state.with_variables({"discriminator": variables}), {}

    return step


def _fitted(player: Player, images: Array, keys: Keys, *, whole: bool = False) -> dict:
    """Returns the player's collections, fitted to images of a shard or a whole batch."""
    noise = random.fold(keys, "fit")
    return player.mutate(images, keys=noise, fit=True, whole=whole)[1].variables


# --- the objectives -------------------------------------------------------------------------------


def realness(logits: Array) -> Array:
    """Returns the discriminator's logits [B]: log Z of the classes' logits [B, K]."""
    return jax.nn.logsumexp(logits, axis=1)


def label_loss(logits: Array, labels: Array) -> Array:
    """Returns the cross-entropy [B] of the labels among the K real classes.

    Args:
        logits: Logits [B, K].
        labels: Class labels [B], int32.
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def discriminator_objective(draw: Forward, *, unlabeled: float = 1.0) -> Objective:
    """Returns the objective of the classifier.

    It is the cross-entropy of the labeled images plus `unlabeled` times half of the adversarial
    loss. With the factor 1/2,
    unlabeled and generated images count for one half each.

    Args:
        draw: Forward pass of the generator.
        unlabeled: Weight of the adversarial loss.

    References:
        Salimans et al. 2016, section 5.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, _ = draw(state, batch, keys)

        def logits(images: Array, kind: str) -> Array:
            noise = random.fold(keys, kind)
            return state["discriminator"](images, keys=noise, train=True).logits

        labeled = logits(batch["image"], LABELED)
        real_logits = realness(logits(batch["unlabeled"], UNLABELED))
        fake_logits = realness(logits(fake, "fake"))
        of_labels = label_loss(labeled, batch["label"])
        of_kinds = ADVERSARIAL.discriminator(real_logits, fake_logits) / 2
        right = jnp.argmax(labeled, axis=1) == batch["label"]
        metrics = {
            "labeled_loss": Mean.of(of_labels),
            "unlabeled_loss": Mean.of(of_kinds),
            "labeled_accuracy": Mean.of(right),
            **objectives.verdicts(ADVERSARIAL, real_logits, fake_logits),
        }
        return jnp.mean(of_labels) + unlabeled * jnp.mean(of_kinds), Out(metrics)

    return objective


def generator_objective(draw: Forward, *, axis_name: str | None = None) -> Objective:
    """Returns the objective of the generator: feature matching.

    It is the squared difference of the mean features of generated and reference images, averaged
    over features. The features are those of the last hidden layer, with the discriminator's noise.

    Args:
        draw: Forward pass of the generator.
        axis_name: Name of the batch's axis, needed under shard_map and pmap. None under jit.

    References:
        Salimans et al. 2016, section 3.1.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, players = draw(state, batch, keys)

        def features(images: Array, kind: str) -> Array:
            noise = random.fold(keys, kind)
            return state["discriminator"](images, keys=noise, train=True).features

        of_real = features(batch["reference"], "reference")
        of_fake = features(fake, "fake")
        gaps = regularizers.feature_matching(of_real, of_fake, axis_name=axis_name)
        return jnp.mean(gaps), Out(players=players)

    return objective


def label_objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
    """Computes the objective of the classifier on labeled images alone, a baseline for the GAN.

    Args:
        state: State of the game.
        batch: Labeled images 'image' and 'label'.
        keys: One key per example, for the noise.

    Returns:
        The mean cross-entropy, and the accuracy as a metric.
    """
    noise = random.fold(keys, LABELED)
    logits = state["discriminator"](batch["image"], keys=noise, train=True).logits
    right = jnp.argmax(logits, axis=1) == batch["label"]
    return jnp.mean(label_loss(logits, batch["label"])), Out({"accuracy": Mean.of(right)})


# --- the game -------------------------------------------------------------------------------------


def adam(learning_rate: optax.ScalarOrSchedule = 3e-3) -> optax.GradientTransformation:
    """Returns the authors' Adam: momentum 0.5, and 1e-8 added to the second moment under the root.

    Other implementations add it to the root. Here gradients below 1e-4 give smaller updates.
    """
    return optimizers.adam(learning_rate, eps=0.0, eps_root=1e-8)


def build(
    *,
    shape: tuple[int, int, int],
    classes: int,
    training: Training,
    latent_size: int = 100,
    hidden: Sequence[int] = (1000, 500, 250, 250, 250),
    generator_hidden: Sequence[int] = (500, 500),
    unlabeled: float = 1.0,
    fitted: bool = False,
) -> GAN:
    """Builds the semi-supervised GAN. Latents are uniform on (-1, 1).

    Args:
        shape: Height, width and channels of the images.
        classes: Number of classes, 2 or more.
        training: How the players are trained. The average is kept of the discriminator, for tests,
            with a half-life in labeled images. An input transform also applies to labeled images,
            but not to the pass that fits the layers.
        latent_size: Size of the latents.
        hidden: Units of the discriminator's hidden layers.
        generator_hidden: Units of the generator's hidden layers.
        unlabeled: Weight of the adversarial loss in the discriminator's objective.
        fitted: Whether training starts from a state that went through `fit`. Otherwise the first
            step fits the layers to its batch, and the scales stay. That batch should have some
            hundreds of images. A batch of one image is an error.

    Returns:
        The model. `sample(state, keys)` draws images [B, H, W, C] in [-1, 1].

    Raises:
        ValueError: There are fewer than two classes.

    References:
        Salimans et al. 2016, sections 3.1 and 5.
    """
    if classes < 2:
        raise ValueError(
            f"the data have {classes} classes; a semi-supervised model needs labels of at least 2"
        )
    latents = functools.partial(random.latents, size=latent_size, prior="uniform")
    draw = objectives.fakes(latents)
    judging = discriminator_objective(draw, unlabeled=unlabeled)
    matching = generator_objective(draw, axis_name=training.axis_name)
    body = builder.round_of_play(
        builder.Side("discriminator", ("discriminator",), judging),
        builder.Side("generator", ("generator",), matching),
        training if fitted else training.with_schedule(fitted_first),
        draw=draw,
    )
    generator = Generator(shape, tuple(generator_hidden), training.axis_name)
    discriminator = Discriminator(classes, tuple(hidden), axis_name=training.axis_name)
    inputs: Any = {"generator": [(latent_size,)], "discriminator": [shape]}
    networks = {"generator": generator, "discriminator": discriminator}
    return builder.assemble(
        {
            name: builder.Network(module, training.optimizers[name], inputs[name])
            for name, module in networks.items()
        },
        body,
        _sampler(latents),
        training,
        conditions=(),
        averaged=("discriminator",),
    )


def _sampler(latents: objectives.Draw) -> Callable[..., Array]:
    """Returns `sample(state, keys)`, which raises ValueError for a condition."""

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        objectives.require_known(conditions, [])
        noise = random.fold(keys, objectives.GENERATOR_NOISE)
        return state["generator"](latents(keys), keys=noise)

    return sample


def fitted_first(schedule: Callable[..., Step]) -> Callable[..., Step]:
    """Returns the schedule with a first discriminator step that fits layers to unlabeled images."""

    def round_of_play(discriminator: Step, generator: Step, **options) -> Step:
        return schedule(steps.then(fit_once("unlabeled"), discriminator), generator, **options)

    return round_of_play


def supervised_step(*, ema_half_life: float) -> TrainStep:
    """Returns a train step of the discriminator on labeled images alone.

    The state must have fitted layers (see `fit`).

    Args:
        ema_half_life: Half-life of the discriminator's average, in labeled images.
    """
    body = steps.then(
        steps.update("discriminator", label_objective),
        steps.track_ema("discriminator", half_life=ema_half_life),
    )
    return steps.make_train_step(body)


def classify(state: GANState, images: Array) -> Array:
    """Returns the most likely class (int32 [B]) of each image, without noise.

    Args:
        state: State of the game. Use `state.averaged()` to classify with the average, as the
            authors test.
        images: Images [B, H, W, C] in [-1, 1].
    """
    return jnp.argmax(state["discriminator"](images).logits, axis=1).astype(jnp.int32)
