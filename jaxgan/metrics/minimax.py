"""The value of the game of Goodfellow et al. 2014, from what a discriminator says."""

from __future__ import annotations

import numpy as np


def value(real_logits: np.ndarray, fake_logits: np.ndarray) -> float:
    """V(D) = E log D(x) + E log(1 - D(G(z))) (equation 1), in float64, from logits on real [N] and
    generated [M] examples: -log 4 at the equilibrium.
    """
    real, fake = (np.asarray(logits, np.float64) for logits in (real_logits, fake_logits))
    return float(-np.logaddexp(0, -real).mean() - np.logaddexp(0, fake).mean())
