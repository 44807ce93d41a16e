"""Adversarial losses: values, derivatives, extreme logits and precision."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses

# (real logit, fake logit), then the discriminator's and the generator's loss at each pair, worked
# out to 17 digits from the papers' own definitions; the relativistic average over a batch of one.
PAIRS = np.array([(1.5, -0.5), (-2.0, 3.0), (0.25, 0.75)])
VALUES = {
    "minimax": [
        (0.67549026216285909, 5.1755153626167146, 1.7128104259937435),
        (-0.47407698418010668, -3.0485873515737421, -1.1368710061148999),
    ],
    "non_saturating": [
        (0.67549026216285909, 5.1755153626167146, 1.7128104259937435),
        (0.97407698418010668, 0.048587351573742059, 0.38687100611489994),
    ],
    "least_squares": [(0.25, 9.0, 0.5625), (1.125, 2.0, 0.03125)],
    "wasserstein": [(-2.0, 5.0, 0.5), (0.5, -3.0, -0.75)],
    "hinge": [(0.5, 7.0, 2.5), (0.5, -3.0, -0.75)],
    "relativistic_paired": [
        (0.1269280110429725, 5.0067153484891181, 0.97407698418010668),
        (2.1269280110429725, 0.0067153484891180686, 0.47407698418010668),
    ],
    "relativistic_average": [
        (0.25385602208594499, 10.013430696978236, 1.9481539683602134),
        (4.253856022085945, 0.013430696978236137, 0.94815396836021336),
    ],
    "f_gan_kl": [
        (-1.2768698398515702, 9.3890560989306502, 0.52880078307140487),
        (-0.22313016014842983, -7.3890560989306502, -0.77880078307140487),
    ],
    "f_gan_reverse_kl": [
        (-1.2768698398515702, 9.3890560989306502, 0.52880078307140487),
        (1.5, -2.0, 0.25),
    ],
    "f_gan_pearson": [(-1.9375, 7.25, 0.640625), (0.4375, -5.25, -0.890625)],
    "f_gan_squared_hellinger": [
        (-1.1703391801389367, 25.474593022118318, 0.89580079968407954),
        (0.39346934028736658, -19.085536923187668, -1.1170000166126747),
    ],
    "f_gan_jensen_shannon": [
        (-0.71080409895703153, 3.7892210014968239, 0.32651606487385289),
        (0.21907019637983863, -2.3554401710137967, -0.44372382555495463),
    ],
    "f_gan_gan": [
        (0.67549026216285909, 5.1755153626167146, 1.7128104259937435),
        (-0.47407698418010668, -3.0485873515737421, -1.1368710061148999),
    ],
    "f_gan_total_variation": [
        (-0.6836327054524381, 0.97954116688127367, 0.19511514499178909),
        (0.23105857863000488, -0.49752737684336523, -0.31757447619364366),
    ],
}


# --- closed forms in NumPy, in float64 -----------------------------------------------------------


class Term(NamedTuple):
    """A function of one logit, and its derivative."""

    value: Callable
    slope: Callable


def negated(term):
    return Term(lambda v: -term.value(v), lambda v: -term.slope(v))


def mirrored(term):
    return Term(lambda v: term.value(-v), lambda v: -term.slope(-v))


def softplus(v):
    return np.logaddexp(0.0, v)


def sigmoid(v):
    return np.exp(-np.logaddexp(0.0, -v))


SOFTPLUS = Term(softplus, sigmoid)
IDENTITY = Term(lambda v: v, np.ones_like)
HINGE = Term(lambda v: np.maximum(1 + v, 0), lambda v: 1.0 * (v > -1))
GROWTH = Term(lambda v: np.exp(v) - 1, np.exp)
HALF_TANH = Term(lambda v: np.tanh(v) / 2, lambda v: 2 * sigmoid(2 * v) * sigmoid(-2 * v))


def half_square(label):
    return Term(lambda v: (v - label) ** 2 / 2, lambda v: v - label)


class Reference(NamedTuple):
    """A player's loss of (real, fake), and its derivatives by both."""

    value: Callable
    slopes: Callable


