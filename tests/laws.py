"""The models the laws run over: a new model adds its line to `CASES`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import losses, optimizers, penalties, steps
from jaxgan.games import (
    augmentation,
    bidirectional,
    builder,
    domain_translation,
    input_transforms,
    penalization,
)
from jaxgan.models import (
    bigan,
    conditional,
    cyclegan,
    dcgan,
    discogan,
    fastgan,
    infogan,
    pix2pix,
    progressive,
    projected,
    r3gan,
    semisupervised,
    srgan,
    text_to_image,
    vanilla,
)
from jaxgan.nn import text_encoder
from jaxgan.types import GAN
from tests.building import built

BATCH = 16


class Case(NamedTuple):
    """A model small enough for every law.

    build:   `build(axis_name=..., **changes) -> GAN`; `changes` override arguments of the model's
             own build and fields of its training.
    shape:   of an example.
    classes: of the labels in its batches; 0 for none.
    images:  the batch's images by name, with their shapes; without any, it is 'image' of `shape`.
    sides:   the players that a side of the schedule moves, where they are more than its namesake.
    rows:    examples one train step takes.
    exempt:  laws that do not hold for it, each with the reason.
    """

    name: str
    build: Callable[..., GAN]
    shape: tuple[int, ...]
    classes: int = 0
    rows: int = BATCH
    images: dict[str, tuple[int, ...]] = {}  # noqa: RUF012
    sides: dict[str, tuple[str, ...]] = {}  # noqa: RUF012
    exempt: dict[str, str] = {}  # noqa: RUF012


def descent(rate: float = 0.05) -> dict[str, optax.GradientTransformation]:
    """Plain gradient descent: in directions that BatchNorm removes Adam would scale rounding up
    (laws compare numbers).
    """
    return {"generator": optax.sgd(rate), "discriminator": optax.sgd(rate)}


def batch_of(case: Case, seed: int = 0, dtype: Any = np.float32) -> dict[str, Any]:
    """A batch for the case, a function of the seed."""
    draws = np.random.default_rng(seed)
    batch = {
        name: jnp.asarray(draws.uniform(-1, 1, (case.rows, *shape)).astype(dtype))
        for name, shape in (case.images or {"image": case.shape}).items()
    }
    if case.classes:
        batch["label"] = jnp.asarray(draws.integers(0, case.classes, case.rows).astype(np.int32))
    return batch


def at_double_precision(state: Any) -> Any:
    """The state with its float leaves in float64."""

    def widen(leaf: Any) -> Any:
        return leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf

    return jax.tree.map(widen, state)


_NORM = {"L4": "batch statistics are those of a slice, not of the batch"}

_common = {"loss": losses.non_saturating(), "optimizers": descent()}
_perceptrons = partial(
    built,
    vanilla.build,
    shape=(2,),
    latent_size=3,
    generator=vanilla.Generator((2,), (8,)),
    discriminator=vanilla.Discriminator((8, 8), pieces=2, input_dropout=0.2, dropout=0.3),
    **_common,
)
_convolutional = partial(
    built, dcgan.build, shape=(16, 16, 1), latent_size=3, width=2, ema_half_life=100.0, **_common
)


def _adaptive(build: Callable[..., GAN], axis_name: str | None = None, **changes: Any) -> GAN:
    schedule = augmentation.adapting(
        steps.alternate, images=8 * BATCH, period=2, axis_name=axis_name
    )
    adaptation = {
        "refine": input_transforms.for_both(augmentation.adaptive()),
        "extra": augmentation.initial(0.5),
        "schedule": schedule,
    }
    return build(axis_name=axis_name, **{**adaptation, **changes})


def _scheduled(build: Callable[..., GAN], axis_name: str | None = None, **changes: Any) -> GAN:
    schedule = augmentation.ramping(
        steps.alternate, probability=0.8, images=4 * BATCH, axis_name=axis_name
    )
    augmented = {
        "refine": input_transforms.for_both(augmentation.adaptive(tuple(augmentation.GROUPS))),
        "extra": augmentation.initial(0.5),
        "schedule": schedule,
    }
    return build(axis_name=axis_name, **{**augmented, **changes})


_conditional = partial(
    built, conditional.build, shape=(16, 16, 1), classes=3, latent_size=3, width=2, **_common
)
_growing = partial(
    built,
    progressive.build,
    shape=(16, 16, 1),
    level=1,
    rows=BATCH,
    fade_images=2 * BATCH,
    latent_size=3,
    width=2,
    max_width=4,
    group=2,
    penalty=partial(penalties.gradient_penalty, weight=1.0),
    loss=progressive.drifting(losses.wasserstein(), 1e-3),
    optimizers=descent(),
)

_few_labels = partial(
    built,
    semisupervised.build,
    shape=(4, 4, 1),
    classes=3,
    latent_size=3,
    hidden=(8, 6),
    generator_hidden=(8,),
    ema_half_life=100.0,
    optimizers=descent(),
)
_coded = partial(
    built,
    infogan.build,
    shape=(16, 16, 1),
    codes=infogan.Codes((3,), 1),
    latent_size=3,
    width=2,
    hidden=8,
    ema_half_life=100.0,
    **_common,
)
_inferred = partial(built, bigan.build, latent_size=3, features=4, **_common)

_pairs = partial(
    built,
    pix2pix.build,
    shape_a=(8, 8, 2),
    shape_b=(8, 8, 1),
    width=3,
    discriminator_width=2,
    patch_size=16,
    **_common,
)
_two_ways = partial(
    built,
    cyclegan.build,
    shape_a=(8, 8, 1),
    shape_b=(8, 8, 1),
    width=2,
    discriminator_width=2,
    patch_size=16,
    blocks=1,
    optimizers=descent(1e-3),
)


def _adaptive_two_ways(axis_name: str | None = None, **changes: Any) -> GAN:
    judges = domain_translation.DISCRIMINATORS
    schedule = augmentation.adapting(
        domain_translation.simultaneously,
        signal=("discriminator/a/real_sign", "discriminator/b/real_sign"),
        images=8 * BATCH,
        period=2,
        axis_name=axis_name,
    )
    adaptation = {
        "refine": input_transforms.for_both(augmentation.adaptive(), names=judges),
        "extra": augmentation.initial(0.5),
        "schedule": schedule,
    }
    return _two_ways(axis_name=axis_name, pool=0, **{**adaptation, **changes})


_discoveries = partial(
    built,
    discogan.build,
    shape_a=(16, 16, 1),
    shape_b=(16, 16, 1),
    width=2,
    discriminator_width=2,
    **_common,
)
_pairs_of_pieces = partial(
    built,
    srgan.build,
    shape=(16, 16, 1),
    factor=2,
    networks=srgan.Networks(blocks=1, width=2, discriminator_width=2),
    **_common,
)


def _enlargements(axis_name: str | None = None, **changes: Any) -> GAN:
    gan = _pairs_of_pieces(axis_name=axis_name, **changes)
    return srgan.of_images(gan, factor=2, size=(16, 16), axis_name=axis_name)


def _drawn_from_captions(axis_name: str | None = None, **changes: Any) -> GAN:
    options = {
        "shape": (16, 16, 1),
        "text_size": 4,
        "encoder": text_encoder.CharacterEncoder(21, 4, 2, 3),
        "latent_size": 3,
        "networks": text_to_image.Networks(width=2, discriminator_width=2, compressed=4),
    }
    gan = built(text_to_image.build, **{**_common, **options, "axis_name": axis_name, **changes})

    def step(state: Any, batch: Any) -> Any:
        roles = ("caption", "mismatched")
        codes = {role: jnp.round(10 * (1 + batch[role])).astype(jnp.int32) for role in roles}
        return gan.step(state, {**batch, **codes})

    return gan._replace(step=step)


_projected = partial(
    built,
    projected.build,
    shape=(16, 16, 1),
    features=projected.Features(projected.RandomNetwork((2, 3))),
    side=16,
    latent_size=3,
    width=2,
    discriminator_width=2,
    ema_half_life=100.0,
    optimizers=descent(),
)

_fast = partial(
    built,
    fastgan.build,
    shape=(16, 16, 1),
    classes=3,
    latent_size=3,
    width=2,
    discriminator_width=2,
    group=2,
    reconstruction=1.0,
    penalty=penalization.ZeroCentered(1.0, ("real",), stride=2),
    ema_half_life=100.0,
    optimizers=descent(),
)

_plain = partial(
    built,
    r3gan.build,
    shape=(16, 16, 1),
    classes=3,
    latent_size=3,
    maps=r3gan.resolutions((16, 16), width=4, max_width=8, blocks=1, group=8),
    penalty=penalization.ZeroCentered(lambda step: 1.0 + step),
    ema_half_life=lambda shown: 100.0 + shown,
    optimizers={
        name: optimizers.adam(1e-2, 0.0, lambda count: 0.9 + 0.01 * count, eps=1e-2)
        for name in ("generator", "discriminator")
    },
)

_both_ways = {
    "images": {"a": (8, 8, 1), "b": (8, 8, 1)},
    "sides": {
        "discriminator": domain_translation.DISCRIMINATORS,
        "generator": domain_translation.GENERATORS,
    },
}

CASES = [
    Case("vanilla", _perceptrons, (2,)),
    Case(
        "vanilla-3-critic-steps",
        partial(_perceptrons, schedule=partial(steps.alternate, n_critic=3)),
        (2,),
        rows=3 * BATCH,
    ),
    Case(
        "vanilla-scheduled",
        partial(
            _scheduled,
            _perceptrons,
            shape=(6, 5, 3),
            generator=vanilla.Generator((6, 5, 3), (8,)),
            discriminator=vanilla.Discriminator((8, 8)),
        ),
        (6, 5, 3),
    ),
    Case("vanilla-simultaneous", partial(_perceptrons, schedule=builder.simultaneously), (2,)),
    Case(
        "vanilla-relativistic",
        lambda axis_name=None, **changes: _perceptrons(
            **{
                "loss": losses.relativistic_average(axis_name=axis_name),
                "axis_name": axis_name,
                **changes,
            }
        ),
        (2,),
        exempt={
            "L1": "in part: the loss sees no shift of all logits, so the last bias stays",
            "L4": "the loss compares with the mean logit of a slice, not of the batch",
        },
    ),
    Case("dcgan", _convolutional, (16, 16, 1), exempt=_NORM),
    Case("lsgan", partial(_convolutional, loss=losses.least_squares()), (16, 16, 1), exempt=_NORM),
    Case(
        "wgan",
        partial(
            _convolutional,
            loss=losses.wasserstein(),
            projection=partial(penalties.clip_weights, limit=0.01),
            schedule=partial(steps.alternate, n_critic=2),
        ),
        (16, 16, 1),
        rows=2 * BATCH,
        exempt={**_NORM, "L1": "in part: the loss sees no shift of all logits"},
    ),
    Case(
        "wgan-gp",
        partial(
            _convolutional,
            loss=losses.wasserstein(),
            penalty=penalties.gradient_penalty,
            discriminator_norm="layer",
            optimizers=descent(1e-4),  # at a larger rate it explodes, and infinities equal nothing
        ),
        (16, 16, 1),
        exempt={**_NORM, "L1": "in part: the loss sees no shift of all logits"},
    ),
    Case(
        "dcgan-penalized",
        partial(
            _convolutional,
            penalty=penalization.ZeroCentered(lambda step: 1.0 + step, interval=3, stride=2),
            discriminator_norm="layer",
        ),
        (16, 16, 1),
        exempt=_NORM,
    ),
    Case(
        "sngan",
        partial(_convolutional, loss=losses.hinge(), discriminator_norm="spectral"),
        (16, 16, 1),
        exempt={**_NORM, "L1": "in part: within the margin the loss sees no shift of all logits"},
    ),
    Case(
        "dcgan-shared-noise",
        partial(_convolutional, shared_noise=True),
        (16, 16, 1),
        exempt={"L4": "a shared forward pass is not sliced"},
    ),
    Case("dcgan-ada", partial(_adaptive, _convolutional), (16, 16, 1), exempt=_NORM),
    Case("conditional", _conditional, (16, 16, 1), classes=3, exempt=_NORM),
    Case(
        "conditional-perceptron",
        partial(_conditional, architecture="perceptron"),
        (16, 16, 1),
        classes=3,
    ),
    Case(
        "progressive",
        _growing,
        (16, 16, 1),
        exempt={
            "L1": "in part: a level that has not begun to fade in does not move",
            "L4": "the groups of the minibatch's deviation are not those of a slice",
        },
    ),
    Case(
        "projected",
        _projected,
        (16, 16, 1),
        exempt={**_NORM, "L1": "in part: within the margin the loss sees no shift of all logits"},
    ),
    Case(
        "fastgan",
        _fast,
        (16, 16, 1),
        classes=3,
        rows=2 * BATCH,  # on each of 8 devices, the penalty's half of them has groups of 2
        exempt={**_NORM, "L1": "in part: within the margin the loss sees no shift of all logits"},
    ),
    Case(
        "r3gan",
        _plain,
        (16, 16, 1),
        classes=3,
        rows=2 * BATCH,
        exempt={"L1": "in part: at first the blocks are the identity, and most do not move"},
    ),
    Case(
        "infogan",
        _coded,
        (16, 16, 1),
        sides={"discriminator": ("discriminator", "q")},
        exempt=_NORM,
    ),
    Case(
        "infogan-ada",
        partial(_adaptive, _coded),
        (16, 16, 1),
        sides={"discriminator": ("discriminator", "q")},
        exempt=_NORM,
    ),
    Case(
        "semisupervised",
        _few_labels,
        (4, 4, 1),
        classes=3,
        images=dict.fromkeys(("image", "unlabeled", "reference"), (4, 4, 1)),
        exempt={"L4": "the means of features and batch statistics are those of a slice"},
    ),
    Case(
        "bigan",
        partial(_inferred, shape=(16, 16, 1), width=2, ema_half_life=100.0),
        (16, 16, 1),
        sides={"generator": bidirectional.PLAYERS},
        exempt=_NORM,
    ),
    Case(
        "ali",
        partial(_inferred, shape=(8, 8, 1), architecture="perceptron", stochastic=True),
        (8, 8, 1),
        sides={"generator": bidirectional.PLAYERS},
        exempt=_NORM,
    ),
    Case("pix2pix", _pairs, (8, 8, 1), images={"a": (8, 8, 2), "b": (8, 8, 1)}, exempt=_NORM),
    Case(
        "cyclegan",
        partial(_two_ways, pool=0, shared_noise=False, ema_half_life=100.0),
        (8, 8, 1),
        **_both_ways,
    ),
    Case(
        "cyclegan-pool",
        partial(_two_ways, pool=8),
        (8, 8, 1),
        **_both_ways,
        exempt={
            "L3": "under shard_map and pmap each shard has its own part of the pool",
            "L4": "a shared forward pass is not sliced",
        },
    ),
    Case(
        "cyclegan-ada",
        partial(_adaptive_two_ways, shared_noise=False),
        (8, 8, 1),
        **_both_ways,
    ),
    Case(
        "discogan",
        _discoveries,
        (16, 16, 1),
        images={"a": (16, 16, 1), "b": (16, 16, 1)},
        sides=_both_ways["sides"],
        exempt=_NORM,
    ),
    Case(
        "srgan",
        _enlargements,
        (16, 16, 1),
        images={"image": (18, 17, 1)},
        exempt=_NORM,
    ),
    Case(
        "text-to-image",
        _drawn_from_captions,
        (16, 16, 1),
        images={"image": (16, 16, 1), "caption": (8,), "mismatched": (8,)},
        exempt=_NORM,
    ),
]

BY_NAME = {case.name: case for case in CASES}

# What the others build on: the suite checks it in every mode.
FOUNDATION = ("vanilla", "dcgan", "conditional")

# Whose training of ten steps keeps two roundings of the same numbers together to 1e-10. That of
# others may not: in the tiny CycleGAN the difference grows a hundredfold a step.
TEN_STEPS = (*FOUNDATION, "conditional-perceptron")

# The networks of another case in another game, whose laws the slow target checks.
VARIANTS = (
    "vanilla-scheduled",
    "lsgan",
    "wgan",
    "wgan-gp",
    "dcgan-penalized",
    "sngan",
    "dcgan-shared-noise",
    "dcgan-ada",
    "infogan-ada",
    "cyclegan-pool",
    "cyclegan-ada",
)

# Whose programs take longest to compile, or that differ from another case in their schedule: the
# suite checks their L2, the slow target all laws.
HEAVY = (
    "progressive",
    "projected",
    "fastgan",
    "r3gan",
    "infogan",
    "semisupervised",
    "bigan",
    "ali",
    "pix2pix",
    "cyclegan",
    "discogan",
    "srgan",
    "text-to-image",
    "vanilla-3-critic-steps",
    "vanilla-simultaneous",
)


# Of those, the ones whose training the suite sees only in tests of their own.
HEAVIEST = (
    "fastgan",
    "projected",
    "r3gan",
    "bigan",
    "ali",
    "cyclegan",
    "discogan",
    "srgan",
    "text-to-image",
)


def names_except(law: str) -> list[str]:
    """Names of the cases for which the law holds."""
    return [case.name for case in CASES if law not in case.exempt]
