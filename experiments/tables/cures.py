"""Table of all methods against mode collapse, next to the GAN without them, on ring and grid."""

from __future__ import annotations

import functools
from typing import Any

from . import frame, plane

BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 4, "steps_per_call": 4, "batch_size": 32, "latent_size": 32, "seeds": 2},
    "default": {
        "steps": 8000,
        "steps_per_call": 100,
        "batch_size": 64,
        "latent_size": 32,
        "seeds": 6,
    },
}

PIECES = (
    "GAN",
    "two step sizes",
    "label smoothing",
    "instance noise",
    "feature matching",
    "Gaussian KL",
    "Gaussian JS",
    "mode seeking",
    "historical averaging",
    "optimistic",
    "extragradient",
    "consensus",
    "minibatch stddev",
    "minibatch discrimination",
    "virtual batch norm",
    "packing 2",
    "packing 3",
    "packing 4",
    "unrolled 1",
    "unrolled 5",
)


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the tables of the ring and of the grid."""
    chosen = BUDGETS[budget]
    # Each of them takes seconds to compile.
    shown = PIECES[:1] if budget == "quick" else PIECES
    return tuple(
        frame.Part(
            data,
            title,
            plane.columns(data),
            tuple(
                frame.Piece(
                    f"{data}-{piece.lower().replace(' ', '-')}",
                    piece,
                    {"data": data, "piece": piece, "samples": 2500, **chosen},
                    functools.partial(plane.train, "cures"),
                )
                for piece in shown
            ),
            figure=plane.marks_of(chosen["steps"], chosen["steps_per_call"]),
        )
        for data, title in (("ring", "Ring of 8"), ("grid", "Grid of 25"))
    )


TABLE = frame.Table(
    title="Cures for collapse",
    paper="No paper's table: all methods under one budget.",
    protocol=(
        "The non-saturating GAN of the table of ring and grid with latents of 32, and one more "
        "method (`experiments/networks/plane.py`); the same data, measures and seeds."
    ),
    scope={"default": "8,000 iterations of 64 examples."},
    parts=parts,
)
