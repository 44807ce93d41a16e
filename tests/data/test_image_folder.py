"""Folders of images: their classes, pixels and split, and what is reported of every file."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import holdout
from jaxgan.data.readers import image_file


def load(path, **options) -> data.Splits:
    return data.load(f"folder:{path}", **options)


def everything(splits: data.Splits) -> set[bytes]:
    """The images of both sides."""
    return {image.tobytes() for side in splits[:2] for image in side.images}


def test_sub_folders_are_classes_and_every_image_lands_on_one_side(class_folder):
    splits = load(class_folder, holdout=0.3)
    train, held_out, notes = splits
    assert train.classes == held_out.classes == ("cat", "dog")
    assert train.shape == (6, 8, 3) and train.images.dtype == np.uint8
    assert len(train) + len(held_out) == len(everything(splits)) == 20
    assert np.bincount(np.concatenate([train.labels, held_out.labels])).tolist() == [10, 10]
    assert len(notes) == 1 and f"Held out {len(held_out)} of 20 images" in notes[0]


@pytest.mark.parametrize("fraction", [0, 0.0, "0"])
def test_with_a_fraction_of_zero_every_image_is_trained_on(fraction, class_folder):
    splits = load(class_folder, holdout=fraction)
    parts = load(class_folder, holdout=0.5)
    assert len(splits.train) == len(parts.train) + len(parts.held_out)
    assert splits.held_out.digest == splits.train.digest
    assert "Held out nothing: training images take the place of held-out ones." in splits.notes


def test_the_pixels_and_labels_are_those_of_the_files(class_folder):
    splits = load(class_folder, holdout=0.3)
    stored = {
        np.asarray(Image.open(path)).tobytes(): label
        for label, name in enumerate(("cat", "dog"))
        for path in (class_folder / name).iterdir()
    }
    for side in splits[:2]:
        for image, label in zip(side.images, side.labels, strict=True):
            assert stored[image.tobytes()] == label


def test_a_flat_folder_has_no_labels(class_folder):
    splits = load(class_folder / "cat", holdout=0.5)
    assert splits.train.labels is None and splits.train.classes == ()
    assert set(splits.train.batch(seed=0, step=0, size=2)) == {"image"}


def test_images_may_lie_deeper_in_their_class_folder(class_folder, make_image):
    make_image("pets/dog/puppies/small/x.png")
    assert sum(map(len, load(class_folder)[:2])) == 21


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "webp", "bmp", "gif"])
def test_every_format_is_read(class_folder, make_image, suffix):
    red = np.zeros((6, 8, 3), np.uint8) + np.array([200, 10, 10], np.uint8)
    for number in range(8):
        make_image(f"one/{number}.{suffix}", red)
    image = load(class_folder.parent / "one", holdout=0.5, channels=3).train.images[0]
    assert np.abs(image.astype(int) - red).max() < 12


def test_the_same_folder_gives_the_same_digest(class_folder):
    assert load(class_folder).train.digest == load(class_folder).train.digest
    assert load(class_folder).train.digest != load(class_folder).held_out.digest


def test_hidden_and_system_files_are_passed_over_and_others_are_told(class_folder, make_image):
    before = load(class_folder)
    make_image("pets/.thumbnails/a.png")
    make_image("pets/cat/._00.png")
    make_image("pets/__MACOSX/cat/a.png")
    (class_folder / ".DS_Store").write_bytes(b"x")
    (class_folder / "Thumbs.db").write_bytes(b"x")
    assert load(class_folder).notes == before.notes
    (class_folder / "LICENSE.txt").write_text("free")
    (class_folder / "cat" / "notes.psd").write_bytes(b"x")
    (class_folder / "bird").mkdir()
    after = load(class_folder)
    assert after.train.digest == before.train.digest
    assert after.notes[:2] == (
        "Ignored 2 files that are not PNG, JPEG, WebP, BMP, GIF or TIFF: LICENSE.txt, "
        "cat/notes.psd.",
        "Ignored 1 class folders without images: bird.",
    )


def run_directory(path) -> None:
    """What a run leaves, and a picture of it."""
    for name in ("samples", "checkpoints"):
        (path / name).mkdir(parents=True)
    Image.new("RGB", (80, 60)).save(path / "samples" / "000500.png")
    (path / "config.json").write_text('{"experiment": {}, "config": {}, "data": {}}')
    (path / "metrics.jsonl").write_text("")


def test_what_runs_wrote_is_no_data(class_folder):
    before = load(class_folder)
    run_directory(class_folder / "runs" / "one")
    run_directory(class_folder / "cat" / "two")
    (class_folder / "cat" / "two" / "config.json").write_text("{")  # damaged
    run_directory(class_folder / "three")  # before its first step
    (class_folder / "three" / "config.json").rename(class_folder / "three" / ".jaxgan.lock")
    after = load(class_folder)
    assert after.train.digest == before.train.digest
    assert after.notes[0] == (
        "Skipped 3 run directories, whose pictures are not used as data: cat/two, runs/one, three."
    )
    with pytest.raises(data.DataError, match="it is a run directory, whose pictures are not"):
        load(class_folder / "runs" / "one")
    with pytest.raises(
        data.DataError, match=r"only run directories, whose pictures are not .*: one"
    ):
        load(class_folder / "runs")


def test_a_configuration_of_another_kind_is_no_run(class_folder):
    (class_folder / "cat" / "config.json").write_text('{"width": 8}')
    (class_folder / "dog" / "config.json").write_text("[" * 100_000)
    os.mkfifo(class_folder / "dog" / "metrics.jsonl")
    (class_folder / "ant").mkdir()
    os.mkfifo(class_folder / "ant" / "config.json")  # nobody ever writes to it
    os.rename(class_folder / "dog" / "metrics.jsonl", class_folder / "ant" / "x.png")
    assert sum(map(len, load(class_folder)[:2])) == 20


def test_linked_folders_are_followed_once(class_folder):
    (class_folder / "cat" / "loop").symlink_to(class_folder, target_is_directory=True)
    assert sum(map(len, load(class_folder)[:2])) == 20


def test_damaged_files_are_named_and_the_rest_is_loaded(class_folder):
    whole = (class_folder / "cat" / "00.png").read_bytes()
    (class_folder / "cat" / "00.png").write_bytes(whole[: len(whole) // 2])
    (class_folder / "cat" / "01.png").write_bytes(b"")
    (class_folder / "dog" / "10.png").write_bytes(b"no image at all")
    (class_folder / "dog" / "11.png").unlink()
    (class_folder / "dog" / "11.png").symlink_to("nowhere.png")
    splits = load(class_folder)
    assert sum(map(len, splits[:2])) == 16
    assert (
        "Left out 4 of 20 images that cannot be read: cat/00.png (truncated), cat/01.png (empty "
        "file), dog/10.png (not an image), dog/11.png (no such file or directory)."
    ) in splits.notes
    labels = np.concatenate([splits.train.labels, splits.held_out.labels])
    assert np.bincount(labels).tolist() == [8, 8]


def test_every_truncation_of_a_file_is_survived(class_folder, make_image):
    """Whatever PIL's decoders raise, the file is left out or decoded, and nothing else changes."""
    target = class_folder / "cat" / "00.png"
    for suffix, options in (("png", {}), ("jpg", {}), ("webp", {}), ("gif", {}), ("bmp", {})):
        whole = make_image(f"whole.{suffix}", **options).read_bytes()
        for length in range(0, len(whole), max(1, len(whole) // 12)):
            target.write_bytes(whole[:length])
            assert sum(map(len, load(class_folder, resolution=6)[:2])) in (19, 20)


def noted(splits: data.Splits, words: str) -> bool:
    return any(words in note for note in splits.notes)


@pytest.mark.parametrize(
    ("mode", "options", "words"),
    [
        ("L", {}, "1 of 21 images are grayscale: converted to color."),
        ("1", {}, "1 of 21 images are grayscale: converted to color."),
        ("P", {}, "1 of 21 images have a palette: converted to its colors."),
        ("RGBA", {}, "1 of 21 images have transparency (RGBA): placed on white"),
        ("LA", {}, "1 of 21 images have transparency (RGBA): placed on white"),
        ("RGB", {"channels": 1}, "21 of 21 images are in color: converted to grayscale."),
        ("RGBA", {"channels": 4}, "20 of 21 images have no transparency: made opaque."),
        ("RGB", {"resolution": (6, 9)}, "21 of 21 images are smaller than 6x9: enlarged."),
    ],
)
def test_conversions_are_told_with_their_counts(class_folder, mode, options, words):
    Image.new(mode, (8, 6)).save(class_folder / "cat" / "odd.png")
    splits = load(class_folder, **options)
    assert noted(splits, words)
    assert splits.train.shape[2] == options.get("channels", 3)


def test_cmyk_sixteen_bits_animations_and_turned_photographs_are_told(class_folder):
    Image.new("CMYK", (8, 6)).save(class_folder / "cat" / "print.jpg")
    Image.new("I;16", (8, 6), 40_000).save(class_folder / "cat" / "deep.png")
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "blue")]
    frames[0].save(class_folder / "cat" / "moving.gif", save_all=True, append_images=frames[1:])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 8)).save(class_folder / "cat" / "turned.jpg", exif=exif)
    splits = load(class_folder)
    for words in (
        "1 of 24 images are in CMYK: converted to RGB.",
        "1 of 24 images have 16 bits per channel: rounded to 8.",
        "1 of 24 images are animated: only the first frame is used.",
        "1 of 24 images were turned upright according to their EXIF orientation.",
    ):
        assert noted(splits, words)


