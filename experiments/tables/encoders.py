"""Table of what GANs' networks represent of classes: codes, encodings and features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import bigan, infogan
from . import digits, frame, runs

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.data import Dataset
    from jaxgan.runs.trained_model import TrainedModel

Settings = frame.Settings

MNIST = {"examples": 60_000, "tests": 10_000}

# InfoGAN's preset is the authors' whole protocol; they say nothing of seeds.
INFOGAN = {"flags": {"steps": 5000, **infogan.PRESETS["paper"]}, "tests": 10_000}

SLACK = {"labels": 100, "costs": [1e-4, 1e-3, 1e-2]}
"""Labels of each class for a support vector machine, and the slack costs to choose from."""

BUDGETS: dict[str, dict[str, dict[str, Any]]] = {
    "quick": {
        "infogan": {"flags": infogan.PRESETS["smoke"], "seeds": 1, "tests": 200},
        "bigan": {"flags": bigan.PRESETS["smoke"], "seeds": 1, "examples": 200, "tests": 100},
        "dcgan": {
            "flags": {"width": 4, "steps": 4, "batch_size": 8},
            "seeds": 1,
            "draws": 1,
            "labels": 10,
            "costs": [1e-3, 1e-2],
        },
    },
    "default": {
        "infogan": {**INFOGAN, "seeds": 1},
        "bigan": {"flags": {**bigan.PRESETS["paper"], "steps": 10_000}, "seeds": 1, **MNIST},
        "dcgan": {"flags": {"steps": 2000}, "seeds": 2, "draws": 5, **SLACK},
    },
    "full": {
        "infogan": {**INFOGAN, "seeds": 5},
        "bigan": {"flags": bigan.PRESETS["paper"], "seeds": 1, **MNIST},
        "dcgan": {"flags": {"steps": 9000}, "seeds": 3, "draws": 10, **SLACK},
    },
}


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the tables of InfoGAN's codes, BiGAN's encodings and DCGAN's features."""
    chosen, data = BUDGETS[budget], {"data": digits.DATA[budget]}
    return (
        _codes({**chosen["infogan"], **data}),
        _encodings({**chosen["bigan"], **data}),
        _features({**chosen["dcgan"], "data": "fashion"}),
    )


def _pieces(
    experiment: str,
    rows: Sequence[tuple[str, dict[str, str]]],
    settings: Settings,
    measure: Callable[[Settings, Path], frame.Measured],
) -> tuple[frame.Piece, ...]:
    """The rows of the trained network, the untrained one and the pixels.

    `rows` gives the title of each and the paper's numbers.
    """
    kinds = ("trained", "untrained", "pixels")
    return tuple(
        frame.Piece(
            experiment if kind == "trained" else f"{experiment}-{kind}",
            title,
            {**settings, "experiment": experiment, "seen": kind},
            measure,
            printed,
        )
        for kind, (title, printed) in zip(kinds, rows, strict=True)
    )


def _networks(settings: Settings, folder: Path) -> list[TrainedModel | None]:
    """The models of all seeds, or None for each seed if the row is of pixels."""
    experiment, seeds = settings["experiment"], settings["seeds"]
    flags = {**settings["flags"], **digits.flags(settings)}
    if settings["seen"] == "pixels":
        return [None] * seeds
    if settings["seen"] == "untrained":
        return [runs.untrained(experiment, flags, seed) for seed in range(seeds)]
    return list(runs.trained(experiment, {**flags, "seeds": seeds}, folder))


# --- InfoGAN --------------------------------------------------------------------------------------


def _codes(settings: Settings) -> frame.Part:
    return frame.Part(
        "codes",
        "InfoGAN: the classes that its first code finds in MNIST",
        (
            frame.Column("matched", "one-to-one accuracy %", "{:.1f}".format, 100.0),
            frame.Column("purity", "purity %", "{:.1f}".format, 100.0),
        ),
        _pieces(
            "infogan",
            [("InfoGAN", {"matched": "95"}), ("untrained", {}), ("k-means on pixels", {})],
            settings,
            measure_codes,
        ),
        source="The paper's: an error of 5 % (section 7.2), without saying of how many runs.",
        note=(
            "On the 10,000 test images. One-to-one: each of the code's ten values has another "
            "class; purity: several may have the same. One run says little: InfoGAN with the "
            "same seed on an NVIDIA H100 found 80.2 %."
        ),
    )


