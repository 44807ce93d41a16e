"""Mode coverage, calibrated on the mixtures themselves and on generators that fail as known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from jaxgan.data import mixtures
from jaxgan.metrics import modes

both = pytest.mark.parametrize("mixture", [mixtures.ring(), mixtures.grid()], ids=lambda m: m.name)


def draws(mixture, count, seed=0):
    return mixture.batch(seed=seed, step=0, size=count)["image"].astype(np.float64)


@both
def test_the_mixture_itself_scores_what_a_perfect_generator_can(mixture):
    pieces = [modes.coverage(draws(mixture, 100_000, seed), mixture) for seed in range(10)]
    whole = modes.Coverage(sum(piece.counts for piece in pieces), 1_000_000)
    assert whole.high_quality == pytest.approx(1 - math.exp(-9 / 2), abs=5e-4)
    assert whole.captured == whole.filled == len(mixture.centers)
    assert whole.reverse_kl == pytest.approx(0, abs=5e-5)


@both
def test_few_draws_leave_the_known_floor_of_the_reverse_kl(mixture):
    floors = [modes.coverage(draws(mixture, 2500, s), mixture).reverse_kl for s in range(200)]
    assert np.mean(floors) == pytest.approx((len(mixture.centers) - 1) / 5000, rel=0.05)


@both
def test_one_mode_is_the_logarithm_of_their_number_and_a_stray_point_captures_but_does_not_fill(
    mixture,
):
    collapsed = np.repeat(mixture.centers[:1], 2499, axis=0)
    found = modes.coverage(collapsed, mixture)
    assert (found.captured, found.filled, found.high_quality) == (1, 1, 1.0)
    assert found.reverse_kl == pytest.approx(math.log(len(mixture.centers)))
    astray = modes.coverage(np.concatenate([collapsed, mixture.centers[3:4]]), mixture)
    assert (astray.captured, astray.filled) == (2, 1)


def test_half_of_the_modes_evenly_are_the_logarithm_of_two():
    ring = mixtures.ring()
    found = modes.coverage(np.tile(ring.centers[::2], (10, 1)), ring)
    assert found.captured == 4
    assert found.reverse_kl == pytest.approx(math.log(2))


def test_quality_ends_at_a_radius_of_three_deviations_and_only_good_points_count():
    grid = mixtures.grid()
    along = np.array([[2.999], [3.001], [-2.999], [-3.001]]) * grid.std * np.array([[0.6, 0.8]])
    found = modes.coverage(grid.centers[7] + along, grid)
    assert found.counts[7] == np.sum(found.counts) == 2
    assert found.high_quality == 0.5


def test_points_of_no_quality_capture_nothing_and_stray_infinitely():
    ring = mixtures.ring()
    found = modes.coverage(np.array([[0.0, 0.0], [np.nan, 1.0], [np.inf, 0.0]]), ring)
    assert (found.captured, found.filled, found.high_quality) == (0, 0, 0.0)
    assert found.reverse_kl == math.inf


def test_a_point_on_the_line_is_measured_too():
    line = mixtures.gauss1d()
    found = modes.coverage(draws(line, 20_000), line)
    assert found.high_quality == pytest.approx(0.9973, abs=0.0015)


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((5, 3)), np.zeros(2)])
def test_points_of_another_shape_are_refused(points):
    with pytest.raises(ValueError, match=r"expected \[N, 2\], N at least 1"):
        modes.coverage(points, mixtures.ring())
