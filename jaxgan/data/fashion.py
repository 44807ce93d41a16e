"""The embedded excerpt of Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747)."""

from __future__ import annotations

import importlib.resources
import io
import lzma

import numpy as np

from jaxgan.data import resizing
from jaxgan.data.dataset import Dataset
from jaxgan.data.splits import Splits

NAME = "fashion"
FILE = "fashion_mnist.npy.xz"
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load(fit: resizing.Fit | None = None) -> Splits:
    """Returns 10,000 training images and 2,000 held-out images, balanced over the ten classes.

    The training images come from the original training set, the held-out ones from its test set.
    They are grayscale, 28 x 28 x 1.

    Args:
        fit: the shape to convert the images to; None keeps 28 x 28 x 1.
    """
    packed = importlib.resources.files("jaxgan.data.embedded").joinpath(FILE).read_bytes()
    train_labels, train_images, test_labels, test_images = unpack(packed)
    return Splits(
        train=_dataset(train_images, train_labels, fit or resizing.Fit()),
        held_out=_dataset(test_images, test_labels, fit or resizing.Fit()),
    )


def _dataset(images: np.ndarray, labels: np.ndarray, fit: resizing.Fit) -> Dataset:
    return Dataset(NAME, resizing.fit_array(images[..., None], fit, name=NAME), labels, CLASSES)


def unpack(packed: bytes) -> list[np.ndarray]:
    """Returns training labels [N] and images [N, H, W], then those of the test set.

    Args:
        packed: the content of the embedded file.
    """
    arrays = io.BytesIO(lzma.decompress(packed))
    return [np.load(arrays, allow_pickle=False) for _ in range(4)]
