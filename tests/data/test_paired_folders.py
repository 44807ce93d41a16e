"""Images of two domains: how they are found, held out and refused."""

from __future__ import annotations

import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from tests.data.conftest import picture


def write(path: pathlib.Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def negative(pixels: np.ndarray) -> np.ndarray:
    return 255 - pixels


@pytest.fixture
def two_folders(tmp_path):
    """Thirty pairs of a picture and its negative, in folders a and b."""
    for number in range(30):
        write(tmp_path / "set" / "a" / f"{number:02}.png", picture(number))
        write(tmp_path / "set" / "b" / f"{number:02}.bmp", negative(picture(number)))
    return tmp_path / "set"


@pytest.fixture
def side_by_side(tmp_path):
    """The same pairs, each in one image, some of them in a test folder."""
    for number in range(30):
        both = np.concatenate([picture(number), negative(picture(number))], axis=1)
        write(tmp_path / "both" / ("test" if number < 6 else "train") / f"{number:02}.png", both)
    return tmp_path / "both"


def archive(path: pathlib.Path, **arrays: np.ndarray) -> str:
    np.savez(path / "set.npz", **arrays)
    return f"npz:{path / 'set.npz'}"


def numbered(count: int, start: int = 0) -> np.ndarray:
    """Images 2 x 3 x 1, each of one level: its number."""
    levels = np.arange(start, start + count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 2, 3, 1)).copy()


def test_two_folders_pair_the_files_of_equal_names(two_folders):
    splits = data.load(f"paired:{two_folders}", kind="pairs")
    for side in (splits.train, splits.held_out):
        np.testing.assert_array_equal(side.b.images, negative(side.a.images))
    assert len(splits.train) + len(splits.held_out) == 30
    assert "Paired 30 images of a and b." in splits.notes
    assert len(splits.notes) == len(set(splits.notes)) == 2


def test_halves_side_by_side_are_pairs_and_test_folders_are_held_out(side_by_side):
    splits = data.load(f"paired:{side_by_side}", kind="pairs")
    assert (len(splits.train), len(splits.held_out)) == (24, 6)
    assert splits.train.shape == splits.train.inputs["a"] == (6, 8, 3)
    for side in (splits.train, splits.held_out):
        np.testing.assert_array_equal(side.b.images, negative(side.a.images))
    known = {picture(number).tobytes() for number in range(6)}
    assert {image.tobytes() for image in splits.held_out.a.images} == known
    assert any("a is the left half, b the right" in note for note in splits.notes)


def test_halves_are_scaled_apart_so_that_neither_shines_through(tmp_path):
    for number in range(12):
        both = np.concatenate([np.zeros((16, 16), np.uint8), np.full((16, 16), 255, np.uint8)], 1)
        write(tmp_path / f"{number}.png", both)
    splits = data.load(f"paired:{tmp_path}", kind="pairs", resolution=24, holdout=0.3)
    assert splits.train.shape == (24, 24, 1)
    assert splits.train.a.images.max() == 0 and splits.train.b.images.min() == 255


def test_a_pair_stays_on_its_side_when_others_are_added(two_folders):
    before = data.load(f"paired:{two_folders}", kind="pairs").held_out
    for number in range(30, 60):
        write(two_folders / "a" / f"{number}.png", picture(number))
        write(two_folders / "b" / f"{number}.png", negative(picture(number)))
    after = data.load(f"paired:{two_folders}", kind="pairs").held_out
    held = {image.tobytes() for image in after.a.images}
    assert {image.tobytes() for image in before.a.images} <= held


def test_a_damaged_half_of_a_pair_takes_its_partner_with_it(two_folders):
    whole = (two_folders / "b" / "07.bmp").read_bytes()
    (two_folders / "b" / "07.bmp").write_bytes(b"no image")
    (two_folders / "a" / "08.png").write_bytes((two_folders / "a" / "08.png").read_bytes()[:90])
    splits = data.load(f"paired:{two_folders}", kind="pairs")
    assert len(splits.train) + len(splits.held_out) == 28
    for side in (splits.train, splits.held_out):
        np.testing.assert_array_equal(side.b.images, negative(side.a.images))
    (note,) = (note for note in splits.notes if note.startswith("Left out"))
    assert "2 of 30" in note and "b/07.bmp (not an image), a/08.png (" in note
    assert whole


def test_unpaired_folders_may_differ_in_number_and_their_test_folders_are_held_out(tmp_path):
    counts = {"trainA": 9, "trainB": 5, "testA": 3, "testB": 2}
    for folder, count in counts.items():
        for number in range(count):
            write(tmp_path / folder / f"{number}.png", picture(len(folder) * 10 + number))
    splits = data.load(f"unpaired:{tmp_path}", kind="domains")
    found = [splits.train.a, splits.train.b, splits.held_out.a, splits.held_out.b]
    assert [len(part) for part in found] == [9, 5, 3, 2]
    assert type(splits.held_out) is data.Domains
    assert "Domain a: Held out 3 images: those in testA." in splits.notes


