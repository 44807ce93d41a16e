"""Which metrics and which feature network evaluate given images or arrays."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from jax.sharding import Mesh

from jaxgan import data, files
from jaxgan.metrics import (
    features,
    fid,
    inception_score,
    kid,
    msssim,
    prdc,
    sliced_wasserstein,
    spectrum,
)
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.streaming import Metric
from jaxgan.nn.efficientnet import VARIANTS, installed

Real: TypeAlias = "data.Dataset | data.Arrays"
"""What generated examples are compared with: images, or arrays of values of any range."""

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

USUAL = ("fid", "kid", "prdc")
"""The default metrics if the network is suited to the images."""

WITHOUT_NETWORK = ("swd", "ms_ssim")
"""The default metrics if it is not."""

OF_VALUES = ("swd", "spectrum", "kid", "prdc")
"""The metrics of arrays: those that are defined for their shape are the default."""


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
    if extractor.takes(real.shape[2]) or not large:
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
            f"{features.LEVELS} levels: leave it out; {what_works(real)}"
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
    extra, color images get the proxy, too, which `evaluation.evaluator` refuses where features
    count.

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
    return found or features.proxy(mesh=mesh)  # refused for color where features count


def _of_shape(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Returns the metrics of arrays that are defined for examples of this shape."""
    metrics = {name: METRICS[name]() for name in OF_VALUES}
    return tuple(
        name
        for name, metric in metrics.items()
        if metric.stream.sees == "features"
        or (len(shape) == 3 and min(shape[:2]) >= metric.smallest)
    )


def what_works(real: data.Arrays) -> str:
    """Returns a clause that names the metrics of these arrays.

    Args:
        real: The arrays.
    """
    *others, last = _of_shape(real.shape)
    return f"the metrics {', '.join(others)} and {last} work for them"
