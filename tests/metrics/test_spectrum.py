"""The radial log spectrum: waves where they belong, noise flat, blur falling, and distances."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan.metrics import spectrum

ROUNDING = 1 / 12


def wave(
    cycles: float, *, amplitude: float = 40.0, height: int = 64, width: int = 64
) -> np.ndarray:
    """Vertical stripes of so many cycles in 64 pixels, as floats in [-1, 1]."""
    line = 128 + amplitude * np.cos(2 * np.pi * cycles * np.arange(width) / 64)
    return np.tile(line, (1, height, 1))[..., None] / 127.5 - 1


def noise(spread: float, count: int = 8, side: int = 32) -> np.ndarray:
    draws = np.random.default_rng(0).normal(128, spread, (count, side, side, 1))
    return np.clip(np.rint(draws), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 128), (128, 64)])
@pytest.mark.parametrize("cycles", [5, 20])
def test_a_wave_lies_at_its_frequency_whatever_the_shape(cycles, height, width):
    found = spectrum.radial_log_spectrum(wave(cycles, height=height, width=width))
    assert found.shape == (32,)
    assert np.argmax(found) == cycles - 1
    others = np.delete(found, [cycles - 2, cycles - 1, cycles])
    assert (others < found[cycles - 1] - 3).all()


def test_white_noise_has_its_variance_at_every_frequency():
    found = spectrum.radial_log_spectrum(noise(10.0, count=40))
    np.testing.assert_allclose(found[3:], np.log10(10.0**2 + 2 * ROUNDING), atol=0.08)


def test_four_times_the_power_is_six_decibels():
    weak, strong = (spectrum.radial_log_spectrum(noise(spread)) for spread in (10.0, 20.0))
    assert spectrum.distance(strong, weak) == pytest.approx(10 * np.log10(4), abs=0.05)
    assert spectrum.distance(weak, weak) == 0
    assert spectrum.distance(weak, strong) == spectrum.distance(strong, weak)


def test_blur_takes_away_from_high_frequencies_alone():
    sharp = noise(30.0)
    soft = sum(np.roll(sharp.astype(float), shift, axis) for shift in (-1, 0, 1) for axis in (1, 2))
    soft = np.rint(soft / 6).astype(np.uint8)
    lost = spectrum.radial_log_spectrum(sharp) - spectrum.radial_log_spectrum(soft)
    assert abs(lost[0]) < 0.1 and lost[-4:].min() > 0.8


def test_an_image_without_any_variation_has_the_power_of_rounding():
    flat = np.full((2, 16, 16, 3), 77, np.uint8)
    np.testing.assert_allclose(spectrum.radial_log_spectrum(flat), np.log10(ROUNDING))


def test_images_count_alike_whatever_their_contrast():
    both = spectrum.radial_log_spectrum(np.concatenate([noise(40.0, 1), noise(2.0, 1)]))
    alone = [spectrum.radial_log_spectrum(noise(spread, 1)) for spread in (40.0, 2.0)]
    np.testing.assert_allclose(both, np.mean(alone, axis=0))


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="3x8 pixels have no spectrum"):
        spectrum.radial_log_spectrum(np.zeros((1, 3, 8, 1), np.uint8))
    with pytest.raises(ValueError, match="16 and 32 frequencies cannot be compared"):
        spectrum.distance(np.zeros(16), np.zeros(32))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_twice_the_field_is_six_decibels_in_every_channel_and_any_units(scale):
    metric = spectrum.metric()
    fields = scale * np.random.default_rng(0).normal(3, 1, (6, 8, 10, 5)).astype(np.float32)
    stream = metric.stream
    one, twice, parts = stream.init(), stream.init(), stream.init()
    one, twice = stream.update(one, fields), stream.update(twice, 2 * fields)
    for part in (fields[:4], fields[4:]):
        parts = stream.update(parts, part)
    assert one.total.shape == (5, 4)
    assert metric.compute(twice, one)["spectrum"] == pytest.approx(20 * np.log10(2), rel=1e-4)
    assert metric.compute(parts, one)["spectrum"] == pytest.approx(0, abs=1e-9)
    flat = stream.update(stream.init(), np.zeros((1, 8, 10, 5), np.float32))
    assert np.isfinite(flat.total).all()


def test_of_gray_pictures_the_metric_is_the_distance_of_their_spectra():
    metric, pictures = spectrum.metric(), (noise(10.0), noise(20.0))
    seen = [metric.stream.update(metric.stream.init(), images) for images in pictures]
    expected = spectrum.distance(*map(spectrum.radial_log_spectrum, pictures))
    assert metric.compute(*seen)["spectrum"] == pytest.approx(expected)
