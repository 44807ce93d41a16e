"""The Parzen-window log-likelihood of Goodfellow et al. 2014 (section 5, after Breuleux et al.
2011): the mean log-density of test images under Gaussians of one width on generated samples.

The width is chosen on validation images from ten between 0.1 and 1, and the numbers of the papers
are nats of images whose pixels lie in [0, 1]. They do not follow the quality of the samples (Theis
et al. 2016): state the controls, training images in the place of samples above all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.metrics import distances, streaming
from jaxgan.types import Array

SIGMAS = tuple(np.logspace(-1, 0, 10).tolist())


class Parzen(NamedTuple):
    """The mean log-likelihood of the test rows in nats, its standard error over them, and the width
    chosen.
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
    """The log-likelihood of test rows [T, D] under windows on samples [N, D].

    The width is that of `sigmas` with the highest mean over the first `limit` validation rows [V,
    D] (all of them if None), as the code of 2014 has it; its samples were 10,000. Raises ValueError
    where the sets differ in D.
    """
    sigma = best_sigma(samples, validation[:limit], sigmas)
    likelihoods = log_likelihood(samples, test, sigma)
    error = np.std(likelihoods) / np.sqrt(len(likelihoods))
    return Parzen(float(np.mean(likelihoods)), float(error), sigma)


def best_sigma(
    samples: np.ndarray, validation: np.ndarray, sigmas: Sequence[float] = SIGMAS
) -> float:
    """The width under which the validation rows [V, D] have the highest mean log-likelihood."""
    widths = np.asarray(sigmas, np.float64)
    if widths.ndim != 1 or not len(widths) or np.any(widths <= 0):
        raise ValueError(f"the widths are {list(sigmas)}; expected one positive number or more")
    return float(widths[np.argmax(np.mean(_likelihoods(samples, validation, widths), axis=1))])


def log_likelihood(samples: np.ndarray, test: np.ndarray, sigma: float) -> np.ndarray:
    """The log-density in nats, float64 [T], of test rows [T, D] under the mean of Gaussians of
    standard deviation `sigma` around the samples [N, D].

    Raises ValueError where the sets differ in D or `sigma` is not positive.
    """
    if not sigma > 0:
        raise ValueError(f"the width is {sigma}; expected a positive number")
    return _likelihoods(samples, test, np.array([sigma]))[0]


def pixels(images: Array | np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] in [-1, 1] as float64 rows [N, H*W*C] in [0, 1]: what the numbers of 2014
    are of.
    """
    return (np.asarray(images, np.float64).reshape(len(images), -1) + 1.0) / 2.0


def _likelihoods(samples: np.ndarray, test: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Log-densities [S, T] under each of the widths [S]."""
    samples = streaming.matrix(samples, name="samples")
    test = streaming.matrix(test, name="test rows")
    streaming.alike(samples, test, name="rows")
    center = np.mean(samples, axis=0)  # distances about it lose no digits to a common offset
    found = np.empty((len(widths), len(test)))
    for at, squared in distances.blocks(test - center, samples - center):
        nearest = np.min(squared, axis=1, keepdims=True)
        for index, width in enumerate(widths):
            # The nearest sample's term is 1, so that no sum is below it.
            kernels = np.exp((nearest - squared) / (2.0 * width * width))
            log_mean = np.log(np.mean(kernels, axis=1))
            found[index, at] = log_mean - nearest[:, 0] / (2.0 * width * width)
    return found - samples.shape[1] * np.log(widths * np.sqrt(2.0 * np.pi))[:, None]
