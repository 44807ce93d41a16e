"""Adversarial losses on logits: pairs of small, unreduced formulas with their papers.

Both losses of a pair are *minimized* and return one value per logit: [B], or [B, H, W, 1] for a
PatchGAN discriminator. Reduce them with a mean. A higher logit always means "more real". Logits of
fewer than 32 bits are converted to float32 first. Nothing is clipped: a value beyond the range of
float32 is infinite, never NaN.

Examples:
    >>> import jax.numpy as jnp
    >>> from jaxgan import losses
    >>> loss = losses.non_saturating()
    >>> real_logits, fake_logits = jnp.array([2.0, 0.0]), jnp.array([0.0, -2.0])
    >>> round(float(jnp.mean(loss.discriminator(real_logits, fake_logits))), 3)
    0.82
    >>> round(float(jnp.mean(loss.generator(fake_logits))), 3)
    1.41
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
    """The losses of the two players, both minimized.

    Attributes:
        discriminator: `(real_logits, fake_logits) -> loss`, all of one shape.
        generator: `(fake_logits, real_logits=None) -> loss`, of the logits' shape.
        relativistic: Whether the generator's loss needs real logits. If so, it raises ValueError
            without them.
        boundary: Logit above which an optimal discriminator classifies an example as real
            (`logit > boundary`): there, real examples are more likely than generated ones. None if
            a single logit has no such meaning.
        estimates: Quantities that the logits estimate, to be reported next to the loss, by name:
            `(real_logits, fake_logits) -> values`, whose mean is the estimate.
    """

    discriminator: Callable[[Array, Array], Array]
    generator: Callable[..., Array]
    relativistic: bool
    boundary: float | None
    estimates: Mapping[str, Callable[[Array, Array], Array]] = types.MappingProxyType({})


# --- separable losses: a term for real logits, a term for fake ones ---------------------------


def minimax(*, real_label: float = 1.0) -> AdversarialLoss:
    """Zero-sum game; the generator minimizes log(1 - D(fake)).

    It saturates: the generator's gradient, -sigmoid(logit), vanishes if the discriminator
    recognizes the fakes.

    Args:
        real_label: Target for real examples, in (0, 1]. See `non_saturating`.

    Raises:
        ValueError: Unless 0 < real_label <= 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> values = losses.minimax().generator(jnp.array([-2.0, 0.0, 2.0]))
        >>> [round(value, 3) for value in values.tolist()]
        [-0.127, -0.693, -2.127]

    References:
        Goodfellow et al. 2014, Generative Adversarial Nets, eq. 1.
    """
    return _cross_entropy(lambda fake: -jax.nn.softplus(fake), real_label)


def non_saturating(*, real_label: float = 1.0) -> AdversarialLoss:
    """Cross-entropy; the generator maximizes log D(fake).

    Args:
        real_label: Target for real examples, in (0, 1]. Below 1 (often 0.9) it is one-sided label
            smoothing: the optimal discriminator becomes real_label p / (p + q), and `boundary`
            moves accordingly.

    Raises:
        ValueError: Unless 0 < real_label <= 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> loss = losses.non_saturating()
        >>> [round(value, 3) for value in loss.generator(jnp.array([-2.0, 0.0, 2.0])).tolist()]
        [2.127, 0.693, 0.127]
        >>> round(losses.non_saturating(real_label=0.9).boundary, 3)
        -0.201

    References:
        Goodfellow et al. 2014, Generative Adversarial Nets, section 3.
        Salimans et al. 2016, Improved Techniques for Training GANs, section 3.4 (label smoothing).
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
    """LSGAN: squared distances of the logits to labels.

    The paper's labels are a = `fake`, b = `real` and c = `target`. With (-1, 1, 0) the generator
    minimizes Pearson's chi-squared divergence between 2q and p + q.

    Args:
        fake: Discriminator's label of generated examples.
        real: Discriminator's label of real examples.
        target: Generator's label of generated examples.
        factor: Factor of all terms. It matters if another loss is added: it is 1/2 in the paper and
            1 in CycleGAN's code.

    Raises:
        ValueError: Unless fake < real.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> loss = losses.least_squares()
        >>> print(loss.generator(jnp.array([1.0, 0.0])), loss.boundary)
        [0.  0.5] 0.5

    References:
        Mao et al. 2017, Least Squares Generative Adversarial Networks, eq. 2.
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
    """The negative of the critic's estimate of the Wasserstein distance.

    The critic's slope must be bounded by `penalties.gradient_penalty` or `penalties.clip_weights`.
    If the slope is at most K, the estimate is at most K times the distance. The estimate is
    reported as 'wasserstein'.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> loss, real, fake = losses.wasserstein(), jnp.array([3.0]), jnp.array([1.0])
        >>> print(loss.discriminator(real, fake), loss.estimates["wasserstein"](real, fake))
        [-2.] [2.]

    References:
        Arjovsky et al. 2017, Wasserstein GAN, eq. 2 and 3.
    """
    critic = _separable(real=jnp.negative, fake=jnp.positive, generator=jnp.negative, boundary=None)
    return critic._replace(estimates={"wasserstein": jnp.subtract})


def hinge() -> AdversarialLoss:
    """The hinge loss.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> print(losses.hinge().discriminator(jnp.array([0.5, 2.0]), jnp.array([-2.0, 0.0])))
        [0.5 1. ]

    References:
        Lim and Ye 2017, Geometric GAN.
        Miyato et al. 2018, Spectral Normalization for GANs, eq. 16 and 17.
    """
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
        del real_logits  # accepted so that all losses have the same signature
        return generator(_at_least_float32(fake_logits))

    return AdversarialLoss(discriminator_loss, generator_loss, False, boundary)


# --- relativistic losses: how much more real one logit is than another ------------------------


def relativistic_paired() -> AdversarialLoss:
    """RpGAN (RSGAN): the real logit of row i against the fake logit of row i.

    Only differences of logits matter, so a single logit has no meaning and there is no boundary.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> real, fake = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
        >>> values = losses.relativistic_paired().discriminator(real, fake)
        >>> [round(value, 3) for value in values.tolist()]
        [0.127, 2.127]

    References:
        Jolicoeur-Martineau 2019, The relativistic discriminator (RSGAN).
        Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN).
    """
    return _relativistic(lambda more_real, less_real: jax.nn.softplus(less_real - more_real))


def relativistic_average(*, axis_name: str | None = None) -> AdversarialLoss:
    """RaGAN (RaSGAN): each logit against the mean logit of the other kind.

    The mean is over all logits of the whole batch, including patches. It couples the examples.

    Args:
        axis_name: Name of the batch's mesh axis, needed under shard_map and pmap.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> real, fake = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
        >>> values = losses.relativistic_average().generator(fake, real)
        >>> [round(value, 3) for value in values.tolist()]
        [2.627, 0.627]

    References:
        Jolicoeur-Martineau 2019, The relativistic discriminator (RaSGAN).
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
    """Returns the pair whose generator minimizes the discriminator's loss with roles exchanged."""

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
    """An f-divergence D(p||q) = E_q f(p/q) in variational form.

    As in the paper, 'jensen_shannon' is twice the usual divergence, and 'gan' is that minus log 4.

    Attributes:
        generator: The convex function f of u > 0.
        optimal: The maximizer T* = f'(r) of E_p T - E_q f*(T), as a function of the ratio r = p/q.
        activation: The increasing output activation g_f, from a logit v to T in the domain of the
            conjugate f*.
        conjugate: f*(g_f(v)), simplified so that it neither overflows early nor cancels.
        boundary: The logit v with g_f(v) = f'(1).

    References:
        Nowozin et al. 2016, f-GAN, tables 1 and 2.
    """

    generator: Formula
    optimal: Formula
    activation: Formula
    conjugate: Formula
    boundary: float = 0.0


