"""Signals of what is finer than a thumbnail: samples with a checkerboard, with noise, or without
the detail of real images. All look at brightness, at the images' full size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import distances, psnr_ssim, spectrum
from jaxgan.tools.diagnosis.finding import Finding

LEAST_SIDE = 16
"""Pixels of the shorter side: of smaller images a peak has no neighbors to stand out from."""

CHECKERED = 4.0
"""How many times the power of samples at a frequency of a grid of 2 or 4 pixels exceeds that of the
frequencies around it, both over the power of real images there: of 1,000 images of clothes against
others of them it is 1.2 at most.
"""

PERIODS = (2, 4, 8, 16)
"""Pixels after which a pattern of stacked convolutions of stride 2 repeats."""

LEAST_LEVELS = 2.0
"""Levels, of 255, by which a pattern moves a pixel, below which nobody sees it."""

USUAL = 0.9
"""The share of other real images whose detail differs less, in the same direction."""

APART = 0.3
"""log10 of a factor of 2 in power: less is of no consequence."""

OCTAVES = ((0.25, 1.0), (0.125, 0.25))
"""Cycles a pixel, from and to, of what is compared image by image: structures of up to 4 pixels,
and of 4 to 8.
"""

DETAILS = ("structure of up to 4 pixels", "structure of 4 to 8 pixels", "noise in quiet parts")
"""What `Texture.detail` has of each image."""

_APART = 7  # steps between a grid's frequencies that leave room for what is around them
_BLOCK = 4  # pixels of a side of the parts of which the quietest quarter is looked at
_CHUNK = 100


class Texture(NamedTuple):
    """What images have of fine structure.

    power:  the mean power of each frequency, in squared levels (of 255), float64 [H, W].
    detail: log10 of the mean power of each image in each of `OCTAVES`, and of `quiet`, float64
            [N, 3].
    """

    power: np.ndarray
    detail: np.ndarray


class Compared(NamedTuple):
    """Samples next to real images.

    excess: how many times their power exceeds what surrounds it, at the grid's worst frequency.
    levels: by how many levels that pattern moves a pixel.
    period: of it, in pixels.
    detail: the median over the samples, for each of `DETAILS`, of log10 of their power over that of
            the training image that they look the most like.
    usual:  for each the lowest and the highest that is usual of held-out images.
    """

    excess: float
    levels: float
    period: float
    detail: tuple[float, ...]
    usual: tuple[tuple[float, float], ...]


def why_not(shape: tuple[int, ...]) -> str | None:
    """Why images of this shape (H, W, C) have no texture to compare; None where they have."""
    height, width, channels = shape
    if channels not in (1, 3, 4):
        return f"images of {channels} channels have no brightness"
    if min(height, width) < LEAST_SIDE:
        return f"images of {height}x{width} pixels are too small for a spectrum"
    return None


def of(images: np.ndarray) -> Texture:
    """The texture of images [N, H, W, C] in [-1, 1]."""
    octaves = [_octave(images.shape[1], images.shape[2], *span) for span in OCTAVES]
    total, detail = np.zeros(images.shape[1:3]), []
    for start in range(0, len(images), _CHUNK):
        levels = psnr_ssim.luminance(images[start : start + _CHUNK])
        power = spectrum.power(levels)
        total += power.sum(axis=0)
        found = [*(power[:, octave].mean(axis=1) for octave in octaves), quiet(levels)]
        detail.append(np.log10(found))
    return Texture(total / len(images), np.concatenate(detail, axis=1).T)


def compared(
    generated: Texture, known: Texture, unknown: Texture, *, rows: tuple[np.ndarray, ...]
) -> Compared:
    """Samples next to training images, and to held-out ones; `rows` are the thumbnails [N, F] of
    the three.
    """
    excess, levels, period = _pattern(generated.power, known.power)
    ours, others = (
        side.detail - known.detail[distances.nearest(small, rows[1])]
        for side, small in ((generated, rows[0]), (unknown, rows[2]))
    )
    low, high = np.quantile(others, [1 - USUAL, USUAL], axis=0)
    return Compared(
        excess,
        levels,
        period,
        tuple(np.median(ours, axis=0).tolist()),
        tuple(zip(low.tolist(), high.tolist(), strict=True)),
    )


def failing(found: Compared) -> Finding | None:
    """What is wrong with the samples' texture, if anything."""
    return checkered(found) or strange(found)


