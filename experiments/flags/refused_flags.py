"""Groups of inherited flags that some experiments do not offer (`Config.REFUSED`)."""

from __future__ import annotations

import dataclasses

from jaxgan.runs.config import EvaluationFlags

from .penalty_flags import PenaltyFlags

STAGES = ("first_stage",)
"""Of no use to a run with a single stage."""

IMAGES = (
    *("data_dir", "resolution", "resize", "crop", "load", "range", "show"),
    *("holdout", "flip", "channels", "grid", "transform"),
)
"""Of no use to an experiment on points."""

EVALUATION = tuple(field.name for field in dataclasses.fields(EvaluationFlags))
"""Of no use to a model that draws points, or images from other images: no metric applies."""

CRITIC = ("real_label", "ada_target", "ada_images")
"""Of no use to a critic: its logits have no target and no boundary between real and fake."""

PENALTY = tuple(field.name for field in dataclasses.fields(PenaltyFlags))
"""Of no use to an experiment with a penalty of its own, or with weights that are clipped."""