# `exp(v) - 1` instead of `expm1(v)`: JAX computes the derivative of expm1 from its rounded value,
# which would vanish in float32 below v = -17.
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
    """f-GAN: a zero-sum game on E_p g_f(v) - E_q f*(g_f(v)).

    The minimum of the discriminator's loss is -D(p||q).

    Args:
        divergence: Name of an entry of `DIVERGENCES`.

    Raises:
        ValueError: If there is no divergence of this name.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> loss = losses.f_gan("pearson")
        >>> print(loss.discriminator(jnp.array([2.0]), jnp.array([-2.0])))
        [-3.]

    References:
        Nowozin et al. 2016, f-GAN, eq. 6.
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
    """Returns the loss called `name` in `LOSSES`.

    Args:
        name: One of the keys of `LOSSES`.
        **options: Arguments of the loss's constructor.

    Raises:
        ValueError: If there is no such loss. The message lists all names and suggests the closest.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses
        >>> loss = losses.by_name("least_squares", factor=1.0)
        >>> print(loss.generator(jnp.array([1.0, 0.0])))
        [0. 1.]
        >>> losses.by_name("hinj")
        Traceback (most recent call last):
        ValueError: no adversarial loss is called 'hinj'; did you mean 'hinge'? The names are ...
    """
    return _look_up(name, LOSSES, "adversarial loss")(**options)


def flip_labels(
    real_logits: Array, fake_logits: Array, keys: Keys, *, probability: float
) -> tuple[Array, Array]:
    """Returns the logits with real and fake exchanged at random (noisy labels).

    Use it for the discriminator only: pass the result to `loss.discriminator`. All patches of an
    example are exchanged together.

    Args:
        real_logits: Logits of real examples, [B] or [B, H, W, 1].
        fake_logits: Logits of generated examples, of the same shape.
        keys: Keys [B], one per row of the logits. A discriminator of packs has fewer rows of logits
            than examples.
        probability: Probability of an exchange, in [0, 1].

    Returns:
        The new real logits and the new fake logits.

    Raises:
        ValueError: If the probability is outside [0, 1], the shapes differ, or the number of keys
            is not the number of rows.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import losses, random
        >>> keys = random.row_keys(jax.random.key(0), 2)
        >>> real, fake = jnp.array([2.0, 3.0]), jnp.array([-2.0, -3.0])
        >>> print(*losses.flip_labels(real, fake, keys, probability=1.0))
        [-2. -3.] [2. 3.]
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"the probability of a flip is {probability}; expected one in [0, 1]")
    real_logits, fake_logits = _pair(real_logits, fake_logits)
    if real_logits.shape[0] != len(keys):
        raise ValueError(
            f"there are {len(keys)} keys for {real_logits.shape[0]} rows of logits; expected one "
            "for each; for a discriminator of packs, give the keys of the packs' first examples"
        )
    flips = random.bernoulli(random.fold(keys, "flip_labels"), (), probability=probability)
    flips = flips.reshape(-1, *[1] * (real_logits.ndim - 1))
    return (
        jnp.where(flips, fake_logits, real_logits),
        jnp.where(flips, real_logits, fake_logits),
    )


def _pair(real_logits: Array, fake_logits: Array) -> tuple[Array, Array]:
    # [B] and [B, 1] would silently broadcast to [B, B].
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
