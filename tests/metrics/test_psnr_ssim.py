"""PSNR and SSIM: by hand, and beside scikit-image where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.metrics import psnr_ssim


def images(seed: int = 0, channels: int = 3, side: int = 40) -> np.ndarray:
    draws = np.random.default_rng(seed).normal(size=(3, side, side, channels)).cumsum(1).cumsum(2)
    return np.clip(draws * 4 + 128, 0, 255).astype(np.uint8)


def noisy(pixels: np.ndarray, spread: float = 12.0) -> np.ndarray:
    noise = np.random.default_rng(9).normal(scale=spread, size=pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 234.999),  # the coefficients of BT.601 in three decimals sum to 218.999
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
    ],
)
def test_the_luminance_is_that_of_studio_video(color, expected):
    pixels = np.full((1, 2, 2, 3), color, np.uint8)
    levels = psnr_ssim.luminance(pixels)
    np.testing.assert_allclose(levels, expected, atol=2e-3)
    np.testing.assert_allclose(psnr_ssim.luminance(data.to_float(pixels)), levels)


def test_gray_keeps_its_levels_and_opacity_is_left_out():
    gray = images(channels=1)
    np.testing.assert_array_equal(psnr_ssim.luminance(gray), gray[..., 0])
    four = images(channels=4)
    np.testing.assert_array_equal(
        psnr_ssim.luminance(four), psnr_ssim.luminance(np.ascontiguousarray(four[..., :3]))
    )
    with pytest.raises(ValueError, match="the images have 2 channels, whose luminance"):
        psnr_ssim.luminance(images(channels=2))


def test_psnr_of_a_constant_difference_is_that_by_hand():
    left = np.full((2, 12, 12, 1), 100, np.uint8)
    right = left + np.array([5, 25], np.uint8).reshape(2, 1, 1, 1)
    expected = [20 * np.log10(255 / 5), 20 * np.log10(255 / 25)]
    np.testing.assert_allclose(psnr_ssim.psnr(left, right), expected)
    assert np.isinf(psnr_ssim.psnr(left, left)).all()


def test_the_outermost_four_pixels_do_not_count():
    left = images()
    right = left.copy()
    right[:, :4], right[:, -4:], right[:, :, :4], right[:, :, -4:] = 0, 255, 255, 0
    assert np.isinf(psnr_ssim.psnr(left, right)).all()
    np.testing.assert_allclose(psnr_ssim.ssim(left, right), 1.0)
    assert (psnr_ssim.psnr(left, right, crop=3) < 40).all()


def test_floats_are_seen_in_the_levels_of_a_file():
    pixels, other = images(), noisy(images())
    nearly = data.to_float(pixels) + 0.4 / 127.5
    assert np.isinf(psnr_ssim.psnr(nearly, pixels)).all()
    np.testing.assert_array_equal(psnr_ssim.ssim(nearly, other), psnr_ssim.ssim(pixels, other))


def test_ssim_of_flat_images_is_its_first_factor():
    """No variance: (2 m1 m2 + C1) / (m1^2 + m2^2 + C1) with C1 = (0.01 * 255)^2."""
    left, right = (np.full((1, 20, 20, 1), level, np.uint8) for level in (50, 100))
    expected = (2 * 50 * 100 + 6.5025) / (50**2 + 100**2 + 6.5025)
    np.testing.assert_allclose(psnr_ssim.ssim(left, right), expected, rtol=1e-9)


def test_ssim_of_a_negative_is_below_zero_and_orders_noise():
    pixels = images(channels=1)
    negative = psnr_ssim.ssim(pixels, 255 - pixels)
    little, much = (psnr_ssim.ssim(noisy(pixels, spread), pixels) for spread in (4.0, 30.0))
    assert (negative < much).all() and (much < little).all() and (little < 1).all()
    np.testing.assert_allclose(psnr_ssim.ssim(pixels, pixels), 1.0)


def test_what_cannot_be_compared_is_refused():
    pixels = images()
    with pytest.raises(ValueError, match=r"shape \(3, 40, 40\) are compared with a truth of"):
        psnr_ssim.psnr(pixels, pixels[:, :20])
    with pytest.raises(ValueError, match="a crop of 20 pixels leaves nothing"):
        psnr_ssim.psnr(pixels, pixels, crop=20)
    with pytest.raises(ValueError, match="leaves 10x10 pixels; SSIM needs 11"):
        psnr_ssim.ssim(pixels, pixels, crop=15)


@pytest.mark.reference
@pytest.mark.parametrize("channels", [1, 3])
def test_both_agree_with_scikit_image(channels):
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    color = pytest.importorskip("skimage.color")
    left, right = images(channels=channels), noisy(images(channels=channels))

    def levels(pixels):
        return pixels[..., 0].astype(float) if channels == 1 else color.rgb2ycbcr(pixels)[..., 0]

    for index in range(len(left)):
        truth, found = (levels(part[index])[4:-4, 4:-4] for part in (left, right))
        expected = metrics.peak_signal_noise_ratio(truth, found, data_range=255)
        assert psnr_ssim.psnr(right, left)[index] == pytest.approx(expected, abs=1e-6)
        expected = metrics.structural_similarity(
            truth,
            found,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert psnr_ssim.ssim(right, left)[index] == pytest.approx(expected, abs=1e-9)
