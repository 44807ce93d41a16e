"""Numbers of which each model has its own are rounded as those of a single run."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.games.varied import Differs, Varied

VALUES = (0.9, 0.7, 3.0)


def of_each(function, *values):
    """What the function returns for each model, given a number and an array [3]."""
    met: set[str] = set()
    inputs = jnp.array([1.3, -2.1, 0.4])

    def one(index, x):
        return function(Varied(values or VALUES, index, name="weight", met=met), x)

    return np.asarray(jax.vmap(one)(jnp.arange(3), inputs)), inputs, met


@pytest.mark.parametrize(
    "formula",
    [
        lambda v, x: v * x,
        lambda v, x: x * v,
        lambda v, x: x / (1 - v) + 2 * v,  # 1 - v is taken in Python, before it is rounded
        lambda v, x: (v**2 - 1) * x,
        lambda v, x: 0.5 ** (8 / v) * x,
        lambda v, x: jnp.where(x > 0, v, -v) * x,
        lambda v, x: jax.nn.leaky_relu(x, v),  # a compiled function takes it
        lambda v, x: x * v if v > 0 and v != 2 else x * 0,
        lambda v, x: x * jnp.asarray(v),
    ],
)
def test_a_model_calculates_as_if_the_number_were_its_own(formula):
    found, inputs, met = of_each(formula)
    alone = [np.asarray(formula(value, x)) for value, x in zip(VALUES, inputs, strict=True)]
    np.testing.assert_array_equal(found, alone)
    assert met == {"weight"}


def test_a_number_keeps_the_precision_of_what_it_meets():
    index = jnp.zeros((), jnp.int32)
    number = Varied([0.5, 1.0], index, name="weight", met=set())
    assert (number * jnp.ones((), jnp.bfloat16)).dtype == jnp.bfloat16


def test_numbers_that_meet_no_array_are_not_used():
    _, _, met = of_each(lambda v, x: x * (2 if v > 0 else 3))
    assert met == set()


@pytest.mark.parametrize(
    "question",
    [
        lambda v: bool(v - 0.9),
        lambda v: v > 1,
        lambda v: v == 0.7,
        lambda v: max(v, 0.8),
        float,
        lambda v: range(round(v)),
        operator.index,
    ],
)
def test_what_is_not_the_same_for_all_models_is_refused(question):
    number = Varied(VALUES, jnp.zeros((), jnp.int32), name="weight", met=set())
    with pytest.raises((Differs, TypeError)):
        question(number)


def test_what_is_the_same_for_all_models_has_an_answer():
    index = jnp.zeros((), jnp.int32)
    number = Varied(VALUES, index, name="weight", met=set())
    assert number > 0 and not number < 0.7 and number != 5
    assert 0 <= number <= 3 and number and not number * 0
    assert float(number * 0) == 0.0
    assert number == Varied(VALUES, index, name="other", met=set())
    assert number != Varied(VALUES, jnp.zeros((), jnp.int32), name="weight", met=set())
    assert len({number, Varied(VALUES, index, name="weight", met=set())}) == 1
