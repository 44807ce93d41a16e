"""Table of ring and grid under the protocol of VEEGAN and of the unrolled GAN's notebook."""

from __future__ import annotations

import functools
from typing import Any

from . import frame, plane

BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 4, "steps_per_call": 4, "batch_size": 32, "latent_size": 32, "seeds": 2},
    "default": {
        "steps": 12_000,
        "steps_per_call": 100,
        "batch_size": 64,
        "latent_size": 32,
        "seeds": 6,
    },
    "full": {
        "steps": 25_000,
        "steps_per_call": 100,
        "batch_size": 512,
        "latent_size": 256,
        "seeds": 6,
    },
}

# By name: the piece of `experiments.cures` and what the row is called.
ROWS = {
    "gan": ("minimax", "GAN, zero-sum"),
    "unrolled": ("minimax, unrolled 5", "GAN, zero-sum, unrolled by 5"),
    "ns": ("GAN", "GAN, non-saturating"),
    "pac2": ("packing 2", "PacGAN2"),
    "pac4": ("packing 4", "PacGAN4"),
    "minibatch": ("minibatch discrimination", "minibatch discrimination"),
    "wgan-gp": ("WGAN-GP", "WGAN-GP"),
    "rpgan": ("RpGAN, R1 and R2", "RpGAN + R1 + R2"),
}

# Modes and high quality in percent.
PUBLISHED = {
    "ring": {"gan": ("1", "99.3"), "unrolled": ("7.6", "35.6"), "wgan-gp": ("6.8", "59.6")},
    "grid": {"gan": ("3.3", "0.5"), "unrolled": ("23.6", "16"), "wgan-gp": ("24.2", "28.7")},
}


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the tables of the ring and of the grid."""
    return _part("ring", "Ring of 8", budget), _part("grid", "Grid of 25", budget)


def _part(data: str, title: str, budget: str) -> frame.Part:
    chosen = BUDGETS[budget]
    # One row is enough for the second: what runs on one runs on the other.
    rows = dict([*ROWS.items()][:1]) if (budget, data) == ("quick", "grid") else ROWS
    pieces = [
        frame.Piece(
            f"{data}-{name}",
            row,
            {"data": data, "piece": piece, "samples": 2500, **chosen},
            functools.partial(plane.train, "cures"),
            _published(data, name),
        )
        for name, (piece, row) in rows.items()
    ]
    return frame.Part(
        data,
        title,
        plane.columns(data),
        (*pieces, plane.control(data, 2500)),
        source=(
            "The paper's: VEEGAN, table 1 (GAN and unrolled GAN, mean of 5 runs); WGAN-GP as GDPP "
            "has it (Elfeki et al. 2019). No paper gives the other rows under this protocol."
        ),
        note=NOTE,
        figure=plane.marks_of(chosen["steps"], chosen["steps_per_call"]),
    )


def _published(data: str, name: str) -> dict[str, str]:
    if name not in PUBLISHED[data]:
        return {}
    return dict(zip(("captured", "high_quality"), PUBLISHED[data][name], strict=True))


NOTE = (
    "A point is of high quality within 3 standard deviations of a mode; a mode is captured by one "
    "such point, and filled by a tenth of an even share. The papers' ring may hold 7 modes, one "
    "of them twice: the sampler that was passed on counts its end point; ours holds 8. Points "
    "drawn from the data score 98.9 % and a reverse KL of 0.0014 (ring) and 0.0048 (grid)."
)

TABLE = frame.Table(
    title="Ring and grid as in VEEGAN",
    paper=(
        "Srivastava et al. 2017, VEEGAN (arXiv 1705.07761), on the networks of Metz et al. 2017, "
        "Unrolled GANs (arXiv 1611.02163)."
    ),
    protocol=(
        "8 Gaussians of standard deviation 0.01 on the unit circle, 25 of 0.05 on {-4, ..., 4}^2, "
        "fresh draws in every batch. Perceptrons of 128 and 128 tanh units, latents of 256; Adam "
        "with beta1 0.5, learning rates 1e-3 (generator) and 1e-4 (discriminator), simultaneous "
        "updates. PacGAN and minibatch discrimination are the non-saturating GAN with that method; "
        "WGAN-GP has the weight 0.1, 5 critic updates a step and Adam(1e-4, 0.5, 0.9) of its "
        "authors' toy; RpGAN has R1 and R2 of gamma 0.03 in every step, players that alternate, "
        "and Adam(5e-3, 0, 0.99), whose learning rates fall to 0 from the middle on: the only row "
        "whose settings were chosen here, on other seeds than the table's. 2,500 points of each "
        "model; the seeds train together."
    ),
    scope={
        "default": (
            "A cut: 12,000 iterations of 64 examples instead of 25,000 of 512 (a 17th of the "
            "examples), and latents of 32."
        ),
        "full": "The full protocol: 25,000 iterations of 512 examples.",
    },
    parts=parts,
)
