"""Ways between latents by value: straight and on the sphere, of one pair and of many."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan.games import latent_interpolation

SHARES = np.linspace(0, 1, 9, dtype=np.float32)


def gaussian(count, size=100, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


@pytest.mark.parametrize("way", [latent_interpolation.lerp, latent_interpolation.slerp])
def test_a_way_begins_and_ends_exactly_at_its_ends(way):
    start, end = gaussian(2)
    for left, right in ((start, end), (start, 3 * start), (start, -start), (0 * start, end)):
        along = np.asarray(way(left, right, SHARES))
        assert along.shape == (9, 100)
        np.testing.assert_array_equal(along[[0, -1]], [left, right])
        assert np.isfinite(along).all()


def test_the_straight_way_by_hand():
    along = latent_interpolation.lerp(np.array([1.0, 0.0]), np.array([3.0, -4.0]), np.array([0.25]))
    np.testing.assert_allclose(along, [[1.5, -1.0]])


def test_the_spherical_way_by_hand():
    east, north = np.array([2.0, 0.0]), np.array([0.0, 4.0])
    along = latent_interpolation.slerp(east, north, np.array([1 / 3, 1 / 2]))
    length, half = 8 / 3, np.sqrt(0.5)
    expected = [[length * np.sqrt(0.75), length / 2], [3 * half, 3 * half]]
    np.testing.assert_allclose(along, expected, rtol=1e-6)


def test_the_spherical_way_keeps_the_norm_and_turns_evenly():
    start, end = (10 * x / np.linalg.norm(x) for x in gaussian(2, seed=1))
    along = np.asarray(latent_interpolation.slerp(start, end, SHARES))
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), 10, rtol=1e-5)
    turns = np.sum(along[1:] * along[:-1], axis=1) / 100
    np.testing.assert_allclose(turns, turns[0], rtol=1e-5)
    assert np.linalg.norm(np.asarray(latent_interpolation.lerp(start, end, SHARES))[4]) < 8


def test_of_gaussian_draws_the_norm_goes_linearly_from_one_to_the_other():
    start, end = gaussian(2, seed=2)
    along = np.asarray(latent_interpolation.slerp(start, end, SHARES))
    expected = (1 - SHARES) * np.linalg.norm(start) + SHARES * np.linalg.norm(end)
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), expected, rtol=1e-5)


@pytest.mark.parametrize("factor", [1.0, 0.5, -1.0])
def test_ends_on_one_line_are_joined_by_the_straight_way(factor):
    start = gaussian(1)[0]
    along = latent_interpolation.slerp(start, factor * start, SHARES)
    straight = latent_interpolation.lerp(start, factor * start, SHARES)
    np.testing.assert_allclose(along, straight, atol=1e-5)


@pytest.mark.parametrize("way", [latent_interpolation.lerp, latent_interpolation.slerp])
def test_many_ways_are_each_its_own(way):
    starts, ends = gaussian(9, seed=3), gaussian(9, seed=4)
    along = way(starts, ends, SHARES)
    for index, share in enumerate(SHARES):
        alone = way(starts[index], ends[index], share[None])
        np.testing.assert_allclose(along[index], alone[0], rtol=1e-6, atol=1e-6)


def test_a_small_turn_is_as_long_as_it_is():
    """Where an arc cosine in float32 would be off by its sixth part."""
    angle = 6e-4
    start, end = np.array([1.0, 0.0]), np.array([np.cos(angle), np.sin(angle)])
    along = latent_interpolation.slerp(start, end, np.array([0.25, 0.5]))
    np.testing.assert_allclose(along[:, 1], np.sin([angle / 4, angle / 2]), rtol=1e-4)
