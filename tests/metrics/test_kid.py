"""The kernel distance against the formula written out, and the laws of an unbiased estimate."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from jaxgan.metrics import kid, streaming


def features(count, size=6, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(count, size)) + shift


def by_hand(left, right):
    """Gretton et al. 2012, equation 3, term by term."""
    size = left.shape[1]

    def k(x, y):
        return (float(np.dot(x, y)) / size + 1) ** 3

    n, m = len(left), len(right)
    within_left = sum(k(*pair) for pair in itertools.permutations(left, 2)) / (n * (n - 1))
    within_right = sum(k(*pair) for pair in itertools.permutations(right, 2)) / (m * (m - 1))
    across = sum(k(x, y) for x in left for y in right) / (n * m)
    return within_left + within_right - 2 * across


@pytest.mark.parametrize(("n", "m"), [(2, 2), (7, 12)])
def test_the_squared_distance_is_the_sum_over_pairs(n, m):
    left, right = features(n, seed=1), features(m, seed=2, shift=0.5)
    expected = by_hand(left, right)
    assert kid.squared_distance(left, right) == pytest.approx(expected, rel=1e-9)
    single = kid.squared_distance(left.astype(np.float32), right.astype(np.float32))
    assert single == pytest.approx(expected, rel=1e-4)


def test_blocks_add_up_to_the_whole(monkeypatch):
    left, right = features(50), features(41, seed=1)
    whole = kid.squared_distance(left, right)
    monkeypatch.setattr(kid, "_BLOCK", 7)
    assert kid.squared_distance(left, right) == pytest.approx(whole, rel=1e-9)


def test_two_sets_of_one_distribution_are_at_zero_on_average_and_often_below():
    estimates = [
        kid.squared_distance(features(30, seed=2 * i), features(30, seed=2 * i + 1))
        for i in range(400)
    ]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates)) < 3 * error
    assert 0.4 < np.mean(np.array(estimates) < 0) < 0.75


def test_the_distance_grows_with_a_shift_and_is_symmetric():
    base = features(200)
    found = [kid.squared_distance(base, features(200, seed=1, shift=s)) for s in (0, 0.5, 1)]
    assert found[0] < found[1] < found[2]
    assert kid.squared_distance(features(9), features(8, seed=1)) == pytest.approx(
        kid.squared_distance(features(8, seed=1), features(9)), rel=1e-9
    )


def test_kid_is_the_mean_and_deviation_over_its_subsets():
    left, right = features(40), features(60, seed=1, shift=0.3)
    draws = np.random.default_rng(5)
    expected = []
    for _ in range(4):
        ours = left[draws.choice(40, 10, replace=False)]
        theirs = right[draws.choice(60, 10, replace=False)]
        expected.append(by_hand(ours, theirs))
    found = kid.kid(left, right, subsets=4, size=10, seed=5)
    assert found.mean == pytest.approx(np.mean(expected), rel=1e-6)
    assert found.deviation == pytest.approx(np.std(expected), rel=1e-6)
    assert found == kid.kid(left, right, subsets=4, size=10, seed=5)


def test_subsets_as_large_as_the_sets_hold_every_row_once():
    left, right = features(20), features(20, seed=1)
    found = kid.kid(left, right, subsets=3, size=20)
    assert found.mean == pytest.approx(kid.squared_distance(left, right), rel=1e-9)
    assert found.deviation == pytest.approx(0, abs=1e-12)


def test_the_metric_shrinks_its_subsets_to_a_small_set():
    left, right = streaming.Rows(features(30)), streaming.Rows(features(20, seed=1))
    with pytest.warns(kid.SmallSubsets, match="subsets of 10 images, as a set has only 20"):
        numbers = kid.metric(subsets=3, size=1000).compute(left, right)
    found = kid.kid(left.rows, right.rows, subsets=3, size=10)
    assert numbers == {"kid": found.mean, "kid_deviation": found.deviation}


@pytest.mark.parametrize("counts", [(40, 40), (40, 90), (90, 40)])
def test_a_set_of_no_more_images_than_a_subset_has_a_deviation(counts):
    left, right = (streaming.Rows(features(count, seed=seed)) for seed, count in enumerate(counts))
    with pytest.warns(kid.SmallSubsets):
        numbers = kid.metric(size=40).compute(left, right)
    whole = kid.squared_distance(left.rows, right.rows)
    assert numbers["kid_deviation"] > 0.01
    # The mean over many halves is near the estimate from all.
    error = numbers["kid_deviation"] / np.sqrt(100)
    assert numbers["kid"] == pytest.approx(whole, abs=3 * error + 0.02)


def test_larger_sets_keep_the_subsets_that_were_asked_for():
    left, right = streaming.Rows(features(41)), streaming.Rows(features(60, seed=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numbers = kid.metric(subsets=3, size=40).compute(left, right)
    found = kid.kid(left.rows, right.rows, subsets=3, size=40)
    assert numbers == {"kid": found.mean, "kid_deviation": found.deviation}


def test_of_two_images_there_is_no_deviation():
    left, right = streaming.Rows(features(9)), streaming.Rows(features(2, seed=1))
    with pytest.warns(kid.SmallSubsets):
        numbers = kid.metric().compute(left, right)
    assert np.isfinite(numbers["kid"])
    assert np.isnan(numbers["kid_deviation"])


def test_what_cannot_be_estimated_is_refused():
    with pytest.raises(ValueError, match="40 generated rows of features for subsets of 1000"):
        kid.kid(features(40), features(2000, seed=1))
    with pytest.raises(ValueError, match="1 rows of features; expected 2 or more"):
        kid.squared_distance(features(1), features(3))
    with pytest.raises(ValueError, match=r"shapes \(6,\) and \(5,\)"):
        kid.squared_distance(features(3), features(3, size=5))
    with pytest.raises(ValueError, match="not all finite"):
        kid.squared_distance(features(3) * np.nan, features(3))
