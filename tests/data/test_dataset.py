"""Batches as a function of seed, step and rows: contents, order, flips, and the digest."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jaxgan import data

COUNT = 23


def numbered(count: int = COUNT, **options) -> data.Dataset:
    """Image i shows i everywhere, but i + 100 in its left column; its label is i modulo 3."""
    images = np.tile(np.arange(count, dtype=np.uint8)[:, None, None, None], (1, 4, 5, 2))
    images[:, :, 0] += 100
    labels = np.arange(count) % 3
    return data.Dataset("numbered", images, labels, ("a", "b", "c"), **options)


def shown(batch) -> np.ndarray:
    """Which images a batch holds, read off their middle."""
    return data.to_uint8(batch["image"])[:, 0, 2, 0]


def test_a_batch_has_the_documented_keys_types_shapes_and_range():
    batch = numbered().batch(seed=0, step=0, size=7)
    assert set(batch) == {"image", "label"}
    assert batch["image"].shape == (7, 4, 5, 2) and batch["image"].dtype == np.float32
    assert batch["label"].shape == (7,) and batch["label"].dtype == np.int32
    assert batch["image"].min() >= -1.0 and batch["image"].max() <= 1.0
    assert batch["label"].tolist() == (shown(batch) % 3).tolist()


def test_an_unlabeled_batch_has_no_label():
    dataset = data.Dataset("plain", numbered().images)
    assert set(dataset.batch(seed=0, step=0, size=2)) == {"image"}
    assert dataset.classes == () and dataset.shape == (4, 5, 2) and len(dataset) == COUNT


def test_the_same_arguments_give_the_same_bytes_whatever_was_asked_before():
    first, second = numbered(flip=True), numbered(flip=True)
    for step in range(20):
        first.batch(seed=3, step=step, size=6)
    for key, values in first.batch(seed=3, step=9, size=6).items():
        assert values.tobytes() == second.batch(seed=3, step=9, size=6)[key].tobytes()


@pytest.mark.parametrize("size", [1, 6, COUNT, 50])
def test_every_epoch_visits_every_image_once_across_batches(size):
    dataset = numbered()
    steps = -(-4 * COUNT // size)
    stream = np.concatenate(
        [shown(dataset.batch(seed=1, step=step, size=size)) for step in range(steps)]
    )
    epochs = stream[: 4 * COUNT].reshape(4, COUNT)
    assert (np.sort(epochs) == np.arange(COUNT)).all()
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_another_seed_gives_another_order():
    dataset = numbered()
    orders = [shown(dataset.batch(seed=seed, step=0, size=COUNT)) for seed in (0, 1)]
    assert not np.array_equal(*orders)


@pytest.mark.parametrize(
    "rows", [slice(2, 9), slice(0, None, 3), [5, 1, 1], np.array([11]), slice(4, 4)]
)
def test_some_rows_equal_those_rows_of_the_full_batch(rows):
    dataset = numbered(flip=True)
    full = dataset.batch(seed=2, step=5, size=12)
    for key, values in dataset.batch(seed=2, step=5, size=12, rows=rows).items():
        assert np.array_equal(values, full[key][rows])


def test_flips_mirror_about_half_of_the_images_left_to_right_and_nothing_else():
    plain, flipped = (numbered(flip=flip) for flip in (False, True))
    turned = 0
    for step in range(40):
        before, after = (part.batch(seed=0, step=step, size=25) for part in (plain, flipped))
        assert np.array_equal(before["label"], after["label"])
        for one, other in zip(before["image"], after["image"], strict=True):
            same = np.array_equal(one, other)
            assert same or np.array_equal(one[:, ::-1], other)
            turned += not same
    assert 430 < turned < 570


def test_a_flip_belongs_to_the_position_and_so_changes_between_epochs():
    dataset = numbered(1, flip=True)
    images = dataset.batch(seed=0, step=0, size=64)["image"]
    assert len(np.unique(images, axis=0)) == 2


def test_batches_do_not_share_memory_with_the_images():
    dataset = numbered(flip=True)
    before = dataset.images.copy()
    dataset.batch(seed=0, step=0, size=COUNT)["image"][:] = 0.0
    assert np.array_equal(dataset.images, before)


def test_a_subset_keeps_order_labels_and_classes():
    chosen = numbered().subset([4, 4, 0])
    assert chosen.images[:, 0, 2, 0].tolist() == [4, 4, 0]
    assert chosen.labels.tolist() == [1, 1, 0] and chosen.classes == ("a", "b", "c")


def test_taking_spreads_evenly_over_the_set():
    assert numbered(20).take(5).images[:, 0, 2, 0].tolist() == [0, 4, 8, 12, 16]
    assert numbered(20).evenly(5).tolist() == [0, 4, 8, 12, 16]
    assert len(numbered().take(COUNT)) == COUNT
    with pytest.raises(data.DataError, match="24 images were asked for; expected 1 to 23"):
        numbered().take(24)


def test_all_images_as_floats():
    dataset = numbered(flip=True)
    assert np.array_equal(dataset.float_images(), data.to_float(dataset.images))


def test_the_digest_is_that_of_the_contents():
    dataset = numbered()
    assert dataset.digest == numbered().digest == numbered(flip=True).digest
    images = dataset.images.copy()
    images[-1, -1, -1, -1] ^= 1
    labels = np.roll(dataset.labels, 1)
    others = [
        data.Dataset("numbered", images, dataset.labels, dataset.classes),
        data.Dataset("numbered", dataset.images, labels, dataset.classes),
        data.Dataset("numbered", dataset.images, dataset.labels, ("a", "b", "d")),
        data.Dataset("numbered", dataset.images),
        data.Dataset("numbered", dataset.images.swapaxes(1, 2), dataset.labels, dataset.classes),
    ]
    assert len({dataset.digest, *(other.digest for other in others)}) == 6
    assert len(dataset.digest) == 64


def test_the_digest_does_not_depend_on_the_layout_in_memory():
    dataset = numbered()
    strided = np.asfortranarray(dataset.images)
    assert data.Dataset("f", strided, dataset.labels, dataset.classes).digest == dataset.digest


@pytest.mark.parametrize("arguments", [{"step": -1, "size": 2}, {"step": 0, "size": 0}])
def test_a_batch_needs_a_step_and_a_size(arguments):
    with pytest.raises(ValueError, match="expected step >= 0 and size >= 1"):
        numbered().batch(seed=0, **arguments)


def test_one_batch_must_be_there():
    data.require_batch(numbered(), COUNT)
    data.require_batch(data.load("ring").train, 10**6)
    with pytest.raises(data.DataError, match="23 images, fewer than one batch of 24"):
        data.require_batch(numbered(), COUNT + 1)


@pytest.mark.parametrize("batches", [1, 2, 5, COUNT])
def test_the_batch_size_that_is_advised_is_the_largest_that_there_are_images_for(batches):
    with pytest.raises(data.DataError) as caught:
        data.require_batch(numbered(), 64 * batches, batch_size=64)
    (advised,) = re.findall(r"--batch-size (\d+) or less", str(caught.value))
    data.require_batch(numbered(), int(advised) * batches, batch_size=int(advised))
    with pytest.raises(data.DataError):
        data.require_batch(numbered(), (int(advised) + 1) * batches, batch_size=int(advised) + 1)


def test_where_no_batch_size_helps_none_is_advised():
    with pytest.raises(data.DataError, match=r"a step takes at --batch-size 1; add images$"):
        data.require_batch(numbered(), COUNT + 1, batch_size=1)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "says"),
    [
        (np.zeros((2, 4, 4, 1), np.float64), None, (), "float64 of shape"),
        (np.zeros((2, 4, 4), np.uint8), None, (), "float32 of shape [N, H, W, C]"),
        (np.zeros((0, 4, 4, 1), np.uint8), None, (), "no dimension of size 0"),
        (np.zeros((2, 4, 4, 1), np.uint8), None, ("a",), "no labels"),
        (np.zeros((2, 4, 4, 1), np.uint8), [0, 1, 0], ("a", "b"), "3 labels for 2 images"),
    ],
)
def test_a_dataset_is_checked_when_it_is_made(images, labels, classes, says):
    with pytest.raises(data.DataError, match=re.escape(says)):
        data.Dataset("made", images, labels, classes)
