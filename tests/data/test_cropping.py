"""Random crops: places, full detail, pairs, centers of held-out images, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import counter_rng
from tests.data.conftest import picture


def coordinates(count: int, height: int, width: int) -> np.ndarray:
    """Images whose pixels say where they are: row, column, and number of the image."""
    grid = np.indices((height, width)).transpose(1, 2, 0)
    images = np.empty((count, height, width, 3), np.uint8)
    images[..., :2] = grid
    images[..., 2] = np.arange(count)[:, None, None]
    return images


def test_a_crop_is_a_part_in_full_detail_and_every_place_is_equally_likely():
    whole = data.Dataset("p", coordinates(7, 6, 9))
    cut = whole.cut_at_random((4, 5))
    shown = [data.to_uint8(cut.batch(seed=0, step=n, size=50)["image"]) for n in range(60)]
    shown = np.concatenate(shown)
    corners = shown[:, 0, 0, :2].astype(int)
    expected = corners[:, None, None] + np.indices((4, 5)).transpose(1, 2, 0)
    np.testing.assert_array_equal(shown[..., :2], expected)
    counts = np.zeros((3, 5), int)
    np.add.at(counts, (corners[:, 0], corners[:, 1]), 1)
    assert counts.min() > 150 and counts.max() < 250  # 200 each are expected
    np.testing.assert_array_equal(np.bincount(shown[:7, 0, 0, 2]), np.ones(7))
    np.testing.assert_array_equal(cut.images, whole.images[:, 1:5, 2:7])
    assert cut.shape == (4, 5, 3) and np.shares_memory(cut.uncut.pixels, whole.images)


def test_the_place_is_a_pure_function_of_seed_step_and_index():
    cut = data.Dataset("p", coordinates(7, 6, 9)).cut_at_random((4, 5))
    full = cut.batch(seed=3, step=5, size=8)["image"]
    rows = cut.batch(seed=3, step=5, size=8, rows=[6, 1])["image"]
    np.testing.assert_array_equal(rows, full[[6, 1]])
    draws = counter_rng.bits(3, "crop", 5 * 8 + np.arange(8))
    corners = data.to_uint8(full)[:, 0, 0, :2].astype(np.uint64)
    np.testing.assert_array_equal(corners[:, 0], (draws >> np.uint64(32)) % np.uint64(3))
    np.testing.assert_array_equal(corners[:, 1], draws % np.uint64(2**32) % np.uint64(5))


def test_a_subset_and_other_kinds_of_datasets_keep_their_crops():
    labels = np.arange(8) % 2
    whole = data.Dataset("p", coordinates(8, 6, 6), labels, ("even", "odd"))
    cut = whole.cut_at_random((3, 3))
    chosen = cut.subset([5, 2])
    batch = chosen.batch(seed=0, step=0, size=2)
    assert sorted(data.to_uint8(batch["image"])[:, 0, 0, 2].tolist()) == [2, 5]
    few = data.few_labels.partly_labeled(cut, 1)
    for name in ("image", "unlabeled", "reference"):
        shown = data.to_uint8(few.batch(seed=0, step=0, size=4)[name])
        assert len(np.unique(shown[:, 0, 0, :2], axis=0)) > 1
    told = data.captions.with_texts(cut, np.eye(8, dtype=np.float32), [1] * 8)
    assert told.subset([5, 2]).batch(seed=0, step=0, size=2)["image"].shape == (2, 3, 3, 3)


def test_the_digest_is_that_of_whole_images():
    images = coordinates(4, 6, 6)
    one = data.Dataset("p", images).cut_at_random((4, 4)).digest
    images[0, 0, 0, 0] += 1  # outside of the center
    other = data.Dataset("p", images).cut_at_random((4, 4))
    assert len({one, other.digest, other.cut_in_the_center((4, 4)).digest}) == 3


@pytest.fixture
def mixed(make_image, tmp_path):
    """A folder with images of three sizes, one of them too small, of which one is held out."""
    for number, size in enumerate([(8, 10), (12, 7), (6, 6), (3, 4), (8, 10)]):
        make_image(f"mixed/{number}.png", picture(number, *size))
    (tmp_path / "mixed" / "val.txt").write_text("1.png\n")
    return tmp_path / "mixed"


def test_photographs_of_different_sizes_are_cut_in_full_detail(mixed):
    splits = data.load(f"folder:{mixed}", crop=6)
    train, held_out = splits.train, splits.held_out
    assert train.shape == held_out.shape == (6, 6, 3)
    np.testing.assert_array_equal(train.uncut.sizes, [[8, 10], [6, 6], [6, 8], [8, 10]])
    np.testing.assert_array_equal(train.uncut.image(3), picture(4, 8, 10))
    np.testing.assert_array_equal(train.images[0], picture(0, 8, 10)[1:7, 2:8])
    np.testing.assert_array_equal(held_out.images[0], picture(1, 12, 7)[3:9, :6])
    assert held_out.uncut is None
    for step in range(8):
        shown = data.to_uint8(train.batch(seed=0, step=step, size=4)["image"])
        parts = [
            train.uncut.image(n)[top : top + 6, left : left + 6].tobytes()
            for n in range(4)
            for top in range(3)
            for left in range(5)
        ]
        assert all(image.tobytes() in parts for image in shown)
    assert "1 of 5 images are smaller than 6x6: enlarged." in splits.notes
    assert (
        "Training images are cut to 6x6 at random places, held-out ones in the center."
        in splits.notes
    )


def test_without_held_out_images_the_centers_of_the_training_images_take_their_place(mixed):
    splits = data.load(f"folder:{mixed}", crop=6, holdout=0)
    assert splits.held_out.uncut is None and splits.held_out.images is splits.train.images


def test_images_are_loaded_at_a_size_before_they_are_cut(class_folder, make_archive):
    cut = data.load(f"folder:{class_folder}", load="12x16", crop=8, holdout=0.2)
    whole = data.load(f"folder:{class_folder}", resolution="12x16", holdout=0.2)
    assert cut.train.classes == whole.train.classes and cut.train.shape == (8, 8, 3)
    pixels = whole.train.images.reshape(-1, 3)
    np.testing.assert_array_equal(cut.train.uncut.pixels, pixels)
    np.testing.assert_array_equal(cut.held_out.images, whole.held_out.images[:, 2:10, 4:12])
    gray = data.load(
        f"npz:{make_archive(images=whole.train.images[..., 0])}", load=20, crop=9, holdout=0.5
    )
    assert gray.train.shape == gray.held_out.shape == (9, 9, 1)


def test_the_files_of_a_pair_are_cut_alike(make_image, tmp_path):
    for number, size in enumerate([(8, 10), (12, 9), (7, 7)]):
        for side in "ab":
            make_image(f"pairs/{side}/{number}.png", picture(number, *size))
    splits = data.load(f"paired:{tmp_path / 'pairs'}", kind="pairs", crop=6, holdout=0)
    for step in range(4):
        batch = splits.train.batch(seed=1, step=step, size=3)
        np.testing.assert_array_equal(batch["a"], batch["b"])
    apart = data.load(f"paired:{tmp_path / 'pairs'}", kind="domains", crop=6, holdout=0).train
    batch = apart.batch(seed=1, step=0, size=3)
    assert not np.array_equal(batch["a"], batch["b"])


def test_captioned_images_of_different_sizes_are_cut(make_image, tmp_path):
    lines = []
    for number, size in enumerate([(8, 10), (12, 9), (7, 7)]):
        make_image(f"told/{number}.png", picture(number, *size))
        lines.append(f'{{"file_name": "{number}.png", "text": "picture {number}"}}\n')
    (tmp_path / "told" / "metadata.jsonl").write_text("".join(lines))
    train = data.load(f"captioned:{tmp_path / 'told'}", kind="captions", crop=6, holdout=0).train
    batch = train.batch(seed=0, step=0, size=3)
    assert batch["image"].shape == (3, 6, 6, 3) and train.captions_of(2) == ["picture 2"]


def test_only_images_of_different_sizes_may_be_asked_to_be_cut(mixed, class_folder):
    differing = data.load(f"folder:{mixed}", crop=6, crop_alike=False)
    assert differing.train.shape == differing.held_out.shape == (6, 6, 3)
    alike = data.load(f"folder:{class_folder}", crop=96, crop_alike=False)
    assert alike.train.shape == (6, 8, 3) and alike.train.uncut is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"crop": 7}, "the images are 6x8, which has no room for a crop of 7x7; give a smaller"),
        ({"crop": 40, "load": 32}, "crop is 40x40 and the images are loaded at 32x32; expected"),
        ({"load": 32}, "load is 32x32, the size before a random crop, but there is no crop"),
        ({"crop": 24, "resolution": 32}, "resolution is 32x32 and the crop 24x24"),
        ({"crop": "x"}, "the crop is 'x'; expected one side, like 64"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(class_folder, options, says):
    with pytest.raises(data.DataError, match=says):
        data.load(f"folder:{class_folder}", **options)


def test_points_have_no_crop():
    with pytest.raises(data.DataError, match="has points, not images: leave --crop out"):
        data.load("ring", crop=4)
