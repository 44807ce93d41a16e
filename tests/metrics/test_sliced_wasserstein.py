"""The sliced Wasserstein distance of Laplacian patches against scipy's filters and distances."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from jaxgan.metrics import sliced_wasserstein, streaming


def images(count, size=32, seed=0, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), np.uint8)


def blurred(image, gain=1.0):
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[..., None] / 256
    return gain * scipy.ndimage.convolve(image, weights, mode="mirror")


def test_levels_end_at_16_pixels_or_an_odd_side():
    assert sliced_wasserstein.sizes(128, 128) == ((128, 128), (64, 64), (32, 32), (16, 16))
    assert sliced_wasserstein.sizes(28, 28) == ((28, 28),)
    assert sliced_wasserstein.sizes(64, 96) == ((64, 96), (32, 48), (16, 24))
    with pytest.raises(ValueError, match="6x6 have no patch"):
        sliced_wasserstein.sizes(6, 6)


def test_the_pyramid_is_the_filters_written_out():
    image = images(2)[1].astype(np.float64)
    smaller = blurred(image)[::2, ::2]
    spread = np.zeros_like(image)
    spread[::2, ::2] = smaller
    finest, coarsest = sliced_wasserstein.pyramid(images(2))
    np.testing.assert_allclose(coarsest[1], smaller, atol=1e-3)
    np.testing.assert_allclose(finest[1], image - blurred(spread, 4.0), atol=1e-3)


def test_patches_are_whole_pieces_of_their_image_and_lie_where_the_seed_says():
    picture = images(3, size=20)
    found = sliced_wasserstein.patches(picture, per_image=9, seed=4)
    assert found.shape == (3, 1, 9, 7, 7, 3)
    for image, patches in zip(picture, found[:, 0], strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (7, 7), (0, 1))
        every = {np.moveaxis(w, 0, -1).tobytes() for w in windows.reshape(-1, 3, 7, 7)}
        assert {patch.astype(np.uint8).tobytes() for patch in patches} <= every
    np.testing.assert_array_equal(
        sliced_wasserstein.patches(picture[:2], per_image=9, seed=4), found[:2]
    )
    assert not np.array_equal(found, sliced_wasserstein.patches(picture, per_image=9, seed=5))


def test_equal_sets_are_at_zero_and_differing_ones_are_not():
    real = images(20)
    assert sliced_wasserstein.sliced_wasserstein(real, real).distances == (0.0, 0.0)
    found = sliced_wasserstein.sliced_wasserstein(images(20, seed=1), real)
    assert found.sizes == ((32, 32), (16, 16))
    noise = found.distances
    flat = np.repeat(real[:, :1], 32, axis=1)  # stripes: other patches at every level
    striped = sliced_wasserstein.sliced_wasserstein(flat, real).distances
    assert all(0 < a < b / 2 for a, b in zip(noise, striped, strict=True))


def test_brightness_and_contrast_do_not_count():
    real = images(10).astype(np.float32)
    found = sliced_wasserstein.sliced_wasserstein(0.5 * real + 30, real)
    np.testing.assert_allclose(found.distances, 0, atol=1e-2)


def test_the_distance_of_one_direction_is_scipys():
    left, right = (np.random.default_rng(s).gamma(2, size=(6, 1, 5, 7, 7, 2)) for s in (0, 1))

    def rows(patches):
        mean = patches.mean(axis=(0, 1, 2, 3, 4))
        deviation = patches.std(axis=(0, 1, 2, 3, 4))
        return ((patches - mean) / deviation).reshape(30, -1)

    direction = np.random.default_rng(3).normal(size=98)
    direction /= np.linalg.norm(direction)
    expected = scipy.stats.wasserstein_distance(rows(left) @ direction, rows(right) @ direction)
    found = sliced_wasserstein.distance(left, right, directions=1, seed=3)
    assert found[0] == pytest.approx(expected, rel=1e-4)


def test_a_constant_channel_is_no_division_by_zero():
    flat = np.full((4, 16, 16, 1), 7, np.uint8)
    assert sliced_wasserstein.sliced_wasserstein(flat, flat).distances == (0.0,)


def test_the_metric_sees_pieces_as_the_whole_and_as_many_of_both_sides():
    metric = sliced_wasserstein.metric(per_image=4, directions=8)
    real, generated = images(10), images(20, seed=1)
    states = []
    for side in (generated, real):
        state = metric.stream.init()
        for piece in np.split(side, [1, 5]):
            state = metric.stream.update(state, piece)
        states.append(state)
    assert states[1].rows.dtype == np.uint8  # what is kept is as small as the images
    np.testing.assert_array_equal(states[1].rows, real)
    numbers = metric.compute(*states)
    sides = (sliced_wasserstein.patches(side, per_image=4) for side in (generated[::2], real))
    levels = sliced_wasserstein.distance(*sides, directions=8)
    assert numbers["swd_1"] == pytest.approx(1000 * levels[0])
    assert numbers["swd"] == pytest.approx(1000 * np.mean(levels))
    same = streaming.Rows(states[1].rows)
    assert metric.compute(same, same)["swd"] == 0


def test_sets_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="as many images of one size"):
        sliced_wasserstein.sliced_wasserstein(images(2), images(3))
