"""Differentiable augmentation of what the discriminator sees: DiffAugment and ADA.

A transformation maps images [B, H, W, C] in [-1, 1] to images of the same shape, with each
example's own key. `diff_augment` and `adaptive` make views, which
`jaxgan.games.input_transforms.through` puts in front of the discriminator: `diff_augment` changes
every image (`policies`), `adaptive` changes images with a probability (`pipeline`), which
`adapting` adapts to the discriminator's overfitting and `ramping` raises on a schedule.

References:
    Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training" (DiffAugment).
    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data" (ADA).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule
from jaxgan.games.augmentation.pipeline import BGC, GROUPS, ITEMS
from jaxgan.games.augmentation.policies import (
    POLICIES,
    brightness,
    color,
    contrast,
    cutout,
    diff_augment,
    saturation,
    translation,
)
from jaxgan.games.augmentation.probability import (
    ENTRY,
    adapt,
    adapting,
    adaptive,
    by_step,
    initial,
    ramp,
    ramping,
)
from jaxgan.games.augmentation.transformations import Transformation, sequence, sometimes

if TYPE_CHECKING:
    from jaxgan.games.augmentation import (
        colors,
        frequencies,
        geometry,
        pipeline,
        policies,
        probability,
        transformations,
    )

__all__ = [
    "BGC",
    "ENTRY",
    "GROUPS",
    "ITEMS",
    "POLICIES",
    "Transformation",
    "adapt",
    "adapting",
    "adaptive",
    "brightness",
    "by_step",
    "color",
    "colors",
    "contrast",
    "cutout",
    "diff_augment",
    "frequencies",
    "geometry",
    "initial",
    "pipeline",
    "policies",
    "probability",
    "ramp",
    "ramping",
    "saturation",
    "sequence",
    "sometimes",
    "transformations",
    "translation",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
