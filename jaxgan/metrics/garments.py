"""An independent classifier of garments that evaluates generated images.

It is a small network trained only on the training images of the embedded data. Its weights come
with the package.
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
from jax.sharding import Mesh

from jaxgan import data, nn
from jaxgan.data import resizing
from jaxgan.metrics import distances, streaming
from jaxgan.types import Array, PyTree

SHAPE = (28, 28, 1)
WEIGHTS = "garments.safetensors"
_BATCH = 500


class Classifier(linen.Module):
    """A classifier of four convolutions and global average pooling.

    Attributes:
        classes: Number of classes.
        widths: Number of features of each convolution.
    """

    classes: int = 10
    widths: tuple[int, ...] = (32, 64, 96, 128)

    @linen.compact
    def __call__(self, images: Array, *, train: bool = False) -> tuple[Array, Array]:
        """Returns the logits [B, classes] and the features [B, 128].

        Args:
            images: Images, [B, 28, 28, 1] in [-1, 1].
            train: Whether batch statistics are used and updated.
        """
        x = images
        for index, width in enumerate(self.widths):
            stride = 1 + index % 2
            x = nn.Conv(width, (3, 3), strides=(stride, stride), use_bias=False)(x)
            x = linen.BatchNorm(use_running_average=not train, momentum=0.95)(x)
            x = jax.nn.relu(x)
        features = jnp.mean(x, axis=(1, 2))
        return linen.Dense(self.classes)(features), features


def embedded() -> PyTree:
    """Returns the variables of the embedded `Classifier`."""
    folder = importlib.resources.files("jaxgan.metrics") / "weights"
    flat = safetensors.numpy.load((folder / WEIGHTS).read_bytes())
    return traverse_util.unflatten_dict(flat, sep="/")


def fitted(images: Array | np.ndarray) -> np.ndarray:
    """Returns images as the classifier's input: 28x28 pixels, grayscale, 256 levels.

    They are rounded to the levels of an image file, then cropped and scaled.

    Args:
        images: Images of any size, [N, H, W, C] in [-1, 1], with 1, 3 or 4 channels.

    Returns:
        Images, [N, 28, 28, 1] in [-1, 1].
    """
    pixels = data.to_uint8(np.asarray(images))
    fit = resizing.Fit(SHAPE[:2], "crop", SHAPE[2])
    return data.to_float(resizing.fit_array(pixels, fit, name="images to classify"))


def judge(
    images: Array | np.ndarray, *, variables: PyTree | None = None, mesh: Mesh | None = None
) -> tuple[Any, Any]:
    """Classifies images.

    Args:
        images: Images, [N, 28, 28, 1] in [-1, 1].
        variables: Variables of a `Classifier`. Default: the embedded ones.
        mesh: Devices to share the work; None for one.

    Returns:
        Probabilities of the ten classes [N, 10] and features [N, 128], NumPy float32.

    Raises:
        ValueError: If the images have another shape.
    """
    if tuple(images.shape[1:]) != SHAPE:
        raise ValueError(
            f"the classifier takes garments of 28x28x1, not images of {images.shape[1:]}"
        )
    variables = _embedded_once() if variables is None else variables
    # TF32, the default of recent GPUs, would change the third digit of the features.
    with jax.default_matmul_precision("highest"):
        probabilities, features = streaming.in_batches(
            lambda piece: _judge(variables, piece),
            np.asarray(images, np.float32),
            size=_BATCH,
            mesh=mesh,
        )
    return probabilities, features


_embedded_once = functools.lru_cache(embedded)


@jax.jit
def _judge(variables: PyTree, images: Array) -> tuple[Array, Array]:
    output: Any = Classifier().apply(variables, images)
    logits, features = output
    return jax.nn.softmax(logits), features


def class_agreement(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Computes the fraction of images that are classified as the class they were conditioned on.

    Args:
        probabilities: Class probabilities, [N, classes].
        labels: The classes that the images were conditioned on, [N].
    """
    return float(np.mean(np.argmax(probabilities, axis=1) == labels))


def confident_shares(probabilities: np.ndarray, *, confidence: float = 0.9) -> np.ndarray:
    """Computes the fraction of all images that are confidently classified as each class, [classes].

    Args:
        probabilities: Class probabilities, [N, classes].
        confidence: The smallest probability that counts.
    """
    sure = np.max(probabilities, axis=1) >= confidence
    counts = np.bincount(np.argmax(probabilities, axis=1)[sure], minlength=probabilities.shape[1])
    return counts / len(probabilities)


def mean_pairwise_distance(features: np.ndarray) -> float:
    """Computes the mean Euclidean distance of two different examples.

    Args:
        features: Features, [N, F].

    Raises:
        ValueError: If there are fewer than two examples.
    """
    if len(features) < 2:
        raise ValueError(f"distances need at least 2 images; there are {len(features)}")
    wide = features.astype(np.float64)
    wide = wide - wide.mean(axis=0)
    total = sum(np.sqrt(squared).sum() for _, squared in distances.blocks(wide, wide))
    return float(total / (len(wide) * (len(wide) - 1)))


def diversity(features: np.ndarray, labels: np.ndarray, real: np.ndarray, real_labels: np.ndarray):
    """Computes the diversity of each class, [classes].

    It is the mean pairwise feature distance of generated images over that of real ones. A class
    with a single image, however good, has diversity 0.

    Args:
        features: Features of the generated images, [N, F].
        labels: Classes of the generated images, [N].
        real: Features of the real images, [M, F].
        real_labels: Classes of the real images, [M].
    """
    return np.array(
        [
            mean_pairwise_distance(features[labels == label])
            / mean_pairwise_distance(real[real_labels == label])
            for label in np.unique(real_labels)
        ]
    )
