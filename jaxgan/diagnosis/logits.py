"""The signal of a discriminator that knows its training images by heart (Karras et al. 2020,
"Training Generative Adversarial Networks with Limited Data", section 2 and eq. 1).
"""

from __future__ import annotations

import numpy as np

from jaxgan.diagnosis.finding import Finding

BY_HEART = 0.5
"""At this r_v, an unknown real image is judged as much like a fake as like a training image. It is
0 where training images are nothing special, and 1 where all that is unknown passes for fake.
"""

CERTAIN = 4.0
"""Standard errors by which the logits of training and of held-out images must differ: one in 30,000
comes that far by chance.
"""


def overfits(known: np.ndarray, unknown: np.ndarray, fake: np.ndarray) -> Finding | None:
    """A discriminator that tells images it has trained on from real ones that it has not.

    Mean logits, one of each batch, of training images [N], held-out ones [M] and fakes [K]; N and M
    at least 2.
    """
    gap, lead = known.mean() - unknown.mean(), known.mean() - fake.mean()
    error = np.sqrt(known.var(ddof=1) / len(known) + unknown.var(ddof=1) / len(unknown))
    if lead <= 0 or gap <= CERTAIN * error or gap < BY_HEART * lead:
        return None
    return Finding(
        "overfits",
        "The discriminator has learned the training images by heart: it takes real images that it "
        "does not know for fakes.",
        None,
        {
            "r_v": float(gap / lead),
            "mean logit of training images": float(known.mean()),
            "of held-out images": float(unknown.mean()),
            "of samples": float(fake.mean()),
        },
    )
