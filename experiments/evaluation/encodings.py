"""Evaluates a run's encoder: reconstructions of held-out images, and probes of its features.

    python -m experiments.evaluation.encodings runs/bigan

For garments it reports the fraction of held-out images x for which the independent classifier gives
G(E(x)) the class that it gives x. There are two controls: G(E(x)) before training, and G(E(x)) of
another image of the run's data. One image a class could reach the same fraction, so the diversity
of each class is reported too (mean pairwise feature distance over that of the real images).

For labeled data it reports the accuracy of a linear probe and of the nearest training image on the
encoder's features and latents, on those of the untrained encoder, and on the pixels. The encoder is
used without sampling.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from jaxgan.tools import command


@dataclasses.dataclass(frozen=True)
class Config(command.OfRunAndData):
    """What to evaluate."""

    seed: int = 1
    """Seed of the untrained networks and of the sampling."""
    examples: int = 60_000
    """Largest number of training images for the probes."""


def report(config: Config) -> str:
    """Returns the report on the run, as text.

    Raises:
        ValueError: If the run's model has no encoder of images.
    """
    from jaxgan import data

    trained = config.load()
    if "image" not in trained.gan.conditions:
        raise ValueError(f"the model of {config.run} has no encoder; give a run of bigan")
    splits = config.splits(trained)
    train, held_out = splits.train, splits.held_out
    assert isinstance(train, data.Dataset) and isinstance(held_out, data.Dataset)
    untrained = trained.untrained(config.seed)
    lines = [f"{len(held_out)} held-out images and {config.run} after {trained.step} steps"]
    if trained.config.data == "fashion":
        lines += kept(trained, untrained, held_out, config)
    if held_out.labels is not None:
        lines += probed(trained, untrained, train.take(min(len(train), config.examples)), held_out)
    return "\n".join(lines)


def kept(trained: Any, untrained: Any, held_out: Any, config: Config) -> list[str]:
    """Returns the fractions of images whose class G(E(x)) keeps, and the diversity, as lines.

    Args:
        trained: The trained model.
        untrained: The model before training.
        held_out: The held-out images.
        config: The flags.
    """
    import numpy as np

    from jaxgan.metrics import garments

    real = held_out.float_images()
    again = trained.sample(config.seed, len(real), image=real)
    before = untrained.sample(config.seed, len(real), image=real)
    (probabilities, features), (found, found_features), (control, _) = (
        garments.judge(garments.fitted(images)) for images in (real, again, before)
    )
    classes, judged = (np.argmax(of, axis=1) for of in (probabilities, found))
    same = judged == classes
    chance = np.mean(np.random.default_rng(config.seed).permutation(judged) == classes)
    unlearned = np.mean(np.argmax(control, axis=1) == classes)
    labels = held_out.labels
    variety = garments.diversity(found_features, labels, features, labels)
    lines = [
        f"G(E(x)) keeps the class of x for {same.mean():.1%} "
        f"(untrained: {unlearned:.1%}; of another image: {chance:.1%}), "
        f"and has the label of x for {np.mean(judged == labels):.1%}",
        f"{'label of x':16s}{'kept':>11s}{'diversity':>11s}",
    ]
    for label, name in enumerate(held_out.classes):
        lines.append(f"{name:16s}{same[labels == label].mean():11.1%}{variety[label]:11.2f}")
    return lines


def probed(trained: Any, untrained: Any, train: Any, held_out: Any) -> list[str]:
    """Returns the accuracies of both probes on the held-out images, as the lines of a table.

    Args:
        trained: The trained model.
        untrained: The model before training.
        train: Labeled images that the probes are trained on.
        held_out: Labeled images that the probes are tested on.
    """
    import numpy as np

    from jaxgan.metrics import probes

    sides = (train.float_images(), held_out.float_images())
    seen = {"pixels": [images.reshape(len(images), -1) for images in sides]}
    for name, model in (("untrained", untrained), ("trained", trained)):
        encodings = [encoded(model, images) for images in sides]
        seen[f"{name} features"] = [encoding.features for encoding in encodings]
        seen[f"{name} latents"] = [encoding.latents for encoding in encodings]
    lines = [f"{f'of {len(train)} labels':20s}{'linear probe':>14s}{'nearest':>11s}"]
    for name, (known, asked) in seen.items():
        accuracies = [
            np.mean(predict(known, train.labels, asked) == held_out.labels)
            for predict in (probes.linear_probe, probes.nearest_neighbor)
        ]
        lines.append(f"{name:20s}{accuracies[0]:14.1%}{accuracies[1]:11.1%}")
    return lines


def encoded(model: Any, images: Any) -> Any:
    """Returns the encoding of images [N, H, W, C] by the averaged encoder, as NumPy arrays."""
    from jaxgan.games import bidirectional
    from jaxgan.runs.trained_model import in_pieces

    return in_pieces(bidirectional.encode, model.state.averaged(), images)


main = command.printing(
    Config, report, module="experiments.evaluation.encodings", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
