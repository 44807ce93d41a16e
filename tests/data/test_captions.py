"""Captions: how they are read, drawn, held out and refused."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from examples import emoji_captions
from jaxgan import data
from jaxgan.data import captions, fashion, fashion_captions
from tests.data.conftest import picture

COUNT = 30


def numbered(own=lambda number: [f"number {number}", f"{number} it is"]) -> data.Captioned:
    """Image i shows i everywhere, and its captions say so."""
    images = np.tile(np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (1, 2, 2, 1))
    plain = data.Dataset("numbered", images, np.arange(COUNT) % 3, ("a", "b", "c"))
    return captions.captioned(plain, [own(number) for number in range(COUNT)])[0]


def shown(images) -> np.ndarray:
    """Which images these are."""
    return data.to_uint8(images)[:, 0, 0, 0]


def read(codes) -> list[str]:
    return [captions.decode(row) for row in codes]


def numbers(codes) -> np.ndarray:
    """Which images the captions are of."""
    return np.array([int(re.findall(r"\d+", caption)[0]) for caption in read(codes)])


# --- characters -----------------------------------------------------------------------------------


def test_captions_are_read_in_lower_case_without_accents_and_with_single_spaces():
    given = ["A  Red\tBird ", "C\u00f4te d\u2019Ivoire", "100% (a-b)!"]
    codes = captions.encode(given)
    assert read(codes) == ["a red bird", "cote d'ivoire", "100% (a-b)!"]
    assert codes.shape == (3, 16) and codes.dtype == np.uint8
    assert codes[0, 0] == 1 and codes[0, 10:].tolist() == [0] * 6


def test_every_character_of_the_alphabet_has_a_code_of_its_own_and_others_share_one():
    (codes,) = captions.encode([captions.ALPHABET.strip()])
    used = codes[codes > 0]
    assert len(set(used)) == len(captions.ALPHABET) - 1 and used.max() < captions.UNKNOWN
    (strange,) = captions.encode(["\u732b\u72ac"])
    assert strange[:3].tolist() == [captions.UNKNOWN, captions.UNKNOWN, 0]
    assert captions.CODES == captions.UNKNOWN + 1


def test_long_captions_are_cut_and_that_is_noted():
    plain = data.Dataset("plain", numbered().images[:2])
    found, notes = captions.captioned(plain, [["ab " * 100], ["\u732b", "c"]])
    assert found.inputs == {"caption": (captions.LONGEST,)}
    assert notes[0] == "1 of 3 captions were cut to 200 characters."
    assert notes[1].startswith("1 of 3 captions have characters outside the alphabet")
    with pytest.raises(data.DataError, match="caption 1 is empty; say what"):
        captions.encode(["a", " \n"])


# --- batches --------------------------------------------------------------------------------------


def test_a_batch_has_one_caption_of_each_image_and_one_that_is_not():
    source = numbered()
    batch = source.batch(seed=1, step=2, size=20)
    assert set(batch) == {"image", "label", "caption", "mismatched"}
    assert batch["caption"].dtype == np.int32 and batch["caption"].shape == (20, 16)
    assert np.array_equal(numbers(batch["caption"]), shown(batch["image"]))
    assert not np.any(numbers(batch["mismatched"]) == shown(batch["image"]))
    again = source.batch(seed=1, step=2, size=20)
    part = source.batch(seed=1, step=2, size=20, rows=[7, 2])
    for name, rows in batch.items():
        assert again[name].tobytes() == rows.tobytes()
        assert part[name].tobytes() == rows[[7, 2]].tobytes()


def test_each_epoch_visits_every_image_once_and_draws_its_caption_anew():
    source, drawn = numbered(), []
    for epoch in range(8):
        batches = [source.batch(seed=0, step=3 * epoch + i, size=COUNT // 3) for i in range(3)]
        pairs = [
            pair
            for b in batches
            for pair in zip(shown(b["image"]), read(b["caption"]), strict=True)
        ]
        assert sorted(number for number, _ in pairs) == list(range(COUNT))
        drawn.append(dict(pairs))
    kinds = [len({epoch[number] for epoch in drawn}) for number in range(COUNT)]
    assert max(kinds) == 2 and np.mean(kinds) > 1.9


def test_a_mismatched_caption_is_none_of_the_image_however_many_images_share_it():
    # All but image 0 are captioned alike: only its captions are wrong for them.
    source = numbered(lambda number: ["the first"] if number == 0 else ["another", "one more"])
    batch = source.batch(seed=0, step=0, size=COUNT)
    first = shown(batch["image"]) == 0
    wrong = np.array(read(batch["mismatched"]))
    assert set(wrong[~first]) == {"the first"} and wrong[first][0] in ("another", "one more")
    with pytest.raises(data.DataError, match="there is 1 image to train on or 1 held out, and so"):
        source.subset([3])
    with pytest.raises(data.DataError, match="image 0 has every caption in the data"):
        numbered(lambda number: ["one"])


def test_a_subset_keeps_the_captions_of_its_images():
    source = numbered(lambda number: [f"{number} {i}" for i in range(1 + number % 3)])
    part = source.subset([5, 3, 29])
    assert [part.captions_of(row) for row in range(3)] == [
        ["5 0", "5 1", "5 2"],
        ["3 0"],
        ["29 0", "29 1", "29 2"],
    ]
    assert part.labels.tolist() == [2, 0, 2]
    assert part.digest != source.digest and part.digest == source.subset([5, 3, 29]).digest
    assert source.digest != numbered().digest


# --- folders and archives -------------------------------------------------------------------------


def folder(root, lines, count=COUNT):
    """Pictures 00.png, 01.png, ... and the lines of the metadata; the source's spec."""
    for number in range(count):
        Image.fromarray(picture(number)).save(root / f"{number:02}.png")
    written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (root / "metadata.jsonl").write_text("\n".join(written), encoding="utf-8")
    return f"captioned:{root}"


