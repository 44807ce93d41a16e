"""Table of digits from few labels: a GAN's discriminator against the same network alone."""

from __future__ import annotations

from pathlib import Path

from .. import semisupervised
from . import digits, frame, runs

# By the number of labels: what the paper prints of 10,000 test images.
PAPER = {20: "1677 +- 452", 50: "221 +- 136", 100: "93 +- 6.5"}

BUDGETS = {
    "quick": {
        "flags": {**semisupervised.PRESETS["smoke"], "seeds": 2},
        "alone": 2,
    },
    "default": {"flags": {"steps": 6000, "seeds": 3}, "alone": 2000},
    "full": {"flags": {**semisupervised.PRESETS["paper"], "seeds": 10}, "alone": 2000},
}

COLUMNS = (
    frame.Column("errors", "errors of 10,000", "{:.0f}".format),
    frame.Column("alone", "by the labels alone", "{:.0f}".format),
)


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the table, with a row for each number of labels."""
    pieces = tuple(
        frame.Piece(
            f"labels-{count}",
            f"{count} labels",
            {**BUDGETS[budget], "data": digits.DATA[budget], "labels": count},
            measure,
            {"errors": errors},
        )
        for count, errors in PAPER.items()
    )
    part = frame.Part(
        "errors",
        "Errors on the 10,000 test images",
        COLUMNS,
        pieces,
        source="The paper: table 1 of Salimans et al. 2016, feature matching, 10 draws of labels.",
        note=(
            "By the labels alone: the same network, optimizer and average, without the images "
            "that have no label."
        ),
    )
    return (part,)


def measure(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the errors of the averaged classifiers and of networks that see only the labels.

    All seeds train together, each with labels of its own.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    from jaxgan.data import few_labels

    from ..evaluation import semisupervised_error as score

    train, held_out, _ = digits.load(settings)
    per_class = settings["labels"] // len(train.classes)
    flags = {**settings["flags"], **digits.flags(settings), "labels": per_class}
    few = few_labels.partly_labeled(train, per_class)
    errors, alone = [], []
    for model in runs.trained("semisupervised", flags, folder):
        errors.append(score.mistakes(model.state.averaged(), held_out))
        labeled = few.labeled(model.config.seed)
        control = score.supervised(model, labeled, steps=settings["alone"])
        alone.append(score.mistakes(control, held_out))
    return frame.Measured({"errors": errors, "alone": alone})


TABLE = frame.Table(
    title="Digits from few labels",
    paper=(
        "Salimans et al. 2016 (Improved techniques for training GANs), section 5.1: the classes of "
        "MNIST from 20, 50 and 100 labels, as many of each class, and all 60,000 images without "
        "theirs."
    ),
    protocol=(
        "`python -m experiments.semisupervised --data tfds:mnist`: the authors' perceptrons, "
        "feature matching, Adam with their learning rate; each seed has labels of its own. The "
        "averaged discriminator is tested, without noise."
    ),
    scope={
        "default": (
            "A cut: 6000 steps (10 epochs) instead of 180,000 (300), with learning rates that fall "
            "in the second half, and 3 draws of labels instead of 10."
        ),
        "full": "The full protocol: 300 epochs at a constant learning rate, 10 draws of labels.",
    },
    parts=parts,
)
