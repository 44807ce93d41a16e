"""What the numbers of a file mean: its colors, its bits, and how large it may be."""

from __future__ import annotations

import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from jaxgan import data
from jaxgan.data import resizing, value_files
from jaxgan.data.readers import decoding, image_file
from tests.data.conftest import picture, png_of_16_bits

GAMMA = 563 / 256  # of Adobe RGB (1998)
ADOBE = {  # its primaries, adapted to the white of profiles (D50)
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20528, 0.62567, 0.06087),
    b"bXYZ": (0.14919, 0.06322, 0.74457),
}
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile (version 2) of a monitor with these tags."""
    table, contents = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(contents), len(content))
        contents += content + bytes(-len(content) % 4)
    white = struct.pack(">3i", *(round(65536 * value) for value in (0.9642, 1.0, 0.8249)))
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIII8sI12s48s",
        *(start + len(contents), b"", 0x02100000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"),
        *(b"", 0, 0, 0, bytes(8), 0, white, bytes(48)),
    )
    return header + struct.pack(">I", len(tags)) + table + contents


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(65536 * value) for value in values))


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma))


def adobe_rgb() -> bytes:
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(GAMMA))
    primaries = {name: _xyz(*values) for name, values in ADOBE.items()}
    return _profile(b"RGB ", {**primaries, **curves, b"wtpt": _xyz(0.9642, 1.0, 0.8249)})


def gray_of(gamma: float) -> bytes:
    return _profile(b"GRAY", {b"kTRC": _curve(gamma), b"wtpt": _xyz(0.9642, 1.0, 0.8249)})


def decoded(path, channels: int = 3, **changes) -> np.ndarray:
    """One file, decoded at its own size."""
    target = resizing.Target(image_file.inspect(path).size, "crop", channels)._replace(**changes)
    return image_file.decode(path, target)


def even(color, shape=(4, 6)) -> np.ndarray:
    return np.broadcast_to(np.array(color, np.uint8), (*shape, len(color))).copy()


# --- colors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "webp", "jpg"])
def test_colors_of_a_profile_become_those_of_srgb(make_image, suffix):
    options = {"png": {}, "webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}
    path = make_image(
        f"a.{suffix}", even((101, 180, 99)), icc_profile=adobe_rgb(), **options[suffix]
    )
    assert "profile" in image_file.inspect(path).traits
    assert np.abs(decoded(path)[0, 0].astype(int) - (0, 181, 93)).max() <= (
        4 if suffix == "jpg" else 1
    )


def test_the_opacity_stays_and_white_is_white(make_image):
    pixels = even((101, 180, 99, 7))
    pixels[0] = 255
    path = make_image("a.png", pixels, icc_profile=adobe_rgb())
    found = decoded(path, 4)
    assert (found[0] == 255).all() and (found[1:, :, 3] == 7).all()
    assert np.abs(found[1, 0, :3].astype(int) - (0, 181, 93)).max() <= 1
    on_white = decoded(path)[1, 0].astype(int)
    assert np.abs(on_white - (255 - (255 - np.array([0, 181, 93])) * 7 / 255)).max() <= 1


def test_colors_of_a_palette_have_its_profile(tmp_path):
    image = Image.fromarray(even((101, 180, 99))).quantize(4)
    image.save(tmp_path / "a.png", icc_profile=adobe_rgb())
    assert np.abs(decoded(tmp_path / "a.png")[0, 0].astype(int) - (0, 181, 93)).max() <= 1


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_grays_of_a_profile_become_those_of_srgb(make_image, gamma):
    """By the definition of sRGB's curve (IEC 61966-2-1)."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)[None]
    light = (levels / 255.0) ** gamma
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    path = make_image("a.png", levels, icc_profile=gray_of(gamma))
    assert np.abs(decoded(path, 1)[..., 0].astype(int) - 255 * curve).max() <= 2


def test_pixels_that_are_in_srgb_stay_as_they_are_and_need_no_note(make_image):
    path = make_image("a.png", picture(1), icc_profile=SRGB)
    assert np.array_equal(decoded(path), picture(1))
    assert not {"profile", "damaged profile"} & image_file.inspect(path).traits
    # Writers put the profile of colors into files in gray, too.
    path = make_image("b.png", picture(1, channels=1), icc_profile=SRGB)
    assert np.array_equal(decoded(path, 1)[..., 0], picture(1, channels=1))


