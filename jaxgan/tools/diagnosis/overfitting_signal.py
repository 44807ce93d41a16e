"""The signal of a discriminator that has memorized its training images.

References:
    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 2 and
    eq. 1.
"""

from __future__ import annotations

import numpy as np

from jaxgan.tools.diagnosis.finding import Finding

BY_HEART = 0.5
"""At this r_v, the logit of an unseen real image is as close to a fake's as to a training image's.

r_v is 0 if training images are not special, and 1 if everything unseen is classified as fake.
"""

CERTAIN = 4.0
"""Number of standard errors by which the logits of training and held-out images must differ.

By chance one in 30,000 does.
"""


SURE = 0.6
"""The r_t that adaptive augmentation aims at: it augments images while r_t is larger.

Discriminators that do not overfit often have a larger one, so by itself it proves nothing (Karras
et al. 2020, section 3).
"""

R_T = "r_t"
"""Name of the mean sign of the logits of training images in the evidence."""


def overfits(
    known: np.ndarray, unknown: np.ndarray, fake: np.ndarray, *, signs: np.ndarray | None = None
) -> Finding | None:
    """Detects a discriminator that distinguishes training images from unseen real images.

    Args:
        known: Mean logit of each batch of training images, [N], N at least 2.
        unknown: Mean logit of each batch of held-out images, [M], M at least 2.
        fake: Mean logit of each batch of generated images, [K].
        signs: Mean sign of the logits of training images, [N], if the sign separates real from fake
            under the loss. r_t is reported with it.
    """
    if min(len(known), len(unknown)) < 2 or not len(fake):
        return None
    gap, lead = known.mean() - unknown.mean(), known.mean() - fake.mean()
    error = np.sqrt(known.var(ddof=1) / len(known) + unknown.var(ddof=1) / len(unknown))
    if not np.isfinite([gap, lead, error]).all():
        return None
    if lead <= 0 or gap <= CERTAIN * error or gap < BY_HEART * lead:
        return None
    what = (
        "The discriminator has memorized the training images: it classifies unseen real images as "
        "fake."
    )
    evidence = {"r_v": float(gap / lead)}
    if signs is not None:
        evidence[R_T] = float(signs.mean())
        what += " " + certainty(evidence[R_T])
    evidence |= {
        "mean logit of training images": float(known.mean()),
        "of held-out images": float(unknown.mean()),
        "of samples": float(fake.mean()),
    }
    return Finding("overfits", what, None, evidence)


def certainty(r_t: float) -> str:
    """Returns a sentence about the r_t of a discriminator that overfits."""
    more = "more" if r_t > SURE else "no more"
    return (
        f"It classifies {(1 + r_t) / 2:.0%} of its training images as real (r_t = {r_t:.2f}), "
        f"{more} than adaptive augmentation aims at (r_t = {SURE})."
    )
