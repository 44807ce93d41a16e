"""Adversarial losses on logits: pairs of small, unreduced formulas, each with its paper.

Both members of a pair are written to be *minimized* and return one value for each logit: [B], or
[B, H, W, 1] for a discriminator of patches. Reduce them with a mean. A higher logit always means
"more real". Logits of fewer than 32 bits are taken to float32 first. Nothing is clipped: a value
beyond float32 is infinite, never NaN.
"""

from __future__ import annotations

import difflib
import functools
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.scipy.special import xlogy

from jaxgan import collectives, random
from jaxgan.random import Keys
from jaxgan.types import Array

Formula = Callable[[Array], Array]
Entry = TypeVar("Entry")


class AdversarialLoss(NamedTuple):
    """What the two players minimize.

    discriminator: `(real_logits, fake_logits) -> loss`, all of one shape.
    generator:     `(fake_logits, real_logits=None) -> loss`, of the logits' shape.
    relativistic:  the generator's loss needs real logits, and raises ValueError without them.
    boundary:      an optimal discriminator's logit exceeds it exactly where real examples are the
                   likelier ones: "judged real" is `logit > boundary`. None where a logit alone has
                   no such meaning.
    estimates:     by name, what the logits estimate beside the loss, to be reported:
                   `(real_logits, fake_logits) -> values`, whose mean is the estimate.
    """

    discriminator: Callable[[Array, Array], Array]
    generator: Callable[..., Array]
    relativistic: bool
    boundary: float | None
    estimates: Mapping[str, Callable[[Array, Array], Array]] = types.MappingProxyType({})


# --- separable losses: a term for real logits, a term for fake ones ---------------------------


def minimax(*, real_label: float = 1.0) -> AdversarialLoss:
    """The zero-sum game (Goodfellow et al. 2014, eq. 1): the generator minimizes log(1 - D(fake)).

    It saturates: the generator's gradient, -sigmoid(logit), vanishes where fakes are recognized.
    For `real_label` see `non_saturating`.
    """
    return _cross_entropy(lambda fake: -jax.nn.softplus(fake), real_label)


def non_saturating(*, real_label: float = 1.0) -> AdversarialLoss:
    """Cross-entropy; the generator maximizes log D(fake) (Goodfellow et al. 2014, section 3).

    `real_label` below 1 is one-sided label smoothing (Salimans et al. 2016, section 3.4; often
    0.9): the optimal discriminator becomes real_label p / (p + q), and `boundary` follows.
    Raises ValueError unless 0 < real_label <= 1.
    """
    return _cross_entropy(lambda fake: jax.nn.softplus(-fake), real_label)


def _cross_entropy(generator: Formula, real_label: float) -> AdversarialLoss:
    if not 0 < real_label <= 1:
        raise ValueError(f"the label of real examples is {real_label}; expected 0 < label <= 1")

    def smoothed(real: Array) -> Array:
        return real_label * jax.nn.softplus(-real) + (1 - real_label) * jax.nn.softplus(real)

    return _separable(
        real=(lambda real: jax.nn.softplus(-real)) if real_label == 1 else smoothed,
        fake=jax.nn.softplus,
        generator=generator,
        boundary=math.log(real_label / (2 - real_label)),
    )


def least_squares(
    *, fake: float = 0.0, real: float = 1.0, target: float = 1.0, factor: float = 0.5
) -> AdversarialLoss:
    """LSGAN with its factors 1/2 and labels a=fake, b=real, c=target (Mao et al. 2017, eq. 2).

    The labels (-1, 1, 0) make it minimize Pearson's chi-squared divergence between 2q and p + q.
    Where another loss is added, the factor counts: CycleGAN's code has 1 where Mao has 1/2.
    Raises ValueError unless fake < real.
    """
    if not fake < real:
        raise ValueError(f"the labels are fake={fake}, real={real}; expected fake < real")
    return _separable(
        real=lambda logits: factor * jnp.square(logits - real),
        fake=lambda logits: factor * jnp.square(logits - fake),
        generator=lambda logits: factor * jnp.square(logits - target),
        boundary=(fake + real) / 2,
    )


def wasserstein() -> AdversarialLoss:
    """Minus the critic's estimate of the Wasserstein distance (Arjovsky et al. 2017, eq. 2, 3).

    The critic's slope must be bounded: `penalties.gradient_penalty` or `penalties.clip_weights`.
    Of a slope of at most K, the estimate is K times the distance or less.
    """
    critic = _separable(real=jnp.negative, fake=jnp.positive, generator=jnp.negative, boundary=None)
    return critic._replace(estimates={"wasserstein": jnp.subtract})


