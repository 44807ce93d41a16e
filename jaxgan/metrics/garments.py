"""The independent judge of generated garments: a small classifier trained on the embedded training
images alone, whose weights the package embeds.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import traverse_util

from jaxgan import data, nn
from jaxgan.data import resizing
from jaxgan.metrics import distances
from jaxgan.types import Array, PyTree

SHAPE = (28, 28, 1)
WEIGHTS = "garments.safetensors"


class Classifier(linen.Module):
    """Images [B, 28, 28, 1] in [-1, 1] to (logits [B, 10], features [B, 128]): four convolutions
    and a global mean.
    """

    classes: int = 10
    widths: tuple[int, ...] = (32, 64, 96, 128)

    @linen.compact
    def __call__(self, images: Array, *, train: bool = False) -> tuple[Array, Array]:
        x = images
        for index, width in enumerate(self.widths):
            stride = 1 + index % 2
            x = nn.Conv(width, (3, 3), strides=(stride, stride), use_bias=False)(x)
            x = linen.BatchNorm(use_running_average=not train, momentum=0.95)(x)
            x = jax.nn.relu(x)
        features = jnp.mean(x, axis=(1, 2))
        return linen.Dense(self.classes)(features), features


def embedded() -> PyTree:
    """The variables of the embedded `Classifier`."""
    folder = importlib.resources.files("jaxgan.metrics") / "weights"
    flat = safetensors.numpy.load((folder / WEIGHTS).read_bytes())
    return traverse_util.unflatten_dict(flat, sep="/")


def fitted(images: Array | np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] in [-1, 1], of any size and of 1, 3 or 4 channels, as the judge sees
    them: rounded to the 256 levels of a picture, cropped and scaled to 28x28, grayscale.
    """
    pixels = data.to_uint8(np.asarray(images))
    fit = resizing.Fit(SHAPE[:2], "crop", SHAPE[2])
    return data.to_float(resizing.fit_array(pixels, fit, name="images to judge"))


def judge(images: Array | np.ndarray, *, variables: PyTree | None = None) -> tuple[Any, Any]:
    """Probabilities [N, 10] of the ten classes and features [N, 128] (NumPy float32) of images [N,
    28, 28, 1] in [-1, 1].

    `variables` are those of a `Classifier`, the embedded ones by default. Raises ValueError on
    images of another shape.
    """
    if tuple(images.shape[1:]) != SHAPE:
        raise ValueError(f"the judge knows garments of 28x28x1, not images of {images.shape[1:]}")
    variables = _embedded_once() if variables is None else variables
    pieces = _pieces(np.asarray(images, np.float32))
    # TF32, the default of recent GPUs, changes the third digit of the features.
    with jax.default_matmul_precision("highest"):
        parts = [_judge(variables, piece) for piece in pieces]
    probabilities, features = (np.concatenate(part) for part in zip(*parts, strict=True))
    return probabilities[: len(images)], features[: len(images)]


_embedded_once = functools.lru_cache(embedded)


@jax.jit
def _judge(variables: PyTree, images: Array) -> tuple[Array, Array]:
    output: Any = Classifier().apply(variables, images)
    logits, features = output
    return jax.nn.softmax(logits), features


def _pieces(images: np.ndarray, size: int = 500) -> list[np.ndarray]:
    """The images in pieces of one size, the last one filled up: one compilation serves all."""
    filled = np.concatenate([images, np.zeros((-len(images) % size, *SHAPE), np.float32)])
    return np.split(filled, len(filled) // size)


def class_agreement(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The share of images that the classifier gives the class they were asked to be."""
    return float(np.mean(np.argmax(probabilities, axis=1) == labels))


def confident_shares(probabilities: np.ndarray, *, confidence: float = 0.9) -> np.ndarray:
    """The share of all images that the classifier gives to each class with at least this
    confidence, [10].
    """
    sure = np.max(probabilities, axis=1) >= confidence
    counts = np.bincount(np.argmax(probabilities, axis=1)[sure], minlength=probabilities.shape[1])
    return counts / len(probabilities)


def mean_pairwise_distance(features: np.ndarray) -> float:
    """The mean Euclidean distance between two different rows of the features [N, F]; ValueError
    below two rows.
    """
    if len(features) < 2:
        raise ValueError(f"distances need at least 2 images; there are {len(features)}")
    wide = features.astype(np.float64)
    wide = wide - wide.mean(axis=0)
    total = sum(np.sqrt(squared).sum() for _, squared in distances.blocks(wide, wide))
    return float(total / (len(wide) * (len(wide) - 1)))


def diversity(features: np.ndarray, labels: np.ndarray, real: np.ndarray, real_labels: np.ndarray):
    """Per class, the mean pairwise feature distance of generated images over that of real ones,
    [classes].

    One image a class, however good, has diversity 0.
    """
    return np.array(
        [
            mean_pairwise_distance(features[labels == label])
            / mean_pairwise_distance(real[real_labels == label])
            for label in np.unique(real_labels)
        ]
    )
