"""Embedded Fashion-MNIST images with captions that name the class, shade and shape.

The captions are computed from the images, so nothing is downloaded.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from jaxgan.data import captions, fashion, resizing
from jaxgan.data.dataset import Dataset
from jaxgan.data.splits import Splits

NAME = "fashion-captions"

THINGS = (
    "t-shirt",
    "pair of trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)
"""The words for the classes in captions, by class number."""

SHADES = ("dark", "grey", "light")  # codespell:ignore grey
SHAPES = ("slim", "wide")

TEMPLATES = (
    "a {shade} {shape} {thing}",
    "a {shape} {thing} in a {shade} tone",
    "this {thing} is {shade} and {shape}",
    "{shade} and {shape}: a {thing}",
    "the {shape} {thing} looks {shade}",
)

CREDIT = "Images: Fashion-MNIST, (c) 2017 Zalando SE, MIT license."

GROUND = 25
"""Pixels up to this gray level belong to the black background."""

THRESHOLDS = (125, 175)
"""Limits of a garment's mean gray level: gray from the first one on, light from the second."""


def load(fit: resizing.Fit) -> Splits:
    """Returns the images, each with one caption per template.

    One combination of words of each class is never trained on. The training data are the training
    images of the other combinations. The held-out data are all images, of both the training and the
    test set, of the combinations that are never trained on. Their captions therefore do not occur
    in training. Each word and each pair of words occurs in other captions that are trained on.

    Args:
        fit: the shape to convert the images to.
    """
    train, test, _ = fashion.load()
    assert isinstance(train, Dataset) and isinstance(test, Dataset)
    usual = usual_covers(train)
    words = [words_of(part, usual) for part in (train, test)]
    unseen = [is_held_out(part) for part in words]
    for_training = train.subset(np.flatnonzero(~unseen[0]))
    held_out = _joined(
        *(p.subset(np.flatnonzero(u)) for p, u in zip((train, test), unseen, strict=True))
    )
    seen, others = (
        words[0][~unseen[0]],
        np.concatenate([w[u] for w, u in zip(words, unseen, strict=True)]),
    )
    note = (
        f"Held out {len(held_out)} images: one combination of words of each class. Left out "
        f"{int((~unseen[1]).sum())} test images of the other combinations."
    )
    return Splits(_captioned(for_training, seen, fit), _captioned(held_out, others, fit), (note,))


def words_of(garments: Dataset, usual: np.ndarray) -> np.ndarray:
    """Returns the indices of the words [N, 3] that describe images, into THINGS, SHADES and SHAPES.

    Args:
        garments: the images, with labels.
        usual: the median cover of each class [10] (see `usual_covers`).
    """
    assert garments.labels is not None
    shapes = (covers(garments.images) >= usual[garments.labels]).astype(int)
    return np.stack([garments.labels, shades(garments.images), shapes], axis=1)


def shades(images: np.ndarray) -> np.ndarray:
    """Returns the index of the shade [N] of images uint8 [N, H, W, 1].

    The shade depends on the mean gray level of the pixels that are not background.
    """
    levels = images.reshape(len(images), -1).astype(np.float64)
    shown = levels > GROUND
    means = np.sum(levels * shown, axis=1) / np.maximum(np.sum(shown, axis=1), 1)
    return np.digitize(means, THRESHOLDS)


def covers(images: np.ndarray) -> np.ndarray:
    """Returns the fraction [N] of pixels of images uint8 [N, H, W, 1] that are not background."""
    return np.mean(images.reshape(len(images), -1) > GROUND, axis=1)


def usual_covers(garments: Dataset) -> np.ndarray:
    """Returns the median cover of each class [10]; a garment is wide from this value on."""
    assert garments.labels is not None
    found = covers(garments.images)
    return np.array([np.median(found[garments.labels == label]) for label in range(len(THINGS))])


def is_held_out(words: np.ndarray) -> np.ndarray:
    """Returns True [N] for each combination of words [N, 3] that is held out of its class."""
    thing, shade, shape = words.T
    return (shade == (thing + 1) % len(SHADES)) & (shape == thing // len(SHADES) % len(SHAPES))


def describe(words: Sequence[int]) -> list[str]:
    """Returns the captions of a combination of words [3], one per template."""
    thing, shade, shape = THINGS[words[0]], SHADES[words[1]], SHAPES[words[2]]
    return [pattern.format(thing=thing, shade=shade, shape=shape) for pattern in TEMPLATES]


def asked_by(caption: str) -> tuple[int, int, int]:
    """Returns the indices of the words in one of these captions: thing, shade and shape.

    Raises:
        ValueError: if the caption lacks one of the three words.
    """
    found = []
    for words in (THINGS, SHADES, SHAPES):
        named = [word for word in words if word in caption]
        if not named:
            raise ValueError(
                f"the caption {caption!r} has none of the words {', '.join(words)}; add one of them"
            )
        # The longest match, since "t-shirt" contains "shirt".
        found.append(words.index(max(named, key=len)))
    thing, shade, shape = found
    return thing, shade, shape


def _captioned(garments: Dataset, words: np.ndarray, fit: resizing.Fit) -> captions.Captioned:
    compositions = list(itertools.product(*(range(len(part)) for part in (THINGS, SHADES, SHAPES))))
    codes = captions.encode([line for each in compositions for line in describe(each)])
    number = np.ravel_multi_index(tuple(words.T), (len(THINGS), len(SHADES), len(SHAPES)))
    texts = codes.reshape(len(compositions), len(TEMPLATES), -1)[number]
    fitted = Dataset(
        NAME,
        resizing.fit_array(garments.images, fit, name=NAME),
        garments.labels,
        garments.classes,
    )
    counts = [len(TEMPLATES)] * len(garments)
    return captions.with_texts(fitted, texts.reshape(-1, texts.shape[-1]), counts)


def _joined(first: Dataset, second: Dataset) -> Dataset:
    assert first.labels is not None and second.labels is not None
    images = np.concatenate([first.images, second.images])
    labels = np.concatenate([first.labels, second.labels])
    return Dataset(NAME, images, labels, first.classes)