def separable(real, fake, generator):
    """The references of the discriminator and the generator."""
    return (
        Reference(
            lambda r, f: real.value(r) + fake.value(f), lambda r, f: (real.slope(r), fake.slope(f))
        ),
        Reference(
            lambda r, f: generator.value(f), lambda r, f: (np.zeros_like(r), generator.slope(f))
        ),
    )


def zero_sum(real, fake):
    return separable(real, fake, negated(fake))


def relativistic(factor):
    return (
        Reference(
            lambda r, f: factor * softplus(f - r),
            lambda r, f: (-factor * sigmoid(f - r), factor * sigmoid(f - r)),
        ),
        Reference(
            lambda r, f: factor * softplus(r - f),
            lambda r, f: (factor * sigmoid(r - f), -factor * sigmoid(r - f)),
        ),
    )


REFERENCES = {
    "minimax": zero_sum(mirrored(SOFTPLUS), SOFTPLUS),
    "non_saturating": separable(mirrored(SOFTPLUS), SOFTPLUS, mirrored(SOFTPLUS)),
    "least_squares": separable(half_square(1), half_square(0), half_square(1)),
    "wasserstein": zero_sum(negated(IDENTITY), IDENTITY),
    "hinge": separable(mirrored(HINGE), HINGE, negated(IDENTITY)),
    "relativistic_paired": relativistic(1),
    "relativistic_average": relativistic(2),
    "f_gan_kl": zero_sum(negated(IDENTITY), Term(lambda v: np.exp(v - 1), lambda v: np.exp(v - 1))),
    "f_gan_reverse_kl": zero_sum(
        Term(lambda v: np.exp(-v), lambda v: -np.exp(-v)), Term(lambda v: v - 1, np.ones_like)
    ),
    "f_gan_pearson": zero_sum(negated(IDENTITY), Term(lambda v: v**2 / 4 + v, lambda v: v / 2 + 1)),
    "f_gan_squared_hellinger": zero_sum(mirrored(GROWTH), GROWTH),
    "f_gan_jensen_shannon": zero_sum(
        Term(lambda v: softplus(-v) - np.log(2), lambda v: -sigmoid(-v)),
        Term(lambda v: softplus(v) - np.log(2), sigmoid),
    ),
    "f_gan_gan": zero_sum(mirrored(SOFTPLUS), SOFTPLUS),
    "f_gan_total_variation": zero_sum(negated(HALF_TANH), HALF_TANH),
}
NAMES = tuple(losses.LOSSES)


def evaluate(name, real, fake):
    """[player, (loss, derivative by real, by fake), N] at logits [N], each pair its own batch."""
    loss = losses.by_name(name)

    def discriminator(real, fake):
        return loss.discriminator(real[None], fake[None])[0]

    def generator(real, fake):
        return loss.generator(fake[None], real[None])[0]

    def value_and_slopes(player):
        value, by_logits = jax.vmap(jax.value_and_grad(player, argnums=(0, 1)))(real, fake)
        return jnp.stack([value, *by_logits])

    return jnp.stack([value_and_slopes(discriminator), value_and_slopes(generator)])


def expected(name, real, fake):
    """What `evaluate` should give, in float64."""
    real, fake = np.float64(real), np.float64(fake)
    with np.errstate(over="ignore"):
        return np.array(
            [[player.value(real, fake), *player.slopes(real, fake)] for player in REFERENCES[name]]
        )


compiled = jax.jit(evaluate, static_argnums=0)


def grid(*logits):
    """All pairs (real, fake) of the logits: [2, N]."""
    return np.array(list(itertools.product(logits, logits))).T


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


# --- values and derivatives ----------------------------------------------------------------------


