"""What held-out images say of a model that turns images into images, beside three controls.

    python -m experiments.evaluation.garment_translations RUN
    # and what they say of another
    python -m experiments.evaluation.garment_translations RUN --beside OTHER

Every held-out image is translated, and what comes out is compared with the real images of the
target domain. The controls are another run's translations (the same model without a part of its
loss, say), the input as it is, and the real images themselves.

L1 is the mean absolute difference (of a range of 2). `edges apart` and `spectrum apart` say by how
much the translations differ from real images in the sharpness of their edges and in how their
variation is spread over frequencies (`jaxgan.metrics.edges`, `.spectrum`). Of garments, the
classifier that never saw the model says whether the class is kept or, where there is no truth to
compare with, whether a translation is of the target domain, and how diverse they are within each
class beside real ones. Models that translate both ways are asked for both, and for there and back.
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
    """Images [N, H, W, C] to be measured."""

    images: np.ndarray

    @functools.cached_property
    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """The class of garment [N] that the classifier gives each, and its features [N, F]."""
        from jaxgan.metrics import garments

        probabilities, features = garments.judge(garments.fitted(self.images))
        return np.argmax(probabilities, axis=1), features


Measures = Mapping[str, Callable[[Column], str]]


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """What to judge."""

    beside: pathlib.Path | None = None
    """Another run on the same data, to compare with, by the same checkpoint and member."""
    seed: int = 1
    """Of the noise."""


def report(config: Config) -> str:
    """The report on the run, as text; ValueError where it does not translate images."""
    from jaxgan import data
    from jaxgan.runs.trained_model import data_of

    runs = {"run": config.run, **({"beside": config.beside} if config.beside else {})}
    trained = {name: config.load_from(path) for name, path in runs.items()}
    model = trained["run"]
    held_out = data_of(config.run, model.config).held_out
    if not isinstance(held_out, data.Domains):
        raise ValueError(f"{config.run} does not translate between two domains")
    lines = [f"judged on what {model.config.data} holds out"]
    lines += [f"{name}: {runs[name]} after {each.step} steps" for name, each in trained.items()]
    for source, target in (("a", "b"), ("b", "a")):
        if source in model.gan.conditions:
            lines += one_way(trained, held_out, source, target, seed=config.seed)
    return "\n".join(lines)


def one_way(
    trained: Mapping[str, Any], held_out: Any, source: str, target: str, *, seed: int
) -> list[str]:
    """Tables of the translations from the domain `source` to `target`, and of those back again."""
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
    """The images translated by the averaged players, in batches as in training."""
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
    """A row for each measure, a column for each set of images."""
    rows = [f"{title:28s}" + "".join(f"{name:>17s}" for name in columns)]
    for name, measure in measures.items():
        cells = "".join(f"{measure(column):>17s}" for column in columns.values())
        rows.append(f"{name:28s}" + cells)
    return ["", *rows]


def knows(images: Any) -> bool:
    """Whether the classifier of garments knows the images' classes."""
    from jaxgan.data import fashion

    return images.labels is not None and images.classes == fashion.CLASSES


def kept(truth: Any) -> Measures:
    """How well images agree, one by one, with the true ones."""

    def same_class(column: Column) -> str:
        return f"{np.mean(column.judged[0] == truth.labels):.1%}"

    def difference(column: Column) -> str:
        if column.images.shape[1:] != truth.shape:
            return "-"
        return f"{np.abs(column.images - truth.float_images()).mean():.4f}"

    return {"class kept": same_class, "L1": difference} if knows(truth) else {"L1": difference}


def likeness(real: Column) -> Measures:
    """How far images are, as a set, from the real ones."""
    from jaxgan.metrics import edges, spectrum

    of_real = spectrum.radial_log_spectrum(real.images)

    def sharpness(column: Column) -> str:
        return f"{edges.distance(column.images, real.images):.2f}"

    def frequencies(column: Column) -> str:
        return f"{spectrum.distance(spectrum.radial_log_spectrum(column.images), of_real):.2f}"

    return {"edges apart": sharpness, "spectrum apart, dB": frequencies}


def in_domain(images: Any, real: Column) -> Measures:
    """How often garments are of the classes of the real `images`, and how diverse within them."""
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