@pytest.mark.parametrize(
    "profile", [b"nonsense", adobe_rgb()[:300], gray_of(1.0)], ids=["none", "cut", "of grays"]
)
def test_a_profile_that_cannot_be_used_is_told_and_the_pixels_stay(class_folder, profile):
    path = class_folder / "cat" / "00.png"
    Image.open(path).save(path, icc_profile=profile)
    splits = data.load(f"folder:{class_folder}")
    assert (
        "1 of 20 images have a color profile that cannot be used: their values are kept unchanged."
    ) in splits.notes
    assert np.array_equal(decoded(path), picture(0))


def test_converted_colors_are_told_with_their_count(class_folder):
    for number in range(3):
        path = class_folder / "cat" / f"{number:02}.png"
        Image.open(path).save(path, icc_profile=adobe_rgb())
    said = "3 of 20 images have a color profile other than sRGB: converted to sRGB."
    assert said in data.load(f"folder:{class_folder}").notes


# --- bits -----------------------------------------------------------------------------------------


def deep_folder(make_image, levels) -> str:
    """Twenty images in gray of 16 bits, of these levels each."""
    for number in range(20):
        path = make_image(f"deep/{number:02}.png", np.array([levels], np.uint16))
    return f"folder:{path.parent}"


@pytest.mark.parametrize(
    ("bits", "levels"),
    [(8, (0, 128, 255)), (10, (0, 512, 1023)), (12, (0, 2056, 4095)), (14, (0, 8224, 16383))],
)
def test_a_set_of_fewer_bits_in_16_is_as_bright_as_one_of_8(make_image, bits, levels):
    splits = data.load(deep_folder(make_image, levels))
    assert isinstance(splits.train, data.Dataset)
    assert splits.train.images[0].ravel().tolist() == list(levels)
    assert splits.train.pictures()[0].ravel().tolist() == [0, 128, 255]
    said = (
        f"The values are uint16; their range is [0, {2**bits - 1}], found in the training images."
    )
    assert said in splits.notes
    assert not any("rounded to 8" in note for note in splits.notes)


def test_the_brightest_image_decides_the_range_of_all(make_image):
    spec = deep_folder(make_image, (0, 2056, 4095))
    make_image("deep/20.png", np.array([[0, 32896, 65535]], np.uint16))
    splits = data.load(spec, holdout=0)
    assert isinstance(splits.train, data.Dataset)
    assert splits.train.pictures()[0].ravel().tolist() == [0, 8, 16]
    assert splits.train.values == data.ValueRange(0, 65535, "uint16", "found")


def test_images_of_8_bits_bring_those_of_16_to_8(make_image):
    spec = deep_folder(make_image, (0, 2056, 4095))
    make_image("deep/20.png", np.array([[0, 1, 255]], np.uint8))
    splits = data.load(spec, holdout=0)
    assert splits.train.images[0].ravel().tolist() == [0, 128, 255]
    said = "20 of 21 images have 16 bits per channel but use 12 of them: level 4095 becomes white."
    assert said in splits.notes


def test_gray_of_16_bits_with_transparency_keeps_every_bit(tmp_path, make_image):
    values = np.random.default_rng(0).integers(0, 65535, (4, 6, 2), np.uint16)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(values))
    kept = data.load(f"folder:{tmp_path}", holdout=0, channels=4).train
    np.testing.assert_array_equal(kept.images[0], values[..., [0, 0, 0, 1]])
    train, _, notes = data.load(f"folder:{tmp_path}", holdout=0)
    clear = 1 - values[..., 1] / 65535
    on_white = values[..., 0] * (1 - clear) + 65535 * clear
    np.testing.assert_array_equal(train.images[0, ..., 0], np.rint(on_white))
    assert notes[0].startswith("1 of 1 images have transparency (RGBA): placed on white")
    make_image("b.png", picture(0, 4, 6, channels=1))
    eight = data.load(f"folder:{tmp_path}", holdout=0, channels=4)
    np.testing.assert_array_equal(eight.train.images[0], values[..., [0, 0, 0, 1]] >> 8)
    assert "1 of 2 images have 16 bits per channel: rounded to 8." in eight.notes


