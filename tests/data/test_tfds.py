"""TensorFlow Datasets: sets that are prepared here or elsewhere, and what cannot be had."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
import struct
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow_datasets.public_api as tfds
from PIL import Image
from tensorflow_datasets.core import constants
from tensorflow_datasets.core.download import checksums

from jaxgan import data
from jaxgan.data import memory
from jaxgan.data.readers import idx, tfds_mnist
from jaxgan.data.readers import tfds as tfds_reader

COUNTS = {"train": 40, "test": 10}


@pytest.fixture(autouse=True)
def prepared(tmp_path, monkeypatch):
    """Where sets are prepared unless told otherwise, in the test's folder; nothing is fetched."""

    def unreachable(request, timeout):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path / "prepared"))
    return tmp_path / "prepared"


@pytest.fixture
def originals(tmp_path, monkeypatch):
    """A folder with four small files such as MNIST's, whose checksums pass for MNIST's own."""
    folder, generator, sums = tmp_path / "originals", np.random.default_rng(0), []
    folder.mkdir()
    for split, names in idx.FILES.items():
        images = generator.integers(0, 256, (COUNTS[split], 28, 28), np.uint8)
        labels = generator.integers(0, 10, COUNTS[split], np.uint8)
        for name, array in zip(names, (images, labels), strict=True):
            shape = struct.pack(f">{array.ndim}I", *array.shape)
            header = bytes([0, 0, 8, array.ndim]) + shape
            (folder / name).write_bytes(gzip.compress(header + array.tobytes()))
            info = checksums.compute_url_info(folder / name)
            known = checksums.get_all_url_infos()
            monkeypatch.setitem(known, tfds_mnist.Mnist.url + name, info)
            sums.append(info.checksum)
    monkeypatch.setattr(tfds_mnist.Mnist, "sha256", tuple(sums))
    return folder


