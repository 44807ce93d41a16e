"""Evaluation of a generator against real images, with the settings that the numbers depend on."""

from __future__ import annotations

import pathlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np
from jax.sharding import Mesh

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
    spectrum,
    statistics_cache,
    streaming,
)
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.streaming import Aim, Metric, Show
from jaxgan.nn.efficientnet import VARIANTS, installed
from jaxgan.types import GAN, Array

METRICS: Mapping[str, Callable[..., Metric]] = {
    "fid": fid.metric,
    "fid_infinity": fid.infinity_metric,
    "kid": kid.metric,
    "prdc": prdc.metric,
    "inception_score": inception_score.metric,
    "swd": sliced_wasserstein.metric,
    "ms_ssim": msssim.metric,
    "spectrum": spectrum.metric,
}
"""The metrics by name, each with its default settings."""

SHARED = frozenset({"fid", "fid_infinity", "kid", "prdc"})
"""The metrics whose computation several devices can share."""

Sample = Callable[..., Array]
"""`sample(key, n, **conditions)`: n images [n, H, W, C] in [-1, 1], or n arrays [n, ..., C] in the
units of the model, as `TrainedModel.sample` draws them.
"""

Real: TypeAlias = "data.Dataset | data.Arrays"
"""What generated examples are compared with: images, or arrays of values of any range."""

USUAL = ("fid", "kid", "prdc")
"""The default metrics if the network is suited to the images."""

WITHOUT_NETWORK = ("swd", "ms_ssim")
"""The default metrics if it is not."""

OF_VALUES = ("swd", "spectrum", "kid", "prdc")
"""The metrics of arrays: those that are defined for their shape are the default."""

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


def chosen(names: Sequence[str], *, mesh: Mesh | None = None) -> dict[str, Metric]:
    """Returns the metrics of these names, each with its default settings.

    Args:
        names: The names, of `METRICS`.
        mesh: Devices to share the products of features; None for one.

    Raises:
        ValueError: If a name is unknown, or no name is given.
    """
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        asked = repr(unknown[0]) if unknown else "no metric"
        raise ValueError(f"{asked} was asked for; expected some of {', '.join(METRICS)}")
    return {name: METRICS[name](**({"mesh": mesh} if name in SHARED else {})) for name in names}


def usual(real: Real, extractor: Extractor) -> tuple[str, ...]:
    """Returns the names of the default metrics for these images.

    These are the metrics of the network's features if the network is suited to the images.
    Otherwise they are the metrics without a network that are defined for images of this size, if
    any. Of arrays they are `OF_VALUES`, those that are defined for their shape.

    Args:
        real: The real images or arrays.
        extractor: The network.
    """
    if isinstance(real, data.Arrays):
        return _of_shape(real.shape)
    large = [name for name in WITHOUT_NETWORK if min(real.shape[:2]) >= METRICS[name]().smallest]
    if _is_of_use(extractor, real) or not large:
        return USUAL
    return tuple(large)


def extractor_for(
    real: Real,
    inception: str | pathlib.Path | None = None,
    *,
    efficientnet: str | pathlib.Path | None = None,
    **options: Any,
) -> Extractor:
    """Returns the feature extractor for these images (see `extractor_of`), or for arrays.

    The features of arrays are their values (see `features.of_values`).

    Args:
        real: The real images or arrays.
        inception: The file of Inception's weights.
        efficientnet: EfficientNet 'lite0' or 'lite1', or a file of the weights of either.
        **options: Further options of `extractor_of`.

    Raises:
        ValueError: If a file is given for arrays, and for the reasons of `extractor_of`.
    """
    if isinstance(real, data.Dataset):
        channels = real.shape[2]
        return extractor_of(inception, efficientnet=efficientnet, channels=channels, **options)
    given = inception or efficientnet
    if given is not None:
        raise ValueError(
            f"{real.name} holds floats of any range, and the network of {given} sees images of "
            f"{features.LEVELS} levels: leave it out; {_what_works(real)}"
        )
    return features.of_values()


def extractor_of(
    inception: str | pathlib.Path | None,
    *,
    sha256: str | None = None,
    efficientnet: str | pathlib.Path | None = None,
    efficientnet_sha256: str | None = None,
    judge: str = "lite0",
    channels: int = 1,
    cache: bool = False,
    mesh: Mesh | None = None,
) -> Extractor:
    """Returns the feature extractor: the network with the given weights, or a default.

    If no network is given, the default is `judge` for images of 3 or 4 channels if the extra
    `features` is installed, and the proxy for others, which is made for gray images. Without the
    extra, color images get the proxy, too, which `evaluator` refuses where features count.

    Args:
        inception: The file of Inception's weights.
        sha256: First digits of that file's sha256, which is checked.
        efficientnet: EfficientNet 'lite0' or 'lite1', or a file of the weights of either.
        efficientnet_sha256: First digits of that file's sha256, which is checked.
        judge: EfficientNet of the default for color images; if it is not installed, Lite0.
        channels: Number of channels of the images; it selects the default.
        cache: Whether a copy of the extra's weights is kept in the user's cache folder.
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If both files are given, or a file is not of its network.
    """
    if inception is not None and efficientnet is not None:
        raise ValueError(
            f"both {inception} and {efficientnet} were given; give the weights of one network"
        )
    if inception is not None:
        return features.of_inception(inception, sha256=sha256, mesh=mesh)
    if efficientnet is None and (channels == 1 or channels not in data.bands.PICTURES):
        return features.proxy(mesh=mesh)
    folder = files.cache_folder("weights") if cache else None
    if efficientnet is None and judge != "lite0" and installed(VARIANTS[judge]):
        efficientnet = judge
    found = features.of_efficientnet(
        efficientnet, sha256=efficientnet_sha256, folder=folder, mesh=mesh
    )
    return found or features.proxy(mesh=mesh)  # `evaluator` refuses it if features are needed


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
    _require_levels(extractor, real)
    if isinstance(real, data.Arrays):
        _require_of_values(metrics, real)
        _require_examples(metrics, real)
        _require_memory(real, samples)
    _require_enough(metrics, samples)
    _require_large_enough(metrics, real)
    streams = [metric.stream for metric in metrics.values()]
    sights = streaming.sights(streams)
    if set(sights) - {"images"} and isinstance(real, data.Dataset):
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


