"""Evaluates how well the first code of an InfoGAN matches classes that it never saw.

    python -m experiments.evaluation.infogan_codes runs/infogan
    python -m experiments.evaluation.infogan_codes runs/seed0 runs/seed1 runs/seed2

Each held-out image is assigned to the cluster of its most likely value of c1. For each model of
each run, four results are reported. The one-to-one (Hungarian) accuracy is the fraction of images
in the cluster of their class, if each cluster has another class. In the purity, clusters may share
a class. The third is how often q recovers the code of the model's own samples. The last is the
class of each value of c1, which is that of each column in a run's pictures. For several models the
best and the median are reported too. The controls are the first model before training, and k-means
on the pixels of its training images.
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
    """What to evaluate: all models of a run, or the one with the seed `member`."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """The run directories, with one or several seeds."""
    samples: int = 2000
    """Number of its own samples whose codes each model recovers."""
    seed: int = 0
    """Seed of the samples and of the controls."""
    data: str | None = None
    """New location of the runs' data, in the syntax of the training flag --data (default: as
    recorded).
    """


def report(config: Config) -> str:
    """Returns the results of all models and of the controls, as text."""
    from jaxgan.metrics import clusters

    lines = [f"{'':32s}{'one-to-one':>11s}{'purity':>11s}{'own codes':>11s}"]
    accuracies, controls = [], []
    for name, run, trained in models(config):
        moved = {} if config.data is None else {"data": config.data}
        splits = labeled(run, dataclasses.replace(trained.config, **moved))
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
    """Yields the name, the run and the model of each seed to evaluate.

    Raises:
        RunError: If a run is not one of an InfoGAN with a categorical code.
    """
    from jaxgan.runs import run_directory, sweeps
    from jaxgan.runs.errors import RunError

    for path in config.runs:
        recorded = run_directory.required_record(path)["config"]
        if not recorded.get("categories"):
            raise RunError(f"{path} is not a run of an InfoGAN with a categorical code")
        if config.model_seed is not None or config.member is not None:
            named = config.member if config.model_seed is None else f"seed {config.model_seed}"
            yield f"{path} {named}", path, config.load_from(path)
            continue
        count = sweeps.count(recorded)
        for member in map(str, range(count)):
            one = dataclasses.replace(config, member=member).load_from(path)
            own = {"member": member} if recorded.get("sweep") else {"seed": one.config.seed}
            words = " ".join(f"{name} {value}" for name, value in own.items())
            yield f"{path}" if count == 1 else f"{path} {words}", path, one


def labeled(run: pathlib.Path, config: Any) -> Any:
    """Returns the data of the run.

    Args:
        run: The run directory.
        config: The run's configuration.

    Raises:
        RunError: If the held-out images have no labels.
    """
    from jaxgan import data
    from jaxgan.runs.errors import RunError
    from jaxgan.runs.trained_model import data_of

    splits = data_of(run, config)
    if not isinstance(splits.held_out, data.Dataset) or splits.held_out.labels is None:
        raise RunError(f"the images of {config.data} have no labels to compare codes with")
    return splits


def recognized(trained: Any, images: Any) -> Any:
    """Returns the most likely value of c1 of each image [N, H, W, C], int [N]."""
    from jaxgan.models import infogan
    from jaxgan.runs.trained_model import in_pieces

    def likeliest(state: Any, images: Any) -> Any:
        return infogan.recognize(state, images).logits[0].argmax(axis=-1)

    return in_pieces(likeliest, trained.state.averaged(), images)


def clusters_of_pixels(trained: Any, splits: Any, config: Config) -> Any:
    """Returns the k-means cluster of each held-out image, int [N].

    There are as many clusters as c1 has values. They are fitted to the pixels of up to 10,000
    training images.

    Args:
        trained: The model, for the number of values of c1.
        splits: The training and the held-out images.
        config: The flags; `seed` initializes k-means.
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
    """Returns the fraction of the model's own samples whose c1 is recovered by q.

    Every value is sampled equally often.

    Args:
        trained: The model.
        config: The flags.
    """
    import numpy as np

    values = np.arange(config.samples, dtype=np.int32) % trained.config.categories[0]
    samples = trained.sample(config.seed, config.samples, c1=values)
    return float(np.mean(recognized(trained, samples) == values))


def row(name: str, found: Any, labels: Any) -> str:
    """Returns a line of the table without its last column.

    Args:
        name: Name of the row.
        found: Cluster of each image, int [N].
        labels: Class of each image, int [N].
    """
    from jaxgan.metrics import clusters

    accuracy = clusters.one_to_one_accuracy(found, labels)
    return f"{name:32s}{accuracy:11.1%}{clusters.purity(found, labels):11.1%}"


def columns(found: Any, images: Any, count: int) -> str:
    """Returns the name of the class matched with each cluster, '-' if there is none.

    Args:
        found: Cluster of each image, int [N].
        images: The images, with labels.
        count: Number of clusters.
    """
    from jaxgan.metrics import clusters

    matched = clusters.matching(clusters.contingency(found, images.labels))
    names = (images.classes[matched[i]] if i in matched else "-" for i in range(count))
    return ", ".join(names)


main = command.printing(
    Config, report, module="experiments.evaluation.infogan_codes", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
