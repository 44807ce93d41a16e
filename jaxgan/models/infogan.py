"""InfoGAN (Chen et al. 2016): a generator part of whose latent, the codes, its images must tell.

A third player, `q`, reads the codes off the discriminator's features of fakes. Its log-likelihood
bounds the mutual information of codes and images from below; the discriminator and q, which move
together, raise that bound, and so does the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import nn, random
from jaxgan.games import builder, mutual_information, objectives
from jaxgan.games.mutual_information import EQUAL_WEIGHTS, Codes, Information, Posterior, Weights
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.models import dcgan
from jaxgan.nn import layers, normalization
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Objective

PLAYERS = ("generator", "discriminator", "q")
JUDGES = ("discriminator", "q")
"""Who moves together, against the generator."""

MNIST = Codes(categories=(10,), continuous=2)

Relabel = Callable[[Array, Array, Keys], tuple[Array, Array]]

# Where the deviation is learned: below it certainty would pay without bound.
_LEAST_STD = 0.01


# --- networks -------------------------------------------------------------------------------------


class Generator(linen.Module):
    """Latents [B, Z] to images [B, H, W, C] in [-1, 1]: a dense layer with BatchNorm and ReLU, then
    DCGAN's generator (Chen et al. 2016, table 1).

    The second dense layer, DCGAN's first, is normalized by channel; in the authors' code by unit.
    """

    shape: tuple[int, int, int]
    width: int = 64
    hidden: int = 1024
    axis_name: str | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        x = linen.Dense(self.hidden, use_bias=False, kernel_init=layers.normal_weights)(latents)
        x = jax.nn.relu(normalization.batch_norm(train, self.axis_name)(x))
        images = dcgan.Generator(self.shape, self.width, axis_name=self.axis_name)
        return images(x, train=train)


class Discriminator(linen.Module):
    """Images [B, H, W, C] to logits [B] and the features [B, hidden] from which they come: stride-2
    convolutions and a dense layer, BatchNorm but on the first.
    """

    width: int = 64
    hidden: int = 1024
    leak: float = 0.1
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *, keys: Keys | None = None, train: bool = False
    ) -> tuple[Array, Array]:
        x, (height, width) = images, images.shape[1:3]
        for index in range(dcgan.stages((height, width))):
            x = nn.Conv(
                self.width << index,
                (4, 4),
                strides=(2, 2),
                use_bias=index == 0,
                kernel_init=layers.normal_weights,
            )(x)
            if index > 0:
                x = normalization.batch_norm(train, self.axis_name)(x)
            x = layers.leaky_relu(x, self.leak)
        x = x.reshape(x.shape[0], -1)
        features = _hidden(x, self.hidden, self.leak, train=train, axis_name=self.axis_name)
        return linen.Dense(1, kernel_init=layers.normal_weights)(features)[:, 0], features


class Recognizer(linen.Module):
    """The discriminator's features [B, F] to what they tell of the codes: q's own layers.

    `std` is the deviation of the continuous codes; None learns one for each image and code.
    """

    codes: Codes
    leak: float = 0.1
    std: float | None = 1.0
    axis_name: str | None = None
    hidden: int = 128

    @linen.compact
    def __call__(
        self, features: Array, *, keys: Keys | None = None, train: bool = False
    ) -> Posterior:
        x = _hidden(features, self.hidden, self.leak, train=train, axis_name=self.axis_name)
        sizes = [*self.codes.categories, self.codes.continuous]
        if self.std is None:
            sizes.append(self.codes.continuous)
        told = linen.Dense(sum(sizes), kernel_init=layers.normal_weights)(x)
        ends = [sum(sizes[: index + 1]) for index in range(len(sizes) - 1)]
        parts = jnp.split(told, ends, axis=-1)
        categorical = len(self.codes.categories)
        logits, mean = tuple(parts[:categorical]), parts[categorical]
        if self.std is None:
            return Posterior(logits, mean, _LEAST_STD + jnp.exp(parts[-1]))
        return Posterior(logits, mean, jnp.full_like(mean, self.std))


def _hidden(x: Array, features: int, leak: float, *, train: bool, axis_name: str | None) -> Array:
    x = linen.Dense(features, use_bias=False, kernel_init=layers.normal_weights)(x)
    return layers.leaky_relu(normalization.batch_norm(train, axis_name)(x), leak)


def recognize(state: GANState, images: Array) -> Posterior:
    """What q tells of the codes of images [B, H, W, C], by running batch statistics."""
    _, features = state["discriminator"](images)
    return state["q"](features)


def traversals(
    gan: GAN, state: GANState, shape: tuple[int, ...], *, rows: int = 10
) -> dict[str, Array]:
    """Images [rows, columns, *shape] for each code by name: in a row all but that code are the
    same, and it takes its classes, or values from -2 to 2, from left to right (Chen et al. 2016,
    figure 2).

    In the rows of other codes, a categorical code takes its classes in turn.
    """
    told = jax.eval_shape(recognize, state, jnp.zeros((1, *shape)))
    classes = {f"c{index + 1}": logits.shape[-1] for index, logits in enumerate(told.logits)}
    columns = max(classes.values(), default=10)
    row, column = jnp.divmod(jnp.arange(rows * columns), columns)
    keys = random.row_keys(jax.random.key(0), rows)
    keys = keys.replace(base=jnp.repeat(keys.base, columns))
    in_turn = {name: row % count for name, count in classes.items()}
    along = jnp.linspace(-2.0, 2.0, columns)[column]
    images = {}
    for name in gan.conditions:
        values = column % classes[name] if name in classes else along
        drawn = gan.sample(state, keys, **{**in_turn, name: values})
        images[name] = drawn.reshape(rows, columns, *shape)
    return images


# --- objectives -----------------------------------------------------------------------------------


def discriminator_objective(
    loss: AdversarialLoss,
    draw: Forward,
    told: Information,
    *,
    relabel: Relabel | None = None,
) -> Objective:
    """The discriminator's and q's: the adversarial loss less what q tells of the fakes' codes.

    Real images have no codes: q never sees them. Real and fake are each their own batch to batch
    statistics.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, _ = draw(state, batch, keys)
        judge, real = state["discriminator"], batch["image"]
        at_real, at_fake = random.fold(keys, "real"), random.fold(keys, "fake")
        (real_logits, _), judge = judge.mutate(real, keys=at_real, train=True)
        (fake_logits, features), judge = judge.mutate(fake, keys=at_fake, train=True)
        posterior, q = state["q"].mutate(features, keys=at_fake, train=True)
        metrics = objectives.verdicts(loss, real_logits, fake_logits)
        if relabel is not None:
            real_logits, fake_logits = relabel(real_logits, fake_logits, keys)
        value, of_codes = told(posterior, keys)
        value = jnp.mean(loss.discriminator(real_logits, fake_logits)) - value
        return value, Out({**metrics, **of_codes}, players={"discriminator": judge, "q": q})

    return objective


