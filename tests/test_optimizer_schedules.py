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
