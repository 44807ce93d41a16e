"""Archives of arrays: images, labels and names, the split, and values in other ranges."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data.readers import stored_types
from jaxgan.runs import config

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 6, 5, 3), np.uint8)
LABELS = np.arange(60) % 4


def load(path, **options) -> data.Splits:
    return data.load(f"npz:{path}", **options)


def test_images_labels_and_names_are_those_of_the_archive(make_archive):
    path = make_archive(images=IMAGES, labels=LABELS, classes=["a", "b", "c", "d"])
    train, held_out, notes = load(path)
    assert train.classes == ("a", "b", "c", "d") and train.shape == (6, 5, 3)
    stored = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    found = {
        image.tobytes(): label
        for side in (train, held_out)
        for image, label in zip(side.images, side.labels, strict=True)
    }
    assert found == stored and len(train) + len(held_out) == 60
    assert notes == (
        f"Held out {len(held_out)} of 60 images: a fraction of 0.1, by a hash of the name.",
    )


def test_labels_without_names_are_named_by_their_numbers(make_archive):
    assert load(make_archive(images=IMAGES, labels=LABELS)).train.classes == ("0", "1", "2", "3")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
def test_an_image_may_have_several_labels(make_archive, dtype):
    marks = (np.arange(60)[:, None] % np.array([1, 2, 3]) == 0).astype(dtype)
    path = make_archive(images=IMAGES, labels=marks, classes=["every", "even", "third"])
    train, held_out, notes = load(path)
    assert isinstance(train, data.MultiLabeled) and isinstance(held_out, data.MultiLabeled)
    assert notes[0] == "40 of 60 images have several labels." and train.several
    assert train.classes == ("every", "even", "third")
    stored = {image.tobytes(): tuple(row) for image, row in zip(IMAGES, marks, strict=True)}
    for side in (train, held_out):
        for image, row in zip(side.images, side.marks, strict=True):
            assert stored[image.tobytes()] == tuple(row)
    assert train.batch(seed=0, step=0, size=4)["label"].shape == (4, 3)
    assert config.DataSpec.of(train).several  # which other models than conditional ones refuse


def test_one_label_an_image_may_be_marked_in_columns(make_archive):
    rows = load(make_archive(images=IMAGES, labels=np.eye(4)[LABELS]))
    numbers = load(make_archive(images=IMAGES, labels=LABELS))
    assert rows.train.digest == numbers.train.digest and not rows.train.several


def test_names_of_classes_may_be_bytes(make_archive):
    classes = np.array(["caf\u00e9".encode(), b"caf\xe9", b"c", b"d"])
    assert load(make_archive(images=IMAGES, labels=LABELS, classes=classes)).train.classes == (
        *("caf\u00e9", r"caf\xe9", "c", "d"),
    )


def test_labels_may_be_left_out_and_one_channel_needs_no_axis(make_archive):
    splits = load(make_archive(images=IMAGES[..., 0]))
    assert splits.train.labels is None and splits.train.shape == (6, 5, 1)


def test_appended_rows_never_move_a_row_to_the_other_side(make_archive):
    few = load(make_archive(images=IMAGES[:40]))
    many = load(make_archive(images=IMAGES))
    for before, after in zip(few[:2], many[:2], strict=True):
        assert np.array_equal(after.images[: len(before)], before.images)


def test_a_list_names_rows(make_archive, tmp_path):
    (tmp_path / "rows.txt").write_text("3\n17\n")
    splits = load(make_archive(images=IMAGES), holdout=tmp_path / "rows.txt")
    assert np.array_equal(splits.held_out.images, IMAGES[[3, 17]])


@pytest.mark.parametrize(
    ("scale", "shift", "words"), [(1.0, 0.0, "[0, 1]"), (2.0, -1.0, "[-1, 1]")]
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_in_a_usual_range_have_the_levels_they_stand_for(
    make_archive, scale, shift, words, dtype
):
    floats = (IMAGES / 255.0 * scale + shift).astype(dtype)
    splits = load(make_archive(images=floats), holdout=0.5)
    whole = load(make_archive(images=IMAGES), holdout=0.5)
    assert np.array_equal(splits.train.pictures(), whole.train.images)
    said = f"The values are float32; their range is {words}, found in the training images."
    assert splits.notes[-1] == said
    close = 2e-3 if dtype == np.float16 else 1e-6
    np.testing.assert_allclose(splits.train.float_images(), whole.train.float_images(), atol=close)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_arrays_stay_what_they_are_and_are_not_copied(dtype):
    images = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3)).astype(dtype)
    tracemalloc.start()
    kept, notes = stored_types.stored(images, "images", name="set")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept is images and notes == () and peak < 2**20


@pytest.mark.parametrize(
    ("dtype", "values", "kept"),
    [
        (np.int64, (0, 255), "uint8"),
        (np.int32, (0, 256), "uint16"),
        (np.int16, (-1000, 3000), "float32"),
        (np.uint32, (0, 2**24), "float32"),
        (np.float64, (-5e5, 2.5), "float32"),
    ],
)
def test_other_numbers_are_kept_in_a_type_that_holds_them(make_archive, dtype, values, kept):
    images = np.array(values, dtype).repeat(30).reshape(10, 6, 1, 1)
    splits = load(make_archive(images=images), holdout=0)
    assert splits.train.images.dtype == kept and np.array_equal(splits.train.images, images)
    assert splits.notes[0] == f"The {images.dtype} of 'images' are kept as {kept}."


def test_damage_is_counted_and_placed_over_all_pieces(make_archive, monkeypatch):
    monkeypatch.setattr(stored_types, "_PIECE", 200)
    images = IMAGES / np.float32(255)
    whole = load(make_archive(images=IMAGES)).train.images
    assert np.array_equal(load(make_archive(images=images)).train.pictures(), whole)
    images[[37, 50], 0, 0, 0] = np.nan, np.inf
    with pytest.raises(data.DataError, match=r"2 values .* the first in image 37;"):
        load(make_archive(images=images))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_channel_count_is_kept_and_resized(make_archive, channels):
    images = np.random.default_rng(1).integers(0, 256, (20, 6, 5, channels), np.uint8)
    splits = load(make_archive(images=images), resolution=(4, 8), holdout=0.5)
    assert splits.train.shape == (4, 8, channels)


def test_channels_are_converted_where_that_is_possible(make_archive):
    assert load(make_archive(images=IMAGES), channels=1).train.shape == (6, 5, 1)


def test_large_headers_are_read_too(make_archive, tmp_path):
    """A compressed archive, written in version 2 of the format."""
    path = tmp_path / "set.npz"
    np.savez_compressed(path, images=IMAGES)
    assert sum(map(len, load(path)[:2])) == 60
