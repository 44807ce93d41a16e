"""Builders of MNIST and Fashion-MNIST for TensorFlow Datasets that do not need TensorFlow.

They write the same data, names and versions as the builders of TensorFlow Datasets, as array_record
files. `tfds.data_source("mnist")` reads the result. Datasets that were prepared elsewhere as
array_record files are read here.
"""

from __future__ import annotations

import io
import itertools
import pathlib
from collections.abc import Iterator
from os import PathLike

import tensorflow_datasets.public_api as tfds
from PIL import Image

from jaxgan.data import fashion
from jaxgan.data.readers import idx


class IdxBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builder of labeled 28 x 28 grayscale images from four idx files; a subclass names them.

    Attributes:
        url: address of the folder of the files.
        description: one sentence on the dataset.
        sha256: the sha256 of each file, in the order of `idx.FILES`.
        class_names: the name of each class.
    """

    VERSION = tfds.core.Version("3.0.1")
    url: str
    description: str
    sha256: tuple[str, ...]
    class_names: tuple[str, ...]

    @classmethod
    def originals(cls) -> dict[str, str]:
        """Returns the sha256 of each original file, by the name of the file."""
        return dict(zip(itertools.chain(*idx.FILES.values()), cls.sha256, strict=True))

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.description,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(names=self.class_names),
                }
            ),
            supervised_keys=("image", "label"),
            homepage=self.url,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        fetched = dl_manager.download({file: self.url + file for file in self.originals()})
        return {
            split: self._generate_examples(fetched[images], fetched[labels])
            for split, (images, labels) in idx.FILES.items()
        }

    def _generate_examples(self, images: PathLike, labels: PathLike) -> Iterator:
        pairs = zip(idx.read(pathlib.Path(images)), idx.read(pathlib.Path(labels)), strict=True)
        for row, (image, label) in enumerate(pairs):
            png = io.BytesIO()
            Image.fromarray(image).save(png, "png")
            yield row, {"image": png.getvalue(), "label": int(label)}


class Mnist(IdxBuilder, skip_registration=True):
    """The MNIST database of handwritten digits (LeCun, Cortes and Burges)."""

    name = "mnist"
    url = "https://storage.googleapis.com/cvdf-datasets/mnist/"
    description = "The MNIST database of handwritten digits."
    sha256 = (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    )
    class_names = tuple("0123456789")


class FashionMnist(IdxBuilder, skip_registration=True):
    """Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747)."""

    name = "fashion_mnist"
    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    description = "Fashion-MNIST: Zalando's article images."
    sha256 = (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    )
    class_names = fashion.CLASSES
