"""Pairs and domains made from the embedded Fashion-MNIST images.

They are the default data of image-to-image translation. Nothing is downloaded.
"""

from __future__ import annotations

import numpy as np

from jaxgan.data import fashion, resizing
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains, Pairs
from jaxgan.data.splits import Splits

SHOES = ("Sandal", "Sneaker", "Ankle boot")
BAGS = ("Bag",)

LINE = 4
"""Gray levels by which a pixel must exceed its surroundings to be part of a line."""


def pairs(fit: resizing.Fit) -> Splits:
    """Returns 10,000 training pairs of a drawing (a) and its garment (b), and 2,000 held-out pairs.

    Args:
        fit: the shape to convert the images to.
    """
    train, held_out = (_pairs(part, fit, name="fashion-edges") for part in _garments())
    return Splits(train, held_out)


def halves(fit: resizing.Fit) -> Splits:
    """Returns drawings (a) of 5,000 garments and photographs (b) of 5,000 other garments.

    The held-out data are 2,000 pairs of both, so that translations can be compared with the truth.

    Args:
        fit: the shape to convert the images to.
    """
    train, held_out = (_pairs(part, fit, name="fashion-halves") for part in _garments())
    rows = np.arange(len(train))
    drawn, photographed = train.a.subset(rows[::2]), train.b.subset(rows[1::2])
    note = "The drawings (a) and the photographs (b) show different garments."
    return Splits(Domains(drawn, photographed), held_out, (note,))


def shoes_and_bags(fit: resizing.Fit) -> Splits:
    """Returns 3,000 shoes of three kinds (a) and 1,000 bags (b); held out are 600 and 200.

    Args:
        fit: the shape to convert the images to.
    """
    fitted = (_fitted(part, fit, name="shoes-bags") for part in _garments())
    train, held_out = (Domains(_of(SHOES, part), _of(BAGS, part)) for part in fitted)
    return Splits(train, held_out)


def drawing(images: np.ndarray) -> np.ndarray:
    """Returns white line drawings on black from gray images: uint8 [N, H, W, 1], 0 or 255.

    A pixel is on a line if the image, smoothed by the binomial kernel (1 2 1), is more than `LINE`
    levels brighter than the same image smoothed once more: a thresholded difference of Gaussians.
    Integer arithmetic gives the same drawing on every machine.

    Args:
        images: uint8 [N, H, W, 1].

    References:
        Marr and Hildreth, "Theory of edge detection", 1980.
    """
    once = _smoothed(images.astype(np.int32))
    twice = _smoothed(once)
    lines = 16 * once - twice > 256 * LINE
    return np.where(lines, 255, 0).astype(np.uint8)


def _smoothed(images: np.ndarray) -> np.ndarray:
    """Returns images [N, H, W, C] filtered by (1 2 1) in both axes, 16 times brighter."""
    for axis in (1, 2):
        margins = [(1, 1) if at == axis else (0, 0) for at in range(images.ndim)]
        padded = np.pad(images, margins)
        before, here, after = (
            padded.take(np.arange(images.shape[axis]) + offset, axis) for offset in range(3)
        )
        images = before + 2 * here + after
    return images


def _garments() -> tuple[Dataset, Dataset]:
    """Returns the training images and the held-out images, unchanged."""
    train, held_out, _ = fashion.load()
    assert isinstance(train, Dataset) and isinstance(held_out, Dataset)
    return train, held_out


def _pairs(garments: Dataset, fit: resizing.Fit, *, name: str) -> Pairs:
    drawings = resizing.fit_array(drawing(garments.images), fit, name=name)
    return Pairs(Dataset(name, drawings), _fitted(garments, fit, name=name))


def _fitted(garments: Dataset, fit: resizing.Fit, *, name: str) -> Dataset:
    fitted = resizing.fit_array(garments.images, fit, name=name)
    return Dataset(name, fitted, garments.labels, garments.classes)


def _of(names: tuple[str, ...], garments: Dataset) -> Dataset:
    """Returns the garments of the named classes."""
    assert garments.labels is not None
    wanted = [garments.classes.index(name) for name in names]
    return garments.subset(np.flatnonzero(np.isin(garments.labels, wanted)))
