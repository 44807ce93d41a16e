"""Ranges of values: what becomes -1 and 1, how it is found, and that nothing is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import value_range
from jaxgan.data.value_range import BYTES, ValueRange


def dataset(rows, dtype, **options) -> data.Dataset:
    """One image for each row of values."""
    images = np.asarray(rows, dtype)
    return data.Dataset("it", images.reshape(len(images), 1, -1, 1), **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_goes_to_a_batch_and_back(dtype):
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    held = dataset(levels[None], dtype)
    image = held.batch(seed=0, step=0, size=1)["image"]
    assert image.dtype == np.float32 and image.min() == -1 and image.max() == 1
    back = held.values.to_values(image)
    assert back.dtype == dtype and np.array_equal(back.ravel(), levels)


@pytest.mark.parametrize("most", [1023, 4095, 16383])
def test_fewer_bits_in_16_have_their_own_range_and_come_back(most):
    held = dataset([range(most + 1)], np.uint16)
    assert held.values == ValueRange(0, most, "uint16", "found")
    image = held.float_images()
    assert image.min() == -1 and image.max() == 1
    assert np.array_equal(held.values.to_values(image), held.images)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 273.0, 1e20])
def test_floats_come_back_within_a_millionth_of_their_range(scale):
    values = (np.random.default_rng(0).normal(5.0, 2.0, (9, 40)) * scale).astype(np.float32)
    held = dataset(values, np.float32)
    assert held.values[:2] == (values.min(), values.max())
    back = held.values.to_values(held.batch(seed=0, step=0, size=9)["image"])
    order = data.Dataset("order", np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1))
    rows = order.values.to_values(order.batch(seed=0, step=0, size=9)["image"]).ravel()
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, held.images[rows], rtol=1e-6, atol=1e-6 * np.ptp(values))


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ((0.0, 0.6), 0, 1),
        ((0.0, 0.5), 0, 0.5),
        ((-0.6, 0.1), -1, 1),
        ((-0.4, 0.5), -0.4, 0.5),
        ((0.0, 1.5), 0, 1.5),
        ((-1000.0, 400.0), -1000, 400),
        ((7.0, 7.0), 0, 14),
        ((0.0, 0.0), -1, 1),
    ],
)
def test_the_range_of_floats_is_a_usual_one_that_they_use_or_their_own(values, low, high):
    found = dataset([values], np.float32).values
    np.testing.assert_allclose(found[:2], (low, high), rtol=1e-6)
    assert found.source == "found"


def test_values_that_are_none_are_refused():
    with pytest.raises(data.DataError, match="it: some values are NaN or infinite; replace them"):
        dataset([[0.0, np.nan]], np.float32)


def test_the_inverse_rounds_and_clips_integers_and_leaves_floats():
    odd = np.array([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan], np.float32)
    kept = ValueRange(10, 20.5, "uint16", "given").to_values(odd)
    assert kept.tolist() == [10, 10, 15, 20, 20, 10]
    assert BYTES.to_values(odd).tolist() == data.to_uint8(odd).tolist()
    floats = ValueRange(0, 10, "float32", "given").to_values(odd)
    assert floats[:5].tolist() == [-5, 0, 5, 10, 15] and np.isnan(floats[5])


def test_bytes_are_what_they_were():
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(BYTES.to_float(levels), data.to_float(levels))
    plain, given = dataset([levels], np.uint8), dataset([levels], np.uint8, values=BYTES)
    assert plain.digest == given.digest and plain.pictures() is plain.images
    other = dataset([levels], np.uint8, values=ValueRange(0, 100, "uint8", "given"))
    assert other.digest != plain.digest
    with pytest.raises(TypeError, match="the values are float32; expected uint16"):
        ValueRange(0, 9, "uint16", "given").to_float(np.zeros(3, np.float32))


def test_a_range_is_recorded_as_it_is():
    kept = ValueRange(-1000.0, 400.5, "float32", "given")
    assert ValueRange.recorded(kept.record()) == kept
    assert str(kept) == "[-1000, 400.5], given by --range"
    assert str(BYTES) == "[0, 255], declared by the type"


@pytest.mark.parametrize("given", ["1", "1,2,3", "2,1", "a,b", "0,inf", (1.0, 1.0), ""])
def test_what_is_no_range_is_refused(given):
    with pytest.raises(data.DataError, match="expected LOW,HIGH, two numbers, the lower first"):
        value_range.limits_of(given)


def load(tmp_path, **options):
    arrays = options.pop("arrays")
    np.savez(tmp_path / "set.npz", **arrays)
    return data.load(f"npz:{tmp_path / 'set.npz'}", **options)


def test_the_range_is_that_of_the_training_images(tmp_path):
    images = np.arange(40, dtype=np.float32).reshape(40, 1, 1, 1)
    (tmp_path / "out.txt").write_text("39\n0\n")
    train, held_out, notes = load(
        tmp_path, arrays={"images": images}, holdout=str(tmp_path / "out.txt")
    )
    assert train.values == held_out.values == ValueRange(1, 38, "float32", "found")
    said = "The values are float32; their range is [1, 38], found in the training images."
    assert notes[-1] == said
    assert held_out.float_images().ravel().tolist() == pytest.approx([-1 - 2 / 37, 1 + 2 / 37])
    few = load(tmp_path, arrays={"images": images}, holdout=0, limit=3).train
    assert len(few) == 3 and few.values[:2] == (0, 39)  # of the whole set


def test_a_given_range_clips_and_says_so(tmp_path):
    images = np.arange(-10, 30, dtype=np.int16).reshape(40, 1, 1, 1)
    train, held_out, notes = load(tmp_path, arrays={"images": images}, holdout=0, range="-5,20")
    assert held_out.images is train.images and train.values == ValueRange(
        -5, 20, "float32", "given"
    )
    shown = train.float_images()
    assert (shown.min(), shown.max()) == (-1, 1)
    assert (train.images.min(), train.images.max()) == (-10, 29)  # which stay where they are
    assert notes[-2:] == (
        "The values are float32; their range is [-5, 20], given by --range.",
        "warning: 14 values lie outside of that range: clipped to its ends.",
    )
    small = load(tmp_path, arrays={"images": images.astype(np.uint8) % 200}, range=(0.5, 99.5))
    assert small.train.values.dtype == "uint8"
    assert small.train.float_images().min() >= -1 and small.train.float_images().max() <= 1


def test_two_domains_have_a_range_each(tmp_path):
    deep = np.full((20, 2, 2, 1), 4095, np.uint16)
    arrays = {"a": deep, "b": np.zeros((20, 2, 2, 3), np.uint8)}
    train, held_out, notes = load(tmp_path, arrays=arrays, kind="domains")
    assert train.ranges == {"a": ValueRange(0, 4095, "uint16", "found"), "b": BYTES}
    assert held_out.a.values == train.a.values
    said = (
        "Domain a: The values are uint16; their range is [0, 4095], found in the training images."
    )
    assert said in notes


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 13])
def test_other_sizes_crops_and_mirrors_stay_in_the_type_and_the_range(tmp_path, dtype, channels):
    images = np.random.default_rng(0).integers(100, 5000, (20, 6, 8, channels)).astype(dtype)
    train = load(tmp_path, arrays={"images": images}, resolution="4x4", holdout=0).train
    assert train.images.dtype == dtype and train.shape == (4, 4, channels)
    assert train.images.min() >= images.min() and train.images.max() <= images.max()
    np.testing.assert_allclose(train.images.mean(), images.mean(), rtol=0.05)
    cut = load(tmp_path, arrays={"images": images}, crop=5, flip=True, holdout=0.2)
    batch = cut.train.batch(seed=0, step=0, size=4)["image"]
    assert batch.shape == (4, 5, 5, channels) and np.abs(batch).max() <= 1
    assert cut.train.values == value_range.found(cut.train.stored, name="it")  # of whole images
    assert cut.held_out.shape == (5, 5, channels) and cut.held_out.values == cut.train.values
    padded = load(tmp_path, arrays={"images": images}, resolution=8, resize="pad", holdout=0).train
    black = 0 if dtype == np.uint16 else images.min(axis=(1, 2, 3))
    assert (padded.images[:, 0].max(axis=(1, 2)) == black).all()
