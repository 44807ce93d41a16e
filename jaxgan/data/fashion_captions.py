"""The embedded garments with captions that say what class, shade and shape they are of, computed
from the images, with nothing to fetch.
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
"""What captions call the classes."""

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
"""Gray levels up to which a pixel is of the black ground."""

THRESHOLDS = (125, 175)
"""Mean gray levels of a garment's pixels from which on it is gray, and light."""


def load(fit: resizing.Fit) -> Splits:
    """The garments, each with a caption by every template.

    One composition of words of each class is never trained on: the training images of the other
    compositions are for training, and held out are all images of these, of which captions that no
    training image has ask. Each word, and each two of them, are in other captions that are trained
    on.
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
        f"Held out are {len(held_out)} garments, of one composition of words of each class, and "
        f"left out {int((~unseen[1]).sum())} test images of the others."
    )
    return Splits(_captioned(for_training, seen, fit), _captioned(held_out, others, fit), (note,))


def words_of(garments: Dataset, usual: np.ndarray) -> np.ndarray:
    """The numbers of the words [N, 3] that garments are described by: of `THINGS`, `SHADES` and
    `SHAPES`.
    """
    assert garments.labels is not None
    shapes = (covers(garments.images) >= usual[garments.labels]).astype(int)
    return np.stack([garments.labels, shades(garments.images), shapes], axis=1)


def shades(images: np.ndarray) -> np.ndarray:
    """The number of the shade word [N] of each image uint8 [N, H, W, 1]: by the mean level of the
    pixels that are not of the ground.
    """
    levels = images.reshape(len(images), -1).astype(np.float64)
    shown = levels > GROUND
    means = np.sum(levels * shown, axis=1) / np.maximum(np.sum(shown, axis=1), 1)
    return np.digitize(means, THRESHOLDS)


def covers(images: np.ndarray) -> np.ndarray:
    """The share of the pixels [N] of images uint8 [N, H, W, 1] that are not of the ground."""
    return np.mean(images.reshape(len(images), -1) > GROUND, axis=1)


def usual_covers(garments: Dataset) -> np.ndarray:
    """The median cover of each class [10], from which on a garment of it is wide."""
    assert garments.labels is not None
    found = covers(garments.images)
    return np.array([np.median(found[garments.labels == label]) for label in range(len(THINGS))])


def is_held_out(words: np.ndarray) -> np.ndarray:
    """True [N] where the composition of words [N, 3] is the one of its class that is held out."""
    thing, shade, shape = words.T
    return (shade == (thing + 1) % len(SHADES)) & (shape == thing // len(SHADES) % len(SHAPES))


def describe(words: Sequence[int]) -> list[str]:
    """The captions of a composition of words, by every template."""
    thing, shade, shape = THINGS[words[0]], SHADES[words[1]], SHAPES[words[2]]
    return [pattern.format(thing=thing, shade=shade, shape=shape) for pattern in TEMPLATES]


def asked_by(caption: str) -> tuple[int, int, int]:
    """The numbers of the words that one of these captions asks for; ValueError on another."""
    found = []
    for words in (THINGS, SHADES, SHAPES):
        named = [word for word in words if word in caption]
        if not named:
            raise ValueError(f"the caption {caption!r} names none of {', '.join(words)}")
        found.append(words.index(max(named, key=len)))  # a t-shirt is no shirt
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
