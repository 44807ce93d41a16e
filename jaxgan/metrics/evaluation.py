"""Numbers of a generator against a set of real images, with the settings that they depend on."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import data
from jaxgan.metrics import (
    features,
    frechet,
    inception_score,
    kernel,
    msssim,
    prdc,
    reference,
    sliced,
    streaming,
)
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.streaming import Metric
from jaxgan.types import Array

METRICS: Mapping[str, Callable[[], Metric]] = {
    "fid": frechet.metric,
    "fid_infinity": frechet.infinity_metric,
    "kid": kernel.metric,
    "prdc": prdc.metric,
    "inception_score": inception_score.metric,
    "swd": sliced.metric,
    "ms_ssim": msssim.metric,
}
"""What can be asked for by name, each with its usual settings."""

Sample = Callable[[Array, int], Array]
"""`sample(key, n)`: n images [n, H, W, C] in [-1, 1], as `Trained.sample` draws them."""

PIECE = 1000
"""Images in the memory at a time, drawn by one key."""


class Scores(NamedTuple):
    """Numbers by name, the settings they depend on, and what to beware of."""

    numbers: dict[str, float]
    settings: dict[str, Any]
    warnings: tuple[str, ...] = ()


def evaluator(
    metrics: Mapping[str, Metric],
    real: data.Dataset,
    *,
    extractor: Extractor,
    samples: int,
    seed: int = 0,
    cache: pathlib.Path | None = None,
) -> Callable[[Sample], Scores]:
    """`sample -> scores` of `samples` images against all real ones, whose statistics are gathered
    now, or taken from the folder `cache`.

    A pure function of the generator: its scores are the same in the middle of training as after
    it, and it changes nothing. Raises ValueError on numbers below 1, or probabilities that the
    network does not give.
    """
    if samples < 1 or not metrics:
        raise ValueError(f"{samples} samples and {len(metrics)} metrics; expected one of each")
    streams = [metric.stream for metric in metrics.values()]
    sights = streaming.sights(streams)
    known = reference.statistics(streams, real, extractor=extractor, piece=PIECE, folder=cache)
    settings = {
        "real": {"data": real.name, "digest": real.digest, "images": len(real)},
        "generated": {"images": samples, "seed": seed, "images of a key": PIECE},
        "both": {"shape": list(real.shape), "levels": 256},
        "features": dict(extractor.settings) if set(sights) - {"images"} else None,
        "metrics": {name: dict(metric.settings) for name, metric in metrics.items()},
    }

    def scores(sample: Sample) -> Scores:
        seen = features.pieces(_drawn(sample, samples, seed), extractor, sights)
        generated = streaming.gather(streams, seen)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            numbers = compare(metrics.values(), generated, known, extractor=extractor)
        return Scores(numbers, settings, tuple(str(warning.message) for warning in caught))

    return scores


def compare(
    metrics: Iterable[Metric],
    generated: Mapping[str, Any],
    real: Mapping[str, Any],
    *,
    extractor: Extractor,
) -> dict[str, float]:
    """The numbers of all metrics from both sides' statistics by stream; those that come from the
    network's features bear its label.
    """
    numbers: dict[str, float] = {}
    for metric in metrics:
        stream = metric.stream
        found = metric.compute(generated[stream.name], real[stream.name])
        named = (lambda name: name) if stream.sees == "images" else extractor.named
        numbers |= {named(name): value for name, value in found.items()}
    return numbers


def _drawn(sample: Sample, count: int, seed: int) -> Iterator[np.ndarray]:
    """The samples, a piece at a time, each by a key of its own."""
    key = jax.random.key(seed)
    for number, start in enumerate(range(0, count, PIECE)):
        yield np.asarray(sample(jax.random.fold_in(key, number), min(PIECE, count - start)))
