"""Images of many channels: which of them pictures show, and files that hold them all."""

from __future__ import annotations

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import bands, value_files
from jaxgan.data.readers import tiff


@pytest.mark.parametrize(
    ("channels", "shown"),
    [(1, (0,)), (2, (0,)), (3, (0, 1, 2)), (4, (0, 1, 2, 3)), (5, (0, 1, 2)), (13, (0, 1, 2))],
)
def test_pictures_show_all_channels_or_the_first(channels, shown):
    images = np.random.default_rng(0).random((2, 3, 3, channels))
    assert np.array_equal(bands.shown(images), images[..., list(shown)])
    told = bands.note(channels)
    assert (told is None) == (len(shown) == channels)


def test_pictures_show_the_channels_that_are_named():
    images = np.random.default_rng(0).random((2, 3, 3, 5))
    assert np.array_equal(bands.shown(images, bands.parsed("5,2,1", 5)), images[..., [4, 1, 0]])
    assert np.array_equal(bands.shown(images, bands.parsed("4", 5)), images[..., [3]])
    named = bands.note(5, (4, 1, 0))
    assert named == "Pictures show channels 5, 2 and 1 of 5 as red, green and blue."
    assert bands.note(5, (3,)) == "Pictures show channel 4 of 5."
    assert bands.fitting("5,2,1", 3) == () == bands.parsed(None, 5)


@pytest.mark.parametrize("show", ["0", "6", "1,2", "1,2,x", "", "1,2,3,4", "-1"])
def test_what_names_no_channels_is_refused(show):
    with pytest.raises(data.DataError, match=r"--show (is|names)"):
        bands.parsed(show, 5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 13])
def test_a_file_of_any_channels_gives_the_same_values(tmp_path, channels, dtype):
    values = np.random.default_rng(0).integers(0, 256, (20, 5, 4, channels)).astype(dtype)
    if dtype != np.uint8:
        values[values > 128] += dtype(3000)
    suffix = value_files.suffix(channels, values.dtype.name)
    assert suffix == (".png" if channels in (1, 3, 4) and dtype != np.float32 else ".tif")
    for number, image in enumerate(values):
        (tmp_path / f"{number:02}{suffix}").write_bytes(value_files.encoded(image))
    given = {"channels": 4} if channels == 4 else {}
    train = data.load(f"folder:{tmp_path}", holdout=0, **given).train
    assert isinstance(train, data.Dataset)
    assert train.images.dtype == dtype and np.array_equal(train.images, values)


def saved(values: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF", **options)
    return file.getvalue()


@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compressed_tiffs_are_read_as_pil_wrote_them(compression, dtype, predictor):
    # Enough codes that those of LZW become longer, and that its table is cleared.
    values = np.random.default_rng(0).integers(0, 200, (90, 70)).astype(dtype)
    written = saved(values, compression=compression, tiffinfo={317: predictor})
    if compression == "raw":  # nothing is predicted there
        written = saved(values)
    assert np.array_equal(tiff.read(written)[..., 0], values)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("layout", ["planes", "tiles", "differences"])
def test_planes_tiles_and_differences_are_put_together(layout, dtype, order):
    values = np.random.default_rng(1).normal(2000, 300, (20, 24, 5)).astype(dtype)
    assert np.array_equal(tiff.read(_written(values, layout, order)), values)


def _written(values: np.ndarray, layout: str, order: str) -> bytes:
    """A TIFF of two strips a plane, of tiles of 16 x 16, or of differences of bytes or values."""
    import struct
    import zlib

    height, width, channels = values.shape
    stored = values.astype(values.dtype.newbyteorder(order))
    tags = {256: [width], 257: [height], 258: [8 * values.itemsize] * channels, 259: [1]}
    tags |= {262: [1], 277: [channels], 284: [1]}
    tags[339] = [{"u": 1, "f": 3}[values.dtype.kind]] * channels
    if layout == "planes":
        tags[284], tags[278] = [2], [12]
        pieces = [stored[top : top + 12, :, band] for band in range(channels) for top in (0, 12)]
        places, sizes = 273, 279
    elif layout == "tiles":
        tags[322], tags[323] = [16], [16]
        filled = np.pad(stored, ((0, 12), (0, 8), (0, 0)))
        pieces = [filled[y : y + 16, x : x + 16] for y in (0, 16) for x in (0, 16)]
        places, sizes = 324, 325
    else:
        tags[259], tags[278], tags[317] = [8], [height], [2 if values.dtype.kind == "u" else 3]
        whole = values.reshape(height, width, channels)
        if values.dtype.kind == "u":
            changes = np.diff(whole, axis=1, prepend=np.zeros_like(whole[:, :1]))
            pieces = [changes.astype(stored.dtype)]
        else:
            split = whole.reshape(height, -1).astype(">f4").view(np.uint8).reshape(height, -1, 4)
            lined = split.transpose(0, 2, 1).reshape(height, -1, channels)
            pieces = [np.diff(lined, axis=1, prepend=np.zeros_like(lined[:, :1]))]
        places, sizes = 273, 279
    contents = [np.ascontiguousarray(piece).tobytes() for piece in pieces]
    if layout == "differences":
        contents = [zlib.compress(content) for content in contents]
    tags[places] = [0] * len(contents)
    tags[sizes] = [len(content) for content in contents]
    start = 8 + 2 + 12 * len(tags) + 4
    lengths = sum(4 * len(numbers) for numbers in tags.values() if len(numbers) > 1)
    ends = np.cumsum([start + lengths, *tags[sizes]])
    tags[places] = ends[:-1].tolist()
    entries, lists = b"", b""
    for tag, numbers in sorted(tags.items()):
        one = numbers[0]
        if len(numbers) > 1:
            one = start + len(lists)
            lists += struct.pack(f"{order}{len(numbers)}I", *numbers)
        entries += struct.pack(order + "HHII", tag, 4, len(numbers), one)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HIH", 42, 8, len(tags))
    return head + entries + bytes(4) + lists + b"".join(contents)


def test_a_damaged_tiff_of_bands_is_left_out_and_named(tmp_path: pathlib.Path):
    whole = value_files.encoded(np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5))
    for number in range(6):
        (tmp_path / f"{number}.tif").write_bytes(whole[: -7 if number == 3 else None])
    splits = data.load(f"folder:{tmp_path}", holdout=0)
    said = "Left out 1 of 6 images that cannot be read: 3.tif (truncated)."
    assert said in splits.notes and splits.train.shape == (4, 6, 5)


def test_bands_that_differ_in_number_are_refused(tmp_path):
    for number, channels in enumerate((5, 5, 6)):
        image = np.zeros((4, 6, channels), np.uint8)
        (tmp_path / f"{number}.tif").write_bytes(value_files.encoded(image))
    with pytest.raises(data.DataError, match=r"0.tif has 5 and 2.tif has 6; save all with the"):
        data.load(f"folder:{tmp_path}", holdout=0)