def line(number, text=None):
    return {"file_name": f"{number:02}.png", "text": text or f"picture {number}"}


def by_caption(splits) -> dict[str, np.ndarray]:
    """Each image by its first caption."""
    return {
        part.captions_of(row)[0]: part.images[row]
        for part in (splits.train, splits.held_out)
        for row in range(len(part))
    }


def test_a_folder_gives_each_image_all_its_captions_and_holds_out_by_the_files_names(tmp_path):
    lines = [line(n, [f"picture {n}", "a picture"]) for n in range(COUNT - 1)]
    spec = folder(tmp_path, [*lines, "", line(3, "number three")])
    splits = data.load(spec, kind="captions", holdout=0.3)
    found = by_caption(splits)
    for number in range(COUNT - 1):
        np.testing.assert_array_equal(found[f"picture {number}"], picture(number))
    every = [
        part.captions_of(row)
        for part in (splits.train, splits.held_out)
        for row in range(len(part))
    ]
    assert ["picture 3", "a picture", "number three"] in every
    assert "Left out 1 images without a caption: 29.png." in splits.notes
    held = {splits.held_out.captions_of(row)[0] for row in range(len(splits.held_out))}
    again = folder(tmp_path, lines[::-1])
    splits = data.load(again, kind="captions", holdout=0.3)
    assert held == {splits.held_out.captions_of(row)[0] for row in range(len(splits.held_out))}


def test_captions_stay_with_their_images_where_others_cannot_be_read(tmp_path):
    spec = folder(tmp_path, [line(number) for number in range(COUNT)])
    (tmp_path / "04.png").write_bytes(b"no image")
    (tmp_path / "val.txt").write_text("01.png\n07.png\n")
    splits = data.load(spec, kind="captions")
    found = by_caption(splits)
    assert len(found) == COUNT - 1 and "picture 4" not in found
    for caption, image in found.items():
        np.testing.assert_array_equal(image, picture(int(caption.split()[1])))
    assert [splits.held_out.captions_of(row) for row in (0, 1)] == [["picture 1"], ["picture 7"]]


def test_metadata_of_other_systems_are_read(tmp_path):
    spec = folder(tmp_path, [line(number) for number in range(COUNT)])
    (tmp_path / "00.png").rename(tmp_path / "cafe\u0301.png")
    (tmp_path / "01.png").rename(tmp_path / "a\u2028b.png")
    lines = (tmp_path / "metadata.jsonl").read_text().splitlines()
    lines[0] = lines[0].replace("00.png", "caf\u00e9.png")
    lines[1] = lines[1].replace("01.png", "a\u2028b.png")
    lines[2] = lines[2].replace("02.png", ".\\\\02.png")
    (tmp_path / "metadata.jsonl").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    found = by_caption(data.load(spec, kind="captions"))
    for number in range(COUNT):
        np.testing.assert_array_equal(found[f"picture {number}"], picture(number))


@pytest.mark.parametrize("way", ["../secret.png", "a/../../secret.png", "ABSOLUTE", "link.png"])
@pytest.mark.parametrize("kind", ["link.png", "inner/secret.png"])
def test_metadata_cannot_reach_out_of_their_folder(tmp_path, way, kind):
    Image.fromarray(picture(0)).save(tmp_path / "secret.png")
    root = tmp_path / "set"
    root.mkdir()
    (root / "link.png").symlink_to("../secret.png")
    (root / "inner").symlink_to("..", target_is_directory=True)
    way = {"ABSOLUTE": str(tmp_path / "secret.png"), "link.png": kind}.get(way, way)
    spec = folder(root, [line(0), {"file_name": way, "text": "not yours"}])
    with pytest.raises(data.DataError, match=r"line 2 .* captions .* leads out of the folder"):
        data.load(spec, kind="captions")


