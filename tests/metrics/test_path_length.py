"""Path lengths of generators whose paths are known."""

from __future__ import annotations

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import nn
from jaxgan.games import latent_interpolation
from jaxgan.metrics import path_length


def latents(seed, count=64, size=8):
    return jax.random.normal(jax.random.key(seed), (count, size))


def test_a_linear_generator_on_segments_has_the_squared_length_of_its_step():
    starts, ends, matrix = latents(0), latents(1), latents(2, 8, 5)
    found = path_length.path_lengths(
        lambda z: z @ matrix,
        starts,
        ends,
        key=jax.random.key(3),
        interpolate=latent_interpolation.lerp,
        epsilon=1e-2,
    )
    expected = jnp.mean(jnp.square((ends - starts) @ matrix), axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_identity_on_great_circles_has_the_squared_angle():
    starts, ends = latents(0), latents(1)
    cosine = jnp.sum(starts * ends, axis=1) / (
        jnp.linalg.norm(starts, axis=1) * jnp.linalg.norm(ends, axis=1)
    )

    def distance(left, right):
        return jnp.sum(jnp.square(left - right), axis=1)

    found = path_length.path_lengths(
        lambda z: z, starts, ends, key=None, distance=distance, epsilon=1e-2
    )
    np.testing.assert_allclose(found, jnp.arccos(cosine) ** 2, rtol=1e-3)


def test_the_path_goes_from_one_direction_to_the_other_at_unit_length():
    starts, ends = latents(0), latents(1)
    count = len(starts)
    for share, expected in ((0.0, starts), (1.0, ends)):
        found = path_length.on_sphere(starts, ends, jnp.full(count, share))
        unit = expected / jnp.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(found, unit, atol=1e-5)
    half = path_length.on_sphere(starts, ends, jnp.full(count, 0.3))
    np.testing.assert_allclose(jnp.linalg.norm(half, axis=1), 1, rtol=1e-5)


def test_places_on_the_path_are_drawn_by_the_key():
    def lengths(key):
        return path_length.path_lengths(jnp.sin, latents(0), latents(1), key=key, epsilon=1e-2)

    same = [np.asarray(lengths(jax.random.key(seed))) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])


def test_the_mean_leaves_out_the_ends():
    lengths = np.arange(1000.0)
    lengths[-1] = 1e9
    kept = np.arange(9, 991)
    assert path_length.mean_length(lengths) == pytest.approx(kept.mean(), abs=1)
    assert path_length.mean_length(jnp.array([3.0])) == 3
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        path_length.mean_length(np.zeros(0))


def test_every_product_of_generator_and_distance_is_of_full_precision():
    """The generator is compiled beforehand, as users have it, at the default precision."""

    @jax.jit
    def generate(z):
        return nn.conv((z @ jnp.ones((8, 16))).reshape(-1, 4, 4, 1), jnp.ones((3, 3, 1, 2)))

    def distance(left, right):
        seen = [x.reshape(len(x), -1) @ jnp.ones((32, 3)) for x in (left, right)]
        return path_length.squared_error(*seen)

    generate(latents(0))
    lengths = functools.partial(path_length.path_lengths, generate, key=None, distance=distance)
    program = jax.jit(lengths).lower(latents(0), latents(1)).as_text()
    products = re.findall(r".*stablehlo\.(?:convolution|dot_general)\b.*", program)
    assert len(products) == 4
    assert all(line.count("HIGHEST") == 2 for line in products)


def test_no_step_is_no_length():
    with pytest.raises(ValueError, match="epsilon is 0"):
        path_length.path_lengths(jnp.sin, latents(0), latents(1), key=None, epsilon=0)
