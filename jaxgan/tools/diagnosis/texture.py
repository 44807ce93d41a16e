"""Signals finer than a thumbnail: a checkerboard, noise, or less detail than real images.

All use the brightness, at the images' full size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import distances, psnr_ssim, spectrum
from jaxgan.tools.diagnosis.finding import Finding

LEAST_SIDE = 16
"""The smallest side of images, in pixels: in smaller ones a spectral peak has no neighbors."""

CHECKERED = 4.0
"""Ratio, at a frequency of a grid (`PERIODS`), from which on samples show a checkerboard.

It is the samples' power there over that of the surrounding frequencies, both relative to real
images. For 1,000 images of clothes against others it is 1.2 at most.
"""

PERIODS = (2, 4, 8, 16)
"""Periods, in pixels, of the patterns of stacked convolutions of stride 2."""

LEAST_LEVELS = 2.0
"""Amplitude of a pattern, in levels of 255, below which it is invisible."""

USUAL = 0.9
"""Fraction of held-out images whose detail must differ less, in the same direction."""

APART = 0.3
"""The smallest difference of log10 power that matters, a factor of 2."""

OCTAVES = ((0.25, 1.0), (0.125, 0.25))
"""Frequency bands that are compared image by image, in cycles per pixel, from and to.

They are structures of up to 4 pixels, and of 4 to 8 pixels.
"""

DETAILS = ("structure of up to 4 pixels", "structure of 4 to 8 pixels", "noise in quiet parts")
"""The columns of `Texture.detail`."""

_APART = 7  # the least distance between a grid's frequencies, which need neighbors around them
_BLOCK = 4  # pixels of a side of the blocks whose quietest quarter is examined
_CHUNK = 100  # images processed at a time


class Texture(NamedTuple):
    """The fine structure of images.

    Attributes:
        power: Mean power of each frequency, in squared levels (of 255), float64 [H, W].
        detail: log10 of the mean power of each image in each of `OCTAVES`, and of `quiet`, float64
            [N, 3].
    """

    power: np.ndarray
    detail: np.ndarray


class Compared(NamedTuple):
    """The texture of samples compared with that of real images.

    Attributes:
        excess: Ratio of the samples' power to that of the surrounding frequencies, at the worst
            frequency of a grid.
        levels: Amplitude of that pattern, in levels.
        period: Period of that pattern, in pixels.
        detail: For each of `DETAILS`, the median over the samples of log10 of their power over that
            of the most similar training image.
        usual: For each of `DETAILS`, the lowest and the highest usual value for held-out images.
    """

    excess: float
    levels: float
    period: float
    detail: tuple[float, ...]
    usual: tuple[tuple[float, float], ...]


def why_not(shape: tuple[int, ...]) -> str | None:
    """Returns why images of this shape (H, W, C) have no texture to compare; None if they have."""
    height, width, channels = shape
    if channels not in (1, 3, 4):
        return f"images of {channels} channels have no brightness"
    if min(height, width) < LEAST_SIDE:
        return f"images of {height}x{width} pixels are too small for a spectrum"
    return None


def of(images: np.ndarray) -> Texture:
    """Computes the texture of images [N, H, W, C] in [-1, 1]."""
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
    """Compares the texture of samples with that of training and held-out images.

    Args:
        generated: The texture of the samples.
        known: The texture of training images.
        unknown: The texture of held-out images.
        rows: The thumbnails [N, F] of the three.
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
    """Returns what is wrong with the samples' texture, if anything."""
    return checkered(found) or strange(found)


def checkered(found: Compared) -> Finding | None:
    """Detects a pattern that repeats every few pixels, as transposed convolutions cause it.

    References:
        Odena et al. 2016, Deconvolution and Checkerboard Artifacts.
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
    """Detects more or less detail than in real images that look like the samples: noise or blur."""
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
    """Returns the measurements of the samples' texture."""
    over = zip(DETAILS, found.detail, strict=True)
    return {
        "checkerboard, levels of 255": found.levels,
        **{f"{what}, over that of real images": 10**ours for what, ours in over},
    }


def quiet(levels: np.ndarray) -> np.ndarray:
    """Computes the roughness of the quiet parts of images [N, H, W], float64 [N].

    It is in squared levels, and it is the first quartile over blocks of the image. Slopes and
    straight edges are not rough. The power of an invisible pattern (`LEAST_LEVELS`) is added.
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
    """Returns the frequencies in a band of cycles per pixel, bool [H, W]."""
    cycles = _cycles(height, width)
    return (cycles > first) & (cycles <= last)


def _cycles(height: int, width: int) -> np.ndarray:
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))


def _pattern(ours: np.ndarray, real: np.ndarray) -> tuple[float, float, float]:
    """Returns `excess`, `levels` and `period` of a spectrum [H, W] relative to real images."""
    ratio = ours / real
    found = (1.0, 0.0, 2.0)
    for period in PERIODS:
        if min(ours.shape) < _APART * period:
            break
        for down, across in _grid(ours.shape, period):
            around = _around(ratio, down, across)
            excess = float(ratio[down, across] / around)
            more = ours[down, across] - around * real[down, across]
            # Under the window w, a wave of amplitude a has the power a^2 sum(w)^2 / sum(w^2).
            levels = float(np.sqrt(max(more, 0.0) / spectrum.gain(*ours.shape)))
            if excess > found[0] and levels > 0:
                found = max(found, (excess, levels, float(period)))
    return found


def _grid(shape: tuple[int, ...], period: int) -> list[tuple[int, int]]:
    """Returns the frequencies of patterns that repeat every `period` pixels, except the mean."""
    steps = [[round(side * k / period) for k in range(period // 2 + 1)] for side in shape]
    across = [*steps[1], *(shape[1] - at for at in steps[1][1:] if 2 * at < shape[1])]
    return [(at, to) for at in steps[0] for to in across if at or to]


def _around(ratio: np.ndarray, down: int, across: int) -> float:
    """Returns the median ratio at the frequencies around one, at most 3 steps away.

    The nearest frequencies are left out, as the window mixes them with this one. So are the
    frequencies of the mean.
    """
    steps = np.arange(-3, 4)
    far = np.maximum(np.abs(steps)[:, None], np.abs(steps)) > 1
    height, width = ratio.shape
    rows, columns = np.broadcast_arrays((down + steps)[:, None] % height, (across + steps) % width)
    far &= (rows > 1) | (columns > 1)
    return float(np.median(ratio[rows[far], columns[far]]))
