"""Which other experiments, on the same images, help where `jaxgan diagnose` finds something wrong.

An experiment whose networks and data they share names them as its `ALTERNATIVES`.
"""

from __future__ import annotations

from typing import Any

from jaxgan.tools.diagnosis.remedy import Remedy, both, has, lacks


def of_images(config: Any) -> bool:
    """Whether the run is of images: the experiments below know no points."""
    from jaxgan.data import mixtures

    return config.data not in mixtures.MIXTURES


GRADIENT_PENALTY = Remedy(
    "python -m experiments.wgan_gp",
    "a critic of bounded slope tells how far the samples are, however well it knows them",
    "Gulrajani et al. 2017",
    both(of_images, lacks("loss", "wasserstein")),
)
BOUND_FOR_A_CRITIC = Remedy(
    "python -m experiments.wgan_gp",
    "a critic without a bound on its slope grows for ever",
    "Gulrajani et al. 2017",
    both(of_images, has("loss", "wasserstein")),
)
SPECTRAL_NORMALIZATION = Remedy(
    "python -m experiments.sngan",
    "a discriminator whose every layer is bounded",
    "Miyato et al. 2018",
    of_images,
)

REPEATED_PIXELS = Remedy(
    "python -m experiments.progressive",
    "a generator that repeats pixels and convolves them",
    "Karras et al. 2018, table 2",
    of_images,
)

FOR_NORMALIZED = {
    **{kind: (GRADIENT_PENALTY,) for kind in ("collapsed", "modes lost", "won", "vanished")},
    "checkered": (REPEATED_PIXELS,),
}
"""For a discriminator that is spectrally normalized already, by kind of finding."""

FOR_UNBOUNDED = {
    **FOR_NORMALIZED,
    "collapsed": (GRADIENT_PENALTY, SPECTRAL_NORMALIZATION),
    "won": (SPECTRAL_NORMALIZATION, GRADIENT_PENALTY),
    "exploded": (BOUND_FOR_A_CRITIC, SPECTRAL_NORMALIZATION),
    "not finite": (SPECTRAL_NORMALIZATION,),
}
"""For a discriminator whose slope nothing bounds, by kind of finding."""
