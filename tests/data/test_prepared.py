"""Sets that need most of the memory are prepared on disk: the same data, and nothing half done."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import shutil
import threading

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import image_stores, mapped_rows, memory, prepared, value_files, value_range
from jaxgan.data.readers import decoding, image_file
from tests.data.conftest import picture, require_equal

COUNT, BYTES = 20, 6 * 8 * 3  # of `class_folder`


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "jaxgan" / "prepared"


@pytest.fixture
def small_memory(monkeypatch):
    """A fifth of what the set needs may be in memory."""
    limit = COUNT * BYTES / 5
    monkeypatch.setattr(memory, "available", lambda: limit / memory.SHARE)
    monkeypatch.setattr(decoding, "_BLOCK_BYTES", 3 * BYTES)


def sets(folder: pathlib.Path) -> list[str]:
    """The names of all that is there, but for locks."""
    return sorted(path.name for path in folder.glob("*") if path.suffix != ".lock")


@pytest.mark.parametrize("options", [{"flip": True}, {"crop": 5}, {"load": 12, "crop": 9}])
def test_batches_equal_those_from_memory(class_folder, make_image, small_memory, cache, options):
    if "load" not in options and "crop" in options:
        make_image("pets/cat/large.png", picture(99, 9, 12))
    spec = f"folder:{class_folder}"
    mapped = data.load(spec, **options)
    assert isinstance(mapped.train.images, np.memmap) and len(sets(cache)) == 1
    shutil.rmtree(cache)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available", lambda: None)
        inside = data.load(spec, **options)
    assert not isinstance(inside.train.images, np.memmap)
    require_equal(mapped.train, inside.train)
    require_equal(mapped.held_out, inside.held_out)
    (stored,) = set(mapped.notes) - set(inside.notes)
    assert stored.startswith("The images are read from disk: 0.0 MB, prepared in ")
    again = data.load(spec, **options)
    require_equal(again.train, inside.train)
    assert again.notes == mapped.notes
    assert [note for note in again.notes if note != stored] == list(inside.notes)


@pytest.mark.parametrize("options", [{"flip": True}, {"crop": 5}, {"range": "300,2500"}])
@pytest.mark.parametrize(("dtype", "channels"), [("uint16", 3), ("float32", 5)])
def test_values_equal_those_from_memory(tmp_path, small_memory, cache, options, dtype, channels):
    draws = np.random.default_rng(0)
    (tmp_path / "deep").mkdir()
    for number in range(COUNT):
        size = (9, 12) if "crop" in options and number == 7 else (6, 8)
        values = draws.integers(0, 3000, (*size, channels)).astype(dtype)
        name = f"{number:02}{value_files.suffix(channels, dtype)}"
        (tmp_path / "deep" / name).write_bytes(value_files.encoded(values))
    spec = f"folder:{tmp_path / 'deep'}"
    mapped = data.load(spec, **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available", lambda: None)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
        inside = data.load(spec, **options)
    assert prepared.folder_of(mapped.train.stored) and not prepared.folder_of(inside.train.stored)
    assert mapped.train.images.dtype == dtype and mapped.train.shape[2] == channels
    require_equal(mapped.train, inside.train)
    require_equal(mapped.held_out, inside.held_out)
    assert mapped.train.values == mapped.held_out.values == inside.train.values
    assert set(inside.notes) < set(mapped.notes)
    if "range" not in options:
        assert inside.train.values == value_range.found(inside.train.stored, name="it")
        again = data.load(spec, **options).train
        assert again.values == inside.train.values


def test_pairs_domains_and_captions_are_prepared_too(make_image, tmp_path, small_memory, cache):
    lines = []
    for number in range(COUNT):
        for side in "ab":
            make_image(f"pairs/{side}/{number}.png", picture(number))
        make_image(f"told/{number}.png", picture(number))
        lines.append(f'{{"file_name": "{number}.png", "text": ["one", "no {number}"]}}\n')
    (tmp_path / "told" / "metadata.jsonl").write_text("".join(lines))
    (tmp_path / "pairs" / "b" / "3.png").write_bytes(b"damaged")
    (tmp_path / "told" / "4.png").write_bytes(b"damaged")
    for kind, spec in (
        ("pairs", f"paired:{tmp_path / 'pairs'}"),
        ("domains", f"unpaired:{tmp_path / 'pairs'}"),
        ("captions", f"captioned:{tmp_path / 'told'}"),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "available", lambda: None)
            inside = data.load(spec, kind=kind, channels=1, holdout=0.5)
        mapped = data.load(spec, kind=kind, channels=1, holdout=0.5)
        part = mapped.train if kind == "captions" else mapped.train.a
        assert prepared.folder_of(part.images)
        require_equal(mapped.train, inside.train)
        assert set(inside.notes) < set(mapped.notes)
        shutil.rmtree(cache)


def test_nothing_is_decoded_a_second_time_and_a_changed_source_is_prepared_anew(
    class_folder, make_image, small_memory, cache, monkeypatch
):
    calls = []
    whole = image_file.decode
    monkeypatch.setattr(image_file, "decode", lambda *a: calls.append(a) or whole(*a))
    spec = f"folder:{class_folder}"
    first = data.load(spec).train.digest
    assert len(calls) == COUNT
    assert data.load(spec).train.digest == first and len(calls) == COUNT
    make_image("pets/cat/00.png", picture(77))
    assert data.load(spec).train.digest != first and len(calls) == 2 * COUNT
    data.load(spec, holdout=0.5)
    data.load(spec, channels=1)
    assert len(calls) == 4 * COUNT and len(sets(cache)) == 4


def test_a_digest_is_computed_once_and_a_part_has_its_own(class_folder, small_memory, cache):
    first = data.load(f"folder:{class_folder}").train
    known = {first.digest, first.subset([1, 0, 2]).digest}
    assert len(known) == 2
    (folder,) = cache.glob("*[!k]")
    kept = json.loads((folder / "digests.json").read_text())
    assert set(kept.values()) == known
    relabeled = data.Dataset("other", first.images, (first.labels + 1) % 2, first.classes)
    assert relabeled.digest not in known
    (folder / "digests.json").write_text(json.dumps(dict.fromkeys(kept, "0" * 64)))
    assert data.load(f"folder:{class_folder}").train.digest == "0" * 64


@pytest.mark.parametrize("crop", [None, 5])
def test_a_subset_of_any_size_stays_on_disk(class_folder, small_memory, cache, crop):
    spec = f"folder:{class_folder}"
    whole = data.load(spec, crop=crop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available", lambda: None)
        patch.setenv("XDG_CACHE_HOME", str(cache / "none"))
        inside = data.load(spec, crop=crop, limit=17).train
    for count in (7, 17):
        limited = data.load(spec, crop=crop, limit=count).train
        assert len(limited) == count and isinstance(limited.images, mapped_rows.MappedRows)
        assert prepared.folder_of(limited.images) == prepared.folder_of(whole.train.images)
    require_equal(limited, inside)
    np.testing.assert_array_equal(limited.pictures(), inside.images)
    np.testing.assert_array_equal(limited.take(3).float_images(), inside.take(3).float_images())


def test_an_interrupted_preparation_leaves_nothing_half_done(
    class_folder, small_memory, cache, monkeypatch
):
    whole = image_file.decode

    def interrupted(source, target):
        if source.name == "15.png":
            raise KeyboardInterrupt
        return whole(source, target)

    monkeypatch.setattr(image_file, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load(f"folder:{class_folder}")
    assert sets(cache) == []


def test_what_a_killed_process_left_is_cleared_by_the_next(
    class_folder, small_memory, cache, monkeypatch
):
    def watch(items, total, what):
        yield from list(items)[:1]
        raise KeyboardInterrupt

    spec = f"folder:{class_folder}"
    with monkeypatch.context() as patch:
        patch.setattr(prepared.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            data.load(spec, storing=image_stores.Storing(watch=watch))
    (left,) = sets(cache)
    assert left.endswith(".partial") and prepared.find(left.partition(".")[0]) is None
    other = cache / f"{'0' * 32}.0000.partial"
    other.mkdir()
    data.load(spec)
    assert sets(cache) == [left.partition(".")[0]]


def test_what_is_needed_twice_at_a_time_is_prepared_once(class_folder, small_memory, cache):
    """Locks are of open files, so that a thread stands for another process."""
    begun, waits = threading.Event(), threading.Event()
    watched, said = [], []

    def slow(items, total, what):
        begun.set()
        assert waits.wait(30)
        watched.append(what)
        return items

    def heard(sentence):
        said.append(sentence)
        waits.set()

    spec = f"folder:{class_folder}"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(data.load, spec, storing=image_stores.Storing(watch=slow))
        assert begun.wait(30)
        second = data.load(spec, storing=image_stores.Storing(watch=slow, say=heard))
    require_equal(first.result().train, second.train)
    assert len(watched) == 2 and len(sets(cache)) == 1  # training and held-out images
    assert said == [f"{spec}: another process prepares it; waiting"]


def test_a_damaged_set_is_prepared_again(class_folder, small_memory, cache):
    spec = f"folder:{class_folder}"
    first = data.load(spec).train.digest
    (file,) = cache.glob("*/training-0.pixels")
    os.truncate(file, file.stat().st_size - 1)
    assert data.load(spec).train.digest == first


def test_the_disk_is_checked_before_and_said(class_folder, small_memory, cache, monkeypatch):
    said: list[str] = []
    data.load(f"folder:{class_folder}", storing=image_stores.Storing(say=said.append))
    assert len(said) == 1 and f": 20 images of 6x8x3 are prepared in {cache}: 0.0 MB, " in said[0]
    shutil.rmtree(cache)
    full = shutil.disk_usage("/")._replace(free=BYTES)
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda path: full)
    with pytest.raises(data.DataError, match=r"need 0\.0 MB on disk and 0\.0 MB are free in"):
        data.load(f"folder:{class_folder}")
    assert sets(cache) == []


def test_a_cache_that_cannot_be_written_to_is_one_sentence(class_folder, small_memory, cache):
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file")
    with pytest.raises(data.DataError, match=r"cannot be prepared in .*; make room there, give a"):
        data.load(f"folder:{class_folder}")