def test_a_link_within_the_folder_may_be_captioned(tmp_path):
    spec = folder(tmp_path, [*(line(number) for number in range(COUNT)), line(40)])
    (tmp_path / "40.png").symlink_to("03.png")
    found = by_caption(data.load(spec, kind="captions"))
    np.testing.assert_array_equal(found["picture 40"], picture(3))


def archive(root, **arrays):
    np.savez(root / "set.npz", **{"images": numbered().images, **arrays})
    return f"npz:{root / 'set.npz'}"


def test_an_archive_may_give_one_caption_or_several_and_names_to_hold_out_by(tmp_path):
    one = np.array([f"number {number}" for number in range(COUNT)])
    splits = data.load(archive(tmp_path, captions=one), kind="captions")
    assert all(int(c.split()[1]) == i[0, 0, 0] for c, i in by_caption(splits).items())
    several = np.stack([one, np.where(np.arange(COUNT) % 2, one, "")], axis=1)
    names = np.array([f"name {number // 3}" for number in range(COUNT)])
    spec = archive(tmp_path, captions=several, names=names)
    splits = data.load(spec, kind="captions", holdout=0.3)
    assert splits.train.first[-1] == sum(1 + int(shade) % 2 for shade in shown_of(splits.train))
    sides = [set(shown_of(part) // 3) for part in (splits.train, splits.held_out)]
    assert not sides[0] & sides[1]


def shown_of(source) -> np.ndarray:
    return source.images[:, 0, 0, 0].astype(int)


def test_an_archive_may_bring_embeddings_instead(tmp_path):
    embeddings = np.random.default_rng(0).normal(size=(COUNT, 2, 5))
    spec = archive(tmp_path, embeddings=embeddings)
    source = data.load(spec, kind="captions").train
    assert source.inputs == {"text": (5,)} and source.captions_of(0) == []
    batch = source.batch(seed=0, step=0, size=8)
    assert set(batch) == {"image", "text", "mismatched"}
    own = embeddings[shown(batch["image"])].astype(np.float32)
    assert np.all(np.any(np.all(own == batch["text"][:, None], axis=2), axis=1))
    assert not np.any(np.all(own == batch["mismatched"][:, None], axis=2))


def test_both_drawings_of_an_emoji_have_its_captions_and_are_held_out_together(tmp_path):
    entries = [{"name": f"thing {n}", "keywords": [f"word {n}", "Thing"]} for n in range(COUNT)]
    (tmp_path / "captions.json").write_text(json.dumps(entries))
    drawings = {vendor: numbered().images for vendor in emoji_captions.VENDORS}
    np.savez(tmp_path / "emoji64.npz", **drawings)
    emoji_captions.main(str(tmp_path), str(tmp_path / "emoji.npz"))
    splits = data.load(f"npz:{tmp_path / 'emoji.npz'}", kind="captions", holdout=0.3)
    sides = [shown_of(part).tolist() for part in (splits.train, splits.held_out)]
    assert not set(sides[0]) & set(sides[1]) and len(sides[0]) == 2 * len(set(sides[0]))
    assert splits.train.captions_of(0) == [f"thing {sides[0][0]}, word {sides[0][0]}"]
    several = emoji_captions.captions_of("cat", list("abcdef"))
    assert several == ["cat, b, d, e, f", "", ""]


# --- refused --------------------------------------------------------------------------------------

WORDS = np.array(["some words"] * COUNT)
REFUSED = {
    "no metadata": (
        lambda root: f"captioned:{root}",
        ("a folder without metadata.jsonl", '{"file_name": "cat.jpg", "text": "a cat"}'),
    ),
    "no folder": (lambda root: f"captioned:{root}/none", ("none is not a folder",)),
    "an empty file": (lambda root: folder(root, []), ("metadata.jsonl is empty",)),
    "no JSON": (
        lambda root: folder(root, [line(0), "cat.jpg,a cat"]),
        ("line 2 of metadata.jsonl is not a JSON object",),
    ),
    "another column": (
        lambda root: folder(root, [{"file_name": "00.png", "caption": "x"}]),
        ("line 1 of metadata.jsonl has no 'text' but has file_name, caption", "rename"),
    ),
    "an empty caption": (
        lambda root: folder(root, [line(0), line(1, ["fine", " "])]),
        ("line 2 of metadata.jsonl gives 01.png an empty caption",),
    ),
    "no captions at all": (
        lambda root: folder(root, [{"file_name": "00.png", "text": []}]),
        ("gives 00.png an empty caption",),
    ),
    "a number": (lambda root: folder(root, [line(0, 7)]), ("the text 7; expected a string",)),
    "a missing file": (
        lambda root: folder(root, [line(0), line(99)]),
        ("line 2 of metadata.jsonl captions 99.png, which is not in the folder", "add the image"),
    ),
    "a name of thousands of letters": (
        lambda root: folder(root, [line(0), {"file_name": "x" * 5000, "text": "x"}]),
        ("line 2 of metadata.jsonl captions xxx", "which is not in the folder"),
    ),
    "a name that none can be": (
        lambda root: folder(root, [line(0), {"file_name": "a\0.png", "text": "x"}]),
        (r"captions a\x00.png, which is not in the folder",),
    ),
    "JSON nested beyond reason": (
        lambda root: folder(root, [line(0), "[" * 100_000]),
        ("line 2 of metadata.jsonl is not a JSON object",),
    ),
    "another key": (
        lambda root: archive(root, words=WORDS),
        ("neither 'captions' nor 'embeddings' but has images, words", "rename the array"),
    ),
    "no images": (
        lambda root: archive(root, images=np.zeros(0), captions=WORDS),
        ("'images' has shape (0,)",),
    ),
    "an empty caption in an archive": (
        lambda root: archive(root, captions=np.where(np.arange(COUNT) == 4, " ", WORDS)),
        ("the caption of image 4 is empty",),
    ),
    "another number": (
        lambda root: archive(root, captions=WORDS[:9]),
        ("'captions' is <U10 of shape (9,) for 30 images", "expected strings of shape [30]"),
    ),
    "embeddings of another number": (
        lambda root: archive(root, embeddings=np.zeros((9, 4))),
        ("'embeddings' is float64 of shape (9, 4) for 30 images", "[30, K, E]"),
    ),
    "embeddings that are no numbers": (
        lambda root: archive(root, embeddings=np.full((COUNT, 4), np.nan)),
        ("'embeddings' has values that are NaN",),
    ),
    "one caption for all": (
        lambda root: archive(root, captions=WORDS),
        ("has every caption in the data", "write captions that distinguish the images"),
    ),
    "images alone": (
        lambda root: "fashion",
        (
            "this is a source of single images, but images with captions are needed",
            "fashion-captions",
        ),
    ),
    "a path without its kind": (lambda root: str(root), ("write captioned:",)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_refused_in_one_sentence(case, tmp_path):
    make, says = case
    with pytest.raises(data.DataError) as caught:
        data.load(make(tmp_path), kind="captions")
    message = str(caught.value)
    for part in says:
        assert part in message
    assert "\n" not in message and not message.endswith(".")


# --- garments -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def garments():
    return data.load("fashion-captions", kind="captions")


def compositions(source) -> np.ndarray:
    """The words [N, 3] that the images' first captions ask for."""
    first = [captions.decode(row) for row in source.texts[source.first[:-1]]]
    return np.array([fashion_captions.asked_by(caption) for caption in first])


def test_a_composition_of_each_class_is_held_out_and_every_two_of_its_words_are_not(garments):
    seen, unseen = (set(map(tuple, compositions(part))) for part in garments[:2])
    assert not seen & unseen and len(unseen) == 10
    assert sorted(thing for thing, _, _ in unseen) == list(range(10))
    for left, right in ((0, 1), (0, 2), (1, 2)):
        pairs = {(words[left], words[right]) for words in seen}
        assert {(words[left], words[right]) for words in unseen} <= pairs
    assert (len(garments.train), len(garments.held_out)) == (8353, 1962)


def test_captions_say_what_the_images_show(garments):
    train = fashion.load().train
    usual = fashion_captions.usual_covers(train)
    for part in garments[:2]:
        asked = compositions(part)
        np.testing.assert_array_equal(fashion_captions.words_of(part, usual), asked)
        np.testing.assert_array_equal(part.labels, asked[:, 0])
        every = {fashion_captions.asked_by(caption) for caption in part.captions_of(7)}
        assert every == {tuple(asked[7])} and len(part.captions_of(7)) == 5


def test_shades_are_mean_levels_of_what_is_not_ground():
    levels = np.array([0, 30, 124, 126, 174, 176, 255], np.uint8)
    images = np.zeros((7, 4, 4, 1), np.uint8)
    images[:, :2] = levels[:, None, None, None]  # half of each is ground
    assert fashion_captions.shades(images).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert fashion_captions.covers(images).tolist() == [0, *[0.5] * 6]


def test_the_class_that_a_caption_names_is_the_longest_of_its_words():
    assert fashion_captions.asked_by("a light slim t-shirt") == (0, 2, 0)
    assert fashion_captions.asked_by("this shirt is dark and wide") == (6, 0, 1)
    with pytest.raises(ValueError, match="'a red bird' has none of the words t-shirt, "):
        fashion_captions.asked_by("a red bird")
