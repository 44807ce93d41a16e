"""The Parzen-window log-likelihood of Goodfellow et al. 2014, the mean log-density of test images.

The density is a mixture of Gaussians of one width around generated samples. The width is selected
on validation images among ten values between 0.1 and 1. The numbers of the papers are in nats, for
images in [0, 1].

Warning: they do not follow the quality of the samples (Theis et al. 2016). Report reference values
with them, above all that of training images in place of samples.

References:
    Goodfellow et al. 2014, section 5, after Breuleux et al. 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import distances, streaming
from jaxgan.types import Array

SIGMAS = tuple(np.logspace(-1, 0, 10).tolist())


class Parzen(NamedTuple):
    """A log-likelihood.

    Attributes:
        mean: Mean log-likelihood of the test examples, in nats.
        standard_error: Standard error of that mean over the test examples.
        sigma: The selected width.
    """

    mean: float
    standard_error: float
    sigma: float


def parzen(
    samples: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    *,
    sigmas: Sequence[float] = SIGMAS,
    limit: int | None = 1000,
) -> Parzen:
    """Computes the log-likelihood of test examples under Gaussian windows around samples.

    Args:
        samples: Generated samples, [N, D]; the code of 2014 used 10,000.
        validation: Validation examples, [V, D].
        test: Test examples, [T, D].
        sigmas: The widths to select from, by the highest mean log-likelihood of validation
            examples.
        limit: Number of validation examples used, the first ones; None uses all. The code of 2014
            used 1000.

    Raises:
        ValueError: If the dimensions D differ.
    """
    sigma = best_sigma(samples, validation[:limit], sigmas)
    likelihoods = log_likelihood(samples, test, sigma)
    error = np.std(likelihoods) / np.sqrt(len(likelihoods))
    return Parzen(float(np.mean(likelihoods)), float(error), sigma)


def best_sigma(
    samples: np.ndarray, validation: np.ndarray, sigmas: Sequence[float] = SIGMAS
) -> float:
    """Returns the width with the highest mean log-likelihood of the validation examples.

    Args:
        samples: Generated samples, [N, D].
        validation: Validation examples, [V, D].
        sigmas: The widths to select from.

    Raises:
        ValueError: If there is no width, or one is not positive, or the dimensions D differ.
    """
    widths = np.asarray(sigmas, np.float64)
    if widths.ndim != 1 or not len(widths) or np.any(widths <= 0):
        raise ValueError(f"the widths are {list(sigmas)}; expected one positive number or more")
    return float(widths[np.argmax(np.mean(_likelihoods(samples, validation, widths), axis=1))])


def log_likelihood(samples: np.ndarray, test: np.ndarray, sigma: float) -> np.ndarray:
    """Computes the log-density of test examples in nats, float64 [T].

    Args:
        samples: Generated samples, [N, D], the centers of the Gaussians.
        test: Test examples, [T, D].
        sigma: Standard deviation of the Gaussians.

    Raises:
        ValueError: If the dimensions D differ, or `sigma` is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"the width is {sigma}; expected a positive number")
    return _likelihoods(samples, test, np.array([sigma]))[0]


def pixels(images: Array | np.ndarray) -> np.ndarray:
    """Returns images [N, H, W, C] in [-1, 1] as float64 vectors [N, H*W*C] in [0, 1].

    The numbers of 2014 are for this range.
    """
    return (np.asarray(images, np.float64).reshape(len(images), -1) + 1.0) / 2.0


def _likelihoods(samples: np.ndarray, test: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Computes the log-densities [S, T] under each of the widths [S]."""
    samples = streaming.matrix(samples, name="samples")
    test = streaming.matrix(test, name="test rows")
    streaming.alike(samples, test, name="rows")
    center = np.mean(samples, axis=0)  # subtracted, as a common offset would cost digits
    found = np.empty((len(widths), len(test)))
    for at, squared in distances.blocks(test - center, samples - center):
        nearest = np.min(squared, axis=1, keepdims=True)
        for index, width in enumerate(widths):
            # Relative to the nearest sample, whose term is 1: no sum underflows.
            kernels = np.exp((nearest - squared) / (2.0 * width * width))
            log_mean = np.log(np.mean(kernels, axis=1))
            found[index, at] = log_mean - nearest[:, 0] / (2.0 * width * width)
    return found - samples.shape[1] * np.log(widths * np.sqrt(2.0 * np.pi))[:, None]
