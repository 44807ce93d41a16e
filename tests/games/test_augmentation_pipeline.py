"""The pipeline of ADA: each item at fixed parameters by its closed form, and how often it acts."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import random
from jaxgan.games import augmentation
from jaxgan.games.augmentation import colors, frequencies, geometry, pipeline

RESAMPLED, FILTERED = jax.jit(geometry.resampled), jax.jit(geometry.filtered)
BOTH = pytest.mark.parametrize("move", [RESAMPLED, FILTERED], ids=["resampled", "filtered"])


def keys_of(count, seed=0):
    return random.row_keys(jax.random.key(seed), count)


def pictures(count, shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, *shape)).astype(np.float32)


def one(value):
    return jnp.full(1, value, jnp.float32)


# --- geometry -------------------------------------------------------------------------------------

HEIGHT, WIDTH = 24, 20


def wave(x, y):
    """A smooth image of two channels as a function of the place, in pixels from the center."""
    return np.stack([np.sin(0.3 * x + 0.2 * y), np.cos(0.25 * x - 0.1 * y + 1)], axis=-1)


def places(height, width):
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return x - (width - 1) / 2, y - (height - 1) / 2


TRANSFORMATIONS = {
    "rotation": (geometry.rotating(one(0.5)), lambda x, y: rotated(x, y, -0.5)),
    "half a pixel": (geometry.moving(one(0.5), one(-1.25)), lambda x, y: (x - 0.5, y + 1.25)),
    "stretch": (geometry.scaling(one(1.3), one(1 / 1.3)), lambda x, y: (x / 1.3, y * 1.3)),
    # The image is moved, then rotated: the place before the rotation, moved back.
    "both": (
        geometry.product([geometry.moving(one(2.0), one(1.0)), geometry.rotating(one(1.0))]),
        lambda x, y: tuple(np.subtract(rotated(x, y, -1.0), [[[2.0]], [[1.0]]])),
    ),
}


def rotated(x, y, angle):
    """The place, turned clockwise (y is down)."""
    sine, cosine = np.sin(angle), np.cos(angle)
    return cosine * x - sine * y, sine * x + cosine * y


@BOTH
@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_an_image_is_seen_at_the_places_that_the_matrix_says(move, name):
    matrices, source = TRANSFORMATIONS[name]
    x, y = places(HEIGHT, WIDTH)
    found = np.asarray(move(jnp.asarray(wave(x, y)[None], jnp.float32), matrices))[0]
    before_x, before_y = source(x, y)
    inside = (abs(before_x) < WIDTH / 2 - 4) & (abs(before_y) < HEIGHT / 2 - 4)
    assert inside.sum() > 80
    np.testing.assert_allclose(found[inside], wave(before_x, before_y)[inside], atol=0.012)


def test_whole_pixels_are_copied_and_mirrored_bit_for_bit():
    images = pictures(1, (6, 8, 3))
    move = RESAMPLED
    flipped = move(images, geometry.scaling(one(-1.0), one(1.0)))
    np.testing.assert_array_equal(flipped, images[:, :, ::-1])
    # Three pixels to the right, two up; what comes in is mirrored at the edge.
    moved = move(images, geometry.moving(one(3.0), one(-2.0)))
    padded = np.pad(images, ((0, 0), (2, 2), (3, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(moved, padded[:, 4:, :8])
    square = images[:, :, :6]
    for quarters in range(4):
        turned = move(square, geometry.turning(one(quarters)))
        np.testing.assert_array_equal(turned, np.rot90(square, -quarters, axes=(1, 2)))


def test_the_filters_keep_what_is_moved_by_whole_pixels():
    assert sum(geometry.SYM6) == pytest.approx(np.sqrt(2), abs=1e-10)
    images = pictures(1, (9, 13, 2))
    same = FILTERED(images, geometry.moving(one(0.0), one(0.0)))
    np.testing.assert_allclose(same, images, atol=1e-5)
    moved = FILTERED(images, geometry.moving(one(3.0), one(-2.0)))
    np.testing.assert_allclose(moved[:, :7, 3:], images[:, 2:, :10], atol=1e-5)


def test_reduction_without_aliasing_removes_what_a_small_image_cannot_show():
    """A wave of 2.5 pixels, reduced to 1.5 pixels: seen as another wave, or not at all."""
    x, _ = places(32, 32)
    images = jnp.asarray(np.cos(2 * np.pi / 2.5 * x)[None, ..., None], jnp.float32)
    small = geometry.scaling(one(0.6), one(0.6))
    inner = (0, slice(12, 20), slice(12, 20))
    assert np.abs(FILTERED(images, small)[inner]).max() < 0.3
    assert np.abs(RESAMPLED(images, small)[inner]).max() > 0.5


@BOTH
def test_the_gradient_of_a_resampling_is_its_adjoint(move):
    """It is linear: <move(v), g> = <v, gradient(g)> is what finite differences would find."""
    matrices = geometry.product([geometry.rotating(one(2.5)), geometry.scaling(one(0.7), one(1.2))])
    images, change = (jnp.asarray(pictures(1, (8, 7, 2), seed)) for seed in (0, 1))
    moved, back = jax.vjp(lambda x: move(x, matrices), images)
    weights = jnp.asarray(pictures(1, (8, 7, 2), 2))
    (gradient,) = back(weights)
    assert float(jnp.sum(gradient * change)) == pytest.approx(
        float(jnp.sum(weights * (move(images + change, matrices) - moved))), abs=2e-4
    )


def test_the_smallest_images_are_moved_too():
    images = pictures(1, (1, 3, 1))
    for move in (RESAMPLED, FILTERED):
        turned = move(images, geometry.rotating(one(0.4)))
        assert turned.shape == images.shape
        assert np.isfinite(turned).all()


# --- colors ---------------------------------------------------------------------------------------


def colored(images, *matrices):
    """The images after each of the changes of color, in order."""
    return np.asarray(colors.recolored(jnp.asarray(images), geometry.product(matrices[::-1])))


def test_matrices_change_the_colors_that_they_name():
    x = pictures(1, (4, 4, 3))
    mean = x.mean(axis=3, keepdims=True)
    close = functools.partial(np.testing.assert_allclose, atol=1e-5)
    close(colored(x, colors.adding(one(0.3)), colors.scaling(one(1.7))), 1.7 * (x + 0.3))
    close(colored(x, colors.inverting(jnp.ones(1, bool))), x - 2 * mean)
    close(colored(x, colors.inverting(jnp.zeros(1, bool))), x)
    close(colored(x, colors.saturating(one(0.4))), mean + 0.4 * (x - mean))
    close(colored(x, colors.rotating(one(2 * np.pi))), x)
    close(colored(x, colors.rotating(one(1.0))).mean(axis=3), x.mean(axis=3))
    # Red becomes green, green blue, blue red.
    close(colored(x, colors.rotating(one(2 * np.pi / 3))), x[..., [2, 0, 1]])


def test_gray_images_have_brightness_contrast_and_an_inverse_alone():
    x = pictures(1, (4, 4, 1))
    changed = colored(
        x,
        colors.adding(one(0.3)),
        colors.scaling(one(1.7)),
        colors.inverting(jnp.ones(1, bool)),
        colors.rotating(one(1.0)),
        colors.saturating(one(3.0)),
    )
    np.testing.assert_allclose(changed, -1.7 * (x + 0.3), atol=1e-5)


# --- frequencies ----------------------------------------------------------------------------------


def test_the_bands_add_up_to_the_image():
    impulse = np.eye(1, 43, 21)[0]
    assert frequencies.filters().shape == (4, 43)
    np.testing.assert_allclose(frequencies.filters().sum(axis=0), impulse, atol=1e-12)
    x = pictures(2, (10, 7, 3))
    np.testing.assert_allclose(frequencies.amplified(x, jnp.ones((2, 4))), x, atol=1e-5)


def test_a_band_amplifies_its_frequencies():
    gains = jnp.asarray([[2.0, 1.0, 1.0, 3.0]])
    np.testing.assert_allclose(
        frequencies.amplified(jnp.ones((1, 9, 8, 1)), gains), np.full((1, 9, 8, 1), 4.0), atol=1e-5
    )  # a constant lies in the lowest band of both axes
    checks = (-1.0) ** np.add.outer(np.arange(9), np.arange(9))[None, ..., None]
    found = frequencies.amplified(jnp.asarray(checks, jnp.float32), gains)
    np.testing.assert_allclose(found, 9 * checks, atol=1e-4)


def test_normalized_gains_keep_the_expected_power():
    gains = np.asarray(frequencies.normalized(jnp.asarray([[1.0, 4.0, 1.0, 1.0], [1.0] * 4])))
    np.testing.assert_allclose(np.square(gains) @ frequencies.EXPECTED, 1, rtol=1e-5)
    np.testing.assert_allclose(gains[1], 1, rtol=1e-6)


# --- the pipeline ---------------------------------------------------------------------------------

EVERYTHING = tuple(augmentation.GROUPS)


@functools.cache
def everything(filtered=False):
    return jax.jit(pipeline.pipeline(EVERYTHING, filtered=filtered))


@pytest.mark.parametrize("filtered", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_at_a_probability_of_0_images_stay_as_they_are_bit_for_bit(filtered):
    images = pictures(4, (8, 6, 4))
    np.testing.assert_array_equal(everything(filtered)(images, keys_of(4), 0.0), images)


def test_an_image_is_changed_by_its_own_key_whatever_its_batch():
    images, keys = pictures(4, (8, 6, 4)), keys_of(4)
    whole = everything()(images, keys, 0.8)
    assert whole.shape == images.shape
    assert whole.dtype == images.dtype
    order = np.asarray([2, 0, 3, 1])
    again = everything()(images[order], keys.replace(base=keys.base[order]), 0.8)
    np.testing.assert_array_equal(again, np.asarray(whole)[order])
    assert np.abs(everything()(images, keys_of(4, seed=1), 0.8) - whole).max() > 0.1


def test_transparency_is_not_colored():
    images, keys = pictures(4, (8, 6, 4)), keys_of(4)
    augment = jax.jit(pipeline.pipeline(("color", "filter", "noise")))
    colored = np.asarray(augment(images, keys, 1.0))
    np.testing.assert_array_equal(colored[..., 3], images[..., 3])
    assert np.abs(colored[..., :3] - images[..., :3]).max(axis=(1, 2, 3)).min() > 0


def test_an_image_of_one_gray_stays_of_one_gray():
    """Moves keep constants, and hue and saturation keep grays: only brightness, contrast and the
    inversion are left.
    """
    augment = jax.jit(pipeline.pipeline())
    grays = jnp.broadcast_to(jnp.linspace(-1, 1, 8)[:, None, None, None], (8, 8, 8, 3))
    found = np.asarray(augment(grays, keys_of(8), 1.0))
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :1, :1, :1], found.shape), atol=2e-5)
    changes = pipeline.pipeline(("brightness", "contrast", "inversion"))
    np.testing.assert_allclose(found, changes(grays, keys_of(8), 1.0), atol=2e-5)


COUNT, P = 2000, 0.4


@pytest.mark.parametrize(
    ("item", "share", "shape"),
    [
        ("flip", P / 2, (2, 2, 3)),
        ("quarter_turn", P / 2, (2, 1, 1)),  # half turns, as it is not square
        ("shift", P * 3 / 4, (1, 16, 1)),  # by up to 2 pixels: a quarter of the draws is below 1/2
        ("rotation", P, (2, 2, 3)),
        ("inversion", P / 2, (2, 2, 3)),
    ],
)
def test_an_item_changes_its_share_of_the_images(item, share, shape):
    images = pictures(COUNT, shape)
    found = pipeline.pipeline((item,))(images, keys_of(COUNT), P)
    changed = np.any(np.asarray(found) != images, axis=(1, 2, 3)).mean()
    assert abs(changed - share) < 4 * np.sqrt(share * (1 - share) / COUNT)


def test_the_draws_have_the_deviations_of_the_paper():
    ones = np.ones((COUNT, 1, 1, 1), np.float32)

    def drawn(item):
        return np.asarray(pipeline.pipeline((item,))(ones, keys_of(COUNT), 1.0)).ravel()

    assert (drawn("brightness") - 1).std() == pytest.approx(0.2, rel=0.07)
    assert np.log2(drawn("contrast")).std() == pytest.approx(0.5, rel=0.07)


def test_multipliers_are_those_of_groups_unless_an_item_has_its_own():
    assert pipeline.multipliers(("color", "flip")) == dict.fromkeys(
        ("flip", *augmentation.GROUPS["color"]), 1.0
    )
    found = pipeline.multipliers({"blit": 0.5, "flip": 0.0})
    assert found == {"flip": 0.0, "quarter_turn": 0.5, "shift": 0.5}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (("hue", "blur"), "the augmentation is 'blur'; expected one of blit, geometry, color"),
        ({"hue": -1.0}, "the multiplier of hue is -1.0; expected 0 or more"),
    ],
)
def test_items_that_do_not_exist_are_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        pipeline.pipeline(policy)


def test_points_are_refused():
    with pytest.raises(ValueError, match=r"have shape \(2,\); augmentation takes images"):
        pipeline.pipeline()(jnp.ones((3, 2)), keys_of(3), 0.5)
