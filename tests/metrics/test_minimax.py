"""The value of the game against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special

from jaxgan.metrics import minimax


def test_an_undecided_discriminator_has_the_value_minus_log_4():
    assert minimax.value(np.zeros(5), np.zeros(7)) == pytest.approx(-math.log(4))


def test_it_is_the_mean_of_the_logarithms_and_survives_extreme_logits():
    real, fake = np.array([0.3, -1.2]), np.array([2.0, -0.5, 0.1])
    judged = scipy.special.expit
    expected = np.log(judged(real)).mean() + np.log(1 - judged(fake)).mean()
    assert minimax.value(real, fake) == pytest.approx(expected)
    assert minimax.value(np.array([-1e5]), np.array([1e5])) == -2e5
    assert minimax.value(np.array([1e5]), np.array([-1e5])) == 0.0
