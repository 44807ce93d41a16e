"""Archives that need most of the memory are mapped or prepared on disk: the same data."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import image_stores, mapped_rows, memory, prepared
from jaxgan.data.readers import large_arrays
from tests.data.conftest import require_equal

COUNT = 20
DRAWS = np.random.default_rng(0)
IMAGES = DRAWS.integers(0, 256, (COUNT, 6, 8, 3), np.uint8)
FLOATS = DRAWS.normal(3, 40, (COUNT, 6, 8, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> pathlib.Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "jaxgan" / "prepared"


@pytest.fixture(autouse=True)
def small_memory(monkeypatch):
    """Of `IMAGES`, which have 2,880 bytes, two may be in memory, and fewer are read at a time."""
    monkeypatch.setattr(memory, "available", lambda: 600)
    monkeypatch.setattr(large_arrays, "_PIECE", 500)


def inside(spec: str, **options) -> data.Splits:
    """The same data with all memory, and nothing prepared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "available", lambda: None)
        patch.setenv("XDG_CACHE_HOME", "/nowhere")
        return data.load(spec, **options)


def saved(folder: pathlib.Path, form: str, images: np.ndarray) -> str:
    if form == "npy":
        np.save(folder / "set.npy", images)
        return f"npz:{folder / 'set.npy'}"
    save = np.savez_compressed if form == "compressed" else np.savez
    save(folder / "set.npz", images=images)
    return f"npz:{folder / 'set.npz'}"


CASES = {
    "a single array": ("npy", IMAGES, {"flip": True}, True),
    "an archive": ("npz", IMAGES, {"holdout": 0.5}, True),
    "12 bits": ("npz", 16 * IMAGES.astype(np.uint16), {}, True),
    "gray": ("npy", IMAGES[..., 0], {}, True),
    "floats": ("npy", FLOATS, {"range": "-20,90"}, True),
    "crops": ("npz", IMAGES, {"crop": 5}, True),
    "a subset": ("npz", FLOATS, {"limit": 13}, True),
    "compressed": ("compressed", IMAGES, {"flip": True}, False),
    "compressed and cut": ("compressed", IMAGES, {"crop": 5, "limit": 13}, False),
    "compressed floats": ("compressed", FLOATS, {}, False),
    "resized": ("npz", IMAGES, {"resolution": 5, "channels": 1}, False),
    "resized floats": ("npy", FLOATS[..., :1], {"resolution": "4x5", "channels": 3}, False),
    "whole numbers": ("npz", IMAGES.astype(np.int64), {}, False),
    "compressed whole numbers": ("compressed", 3 - 2 * IMAGES.astype(np.int16), {}, False),
    "another byte order": ("npy", FLOATS.astype(">f4"), {}, False),
    "columns first": ("npz", np.asfortranarray(FLOATS.astype(np.float64)), {}, False),
}


@pytest.mark.parametrize(("form", "images", "options", "in_place"), CASES.values(), ids=CASES)
def test_batches_equal_those_from_memory(tmp_path, cache, form, images, options, in_place):
    spec = saved(tmp_path, form, images)
    found, expected = data.load(spec, **options), inside(spec, **options)
    train = found.train
    assert not isinstance(expected.train.images, np.memmap | mapped_rows.MappedRows)
    assert isinstance(train.images, mapped_rows.MappedRows)
    assert isinstance(train.images.base, np.memmap)
    assert (prepared.folder_of(train.images) is None) == in_place == (not cache.exists())
    for one, other in zip(found[:2], expected[:2], strict=True):
        require_equal(one, other)
        assert one.values == other.values and len(one) == len(other)
        np.testing.assert_array_equal(one.pictures(), other.pictures())
    (told,) = set(found.notes) - set(expected.notes)
    said = "The images are read from disk, where they lie: " if in_place else "prepared in "
    assert said in told and [note for note in found.notes if note != told] == [*expected.notes]


def test_pairs_captions_and_labels_are_those_of_memory(tmp_path):
    both, labels = {"a": IMAGES, "b": IMAGES[::-1]}, np.arange(COUNT) % 3
    captions = np.array([f"no {number}" for number in range(COUNT)])
    np.savez_compressed(tmp_path / "both.npz", **both)
    np.savez(tmp_path / "told.npz", images=IMAGES, captions=captions)
    np.savez(tmp_path / "labeled.npz", images=IMAGES, labels=labels)
    for kind, name in (
        *(("pairs", "both"), ("domains", "both")),
        *(("captions", "told"), ("images", "labeled")),
    ):
        spec = f"npz:{tmp_path / name}.npz"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "available", lambda: 2000)  # of the captions
            found = data.load(spec, kind=kind, holdout=0.5)
        part = found.train.a if name == "both" else found.train
        assert isinstance(part.images, mapped_rows.MappedRows)
        require_equal(found.train, inside(spec, kind=kind, holdout=0.5).train)


def test_what_is_prepared_is_read_again_also_with_much_memory(tmp_path, cache, monkeypatch):
    spec, said = saved(tmp_path, "compressed", IMAGES), []
    monkeypatch.setattr(memory, "available", lambda: None)
    always = image_stores.Storing(always=True, say=said.append)
    first = data.load(spec, storing=always).train
    assert said[0].startswith(f"{spec}: 20 images of 6x8x3 are prepared in {cache}: 0.0 MB")
    monkeypatch.setattr(large_arrays, "_fill", None)
    again = data.load(spec, holdout=0.5).train
    assert prepared.folder_of(again.images) == prepared.folder_of(first.images)
    plain = data.load(saved(tmp_path, "npy", IMAGES), storing=always).train
    assert isinstance(plain.images, np.ndarray)  # it needs no preparation


@pytest.mark.parametrize("form", ["npy", "compressed"])
def test_values_that_are_not_finite_are_counted_over_all_pieces(tmp_path, cache, form):
    images = FLOATS.copy()
    images[[7, 15], 0, 0, 0] = np.nan, np.inf
    with pytest.raises(data.DataError, match=r"2 values of 'images' are .* the first in image 7;"):
        data.load(saved(tmp_path, form, images))
    assert not [path for path in cache.glob("*") if path.suffix != ".lock"]


def test_damage_found_while_it_is_prepared_is_one_sentence(tmp_path, cache):
    spec = saved(tmp_path, "compressed", IMAGES)
    content = bytearray((tmp_path / "set.npz").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(data.DataError, match=r"'images' is damaged \(.*\); save the archive again"):
        data.load(spec)
    assert not [path for path in cache.glob("*") if path.suffix != ".lock"]


def test_rows_are_read_only_where_they_are_asked_for():
    base = IMAGES.view(np.memmap)
    rows = mapped_rows.MappedRows(base, np.array([3, 1, 8]))
    assert (len(rows), rows.shape, rows.ndim, rows.nbytes) == (3, (3, 6, 8, 3), 4, 3 * 144)
    expected = IMAGES[[3, 1, 8]]
    for key in (1, slice(1, None), [2, 0], np.array([True, False, True]), (..., 0), (0, 2)):
        np.testing.assert_array_equal(rows[key], expected[key])
    part = rows[:, ::-1, :4]
    assert isinstance(part, mapped_rows.MappedRows)
    np.testing.assert_array_equal(part, expected[:, ::-1, :4])
    assert (rows.min(), rows.max()) == (expected.min(), expected.max())
    assert rows.mean() == pytest.approx(expected.mean())
    assert [image.tobytes() for image in rows] == [image.tobytes() for image in expected]
