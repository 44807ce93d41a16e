"""The embedded excerpt of Fashion-MNIST: what it holds, and what loading it needs."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import fashion
from jaxgan.data.embedded import make_excerpt
from jaxgan.data.readers import idx


@pytest.fixture(scope="module")
def splits():
    return data.load("fashion")


def test_the_excerpt_is_balanced_and_of_the_documented_size(splits):
    train, held_out, notes = splits
    assert (len(train), len(held_out)) == (10_000, 2_000)
    assert train.shape == held_out.shape == (28, 28, 1)
    assert np.bincount(train.labels).tolist() == [1000] * 10
    assert np.bincount(held_out.labels).tolist() == [200] * 10
    assert train.classes == held_out.classes == fashion.CLASSES
    assert notes == ()


def test_no_image_is_both_trained_on_and_held_out(splits):
    seen = {image.tobytes() for image in splits.train.images}
    assert len(seen) == 10_000
    assert seen.isdisjoint(image.tobytes() for image in splits.held_out.images)


def test_the_contents_are_pinned(splits):
    """The judge's accuracy and every published number rest on these images."""
    assert splits.train.digest.startswith("7525c68609a93f7b")
    assert splits.held_out.digest.startswith("a9bcc963fc2157fe")


def test_the_file_is_small_and_its_license_is_beside_it():
    folder = importlib.resources.files("jaxgan.data.embedded")
    assert len(folder.joinpath(fashion.FILE).read_bytes()) < 6_000_000
    license = folder.joinpath("LICENSE").read_text()
    assert "MIT License" in license and "Copyright (c) 2017 Zalando SE" in license


def test_it_comes_in_the_shape_that_is_asked_for(splits):
    shaped = data.load("fashion", resolution="32x40", resize="pad", channels=3, flip=True)
    assert shaped.train.shape == shaped.held_out.shape == (32, 40, 3)
    assert shaped.train.flip and not shaped.held_out.flip
    assert np.array_equal(shaped.train.labels, splits.train.labels)


def test_it_holds_the_first_images_of_each_class_of_the_original(splits, shared_data):
    for split, part in (("train", splits.train), ("test", splits.held_out)):
        images, labels = (
            idx.read(shared_data / "fashion_mnist" / name) for name in idx.FILES[split]
        )
        chosen = make_excerpt.first_of_each(labels, make_excerpt.PER_CLASS[split])
        assert np.array_equal(part.images[..., 0], images[chosen])
        assert np.array_equal(part.labels, labels[chosen])


def test_importing_and_loading_needs_no_jax_and_no_image_library():
    script = (
        "import sys; from jaxgan import data; data.load('fashion'); "
        "print(sorted({'jax', 'flax', 'PIL', 'tensorflow_datasets'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
