"""The perceptual distance: 0 of equal images, by hand for pixels, and with gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.metrics import perceptual


def cut(measure, images):
    return measure.parts(measure.variables, jnp.asarray(images, jnp.float32))


def test_pixels_are_compared_on_every_scale_down_to_four():
    pixels = perceptual.of_pixels()
    board = np.indices((8, 8)).sum(axis=0)[None, :, :, None] % 2 * 2.0 - 1  # -1 and 1 in turn
    gray = np.zeros((1, 8, 8, 1))
    found = perceptual.distances(cut(pixels, board), cut(pixels, gray))
    np.testing.assert_allclose(found, [0.5])  # 1 at 8 pixels, 0 at 4, where it is gray
    small = perceptual.distances(cut(pixels, board[:, :7]), cut(pixels, gray[:, :7]))
    np.testing.assert_allclose(small, [1.0])


def test_all_distances_are_those_of_every_pair():
    draws = np.random.default_rng(0)
    left, right = (draws.uniform(-1, 1, (count, 8, 8, 2)) for count in (2, 3))
    pixels = perceptual.of_channels(2)
    assert pixels.name == "pixels on several scales"
    every = perceptual.all_distances(cut(pixels, left), cut(pixels, right))
    assert every.shape == (2, 3)
    one = perceptual.distances(cut(pixels, left[1:]), cut(pixels, right[2:]))
    np.testing.assert_allclose(every[1, 2:], one, rtol=1e-6)


def test_the_network_sees_a_difference_that_pixels_call_small():
    measure = perceptual.of_channels(1)
    draws = np.random.default_rng(0)
    images = draws.uniform(-1, 1, (2, 8, 8, 1))
    images[1] = images[0] + 0.1

    @jax.jit
    @jax.value_and_grad
    def apart(other):
        return perceptual.distances(cut(measure, images[:1]), cut(measure, other))[0]

    same, _ = apart(jnp.asarray(images[:1], jnp.float32))
    np.testing.assert_allclose(same, 0.0, atol=1e-5)
    value, slope = apart(jnp.asarray(images[1:], jnp.float32))
    assert value > 0.1  # pixels alone are 0.1 apart
    assert np.isfinite(slope).all() and np.abs(slope).max() > 0
