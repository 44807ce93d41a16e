"""Images brought to a resolution and a number of channels, by every policy."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import resizing


def halves(height: int, width: int, channels: int = 1) -> np.ndarray:
    """One image [1, H, W, C], black on its left half and white on its right."""
    image = np.zeros((1, height, width, channels), np.uint8)
    image[:, :, width // 2 :] = 255
    return image


def fitted(images, resolution=None, policy="crop", channels=None):
    return resizing.fit_array(images, resizing.make_fit(resolution, policy, channels), name="it")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (64, (64, 64)),
        ("64", (64, 64)),
        ("64x96", (64, 96)),
        (" 8 X 16 ", (8, 16)),
        ((3, 5), (3, 5)),
        ([7], (7, 7)),
        (np.int64(4), (4, 4)),
    ],
)
def test_a_resolution_is_height_by_width(written, meant):
    assert data.parse_resolution(written) == meant


@pytest.mark.parametrize(
    "written",
    ["", "x", "64x", "64x96x3", "-1", "6.5", 0, -4, 6.5, (1, 2, 3), (), (64, "96"), "64,96"],
)
def test_anything_else_is_refused_with_what_was_expected(written):
    with pytest.raises(data.DataError, match="like 64, or height x width, like 64x96"):
        data.parse_resolution(written)


@pytest.mark.parametrize("policy", resizing.POLICIES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("resolution", [(4, 6), (9, 5), (30, 30)])
def test_every_policy_gives_the_resolution_at_any_channel_count(policy, channels, resolution):
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 9, channels), np.uint8)
    result = fitted(images, resolution, policy)
    assert result.shape == (2, *resolution, channels) and result.dtype == np.uint8


def test_cropping_scales_the_shorter_side_and_keeps_the_center():
    image = np.zeros((1, 8, 24, 1), np.uint8)
    image[:, :, 8:16] = 200
    assert np.abs(fitted(image, (4, 4))[0, :, 1:3].astype(int) - 200).max() < 20
    assert np.array_equal(fitted(image, (8, 8)), image[:, :, 8:16])


def test_padding_shows_everything_between_black_bars():
    image = np.full((1, 8, 16, 1), 200, np.uint8)
    result = fitted(image, (8, 8), "pad")[0, ..., 0]
    assert (result[2:6] == 200).all() and (result[[0, 1, 6, 7]] == 0).all()


def test_stretching_scales_each_side_by_itself():
    result = fitted(halves(8, 16), (8, 4), "stretch")[0, :, :, 0]
    assert (result[:, 0] < 16).all() and (result[:, 3] > 239).all()


def test_scaling_down_averages_so_that_fine_stripes_turn_gray():
    stripes = np.zeros((1, 64, 64, 1), np.uint8)
    stripes[:, :, ::2] = 255
    inner = fitted(stripes, 8)[0, 2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 127).max() < 12


def test_an_image_of_the_right_size_is_left_alone():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    assert fitted(images, (5, 7)) is images


@pytest.mark.parametrize(("found", "wanted"), [(a, b) for a in (1, 3, 4) for b in (1, 3, 4)])
def test_channels_are_converted_as_pil_converts_them(found, wanted):
    images = np.random.default_rng(1).integers(0, 256, (1, 6, 7, found), np.uint8)
    if found == 4:
        images[..., 3] = 255
    mode = {1: "L", 3: "RGB", 4: "RGBA"}
    image = Image.fromarray(images[0, ..., 0] if found == 1 else images[0]).convert(mode[wanted])
    expected = np.asarray(image).reshape(6, 7, wanted).astype(int)
    assert np.abs(fitted(images, channels=wanted)[0] - expected).max() <= 1


def test_what_is_transparent_is_placed_on_white():
    images = np.zeros((1, 1, 3, 4), np.uint8)
    images[0, 0, :, 3] = [0, 51, 255]
    assert fitted(images, channels=3)[0, 0, :, 0].tolist() == [255, 204, 0]
