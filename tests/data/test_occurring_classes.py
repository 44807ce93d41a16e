"""Where classes come from, and those that training never shows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import occurring_classes
from tests.data.conftest import picture


def load(path, **options) -> data.Splits:
    return data.load(f"folder:{path}", **options)


def by_picture(splits: data.Splits) -> dict[bytes, str]:
    """The class of each image, by its pixels."""
    return {
        image.tobytes(): side.classes[label]
        for side in splits[:2]
        for image, label in zip(side.images, side.labels, strict=True)
    }


def expected(count: int, label) -> dict[bytes, str]:
    return {picture(number).tobytes(): label(number) for number in range(count)}


# --- classes that training never shows ------------------------------------------------------------


def labeled(labels, classes) -> data.Dataset:
    numbers = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return data.Dataset("set", numbers, np.array(labels), classes)


def test_classes_that_are_not_trained_on_leave_no_gap_and_are_told():
    splits = data.Splits(
        labeled([1, 3, 3, 1], ("a", "b", "c", "d", "e")),
        labeled([3, 0, 1, 2, 0], ("a", "b", "c", "d", "e")),
        ("before",),
    )
    train, held_out, notes = occurring_classes.occurring(splits)
    assert train.classes == held_out.classes == ("b", "d")
    assert train.labels.tolist() == [0, 1, 1, 0] and held_out.labels.tolist() == [1, 0]
    assert held_out.images.ravel().tolist() == [0, 2]
    assert notes == (
        "before",
        "Left out 3 classes without a training image: a, c, e.",
        "Left out 3 held-out images of classes without training images.",
    )
    whole = splits._replace(train=labeled([0, 1], ("a", "b")))
    assert occurring_classes.occurring(whole) is whole


def test_nothing_held_out_of_a_class_that_is_trained_on_is_refused():
    splits = data.Splits(labeled([0], ("a", "b")), labeled([1], ("a", "b")))
    with pytest.raises(data.DataError, match="no held-out image belongs to a class that has"):
        occurring_classes.occurring(splits)


def test_labels_from_one_with_gaps_become_classes_of_their_numbers(make_archive):
    images = np.stack([picture(number) for number in range(40)])
    labels = np.array([1, 2, 5, 9])[np.arange(40) % 4]
    splits = data.load(f"npz:{make_archive(images=images, labels=labels)}", holdout=0.3)
    assert splits.train.classes == splits.held_out.classes == ("1", "2", "5", "9")
    assert by_picture(splits) == expected(40, lambda number: str(labels[number]))
    assert any("Left out 6 classes without a training image: 0, 3, 4," in n for n in splits.notes)


def test_a_class_of_the_test_folder_alone_and_one_that_is_held_out_whole(make_image, tmp_path):
    for number in range(12):
        make_image(f"set/train/{'cat' if number % 2 else 'dog'}/{number}.png", picture(number))
        make_image(f"set/test/{'cat' if number % 2 else 'ant'}/{number}.png", picture(number + 20))
    splits = load(tmp_path / "set")
    assert splits.train.classes == ("cat", "dog") and set(splits.held_out.labels) == {0}
    (tmp_path / "list").write_text("".join(f"cat/{number}.png\n" for number in (1, 3, 5, 7, 9, 11)))
    with pytest.raises(data.DataError, match="no held-out image belongs to a class"):
        load(tmp_path / "set" / "train", holdout=tmp_path / "list")
    with (tmp_path / "list").open("a") as file:
        file.write("dog/0.png\n")
    splits = load(tmp_path / "set" / "train", holdout=tmp_path / "list")
    assert splits.train.classes == ("dog",) and len(splits.held_out) == 1


def test_a_limit_that_leaves_classes_without_images_leaves_them_out():
    few = data.load("fashion", limit=5)
    counts = np.bincount(few.train.labels, minlength=len(few.train.classes))
    assert counts.min() >= 1 and len(few.train.classes) < 10
    assert few.held_out.classes == few.train.classes
    names = {few.held_out.classes[label] for label in few.held_out.labels}
    assert names == set(few.train.classes)


# --- files of labels ------------------------------------------------------------------------------


@pytest.fixture
def packed(tmp_path, make_image):
    """A folder of 40 images in two numbered parts, as StyleGAN's tool writes them."""
    for number in range(40):
        index = number if number < 20 else 980 + number
        make_image(f"set/{index // 1000:05}/img{index:08}.png", picture(number))
    return tmp_path / "set"


