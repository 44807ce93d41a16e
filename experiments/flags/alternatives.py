"""Experiments that `jaxgan diagnose` recommends in place of the one it examined.

An experiment with the same networks and data lists them as its `ALTERNATIVES`.
"""

from __future__ import annotations

from typing import Any

from jaxgan.tools.diagnosis.remedy import Remedy, both, has, lacks


def of_images(config: Any) -> bool:
    """Returns whether the run is on images; the experiments below do not take points."""
    from jaxgan.data import mixtures

    return config.data not in mixtures.MIXTURES


GRADIENT_PENALTY = Remedy(
    "python -m experiments.wgan_gp",
    "a critic with a bounded gradient measures the distance however well it separates the samples",
    "Gulrajani et al. 2017",
    both(of_images, lacks("loss", "wasserstein")),
)
BOUND_FOR_A_CRITIC = Remedy(
    "python -m experiments.wgan_gp",
    "a critic without a bound on its gradient grows without limit",
    "Gulrajani et al. 2017",
    both(of_images, has("loss", "wasserstein")),
)
SPECTRAL_NORMALIZATION = Remedy(
    "python -m experiments.sngan",
    "a discriminator in which the norm of every layer is bounded",
    "Miyato et al. 2018",
    of_images,
)

REPEATED_PIXELS = Remedy(
    "python -m experiments.progressive",
    "a generator that upsamples by repeating pixels, then convolves",
    "Karras et al. 2018, table 2",
    of_images,
)

FOR_NORMALIZED = {
    **{kind: (GRADIENT_PENALTY,) for kind in ("collapsed", "modes lost", "won", "vanished")},
    "checkered": (REPEATED_PIXELS,),
}
"""Remedies for a discriminator with spectral normalization, by kind of finding."""

FOR_UNBOUNDED = {
    **FOR_NORMALIZED,
    "collapsed": (GRADIENT_PENALTY, SPECTRAL_NORMALIZATION),
    "won": (SPECTRAL_NORMALIZATION, GRADIENT_PENALTY),
    "exploded": (BOUND_FOR_A_CRITIC, SPECTRAL_NORMALIZATION),
    "not finite": (SPECTRAL_NORMALIZATION,),
}
"""Remedies for a discriminator without a bound on its gradient, by kind of finding."""
