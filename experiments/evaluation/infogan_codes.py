"""How well the first code of an InfoGAN knows the classes that it never saw, beside two controls.

    python -m experiments.evaluation.infogan_codes runs/infogan
    python -m experiments.evaluation.infogan_codes runs/seed0 runs/seed1 runs/seed2

Each held-out image is put into the cluster of its likeliest value of c1. Prints, for each model of
each run, the share of the images in the cluster of their class, each cluster having another class
(the one-to-one or Hungarian accuracy); the purity, where clusters may share a class; how often q
recognizes the code of the model's own samples; and the class of each value of c1, which is that of
each column in a run's pictures. Of several models it prints the best and the median as well. The
controls are the first model before training, and k-means on the pixels of its training images.
"""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import tyro

from jaxgan.tools import command


@dataclasses.dataclass(frozen=True)
class Config(command.Choice):
    """What to score; of a run of several models all of them, or the one of the seed `member`."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """The run directories, of one seed or of several."""
    samples: int = 2000
    """How many of its own samples each model is to recognize."""
    seed: int = 0
    """Of the samples and of the controls."""


def report(config: Config) -> str:
    """The scores of all models and of the controls, as text."""
    from jaxgan.metrics import clusters

    lines = [f"{'':32s}{'one-to-one':>11s}{'purity':>11s}{'own codes':>11s}"]
    accuracies, controls = [], []
    for name, run, trained in models(config):
        splits = labeled(run, trained.config)
        images, labels = splits.held_out.float_images(), splits.held_out.labels
        found = recognized(trained, images)
        lines.append(f"{row(name, found, labels)}{own_codes(trained, config):11.1%}")
        named = columns(found, splits.held_out, trained.config.categories[0])
        lines.append(f"  columns: {named}")
        accuracies.append(clusters.one_to_one_accuracy(found, labels))
        controls = controls or [
            row("untrained", recognized(trained.untrained(config.seed), images), labels),
            row("k-means on pixels", clusters_of_pixels(trained, splits, config), labels),
        ]
    lines += controls
    if len(accuracies) > 1:
        best, median = max(accuracies), statistics.median(accuracies)
        lines.append(f"of {len(accuracies)} models: best {best:.1%}, median {median:.1%}")
    return "\n".join(lines)


def models(config: Config) -> Iterator[tuple[str, pathlib.Path, Any]]:
    """The name, the run and the model of each that is to be scored; RunError where one is no
    InfoGAN with a class code.
    """
    from jaxgan.runs import run_directory
    from jaxgan.runs.errors import RunError

    for path in config.runs:
        recorded = run_directory.required_record(path)["config"]
        if not recorded.get("categories"):
            raise RunError(f"{path} is no run of an InfoGAN with a categorical code")
        first, count = recorded["seed"], recorded["seeds"]
        every = range(first, first + count) if config.model_seed is None else [config.model_seed]
        for seed in every:
            name = f"{path}" if count == 1 else f"{path} seed {seed}"
            yield name, path, dataclasses.replace(config, model_seed=seed).load_from(path)


def labeled(run: pathlib.Path, config: Any) -> Any:
    """The data of the run, whose configuration is `config`; RunError where the held-out images have
    no labels.
    """
    from jaxgan import data
    from jaxgan.runs.errors import RunError
    from jaxgan.runs.trained_model import data_of

    splits = data_of(run, config)
    if not isinstance(splits.held_out, data.Dataset) or splits.held_out.labels is None:
        raise RunError(f"the images of {config.data} have no labels to compare codes with")
    return splits


def recognized(trained: Any, images: Any) -> Any:
    """The likeliest value of c1 of each image [N, H, W, C], int [N]."""
    from jaxgan.models import infogan
    from jaxgan.runs.trained_model import in_pieces

    def likeliest(state: Any, images: Any) -> Any:
        return infogan.recognize(state, images).logits[0].argmax(axis=-1)

    return in_pieces(likeliest, trained.state.averaged(), images)


def clusters_of_pixels(trained: Any, splits: Any, config: Config) -> Any:
    """The nearest of as many means as c1 has values of each held-out image, int [N]: k-means on up
    to 10,000 training images.
    """
    import numpy as np
    from scipy.cluster import vq

    train = splits.train.take(min(len(splits.train), 10_000))
    seen, held_out = (
        images.float_images().reshape(len(images), -1) for images in (train, splits.held_out)
    )
    means, _ = vq.kmeans2(
        seen,
        trained.config.categories[0],
        iter=50,
        minit="++",
        rng=np.random.default_rng(config.seed),
    )
    return vq.vq(held_out, means)[0]


def own_codes(trained: Any, config: Config) -> float:
    """The share of the model's own samples whose c1 q recognizes, each value as often."""
    import numpy as np

    values = np.arange(config.samples, dtype=np.int32) % trained.config.categories[0]
    samples = trained.sample(config.seed, config.samples, c1=values)
    return float(np.mean(recognized(trained, samples) == values))


def row(name: str, found: Any, labels: Any) -> str:
    """A line of the table without its last column."""
    from jaxgan.metrics import clusters

    accuracy = clusters.one_to_one_accuracy(found, labels)
    return f"{name:32s}{accuracy:11.1%}{clusters.purity(found, labels):11.1%}"


def columns(found: Any, images: Any, count: int) -> str:
    """The name of the class that is matched with each of `count` clusters, '-' where none is."""
    from jaxgan.metrics import clusters

    matched = clusters.matching(clusters.contingency(found, images.labels))
    names = (images.classes[matched[i]] if i in matched else "-" for i in range(count))
    return ", ".join(names)


main = command.printing(
    Config, report, module="experiments.evaluation.infogan_codes", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