def test_all_in_grayscale_gives_one_channel(class_folder):
    for path in class_folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    splits = load(class_folder)
    assert splits.train.shape == (6, 8, 1)
    assert len(splits.notes) == 1


def decoded(path, channels: int = 3) -> np.ndarray:
    """One file, decoded at its own size."""
    target = image_file.resizing.Target(image_file.inspect(path).size, "crop", channels)
    return image_file.decode(path, target)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_undone(make_image, orientation):
    """The stored image is turned so that a viewer who heeds EXIF sees black at the top left."""
    upright = np.full((4, 6), 255, np.uint8)
    upright[:2, :2] = 0
    turns = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the inverse transpose of each
    stored = Image.fromarray(upright)
    if turns[orientation] is not None:
        stored = stored.transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = make_image("turned.png", np.asarray(stored), exif=exif)
    assert np.array_equal(decoded(path, 1)[..., 0], upright)


@pytest.mark.parametrize(
    ("stored", "level"), [(0, 0), (65535, 255), (257 * 100, 100), (257 * 100 + 200, 101)]
)
def test_sixteen_bits_are_rounded_to_eight(make_image, stored, level):
    path = make_image("deep.png", np.full((2, 2), stored, np.uint16))
    assert (decoded(path) == level).all()


def test_transparency_is_placed_on_white_or_kept(make_image):
    pixels = np.zeros((1, 2, 4), np.uint8)
    pixels[0, 1] = [10, 20, 30, 255]
    path = make_image("clear.png", pixels)
    assert decoded(path)[0].tolist() == [[255, 255, 255], [10, 20, 30]]
    assert np.array_equal(decoded(path, 4), pixels)


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    for name, options in (("a.gif", {}), ("a.webp", {"lossless": True})):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        assert decoded(tmp_path / name)[0, 0].tolist() == [255, 0, 0]


