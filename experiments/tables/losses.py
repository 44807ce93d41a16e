"""Table of one DCGAN under six losses, on garments, by proxies of the papers' measures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import frame, runs

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.data import Dataset
    from jaxgan.metrics.evaluation import Sample, Scores
    from jaxgan.runs.trained_model import TrainedModel

ROWS = (
    ("minimax", "minimax", "dcgan", {"loss": "minimax"}),
    ("non-saturating", "non-saturating", "dcgan", {"loss": "non_saturating"}),
    ("lsgan", "least squares (LSGAN)", "lsgan", {}),
    ("wgan-gp", "Wasserstein with gradient penalty (WGAN-GP)", "wgan_gp", {}),
    ("hinge", "hinge", "dcgan", {"loss": "hinge"}),
    ("rpgan", "relativistic paired (RpGAN)", "dcgan", {"loss": "relativistic_paired"}),
)

TRAINING = {"width": 32, "batch_size": 64, "seeds": 3}

BUDGETS = {
    "quick": {
        "flags": {"width": 4, "steps": 4, "batch_size": 8, "seeds": 1},
        "images": 200,
    },
    "default": {"flags": {**TRAINING, "steps": 2000}, "images": 5000},
    "full": {"flags": {**TRAINING, "steps": 6000}, "images": 5000},
}

COLUMNS = (
    frame.Column("proxy_fid", "proxy FID"),
    frame.Column("proxy_kid", "proxy KID x 1000", "{:.1f}".format, 1000.0),
    frame.Column("proxy_coverage", "coverage %", "{:.1f}".format, 100.0),
    frame.Column(
        "ranked_right",
        "discriminator right %",
        lambda share: "-" if math.isnan(share) else f"{share:.1f}",
        100.0,
    ),
)

PROXIES = ("proxy_fid", "proxy_kid", "proxy_coverage")


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the table, with a row for each loss and one for real images."""
    chosen = BUDGETS[budget]
    pieces = [
        frame.Piece(
            name,
            title,
            {**chosen, "experiment": experiment, "flags": {**chosen["flags"], **flags}},
            measure,
        )
        for name, title, experiment, flags in ROWS
    ]
    control = {"images": chosen["images"]}
    pieces.append(frame.Piece("real-images", "other real images (control)", control, measure_real))
    return (
        frame.Part(
            "losses",
            "Six losses",
            COLUMNS,
            tuple(pieces),
            note=(
                "For the order alone: on the whole of Fashion-MNIST, with the best of 150 settings "
                "for each loss and Inception's FID, Lucic et al. 2018 (table 2, 50 seeds) print "
                "29.6 +- 1.6 for minimax, 26.5 +- 1.6 for non-saturating, 30.7 +- 2.2 for least "
                "squares and 24.5 +- 2.1 for WGAN-GP, their +- being deviations."
            ),
        ),
    )


def measure(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the models of all seeds, which train together.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    from jaxgan import data

    models = runs.trained(settings["experiment"], settings["flags"], folder)
    held_out: Any = data.load("fashion").held_out
    score = scorer(settings)
    scores = [score(model.sample) for model in models]
    numbers = {name: [one.numbers[name] for one in scores] for name in PROXIES}
    ranked = [_ranked_right(model, held_out) for model in models]
    return frame.Measured({**numbers, "ranked_right": ranked}, by=scores[0].settings)


def measure_real(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures other training images in place of samples; there is no discriminator.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    others = iter(halves(settings["images"])[1].float_images())

    def following(key: Any, count: int) -> Any:
        return [next(others) for _ in range(count)]

    scores = scorer(settings)(following)
    numbers = {name: [scores.numbers[name]] for name in PROXIES}
    return frame.Measured({**numbers, "ranked_right": [math.nan]}, by=scores.settings)


def scorer(settings: frame.Settings) -> Callable[[Sample], Scores]:
    """Returns a function that scores samples against training images.

    The settings give the number of both.
    """
    from jaxgan.metrics import evaluation, features, selection, statistics_cache

    return evaluation.evaluator(
        {name: selection.METRICS[name]() for name in ("fid", "kid", "prdc")},
        halves(settings["images"])[0],
        extractor=features.proxy(),
        samples=settings["images"],
        cache=statistics_cache.folder(),
    )


def halves(count: int) -> tuple[Dataset, Dataset]:
    """Returns two sets of `count` training images, with equally many of each class."""
    import numpy as np

    from jaxgan import data

    train: Any = data.load("fashion").train
    chosen = train.take(2 * count)
    return chosen.subset(np.arange(0, 2 * count, 2)), chosen.subset(np.arange(1, 2 * count, 2))


def _ranked_right(model: TrainedModel, held_out: Dataset) -> float:
    """How often the discriminator ranks a held-out image above a sample of the current generator.

    Both are seen in batches of the training's batch size.
    """
    import jax

    from jaxgan import random
    from jaxgan.runs.trained_model import in_pieces

    size = model.config.batch_size
    count = len(held_out) // size * size

    def judge(state: Any, images: Any) -> Any:
        return state["discriminator"](images, train=True)

    def draw(state: Any, rows: Any) -> Any:
        return model.gan.sample(state, random.Keys(rows))

    keys: Any = random.row_keys(jax.random.key(1), count).base
    drawn = in_pieces(draw, model.state, keys, size=size)
    real, fake = (
        in_pieces(judge, model.state, images, size=size)
        for images in (held_out.float_images()[:count], drawn)
    )
    return ranked_right(real, fake)


def ranked_right(real: np.ndarray, fake: np.ndarray) -> float:
    """Returns the fraction of pairs in which the real logit is higher than the fake one.

    A tie counts half. By chance the fraction is 0.5, whatever the loss makes of the logits.

    Args:
        real: Logits of real images, [N].
        fake: Logits of fakes, [M].
    """
    import numpy as np

    ordered = np.sort(fake)
    below = np.searchsorted(ordered, real, side="left")
    not_above = np.searchsorted(ordered, real, side="right")
    return float(np.mean(below + not_above) / (2 * len(fake)))


TABLE = frame.Table(
    title="One DCGAN under six losses",
    paper=(
        "Lucic et al. 2018 (Are GANs created equal?) compare losses on one network; the losses are "
        "those of Goodfellow et al. 2014, Mao et al. 2017, Gulrajani et al. 2017, Lim and Ye 2017 "
        "and Jolicoeur-Martineau 2019."
    ),
    protocol=(
        "10,000 garments of Fashion-MNIST; DCGAN of 32 channels next to the image; steps of "
        "64 images, with the learning rates and Adam of each experiment's defaults; the averaged "
        "generator. Only the critic of WGAN-GP has layer normalization instead of batch "
        "normalization, which its penalty requires. 5000 samples against 5000 training images: the "
        "Frechet and the kernel distance on the embedded classifier of garments (proxies, which "
        "compare only with each other), coverage (5 neighbors) on the same features, and how often "
        "the discriminator ranks a held-out image above a generated one (50 % by chance)."
    ),
    scope={
        "default": (
            "A cut: 2000 steps (13 epochs), one setting for each loss instead of the best of 150, "
            "3 seeds instead of 50, a sixth of the images, and proxies instead of Inception's FID."
        ),
        "full": "A smaller cut: 6000 steps (38 epochs), and the rest as above.",
    },
    parts=parts,
)