class ToyPhotos(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Thirty photographs of two sizes, with two classes and a mask each, and no test set."""

    VERSION = tfds.core.Version("1.0.0")
    splits = ("train",)

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "mask": tfds.features.Image(shape=(None, None, 1)),
            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
            "label_fine": tfds.features.ClassLabel(names=["tabby", "siamese", "poodle"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples() for split in self.splits}

    def _generate_examples(self):
        for row in range(30):
            size = (8, 6) if row % 2 else (6, 6)
            photo, mask = io.BytesIO(), io.BytesIO()
            Image.new("RGB", size, (8 * row, 0, 0)).save(photo, "jpeg")
            Image.new("L", size).save(mask, "png")
            yield (
                row,
                {
                    "image": photo.getvalue(),
                    "mask": mask.getvalue(),
                    "label": row % 2,
                    "label_fine": row % 3,
                },
            )


class ToyTests(ToyPhotos, skip_registration=True):
    splits = ("test",)


class ToyWords(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set without an image."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"text": "a word"}


def prepare(builder, folder) -> None:
    builder(data_dir=folder, file_format="array_record").download_and_prepare()


def test_mnist_is_prepared_from_its_original_files_without_tensorflow(originals, prepared):
    train, held_out, notes = data.load("tfds:mnist", data_dir=originals)
    for side, split in ((train, "train"), (held_out, "test")):
        images, labels = (idx.read(originals / name) for name in idx.FILES[split])
        stored = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
        pairs = zip(side.images, side.labels, strict=True)
        assert stored == {image.tobytes(): label for image, label in pairs}
        assert side.shape == (28, 28, 1) and side.classes == tuple("0123456789")
    assert notes == ("Held out 10 images: its test split.",)
    assert "tensorflow" not in sys.modules
    assert not any(path.is_dir() for path in originals.iterdir())
    assert list(prepared.glob("mnist/3.0.1/*.array_record*"))


def test_a_prepared_set_is_read_and_not_prepared_again(originals, prepared):
    first = data.load("tfds:mnist", data_dir=originals)
    stamps = {path: path.stat().st_mtime_ns for path in prepared.rglob("*.*")}
    for directory in (originals, prepared, None):
        again = data.load("tfds:mnist", data_dir=directory)
        assert again.train.digest == first.train.digest
    assert stamps == {path: path.stat().st_mtime_ns for path in prepared.rglob("*.*")}


def test_what_is_prepared_here_is_read_by_tensorflow_datasets_own_builder(originals, prepared):
    data.load("tfds:mnist", data_dir=originals)
    own = tfds.builder("mnist", data_dir=prepared)
    assert own.is_prepared() and own.info.splits["train"].num_examples == 40


def test_a_large_set_is_read_example_by_example_to_disk(originals, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tfds_reader, "_PIECE", 7)
    inside = data.load("tfds:mnist", data_dir=originals)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    for _ in range(2):
        mapped = data.load("tfds:mnist", data_dir=originals)
        for one, other in ((mapped.train, inside.train), (mapped.held_out, inside.held_out)):
            assert isinstance(one.images, np.memmap) and one.digest == other.digest
    assert len(list((tmp_path / "cache").rglob("meta.json"))) == 1


def test_a_set_that_was_prepared_elsewhere_is_read(tmp_path):
    prepare(ToyPhotos, tmp_path)
    splits = data.load("tfds:toy_photos", data_dir=tmp_path, resolution=6, holdout=0.2)
    assert splits.train.classes == ("cat", "dog") and splits.train.shape == (6, 6, 3)
    assert len(splits.train) + len(splits.held_out) == 30
    for side in splits[:2]:
        rows = np.rint(side.images[:, 3, 3, 0] / 8.0).astype(int)
        assert np.abs(side.images[:, 3, 3, 0] - 8.0 * rows).max() <= 3
        assert np.array_equal(side.labels, rows % 2)
    assert "a fraction of 0.2, by a hash of the name" in splits.notes[-1]


def test_one_that_was_prepared_in_a_format_of_tensorflow_is_refused(originals, prepared):
    data.load("tfds:mnist", data_dir=originals)
    info = prepared / "mnist" / "3.0.1" / "dataset_info.json"
    described = json.loads(info.read_text())
    described["fileFormat"] = "tfrecord"
    info.write_text(json.dumps(described))
    with pytest.raises(data.DataError, match=r"needs TensorFlow; run `tfds build mnist --file_fo"):
        data.load("tfds:mnist", data_dir=prepared)


def test_a_file_with_another_checksum_is_named(originals):
    damaged = originals / "t10k-labels-idx1-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    with pytest.raises(data.DataError, match=r"t10k-labels-idx1-ubyte.gz has another sha256"):
        data.load("tfds:mnist", data_dir=originals)


def test_a_missing_file_is_named(originals):
    (originals / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(data.DataError, match=r"train-images-idx3-ubyte.gz is missing; expected"):
        data.load("tfds:mnist", data_dir=originals)


@pytest.mark.parametrize(
    ("builder", "spec", "options", "says"),
    [
        (
            None,
            "tfds:mnist",
            {},
            "cannot be downloaded or written (<urlopen error no network>); put",
        ),
        (None, "tfds:cifar10", {}, "run `pip install tensorflow` and `tfds build cifar10"),
        (None, "tfds:cifr10", {}, "no such dataset; did you mean tfds:cifar10"),
        (None, "tfds:qqqqqqqqqq", {}, "no such dataset; check the name"),
        (None, "tfds:no name!", {}, "its builder cannot be made (Parsing builder name string"),
        (ToyPhotos, "tfds:toy_photos", {}, "the images differ in size, height x width: train/"),
        (ToyPhotos, "tfds:toy_photos", {"holdout": 2}, "holdout is 2; expected a fraction"),
        (ToyTests, "tfds:toy_tests", {}, "it has the splits test; expected one called train"),
        (ToyWords, "tfds:toy_words", {}, "its features are text; expected one 8-bit image"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_sentence(builder, spec, options, says, tmp_path):
    if builder is not None:
        prepare(builder, tmp_path)
    with pytest.raises(data.DataError) as caught:
        data.load(spec, data_dir=tmp_path, **options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value) and not re.search(r"[.!?] [A-Z]", str(caught.value))


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(data.DataError, match=r"no folder .*/none; check --data-dir"):
        data.load("tfds:mnist", data_dir=tmp_path / "none")


def test_a_set_with_a_test_split_takes_no_other(originals):
    with pytest.raises(data.DataError, match="has a test split of its own: leave --holdout out"):
        data.load("tfds:mnist", data_dir=originals, holdout=0.1)


@pytest.mark.parametrize(
    "contents",
    [
        b"not gzip",
        b"",
        gzip.compress(b""),
        gzip.compress(bytes([0, 0, 13, 1]) + struct.pack(">I", 2) + bytes(8)),
        gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 3) + bytes(2)),
        gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 3) + bytes(3))[:-12],
    ],
    ids=["no gzip", "no file", "no header", "floats", "too short", "truncated"],
)
def test_an_idx_file_that_is_none_is_refused(tmp_path, contents):
    (tmp_path / "a.gz").write_bytes(contents)
    with pytest.raises(data.DataError, match=r"a.gz: .*; download the file again"):
        idx.read(tmp_path / "a.gz")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_real_set_is_prepared_offline_with_its_checksums(name, shared_data):
    splits = data.load(f"tfds:{name}", data_dir=shared_data / name)
    files = itertools.chain(*idx.FILES.values())
    arrays = [idx.read(shared_data / name / file) for file in files]
    for side, images, labels in zip(splits[:2], arrays[::2], arrays[1::2], strict=True):
        assert side.images.shape == (*images.shape, 1)
        assert np.array_equal(np.bincount(side.labels), np.bincount(labels))
        originals = {image.tobytes() for image in images}
        assert originals == {image.tobytes() for image in side.images}
