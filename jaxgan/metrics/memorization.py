"""Does a generator repeat its training images? Distances to them, next to unseen photographs'.

A generated image near a training image proves nothing by itself: an unseen photograph of the same
kind may be as near. So the yardstick is how near held-out photographs are. Memorizing has been
judged by nearest neighbors since Goodfellow et al. 2014 (figure 2); Meehan et al. 2020 ("A
Non-Parametric Test to Detect Data-Copying in Generative Models") compare with held-out examples in
the same way.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from jaxgan.metrics import distances, streaming

NEAREST = 0.01
"""Fraction of the held-out photographs that count as the nearest ones."""

FEWEST = 20
"""The smallest number of held-out photographs to judge by."""

Verdict = Literal["memorizes", "suspicious", "near", "independent", "unknown"]


class Memorization(NamedTuple):
    """Distances of generated images to their nearest training images, next to held-out ones.

    Attributes:
        generated: Median distance of the generated images.
        held_out: Median distance of the held-out photographs.
        nearer: Fraction of the generated images that are nearer than that; 0.5 for independent
            draws of the same kind.
        copies: Fraction of the generated images that are nearer than the nearest `expected` of the
            held-out photographs.
        expected: The value of `copies` for independent draws: `NEAREST`, or more if there are few
            held-out photographs.
        photographs: Number of held-out photographs.
    """

    generated: float
    held_out: float
    nearer: float
    copies: float
    expected: float
    photographs: int

    @property
    def verdict(self) -> Verdict:
        """Returns what the numbers say.

        'memorizes': a quarter or more of the samples are nearer than the nearest held-out
        photographs. 'suspicious': so are three times as many as expected. 'near': few are, but
        three quarters are nearer than the median photograph, as samples of little detail or variety
        are: they lie in the middle of the training images. 'unknown': fewer than `FEWEST`
        photographs are held out.
        """
        if self.photographs < FEWEST:
            return "unknown"
        if self.copies >= max(0.25, 5 * self.expected):
            return "memorizes"
        if self.copies >= max(0.05, 3 * self.expected):
            return "suspicious"
        return "near" if self.nearer >= 0.75 else "independent"


def memorization(generated: np.ndarray, held_out: np.ndarray) -> Memorization:
    """Compares the distances to the nearest training image.

    Args:
        generated: Distance of each generated image to the nearest training image, [N].
        held_out: Distance of each held-out photograph to the nearest training image, [M].

    Raises:
        ValueError: If one of them is empty.
    """
    if not len(generated) or not len(held_out):
        raise ValueError(
            f"there are {len(generated)} generated and {len(held_out)} held-out images; expected "
            "one of each or more"
        )
    median, expected = float(np.median(held_out)), max(NEAREST, 1 / len(held_out))
    near = np.quantile(held_out, NEAREST, method="lower")
    return Memorization(
        generated=float(np.median(generated)),
        held_out=median,
        nearer=float(np.mean(generated < median)),
        copies=float(np.mean(generated < near)),
        expected=expected,
        photographs=len(held_out),
    )


def neighbors(
    queries: np.ndarray, training: np.ndarray, *, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest training images of each query, the nearest first.

    Distances are Euclidean, in float64, computed for a part of the training images at a time.

    Args:
        queries: Features of the queries, [N, F].
        training: Features of the training images, [M, F].
        count: Number of neighbors, from 1 to M.

    Returns:
        Their indices, int [N, count], and distances, [N, count].

    Raises:
        ValueError: If there are fewer than `count` training images, or features are not finite.
    """
    if not 1 <= count <= len(training):
        raise ValueError(
            f"{count} neighbors were asked for; expected 1 to {len(training)}, as many as there "
            "are training images"
        )
    center = np.mean(training, axis=0, dtype=np.float64)
    queries = streaming.matrix(queries, name="features of the queries") - center
    indices = np.zeros((len(queries), 0), np.int64)
    squares = np.zeros((len(queries), 0))
    for start in range(0, len(training), _PART):
        part = training[start : start + _PART]
        part = streaming.matrix(part, name="features of the training images") - center
        found = np.concatenate([squared for _, squared in distances.blocks(queries, part)])
        here = np.broadcast_to(np.arange(start, start + len(part)), found.shape)
        indices, squares = np.hstack([indices, here]), np.hstack([squares, found])
        order = np.argsort(squares, axis=1, kind="stable")[:, :count]
        indices, squares = (np.take_along_axis(x, order, axis=1) for x in (indices, squares))
    return indices, np.sqrt(squares)


_PART = 5000