def test_without_test_folders_each_domain_is_split_by_the_names_in_it(tmp_path):
    for folder in ("trainA", "trainB"):
        for number in range(30):
            write(tmp_path / folder / f"{number:02}.png", picture(number))
    splits = data.load(f"unpaired:{tmp_path}", kind="domains")
    assert len(splits.train.a) + len(splits.held_out.a) == 30
    # Equal names fall on the same side: what is one thing in both domains is held out from both.
    np.testing.assert_array_equal(splits.held_out.a.images, splits.held_out.b.images)


SIDES = {
    "underscores": ("train_A", "train_B", "test_A", "test_B"),
    "within": ("train/A", "train/B", "val/A", "val/B"),
    "around": ("A/train", "B/train", "A/test", "B/test"),
    "words": ("input", "target", "test_input", "test_target"),
}


@pytest.mark.parametrize("names", SIDES.values(), ids=SIDES.keys())
def test_two_folders_are_paired_whatever_they_are_called(tmp_path, names):
    train_a, train_b, test_a, test_b = names
    for number in range(12):
        a, b = (test_a, test_b) if number < 4 else (train_a, train_b)
        # Names begin anew in every part, as tools write them.
        write(tmp_path / a / f"{number % 4}{number // 8}.png", picture(number))
        write(tmp_path / b / f"{number % 4}{number // 8}.bmp", negative(picture(number)))
    splits = data.load(f"paired:{tmp_path}", kind="pairs")
    assert (len(splits.train), len(splits.held_out)) == (8, 4)
    for side in splits[:2]:
        np.testing.assert_array_equal(side.b.images, negative(side.a.images))
    known = {picture(number).tobytes() for number in range(4)}
    assert {image.tobytes() for image in splits.held_out.a.images} == known
    with pytest.raises(data.DataError, match="leave --holdout out"):
        data.load(f"paired:{tmp_path}", kind="pairs", holdout=0.2)


@pytest.mark.parametrize(
    "names", [("train_A", "train_B"), ("Input", "Target"), ("train/a", "train/b")]
)
def test_pairs_without_a_test_folder_are_held_out_as_those_of_a_and_b(two_folders, names):
    before = data.load(f"paired:{two_folders}", kind="pairs")
    (two_folders / names[0]).parent.mkdir(exist_ok=True)
    for old, new in zip("ab", names, strict=True):
        (two_folders / old).rename(two_folders / new)
    after = data.load(f"paired:{two_folders}", kind="pairs")
    assert after.train.digest == before.train.digest


def test_what_lies_beside_the_sides_is_named(two_folders):
    (two_folders / "depth").mkdir()
    (two_folders / "README").write_text("free")
    notes = data.load(f"paired:{two_folders}", kind="pairs").notes
    assert "Did not read README, depth: in neither domain." in notes


def test_what_is_held_out_may_be_called_val(tmp_path):
    for name, count in {
        "trainA": 5,
        "trainB": 4,
        "valA": 3,
        "valB": 2,
        "testA": 1,
        "testB": 1,
    }.items():
        for number in range(count):
            write(tmp_path / name / f"{number}.png", picture(number))
    splits = data.load(f"unpaired:{tmp_path}", kind="domains")
    found = [splits.train.a, splits.train.b, splits.held_out.a, splits.held_out.b]
    assert [len(part) for part in found] == [5, 4, 4, 3]
    assert "Domain a: Held out 4 images: those in testA and valA." in splits.notes


# --- refused --------------------------------------------------------------------------------------


def missing_partner(root):
    for number in range(3):
        write(root / "a" / f"{number}.png", picture(number))
        write(root / "b" / f"{number + 2}.png", picture(number))
    return f"paired:{root}", "pairs"


def two_suffixes(root):
    for name in ("a/1.png", "a/1.bmp", "b/1.png"):
        write(root / name, picture(0))
    return f"paired:{root}", "pairs"


def other_sizes(root, size=(12, 16)):
    for number in range(20):
        write(root / "a" / f"{number:02}.png", picture(number))
        large = picture(number, *size) if number == 7 else picture(number)
        write(root / "b" / f"{number:02}.png", large)
    return f"paired:{root}", "pairs"


def odd_width(root):
    for number in range(20):
        write(root / f"{number:02}.png", picture(number, 6, 9 if number == 4 else 8))
    return f"paired:{root}", "pairs"


def folders(root, *names, kind="domains"):
    for name in names:
        (root / name).mkdir()
        write(root / name / "1.png", picture(0))
    return f"{'paired' if kind == 'pairs' else 'unpaired'}:{root}", kind


def other_names(root, *names, kind="pairs"):
    for number, name in enumerate(names):
        write(root / name / f"{number}.png", picture(0))
    return f"{'paired' if kind == 'pairs' else 'unpaired'}:{root}", kind


def empty_domain(root):
    spec, kind = folders(root, "trainA")
    (root / "trainB").mkdir()
    return spec, kind


def file_for_folder(root):
    write(root / "x.png", picture(0))
    return f"paired:{root / 'x.png'}", "pairs"