def test_a_large_photograph_is_scaled_like_one_that_is_decoded_in_full(tmp_path):
    y, x = np.mgrid[:600, :800]
    scene = np.stack([y * 255 // 600, x * 255 // 800, (x + y) % 256], axis=2).astype(np.uint8)
    Image.fromarray(scene).save(tmp_path / "a.jpg", quality=95)
    Image.open(tmp_path / "a.jpg").save(tmp_path / "a.png")
    target = image_file.resizing.Target((32, 32), "crop", 3)
    fast, full = (
        image_file.decode(tmp_path / name, target).astype(int) for name in ("a.jpg", "a.png")
    )
    assert np.abs(fast - full).mean() < 2.0


def test_malformed_exif_does_not_cost_the_image(make_image):
    path = make_image("odd.jpg", exif=b"Exif\x00\x00nonsense")
    assert image_file.inspect(path).size == (6, 8) or decoded(path).size


def test_other_images_never_move_a_name_to_the_other_side(class_folder, make_image):
    before = load(class_folder)
    for number in range(30):
        make_image(f"pets/cat/later{number}.png", np.full((6, 8, 3), number, np.uint8))
    after = load(class_folder)
    for side, name in enumerate(("train", "held_out")):
        kept = {image.tobytes() for image in getattr(before, name).images}
        assert kept <= {image.tobytes() for image in after[side].images}


def test_the_fraction_is_met_and_a_larger_one_keeps_what_a_smaller_one_held_out():
    names = [f"class/{number}.png" for number in range(20_000)]
    masks = [holdout.by_hash(names, fraction) for fraction in (0.1, 0.2, 0.5)]
    for mask, fraction in zip(masks, (0.1, 0.2, 0.5), strict=True):
        assert mask.mean() == pytest.approx(fraction, abs=0.012)
    assert not np.any(masks[0] & ~masks[1]) and not np.any(masks[1] & ~masks[2])


def test_a_name_falls_on_one_side_however_its_accents_are_stored():
    composed = [f"caf\u00e9{number}.png" for number in range(50)]
    apart = [f"cafe\u0301{number}.png" for number in range(50)]
    assert np.array_equal(holdout.by_hash(composed, 0.5), holdout.by_hash(apart, 0.5))


@pytest.mark.parametrize("place", ["inside", "beside", "given"])
def test_a_list_of_held_out_images_is_used_and_told(class_folder, tmp_path, place):
    path = {
        "inside": class_folder / "val.txt",
        "beside": tmp_path / "val.txt",
        "given": tmp_path / "mine.txt",
    }[place]
    path.write_text("# chosen by hand\n./cat/03.png\n\ndog\\12.png  # the small one\n")
    splits = load(class_folder, holdout=path if place == "given" else None)
    wanted = [class_folder / name for name in ("cat/03.png", "dog/12.png")]
    assert [image.tobytes() for image in splits.held_out.images] == [
        np.asarray(Image.open(name)).tobytes() for name in wanted
    ]
    assert splits.held_out.labels.tolist() == [0, 1]
    assert splits.notes == (f"Held out 2 of 20 images: those listed in {path}.",)


@pytest.mark.parametrize(
    ("contents", "why"),
    [
        (b"other/1.png\n", "it lists no image of this folder"),
        (b"", "it cannot be read as a list of names, or is empty"),
        (b"\x80", "it cannot be read as a list of names, or is empty"),
    ],
)
def test_a_list_beside_the_folder_that_speaks_of_others_is_not_used_and_that_is_said(
    class_folder, tmp_path, contents, why
):
    before = load(class_folder)
    (tmp_path / "val.txt").write_bytes(contents)
    after = load(class_folder)
    assert after.train.digest == before.train.digest
    assert after.notes == (f"Did not use {tmp_path / 'val.txt'}: {why}.", *before.notes)


def test_a_given_fraction_beats_a_list_in_the_folder(class_folder):
    (class_folder / "val.txt").write_text("cat/03.png\n")
    assert noted(load(class_folder, holdout="0.4"), "a fraction of 0.4, by a hash of the name")


def test_train_and_test_folders_are_the_split(class_folder):
    (class_folder / "train").mkdir()
    (class_folder / "test").mkdir()
    for name in ("cat", "dog"):
        os.rename(class_folder / name, class_folder / "train" / name)
        (class_folder / "test" / name).mkdir()
    os.rename(class_folder / "train/dog/15.png", class_folder / "test/dog/15.png")
    splits = load(class_folder)
    assert splits.train.classes == ("cat", "dog")
    assert splits.held_out.labels.tolist() == [1] and len(splits.train) == 19
    assert noted(splits, "Held out 1 images: those outside the train folder.")
    with pytest.raises(data.DataError, match="leave --holdout out"):
        load(class_folder, holdout=0.2)


def test_a_train_folder_alone_is_no_class(class_folder):
    (class_folder / "train").mkdir()
    for name in ("cat", "dog"):
        os.rename(class_folder / name, class_folder / "train" / name)
    splits = load(class_folder)
    assert splits.train.classes == ("cat", "dog") and sum(map(len, splits[:2])) == 20


def test_the_flowers_load_in_color_with_their_list_held_out(shared_data):
    folder = shared_data / "flowers_cc_by" / "images128"
    splits = load(folder, resolution=64)
    listed = (folder.parent / "val.txt").read_text().split()
    assert splits.train.classes == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert (len(splits.train), len(splits.held_out)) == (2934, 736)
    assert splits.train.shape == splits.held_out.shape == (64, 64, 3)
    names = sorted(listed)
    with Image.open(folder / names[0]) as image:
        expected = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS))
    assert np.array_equal(splits.held_out.images[0], expected)
    assert splits.notes == (
        f"Held out 736 of 3670 images: those listed in {folder.parent / 'val.txt'}.",
    )
