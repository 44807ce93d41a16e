"""How often what belongs together is found among other things, by scores of how well each matches
each.
"""

from __future__ import annotations

import numpy as np

from jaxgan.data import counter_rng


def found_among(scores: np.ndarray, *, of: int = 100, top: int = 10, seed: int = 0) -> float:
    """The share of rows i of the scores [N, N] whose own column i is among the `top` best of itself
    and `of` - 1 other columns, drawn for each row by the seed.

    Of columns with equal scores the own one is the last: a matcher that tells nothing apart finds
    nothing. By chance it is top / of. Raises ValueError where there are fewer columns, or `top` is
    not below their number.
    """
    scores = np.asarray(scores, np.float64)
    count = len(scores)
    if scores.shape != (count, count) or count < of:
        raise ValueError(
            f"the scores have shape {scores.shape}; expected as many columns as rows, "
            f"{of} or more: ask among fewer, or bring more"
        )
    if not 1 <= top < of:
        raise ValueError(f"one of the best {top} among {of} was asked for; expected 1 to {of - 1}")
    found = 0
    for row in range(count):
        draws = counter_rng.bits(seed, f"candidates {row}", np.arange(count - 1))
        others = np.argsort(draws, kind="stable")[: of - 1]
        others = others + (others >= row)
        found += np.sum(scores[row, others] >= scores[row, row]) < top
    return float(found / count)
