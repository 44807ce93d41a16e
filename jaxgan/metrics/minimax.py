"""The value of the minimax game of Goodfellow et al. 2014, from a discriminator's logits."""

from __future__ import annotations

import numpy as np


def value(real_logits: np.ndarray, fake_logits: np.ndarray) -> float:
    """Computes V(D) = E log D(x) + E log(1 - D(G(z))) in float64; -log 4 at the equilibrium.

    Args:
        real_logits: Logits of real examples, [N].
        fake_logits: Logits of generated examples, [M].

    References:
        Goodfellow et al. 2014, equation 1.
    """
    real, fake = (np.asarray(logits, np.float64) for logits in (real_logits, fake_logits))
    return float(-np.logaddexp(0, -real).mean() - np.logaddexp(0, fake).mean())