def measure_codes(settings: Settings, folder: Path) -> frame.Measured:
    """Measures how well the most likely value of the first code matches the class.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    from jaxgan import data
    from jaxgan.metrics import clusters

    from ..evaluation import infogan_codes

    train, held_out = digits.load(settings).train, _tests(settings)
    found = []
    for seed, model in enumerate(_networks(settings, folder)):
        if model is None:
            pair, chosen = data.Splits(train, held_out), infogan_codes.Config((), seed=seed)
            like = runs.untrained("infogan", {**settings["flags"], **digits.flags(settings)}, seed)
            found.append(infogan_codes.clusters_of_pixels(like, pair, chosen))
        else:
            found.append(infogan_codes.recognized(model, held_out.float_images()))
    return frame.Measured(
        {
            "matched": [clusters.one_to_one_accuracy(at, held_out.labels) for at in found],
            "purity": [clusters.purity(at, held_out.labels) for at in found],
        }
    )


# --- BiGAN ----------------------------------------------------------------------------------------


def _encodings(settings: Settings) -> frame.Part:
    return frame.Part(
        "encodings",
        "BiGAN: the nearest training image of MNIST, by the features of its encoder",
        (frame.Column("right", "right %", "{:.2f}".format, 100.0),),
        _pieces(
            "bigan",
            [("BiGAN", {"right": "97.39"}), ("untrained", {"right": "96.84"}), ("pixels", {})],
            settings,
            measure_encodings,
        ),
        source=(
            "The paper's: table 1; untrained: what the log in its authors' repository says of "
            "epoch 0, on validation images."
        ),
        note="A weak test: what training adds to an untrained encoder is half a point.",
    )


def measure_encodings(settings: Settings, folder: Path) -> frame.Measured:
    """Measures how often the nearest training image, by the encoder's features, has the class.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    import numpy as np

    from jaxgan.metrics import probes

    from ..evaluation import encodings

    train: Any = digits.load(settings).train
    known, held_out = train.take(settings["examples"]), _tests(settings)

    def seen(model: TrainedModel | None, dataset: Dataset) -> np.ndarray:
        if model is None:
            return _pixels(dataset)
        return encodings.encoded(model, dataset.float_images()).features

    def right(model: TrainedModel | None) -> float:
        sides = seen(model, known), seen(model, held_out)
        found = probes.nearest_neighbor(sides[0], known.labels, sides[1])
        return float(np.mean(found == held_out.labels))

    return frame.Measured({"right": list(map(right, _networks(settings, folder)))})


# --- DCGAN ----------------------------------------------------------------------------------------


def _features(settings: Settings) -> frame.Part:
    return frame.Part(
        "features",
        "DCGAN: garments by a linear support vector machine, from 100 labels a class",
        (frame.Column("right", "right %", "{:.1f}".format, 100.0),),
        _pieces(
            "dcgan",
            [("DCGAN's discriminator", {}), ("untrained", {}), ("pixels", {})],
            settings,
            measure_features,
        ),
        note=(
            "As Radford et al. 2016 (section 5) do with color photographs, for which there is no "
            "room here: every layer of the discriminator, pooled to 4x4 by its largest values. "
            "2,000 held-out images; the mean of several draws of labels for each seed."
        ),
    )


def measure_features(settings: Settings, folder: Path) -> frame.Measured:
    """Measures the accuracy of a support vector machine on the discriminator's features.

    Args:
        settings: The row's settings.
        folder: The row's folder.
    """
    import numpy as np

    from jaxgan.data import few_labels
    from jaxgan.runs.trained_model import in_pieces

    from . import margins

    splits: Any = digits.load(settings)
    train, held_out = splits.train, splits.held_out
    few, draws = few_labels.partly_labeled(train, settings["labels"]), settings["draws"]

    def seen(model: TrainedModel | None, dataset: Any) -> np.ndarray:
        if model is None:
            return _pixels(dataset)
        return in_pieces(margins.pooled_layers, model.state, dataset.float_images())

    def right(seed: int, model: TrainedModel | None) -> float:
        asked, shares = seen(model, held_out), []
        for draw in range(seed * draws, (seed + 1) * draws):
            known: Any = few.labeled(draw)
            found = margins.classify(seen(model, known), known.labels, asked, settings["costs"])
            shares.append(np.mean(found == held_out.labels))
        return float(np.mean(shares))

    models = enumerate(_networks(settings, folder))
    return frame.Measured({"right": [right(seed, model) for seed, model in models]})


# --- images ---------------------------------------------------------------------------------------


def _tests(settings: Settings) -> Any:
    held_out: Any = digits.load(settings).held_out
    return held_out.take(settings["tests"])


def _pixels(dataset: Dataset) -> np.ndarray:
    return dataset.float_images().reshape(len(dataset), -1)


TABLE = frame.Table(
    title="What a GAN's networks know of classes",
    paper=(
        "Chen et al. 2016 (InfoGAN), Donahue et al. 2017 (BiGAN) and Radford et al. 2016 (DCGAN): "
        "codes, encodings and features that were learned without labels, evaluated by labels."
    ),
    protocol=(
        "The experiments `infogan` and `bigan` on MNIST with the presets `paper`, and `dcgan` on "
        "garments. The controls are the same networks before training, and the pixels."
    ),
    scope={
        "default": (
            "InfoGAN: the full protocol of its authors' launcher, 5000 steps, one seed. BiGAN: a "
            "cut, 10,000 steps (21 epochs) instead of 156,000 (400), with learning rates that "
            "fall in the second half. DCGAN: garments instead of ImageNet, CIFAR-10 and SVHN, "
            "2000 steps."
        ),
        "full": (
            "InfoGAN with 5 seeds, BiGAN for all its 400 epochs, DCGAN for 9000 steps on garments "
            "still."
        ),
    },
    parts=parts,
)