def test_every_registered_loss_has_reference_values():
    assert set(VALUES) == set(REFERENCES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_values_by_hand(name, float64):
    np.testing.assert_allclose(evaluate(name, *PAIRS.T)[:, 0], VALUES[name], rtol=2e-15)


def test_least_squares_with_other_labels_by_hand(float64):
    loss = losses.least_squares(fake=-1, real=2, target=0.5)
    real, fake = jnp.array([3.0, 0.0]), jnp.array([-3.0, 1.5])
    np.testing.assert_allclose(loss.discriminator(real, fake), [0.5 + 2.0, 2.0 + 3.125])
    np.testing.assert_allclose(loss.generator(fake), [6.125, 0.5])
    assert loss.boundary == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_values_and_derivatives_are_the_closed_forms(name, float64):
    pairs = grid(-30.0, -7.5, -1.25, 0.0, 0.5, 12.0)
    got, exact = compiled(name, *pairs), expected(name, *pairs)
    np.testing.assert_allclose(got, exact, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_finite_differences(name, float64):
    pairs, step = grid(-7.3, -2.3, -0.4, 0.7, 1.9, 3.3), 1e-5
    slopes = compiled(name, *pairs)[:, 1:]
    for by, nudge in enumerate(([[step], [0.0]], [[0.0], [step]])):
        rise = compiled(name, *(pairs + nudge)) - compiled(name, *(pairs - nudge))
        np.testing.assert_allclose(slopes[:, by], rise[:, 0] / (2 * step), rtol=1e-7, atol=1e-7)


def test_the_saturating_gradient_is_the_non_saturating_one_times_the_odds(float64):
    logits = jnp.array([-20.0, -1.0, 0.0, 2.0])
    saturating = jax.grad(lambda v: jnp.sum(losses.minimax().generator(v)))(logits)
    other = jax.grad(lambda v: jnp.sum(losses.non_saturating().generator(v)))(logits)
    np.testing.assert_allclose(saturating, other * np.exp(logits), rtol=1e-13)
    np.testing.assert_allclose([saturating[2], other[2]], -0.5, rtol=1e-15)


# --- extremes and precision ----------------------------------------------------------------------


@pytest.mark.parametrize("run", [evaluate, compiled], ids=["eager", "jit"])
@pytest.mark.parametrize("name", NAMES)
def test_extreme_logits_give_the_exact_value_or_infinity_never_nan(name, run):
    pairs = np.float32(grid(-1e30, -1e4, -1.0, 1.0, 1e4, 1e30))
    got = run(name, *pairs)
    assert got.dtype == jnp.float32
    assert not np.isnan(got).any()
    with np.errstate(over="ignore"):
        exact = np.float32(expected(name, *pairs))
    np.testing.assert_allclose(got, exact, rtol=1e-6)


# The slope of tanh is computed as 1 - tanh^2, which in float32 is all rounding beyond 9.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "f_gan_total_variation"])
def test_float32_derivatives_keep_their_relative_accuracy_in_the_tails(name):
    pairs = np.float32(grid(-40, -20, -5, 5, 20, 40))
    got, exact = compiled(name, *pairs), expected(name, *pairs)
    np.testing.assert_allclose(got[:, 1:], exact[:, 1:], rtol=5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_logits_are_computed_on_in_float32(name):
    loss = losses.by_name(name)
    real, fake = jnp.array([[1.5, -2.03, 0.25], [-0.51, 3.0, 0.7]], jnp.bfloat16)
    wide = real.astype(jnp.float32), fake.astype(jnp.float32)
    np.testing.assert_array_equal(
        loss.discriminator(real, fake), loss.discriminator(*wide), strict=True
    )
    np.testing.assert_array_equal(
        loss.generator(fake, real), loss.generator(wide[1], wide[0]), strict=True
    )
    gradient = jax.grad(lambda v: jnp.mean(loss.generator(v, real)))(fake)
    assert gradient.dtype == jnp.bfloat16
    assert np.isfinite(gradient.astype(jnp.float32)).all()
