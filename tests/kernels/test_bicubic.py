"""Bicubic reduction and enlargement: MATLAB's weights, Pillow's pixels, and the laws of both."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from jaxgan.kernels import bicubic


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def test_a_quarter_has_the_sixteen_taps_that_imresize_has():
    """Keys' cubic at odd eighths, by hand: in 2048ths, they sum to 2048."""
    taps = [-3.5, -22.5, -37.5, -24.5, 46.5, 199.5, 372.5, 493.5]
    expected = np.zeros(64)
    expected[26:42] = np.array(taps + taps[::-1]) / 2048
    np.testing.assert_allclose(bicubic.weights(64, 16)[8], expected, atol=1e-15)


def test_beyond_the_ends_the_line_is_mirrored_its_last_pixel_repeated():
    """The first pixel of a quarter has six taps before the line, which fold back in order."""
    taps = np.array([-3.5, -22.5, -37.5, -24.5, 46.5, 199.5, 372.5, 493.5]) / 2048
    whole = np.concatenate([taps, taps[::-1]])
    expected = np.zeros(64)
    expected[:10] = whole[6:]
    expected[:6] += whole[:6][::-1]
    np.testing.assert_allclose(bicubic.weights(64, 16)[0], expected, atol=1e-15)
    np.testing.assert_allclose(bicubic.weights(64, 16)[-1], expected[::-1], atol=1e-15)


@pytest.mark.parametrize(("before", "after"), [(28, 7), (7, 28), (10, 3), (3, 10), (5, 5), (2, 9)])
def test_the_weights_of_every_pixel_sum_to_one_and_are_symmetric(before, after):
    found = bicubic.weights(before, after)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-12)
    if before == after:
        np.testing.assert_allclose(found, np.eye(before), atol=1e-12)


def test_straight_lines_stay_straight_inside():
    ramp = np.arange(40.0)
    np.testing.assert_allclose(
        (bicubic.weights(40, 10) @ ramp)[2:-2], 4 * np.arange(10)[2:-2] + 1.5
    )
    larger = (bicubic.weights(40, 160) @ ramp)[8:-8]
    np.testing.assert_allclose(larger, (np.arange(160) / 4 - 0.375)[8:-8])


@pytest.mark.parametrize("size", [(16, 20), (128, 160), (24, 100)])
def test_inside_the_pixels_are_those_of_pillow(size):
    image = noise(64, 80).astype(np.float32)
    height, width = size
    expected = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    found = bicubic.resized(image[None, :, :, None], size)[0, :, :, 0]
    rows, columns = (
        max(2, 2 * after // before + 1) for after, before in zip(size, (64, 80), strict=True)
    )
    inner = np.s_[rows:-rows, columns:-columns]
    np.testing.assert_allclose(found[inner], np.asarray(expected)[inner], atol=2e-6)
    assert found.dtype == np.float32


def test_what_the_smaller_image_cannot_hold_is_kept_out():
    """Every second column of white gives gray where skipping pixels would give stripes."""
    stripes = np.tile(np.array([0.0, 1.0]), (1, 16, 16))[..., None]
    np.testing.assert_allclose(bicubic.resized(stripes, (16, 8))[:, :, 2:-2], 0.5, atol=0.02)


def test_files_are_reduced_image_by_image_rounded_and_clipped():
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 12, 3), np.uint8)
    small = bicubic.smaller(pixels, 4)
    assert small.shape == (5, 2, 3, 3) and small.dtype == np.uint8
    expected = bicubic.resized(pixels[3:4].astype(np.float64), (2, 3))
    np.testing.assert_array_equal(small[3:4], np.clip(np.rint(expected), 0, 255))
    edge = np.repeat(np.array([0, 255], np.uint8), 8)[None, None, :, None].repeat(8, axis=1)
    assert bicubic.larger(edge, 2).shape == (1, 16, 32, 1)
    assert set(np.unique(bicubic.larger(edge, 2))) >= {0, 255}
    with pytest.raises(ValueError, match="8 pixels cannot become 3 times fewer"):
        bicubic.smaller(pixels, 3)


@pytest.mark.parametrize(("before", "after"), [(28, 7), (30, 10), (8, 8)])
def test_the_inverse_is_the_pseudo_inverse(before, after):
    expected = np.linalg.pinv(bicubic.weights(before, after))
    np.testing.assert_allclose(bicubic.inverse(before, after), expected, atol=1e-12)
    with pytest.raises(ValueError, match="8 pixels that becomes one of 9 does not shrink"):
        bicubic.inverse(8, 9)
