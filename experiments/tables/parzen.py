"""Table of log-likelihoods of MNIST by Parzen windows, the measure of the first GANs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import digits, frame, runs

if TYPE_CHECKING:
    import numpy as np

BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {"steps": 10, "seeds": 2},
    "default": {"steps": 25_000, "seeds": 2},
    "full": {"steps": 125_000, "seeds": 2},
}

PROTOCOL = {"seen": 50_000, "samples": 10_000, "tests": 10_000}
"""Numbers of training images that the models see, of samples, and of test images.

The first 1,000 of the other training images choose the width of the windows.
"""

QUICK = {"seen": 8000, "samples": 200, "tests": 100}


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the table: two GANs, and three sets of images as controls."""
    once = {"data": digits.DATA[budget], **(QUICK if budget == "quick" else PROTOCOL)}
    chosen = {**once, **BUDGETS[budget]}
    controls = {
        "training-images": ("training images (control)", draw_training_images, "243"),
        "k-means": ("centers of k-means (control)", draw_centers, "313"),
        "noise": ("uniform noise (control)", draw_noise, ""),
    }
    pieces = (
        frame.Piece("gan", "GAN", {**chosen, "labels": False}, measure, {"nats": "225 +- 2"}),
        frame.Piece(
            "conditional",
            "conditional GAN",
            {**chosen, "labels": True},
            measure,
            {"nats": "132 +- 1.8"},
        ),
        *(
            frame.Piece(name, title, once, of_rows(draw), {"nats": nats} if nats else {})
            for name, (title, draw, nats) in controls.items()
        ),
    )
    part = frame.Part(
        "likelihoods",
        "Mean log-likelihood of the test images",
        (
            frame.Column("nats", "nats", "{:.1f}".format),
            frame.Column("error", "standard error over images", "{:.1f}".format),
            frame.Column("width", "width of the windows", "{:.3f}".format),
        ),
        pieces,
        source=(
            "The papers: Goodfellow et al. 2014, table 1, and Mirza and Osindero 2014, table 1, "
            "whose +- is the error over images; the controls are those of Theis et al. 2016, "
            "table 1."
        ),
        note=(
            "The numbers do not follow the quality of samples: centers of clusters have a higher "
            "one than the training images themselves. They serve to check the whole path from "
            "training to measure."
        ),
    )
    return (part,)


def measure(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the likelihoods under samples of the models of all seeds.

    Models with labels sample each class equally often.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    digits.load(settings)
    flags = {
        **digits.flags(settings),
        **{name: settings[name] for name in ("steps", "seeds", "labels")},
        "limit_images": settings["seen"],
        "steps_per_call": 10,
    }
    models = runs.trained("original", flags, folder)
    return _measured([model.sample(1, settings["samples"]) for model in models], settings)


def of_rows(draw: Callable[[Any, int], np.ndarray]) -> Callable[..., frame.Measured]:
    """Returns a measure of the likelihood under the images of `draw(training images, count)`."""

    def measure(settings: frame.Settings, folder: Path) -> frame.Measured:
        train, _ = _split(settings)
        return _measured([draw(train, settings["samples"])], settings)

    return measure


def draw_training_images(train: Any, count: int) -> np.ndarray:
    """Returns `count` training images, evenly spread over them."""
    return train.take(count).float_images()


def draw_centers(train: Any, count: int) -> np.ndarray:
    """Returns the centers of `count` clusters of the training images."""
    images = train.float_images()
    found = centers(images.reshape(len(images), -1), count)
    return found.reshape(count, *images.shape[1:])


def draw_noise(train: Any, count: int) -> np.ndarray:
    """Returns `count` images with uniformly random pixels."""
    import numpy as np

    return np.random.default_rng(0).uniform(-1, 1, (count, *train.shape))


def centers(rows: np.ndarray, count: int, *, rounds: int = 5) -> np.ndarray:
    """Returns the means [count, F] of clusters after some rounds of Lloyd's algorithm.

    The initial means are evenly spread examples. An empty cluster keeps its mean.

    Args:
        rows: Examples [N, F].
        count: Number of clusters.
        rounds: Number of rounds.
    """
    import numpy as np
    import scipy.sparse

    from jaxgan.metrics import distances

    means = rows[np.arange(count) * len(rows) // count]
    for _ in range(rounds):
        nearest = distances.nearest(rows, means)
        members = scipy.sparse.csr_matrix(
            (np.ones(len(rows), rows.dtype), (nearest, np.arange(len(rows)))),
            shape=(count, len(rows)),
        )
        sizes = np.bincount(nearest, minlength=count)[:, None]
        means = np.where(sizes > 0, members @ rows / np.maximum(sizes, 1), means)
    return means.astype(rows.dtype)


def _split(settings: frame.Settings) -> tuple[Any, Any]:
    """The training images that models see, and the others."""
    import numpy as np

    from jaxgan.data import limiting

    train: Any = digits.load(settings).train
    seen: Any = limiting.limited(train, settings["seen"])
    known = {image.tobytes() for image in seen.images}
    others = [row for row, image in enumerate(train.images) if image.tobytes() not in known]
    return seen, train.subset(np.array(others))


def _measured(drawn: list[Any], settings: frame.Settings) -> frame.Measured:
    from jaxgan.metrics import parzen

    _, validation = _split(settings)
    held_out: Any = digits.load(settings).held_out
    tests = parzen.pixels(held_out.take(settings["tests"]).float_images())
    choosing = parzen.pixels(validation.float_images())
    found = [parzen.parzen(parzen.pixels(images), choosing, tests) for images in drawn]
    return frame.Measured(
        {
            "nats": [one.mean for one in found],
            "error": [one.standard_error for one in found],
            "width": [one.sigma for one in found],
        }
    )


TABLE = frame.Table(
    title="Parzen windows on MNIST",
    paper=(
        "Goodfellow et al. 2014 (Generative adversarial nets), Mirza and Osindero 2014 "
        "(Conditional generative adversarial nets); Theis et al. 2016 (A note on the evaluation "
        "of generative models) for what such numbers are worth."
    ),
    protocol=(
        "`python -m experiments.original`: the authors' perceptrons, maxout in the discriminator "
        "and sigmoids in the generator, dropout, gradient descent in batches of 100 whose momentum "
        "grows and whose learning rate decays, simultaneous updates; trained on 50,000 images. "
        "Windows on 10,000 samples, 1,000 of each class of the conditional GAN; of ten widths from "
        "0.1 to 1 the one that is best on 1,000 other images; the mean log-likelihood of the "
        "10,000 test images with pixels in [0, 1]."
    ),
    scope={
        "default": (
            "A cut: 25,000 steps (50 epochs) and the last weights, where the authors trained for "
            "hundreds of epochs and stopped by eye; 2 seeds. The measure and the controls are the "
            "full protocol."
        ),
        "full": "250 epochs, at whose end the authors' momentum stops to grow; 2 seeds.",
    },
    parts=parts,
)