def test_floats_of_any_range_and_levels_are_no_set(make_image):
    Image.fromarray(np.full((6, 8), 273.0, np.float32)).save(make_image("set/a.tif"))
    for number in range(3):
        make_image(f"set/{number}.png", picture(number, channels=1))
    with pytest.raises(data.DataError, match=r"a.tif holds floats outside of \[-1, 1\], and other"):
        data.load(f"folder:{make_image('set/b.png').parent}", holdout=0)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("most", [4095, 65535])
def test_colors_of_16_bits_keep_every_bit(tmp_path, channels, most):
    draws = np.random.default_rng(channels).integers(0, most, (20, 5, 7, channels), np.uint16)
    draws[:, 0, 0] = most
    for number, values in enumerate(draws):
        (tmp_path / f"{number:02}.png").write_bytes(value_files.encoded(values))
    splits = data.load(f"folder:{tmp_path}", holdout=0, channels=channels)
    assert isinstance(splits.train, data.Dataset)
    np.testing.assert_array_equal(splits.train.images, draws)
    assert splits.train.values == data.ValueRange(0, most, "uint16", "found")


# --- size -----------------------------------------------------------------------------------------


def test_an_image_may_have_as_many_pixels_as_the_limit_and_no_more(make_image, monkeypatch):
    monkeypatch.setattr(image_file, "LARGEST", 48)
    for suffix in ("png", "bmp", "gif", "webp"):
        assert decoded(make_image(f"a.{suffix}", picture(0))).shape == (6, 8, 3)
        larger = make_image(f"b.{suffix}", picture(0, 7, 7))
        with pytest.raises(Image.DecompressionBombError) as caught:
            image_file.inspect(larger)
        assert image_file.damage(caught.value).startswith("more than")


def test_a_large_photograph_is_read_where_it_is_decoded_small(make_image, monkeypatch):
    monkeypatch.setattr(image_file, "LARGEST", 200 * 200)
    whole, steps = (
        make_image(f"{progressive}.jpg", picture(0, 400, 400), progressive=progressive)
        for progressive in (False, True)
    )
    assert image_file.decode(whole, resizing.Target((32, 32), "crop", 3)).shape == (32, 32, 3)
    for path, size in ((whole, 300), (steps, 32)):  # a progressive one is held whole
        with pytest.raises(Image.DecompressionBombError):
            image_file.decode(path, resizing.Target((size, size), "crop", 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bands_give_the_pixels_of_the_whole(tmp_path, monkeypatch, mode, channels):
    picture_of = Image.fromarray(picture(3, 37, 11, 4))
    if mode == "I;16":
        picture_of = Image.fromarray(np.arange(37 * 11, dtype=np.uint16).reshape(37, 11) * 150)
    elif mode == "P":
        picture_of = picture_of.quantize(16)
    else:
        picture_of = picture_of.convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    icc = adobe_rgb() if mode in ("RGB", "RGBA", "P") else b""
    picture_of.save(path, icc_profile=icc)
    whole = decoded(path, channels)
    monkeypatch.setattr(image_file, "_BAND", 50)
    assert np.array_equal(decoded(path, channels), whole)


PEAK = """
import pathlib, resource, sys
from jaxgan.data import resizing
from jaxgan.data.readers import image_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
target = resizing.Target((64, 64), "crop", 3)
try:
    image_file.inspect(pathlib.Path(sys.argv[1]))
    image_file.decode(pathlib.Path(sys.argv[1]), target)
except Exception as error:
    print(image_file.damage(error))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(("side", "said"), [(13_000, "more than 67 million pixels"), (4000, "")])
def test_many_pixels_in_a_small_file_take_little_memory(tmp_path, side, said):
    path = tmp_path / "a.png"
    image = Image.new("P", (side, side))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(path, transparency=1)
    assert path.stat().st_size < 10**6
    found = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    *sentence, kilobytes = found.stdout.split("\n")[:-1]
    assert "".join(sentence) == said
    scale = 1 if sys.platform == "darwin" else 1024
    bound = 30e6 if said else 12 * side * side
    assert int(kilobytes) * scale < bound


def test_fewer_images_are_decoded_at_once_where_they_are_large(monkeypatch):
    monkeypatch.setattr(decoding.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(decoding.memory, "available", lambda: 16 * 10**9)
    assert decoding._workers(10**6) == 16
    assert decoding._workers(image_file.LARGEST) == decoding._workers(10**12) == 14
    monkeypatch.setattr(decoding.memory, "available", lambda: 10**6)
    assert decoding._workers(10**6) == 1