def names(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_folders_that_number_the_parts_of_a_set_are_no_classes(packed):
    splits = load(packed)
    assert splits.train.classes == () and sum(map(len, splits[:2])) == 40
    assert "The folders 00000 to 00001 only divide one dataset" in splits.notes[0]
    (packed / "00001").rename(packed / "00007")
    assert load(packed).train.classes == ("00000", "00007")


def test_numbered_classes_stay_classes(tmp_path, make_image):
    for number in range(40):
        make_image(f"signs/{number % 2:05}/{number:05}_00000.png", picture(number))
    assert load(tmp_path / "signs").train.classes == ("00000", "00001")


@pytest.mark.parametrize("kind", ["list", "dict"])
def test_labels_of_stylegan_are_read(packed, kind):
    labels = {name: number % 12 for number, name in enumerate(names(packed))}
    written = labels if kind == "dict" else [list(entry) for entry in labels.items()]
    (packed / "dataset.json").write_text(json.dumps({"labels": written}))
    splits = load(packed, holdout=0.2)
    assert splits.train.classes == tuple(map(str, range(12)))
    assert by_picture(splits) == expected(40, lambda number: str(number % 12))
    assert "Read 12 classes of 40 images from dataset.json." in splits.notes
    (packed / "dataset.json").write_text('{"labels": null}')
    assert load(packed).train.classes == ()


CSV = {
    "two columns": "{0},{1}",
    "a header": "image,label\n{0},{1}",
    "more columns": 'label;id;filename\n"{1}";7;{0}',
    "another system": "\ufefffile\tclass\r\n.\\{0}\t{1}\r\n",
}


@pytest.mark.parametrize("form", CSV.values(), ids=CSV.keys())
def test_labels_of_a_table_are_read(class_folder, form):
    *header, line = form.strip().split("\n")
    kind = {number: f"kind {number % 3}" for number in range(20)}
    lines = [line.format(name, kind[number]) for number, name in enumerate(names(class_folder))]
    (class_folder / "labels.csv").write_text("\n".join([*header, *lines]), encoding="utf-8")
    splits = load(class_folder, holdout=0.2)
    assert splits.train.classes == ("kind 0", "kind 1", "kind 2")
    assert by_picture(splits) == expected(20, kind.__getitem__)


def test_images_without_a_label_are_left_out_and_told(class_folder):
    (class_folder / "labels.csv").write_text(
        "".join(f"{name},{number % 2}\n" for number, name in enumerate(names(class_folder)[:18]))
    )
    splits = load(class_folder, holdout=0.2)
    assert sum(map(len, splits[:2])) == 18
    assert "Left out 2 images without a label: dog/18.png, dog/19.png." in splits.notes


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        ("dataset.json", "{", "it is damaged or is not UTF-8 text"),
        ("dataset.json", "[" * 100_000, "it is damaged or is not UTF-8 text"),
        ("dataset.json", '{"name": "pets"}', "it has no 'labels'"),
        (
            "dataset.json",
            '{"labels": [["cat/00.png", [0.5, 1]]]}',
            "are not all pairs of a file name",
        ),
        (
            "labels.csv",
            "who,when,where\ncat/00.png,1,2\n",
            "expected two columns, a name and a class",
        ),
        ("labels.csv", "1.png,1\n", "it names no image of this folder"),
        ("labels.csv", "cat/00.png,\n", "some of its lines have no class"),
        ("labels.csv", "\n", "it is empty"),
    ],
)
def test_files_of_labels_that_cannot_be_used_are_named(class_folder, file, content, why):
    before = load(class_folder)
    (class_folder / file).write_text(content)
    after = load(class_folder)
    assert after.train.digest == before.train.digest
    assert any(f"Did not read {file}: " in note and why in note for note in after.notes)
