"""Arrays with conditions: from every file, in any shape, transformed, never unpickled."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import limiting, transforms

DRAWS = np.random.default_rng(0)
IMAGE = DRAWS.normal(5, 3, (40, 4, 6, 2)).astype(np.float32)
MASS = DRAWS.uniform(1, 3, 40).astype(np.float32)
WIND = DRAWS.normal(size=(40, 3)).astype(np.float32)
ENTRIES = {"image": IMAGE, "condition_mass": MASS, "condition_wind": WIND}
TRANSFORM = "image=standardize,condition_mass=log1p+minmax"


@pytest.fixture
def write(tmp_path):
    """Writes arrays to a folder, an archive, or a compressed one, and returns the spec."""

    def written(form: str = "folder", **entries) -> str:
        path = tmp_path / f"data_{form}"
        if form == "folder":
            path.mkdir()
            for key, array in entries.items():
                np.save(path / f"{key}.npy", array)
        else:
            path = path.with_suffix(".npz")
            (np.savez_compressed if form == "compressed" else np.savez)(path, **entries)
        return f"arrays:{path}"

    return written


def test_every_form_gives_the_same_batches_and_digest(write):
    every = [
        data.load(write(form, **ENTRIES), transform=TRANSFORM).train
        for form in ("folder", "archive", "compressed")
    ]
    columns = {key: np.asfortranarray(array) for key, array in ENTRIES.items()}
    every.append(data.load(write("columns", **columns), transform=TRANSFORM).train)
    assert [isinstance(source.entries["image"], np.memmap) for source in every] == [
        *(True, True, False),
        True,
    ]
    first, *others = every
    batch = first.batch(seed=1, step=2, size=16)
    assert {key: (of.shape, of.dtype) for key, of in batch.items()} == {
        "image": ((16, 4, 6, 2), np.float32),
        "condition_mass": ((16, 1), np.float32),
        "condition_wind": ((16, 3), np.float32),
    }
    for source in others:
        again = source.batch(seed=1, step=2, size=16)
        assert all(np.array_equal(again[key], batch[key]) for key in batch)
        assert source.digest == first.digest
    assert first.shape == (4, 6, 2)
    assert first.inputs == {"condition_mass": (1,), "condition_wind": (3,)}


def test_an_epoch_visits_every_example_once_with_its_own_conditions(write):
    splits = data.load(write(**ENTRIES), transform=TRANSFORM)
    train, held_out = splits.train, splits.held_out
    assert len(train) + len(held_out) == 40 and len(held_out)
    assert not set(train.rows) & set(held_out.rows)
    batch = train.batch(seed=0, step=0, size=len(train))
    back = {key: transforms.invert(train.transforms[key], of) for key, of in batch.items()}
    order = [int(np.argmin(np.abs(MASS - mass))) for mass in back["condition_mass"][:, 0]]
    assert sorted(order) == list(train.rows)
    assert back["image"] == pytest.approx(IMAGE[order], rel=1e-5, abs=1e-5)
    assert np.array_equal(back["condition_wind"], WIND[order])
    part = train.batch(seed=0, step=0, size=len(train), rows=[3, 5])
    assert np.array_equal(part["image"], batch["image"][[3, 5]])


def test_transforms_are_fitted_to_the_training_data_alone_and_to_all_of_them(write):
    splits = data.load(write(**ENTRIES), transform=TRANSFORM, limit=5)
    whole = data.load(splits.train.name, transform=TRANSFORM).train
    (standardize,) = splits.train.transforms["image"].steps
    assert standardize.center == pytest.approx(IMAGE[whole.rows].mean(axis=(0, 1, 2)), rel=1e-5)
    assert splits.held_out.transforms == splits.train.transforms == whole.transforms
    assert len(splits.train) == 5 and splits.train.digest != whole.digest
    assert limiting.limited(whole, 5).digest == splits.train.digest


def test_typical_conditions_occur_together(write):
    train = data.load(write(**ENTRIES)).train
    typical = train.typical
    assert {key: of.shape for key, of in typical.items()} == {
        "condition_mass": (16, 1),
        "condition_wind": (16, 3),
    }
    rows = [int(np.argmin(np.abs(MASS - mass))) for mass in typical["condition_mass"][:, 0]]
    assert np.array_equal(typical["condition_wind"], WIND[rows])
    maps = np.zeros((40, 64, 64, 2), np.float32)
    assert data.load(write("archive", image=IMAGE, condition=maps)).train.typical[
        "condition"
    ].shape == (2, 64, 64, 2)


@pytest.mark.parametrize("shape", [(40, 7), (40, 4, 6, 2), (40, 3, 4, 6, 2)])
def test_images_videos_and_vectors_are_read_alone_from_one_file(shape, tmp_path):
    values = np.ones(shape, ">f8")
    np.save(tmp_path / "fields.npy", values)
    splits = data.load(f"arrays:{tmp_path / 'fields.npy'}", holdout=0)
    assert splits.train.shape == shape[1:] and splits.train.inputs == {}
    assert splits.train is splits.held_out
    assert splits.train.batch(seed=0, step=0, size=2)["image"].dtype == np.float32


class Trap:
    """Unpickled, it raises."""

    def __reduce__(self):
        return exec, ("raise AssertionError('unpickled')",)


BAD = {
    "objects": ({"condition": np.array([Trap()] * 40)}, "'condition' holds Python objects"),
    "no image": (
        {"image": None, "picture": IMAGE},
        "expected an array 'image', found condition_mass, .*picture",
    ),
    "integers": ({"image": IMAGE.astype(np.uint8)}, "'image' is uint8; .* read by npz:PATH"),
    "complex": ({"condition": MASS * 1j}, "'condition' is complex64; expected float32: use"),
    "gray": ({"image": IMAGE[..., 0]}, r"has shape \(40, 4, 6\); .*image\[..., None\]"),
    "fewer": ({"condition": MASS[:9]}, r"'condition' has shape \(9,\) and 'image' has 40 examples"),
    "infinite": ({"condition": MASS * np.inf}, "40 examples of 'condition' hold NaN or infinite"),
}


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("form", ["folder", "compressed"])
def test_what_cannot_be_used_is_refused(changes, said, form, write):
    entries = {**ENTRIES, **changes}
    spec = write(form, **{key: of for key, of in entries.items() if of is not None})
    with pytest.raises(data.DataError, match=said):
        data.load(spec)


def test_a_damaged_or_missing_file_is_refused(write, tmp_path):
    folder = tmp_path / "data_folder"
    spec = write(**ENTRIES)
    content = (folder / "image.npy").read_bytes()
    for cut in (content[:-4], content[:20], b""):
        (folder / "image.npy").write_bytes(cut)
        with pytest.raises(data.DataError, match=r"'image' is (damaged|no array of numpy)"):
            data.load(spec)
    with pytest.raises(data.DataError, match=r"is not there; expected a folder of \.npy"):
        data.load(f"arrays:{tmp_path / 'none'}")


def test_other_arrays_are_left_out_with_a_note(write):
    notes = data.load(write(**ENTRIES, seed=np.arange(40))).notes
    assert notes[0].startswith("Left out seed: entries are 'image', 'condition' and")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resolution": 8}, "has arrays, not images: leave --resolution out"),
        ({"flip": True}, "has arrays, not images: leave --flip out"),
        ({"labels": 3}, "has no labels"),
        ({"transform": "image=cube"}, "--transform has the transform 'cube'"),
    ],
)
def test_options_that_do_not_apply_are_refused(options, said, write):
    with pytest.raises(data.DataError, match=said):
        data.load(write(**ENTRIES), **options)


@pytest.mark.parametrize("spec", ["ring", "fashion"])
def test_other_data_take_no_transform(spec):
    with pytest.raises(data.DataError, match="has no arrays of other units: leave --transform out"):
        data.load(spec, transform="image=symlog")


def test_a_path_without_its_kind_is_completed(write, tmp_path):
    write(**ENTRIES)
    with pytest.raises(data.DataError, match="write arrays:"):
        data.load(str(tmp_path / "data_folder" / "image.npy"))
