"""Images with several labels: batches, digests, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.runs.config import DataSpec

MARKS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 1]], np.uint8)
CLASSES = ("cat", "dog", "old")


def of(marks=MARKS, classes=CLASSES) -> data.MultiLabeled:
    images = np.arange(len(marks), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return data.MultiLabeled("set", images, classes=classes, marks=marks)


def test_a_batch_has_the_labels_of_its_images_and_an_epoch_each_image():
    batch = of().batch(seed=0, step=0, size=4)
    numbers = np.rint((batch["image"].ravel() + 1) * 127.5).astype(int)
    assert sorted(numbers) == [0, 1, 2, 3]
    np.testing.assert_array_equal(batch["label"], MARKS[numbers])
    assert batch["label"].dtype == np.float32
    some = of().batch(seed=0, step=0, size=4, rows=[2])
    np.testing.assert_array_equal(some["label"], batch["label"][2:3])


def test_subsets_and_classes_keep_images_and_labels_together():
    assert of().subset([3, 0]).marks.tolist() == [[0, 1, 1], [1, 0, 1]]
    assert of().class_counts().tolist() == [2, 2, 2] and of().rows_of(2).tolist() == [0, 3]
    dogs = of().of_classes(np.array([False, True, False]))
    assert dogs is not None and dogs.classes == ("dog",)
    assert dogs.images.ravel().tolist() == [1, 3] and dogs.marks.tolist() == [[1], [1]]
    assert of(MARKS[2:3]).of_classes(np.array([False, True, True])) is None


def test_the_digest_is_that_of_the_labels_too():
    assert of().digest == of(MARKS.copy()).digest
    assert len({of().digest, of(1 - MARKS).digest, of(classes=("a", "b", "c")).digest}) == 3


def test_a_model_is_told_and_records_of_one_label_stay_as_they_are():
    spec = DataSpec.of(of())
    assert spec.several and DataSpec.recorded(spec.record()) == spec
    assert "several" not in DataSpec((1, 1, 1), CLASSES).record()


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        (MARKS[:, :2], r"expected uint8 of shape \(4, 3\)"),
        (MARKS * 2, "0 or 1 for each image and class"),
        (MARKS.astype(float), "the labels are float64"),
        (MARKS * [[0], [1], [1], [1]], "some images have no label"),
    ],
)
def test_labels_that_do_not_fit_are_refused(marks, says):
    with pytest.raises(data.DataError, match=says):
        of(marks.astype(np.uint8) if marks.dtype != float else marks)
