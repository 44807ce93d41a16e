"""Table of ring and grid as in PacGAN's paper."""

from __future__ import annotations

import functools
from typing import Any

from . import frame, plane

BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {
        "steps": 4,
        "steps_per_call": 4,
        "batch_size": 10,
        "points": 1000,
        "generator_width": 16,
        "discriminator_width": 8,
        "seeds": 2,
    },
    "default": {"steps": 6000, "steps_per_call": 50, "seeds": 4},
    "full": {"steps": 400_000, "steps_per_call": 50, "seeds": 10},
}

TITLES = {1: "GAN", 2: "PacGAN2", 3: "PacGAN3", 4: "PacGAN4"}

# By size of a pack: modes, high quality in percent, reverse KL.
PUBLISHED = {
    "ring": {
        1: ("6.3 +- 0.5", "98.2 +- 0.2", "0.45 +- 0.09"),
        2: ("7.9 +- 0.1", "95.6 +- 2.0", "0.07 +- 0.03"),
        3: ("7.8 +- 0.1", "97.7 +- 0.3", "0.10 +- 0.02"),
        4: ("7.8 +- 0.1", "95.9 +- 1.4", "0.07 +- 0.02"),
    },
    "grid": {
        1: ("17.3 +- 0.8", "94.8 +- 0.7", "0.70 +- 0.07"),
        2: ("23.8 +- 0.7", "91.3 +- 0.8", "0.13 +- 0.04"),
        3: ("24.6 +- 0.4", "94.2 +- 0.4", "0.06 +- 0.02"),
        4: ("24.8 +- 0.2", "93.6 +- 0.6", "0.04 +- 0.01"),
    },
}

PACKS = {"quick": (1, 2), "default": (1, 2), "full": (1, 2, 3, 4)}
"""The sizes of packs that each budget has time for."""


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the tables of the ring and of the grid."""
    return _part("ring", "Ring of 8", budget), _part("grid", "Grid of 25", budget)


def _part(data: str, title: str, budget: str) -> frame.Part:
    chosen = BUDGETS[budget]
    pieces = [
        frame.Piece(
            f"{data}-{'gan' if size == 1 else f'pac{size}'}",
            TITLES[size],
            {"data": data, "packing": size, "samples": 2500, **chosen},
            functools.partial(plane.train, "pacgan"),
            dict(
                zip(("captured", "high_quality", "reverse_kl"), PUBLISHED[data][size], strict=True)
            ),
        )
        for size in PACKS[budget]
    ]
    return frame.Part(
        data,
        title,
        plane.columns(data),
        (*pieces, plane.control(data, 2500)),
        source="The paper's: table 1, means and standard errors of 10 trials.",
        figure=plane.marks_of(chosen["steps"], chosen["steps_per_call"]),
    )


TABLE = frame.Table(
    title="Ring and grid as in PacGAN",
    paper="Lin et al. 2018, PacGAN (arXiv 1712.04086), table 1.",
    protocol=(
        "A training set of 100,000 points, batches of 100 packs. Latents of 2; a generator of four "
        "layers of 400 units with batch normalization, evaluated with its running statistics; a "
        "discriminator of three layers of 200 maxout units of 5 pieces; weights N(0, 0.02). Adam "
        "with learning rate 1e-4 and beta1 0.8, both players updated simultaneously with the "
        "non-saturating loss. 2,500 points of each model after the last step. Batch statistics are "
        "those of all fakes of a step; the authors compute them for each position in the packs."
    ),
    scope={
        "default": (
            "A cut: 6 epochs (6,000 iterations) instead of 400, 4 seeds instead of 10, packs of 2 "
            "alone. On the grid that is too early to compare: neither GAN has come far."
        ),
        "full": "The full protocol: 400 epochs, 10 seeds, packs of 2, 3 and 4.",
    },
    parts=parts,
)
