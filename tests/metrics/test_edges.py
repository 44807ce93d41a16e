"""Edge strengths and their distance, on images whose gradients are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jaxgan import data
from jaxgan.metrics import edges


def noise(count: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    draws = np.random.default_rng(seed).uniform(-scale, scale, (count, 8, 10, 1))
    return draws.astype(np.float32)


def test_the_strength_is_the_length_of_the_gradient_in_levels():
    rows, columns = np.mgrid[0:6, 0:5]
    plane = data.to_float((3 * rows + 4 * columns).astype(np.uint8))[None, :, :, None]
    np.testing.assert_allclose(edges.strengths(plane), np.full((1, 5, 4), 5.0))


def test_the_distance_is_the_wasserstein_distance_of_the_strengths():
    left, right = noise(40), noise(70, seed=1, scale=0.5)
    exact = stats.wasserstein_distance(
        edges.strengths(left).ravel(), edges.strengths(right).ravel()
    )
    assert edges.distance(left, right) == pytest.approx(exact, rel=0.01)
    assert edges.distance(left, left[::-1]) == 0.0
    assert edges.distance(left, right) == edges.distance(right, left)


def test_blur_moves_images_away_from_themselves():
    sharp = noise(30)
    blurred = (sharp + np.roll(sharp, 1, axis=2)) / 2
    more = (blurred + np.roll(blurred, 1, axis=1)) / 2
    assert 0 < edges.distance(sharp, blurred) < edges.distance(sharp, more)


def test_images_without_neighbors_are_refused():
    with pytest.raises(ValueError, match="1x10 pixels have no edges"):
        edges.strengths(noise(2)[:, :1])