def hinge() -> AdversarialLoss:
    """The hinge loss (Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17)."""
    return _separable(
        real=lambda logits: jax.nn.relu(1 - logits),
        fake=lambda logits: jax.nn.relu(1 + logits),
        generator=jnp.negative,
        boundary=0.0,
    )


def _separable(
    *, real: Formula, fake: Formula, generator: Formula, boundary: float | None
) -> AdversarialLoss:
    def discriminator_loss(real_logits: Array, fake_logits: Array) -> Array:
        real_logits, fake_logits = _pair(real_logits, fake_logits)
        return real(real_logits) + fake(fake_logits)

    def generator_loss(fake_logits: Array, real_logits: Array | None = None) -> Array:
        del real_logits  # taken so that every loss can be called alike
        return generator(_at_least_float32(fake_logits))

    return AdversarialLoss(discriminator_loss, generator_loss, False, boundary)


# --- relativistic losses: how much more real than the other kind ------------------------------


def relativistic_paired() -> AdversarialLoss:
    """RpGAN (Jolicoeur-Martineau 2019, RSGAN; Huang et al. 2024): real row i against fake row i.

    Only differences of logits matter, so one logit says nothing: there is no boundary.
    """
    return _relativistic(lambda more_real, less_real: jax.nn.softplus(less_real - more_real))


def relativistic_average(*, axis_name: str | None = None) -> AdversarialLoss:
    """RaGAN (Jolicoeur-Martineau 2019, RaSGAN): each logit against the mean of the other kind.

    The mean is over all logits of the whole batch, patches included. It couples the examples:
    under shard_map and pmap the name of the batch's axis is needed.
    """

    def mean(logits: Array) -> Array:
        per_example = jnp.mean(logits.reshape(logits.shape[0], -1), axis=1)
        return collectives.batch_mean(per_example, axis_name)

    def loss(more_real: Array, less_real: Array) -> Array:
        above = more_real - mean(less_real)
        below = less_real - mean(more_real)
        return jax.nn.softplus(-above) + jax.nn.softplus(below)

    return _relativistic(loss)


def _relativistic(loss: Callable[[Array, Array], Array]) -> AdversarialLoss:
    """The pair whose generator plays the discriminator's game with the roles exchanged."""

    def discriminator_loss(real_logits: Array, fake_logits: Array) -> Array:
        return loss(*_pair(real_logits, fake_logits))

    def generator_loss(fake_logits: Array, real_logits: Array | None = None) -> Array:
        if real_logits is None:
            raise ValueError(
                "a relativistic loss compares fake logits with real ones: "
                "call generator(fake_logits, real_logits)"
            )
        real_logits, fake_logits = _pair(real_logits, fake_logits)
        return loss(fake_logits, real_logits)

    return AdversarialLoss(discriminator_loss, generator_loss, True, None)


# --- f-divergences ----------------------------------------------------------------------------


class Divergence(NamedTuple):
    """An f-divergence D(p||q) = E_q f(p/q) in variational form (Nowozin et al. 2016, tables 1, 2).

    generator:  the convex f of u > 0.
    optimal:    the maximizer T* = f'(r) of E_p T - E_q f*(T), as a function of the ratio r = p/q.
    activation: g_f, from a logit v to T in the domain of the conjugate f*; increasing.
    conjugate:  f*(g_f(v)), simplified so that it neither overflows early nor cancels.
    boundary:   the logit v at which g_f(v) = f'(1).

    As there, 'jensen_shannon' is twice the usual divergence, and 'gan' that minus log 4.
    """

    generator: Formula
    optimal: Formula
    activation: Formula
    conjugate: Formula
    boundary: float = 0.0


# `exp(v) - 1` and not `expm1(v)`: jax takes the derivative of expm1 from its rounded value, so that
# in float32 it would vanish below v = -17.
DIVERGENCES: Mapping[str, Divergence] = {
    "kl": Divergence(
        generator=lambda u: xlogy(u, u),
        optimal=lambda r: 1 + jnp.log(r),
        activation=jnp.positive,
        conjugate=lambda v: jnp.exp(v - 1),
        boundary=1.0,
    ),
    "reverse_kl": Divergence(
        generator=lambda u: -jnp.log(u),
        optimal=lambda r: -1 / r,
        activation=lambda v: -jnp.exp(-v),
        conjugate=lambda v: v - 1,
    ),
    "pearson": Divergence(
        generator=lambda u: jnp.square(u - 1),
        optimal=lambda r: 2 * (r - 1),
        activation=jnp.positive,
        conjugate=lambda v: v * (v / 4 + 1),
    ),
    "squared_hellinger": Divergence(
        generator=lambda u: jnp.square(jnp.sqrt(u) - 1),
        optimal=lambda r: 1 - 1 / jnp.sqrt(r),
        activation=lambda v: 1 - jnp.exp(-v),
        conjugate=lambda v: jnp.exp(v) - 1,
    ),
    "jensen_shannon": Divergence(
        generator=lambda u: xlogy(u, u) - xlogy(u + 1, (u + 1) / 2),
        optimal=lambda r: jnp.log(2 * r / (1 + r)),
        activation=lambda v: math.log(2) - jax.nn.softplus(-v),
        conjugate=lambda v: jax.nn.softplus(v) - math.log(2),
    ),
    "gan": Divergence(
        generator=lambda u: xlogy(u, u) - xlogy(u + 1, u + 1),
        optimal=lambda r: jnp.log(r / (1 + r)),
        activation=lambda v: -jax.nn.softplus(-v),
        conjugate=jax.nn.softplus,
    ),
    "total_variation": Divergence(
        generator=lambda u: jnp.abs(u - 1) / 2,
        optimal=lambda r: jnp.sign(r - 1) / 2,
        activation=lambda v: jnp.tanh(v) / 2,
        conjugate=lambda v: jnp.tanh(v) / 2,
    ),
}


