"""Enlargement and reduction in JAX, the projection between them, and tiles of a whole image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxgan import nn
from jaxgan.kernels import bicubic
from jaxgan.nn import resampling, super_resolution
from jaxgan.tools import tiling


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


# --- reflection -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "pads"),
    [
        ((2, 7, 8, 3), [(3, 3), (3, 3)]),
        ((5, 6, 2), [(1, 2), (0, 4)]),
        ((1, 9, 2), [(8, 0)]),
        ((2, 3, 2, 1), [(3, 4), (2, 5)]),  # reflected more than once
        ((1, 1, 4, 1), [(1, 1), (1, 1)]),
    ],
)
def test_reflection_is_numpys_and_its_transpose_is_jaxs(shape, pads):
    x = noise(*shape)
    widths = [(0, 0)] * (x.ndim - 1 - len(pads)) + [*pads, (0, 0)]
    y, back = jax.vjp(lambda x: resampling.reflected(x, pads), x)
    np.testing.assert_array_equal(y, np.pad(x, widths, mode="reflect"))
    _, expected = jax.vjp(lambda x: jnp.pad(x, widths, mode="reflect"), x)
    given = noise(*y.shape, seed=1)
    np.testing.assert_allclose(back(given)[0], expected(given)[0], rtol=1e-5, atol=1e-6)


def test_reflection_is_one_concatenation_an_axis():
    program = jax.make_jaxpr(lambda x: resampling.reflected(x, [(3, 3), (1, 2)]))(noise(1, 8, 8, 2))
    assert str(program).count("concatenate[") == 2


# --- bicubic --------------------------------------------------------------------------------------


def test_depth_to_space_puts_each_group_of_channels_into_its_pixel():
    x = noise(2, 3, 4, 9 * 2)
    y = resampling.depth_to_space(jnp.asarray(x), 3)
    assert y.shape == (2, 9, 12, 2)
    for i, j, c in np.ndindex(3, 3, 2):
        np.testing.assert_array_equal(y[:, i::3, j::3, c], x[:, :, :, (3 * i + j) * 2 + c])
    with pytest.raises(ValueError, match="6 channels cannot become blocks of 2x2 pixels; use a mu"):
        resampling.depth_to_space(jnp.zeros((1, 2, 2, 6)), 2)


def test_both_ways_are_those_of_the_data():
    x = noise(2, 8, 12, 3)
    np.testing.assert_allclose(resampling.bicubic(x, 3), bicubic.resized(x, (24, 36)), atol=1e-5)
    np.testing.assert_allclose(resampling.reduced(x, 4), bicubic.resized(x, (2, 3)), atol=1e-5)
    with pytest.raises(ValueError, match="8x12 pixels cannot become 3 times smaller"):
        resampling.reduced(x, 3)


# --- consistency ----------------------------------------------------------------------------------


def test_what_is_consistent_is_reduced_to_the_small_image():
    x, small = noise(2, 24, 32, 3), noise(2, 6, 8, 3, seed=1)
    found = resampling.consistent(x, small)
    np.testing.assert_allclose(resampling.reduced(found, 4), small, atol=1e-5)
    np.testing.assert_allclose(resampling.consistent(found, small), found, atol=1e-5)


def test_the_projection_is_orthogonal_and_so_never_farther_from_the_original():
    original, guess = noise(1, 16, 16, 1), noise(1, 16, 16, 1, seed=1)
    found = np.asarray(resampling.consistent(guess, resampling.reduced(original, 4)))
    assert abs(np.sum((found - guess) * (found - original))) < 1e-3
    squares = [np.sum((image - original) ** 2) for image in (found, guess)]
    assert squares[0] < 0.99 * squares[1]


def test_small_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"images of \(16, 16\) are no multiple of images of \(4"):
        resampling.consistent(noise(1, 16, 16, 1), noise(1, 4, 5, 1))


def test_the_projection_does_not_reach_beyond_its_margin():
    x, small = np.zeros((1, 160, 4, 1), np.float32), np.zeros((1, 40, 1, 1), np.float32)
    small[:, 0] = 1.0
    found = np.abs(resampling.consistent(x, small))[0, :, 0, 0]
    assert found[0] > 0.1 and found[4 * resampling.REACH :].max() < 1e-7


# --- tiles ----------------------------------------------------------------------------------------


def network(architecture: str, factor: int = 2):
    module = super_resolution.network_of(
        architecture, factor=factor, blocks=1, width=4, axis_name=None
    )
    variables = jax.jit(lambda key, x: module.init(key, x, train=True))(
        jax.random.key(0), noise(1, 8, 8, 2)
    )
    return jax.jit(lambda x: module.apply(variables, x))


@pytest.mark.parametrize("architecture", ["efficient", "resnet"])
def test_tiles_give_the_whole_image_without_seams(architecture):
    enlarge, image = network(architecture), noise(41, 57, 2)
    margin = super_resolution.reach(architecture, factor=2, blocks=1)
    whole = np.asarray(enlarge(image[None]))[0]
    assert 7 <= margin <= 11
    tiled = tiling.enlarged(enlarge, image, margin=margin, tile=2 * margin + 5)
    assert tiled.shape == (82, 114, 2)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)
    seams = tiling.enlarged(enlarge, image, margin=0, tile=2 * margin + 5)
    assert np.abs(seams - whole).max() > 1e-3


@pytest.mark.parametrize("architecture", ["efficient", "resnet"])
def test_the_reach_is_what_a_pixel_depends_on(architecture):
    module = super_resolution.network_of(architecture, factor=2, blocks=1, width=4, axis_name=None)
    image, middle = noise(1, 31, 31, 1), 15
    variables = module.init(jax.random.key(0), image, train=True)
    slopes = jax.jit(jax.jacrev(lambda x: module.apply(variables, x)[0, 2 * middle, 30, 0]))(image)
    rows = np.flatnonzero(np.abs(np.asarray(slopes)[0, :, :, 0]).max(axis=1) > 0)
    reach = super_resolution.reach(architecture, factor=2, blocks=1)
    assert reach - 2 <= max(middle - rows[0], rows[-1] - middle) <= reach


@pytest.mark.parametrize("size", [(9, 7), (3, 1), (4, 5)])
def test_the_mean_around_a_pixel_is_of_those_inside_the_image(size):
    images = noise(2, *size, 3)
    means = np.asarray(super_resolution.means_around(images))
    for row, column in np.ndindex(*size):
        inside = images[:, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        np.testing.assert_allclose(means[:, row, column], inside.mean(axis=(1, 2)), atol=1e-6)


@pytest.mark.parametrize("size", [(5, 9), (24, 24), (25, 50), (70, 23), (24, 49)])
def test_every_pixel_is_covered_once_by_a_tile_of_one_size(size):
    seen = []

    def double(images):
        seen.append(images.shape[1:3])
        return images.repeat(2, axis=1).repeat(2, axis=2)

    image = noise(*size, 1)
    found = tiling.enlarged(double, image, margin=6, tile=24)
    np.testing.assert_array_equal(found, image.repeat(2, axis=0).repeat(2, axis=1))
    assert set(seen) == {(min(24, size[0]), min(24, size[1]))}


def test_tiles_that_are_all_margin_are_refused():
    with pytest.raises(ValueError, match="margins of 12 leave nothing; use tiles of 25 or more"):
        tiling.enlarged(lambda images: images, noise(9, 9, 1), margin=12, tile=24)


def test_an_enlargement_with_aligned_corners_keeps_them():
    x = jnp.arange(3.0).reshape(1, 3, 1, 1) * jnp.ones((1, 3, 2, 1))
    found = resampling.double_aligned(x)
    assert found.shape == (1, 6, 4, 1)
    np.testing.assert_allclose(found[0, :, 0, 0], [0, 0.4, 0.8, 1.2, 1.6, 2.0], rtol=1e-6)
    assert np.all(resampling.double_aligned(jnp.full((1, 1, 1, 2), 7.0)) == 7)


# --- the filter [1, 3, 3, 1] ----------------------------------------------------------------------

FILTER = np.array([1, 3, 3, 1]) / 8
DOUBLE, HALVE = jax.jit(resampling.smooth_double), jax.jit(resampling.smooth_halve)


def along_one_axis(resample, row):
    """What the resampling does to an image of one row: the second factor is that of the rows."""
    rows = len(row)
    image = np.asarray(row, np.float32).reshape(1, 1, rows, 1) * np.ones((1, 4, 1, 1), np.float32)
    return np.asarray(resample(jnp.asarray(image)))[0, 1, :, 0]


def test_smooth_doubling_and_halving_of_a_row_are_those_of_the_closed_form():
    up = along_one_axis(DOUBLE, [1, 0, 0, 0, 0])
    np.testing.assert_allclose(up, [0.75, 0.75, 0.25, *[0] * 7], atol=1e-7)
    # The second row of two is (x[1] + 3 x[2] + 3 x[3] + 0) / 8 of four equal ones: 7 / 8.
    down = along_one_axis(HALVE, np.arange(8)) / (7 / 8)
    np.testing.assert_allclose(down, [0.625, 2.5, 4.5, 5.5], rtol=1e-6)


def test_they_are_scipys_filters_along_both_axes():
    x = noise(2, 6, 8, 3)
    up, down = x, x
    for axis, n in ((1, 6), (2, 8)):
        up = np.apply_along_axis(
            lambda v, n=n: signal.upfirdn(2 * FILTER, v, up=2)[1 : 1 + 2 * n], axis, up
        )
        down = np.apply_along_axis(
            lambda v, n=n: signal.convolve(v, FILTER)[2::2][: n // 2], axis, down
        )
    np.testing.assert_allclose(DOUBLE(x), up, atol=1e-6)
    np.testing.assert_allclose(HALVE(x), down, atol=1e-6)


def test_doubling_is_four_times_the_adjoint_of_halving():
    x, y = noise(2, 6, 8, 3), noise(2, 12, 16, 3, seed=1)
    left = np.sum(np.asarray(DOUBLE(x), np.float64) * y)
    right = 4 * np.sum(np.asarray(HALVE(y), np.float64) * x)
    assert left == pytest.approx(right, rel=1e-5)


def test_constants_survive_inside():
    once = along_one_axis(DOUBLE, np.ones(6))
    np.testing.assert_allclose(once, [0.75, *[1] * 10, 0.75])
    ones = jnp.ones((1, 6, 6, 1))
    back = HALVE(DOUBLE(ones))[0, :, :, 0]
    row = np.array([0.78125, 1, 1, 1, 1, 0.78125])
    np.testing.assert_allclose(back, np.outer(row, row), rtol=1e-6)


def test_white_noise_keeps_the_variance_of_the_filters_energy():
    x = np.random.default_rng(0).normal(size=(64, 64, 64, 1)).astype(np.float32)
    up, down = DOUBLE(x), HALVE(x)
    assert np.var(up[:, 2:-2, 2:-2]) == pytest.approx(0.625**2, rel=0.02)
    assert np.var(down[:, 1:-1, 1:-1]) == pytest.approx(0.3125**2, rel=0.03)


def test_an_odd_size_does_not_halve_smoothly():
    with pytest.raises(ValueError, match="images of 4x5 do not halve"):
        resampling.smooth_halve(jnp.zeros((1, 4, 5, 1)))


def test_the_doubling_convolution_is_the_convolution_of_repeated_pixels():
    x = jax.random.normal(jax.random.key(0), (2, 3, 5, 4))
    layer = nn.DoublingConv(6)
    variables = layer.init(jax.random.key(1), x)
    plain = nn.conv(resampling.double(x), variables["params"]["kernel"])
    np.testing.assert_allclose(layer.apply(variables, x), plain, rtol=1e-5, atol=1e-5)
