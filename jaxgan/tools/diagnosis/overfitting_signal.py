"""The signal of a discriminator that knows its training images by heart (Karras et al. 2020,
"Training Generative Adversarial Networks with Limited Data", section 2 and eq. 1).
"""

from __future__ import annotations

import numpy as np

from jaxgan.tools.diagnosis.finding import Finding

BY_HEART = 0.5
"""At this r_v, an unknown real image is judged as much like a fake as like a training image. It is
0 where training images are nothing special, and 1 where all that is unknown passes for fake.
"""

CERTAIN = 4.0
"""Standard errors by which the logits of training and of held-out images must differ: one in 30,000
comes that far by chance.
"""


SURE = 0.6
"""The r_t that adaptive augmentation aims at (Karras et al. 2020, section 3): it changes images
while r_t is larger. Discriminators that do not overfit are often surer, so by itself it proves
nothing.
"""

R_T = "r_t"
"""Under what name the evidence has the mean sign of the logits of training images."""


def overfits(
    known: np.ndarray, unknown: np.ndarray, fake: np.ndarray, *, signs: np.ndarray | None = None
) -> Finding | None:
    """A discriminator that tells images it has trained on from real ones that it has not.

    Mean logits, one of each batch, of training images [N], held-out ones [M] and fakes [K]; N and M
    at least 2. `signs` are the mean signs of the logits of training images [N], where the loss
    gives a sign that meaning: with them goes r_t.
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
        "The discriminator has learned the training images by heart: it takes real images that it "
        "does not know for fakes."
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
    """What r_t says of a discriminator that overfits, in a sentence."""
    more = "more" if r_t > SURE else "no more"
    return (
        f"It calls {(1 + r_t) / 2:.0%} of its training images real (r_t = {r_t:.2f}), {more} than "
        f"adaptive augmentation aims at (r_t = {SURE})."
    )
