"""Feature extractors of metrics: networks that give features and perhaps class probabilities.

Every image, real or generated, is rounded to 256 levels first; fields of values of any range are
not (`of_values`). The extractor's label is part of
each metric's name, as the numbers of two networks do not compare. Only Inception with the weights
of 2015 has the plain names of the papers.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.resources
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxgan import data
from jaxgan.data import resizing
from jaxgan.metrics import garments, imagenet, inception
from jaxgan.metrics.streaming import Piece, Sight
from jaxgan.nn import efficientnet

LEVELS = 256
"""Number of levels of a pixel in all metrics."""

Sees = Callable[[np.ndarray], tuple[np.ndarray, "np.ndarray | None"]]
"""Pixels uint8 [N, H, W, C] to features [N, F] and class probabilities [N, K], or None for these.
"""


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A network that gives the features of metrics.

    Attributes:
        label: Prefix of the name of every metric computed from it, such as 'proxy'. It is '' for
            the network of the papers.
        see: The network.
        settings: What determines the features, by name, such as the sha256 of the weights.
        channels: Number of channels of the images that it is made for; None for any.
        colored: Whether it sees images in color, so that they need 1, 3 or 4 channels.
        rounded: Whether all images are rounded to `LEVELS` first. If not, it sees values of any
            range as they are: float32 [N, ..., C], to features [N, F].
        names: New names of metrics whose usual name belongs to another network, such as 'frechet'
            for 'fid'.
    """

    label: str
    see: Sees
    settings: Mapping[str, Any]
    channels: int | None = None
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    colored: bool = False
    rounded: bool = True

    def takes(self, channels: int) -> bool:
        """Returns whether it is suited to images of so many channels."""
        fits = channels in data.bands.PICTURES if self.colored else True
        return fits and self.channels in (None, channels)

    def named(self, metric: str) -> str:
        """Returns the name of a metric with the label, such as 'proxy_fid'."""
        metric = self.names.get(metric, metric)
        return f"{self.label}_{metric}" if self.label else metric


