"""The sliced Wasserstein distance of two sets of images on the patches of their Laplacian pyramids
(Karras et al. 2018, arXiv 1710.10196, section 5), which finds what differs at each scale.

As in the authors' code: levels from the images' own size down to 16 pixels, 128 patches of 7x7 an
image and level, every channel of a level scaled to mean 0 and deviation 1 over all patches, 512
directions. Their numbers are of 16,384 images, and are printed times 1000.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import streaming
from jaxgan.metrics.streaming import Metric, Rows

SMALLEST = 16
PATCH = 7
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


class Levels(NamedTuple):
    """The distance at each level, finest first, and the sides (H, W) of the levels."""

    distances: tuple[float, ...]
    sizes: tuple[tuple[int, int], ...]


def sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """The sides of the pyramid's levels: halved while both stay even and 16 or more.

    Raises ValueError on images smaller than a patch.
    """
    if min(height, width) < PATCH:
        raise ValueError(f"images of {height}x{width} have no patch of {PATCH}x{PATCH}")
    found = [(height, width)]
    while all(side % 2 == 0 and side // 2 >= SMALLEST for side in found[-1]):
        found.append((found[-1][0] // 2, found[-1][1] // 2))
    return tuple(found)


def pyramid(images: np.ndarray) -> list[np.ndarray]:
    """The Laplacian pyramid of images [N, H, W, C], float32, finest level first: each is what the
    next, enlarged, lacks; the last is what is left.
    """
    levels = [np.asarray(images, np.float32)]
    for _ in sizes(*images.shape[1:3])[1:]:
        smaller = _blurred(levels[-1])[:, ::2, ::2]
        levels[-1] = levels[-1] - _enlarged(smaller)
        levels.append(smaller)
    return levels


def patches(images: np.ndarray, *, per_image: int = 128, seed: int = 0) -> np.ndarray:
    """Random 7x7 patches of every level of images [N, H, W, C], float32 [N, L, P, 7, 7, C].

    Where those of the i-th image lie depends on (seed, i) alone, so that equal images at equal
    places have equal patches.
    """
    levels = pyramid(images)
    found = np.empty((len(images), len(levels), per_image, PATCH, PATCH, images.shape[3]), "f4")
    for index in range(len(images)):
        draws = np.random.default_rng([seed, index])
        for number, level in enumerate(levels):
            windows = np.lib.stride_tricks.sliding_window_view(level[index], (PATCH, PATCH), (0, 1))
            top, left = (draws.integers(side, size=per_image) for side in windows.shape[:2])
            found[index, number] = np.moveaxis(windows[top, left], 1, -1)
    return found


def distance(
    generated: np.ndarray, real: np.ndarray, *, directions: int = 512, seed: int = 0
) -> tuple[float, ...]:
    """The sliced Wasserstein distance, at each level, of two sets of patches [N, L, P, 7, 7, C].

    It is the mean absolute difference of the sorted projections on random directions. Raises
    ValueError where the sets differ in shape.
    """
    if generated.shape != real.shape:
        raise ValueError(
            f"the patches have shapes {generated.shape} and {real.shape}; expected as many images "
            "of one size on both sides"
        )
    draws = np.random.default_rng(seed)
    return tuple(
        _level_distance(_scaled(generated[:, level]), _scaled(real[:, level]), draws, directions)
        for level in range(real.shape[1])
    )


def sliced_wasserstein(
    generated: np.ndarray, real: np.ndarray, *, per_image: int = 128, seed: int = 0
) -> Levels:
    """The distances, times 1000, of images [N, H, W, C] of any range, as many on both sides.

    Raises ValueError where the sets differ in shape.
    """
    left, right = (patches(side, per_image=per_image, seed=seed) for side in (generated, real))
    found = distance(left, right, seed=seed)
    return Levels(tuple(1000 * level for level in found), sizes(*real.shape[1:3]))


def metric(*, per_image: int = 128, directions: int = 512, seed: int = 0) -> Metric:
    """The distances times 1000 as a metric: 'swd_1' of the finest level, 'swd_2', ... and their
    mean 'swd'; of two sets that differ in number, as many spread evenly over the larger one.
    """

    def compute(generated: Rows, real: Rows) -> dict[str, float]:
        count = min(len(generated.rows), len(real.rows))
        chosen = (
            side.rows[np.arange(count) * len(side.rows) // count] for side in (generated, real)
        )
        sides = [patches(images, per_image=per_image, seed=seed) for images in chosen]
        found = [1000 * level for level in distance(*sides, directions=directions, seed=seed)]
        by_level = {f"swd_{number}": level for number, level in enumerate(found, start=1)}
        return {**by_level, "swd": float(np.mean(found))}

    settings = {"patches an image and level": per_image, "directions": directions, "seed": seed}
    # The images, not their patches: those take dozens of times their memory.
    aim = streaming.Aim("swd", "lowest")
    return Metric(streaming.IMAGES, compute, settings, smallest=PATCH, aim=aim)


def _scaled(patches: np.ndarray) -> np.ndarray:
    """Patches [N, P, 7, 7, C] as rows [N * P, 49 * C], each channel of mean 0 and deviation 1."""
    axes = (0, 1, 2, 3)
    deviation = np.std(patches, axis=axes, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1.0)  # a constant channel stays at its mean, 0
    scaled = (patches - np.mean(patches, axis=axes, dtype=np.float64)) / scale
    return scaled.astype(np.float32).reshape(-1, PATCH * PATCH * patches.shape[-1])


def _level_distance(
    left: np.ndarray, right: np.ndarray, draws: np.random.Generator, directions: int
) -> float:
    """The mean distance of the rows [M, D] over random directions, a few of them at a time."""
    chosen = draws.normal(size=(directions, left.shape[1]))
    chosen /= np.linalg.norm(chosen, axis=1, keepdims=True)
    chosen = chosen.astype(np.float32)
    total = 0.0
    for start in range(0, directions, 16):
        few = chosen[start : start + 16]
        ours, theirs = (np.sort(few @ side.T, axis=1) for side in (left, right))
        total += float(np.sum(np.mean(np.abs(ours - theirs), axis=1, dtype=np.float64)))
    return total / directions


def _blurred(images: np.ndarray) -> np.ndarray:
    """The images [N, H, W, C] under the binomial filter, mirrored at the edges."""
    for axis in (1, 2):
        margin = [(2, 2) if number == axis else (0, 0) for number in range(4)]
        padded, side = np.pad(images, margin, mode="reflect"), images.shape[axis]
        images = np.zeros_like(images)
        for at, weight in enumerate(_BINOMIAL):
            images += weight * np.take(padded, range(at, at + side), axis)
    return images


def _enlarged(images: np.ndarray) -> np.ndarray:
    """The images [N, H, W, C] at twice their sides: zeros between the pixels, blurred, times 4."""
    count, height, width, channels = images.shape
    spread = np.zeros((count, 2 * height, 2 * width, channels), np.float32)
    spread[:, ::2, ::2] = images
    return 4 * _blurred(spread)
