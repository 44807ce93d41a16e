"""The Frechet distance against closed forms, and the proxy FID on the embedded garments."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import scipy.linalg

from jaxgan import data
from jaxgan.metrics import fid, garments


def gaussian(mean, covariance):
    """Moments of a Gaussian with this mean and covariance."""
    count = 101
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    return fid.Moments(count, mean, covariance * (count - 1))


def rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def features(count, size, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size)) @ np.diag(np.arange(1, size + 1))


def test_commuting_covariances_have_the_closed_form():
    size = 12
    turn, draws = rotation(size), np.random.default_rng(1)
    (m1, m2), (v1, v2) = draws.normal(size=(2, size)), draws.uniform(0, 4, size=(2, size))
    expected = np.sum((m1 - m2) ** 2) + np.sum((np.sqrt(v1) - np.sqrt(v2)) ** 2)
    left = gaussian(m1, turn * v1 @ turn.T)
    right = gaussian(m2, turn * v2 @ turn.T)
    assert fid.frechet_distance(left, right) == pytest.approx(expected, abs=1e-6)


def test_equal_covariances_leave_the_distance_of_the_means():
    covariance = np.cov(features(50, 6).T)
    left, right = gaussian(np.zeros(6), covariance), gaussian(np.full(6, 0.5), covariance)
    assert fid.frechet_distance(left, right) == pytest.approx(6 * 0.25, abs=1e-9)


def test_one_feature_has_the_distance_of_two_normal_variables():
    left, right = gaussian([1.0], [[4.0]]), gaussian([-2.0], [[0.25]])
    assert fid.frechet_distance(left, right) == pytest.approx(9 + (2 - 0.5) ** 2, abs=1e-9)


def test_any_covariances_agree_with_the_matrix_square_root():
    left, right = (np.cov(features(60, 8, seed).T) for seed in (0, 1))
    root = scipy.linalg.sqrtm(left @ right).real
    expected = np.trace(left) + np.trace(right) - 2 * np.trace(root)
    found = fid.frechet_distance(gaussian(np.zeros(8), left), gaussian(np.zeros(8), right))
    assert found == pytest.approx(expected, abs=1e-6)
    assert found > 1


@pytest.mark.parametrize("count", [5, 400])
def test_a_set_is_at_distance_zero_from_itself_even_where_features_outnumber_its_images(count):
    same = fid.moments(features(count, 20))
    assert fid.frechet_distance(same, same) == pytest.approx(0, abs=1e-9)


def test_it_is_symmetric_and_grows_with_a_shift():
    left, right = (fid.moments(features(100, 5, seed)) for seed in (0, 1))
    forth = fid.frechet_distance(left, right)
    assert fid.frechet_distance(right, left) == pytest.approx(forth, rel=1e-9)
    moved = fid.moments(features(100, 5) + 3)
    assert fid.frechet_distance(left, moved) == pytest.approx(5 * 9, rel=1e-9)


def test_moments_are_those_of_numpy_and_pieces_add_up_far_from_zero():
    whole = features(103, 7) + 1e4
    found = fid.moments(whole)
    np.testing.assert_allclose(found.covariance, np.cov(whole.T), rtol=1e-9)
    pieces = [whole[:1], whole[1:40], whole[40:]]
    streamed = functools.reduce(fid.merged, map(fid.moments, pieces))
    assert streamed.count == 103
    np.testing.assert_allclose(streamed.mean, np.mean(whole, axis=0), rtol=1e-12)
    np.testing.assert_allclose(streamed.covariance, found.covariance, rtol=1e-9, atol=1e-9)


def test_single_precision_features_lose_nothing_more():
    whole = (features(200, 3) + 1e3).astype(np.float32)
    np.testing.assert_allclose(
        fid.moments(whole).covariance, np.cov(whole.astype(np.float64).T), rtol=1e-9
    )


def test_what_has_no_moments_is_refused():
    with pytest.raises(ValueError, match=r"shape \(0, 3\)"):
        fid.moments(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="at least 2 rows of features; got 1"):
        fid.moments(np.zeros((1, 3))).covariance  # noqa: B018 - the property raises


def test_infinitely_many_rows_of_the_real_distribution_are_at_distance_zero():
    size = 20
    drawn = np.random.default_rng(3).normal(size=(4000, size))
    real = gaussian(np.zeros(size), np.eye(size))
    biased = fid.frechet_distance(fid.moments(drawn[:400]), real)
    found = fid.frechet_infinity(drawn, real, smallest=400)
    assert biased > 0.1
    assert abs(found) < biased / 20
    assert found == fid.frechet_infinity(drawn, real, smallest=400)


def test_the_extrapolation_finds_a_distance_that_is_there():
    size = 10
    drawn = np.random.default_rng(4).normal(size=(4000, size)) + 0.3
    found = fid.frechet_infinity(drawn, gaussian(np.zeros(size), np.eye(size)), smallest=400)
    assert found == pytest.approx(0.09 * size, rel=0.05)


def test_too_few_rows_are_not_extrapolated_from():
    with pytest.raises(ValueError, match="9999 rows of features cannot be extrapolated"):
        fid.frechet_infinity(features(9999, 2), gaussian(np.zeros(2), np.eye(2)))


def test_the_metric_streams_and_warns_of_few_images():
    stream, compute, *_ = fid.metric()
    whole = features(5000, 3)
    state = stream.update(stream.update(stream.init(), whole[:70]), whole[70:])
    many = fid.moments(whole)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compute(state, many) == {"fid": pytest.approx(0, abs=1e-9)}
    with pytest.warns(fid.FewImages, match="of 2047 generated images says little"):
        compute(fid.moments(whole[:2047]), many)


@pytest.fixture(scope="module")
def held_out():
    return data.load("fashion").held_out.float_images()


@pytest.mark.slow
def test_the_proxy_fid_orders_real_images_blurred_ones_and_noise(held_out):
    half, other = held_out[::2], held_out[1::2]
    blurred = (other + np.roll(other, 1, axis=1) + np.roll(other, 1, axis=2)) / 3
    noise = np.random.default_rng(0).uniform(-1, 1, other.shape)
    one_class = np.repeat(other[:1], len(other), axis=0)
    real, soft, poor = (fid.proxy_fid(images, half) for images in (other, blurred, noise))
    assert 0 < real < soft < poor
    assert fid.proxy_fid(one_class, half) > 10 * real
    assert fid.proxy_fid(half, half) == pytest.approx(0, abs=1e-6)


def test_the_proxy_fid_is_that_of_the_judges_features_in_pieces_or_not(held_out):
    images = held_out[:300]
    expected = fid.moments(garments.judge(images)[1])
    found = fid.image_moments(images, piece=128)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-4, atol=1e-6)


def test_the_judge_sees_other_sizes_and_colors_at_its_own(held_out):
    images = held_out[:20]
    np.testing.assert_array_equal(garments.fitted(images), images)
    larger = np.repeat(np.repeat(images, 2, axis=1), 2, axis=2)
    seen = garments.fitted(np.repeat(larger, 3, axis=3))
    assert seen.shape == (20, 28, 28, 1)
    assert np.mean(np.abs(seen - images)) < 0.1
    between = images + 0.4 / 127.5
    np.testing.assert_array_equal(garments.fitted(between), images)
