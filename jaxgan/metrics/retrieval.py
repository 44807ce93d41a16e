"""Retrieval accuracy: how often the matching item is found among other items by its score."""

from __future__ import annotations

import numpy as np

from jaxgan.data import counter_rng


def found_among(scores: np.ndarray, *, of: int = 100, top: int = 10, seed: int = 0) -> float:
    """Computes the fraction of queries whose matching item is among the `top` best of `of` items.

    The candidates are the matching item and `of` - 1 random others. By chance the fraction is top /
    of. Of items with equal scores the matching one counts as the last, so that a constant score
    finds nothing.

    Args:
        scores: Score of each item for each query, [N, N]; item i matches query i.
        of: Number of candidates.
        top: Number of best candidates that count as found.
        seed: Seed of the random candidates, which differ between queries.

    Raises:
        ValueError: If there are fewer than `of` items, or `top` is not below `of`.
    """
    scores = np.asarray(scores, np.float64)
    count = len(scores)
    if scores.shape != (count, count) or count < of:
        raise ValueError(
            f"the scores have shape {scores.shape}; expected as many columns as rows, "
            f"{of} or more: give more examples or fewer candidates"
        )
    if not 1 <= top < of:
        raise ValueError(f"the best {top} among {of} were requested; expected 1 to {of - 1}")
    found = 0
    for row in range(count):
        draws = counter_rng.bits(seed, f"candidates {row}", np.arange(count - 1))
        others = np.argsort(draws, kind="stable")[: of - 1]
        others = others + (others >= row)
        found += np.sum(scores[row, others] >= scores[row, row]) < top
    return float(found / count)
