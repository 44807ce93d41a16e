"""The embedded photographs of flowers: what they are, and that each is credited."""

from __future__ import annotations

import importlib.resources
import io
import pathlib
import re

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import flowers
from jaxgan.data.embedded import make_flowers

FOLDER = importlib.resources.files("jaxgan.data.embedded")


@pytest.fixture(scope="module")
def splits():
    return data.load("flowers")


@pytest.fixture(scope="module")
def packed():
    return flowers.unpack(FOLDER.joinpath(flowers.FILE).read_bytes())


def test_the_photographs_are_as_many_and_as_large_as_documented(splits):
    train, held_out, notes = splits
    assert (len(train), len(held_out)) == (2_934, 736)
    assert train.shape == held_out.shape == (64, 64, 3)
    assert train.classes == held_out.classes == flowers.CLASSES
    together = np.concatenate([train.labels, held_out.labels])
    assert np.bincount(together).tolist() == [633, 898, 641, 699, 799]
    assert notes == ()


def test_no_photograph_is_both_trained_on_and_held_out(splits):
    seen = {image.tobytes() for image in splits.train.images}
    assert seen.isdisjoint(image.tobytes() for image in splits.held_out.images)


def test_the_encoded_photographs_are_pinned(packed):
    """Decoders may differ in the last bit, so the files are compared, not the pixels."""
    names, sources, held_out = packed
    assert len(names) == 3_670 and held_out.sum() == 736
    assert make_flowers.digest(names, sources, held_out).startswith("553396bb662b6e02")


def test_every_photograph_is_credited_and_the_license_is_next_to_them(packed):
    credits = FOLDER.joinpath(flowers.CREDITS).read_text()
    assert "creativecommons.org/licenses/by/2.0" in credits
    lines = re.findall(r"^(\S+)\.jpg CC-BY (.+)$", credits, re.MULTILINE)
    assert all("https://" in line for _, line in lines)
    found = ((name, re.search(r"\bby (\S.*?)(?: - https|$)", line)) for name, line in lines)
    photographers = {f"{name}.webp": who and who.group(1) for name, who in found}
    assert set(packed[0]) == set(photographers)
    assert all(photographers.values())
    license = FOLDER.joinpath("LICENSE").read_text()
    assert flowers.FILE in license and flowers.CREDITS in license and "CC BY 2.0" in license


def test_the_archive_is_small():
    assert len(FOLDER.joinpath(flowers.FILE).read_bytes()) < 7_000_000


def test_they_come_in_the_shape_that_is_asked_for(splits):
    shaped = data.load("flowers", resolution=32, channels=1, flip=True, limit=50)
    assert shaped.train.shape == shaped.held_out.shape == (32, 32, 1)
    assert shaped.train.flip and not shaped.held_out.flip
    assert len(shaped.train) == 50


def test_the_held_out_photographs_are_those_of_the_set(packed, shared_data):
    listed = (shared_data / "flowers_cc_by" / "val.txt").read_text().split()
    names, _, held_out = packed
    found = [name for name, held in zip(names, held_out, strict=True) if held]
    assert found == sorted(pathlib.PurePosixPath(n).with_suffix(".webp").as_posix() for n in listed)


def test_they_are_the_photographs_of_the_set_at_64_pixels(packed, shared_data):
    folder = shared_data / "flowers_cc_by" / "images128"
    names, sources, _ = packed
    for index in range(0, len(names), 400):
        with Image.open(folder / names[index].replace(".webp", ".jpg")) as image:
            original = np.asarray(image.resize((64, 64), Image.Resampling.LANCZOS), float)
        decoded = np.asarray(Image.open(io.BytesIO(sources[index])).convert("RGB"), float)
        assert np.sqrt(np.mean((decoded - original) ** 2)) < 16


def test_the_script_makes_an_archive_that_is_read_back(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 80, 3), np.uint8)
    for kind in ("daisy", "tulips"):
        (tmp_path / kind).mkdir()
        Image.fromarray(pixels).save(tmp_path / kind / "1_a.jpg")
    (tmp_path / "val.txt").write_text("tulips/1_a.jpg\n")
    packed = make_flowers.archive(tmp_path)
    assert packed == make_flowers.archive(tmp_path)
    names, sources, held_out = flowers.unpack(packed)
    assert names == ["daisy/1_a.webp", "tulips/1_a.webp"]
    assert held_out.tolist() == [False, True]
    assert Image.open(io.BytesIO(sources[0])).size == (64, 64)