def checkered(found: Compared) -> Finding | None:
    """Samples with a pattern that repeats every 2 or 4 pixels, as transposed convolutions leave it
    (Odena et al. 2016, Deconvolution and Checkerboard Artifacts).
    """
    if found.excess < CHECKERED or found.levels < LEAST_LEVELS:
        return None
    return Finding(
        "checkered",
        f"The samples show a checkerboard: a pattern that repeats every {found.period:g} pixels.",
        None,
        {"power over that around it": found.excess, "levels of 255": found.levels},
    )


def strange(found: Compared) -> Finding | None:
    """Samples that have more detail of some kind, or less, than real images that look like them:
    noise, or blur.
    """
    for what, ours, (low, high) in zip(DETAILS, found.detail, found.usual, strict=True):
        if low <= ours <= high or abs(ours) < APART:
            continue
        kind, more = ("noisy", "more") if ours > 0 else ("blurred", "less")
        return Finding(
            kind,
            f"The samples are {kind}: they have {more} {what} than real images that look like "
            "them.",
            None,
            {"power over that of real images": 10**ours, "usual, from": 10**low, "to": 10**high},
        )
    return None


def numbers(found: Compared) -> dict[str, float]:
    """What was seen of the samples' texture."""
    over = zip(DETAILS, found.detail, strict=True)
    return {
        "checkerboard, levels of 255": found.levels,
        **{f"{what}, over that of real images": 10**ours for what, ours in over},
    }


def quiet(levels: np.ndarray) -> np.ndarray:
    """How rough the quiet parts of images [N, H, W] are, in squared levels, float64 [N]: what a
    quarter of the image stays below. Slopes and straight edges are not rough, and what nobody sees
    (`LEAST_LEVELS`) is added.
    """
    down = np.diff(levels, axis=1)
    rough = np.square(np.diff(down, axis=2) / 2)
    height, width = (side // _BLOCK * _BLOCK for side in rough.shape[1:])
    parts = rough[:, :height, :width].reshape(
        len(rough), height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK
    )
    means = parts.mean(axis=(2, 4)).reshape(len(rough), -1)
    return np.quantile(means, 0.25, axis=1) + LEAST_LEVELS**2


def _octave(height: int, width: int, first: float, last: float) -> np.ndarray:
    """The frequencies of that many cycles a pixel, bool [H, W]."""
    cycles = _cycles(height, width)
    return (cycles > first) & (cycles <= last)


def _cycles(height: int, width: int) -> np.ndarray:
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))


def _pattern(ours: np.ndarray, real: np.ndarray) -> tuple[float, float, float]:
    """The `excess`, `levels` and `period` of a spectrum [H, W] over that of real images."""
    ratio = ours / real
    found = (1.0, 0.0, 2.0)
    for period in PERIODS:
        if min(ours.shape) < _APART * period:
            break
        for down, across in _grid(ours.shape, period):
            around = _around(ratio, down, across)
            excess = float(ratio[down, across] / around)
            more = ours[down, across] - around * real[down, across]
            # A wave of amplitude a has, under the window, the power a^2 (its mean)^2 / mean square.
            levels = float(np.sqrt(max(more, 0.0) / spectrum.gain(*ours.shape)))
            if excess > found[0] and levels > 0:
                found = max(found, (excess, levels, float(period)))
    return found


def _grid(shape: tuple[int, ...], period: int) -> list[tuple[int, int]]:
    """The frequencies of patterns that repeat every `period` pixels each way, but for the mean."""
    steps = [[round(side * k / period) for k in range(period // 2 + 1)] for side in shape]
    across = [*steps[1], *(shape[1] - at for at in steps[1][1:] if 2 * at < shape[1])]
    return [(at, to) for at in steps[0] for to in across if at or to]


def _around(ratio: np.ndarray, down: int, across: int) -> float:
    """The median ratio of the frequencies 3 steps or less away, but for those that the window mixes
    with this one, and for the mean's.
    """
    steps = np.arange(-3, 4)
    far = np.maximum(np.abs(steps)[:, None], np.abs(steps)) > 1
    height, width = ratio.shape
    rows, columns = np.broadcast_arrays((down + steps)[:, None] % height, (across + steps) % width)
    far &= (rows > 1) | (columns > 1)
    return float(np.median(ratio[rows[far], columns[far]]))
