"""Semi-supervised learning with a GAN (Salimans et al. 2016, section 5): a classifier that is the
discriminator, too, and learns from few labels and many images without.

The classifier of K classes is one of K + 1, the last being "generated", whose logit is fixed at 0:
no freedom is lost, since a softmax sees no shift of its logits. An image is then real with
probability Z / (Z + 1), Z the sum of the exponentials of the K logits, so log Z is the
discriminator's logit.

A batch holds 'image' and 'label', the examples with labels, and as many images without in
'unlabeled' and in 'reference' (see `jaxgan.data.PartlyLabeled`).
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
"""On log Z, the discriminator's part of the K + 1 classes' cross-entropy."""

# The names of draws decide their bits: another spelling would draw other noise.
LABELED = "labelled"  # codespell:ignore labelled
UNLABELED = "unlabelled"


# --- the networks ---------------------------------------------------------------------------------


class Generator(linen.Module):
    """Latents [B, Z] to images of `shape` in [-1, 1]: softplus layers under batch normalization
    without gains, then a weight-normalized one.
    """

    shape: tuple[int, int, int]
    hidden: Sequence[int] = (500, 500)
    axis_name: str | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
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
    """What the classifier makes of images: logits [B, K], and the features [B, F] before them."""

    logits: Array
    features: Array


class Discriminator(linen.Module):
    """Images [B, H, W, C] in [-1, 1] to their `Judgment`: a perceptron under weight normalization,
    with Gaussian noise on its input and on every hidden layer.

    The noise is drawn by each example's own key; without keys there is none, which is how to test.
    `input_noise` is in units of the images' range. A pass with `fit` sets the initial scales and
    shifts of the layers by its batch, which is `whole` or a shard (see `weight_norm.FittedDense`).
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
"""How many images the authors fit the layers to."""


def fit(state: GANState, images: Array) -> GANState:
    """The state whose discriminator begins with features of mean 0 and variance 1 over the images.

    The scales and shifts that it finds stay for the whole training: give it some hundreds of
    training images (the authors `FIT`), not a batch.

    Args:
        state: a fresh state of the game.
        images: [B, H, W, C] in [-1, 1], at least 2.

    Returns:
        The state with the fitted layers, in the average as well.

    Raises:
        ValueError: where there are fewer than 2 images.
    """
    keys = random.example_keys(state.rng, state.step, jnp.arange(len(images), dtype=jnp.int32))
    player = state["discriminator"]
    variables = jax.jit(functools.partial(_fitted, whole=True))(player, images, keys)
    ema = dict(state.ema)
    if "discriminator" in ema:  # copies: a train step may be given the state's buffers to overwrite
        ema["discriminator"] = {**ema["discriminator"], **jax.tree.map(jnp.copy, variables)}
    return state.with_variables({"discriminator": variables}).replace(ema=ema)


def fit_once(inputs: str) -> Step:
    """The step that fits the discriminator's layers to the batch's images of that name, the first
    time; the identity ever after, also for weights that another run has trained.
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
    """The player's collections once its layers are fitted to the images: a shard's, or the whole
    batch.
    """
    noise = random.fold(keys, "fit")
    return player.mutate(images, keys=noise, fit=True, whole=whole)[1].variables


# --- the objectives -------------------------------------------------------------------------------


def realness(logits: Array) -> Array:
    """The discriminator's logit [B], log Z of the K classes' logits [B, K]."""
    return jax.nn.logsumexp(logits, axis=1)


def label_loss(logits: Array, labels: Array) -> Array:
    """Cross-entropy [B] of the labels (int32 [B]) among the K real classes."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def discriminator_objective(draw: Forward, *, unlabeled: float = 1.0) -> Objective:
    """The classifier's: the labels of the labeled images, and, weighted by `unlabeled`, which
    images are real: half of the adversarial loss, as each kind is half of what it sees.
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
    """The generator's: the mean over features of the squared difference of their means, on fresh
    fakes and on the reference images, in the last hidden layer, under the discriminator's noise.
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
    """The classifier's from the labeled images alone, which the GAN's is measured against."""
    noise = random.fold(keys, LABELED)
    logits = state["discriminator"](batch["image"], keys=noise, train=True).logits
    right = jnp.argmax(logits, axis=1) == batch["label"]
    return jnp.mean(label_loss(logits, batch["label"])), Out({"accuracy": Mean.of(right)})


# --- the game -------------------------------------------------------------------------------------


def adam(learning_rate: optax.ScalarOrSchedule = 3e-3) -> optax.GradientTransformation:
    """Adam as in the authors' code: momentum 0.5, and 1e-8 added to the mean square under the root,
    where others add it to the root: gradients below 1e-4 move a weight less.
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
    """The game on images of `shape` (H, W, C) of `classes` classes.

    training:  averages the discriminator, to test with; the half-life is in images with labels. A
               view shows the labeled images, too; the pass that fits the layers sees images as they
               are.
    unlabeled: weight of the adversarial loss in the discriminator's.
    fitted:    whether the state that training begins with went through `fit`; otherwise the first
               step fits the layers to its batch, whose scales then stay: it should be of some
               hundreds of images, and must not be of one.

    Latents are uniform on (-1, 1). Raises ValueError where there are fewer than two classes.
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
        training if fitted else training.scheduled(fitted_first),
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
    """`sample(state, keys)`; ValueError on a condition."""

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        objectives.require_known(conditions, [])
        return state["generator"](latents(keys))

    return sample


def fitted_first(schedule: Callable[..., Step]) -> Callable[..., Step]:
    """The schedule, whose first discriminator step fits the layers to the unlabeled images."""

    def round_of_play(discriminator: Step, generator: Step, **options) -> Step:
        return schedule(steps.then(fit_once("unlabeled"), discriminator), generator, **options)

    return round_of_play


def supervised_step(*, ema_half_life: float) -> TrainStep:
    """A train step of the discriminator by the labeled images alone, on a state of the game whose
    layers are fitted (see `fit`).
    """
    body = steps.then(
        steps.update("discriminator", label_objective),
        steps.track_ema("discriminator", half_life=ema_half_life),
    )
    return steps.make_train_step(body)


def classify(state: GANState, images: Array) -> Array:
    """The likeliest class (int32 [B]) of images [B, H, W, C], without noise.

    Give it `state.averaged()` to classify by the average, as the authors test.
    """
    return jnp.argmax(state["discriminator"](images).logits, axis=1).astype(jnp.int32)
