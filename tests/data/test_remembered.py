"""What is found by reading a large file is kept until the file changes."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import memory, remembered

IMAGES = np.random.default_rng(0).integers(0, 4096, (20, 6, 8, 3)).astype(np.uint16)
FIELDS = np.random.default_rng(1).normal(5, 3, (20, 6, 8, 1)).astype(np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> pathlib.Path:
    """An empty cache folder; every file is large enough to be kept, and old enough."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(remembered, "LARGE", 1)
    monkeypatch.setattr(remembered, "_SETTLED", 0)
    monkeypatch.setattr(memory, "available", lambda: 600)
    return tmp_path / "cache" / "jaxgan" / "found"


@pytest.fixture
def reads(monkeypatch) -> list:
    """What is computed, and not read from the cache folder."""
    found = []
    of_files = remembered.of_files

    def counted(arrays, asked, compute):
        return of_files(arrays, asked, lambda: found.append(asked) or compute())

    monkeypatch.setattr(remembered, "of_files", counted)
    return found


def archive(folder: pathlib.Path, images: np.ndarray) -> str:
    np.save(folder / "set.npy", images)
    return f"npz:{folder / 'set.npy'}"


def fields(folder: pathlib.Path, images: np.ndarray) -> str:
    np.savez(folder / "set.npz", image=images, condition=images.mean(axis=(1, 2, 3)))
    return f"arrays:{folder / 'set.npz'}"


CASES = {"images": (archive, IMAGES, {}), "arrays": (fields, FIELDS, {"transform": "image=minmax"})}


def known(spec: str, **options) -> tuple:
    """What is found in the training data as a whole."""
    train = data.load(spec, **options).train
    return train.digest, train.transforms if isinstance(train, data.Arrays) else train.values


@pytest.mark.parametrize(("write", "values", "options"), CASES.values(), ids=CASES)
def test_a_file_is_read_as_a_whole_once_until_it_changes(tmp_path, reads, write, values, options):
    spec = write(tmp_path, values)
    first, asked = known(spec, **options), len(reads)
    assert asked >= 3 and known(spec, **options) == first and len(reads) == asked
    path = pathlib.Path(spec.partition(":")[2])
    (tmp_path / "other").mkdir()
    other = pathlib.Path(write(tmp_path / "other", values // 2).partition(":")[2])
    before = path.stat()
    path.write_bytes(other.read_bytes())  # the same file, of the same size, with the same time
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    changed = known(spec, **options)
    assert changed[0] != first[0] and changed[1] != first[1] and len(reads) == 2 * asked
    remembered.folder().rename(tmp_path / "away")
    assert known(spec, **options) == changed


def test_parts_of_a_file_have_findings_of_their_own(tmp_path, reads):
    spec = fields(tmp_path, FIELDS)
    every = {known(spec, limit=limit)[0] for limit in (None, 5, 7)}
    halves = {known(spec, holdout=share)[0] for share in (0.3, 0.5)}
    assert len(every | halves) == 5
    count = len(reads)
    assert {known(spec, limit=limit)[0] for limit in (None, 5, 7)} == every and len(reads) == count


def test_a_file_that_is_replaced_while_it_is_read_is_not_known(tmp_path, cache):
    spec = archive(tmp_path, IMAGES)
    train = data.load(spec).train
    (tmp_path / "other").mkdir()
    archive(tmp_path / "other", IMAGES // 2)
    (tmp_path / "other" / "set.npy").replace(tmp_path / "set.npy")
    kept = set(cache.iterdir())
    old = train.digest
    assert set(cache.iterdir()) == kept
    new = data.load(spec).train.digest
    assert new != old and data.load(spec).train.digest == new


def test_small_and_young_files_are_read_each_time(tmp_path, cache, monkeypatch):
    spec = fields(tmp_path, FIELDS)
    monkeypatch.setattr(remembered, "LARGE", 2 * FIELDS.nbytes)
    first = known(spec)
    monkeypatch.setattr(remembered, "LARGE", 1)
    monkeypatch.setattr(remembered, "_SETTLED", 10**12)
    assert known(spec) == first and not cache.exists()


def test_a_damaged_or_missing_cache_costs_nothing_but_time(tmp_path, cache, monkeypatch):
    spec = archive(tmp_path, IMAGES)
    first = known(spec)
    for file in cache.iterdir():
        file.write_text("[")
    assert known(spec) == first
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert known(spec) == first
