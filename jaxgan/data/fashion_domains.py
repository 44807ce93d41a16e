"""Pairs and domains made from the embedded garments, with nothing to fetch: what models that turn
images into images learn from by default.
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
"""Gray levels by which a pixel must stand out of its surroundings to become a line."""


def pairs(fit: resizing.Fit) -> Splits:
    """10,000 pairs of a drawing (a) and the garment it was drawn from (b), and 2,000 held out."""
    train, held_out = (_pairs(part, fit, name="fashion-edges") for part in _garments())
    return Splits(train, held_out)


def halves(fit: resizing.Fit) -> Splits:
    """Drawings (a) of 5,000 garments and photographs (b) of 5,000 others; held out are 2,000 pairs
    of both, by which translations can be compared with the truth.
    """
    train, held_out = (_pairs(part, fit, name="fashion-halves") for part in _garments())
    rows = np.arange(len(train))
    drawn, photographed = train.a.subset(rows[::2]), train.b.subset(rows[1::2])
    note = "The garments of the drawings (a) are others than those of the photographs (b)."
    return Splits(Domains(drawn, photographed), held_out, (note,))


def shoes_and_bags(fit: resizing.Fit) -> Splits:
    """3,000 shoes of three kinds (a) and 1,000 bags (b); held out are 600 and 200."""

    fitted = (_fitted(part, fit, name="shoes-bags") for part in _garments())
    train, held_out = (Domains(_of(SHOES, part), _of(BAGS, part)) for part in fitted)
    return Splits(train, held_out)


def drawing(images: np.ndarray) -> np.ndarray:
    """Line drawings, white on black, of gray images: uint8 [N, H, W, 1], 0 or 255.

    A pixel is on a line where the image, smoothed by the binomial kernel (1 2 1), is more than
    `LINE` levels brighter than smoothed twice more: a difference of Gaussians (Marr and Hildreth
    1980) above a threshold. All in whole numbers, so that every machine draws the same.
    """
    once = _smoothed(images.astype(np.int32))
    twice = _smoothed(once)
    lines = 16 * once - twice > 256 * LINE
    return np.where(lines, 255, 0).astype(np.uint8)


def _smoothed(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] through (1 2 1) along both sides, 16 times as bright; black around."""
    for axis in (1, 2):
        margins = [(1, 1) if at == axis else (0, 0) for at in range(images.ndim)]
        padded = np.pad(images, margins)
        before, here, after = (
            padded.take(np.arange(images.shape[axis]) + offset, axis) for offset in range(3)
        )
        images = before + 2 * here + after
    return images


def _garments() -> tuple[Dataset, Dataset]:
    """Those to train on and those held out, as they are."""
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
    """The garments of the classes of these names."""
    assert garments.labels is not None
    wanted = [garments.classes.index(name) for name in names]
    return garments.subset(np.flatnonzero(np.isin(garments.labels, wanted)))
