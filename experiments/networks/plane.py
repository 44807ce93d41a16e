"""A GAN on the plane, alone or with one more method, as `experiments.cures` trains it.

The GAN is that of the unrolled GAN's notebook (Metz et al. 2017), on which the papers compare:
perceptrons of two hidden layers of 128 tanh units, orthogonal weights of gain 1.4, Adam with beta1
0.5, and learning rates of 1e-4 (discriminator) and 1e-3 (generator), updated simultaneously. The
notebook's game is zero-sum ("minimax"); all other rows have the non-saturating generator loss.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as linen
import jax.numpy as jnp
import optax

from jaxgan import losses, optimizers, penalties, random, steps
from jaxgan.games import (
    builder,
    input_transforms,
    objectives,
    penalization,
    regularizers,
    two_player,
)
from jaxgan.games.training import Refinement, Schedule, Training, unrefined
from jaxgan.nn import layers, minibatch, packing, virtual_batch_norm
from jaxgan.random import Keys
from jaxgan.steps import shared_forward
from jaxgan.types import GAN, Array, Objective, Step

HIDDEN = (128, 128)
LAYER = "Dense_1"
REFERENCE = 64
GAMMA = 0.03


_dense = partial(linen.Dense, kernel_init=layers.orthogonal(1.4))


class Generator(linen.Module):
    """Maps latents [B, Z] to points [B, 2].

    `norm()` makes a normalization of the pre-activations, or is None.
    """

    norm: Callable[[], Callable[[Array], Array]] | None = None

    @linen.compact
    def __call__(self, latents: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the points."""
        x = latents
        for width in HIDDEN:
            x = _dense(width)(x)
            x = jnp.tanh(x if self.norm is None else self.norm()(x))
        return _dense(2)(x)


