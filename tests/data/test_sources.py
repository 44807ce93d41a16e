"""The spec and the options of `data.load`: what is unknown or of no use is refused."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import sources


@pytest.mark.parametrize(
    ("spec", "hint"),
    [
        ("fashin", "perhaps fashion is meant"),
        ("foldr:photos", "perhaps folder:photos is meant"),
        ("tdfs:mnist", "perhaps tfds:mnist is meant"),
        ("rings", "perhaps ring is meant"),
        ("npz", "perhaps npz:PATH is meant"),
        ("folder:", "perhaps folder:PATH is meant"),
        ("", "expected one of fashion, flowers, folder:PATH, npz:PATH, tfds:NAME, ring, grid"),
    ],
)
def test_an_unknown_spec_names_the_closest_one(spec, hint):
    with pytest.raises(data.DataError, match=hint):
        data.load(spec)


def test_a_bare_path_is_told_its_kind(class_folder, make_archive):
    with pytest.raises(data.DataError, match=f"write folder:{class_folder}"):
        data.load(str(class_folder))
    archive = make_archive(images=np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(data.DataError, match=f"write npz:{archive}"):
        data.load(str(archive))


@pytest.mark.parametrize(
    ("spec", "options", "flag"),
    [
        ("ring", {"resolution": 64}, "--resolution"),
        ("grid", {"channels": 3}, "--channels"),
        ("gauss1d", {"flip": True}, "--flip"),
        ("ring", {"holdout": 0.1}, "--holdout"),
        ("fashion", {"holdout": 0.0}, "--holdout"),
        ("fashion", {"data_dir": "sets"}, "--data-dir"),
        ("folder:photos", {"data_dir": "sets"}, "--data-dir"),
    ],
)
def test_an_option_that_the_source_has_no_use_for_is_refused(spec, options, flag):
    with pytest.raises(data.DataError, match=f"leave {flag} out"):
        data.load(spec, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "zoom"}, "expected one of crop, pad, stretch"),
        ({"channels": 0}, "channels is 0"),
    ],
)
def test_options_are_checked_before_anything_is_read(options, message):
    with pytest.raises(data.DataError, match=message):
        data.load("folder:nowhere", **options)


@pytest.mark.parametrize(
    ("spec", "moved"),
    [
        ("folder:photos", "folder:/r/photos"),
        ("npz:a::b", "npz:/r/a::b"),
        ("unpaired:a::b", "unpaired:/r/a::/r/b"),
        ("paired:a", "paired:/r/a"),
        ("tfds:mnist", "tfds:mnist"),
        ("fashion", "fashion"),
    ],
)
def test_every_path_of_a_spec_can_be_moved(spec, moved):
    assert sources.moved(spec, lambda path: f"/r/{path}") == moved


def test_the_flip_is_for_training_alone(class_folder):
    splits = data.load(f"folder:{class_folder}", flip=True, holdout=0.3)
    assert splits.train.flip and not splits.held_out.flip