def f_gan(divergence: str) -> AdversarialLoss:
    """f-GAN (Nowozin et al. 2016, eq. 6): both players on E_p g_f(v) - E_q f*(g_f(v)), zero-sum.

    `divergence` is a name of `DIVERGENCES`. The least discriminator loss is minus D(p||q).
    Raises ValueError on another name.
    """
    entry = _look_up(divergence, DIVERGENCES, "f-divergence")
    return _separable(
        real=lambda logits: -entry.activation(logits),
        fake=entry.conjugate,
        generator=lambda logits: -entry.conjugate(logits),
        boundary=entry.boundary,
    )


# --- by name, and label flipping --------------------------------------------------------------


LOSSES: Mapping[str, Callable[..., AdversarialLoss]] = {
    "minimax": minimax,
    "non_saturating": non_saturating,
    "least_squares": least_squares,
    "wasserstein": wasserstein,
    "hinge": hinge,
    "relativistic_paired": relativistic_paired,
    "relativistic_average": relativistic_average,
    **{f"f_gan_{name}": functools.partial(f_gan, name) for name in DIVERGENCES},
}


def by_name(name: str, **options: Any) -> AdversarialLoss:
    """The loss called `name` in `LOSSES`, built with its constructor's options.

    Raises ValueError on another name, listing all and suggesting the closest.
    """
    return _look_up(name, LOSSES, "adversarial loss")(**options)


def flip_labels(
    real_logits: Array, fake_logits: Array, keys: Keys, *, probability: float
) -> tuple[Array, Array]:
    """The logits with each example's real and fake exchanged at the given probability (keys [B]).

    For the discriminator alone: give the result to `loss.discriminator`. An example's patches flip
    together. Raises ValueError unless 0 <= probability <= 1, the shapes agree, and there is a key
    for each row of the logits (of packs there are fewer rows than examples).
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"the probability of a flip is {probability}; expected one in [0, 1]")
    real_logits, fake_logits = _pair(real_logits, fake_logits)
    if real_logits.shape[0] != len(keys):
        raise ValueError(
            f"there are {len(keys)} keys for {real_logits.shape[0]} rows of logits; expected one "
            "for each: where the discriminator judges packs, give the keys of their first rows"
        )
    flips = random.bernoulli(random.fold(keys, "flip_labels"), (), probability=probability)
    flips = flips.reshape(-1, *[1] * (real_logits.ndim - 1))
    return (
        jnp.where(flips, fake_logits, real_logits),
        jnp.where(flips, real_logits, fake_logits),
    )


def _pair(real_logits: Array, fake_logits: Array) -> tuple[Array, Array]:
    # [B] against [B, 1] would broadcast to [B, B] without a word.
    real_logits, fake_logits = _at_least_float32(real_logits), _at_least_float32(fake_logits)
    if real_logits.shape != fake_logits.shape:
        raise ValueError(
            f"real logits have shape {real_logits.shape} but fake logits {fake_logits.shape}; "
            "give both the same shape, [B] or [B, H, W, 1]"
        )
    return real_logits, fake_logits


def _at_least_float32(logits: Array) -> Array:
    logits = jnp.asarray(logits)
    return logits.astype(jnp.promote_types(logits.dtype, jnp.float32))


def _look_up(name: str, table: Mapping[str, Entry], kind: str) -> Entry:
    if name in table:
        return table[name]
    closest = difflib.get_close_matches(name, table, n=1, cutoff=0.4)
    hint = f"did you mean {closest[0]!r}? " if closest else ""
    raise ValueError(f"no {kind} is called {name!r}; {hint}The names are {', '.join(table)}")
