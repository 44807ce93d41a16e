"""The parts of a GAN other than its networks, and the builders that assemble them into a model.

`two_player`, `bidirectional` and `domain_translation` build the common games from networks and a
loss; `builder` builds any other. `objectives` has the players' losses, `penalization` and
`regularizers` terms to add to them, `augmentation` and `input_transforms` what the discriminator
sees, `training` the optimizers and the schedule. May use the ground files, kernels, steps and nn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.games import (
        augmentation,
        bidirectional,
        builder,
        domain_translation,
        ensemble,
        freezing,
        image_text_embedding,
        input_transforms,
        latent_access,
        latent_interpolation,
        mutual_information,
        objectives,
        penalization,
        regularizers,
        replay_pool,
        signatures,
        stability,
        stages,
        training,
        two_player,
    )

__all__ = [
    "augmentation",
    "bidirectional",
    "builder",
    "domain_translation",
    "ensemble",
    "freezing",
    "image_text_embedding",
    "input_transforms",
    "latent_access",
    "latent_interpolation",
    "mutual_information",
    "objectives",
    "penalization",
    "regularizers",
    "replay_pool",
    "signatures",
    "stability",
    "stages",
    "training",
    "two_player",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
