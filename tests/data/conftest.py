"""Small folders and archives of images, as users bring them."""

from __future__ import annotations

import pathlib
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import value_files

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"


def picture(number: int, height: int = 6, width: int = 8, channels: int = 3) -> np.ndarray:
    """A picture of noise, a function of its number: uint8 [H, W, C], [H, W] for one channel."""
    draws = np.random.default_rng(number).integers(0, 256, (height, width, channels), np.uint8)
    return draws[..., 0] if channels == 1 else draws


def png_of_16_bits(values: np.ndarray) -> bytes:
    """A PNG of uint16 [H, W, C], of gray with opacity if C is 2."""
    with mock.patch.dict(value_files._COLOR_TYPES, {2: 4}):  # which nothing of jaxgan writes
        return value_files._png(values)


def require_equal(one, other, *, size: int = 6) -> None:
    """The two sources give the same batches bit for bit, over three epochs or more."""
    assert one.digest == other.digest and one.classes == other.classes
    assert (one.shape, one.inputs) == (other.shape, other.inputs)
    for step in range(3 * 20 // size):
        first, second = (source.batch(seed=7, step=step, size=size) for source in (one, other))
        assert first.keys() == second.keys()
        for name, values in first.items():
            assert values.dtype == second[name].dtype
            assert values.tobytes() == second[name].tobytes()


@pytest.fixture
def make_image(tmp_path):
    """Writes an image file (of noise, without pixels) below `tmp_path`: gives its path."""

    def write(name: str, pixels=None, **options) -> pathlib.Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(picture(0) if pixels is None else pixels)
        image.save(path, **options)
        return path

    return write


@pytest.fixture
def class_folder(tmp_path, make_image):
    """A folder with 20 pictures of 6 x 8, ten in each of the classes `cat` and `dog`."""
    for number in range(20):
        make_image(f"pets/{'cat' if number < 10 else 'dog'}/{number:02}.png", picture(number))
    return tmp_path / "pets"


@pytest.fixture
def make_archive(tmp_path):
    """Writes an .npz archive of the given arrays and gives its path."""

    def write(**arrays) -> pathlib.Path:
        np.savez(tmp_path / "set.npz", **arrays)
        return tmp_path / "set.npz"

    return write


@pytest.fixture
def shared_data():
    """The folder of real sets beside the repository; skips the test where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"no real image sets in {SHARED}")
    return SHARED
