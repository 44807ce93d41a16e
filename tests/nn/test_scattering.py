"""The fixed bank of wavelets: waves by octave and direction, blind to phase and to shades."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.nn import scattering


def wave(*, cycles: float, angle: float = 0.0, phase: float = 0.0, amplitude: float = 0.5):
    """A wave of `cycles` a pixel that runs along the angle, [1, 48, 48, 1]."""
    y, x = np.mgrid[:48, :48]
    along = np.cos(angle) * x + np.sin(angle) * y
    levels = amplitude * np.cos(2 * np.pi * cycles * along + phase)
    return jnp.asarray(levels[None, :, :, None].astype(np.float32))


def inner(maps) -> np.ndarray:
    """The mean of maps [1, 12, 12, 8] away from the edges, by direction."""
    return np.asarray(maps)[0, 3:-3, 3:-3].mean(axis=(0, 1))


@pytest.mark.parametrize("direction", range(scattering.ORIENTATIONS))
def test_a_wave_at_a_wavelets_frequency_gives_its_amplitude(direction):
    angle = np.pi * direction / scattering.ORIENTATIONS
    found = inner(scattering.maps(wave(cycles=3 / 8, angle=angle))["octave 0"])
    assert found[direction] == pytest.approx(0.5, abs=0.03)
    assert np.argmax(found) == direction


def test_a_wave_twice_as_long_is_of_the_next_octave():
    short, long = (scattering.maps(wave(cycles=cycles)) for cycles in (3 / 8, 3 / 16))
    assert inner(short["octave 0"])[0] > 3 * inner(short["octave 1"])[0]
    assert inner(long["octave 1"])[0] > 1.3 * inner(long["octave 0"])[0]


def test_where_a_wave_begins_makes_no_difference():
    maps = [scattering.maps(wave(cycles=0.3, phase=phase)) for phase in (0.0, 1.0, 2.0)]
    for other in maps[1:]:
        np.testing.assert_allclose(inner(other["octave 0"]), inner(maps[0]["octave 0"]), atol=1e-2)


def test_shades_are_in_the_mean_alone():
    ramp = jnp.linspace(-1, 1, 48).reshape(1, 48, 1, 1) * jnp.ones((1, 48, 48, 3))
    expected = ramp.reshape(1, 12, 4, 12, 4, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(scattering.maps(ramp)["mean"], expected, atol=1e-6)
    flat = scattering.maps(jnp.full((1, 48, 48, 3), 0.7))
    assert max(inner(flat["octave 0"]).max(), inner(flat["octave 1"]).max()) < 2e-3


@pytest.mark.slow
def test_shapes_and_gradients_are_whole_for_any_size_and_for_flat_images():
    images = jnp.zeros((2, 30, 21, 3))
    maps = scattering.maps(images, octaves=3)
    assert {name: part.shape for name, part in maps.items()} == {
        "mean": (2, 7, 5, 3),
        "octave 0": (2, 7, 5, 8),
        "octave 1": (2, 7, 5, 8),
        "octave 2": (2, 7, 5, 8),
    }
    slopes = jax.grad(lambda x: sum(jnp.sum(part) for part in scattering.maps(x).values()))(images)
    assert np.isfinite(np.asarray(slopes)).all()


def test_what_has_no_cells_or_octaves_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 9\) pixels have no cell of 4x4"):
        scattering.maps(jnp.zeros((1, 3, 9, 1)))
    with pytest.raises(ValueError, match="4 octaves were asked for; expected 0 to 3"):
        scattering.maps(jnp.zeros((1, 8, 8, 1)), octaves=4)