class Discriminator(linen.Module):
    """Maps points [B, D] to logits [B].

    `statistic()` makes a module that adds features of the batch to the last layer's input, or is
    None.
    """

    statistic: Callable[[], Callable[[Array], Array]] | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns the logits."""
        x = images
        for width in HIDDEN:
            x = jnp.tanh(_dense(width)(x))
        if self.statistic is not None:
            x = self.statistic()(x)
        return _dense(1)(x)[:, 0]


Objectives = tuple[Objective, Objective]
"""The discriminator's and the generator's objective."""


class Recipe(NamedTuple):
    """The components of a GAN on the plane.

    Attributes:
        generator: The generator.
        discriminator: The discriminator.
        loss: The adversarial loss.
        penalty: Penalty on the discriminator, or None.
        optimizers: Optimizer of each player.
        refine: Maps the two objectives to those that are trained.
        schedule: Combines the two players' steps into one.
        rows: Examples per step, as a multiple of the batch size.
    """

    generator: linen.Module = Generator()
    discriminator: linen.Module = Discriminator()
    loss: losses.AdversarialLoss = losses.non_saturating()
    penalty: penalization.Penalty | None = None
    optimizers: dict[str, optax.GradientTransformation] = {  # noqa: RUF012 - never mutated
        "generator": optimizers.adam(1e-3),
        "discriminator": optimizers.adam(1e-4),
    }
    refine: Refinement = unrefined
    schedule: Schedule = builder.simultaneously
    rows: int = 1


def latents(size: int) -> objectives.Draw:
    """Returns a function of keys that draws latents [B, size] from N(0, 1)."""
    return partial(random.latents, size=size)


def build(recipe: Recipe, latents: objectives.Draw, **training: Any) -> GAN:
    """Returns the model of the recipe.

    Args:
        recipe: The components of the GAN.
        latents: Draws latents by keys.
        **training: Further fields of `Training`.
    """
    return two_player.build(
        recipe.generator,
        recipe.discriminator,
        shape=(2,),
        loss=recipe.loss,
        latents=latents,
        training=Training(
            recipe.optimizers, schedule=recipe.schedule, refine=recipe.refine, **training
        ),
        penalty=recipe.penalty,
    )


def rows(
    count: int, latents: objectives.Draw, *, axis_name: str | None = None
) -> dict[str, Recipe]:
    """Returns the recipes by the name of the method that is added to the GAN.

    Args:
        count: Number of train steps of the run.
        latents: Draws latents by keys.
        axis_name: Mapped axis over which the batch is split, or None.
    """
    noise = input_transforms.instance_noise(optax.linear_schedule(0.2, 0.0, count // 2))
    features = partial(_with_features, objectives.fakes(latents), axis_name=axis_name)
    unrolling = partial(_unrolling, axis_name=axis_name)
    table = {
        "GAN": Recipe(),
        "minimax": Recipe(loss=losses.minimax()),
        "two step sizes": Recipe(optimizers=_adams(2.5e-4, 1e-3)),
        "label smoothing": Recipe(loss=losses.non_saturating(real_label=0.9)),
        "instance noise": Recipe(refine=input_transforms.for_both(noise)),
        "feature matching": features(regularizers.feature_matching),
        "Gaussian KL": features(regularizers.gaussian_kl),
        "Gaussian JS": features(regularizers.gaussian_js),
        "mode seeking": _with_term(
            regularizers.mode_seeking(latents, axis_name=axis_name), weight=0.1
        ),
        "historical averaging": Recipe(optimizers=_after(optimizers.historical_averaging(1e-2))),
        "optimistic": Recipe(optimizers=_before(optimizers.optimistic())),
        "extragradient": Recipe(schedule=_extragradient),
        "consensus": Recipe(refine=partial(_consensus, axis_name=axis_name)),
        "minibatch stddev": _seeing(partial(minibatch.MinibatchStddev, group=4)),
        "minibatch discrimination": _seeing(
            partial(minibatch.MinibatchDiscrimination, kernels=16, group=32)
        ),
        "virtual batch norm": Recipe(
            generator=virtual_batch_norm.Reference(
                Generator(partial(virtual_batch_norm.VirtualBatchNorm, REFERENCE)), REFERENCE
            )
        ),
        "minimax, unrolled 5": unrolling(5)._replace(loss=losses.minimax()),
        "WGAN-GP": _wgan_gp(),
        "RpGAN, R1 and R2": _rpgan(count),
    }
    packs = {f"packing {size}": _packing(size) for size in (2, 3, 4)}
    return {**table, **packs, **{f"unrolled {count}": unrolling(count) for count in (1, 5)}}


def _adams(
    generator: optax.ScalarOrSchedule, discriminator: optax.ScalarOrSchedule, **options: Any
) -> dict[str, Any]:
    return {
        "generator": optimizers.adam(generator, **options),
        "discriminator": optimizers.adam(discriminator, **options),
    }


def _after(first: optax.GradientTransformation) -> dict[str, Any]:
    return {n: optax.chain(first, adam) for n, adam in Recipe().optimizers.items()}


def _before(last: optax.GradientTransformation) -> dict[str, Any]:
    return {n: optax.chain(adam, last) for n, adam in Recipe().optimizers.items()}


def _with_term(term: regularizers.Term, *, weight: float = 1.0) -> Recipe:
    def refine(judge: Objective, generate: Objective) -> Objectives:
        return judge, regularizers.plus(generate, term, name="term", weight=weight)

    return Recipe(refine=refine)


def _with_features(
    draw: shared_forward.Forward, measure: Callable[..., Array], *, axis_name: str | None
) -> Recipe:
    over_batch = partial(measure, axis_name=axis_name)
    return _with_term(regularizers.between_features(draw, LAYER, over_batch))


def _seeing(statistic: Callable[[], Callable[[Array], Array]]) -> Recipe:
    return Recipe(discriminator=Discriminator(statistic))


def _extragradient(discriminator: Step, generator: Step) -> Step:
    return steps.extragradient({"discriminator": discriminator, "generator": generator})


def _consensus(judge: Objective, generate: Objective, *, axis_name: str | None) -> Objectives:
    agreed = steps.consensus(
        {"discriminator": judge, "generator": generate}, weight=1.0, axis_name=axis_name
    )
    return agreed["discriminator"], agreed["generator"]


def _packing(size: int) -> Recipe:
    # As many packs as there were examples: the discriminator has the same number of logits.
    return Recipe(discriminator=packing.Packed(Discriminator(), size), rows=size)


def _unrolling(count: int, *, axis_name: str | None) -> Recipe:
    def refine(judge: Objective, generate: Objective) -> Objectives:
        ahead = steps.unrolled(generate, {"discriminator": judge}, count=count, axis_name=axis_name)
        return judge, ahead

    # The authors' 1e-8, under the root: outside, the root's derivative is infinite at gradient 0.
    smooth = optimizers.adam(1e-4, eps_root=1e-16)
    return Recipe(refine=refine, optimizers={**Recipe().optimizers, "discriminator": smooth})


def _wgan_gp() -> Recipe:
    """The weight, critic updates and Adam settings of the toy of Gulrajani et al. 2017."""
    return Recipe(
        loss=losses.wasserstein(),
        penalty=partial(penalties.gradient_penalty, weight=0.1),
        optimizers=_adams(1e-4, 1e-4, beta1=0.5, beta2=0.9),
        schedule=partial(steps.alternate, n_critic=5),
        rows=5,
    )


def _rpgan(count: int) -> Recipe:
    """The loss of R3GAN (Huang et al. 2024) with its penalties in every step.

    The learning rates fall linearly to 0 over the second half of the `count` steps.
    """
    rate = optimizers.linear_from(5e-3, 0.5, steps=count)

    def penalty(judge: Callable[[Array], Array], real: Array, fake: Array, keys: Keys) -> Array:
        return penalties.r1(judge, real, gamma=GAMMA) + penalties.r2(judge, fake, gamma=GAMMA)

    return Recipe(
        loss=losses.relativistic_paired(),
        penalty=penalty,
        optimizers=_adams(rate, rate, beta1=0.0, beta2=0.99),
        schedule=steps.alternate,
    )