REFUSED = {
    "a partner is missing": (
        missing_partner,
        ("a/0.png has no partner in b, and neither have 1 others", "add b/0.png or remove"),
    ),
    "two files of one name": (
        two_suffixes,
        ("a has 1.bmp and 1.png", "only in their suffix: keep one"),
    ),
    "sizes differ within a pair": (
        other_sizes,
        ("a/07.png is 6x8 and b/07.png is 12x16", "resize the images of a pair to one size"),
    ),
    "a width that has no half": (
        odd_width,
        ("04.png is 9 pixels wide", "side by side", "expected an even width"),
    ),
    "one of the two folders": (
        lambda root: folders(root, "a", "c", kind="pairs"),
        ("it holds the folders a, c but no folder b: add it",),
    ),
    "one of two folders of words": (
        lambda root: folders(root, "train_input", "c", kind="pairs"),
        ("it holds the folders c, train_input but no folder train_target: add it",),
    ),
    "two folders that may be sides": (
        lambda root: other_names(root, "photos", "sketches"),
        ("it holds the folders photos, sketches, which may be the two domains", "also train_A and"),
    ),
    "two folders of one side": (
        lambda root: folders(root, "a", "b", "input", kind="pairs"),
        ("a and input would both be domain a: keep one",),
    ),
    "unpaired folders for pairs": (
        lambda root: other_names(root, "trainA", "trainB"),
        (
            "two domains whose files have other names, so that they are not paired",
            "write unpaired:",
            "side by side",
        ),
    ),
    "a domain without a folder": (
        lambda root: folders(root, "trainA", "valB"),
        ("no folder trainB in it, but the folders trainA, valB", "expected trainA and trainB"),
    ),
    "a test folder for one domain": (
        lambda root: folders(root, "trainA", "trainB", "testA"),
        ("there is no folder testB, but one of the other domain", "expected trainA and trainB"),
    ),
    "a domain without images": (
        empty_domain,
        (", trainB: there are no images in it (no files)", "expected PNG"),
    ),
    "no such folder": (lambda root: (f"unpaired:{root}/none", "domains"), ("not there: check",)),
    "a file for a folder": (file_for_folder, ("x.png is a file, not a folder",)),
    "an archive without pairs": (
        lambda root: (archive(root, images=numbered(9), a=numbered(9)), "pairs"),
        ("the archive has no array 'b' but has a, images", "rename the array"),
    ),
    "an archive of other counts": (
        lambda root: (archive(root, a=numbered(9), b=numbered(8)), "pairs"),
        ("'a' holds 9 images of 2x3 and 'b' holds 8 images of 2x3", "equally many of both"),
    ),
    "an archive of other sizes": (
        lambda root: (
            archive(root, a=numbered(9), b=np.zeros((9, 4, 6, 1), np.uint8)),
            "pairs",
        ),
        ("'b' holds 9 images of 4x6", "of one height and width"),
    ),
    "single images for pairs": (
        lambda root: (f"folder:{root}", "pairs"),
        (
            "this is a source of single images, but pairs of images a and b are needed",
            "paired:PATH",
        ),
    ),
    "pairs for single images": (
        lambda root: (f"paired:{root}", "images"),
        (
            "this is a source of pairs of images a and b, but single images are needed",
            "folder:PATH",
        ),
    ),
    "domains for pairs": (
        lambda root: ("fashion-halves", "pairs"),
        ("this is a source of images of two domains a and b, but pairs", "fashion-edges"),
    ),
    "a path without its kind": (
        lambda root: (str(root), "domains"),
        ("a path without its kind: write unpaired:",),
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_refused_in_one_sentence(case, tmp_path):
    make, says = case
    spec, kind = make(tmp_path)
    with pytest.raises(data.DataError) as caught:
        data.load(spec, kind=kind)
    message = str(caught.value)
    for part in says:
        assert part in message
    assert "\n" not in message and not re.search(r"[.!?] [A-Z]", message)
    assert not message.endswith(".")


def test_sizes_of_one_shape_are_brought_to_a_resolution_and_others_are_not(tmp_path):
    spec, kind = other_sizes(tmp_path / "double")
    splits = data.load(spec, kind=kind, resolution="6x8")
    assert splits.train.shape == (6, 8, 3)
    spec, kind = other_sizes(tmp_path / "other", size=(12, 12))
    with pytest.raises(data.DataError, match="resize the images of a pair to one size"):
        data.load(spec, kind=kind, resolution="6x8")


def test_a_test_folder_leaves_no_use_for_a_holdout(side_by_side):
    with pytest.raises(data.DataError, match="leave --holdout out"):
        data.load(f"paired:{side_by_side}", kind="pairs", holdout=0.2)


def test_a_domain_smaller_than_a_batch_is_named():
    domains = data.Domains(data.Dataset("p", numbered(20)), data.Dataset("p", numbered(5)))
    with pytest.raises(data.DataError, match="there are 5 images of b, fewer than one batch of 8"):
        data.require_batch(domains, 8)


def test_single_images_have_no_direction():
    with pytest.raises(data.DataError, match="fashion has no two domains: leave --direction out"):
        data.load("fashion", direction="AtoB")
