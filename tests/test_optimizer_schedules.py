"""Values that change with the step, by their closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import optimizers


def test_the_rate_is_constant_and_then_falls_linearly_to_zero():
    rate = optimizers.constant_then_linear(0.4, constant=3, decay=4)
    expected = [0.4, 0.4, 0.4, 0.4, 0.3, 0.2, 0.1, 0.0, 0.0]
    np.testing.assert_allclose([float(rate(step)) for step in range(9)], expected, atol=1e-7)


def test_without_a_decay_the_rate_stays():
    rate = optimizers.constant_then_linear(0.4, constant=3, decay=0)
    assert float(rate(100)) == pytest.approx(0.4)


def test_it_may_fall_from_the_start():
    rate = optimizers.constant_then_linear(1.0, constant=0, decay=2)
    np.testing.assert_allclose([float(rate(step)) for step in range(3)], [1.0, 0.5, 0.0])


@pytest.mark.parametrize(("constant", "decay"), [(0, 0), (-1, 5), (5, -1)])
def test_a_schedule_of_no_steps_is_refused(constant, decay):
    with pytest.raises(ValueError, match=f"constant for {constant} steps and decays over {decay}"):
        optimizers.constant_then_linear(0.1, constant=constant, decay=decay)


def test_a_rate_may_fall_from_a_share_of_the_steps_on():
    rate = optimizers.linear_from(0.4, 0.5, steps=4)
    found = [float(rate(step)) for step in range(6)]
    np.testing.assert_allclose(found, [0.4, 0.4, 0.4, 0.2, 0.0, 0.0], atol=1e-7)
    assert optimizers.linear_from(0.4, 1.0, steps=4) == 0.4  # no schedule, so no counter to keep


@pytest.mark.parametrize("share", [-0.5, 1.5])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="expected no negative number"):
        optimizers.linear_from(0.1, share, steps=4)


def test_half_a_cosine_between_two_values():
    rate = optimizers.cosine_between(2e-4, 5e-5, over=20e6)
    found = [float(rate(n)) for n in (0, 5e6, 10e6, 15e6, 20e6, 30e6)]
    expected = [2e-4, 1.780330e-4, 1.25e-4, 7.196699e-5, 5e-5, 5e-5]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="the schedule ends after 0"):
        optimizers.cosine_between(1.0, 0.0, over=0)


def test_a_schedule_over_images_counts_more_of_them_than_int32_holds():
    shown = optimizers.by_images(lambda images: images, 4096)
    assert float(shown(np.int32(1_000_000))) == 4.096e9


def test_adam_with_a_scheduled_beta2_corrects_the_bias_by_the_present_one():
    beta2 = optimizers.cosine_between(0.5, 0.9, over=2)
    optimizer, params = optimizers.adam(0.1, 0.0, beta2, eps=0.0), np.zeros((), np.float32)
    state, square = optimizer.init(params), 0.0
    for count, (beta, gradient) in enumerate(zip([0.5, 0.7, 0.9], [1.0, 2.0, -3.0], strict=True)):
        update, state = optimizer.update(np.float32(gradient), state, params)
        square = beta * square + (1 - beta) * gradient**2
        expected = -0.1 * gradient / np.sqrt(square / (1 - beta ** (count + 1)))
        assert float(update) == pytest.approx(expected, rel=1e-5)
