"""Evaluation of a generator against real images, with the settings that the numbers depend on."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import data
from jaxgan.metrics import evaluation_checks, features, statistics_cache, streaming
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.selection import Real
from jaxgan.metrics.streaming import Aim, Metric, Show
from jaxgan.types import GAN, Array

Sample = Callable[..., Array]
"""`sample(key, n, **conditions)`: n images [n, H, W, C] in [-1, 1], or n arrays [n, ..., C] in the
units of the model, as `TrainedModel.sample` draws them.
"""

PIECE = 1000
"""Number of images held in memory at a time, which are drawn with one key."""


class Scores(NamedTuple):
    """The numbers of an evaluation.

    Attributes:
        numbers: The numbers by name.
        settings: The settings that the numbers depend on.
        warnings: Warnings about the numbers, one sentence each.
    """

    numbers: dict[str, float]
    settings: dict[str, Any]
    warnings: tuple[str, ...] = ()


def images_of(source: data.Source, gan: GAN) -> Real:
    """Returns the data as images, or as arrays, to evaluate the model against.

    Args:
        source: The data.
        gan: The model.

    Raises:
        ValueError: If the data are neither single images nor arrays, or the model generates its
            images from other images.
    """
    if isinstance(source, data.Arrays):
        return source
    from_images = {"a", "b"} & set(gan.conditions)
    if (
        isinstance(source, data.Dataset)
        and not from_images
        and set(source.inputs) <= set(gan.conditions)
    ):
        return source
    raise ValueError(
        f"the model of {source.name} cannot be measured: metrics need single images or arrays, and "
        "a model that generates them from latents, labels or captions alone"
    )


def evaluator(
    metrics: Mapping[str, Metric],
    real: Real,
    *,
    extractor: Extractor,
    samples: int,
    seed: int = 0,
    cache: pathlib.Path | None = None,
    conditions: Sequence[str] = (),
    show: Show = streaming.unseen,
) -> Callable[[Sample], Scores]:
    """Returns a function that evaluates a generator against all real images.

    The statistics of the real images are computed now, or read from the cache. The evaluation is a
    pure function of the generator: its scores are the same during training as after it, and it
    changes no state.

    A conditional model is evaluated on the labels of the real images (see `asked`), as in Karras et
    al. 2020. With labels of another distribution a perfect generator would score badly. The same
    holds for the captions of images and for the continuous conditions of arrays.

    Args:
        metrics: The metrics by name.
        real: The real images or arrays.
        extractor: The network that gives features and probabilities.
        samples: Number of images to generate.
        seed: Seed of the generated images.
        cache: Folder that caches the statistics of the real images; None caches nothing.
        conditions: The conditions that the model takes, such as 'label'.
        show: Reports progress.

    Returns:
        `sample -> scores`.

    Raises:
        ValueError: If a metric needs more samples, larger images or images of levels, if the
            network is not suited to the images, or if it does not give the probabilities that a
            metric needs.
    """
    evaluation_checks.require(metrics, real, extractor=extractor, samples=samples)
    streams = [metric.stream for metric in metrics.values()]
    sights = streaming.sights(streams)
    known = statistics_cache.statistics(
        streams, real, extractor=extractor, piece=PIECE, folder=cache, show=show
    )
    roles = asked_for(real, conditions)
    settings = {
        **sides(
            real,
            {
                "images": samples,
                "seed": seed,
                "images of a key": PIECE,
                "drawn from": " and ".join(["latents", *roles]),
                **labels_of(roles, conditions),
            },
            extractor if set(sights) - {"images"} else None,
        ),
        "metrics": {name: dict(metric.settings) for name, metric in metrics.items()},
    }

    def scores(sample: Sample) -> Scores:
        drawn = _drawn(sample, samples, seed, real, roles)
        told = show(drawn, samples, f"drawing {samples} samples")
        seen = features.pieces(told, extractor, sights)
        generated = streaming.gather(streams, seen)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            computed = show(
                metrics.values(), len(metrics), f"computing {', '.join(metrics)}", size=_one
            )
            numbers = compare(computed, generated, known, extractor=extractor)
        return Scores(numbers, settings, tuple(str(warning.message) for warning in caught))

    return scores


def asked_for(real: Real, conditions: Sequence[str]) -> tuple[str, ...]:
    """Returns the conditions that the generated images take from real examples.

    These are the data's other inputs and, if the model takes it, the label. Of the conditions of
    arrays they are those that the model takes.

    Args:
        real: The real images or arrays.
        conditions: The conditions that the model takes.
    """
    if isinstance(real, data.Arrays):
        return tuple(name for name in real.inputs if name in conditions)
    labeled = bool(real.classes) and "label" in conditions
    return (*real.inputs, *(["label"] if labeled else []))


def labels_of(roles: Sequence[str], conditions: Sequence[str]) -> dict[str, str]:
    """Returns the setting that says which labels are used, or nothing for an unconditional model.

    Args:
        roles: The conditions taken from real examples (`asked_for`).
        conditions: The conditions that the model takes.
    """
    if "label" in roles:
        return {"labels": "those of the real images, each image's once before any again"}
    return {"labels": "the model's default"} if "label" in conditions else {}


def asked(
    real: Real, roles: Sequence[str], *, seed: int, start: int, count: int
) -> dict[str, np.ndarray]:
    """Returns the conditions of the samples start ... start + count - 1, by name.

    They are a function of the seed and each sample's index. They follow the real images in a random
    order, and in a new one after every pass, so that labels are distributed as in the real images.

    Args:
        real: The real images or arrays.
        roles: The conditions taken from real examples (`asked_for`).
        seed: Seed of the order.
        start: Index of the first sample.
        count: Number of samples.
    """
    if not roles:
        return {}
    found = real.batch(seed=seed, step=0, size=start + count, rows=range(start, start + count))
    return {role: found[role] for role in roles}


def sides(real: Real, generated: Mapping[str, Any], extractor: Extractor | None) -> dict[str, Any]:
    """Returns the settings that the numbers of every metric depend on.

    Args:
        real: The real images or arrays.
        generated: How the generated images were drawn.
        extractor: The network; None if no metric uses one.
    """
    return {
        "real": {"data": real.name, "digest": real.digest, "images": len(real)},
        "generated": dict(generated),
        "both": {"shape": list(real.shape), **_scale(real)},
        "features": None if extractor is None else dict(extractor.settings),
    }


def _scale(real: Real) -> dict[str, Any]:
    """Returns the setting that says in which values both sides are compared."""
    if isinstance(real, data.Dataset):
        return {"levels": features.LEVELS}
    made = data.transforms.described(real.transforms["image"])
    return {"values": "floats in the units of the model", "transform": made}


def listed(settings: Mapping[str, Any], above: str = "") -> list[str]:
    """Returns a line for each setting, with the names of the groups that it belongs to.

    Settings that are None are left out.

    Args:
        settings: The settings, which may be nested.
        above: Prefix of each line's name.
    """
    lines = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            lines += listed(value, f"{above}{name} / ")
        elif value is not None:
            lines.append(f"  {above}{name}: {value}")
    return lines


def compare(
    metrics: Iterable[Metric],
    generated: Mapping[str, Any],
    real: Mapping[str, Any],
    *,
    extractor: Extractor,
) -> dict[str, float]:
    """Computes the numbers of all metrics from the statistics of both sets.

    Args:
        metrics: The metrics.
        generated: The statistics of the generated images, by stream.
        real: The statistics of the real images, by stream.
        extractor: The network, whose label is part of the names of numbers computed from it.
    """
    numbers: dict[str, float] = {}
    for metric in metrics:
        stream = metric.stream
        found = metric.compute(generated[stream.name], real[stream.name])
        numbers |= {_named(name, metric, extractor): value for name, value in found.items()}
    return numbers


def aim(metrics: Mapping[str, Metric], extractor: Extractor) -> Aim:
    """Returns the number of `compare` that ranks generators by the first metric, and its direction.

    Args:
        metrics: The metrics by name.
        extractor: The network, whose label is part of the number's name.

    Raises:
        ValueError: If the first metric does not rank generators.
    """
    name, metric = next(iter(metrics.items()))
    if metric.aim is None:
        raise ValueError(
            f"{name} does not say which of two generators is better; name another metric first"
        )
    return metric.aim._replace(number=_named(metric.aim.number, metric, extractor))


def _named(number: str, metric: Metric, extractor: Extractor) -> str:
    return number if metric.stream.sees == "images" else extractor.named(number)


def _one(item: object) -> int:
    return 1


def _drawn(
    sample: Sample, count: int, seed: int, real: Real, roles: Sequence[str] = ()
) -> Iterator[np.ndarray]:
    """Yields the samples in batches, each with its own key and the conditions of real examples."""
    key = jax.random.key(seed)
    for number, start in enumerate(range(0, count, PIECE)):
        n = min(PIECE, count - start)
        conditions = asked(real, roles, seed=seed, start=start, count=n)
        yield np.asarray(sample(jax.random.fold_in(key, number), n, **conditions))
