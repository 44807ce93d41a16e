"""The same DCGAN under six losses, on garments, by the proxies of the papers' measures."""

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
    """The one part: a row for each loss, and real images."""
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
    """The measures of the models of all seeds, which train together."""
    from jaxgan import data

    models = runs.trained(settings["experiment"], settings["flags"], folder)
    held_out: Any = data.load("fashion").held_out
    score = scorer(settings)
    scores = [score(model.sample) for model in models]
    numbers = {name: [one.numbers[name] for one in scores] for name in PROXIES}
    ranked = [_ranked_right(model, held_out) for model in models]
    return frame.Measured({**numbers, "ranked_right": ranked}, by=scores[0].settings)


def measure_real(settings: frame.Settings, folder: Path) -> frame.Measured:
    """The measures of other training images in the place of samples; no discriminator judges
    them.
    """
    others = iter(halves(settings["images"])[1].float_images())

    def following(key: Any, count: int) -> Any:
        return [next(others) for _ in range(count)]

    scores = scorer(settings)(following)
    numbers = {name: [scores.numbers[name]] for name in PROXIES}
    return frame.Measured({**numbers, "ranked_right": [math.nan]}, by=scores.settings)


def scorer(settings: frame.Settings) -> Callable[[Sample], Scores]:
    """What scores samples against training images, as many of each as the settings say."""
    from jaxgan.metrics import evaluation, features, statistics_cache

    return evaluation.evaluator(
        {name: evaluation.METRICS[name]() for name in ("fid", "kid", "prdc")},
        halves(settings["images"])[0],
        extractor=features.proxy(),
        samples=settings["images"],
        cache=statistics_cache.folder(),
    )


def halves(count: int) -> tuple[Dataset, Dataset]:
    """Twice so many training images, in two sets of equally many of each class."""
    import numpy as np

    from jaxgan import data

    train: Any = data.load("fashion").train
    chosen = train.take(2 * count)
    return chosen.subset(np.arange(0, 2 * count, 2)), chosen.subset(np.arange(1, 2 * count, 2))


def _ranked_right(model: TrainedModel, held_out: Dataset) -> float:
    """How often the discriminator ranks a held-out image above an image by the generator it last
    met, both in batches as it was trained on.
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
    """The share of all pairs of a real and a fake logit of which the real one is the higher, ties
    by half: 0.5 by chance, whatever the loss makes of the logits.
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
        "64 images, with the step sizes and Adam of each experiment's defaults; the averaged "
        "generator. Only the critic of WGAN-GP has another norm, of layers instead of the batch, "
        "which its penalty asks for. 5000 samples against 5000 training images: the Frechet and "
        "the kernel distance on the embedded classifier of garments (proxies, which compare with "
        "each other alone), coverage (5 neighbors) on the same features, and how often the "
        "discriminator ranks a held-out image above a generated one (50 % by chance)."
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
