"""Numbers of a generator against a set of real images, with the settings that they depend on."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import data, files
from jaxgan.metrics import (
    features,
    fid,
    inception,
    inception_score,
    kid,
    msssim,
    prdc,
    sliced_wasserstein,
    statistics_cache,
    streaming,
)
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.streaming import Aim, Metric, Show
from jaxgan.types import GAN, Array

METRICS: Mapping[str, Callable[[], Metric]] = {
    "fid": fid.metric,
    "fid_infinity": fid.infinity_metric,
    "kid": kid.metric,
    "prdc": prdc.metric,
    "inception_score": inception_score.metric,
    "swd": sliced_wasserstein.metric,
    "ms_ssim": msssim.metric,
}
"""What can be asked for by name, each with its usual settings."""

Sample = Callable[..., Array]
"""`sample(key, n, **conditions)`: n images [n, H, W, C] in [-1, 1], as `Trained.sample` draws
them.
"""

USUAL = ("fid", "kid", "prdc")
"""What is measured where nothing is said, through a network."""

WITHOUT_NETWORK = ("swd", "ms_ssim")
"""And where there is no network for the images."""

PIECE = 1000
"""Images in the memory at a time, drawn by one key."""


class Scores(NamedTuple):
    """Numbers by name, the settings they depend on, and what to beware of."""

    numbers: dict[str, float]
    settings: dict[str, Any]
    warnings: tuple[str, ...] = ()


def chosen(names: Sequence[str]) -> dict[str, Metric]:
    """The metrics of these names, each with its usual settings; ValueError where one is unknown, or
    there are none.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        asked = repr(unknown[0]) if unknown else "no metric"
        raise ValueError(f"{asked} was asked for; expected some of {', '.join(METRICS)}")
    return {name: METRICS[name]() for name in names}


def usual(real: data.Dataset, extractor: Extractor) -> tuple[str, ...]:
    """The names of the metrics that can be had of the images where nothing is said: those through
    the network where it is of use for them, and else those without one.
    """
    large = [name for name in WITHOUT_NETWORK if min(real.shape[:2]) >= METRICS[name]().smallest]
    if _is_of_use(extractor, real) or not large:
        return USUAL
    return tuple(large)


def extractor_of(
    inception: str | pathlib.Path | None,
    *,
    sha256: str | None = None,
    efficientnet: str | pathlib.Path | None = None,
    efficientnet_sha256: str | None = None,
    channels: int = 1,
    cache: bool = False,
) -> Extractor:
    """What metrics look through: Inception or EfficientNet-Lite0 with the weights in a file; with
    neither file, the proxy for gray images, and for others of `channels` EfficientNet-Lite0 if the
    extra `features` is installed.

    `cache` keeps a copy of the extra's weights in the user's cache folder. Raises ValueError on two
    files, and as `features.of_inception` does.
    """
    if inception is not None and efficientnet is not None:
        raise ValueError(
            f"both {inception} and {efficientnet} were given; give the weights of one network"
        )
    if inception is not None:
        return features.of_inception(inception, sha256=sha256)
    if efficientnet is None and channels == 1:
        return features.proxy()
    folder = files.cache_folder("weights") if cache else None
    found = features.of_efficientnet(efficientnet, sha256=efficientnet_sha256, folder=folder)
    return found or features.proxy()  # which is refused where features are needed


def images_of(source: data.Source, gan: GAN) -> data.Dataset:
    """The data, as images to measure the model against.

    Raises ValueError where they are no single images, or the model makes its own from others.
    """
    from_images = {"a", "b"} & set(gan.conditions)
    if (
        isinstance(source, data.Dataset)
        and not from_images
        and set(source.inputs) <= set(gan.conditions)
    ):
        return source
    raise ValueError(
        f"the model of {source.name} cannot be measured: metrics compare single images with those "
        "of a model that draws images from nothing but latents, labels and captions"
    )


def evaluator(
    metrics: Mapping[str, Metric],
    real: data.Dataset,
    *,
    extractor: Extractor,
    samples: int,
    seed: int = 0,
    cache: pathlib.Path | None = None,
    conditions: Sequence[str] = (),
    show: Show = streaming.unseen,
) -> Callable[[Sample], Scores]:
    """`sample -> scores` of `samples` images against all real ones, whose statistics are gathered
    now, or taken from the folder `cache`.

    A pure function of the generator: its scores are the same in the middle of training as after
    it, and it changes nothing. A sample that takes the condition 'label' is asked for the labels of
    the real images (see `asked`), as Karras et al. 2020 evaluate: at labels of another distribution
    a perfect generator scores badly. `show` tells how far it has come. Raises ValueError on fewer
    samples or smaller images than a metric needs, on images that the network is of no use for, or
    probabilities that it does not give.
    """
    _require_enough(metrics, samples)
    _require_large_enough(metrics, real)
    streams = [metric.stream for metric in metrics.values()]
    sights = streaming.sights(streams)
    if set(sights) - {"images"}:
        _require_of_use(extractor, real)
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