def proxy(*, mesh: Mesh | None = None) -> Extractor:
    """Returns the extractor of the embedded classifier of garments.

    It ranks models of garments. Its numbers do not compare with published ones.

    Args:
        mesh: Devices to share the work; None for one.
    """

    def see(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, features = garments.judge(garments.fitted(data.to_float(pixels)), mesh=mesh)
        return features, probabilities

    folder = importlib.resources.files("jaxgan.metrics") / "weights"
    weights = (folder / garments.WEIGHTS).read_bytes()
    settings = {
        "network": "the embedded classifier of garments, a proxy",
        "sha256 of its weights": hashlib.sha256(weights).hexdigest(),
        "features": "the mean of its last maps, 128",
        "size": "28x28 gray, cropped and scaled by Lanczos",
    }
    return Extractor("proxy", see, settings, channels=garments.SHAPE[2])


def of_inception(
    path: str | pathlib.Path, *, sha256: str | None = None, mesh: Mesh | None = None
) -> Extractor:
    """Returns Inception-v3 with FID's weights, read from a file that the user provides.

    The metrics have their plain names only with the file of 2015 that published numbers use. With
    any other weights their names begin with 'unverified'.

    Args:
        path: The file of weights, .pth or .safetensors.
        sha256: First digits of the file's sha256, checked as in
            `jaxgan.nn.pretrained_weights.load`.
        mesh: Devices to share the work; None for one.

    Raises:
        ValueError: If the sha256 does not match, or the weights are not of this network.
    """
    variables = inception.load(path, sha256=sha256)
    found = hashlib.sha256(pathlib.Path(path).expanduser().read_bytes()).hexdigest()
    known = found == inception.SHA256
    settings = {
        "network": "Inception-v3 of 2015-12-05" if known else "Inception-v3 of unverified weights",
        "sha256 of its weights": found,
        "features": "pool3, 2048",
        "probabilities": "softmax of 1008 logits without their bias",
        "size": "299x299 color, bilinear as TensorFlow 1",
    }
    see = functools.partial(_in_color, functools.partial(inception.see, variables, mesh=mesh))
    return Extractor("" if known else "unverified", see, settings, colored=True)


_NOT_INCEPTIONS = {
    "fid": "frechet",
    "fid_infinity": "frechet_infinity",
    "kid": "kernel",
    "kid_deviation": "kernel_deviation",
    "inception_score": "class_score",
    "inception_score_deviation": "class_score_deviation",
    "inception_score_of_real": "class_score_of_real",
}
"""Names of the same metrics without Inception, for features of other networks."""


def of_efficientnet(
    network: str | pathlib.Path | None = None,
    *,
    sha256: str | None = None,
    folder: pathlib.Path | None = None,
    mesh: Mesh | None = None,
) -> Extractor | None:
    """Returns EfficientNet-Lite0 or Lite1, trained on ImageNet, or None if there is none.

    It ranks models of images of any size. Its label is part of the metrics' names, and its numbers
    do not compare with published ones.

    Args:
        network: 'lite0' or 'lite1', with the weights of the extra `features`, or a file of the
            weights of either, .pth or .safetensors. None: Lite0, if the extra is installed.
        sha256: First digits of the file's sha256, checked as in
            `jaxgan.nn.pretrained_weights.load`.
        folder: Where a copy of the extra's weights is kept; None keeps none.
        mesh: Devices to share the work; None for one.

    Returns:
        The extractor, or None if no network is given and the extra is not installed.

    Raises:
        ValueError: If the network that was named is not installed, the sha256 does not match, or
            the weights are of another network.
    """
    name = "lite0" if network is None else str(network)
    variant = efficientnet.VARIANTS.get(name)
    if variant is not None:
        variables, found = efficientnet.packaged(folder=folder, variant=variant), variant.sha256
        if variables is None and network is None:
            return None
        if variables is None:
            raise ValueError(f"{variant.title} is not installed: pip install 'jaxgan[features]'")
    else:
        variant, variables = efficientnet.of_file(name, sha256=sha256)
        found = hashlib.sha256(pathlib.Path(name).expanduser().read_bytes()).hexdigest()
    settings = {
        "network": f"{variant.title} of ImageNet",
        "sha256 of its weights": found,
        "features": "the mean of its last maps, 1280",
        "probabilities": "softmax of 1000 logits",
        "size": f"{imagenet.SIDE}x{imagenet.SIDE} color, bilinear, smoothed where it shrinks",
    }
    see = functools.partial(imagenet.see, variables, variant=variant, mesh=mesh)
    label = variant.title.lower().replace("-", "_")
    return Extractor(
        label, functools.partial(_in_color, see), settings, names=_NOT_INCEPTIONS, colored=True
    )


def of_values() -> Extractor:
    """Returns the extractor whose features are the values themselves, each example flattened.

    It is for examples of any shape and range, which no network knows. All values count alike, so
    that a transform such as `standardize` should have brought them to one scale.
    """

    def see(values: np.ndarray) -> tuple[np.ndarray, None]:
        return values.reshape(len(values), -1), None

    settings = {"network": "none: the values of each example, in the units of the model"}
    return Extractor("values", see, settings, names=_NOT_INCEPTIONS, rounded=False)


def of_function(
    function: Callable[[np.ndarray], Any],
    *,
    name: str,
    settings: Mapping[str, Any] | None = None,
    rounded: bool = True,
) -> Extractor:
    """Returns the extractor of a user's function.

    Args:
        function: A function of images float32 [N, H, W, C] in [-1, 1] to features [N, F]; of
            values float32 [N, ..., C] of any range if they are not rounded.
        name: Label of the metrics' names. Together with `settings` it is part of the key of cached
            statistics.
        settings: What changes the function, by name, such as a digest of its weights.
        rounded: Whether images are rounded to `LEVELS`; False for values of any range, such as
            those of `arrays:` data.

    Raises:
        ValueError: If the name is empty.
    """
    if not name:
        raise ValueError("the features have no name; give one, which labels their numbers")

    def see(seen: np.ndarray) -> tuple[np.ndarray, None]:
        return np.asarray(function(data.to_float(seen) if rounded else seen)), None

    return Extractor(name, see, {"network": name, **(settings or {})}, rounded=rounded)


def pieces(
    images: Iterable[np.ndarray], extractor: Extractor, sights: Iterable[Sight]
) -> Iterator[Piece]:
    """Yields the inputs of metrics for each batch of images.

    The network is run only if its features or probabilities are needed.

    Args:
        images: Batches of images [N, H, W, C], uint8 or floats in [-1, 1]; or of values [N, ..., C]
            of any range, if the extractor does not round them to levels.
        extractor: The network that gives features and probabilities.
        sights: The inputs needed: 'images', 'features', 'probabilities'.

    Raises:
        ValueError: If probabilities are needed and the network gives none.
    """
    wanted = set(sights)
    for given in images:
        pixels = np.asarray(given)
        if extractor.rounded and pixels.dtype != np.uint8:
            pixels = data.to_uint8(pixels)
        seen: dict[str, np.ndarray] = {"images": pixels}
        if wanted - {"images"}:
            features, probabilities = extractor.see(pixels)
            seen["features"] = features
            if probabilities is not None:
                seen["probabilities"] = probabilities
            elif "probabilities" in wanted:
                raise ValueError(
                    f"the features {extractor.label!r} give no class probabilities, which the "
                    "Inception score is computed from"
                )
        yield seen


def _in_color(see: Sees, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    return see(resizing.convert_channels(pixels, 3))
