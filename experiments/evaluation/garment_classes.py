"""Evaluates a run's samples with the independent classifier of garments, next to controls.

    python -m experiments.evaluation.garment_classes runs/demo

It reports, for each class, the fraction of the samples that the classifier assigns to it with a
confidence of at least 0.9. The controls are real held-out images, the run's own generator before
training, and uniform noise. One image a class could fill that table, so the diversity within each
class follows: the mean pairwise distance of the samples in the classifier's features, over that of
real held-out images.

For a conditional run it samples each class and reports how often the classifier agrees. For any
other run the classifier decides which samples, and which real images, belong to a class. The report
ends with the proxy FID of the samples against the held-out garments (`jaxgan.metrics.fid`), the
same for as many training images, and what it depends on. Images of another size than the
classifier's are resized, and so are the real ones.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from jaxgan.tools import command

from ..flags import two_player_flags

COVERED = 0.02
"""The smallest fraction of the samples at which a class counts as covered."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """What to evaluate."""

    samples: int = 2000
    """Number of samples."""
    seed: int = 1
    """Seed of the samples."""
    confidence: float = 0.9
    """Lowest confidence at which an image counts."""


def report(config: Config) -> str:
    """Returns the report on the run, as text.

    Raises:
        ValueError: If the run was not trained on garments.
    """
    from jaxgan import data
    from jaxgan.tools import latent_concepts

    trained = config.load()
    if not latent_concepts.are_garments(trained):
        learned = ", ".join(trained.spec.classes[:3]) or "no classes"
        raise ValueError(
            f"{config.run} learned from {trained.config.data} ({learned}), and this classifier "
            "knows nothing but the garments of fashion; for other images use "
            f"jaxgan evaluate {config.run}"
        )
    # In the size of the run's own images, so that resizing affects samples and real images alike.
    size = two_player_flags.image_shape(trained.spec)[:2]
    splits = data.load("fashion", resolution=size, resize=trained.config.resize)
    train, held_out = splits.train, splits.held_out
    assert isinstance(train, data.Dataset) and isinstance(held_out, data.Dataset)
    lines = [f"{config.samples} samples of {config.run} after {trained.step} steps"]
    samples = trained.sample(config.seed, config.samples)
    lines += shares(trained, held_out, samples, config)
    if "label" in trained.gan.conditions:
        lines += agreement(trained, held_out, config)
    else:
        lines += variety(samples, held_out, config)
    lines += proxy_fid(samples, train, held_out, config)
    return "\n".join(lines)


def shares(trained: Any, held_out: Any, samples: Any, config: Config) -> list[str]:
    """Returns the fraction of each class among samples and controls, as the lines of a table.

    Args:
        trained: The trained model.
        held_out: The held-out garments.
        samples: Samples [N, H, W, C].
        config: The flags.
    """
    import numpy as np

    from jaxgan.metrics import garments

    noise = np.random.default_rng(config.seed).uniform(-1, 1, (config.samples, *held_out.shape))
    judged = {
        "samples": samples,
        "real": held_out.float_images(),
        "untrained": trained.untrained(config.seed).sample(config.seed, config.samples),
        "noise": noise,
    }
    columns = {
        name: garments.confident_shares(
            garments.judge(garments.fitted(images))[0], confidence=config.confidence
        )
        for name, images in judged.items()
    }
    rows = [f"{'share of class':16s}" + "".join(f"{name:>11s}" for name in columns)]
    for label, name in enumerate(held_out.classes):
        cells = "".join(f"{column[label]:11.1%}" for column in columns.values())
        rows.append(f"{name:16s}" + cells)
    covered = "".join(f"{np.sum(column >= COVERED):11d}" for column in columns.values())
    rows.append(f"{'classes >= 2 %':16s}" + covered)
    return rows


def agreement(trained: Any, held_out: Any, config: Config) -> list[str]:
    """Returns how often the classifier finds the requested class, and the diversity, as lines.

    Args:
        trained: The trained model.
        held_out: The held-out garments.
        config: The flags.
    """
    import numpy as np

    from jaxgan.metrics import garments

    labels = np.arange(config.samples, dtype=np.int32) % len(held_out.classes)
    images = trained.sample(config.seed, config.samples, label=labels)
    probabilities, features = garments.judge(garments.fitted(images))
    real_probabilities, real_features = garments.judge(garments.fitted(held_out.float_images()))
    diverse = garments.diversity(features, labels, real_features, held_out.labels)
    right = np.argmax(probabilities, axis=1) == labels
    agreed = garments.class_agreement(probabilities, labels)
    real = garments.class_agreement(real_probabilities, held_out.labels)
    rows = [f"the classifier agrees with the asked class on {agreed:.1%} (real images: {real:.1%})"]
    rows.append(f"{'asked class':16s}{'agreement':>11s}{'diversity':>11s}")
    for label, name in enumerate(held_out.classes):
        rows.append(f"{name:16s}{right[labels == label].mean():11.1%}{diverse[label]:11.2f}")
    return rows


def variety(samples: Any, held_out: Any, config: Config) -> list[str]:
    """Returns the diversity of the samples within each covered class, as lines.

    It is relative to real images. Of both, the images count that the classifier assigns to the
    class with the given confidence.

    Args:
        samples: Samples [N, H, W, C].
        held_out: The held-out garments.
        config: The flags.
    """
    from jaxgan.metrics import garments

    (found, features), (known, real) = (
        confident(images, config.confidence) for images in (samples, held_out.float_images())
    )
    diverse = {
        name: garments.mean_pairwise_distance(features[found == label])
        / garments.mean_pairwise_distance(real[known == label])
        for label, name in enumerate(held_out.classes)
        if (found == label).sum() >= max(2, COVERED * config.samples)
        and (known == label).sum() >= 2
    }
    if not diverse:
        return [f"no class has {COVERED:.0%} of the samples, so there is no diversity to report"]
    least = min(diverse, key=diverse.__getitem__)
    return [
        f"{'classified as':16s}{'diversity':>11s}",
        *(f"{name:16s}{value:11.2f}" for name, value in diverse.items()),
        f"least diversity {diverse[least]:.2f} ({least}): mean pairwise distance in the "
        "classifier's features, over that of the real images classified as this class",
    ]


def confident(images: Any, confidence: float) -> tuple[Any, Any]:
    """Returns the class [N] and the features [N, F] that the classifier gives to each image.

    The class is -1 below the confidence.

    Args:
        images: Images [N, H, W, C].
        confidence: Lowest confidence at which an image counts.
    """
    import numpy as np

    from jaxgan.metrics import garments

    probabilities, features = garments.judge(garments.fitted(images))
    sure = probabilities.max(axis=1) >= confidence
    return np.where(sure, probabilities.argmax(axis=1), -1), features


def proxy_fid(samples: Any, train: Any, held_out: Any, config: Config) -> list[str]:
    """Returns the proxy FID of samples and of training images, and what it depends on, as lines.

    Args:
        samples: Samples [N, H, W, C].
        train: The training garments.
        held_out: The held-out garments, against which both are measured.
        config: The flags.
    """
    from jaxgan.metrics import evaluation, features, fid

    count = min(len(samples), len(train))
    generated = fid.proxy_fid(samples, held_out.float_images())
    real = fid.proxy_fid(train.take(count).float_images(), held_out.float_images())
    drawn = {"images": len(samples), "seed": config.seed, "images of a key": len(samples)}
    return [
        f"proxy FID {generated:.3f} of {len(samples)} samples against {len(held_out)} held-out "
        f"images ({real:.3f} of {count} training images)",
        *evaluation.listed(evaluation.sides(held_out, drawn, features.proxy())),
    ]


main = command.printing(
    Config, report, module="experiments.evaluation.garment_classes", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