def asked_for(real: data.Dataset, conditions: Sequence[str]) -> tuple[str, ...]:
    """What a model of these conditions is asked for by the examples of the real images: what they
    hold besides, and their label.
    """
    labeled = real.labels is not None and "label" in conditions
    return (*real.inputs, *(["label"] if labeled else []))


def labels_of(roles: Sequence[str], conditions: Sequence[str]) -> dict[str, str]:
    """The setting that says which labels are drawn, of a model that takes any."""
    if "label" in roles:
        return {"labels": "those of the real images, each image's once before any again"}
    return {"labels": "the model's default"} if "label" in conditions else {}


def asked(
    real: data.Dataset, roles: Sequence[str], *, seed: int, start: int, count: int
) -> dict[str, np.ndarray]:
    """What the samples start ... start + count - 1 are asked for, by role: a function of the seed
    and each one's place. They follow the real images in a random order, and a new one once all have
    been visited, so that labels are distributed as theirs.
    """
    if not roles:
        return {}
    found = real.batch(seed=seed, step=0, size=start + count, rows=range(start, start + count))
    return {role: found[role] for role in roles}


def sides(
    real: data.Dataset, generated: Mapping[str, Any], extractor: Extractor | None
) -> dict[str, Any]:
    """What numbers depend on whatever the metric: the real images, how the others were `generated`,
    and how both are seen; None: without a network.
    """
    return {
        "real": {"data": real.name, "digest": real.digest, "images": len(real)},
        "generated": dict(generated),
        "both": {"shape": list(real.shape), "levels": features.LEVELS},
        "features": None if extractor is None else dict(extractor.settings),
    }


def listed(settings: Mapping[str, Any], above: str = "") -> list[str]:
    """A line for each setting that there is, after the names of what it belongs to."""
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
    """The numbers of all metrics from both sides' statistics by stream; those that come from the
    network's features bear its label.
    """
    numbers: dict[str, float] = {}
    for metric in metrics:
        stream = metric.stream
        found = metric.compute(generated[stream.name], real[stream.name])
        numbers |= {_named(name, metric, extractor): value for name, value in found.items()}
    return numbers


def aim(metrics: Mapping[str, Metric], extractor: Extractor) -> Aim:
    """By which of the numbers of `compare` the first of the metrics says that one generator is
    better than another; ValueError where it says nothing of that.
    """
    name, metric = next(iter(metrics.items()))
    if metric.aim is None:
        raise ValueError(
            f"{name} does not say which of two generators is better; name another metric first"
        )
    return metric.aim._replace(number=_named(metric.aim.number, metric, extractor))


def _named(number: str, metric: Metric, extractor: Extractor) -> str:
    return number if metric.stream.sees == "images" else extractor.named(number)


def _require_enough(metrics: Mapping[str, Metric], samples: int) -> None:
    if samples < 1 or not metrics:
        raise ValueError(f"{samples} samples and {len(metrics)} metrics; expected one of each")
    for name, metric in metrics.items():
        if samples < metric.least:
            raise ValueError(
                f"{name} needs {metric.least} samples or more; {samples} were asked for"
            )


def _require_large_enough(metrics: Mapping[str, Metric], real: data.Dataset) -> None:
    height, width = real.shape[:2]
    for name, metric in metrics.items():
        if min(height, width) < metric.smallest:
            raise ValueError(
                f"{name} needs images with sides of {metric.smallest} pixels or more; those of "
                f"{real.name} have {height}x{width}"
            )


def _is_of_use(extractor: Extractor, real: data.Dataset) -> bool:
    return extractor.channels in (None, real.shape[2])


def _require_of_use(extractor: Extractor, real: data.Dataset) -> None:
    if not _is_of_use(extractor, real):
        raise ValueError(
            f"the images of {real.name} have {real.shape[2]} channels, and the {extractor.label} "
            f"features are of {extractor.channels}: pip install 'jaxgan[features]' for those of "
            "color images, give the weights of FID's Inception with --inception FILE "
            f"({inception.PUBLISHED}), or measure swd, which needs no network"
        )


def _one(item: object) -> int:
    return 1


def _drawn(
    sample: Sample, count: int, seed: int, real: data.Dataset, roles: Sequence[str] = ()
) -> Iterator[np.ndarray]:
    """The samples, a piece at a time, each by a key of its own, asked for by what real examples
    hold in these roles.
    """
    key = jax.random.key(seed)
    for number, start in enumerate(range(0, count, PIECE)):
        n = min(PIECE, count - start)
        conditions = asked(real, roles, seed=seed, start=start, count=n)
        yield np.asarray(sample(jax.random.fold_in(key, number), n, **conditions))
