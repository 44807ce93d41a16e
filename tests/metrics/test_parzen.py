"""The Parzen-window log-likelihood against Gaussians and against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxgan.metrics import parzen


def rows(count, size=4, seed=0):
    return np.random.default_rng(seed).uniform(size=(count, size))


def by_definition(samples, test, sigma):
    log_densities = [
        scipy.stats.multivariate_normal.logpdf(test, mean=sample, cov=sigma**2)
        for sample in samples
    ]
    return scipy.special.logsumexp(log_densities, axis=0) - np.log(len(samples))


def test_one_center_is_the_gaussian():
    center, test = rows(1), rows(9, seed=1)
    expected = scipy.stats.multivariate_normal.logpdf(test, mean=center[0], cov=0.3**2)
    np.testing.assert_allclose(parzen.log_likelihood(center, test, 0.3), expected, rtol=1e-9)


@pytest.mark.parametrize("sigma", [0.01, 0.2, 3.0])
def test_many_centers_are_their_mixture(sigma):
    samples, test = rows(30), rows(11, seed=1)
    expected = by_definition(samples, test, sigma)
    np.testing.assert_allclose(parzen.log_likelihood(samples, test, sigma), expected, rtol=1e-6)


def test_more_test_rows_than_a_block_are_each_their_own():
    samples, test = rows(20), rows(1203, seed=1)
    whole = parzen.log_likelihood(samples, test, 0.2)
    assert whole.shape == (1203,)
    last = parzen.log_likelihood(samples, test[1000:], 0.2)
    np.testing.assert_allclose(whole[1000:], last, rtol=1e-12)


def test_narrow_windows_far_from_every_sample_underflow_nowhere():
    found = parzen.log_likelihood(np.zeros((3, 784)), np.ones((2, 784)), 0.01)
    expected = -784 / (2 * 0.01**2) - 784 * np.log(0.01 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_widths_are_those_of_2014():
    np.testing.assert_allclose(parzen.SIGMAS, 10 ** np.linspace(-1, 0, 10))


def test_the_width_is_chosen_on_the_first_validation_rows_and_never_on_the_test():
    samples, test = rows(50), rows(40, seed=1)
    near, far = samples + 0.01, samples + 5.0
    validation = np.concatenate([near, far])
    means = [by_definition(samples, near, sigma).mean() for sigma in parzen.SIGMAS]
    found = parzen.parzen(samples, validation, test, limit=50)
    assert found.sigma == parzen.SIGMAS[int(np.argmax(means))]
    assert parzen.parzen(samples, validation, test, limit=None).sigma > found.sigma
    assert parzen.parzen(samples, near, far).sigma == found.sigma
    likelihoods = by_definition(samples, test, found.sigma)
    assert found.mean == pytest.approx(likelihoods.mean(), rel=1e-6)
    error = likelihoods.std() / np.sqrt(40)
    assert found.standard_error == pytest.approx(error, rel=1e-6)


def test_an_offset_common_to_all_changes_nothing():
    samples, test = rows(30), rows(20, seed=1)
    moved = parzen.log_likelihood(samples + 1e5, test + 1e5, 0.1)
    np.testing.assert_allclose(moved, parzen.log_likelihood(samples, test, 0.1), atol=1e-6)


def test_images_become_rows_between_zero_and_one():
    images = np.array([-1.0, 0.0, 0.5, 1.0], np.float32).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(parzen.pixels(images), [[0, 0.5, 0.75, 1]])


def test_what_has_no_density_is_refused():
    with pytest.raises(ValueError, match=r"shapes \(4,\) and \(5,\)"):
        parzen.log_likelihood(rows(3), rows(3, size=5), 0.1)
    with pytest.raises(ValueError, match="the width is 0"):
        parzen.log_likelihood(rows(3), rows(3), 0)
    with pytest.raises(ValueError, match="one positive number or more"):
        parzen.best_sigma(rows(3), rows(3), [])
