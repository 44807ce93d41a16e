"""InfoGAN (Chen et al. 2016): part of the latent is recoverable from the generated image.

This part of the latent is called the codes. A third player, `q`, predicts the codes from the
discriminator's features of generated images. Its log-likelihood is a lower bound on the mutual
information of codes and images. The discriminator and q, which are updated together, maximize the
bound. So does the generator.
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
"""Players that are updated together, against the generator."""

MNIST = Codes(categories=(10,), continuous=2)

Relabel = Callable[[Array, Array, Keys], tuple[Array, Array]]

# Lower limit of learned deviations: without it the log-likelihood has no upper bound.
_LEAST_STD = 0.01


# --- networks -------------------------------------------------------------------------------------


class Generator(linen.Module):
    """Maps latents [B, Z] to images [B, H, W, C] in [-1, 1].

    A dense layer with batch normalization and ReLU is followed by DCGAN's generator. The second
    dense layer, which is DCGAN's first, is normalized by channel. In the authors' code it is
    normalized by unit.

    Attributes:
        shape: Height, width and channels of an image.
        width: Channels before the last layer.
        hidden: Units of the first dense layer.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Chen et al. 2016, table 1.
    """

    shape: tuple[int, int, int]
    width: int = 64
    hidden: int = 1024
    axis_name: str | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns generated images [B, H, W, C] in [-1, 1].

        Args:
            latents: Latents [B, Z], noise and codes.
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
        x = linen.Dense(self.hidden, use_bias=False, kernel_init=layers.normal_weights)(latents)
        x = jax.nn.relu(normalization.batch_norm(train, self.axis_name)(x))
        images = dcgan.Generator(self.shape, self.width, axis_name=self.axis_name)
        return images(x, train=train)


class Discriminator(linen.Module):
    """Maps images [B, H, W, C] to logits [B] and the features [B, hidden] before them.

    Stride-2 convolutions are followed by a dense layer. All layers but the first have batch
    normalization.

    Attributes:
        width: Channels of the first layer. They double with every layer.
        hidden: Units of the dense layer: number of features.
        leak: Slope of LeakyReLU for negative inputs.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch statistics are
            taken. None under jit.

    References:
        Chen et al. 2016, table 1.
    """

    width: int = 64
    hidden: int = 1024
    leak: float = 0.1
    axis_name: str | None = None

    @linen.compact
    def __call__(
        self, images: Array, *, keys: Keys | None = None, train: bool = False
    ) -> tuple[Array, Array]:
        """Returns logits [B] and features [B, hidden].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
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
    """Maps the discriminator's features [B, F] to the posterior of the codes: the layers of q.

    Attributes:
        codes: The codes to predict.
        leak: Slope of LeakyReLU for negative inputs.
        std: Standard deviation of the continuous codes. None learns one for each image and code.
        axis_name: Name of the batch's axis under shard_map or pmap, over which batch
            statistics are taken. None under jit.
        hidden: Units of the hidden layer.

    References:
        Chen et al. 2016, table 1.
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
        """Returns the posterior of the codes.

        Args:
            features: Features [B, F] of the discriminator.
            keys: Unused; every network takes it.
            train: Normalizes by the batch's statistics if True, by the running averages if False.
        """
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
    """Returns the posterior of the codes of images, with the running batch statistics.

    Args:
        state: State of the game.
        images: Images [B, H, W, C] in [-1, 1].
    """
    _, features = state["discriminator"](images)
    return state["q"](features)


def traversals(
    gan: GAN, state: GANState, shape: tuple[int, ...], *, rows: int = 10
) -> dict[str, Array]:
    """Returns traversals of the codes: images that differ in one code only.

    Each row of images varies one code from left to right. A categorical code takes its classes, a
    continuous one values from -2 to 2. All other codes and the noise are constant within a row.
    From row to row, the other categorical codes take their classes in turn.

    Args:
        gan: The InfoGAN.
        state: Its state.
        shape: Shape of an image.
        rows: Number of rows for each code.

    Returns:
        Images [rows, columns, *shape] by the code's name.

    References:
        Chen et al. 2016, figure 2.
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
    """Returns the objective of discriminator and q.

    It is the adversarial loss minus the information in generated images about their codes. Real
    images have no codes: q never sees them. Batch statistics are separate for real and generated
    images.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of the generator.
        told: Lower bound on the mutual information (`mutual_information.weighted`).
        relabel: Swaps real and fake logits before the loss (label flipping), or None.

    References:
        Chen et al. 2016, equation 6.
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
    """Returns the objective of the generator: adversarial loss minus information about its codes.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of the generator.
        told: Lower bound on the mutual information (`mutual_information.weighted`).

    References:
        Chen et al. 2016, equation 6.
    """

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
"""Schedule that updates all three players from the same state, on the same draw.

The authors' schedule alternates.
"""


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
    """Builds an InfoGAN.

    Args:
        shape: Height, width and channels of the images. The size must halve at least twice.
        loss: Adversarial loss.
        training: How the players are trained. The optimizer 'discriminator' updates the
            discriminator and q. Averages are kept of all three players.
        codes: Codes in the latent, to be recovered from images.
        latent_size: Size of the noise in the latent, next to the codes.
        prior: Prior of the noise: 'uniform', 'normal' or 'unit_uniform'.
        width: Channels of the convolutional layers next to the image.
        hidden: Units of the dense layers next to the latent and to the logit.
        leak: Slope for negative inputs of the LeakyReLU of discriminator and q.
        std: Standard deviation of the continuous codes given an image. None: q learns it.
        weights: Weight of the information about each kind of code.
        relabel: Swaps real and fake logits before the loss (label flipping), or None.

    Returns:
        The model. `sample(state, keys, c1=..., c2=...)` takes values of the codes by name. Codes
        left out are drawn from their prior.

    Raises:
        ValueError: The networks do not support the size, the prior is unknown, there are no valid
            codes, or `std` is not positive.

    References:
        Chen et al. 2016, sections 3 to 6, table 1.
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
    """Returns `sample(state, keys, **values)`, which raises ValueError for an unknown code."""

    def sample(state: GANState, keys: Keys, **values: Any) -> Array:
        objectives.require_known(values, codes.names)
        given = {name: jnp.asarray(value) for name, value in values.items()}
        known = {**mutual_information.drawn(codes, keys), **given}
        inside = random.fold(keys, objectives.GENERATOR_NOISE)
        latents = mutual_information.joined(codes, noise(keys), known)
        return state["generator"](latents, keys=inside)

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