def _require_enough(metrics: Mapping[str, Metric], samples: int) -> None:
    if samples < 1 or not metrics:
        raise ValueError(f"{samples} samples and {len(metrics)} metrics; expected one of each")
    for name, metric in metrics.items():
        if samples < metric.least:
            raise ValueError(
                f"{name} needs {metric.least} samples or more; {samples} were asked for"
            )


def _of_shape(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Returns the metrics of arrays that are defined for examples of this shape."""
    metrics = {name: METRICS[name]() for name in OF_VALUES}
    return tuple(
        name
        for name, metric in metrics.items()
        if metric.stream.sees == "features"
        or (len(shape) == 3 and min(shape[:2]) >= metric.smallest)
    )


def _what_works(real: data.Arrays) -> str:
    """Returns a clause that names the metrics of these arrays."""
    *others, last = _of_shape(real.shape)
    return f"the metrics {', '.join(others)} and {last} work for them"


def _require_levels(extractor: Extractor, real: Real) -> None:
    """Raises ValueError for features of levels of arrays, or of values of images."""
    if isinstance(real, data.Arrays) != extractor.rounded:
        return
    if isinstance(real, data.Arrays):
        raise ValueError(
            f"{real.name} holds floats of any range, and the {extractor.label} features see images "
            f"of {features.LEVELS} levels: use features.of_values(), or features of your own with "
            "of_function(..., rounded=False)"
        )
    raise ValueError(
        f"the images of {real.name} are compared in {features.LEVELS} levels, and the "
        f"{extractor.label} features see values of any range: make them with "
        "of_function(..., rounded=True)"
    )


def _require_of_values(metrics: Mapping[str, Metric], real: data.Arrays) -> None:
    """Raises ValueError for metrics that are not defined for floats of any range and shape."""
    for name, metric in metrics.items():
        if not metric.of_values:
            raise ValueError(
                f"{name} compares images of {features.LEVELS} levels, and {real.name} holds floats "
                f"of any range: {_what_works(real)}"
            )
        if metric.stream.sees == "images" and len(real.shape) != 3:
            raise ValueError(
                f"{name} compares images [H, W, C], and the examples of {real.name} have shape "
                f"{list(real.shape)}: {_what_works(real)}"
            )


def _require_examples(metrics: Mapping[str, Metric], real: data.Arrays) -> None:
    """Raises ValueError if there are fewer real examples than a metric of features needs."""
    for name, metric in metrics.items():
        if metric.stream.sees == "features" and len(real) < metric.least:
            raise ValueError(
                f"{name} needs {metric.least} real examples or more, and these of {real.name} are "
                f"{len(real)}: hold out more of them, or compare with training examples "
                "(--split train)"
            )


def _require_memory(real: data.Arrays, samples: int) -> None:
    """Raises DataError if the values of all examples do not fit into memory."""
    size = int(np.prod(real.shape)) * (samples + len(real))
    needed = size * (np.dtype(np.float32).itemsize + np.dtype(np.float64).itemsize)
    what = f"the values of {samples} samples and {len(real)} examples"
    data.memory.require(needed, name=real.name, what=what)


def _require_large_enough(metrics: Mapping[str, Metric], real: Real) -> None:
    for name, metric in metrics.items():
        if metric.smallest == 1:
            continue
        height, width = real.shape[:2]
        if min(height, width) < metric.smallest:
            raise ValueError(
                f"{name} needs images with sides of {metric.smallest} pixels or more; those of "
                f"{real.name} have {height}x{width}"
            )


def _is_of_use(extractor: Extractor, real: data.Dataset) -> bool:
    return extractor.takes(real.shape[2])


def _require_of_use(extractor: Extractor, real: data.Dataset) -> None:
    if _is_of_use(extractor, real):
        return
    channels = real.shape[2]
    if channels not in data.bands.PICTURES:
        raise ValueError(
            f"the images of {real.name} have {channels} channels, and networks of features see "
            "images of 1, 3 or 4: use the metrics swd and ms_ssim, which need no network, or "
            "features of your own (metrics.features.of_function)"
        )
    raise ValueError(
        f"the images of {real.name} have {channels} channels, and the {extractor.label} "
        f"features are of {extractor.channels}: pip install 'jaxgan[features]' for features of "
        "color images, give the weights of FID's Inception with --inception FILE "
        f"({inception.PUBLISHED}), or use the metric swd, which needs no network"
    )


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
