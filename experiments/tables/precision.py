"""Table of one DCGAN trained in float32 and in bfloat16, on garments."""

from __future__ import annotations

from . import frame, losses

GAMES = (
    ("dcgan", "DCGAN", "dcgan", {}),
    ("wgan-gp", "WGAN-GP", "wgan_gp", {}),
    ("r1", "DCGAN with R1", "dcgan", {"penalty": "r1", "discriminator_norm": "none"}),
)

PRECISIONS = (("float32", {}), ("bf16", {"precision": "bf16"}))

BUDGETS = {name: losses.BUDGETS[name] for name in ("quick", "default")}


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the table, with a row for each game and precision."""
    chosen = BUDGETS[budget]
    pieces = [
        frame.Piece(
            f"{name}-{precision}",
            f"{title}, {precision}",
            {
                **chosen,
                "experiment": experiment,
                "flags": {**chosen["flags"], **flags, **rounding},
            },
            losses.measure,
        )
        for name, title, experiment, flags in GAMES
        for precision, rounding in PRECISIONS
    ]
    return (frame.Part("precision", "Float32 and bfloat16", losses.COLUMNS, tuple(pieces)),)


TABLE = frame.Table(
    title="Float32 and bfloat16",
    paper=(
        "No paper's table: Micikevicius et al. 2018 (Mixed Precision Training) keep weights in "
        "float32 and compute in fewer bits, as `--precision bf16` does."
    ),
    protocol=(
        "As the table of losses, with the same seeds in both precisions. Seeds in float32 differ "
        "among themselves, too, which is the measure of what bfloat16 changes. Samples and "
        "features are computed in float32."
    ),
    scope={"default": "2000 steps (13 epochs), 3 seeds, proxies instead of Inception's FID."},
    parts=parts,
)
