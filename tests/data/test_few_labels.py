"""Data with few labels: which examples keep theirs, and what a batch shows of them."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import few_labels

COUNT = 60


def numbered(**options) -> data.Dataset:
    """Image i shows i everywhere; its label is i modulo 3."""
    images = np.tile(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (1, 2, 2, 1))
    return data.Dataset("numbered", images, np.arange(COUNT) % 3, ("a", "b", "c"), **options)


def shown(images) -> np.ndarray:
    """Which images these are."""
    return data.to_uint8(images)[:, 0, 0, 0]


def stream(source, name: str, steps: int, size: int, seed: int = 0) -> np.ndarray:
    batches = [source.batch(seed=seed, step=step, size=size)[name] for step in range(steps)]
    return np.concatenate(batches)


def test_as_many_of_each_class_keep_their_label_and_the_seed_decides_which():
    source = few_labels.partly_labeled(numbered(), 4)
    chosen = source.labeled(0)
    assert np.bincount(chosen.labels).tolist() == [4, 4, 4]
    assert (shown(chosen.float_images()) % 3 == chosen.labels).all()
    again = few_labels.partly_labeled(numbered(), 4).labeled(0)
    assert np.array_equal(chosen.images, again.images)
    assert not np.array_equal(chosen.images, source.labeled(1).images)


def test_more_labels_are_further_ones():
    few, more = (few_labels.partly_labeled(numbered(), n).labeled(5) for n in (3, 7))
    assert set(shown(few.float_images())) < set(shown(more.float_images()))


def test_a_batch_shows_the_labels_of_the_chosen_and_images_of_all():
    source = few_labels.partly_labeled(numbered(), 2)
    batch = source.batch(seed=3, step=0, size=20)
    assert set(batch) == {"image", "label", "unlabeled", "reference"}
    assert {len(rows) for rows in batch.values()} == {20}
    assert batch["label"].dtype == np.int32
    assert (shown(batch["image"]) % 3 == batch["label"]).all()
    chosen = set(shown(source.labeled(3).float_images()))
    labeled = shown(stream(source, "image", 3, 20, seed=3))
    assert all(set(labeled[at : at + 6]) == chosen for at in range(0, 60, 6))
    for name in ("unlabeled", "reference"):
        assert np.array_equal(np.sort(shown(stream(source, name, 3, 20, seed=3))), range(COUNT))


def test_the_unlabeled_and_the_reference_images_are_in_independent_orders():
    source = few_labels.partly_labeled(numbered(), 2)
    first, second = (shown(stream(source, n, 6, 20)) for n in ("unlabeled", "reference"))
    assert np.mean(first == second) < 0.1


def test_part_of_a_batch_equals_that_part_of_the_whole():
    source = few_labels.partly_labeled(numbered(flip=True), 2)
    whole = source.batch(seed=1, step=4, size=9)
    part = source.batch(seed=1, step=4, size=9, rows=[7, 2])
    for name, rows in whole.items():
        assert part[name].tobytes() == rows[[7, 2]].tobytes()


def test_the_data_of_a_run_keep_their_held_out_set_and_all_its_labels():
    plain, few = data.load("fashion"), data.load("fashion", labels=10)
    assert isinstance(few.train, data.PartlyLabeled)
    assert np.bincount(few.train.labeled(0).labels).tolist() == [10] * 10
    assert few.held_out.digest == plain.held_out.digest
    assert (few.train.shape, few.train.classes) == (plain.train.shape, plain.train.classes)


@pytest.mark.parametrize(
    ("source", "per_class", "message"),
    [
        (data.Dataset("plain", numbered().images), 2, "plain: it has no labels"),
        (numbered(), 0, "0 labels of each class were requested; expected 1 or more"),
        (numbered(), 21, "there are 20 images of 'a', fewer than the 21 labels"),
    ],
)
def test_labels_that_cannot_be_had_are_refused(source, per_class, message):
    with pytest.raises(data.DataError, match=message):
        few_labels.partly_labeled(source, per_class)


def test_points_have_no_labels():
    with pytest.raises(data.DataError, match="ring has no labels: leave --labels out"):
        data.load("ring", labels=10)