def generator_objective(loss: AdversarialLoss, draw: Forward, told: Information) -> Objective:
    """The generator's: its adversarial loss less what q tells of its codes."""

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, players = draw(state, batch, keys)
        judge, at_fake = state["discriminator"], random.fold(keys, "fake")
        fake_logits, features = judge(fake, keys=at_fake, train=True)
        real_logits = None
        if loss.relativistic:
            real_logits, _ = judge(batch["image"], keys=random.fold(keys, "real"), train=True)
        value, metrics = told(state["q"](features, keys=at_fake, train=True), keys)
        value = jnp.mean(loss.generator(fake_logits, real_logits)) - value
        return value, Out({"fake_logit": Mean.of(fake_logits), **metrics}, players=players)

    return objective


# --- the game -------------------------------------------------------------------------------------


simultaneously = partial(builder.simultaneously, discriminators=JUDGES)
"""All three move from the same state, on the same draw; the authors' order alternates."""


def build(
    *,
    shape: tuple[int, int, int],
    loss: AdversarialLoss,
    training: Training,
    codes: Codes = MNIST,
    latent_size: int = 62,
    prior: str = "uniform",
    width: int = 64,
    hidden: int = 1024,
    leak: float = 0.1,
    std: float | None = 1.0,
    weights: Weights = EQUAL_WEIGHTS,
    relabel: Relabel | None = None,
) -> GAN:
    """The game on images of `shape` (H, W, C), with `latent_size` entries of noise beside codes.

    training: the side 'discriminator' is that of `JUDGES`; averages all three players.
    codes:    entries of the latent that the images tell.
    hidden:   units of the dense layers next to the latent and to the verdict.
    leak:     slope of the discriminator's and q's LeakyReLU below 0.
    std:      of the continuous codes given an image; None: q learns it.
    weights:  of what q tells of each kind of code.
    relabel:  as in `two_player.build`.

    `sample(state, keys, c1=..., c2=...)` takes values of the codes by name, those left out drawn
    from their prior. Raises ValueError on a size that the networks cannot make (`dcgan.stages`), an
    unknown prior, or codes or a deviation that tell nothing.
    """
    dcgan.stages(shape[:2])
    _require_telling(codes, std)
    noise = partial(random.latents, size=latent_size, prior=random.known_prior(prior))
    draw = objectives.fakes(
        lambda keys: mutual_information.joined(
            codes, noise(keys), mutual_information.drawn(codes, keys)
        )
    )
    told = mutual_information.weighted(codes, weights)
    judging = discriminator_objective(loss, draw, told, relabel=relabel)
    body = builder.round_of_play(
        builder.Side("discriminator", JUDGES, judging),
        builder.Side("generator", ("generator",), generator_objective(loss, draw, told)),
        training,
        draw=draw,
    )
    modules = {
        "generator": Generator(shape, width, hidden, training.axis_name),
        "discriminator": Discriminator(width, hidden, leak, training.axis_name),
        "q": Recognizer(codes, leak, std, training.axis_name),
    }
    inputs: dict[str, Any] = {
        "generator": (latent_size + codes.size,),
        "discriminator": shape,
        "q": (hidden,),
    }
    moved_by = {**training.optimizers, "q": training.optimizers["discriminator"]}
    gan = builder.assemble(
        {n: builder.Network(modules[n], moved_by[n], [inputs[n]]) for n in PLAYERS},
        body,
        _sampler(codes, noise),
        training,
        conditions=codes.names,
        averaged=PLAYERS,
    )
    named = zip(codes.categorical_names, codes.categories, strict=True)
    return gan._replace(categories=tuple(named))


def _sampler(codes: Codes, noise: objectives.Draw) -> Callable[..., Array]:
    """`sample(state, keys, **values)`; ValueError on a code that there is not."""

    def sample(state: GANState, keys: Keys, **values: Any) -> Array:
        objectives.require_known(values, codes.names)
        given = {name: jnp.asarray(value) for name, value in values.items()}
        known = {**mutual_information.drawn(codes, keys), **given}
        return state["generator"](mutual_information.joined(codes, noise(keys), known))

    return sample


def _require_telling(codes: Codes, std: float | None) -> None:
    if codes.continuous < 0 or any(classes < 2 for classes in codes.categories):
        raise ValueError(
            f"the codes are {codes}; expected at least 2 classes for each categorical code and "
            "0 or more continuous codes"
        )
    if not codes.names:
        raise ValueError("there are no codes; a GAN without codes is jaxgan.models.dcgan")
    if std is not None and std <= 0:
        raise ValueError(f"the continuous codes' deviation is {std}; expected a positive number")
