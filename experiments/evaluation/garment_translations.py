"""Evaluates a model that translates images on held-out images, next to three controls.

    python -m experiments.evaluation.garment_translations RUN
    # and another run next to it
    python -m experiments.evaluation.garment_translations RUN --beside OTHER

Every held-out image is translated, and the results are compared with the real images of the target
domain. The controls are another run's translations (such as the same model without one loss term),
the input as it is, and the real images themselves.

L1 is the mean absolute difference (in a range of 2). `edges apart` and `spectrum apart` are the
distances between translations and real images in edge sharpness and in the power spectrum
(`jaxgan.metrics.edges`, `.spectrum`). For garments, the classifier that never saw the model reports
whether the class is kept. Without pairs it reports whether a translation belongs to the target
domain, and how diverse the translations are within each class, relative to real images. Models that
translate both ways are evaluated both ways, and there and back.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxgan.tools import command


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """Images to be measured, a column of a table.

    Attributes:
        images: Images [N, H, W, C].
    """

    images: np.ndarray

    @functools.cached_property
    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """The classifier's class [N] and features [N, F] of each image, as of a garment."""
        from jaxgan.metrics import garments

        probabilities, features = garments.judge(garments.fitted(self.images))
        return np.argmax(probabilities, axis=1), features


Measures = Mapping[str, Callable[[Column], str]]


@dataclasses.dataclass(frozen=True)
class Config(command.OfRunAndData):
    """What to evaluate."""

    beside: pathlib.Path | None = None
    """Another run on the same data to compare with, by the same --checkpoint and --model-seed."""
    seed: int = 1
    """Seed of the noise."""


def report(config: Config) -> str:
    """Returns the report on the run, as text.

    Raises:
        ValueError: If the run's model does not translate images.
    """
    from jaxgan import data

    runs = {"run": config.run, **({"beside": config.beside} if config.beside else {})}
    trained = {name: config.load_from(path) for name, path in runs.items()}
    model = trained["run"]
    held_out = config.splits(model).held_out
    if not isinstance(held_out, data.Domains):
        raise ValueError(f"{config.run} does not translate between two domains")
    lines = [f"evaluated on the held-out data of {model.config.data}"]
    lines += [f"{name}: {runs[name]} after {each.step} steps" for name, each in trained.items()]
    for source, target in (("a", "b"), ("b", "a")):
        if source in model.gan.conditions:
            lines += one_way(trained, held_out, source, target, seed=config.seed)
    return "\n".join(lines)


def one_way(
    trained: Mapping[str, Any], held_out: Any, source: str, target: str, *, seed: int
) -> list[str]:
    """Returns the tables of the translations one way, and of those back again, as lines.

    Args:
        trained: The models by name.
        held_out: The held-out images of both domains.
        source: Domain of the inputs, 'a' or 'b'.
        target: The other domain.
        seed: Seed of the noise.
    """
    from jaxgan import data

    inputs, real = (getattr(held_out, domain) for domain in (source, target))
    given, truth = Column(inputs.float_images()), Column(real.float_images())
    made = {
        name: Column(translate(model, given.images, source, seed))
        for name, model in trained.items()
    }
    measures = likeness(truth)
    if isinstance(held_out, data.Pairs):
        measures = {**kept(real), **measures}
    elif knows(real):
        measures = {**in_domain(real, truth), **measures}
    title = f"{len(inputs)} images, {source} to {target}"
    lines = table(title, {**made, "input": given, "real": truth}, measures)
    if all(target in model.gan.conditions for model in trained.values()):
        back = {
            name: Column(translate(model, made[name].images, target, seed))
            for name, model in trained.items()
        }
        title = f"{source} to {target} to {source}"
        lines += table(title, {**back, "input": given}, kept(inputs))
    return lines


def translate(model: Any, images: np.ndarray, source: str, seed: int) -> np.ndarray:
    """Returns images translated by the averaged networks, in batches as in training.

    Args:
        model: The trained model.
        images: Images [N, H, W, C] of the source domain.
        source: Domain of the images, 'a' or 'b'.
        seed: Seed of the noise.
    """
    import jax

    from jaxgan.games import domain_translation

    return domain_translation.translated(
        model.gan,
        model.state.averaged(),
        images,
        source=source,
        key=jax.random.key(seed),
        batch_size=model.config.batch_size,
    )


def table(title: str, columns: Mapping[str, Column], measures: Measures) -> list[str]:
    """Returns the lines of a table.

    Args:
        title: Title of the table.
        columns: Sets of images by name.
        measures: Measures by name, one for each row.
    """
    rows = [f"{title:28s}" + "".join(f"{name:>17s}" for name in columns)]
    for name, measure in measures.items():
        cells = "".join(f"{measure(column):>17s}" for column in columns.values())
        rows.append(f"{name:28s}" + cells)
    return ["", *rows]


def knows(images: Any) -> bool:
    """Returns whether the images have the labels of the garment classifier."""
    from jaxgan.data import fashion

    return images.labels is not None and images.classes == fashion.CLASSES


def kept(truth: Any) -> Measures:
    """Returns measures of how well images agree, one by one, with the true ones."""

    def same_class(column: Column) -> str:
        return f"{np.mean(column.judged[0] == truth.labels):.1%}"

    def difference(column: Column) -> str:
        if column.images.shape[1:] != truth.shape:
            return "-"
        return f"{np.abs(column.images - truth.float_images()).mean():.4f}"

    return {"class kept": same_class, "L1": difference} if knows(truth) else {"L1": difference}


def likeness(real: Column) -> Measures:
    """Returns measures of the distance between a set of images and the real ones."""
    from jaxgan.metrics import edges, spectrum

    of_real = spectrum.radial_log_spectrum(real.images)

    def sharpness(column: Column) -> str:
        return f"{edges.distance(column.images, real.images):.2f}"

    def frequencies(column: Column) -> str:
        return f"{spectrum.distance(spectrum.radial_log_spectrum(column.images), of_real):.2f}"

    return {"edges apart": sharpness, "spectrum apart, dB": frequencies}


def in_domain(images: Any, real: Column) -> Measures:
    """Returns measures of membership in the target domain and of diversity within its classes.

    Args:
        images: The real images of the target domain, with labels.
        real: The same images as a column.
    """
    from jaxgan.metrics import garments

    classes = np.unique(images.labels)

    def share(of: np.ndarray) -> Callable[[Column], str]:
        return lambda column: f"{np.isin(column.judged[0], of).mean():.1%}"

    def apart(features: np.ndarray) -> float:
        return garments.mean_pairwise_distance(features) if len(features) > 1 else 0.0

    def diversity(column: Column) -> str:
        found, features = column.judged
        counts = [np.sum(found == label) for label in classes]
        if not any(counts):
            return "-"
        ratios = [
            apart(features[found == label]) / apart(real.judged[1][images.labels == label])
            for label in classes
        ]
        return f"{np.average(ratios, weights=counts):.2f}"

    each = {images.classes[label]: share(np.array([label])) for label in classes}
    return {
        "in the target domain": share(classes),
        **(each if len(classes) > 1 else {}),
        "diversity within class": diversity,
    }


main = command.printing(
    Config, report, module="experiments.evaluation.garment_translations", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
