"""What a metric looks at images through: a network that gives features and, perhaps, class
probabilities, under a name that says which.

Every image, real or generated, is seen as the 256 levels of a picture. Numbers of two networks do
not compare; only those of Inception with the weights of 2015 bear the plain names of the papers.
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

from jaxgan import data
from jaxgan.data import resizing
from jaxgan.metrics import garments, imagenet, inception
from jaxgan.metrics.streaming import Piece, Sight
from jaxgan.nn import efficientnet

LEVELS = 256
"""Of a pixel, as metrics see it."""

Sees = Callable[[np.ndarray], tuple[np.ndarray, "np.ndarray | None"]]
"""Pixels uint8 [N, H, W, C] to features [N, F] and class probabilities [N, K], or None."""


@dataclasses.dataclass(frozen=True)
class Extractor:
    """A network that metrics look through.

    label:    stands before the name of every metric computed from it: 'proxy', or '' for the one
              that the papers mean.
    see:      the network.
    settings: what decides its numbers, by name, such as the sha256 of its weights.
    channels: of the only images that it is of use for; None: any.
    names:    what numbers are called here whose usual name is another network's: 'frechet' for
              'fid'.
    """

    label: str
    see: Sees
    settings: Mapping[str, Any]
    channels: int | None = None
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def named(self, metric: str) -> str:
        """The name of a number under the label: 'proxy_fid'."""
        metric = self.names.get(metric, metric)
        return f"{self.label}_{metric}" if self.label else metric


def proxy() -> Extractor:
    """The embedded classifier of garments: it serves to rank models of garments, and its numbers
    compare with no published ones.
    """

    def see(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities, features = garments.judge(garments.fitted(data.to_float(pixels)))
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


def of_inception(path: str | pathlib.Path, *, sha256: str | None = None) -> Extractor:
    """Inception-v3 with the weights of FID in a file that the user brings, .pth or .safetensors.

    Its sha256 is checked as `jaxgan.nn.pretrained_weights.load` does; the plain names are for the
    one file of 2015 that published numbers are of, and 'unverified' stands before those of any
    other. Raises ValueError where the file is not what it should be, or not of this network.
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
    see = functools.partial(_in_color, functools.partial(inception.see, variables))
    return Extractor("" if known else "unverified", see, settings)


_NOT_INCEPTIONS = {
    "fid": "frechet",
    "fid_infinity": "frechet_infinity",
    "kid": "kernel",
    "kid_deviation": "kernel_deviation",
    "inception_score": "class_score",
    "inception_score_deviation": "class_score_deviation",
    "inception_score_of_real": "class_score_of_real",
}
"""What is measured by those metrics, without the network in their names."""


def of_efficientnet(
    path: str | pathlib.Path | None = None,
    *,
    sha256: str | None = None,
    folder: pathlib.Path | None = None,
) -> Extractor | None:
    """EfficientNet-Lite0 with the weights in a file that the user brings, or by default with those
    of the extra `features`; None where that is not installed.

    The network learned ImageNet: it serves to rank models of pictures of any size. Its numbers
    bear its name, and compare with no published ones. The sha256 of a file is checked as
    `jaxgan.nn.pretrained_weights.load` does; `folder` keeps a copy of the extra's weights. Raises
    ValueError where a file is not what it should be, or not of this network.
    """
    if path is None:
        variables, found = efficientnet.packaged(folder=folder), efficientnet.SHA256
        if variables is None:
            return None
    else:
        variables = efficientnet.load(path, sha256=sha256)
        found = hashlib.sha256(pathlib.Path(path).expanduser().read_bytes()).hexdigest()
    settings = {
        "network": "EfficientNet-Lite0 of ImageNet",
        "sha256 of its weights": found,
        "features": "the mean of its last maps, 1280",
        "probabilities": "softmax of 1000 logits",
        "size": f"{imagenet.SIDE}x{imagenet.SIDE} color, bilinear, smoothed where it shrinks",
    }
    see = functools.partial(_in_color, functools.partial(imagenet.see, variables))
    return Extractor("efficientnet_lite0", see, settings, names=_NOT_INCEPTIONS)


def of_function(
    function: Callable[[np.ndarray], Any], *, name: str, settings: Mapping[str, Any] | None = None
) -> Extractor:
    """A function of the user's, from images float32 [N, H, W, C] in [-1, 1] to features [N, F].

    `name` labels its numbers, and with `settings` decides which cached statistics are its own: give
    there what changes it, such as a digest of its weights. Raises ValueError on no name.
    """
    if not name:
        raise ValueError("the features have no name; give one, which labels their numbers")

    def see(pixels: np.ndarray) -> tuple[np.ndarray, None]:
        return np.asarray(function(data.to_float(pixels))), None

    return Extractor(name, see, {"network": name, **(settings or {})})


def pieces(
    images: Iterable[np.ndarray], extractor: Extractor, sights: Iterable[Sight]
) -> Iterator[Piece]:
    """What there is to see of images [N, H, W, C], piece by piece, uint8 or floats in [-1, 1]; the
    network is run only where its features or probabilities are asked for.

    Raises ValueError where probabilities are, and the network has none.
    """
    wanted = set(sights)
    for given in images:
        pixels = np.asarray(given)
        pixels = pixels if pixels.dtype == np.uint8 else data.to_uint8(pixels)
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
