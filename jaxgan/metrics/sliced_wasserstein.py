"""The sliced Wasserstein distance of two sets of images on patches of their Laplacian pyramids.

It measures the difference at each scale. As in the authors' code, levels go from the images' own
size down to 16 pixels, with 128 patches of 7x7 per image and level. Every channel of a level is
scaled to mean 0 and standard deviation 1 over all patches. There are 512 directions. The paper's
numbers are for 16,384 images, times 1000.

References:
    Karras et al. 2018 (arXiv 1710.10196), section 5.
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
    """The distance at each level of the pyramid, finest first.

    Attributes:
        distances: The distances.
        sizes: The sizes (H, W) of the levels.
    """

    distances: tuple[float, ...]
    sizes: tuple[tuple[int, int], ...]


def sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Returns the sizes (H, W) of the pyramid's levels, halved while both are even and 16 or more.

    Args:
        height: Height of the images.
        width: Width of the images.

    Raises:
        ValueError: If the images are smaller than a patch.
    """
    if min(height, width) < PATCH:
        raise ValueError(f"images of {height}x{width} have no patch of {PATCH}x{PATCH}")
    found = [(height, width)]
    while all(side % 2 == 0 and side // 2 >= SMALLEST for side in found[-1]):
        found.append((found[-1][0] // 2, found[-1][1] // 2))
    return tuple(found)


def pyramid(images: np.ndarray) -> list[np.ndarray]:
    """Computes the Laplacian pyramid of images [N, H, W, C], float32, finest level first.

    Each level is the difference to the next one, upsampled. The last is the low-pass remainder.
    """
    levels = [np.asarray(images, np.float32)]
    for _ in sizes(*images.shape[1:3])[1:]:
        smaller = _blurred(levels[-1])[:, ::2, ::2]
        levels[-1] = levels[-1] - _enlarged(smaller)
        levels.append(smaller)
    return levels


def patches(images: np.ndarray, *, per_image: int = 128, seed: int = 0) -> np.ndarray:
    """Extracts random 7x7 patches of every level, float32 [N, L, P, 7, 7, C].

    The positions in the i-th image depend only on (seed, i), so that equal images at equal indices
    have equal patches.

    Args:
        images: Images, [N, H, W, C].
        per_image: Number P of patches per image and level.
        seed: Seed of the positions.
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
    """Computes the sliced Wasserstein distance of two sets of patches, at each level.

    It is the mean absolute difference of the sorted projections on random directions.

    Args:
        generated: Patches of generated images, [N, L, P, 7, 7, C].
        real: Patches of real images, of the same shape.
        directions: Number of directions.
        seed: Seed of the directions.

    Raises:
        ValueError: If the shapes differ.
    """
    if generated.shape != real.shape:
        raise ValueError(
            f"the patches have shapes {generated.shape} and {real.shape}; expected as many images "
            "of one size in both sets"
        )
    draws = np.random.default_rng(seed)
    return tuple(
        _level_distance(_scaled(generated[:, level]), _scaled(real[:, level]), draws, directions)
        for level in range(real.shape[1])
    )


def sliced_wasserstein(
    generated: np.ndarray, real: np.ndarray, *, per_image: int = 128, seed: int = 0
) -> Levels:
    """Computes the distances of two sets of images, times 1000.

    Args:
        generated: Generated images, [N, H, W, C], of any range.
        real: Real images, of the same shape.
        per_image: Number of patches per image and level.
        seed: Seed of the positions and directions.

    Raises:
        ValueError: If the shapes differ.
    """
    left, right = (patches(side, per_image=per_image, seed=seed) for side in (generated, real))
    found = distance(left, right, seed=seed)
    return Levels(tuple(1000 * level for level in found), sizes(*real.shape[1:3]))


def metric(*, per_image: int = 128, directions: int = 512, seed: int = 0) -> Metric:
    """Returns the distances, times 1000, as a metric.

    'swd_1' is the distance at the finest level, 'swd_2' at the next, and so on; 'swd' is their
    mean. If one set is larger, evenly spaced images of it are used.

    Args:
        per_image: Number of patches per image and level.
        directions: Number of directions.
        seed: Seed of the positions and directions.
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
    # The stream keeps images, not patches, which take dozens of times the memory.
    aim = streaming.Aim("swd", "lowest")
    return Metric(streaming.IMAGES, compute, settings, smallest=PATCH, aim=aim, of_values=True)


def _scaled(patches: np.ndarray) -> np.ndarray:
    """Standardizes each channel of patches [N, P, 7, 7, C], flattened to [N * P, 49 * C]."""
    axes = (0, 1, 2, 3)
    deviation = np.std(patches, axis=axes, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1.0)  # a constant channel becomes 0
    scaled = (patches - np.mean(patches, axis=axes, dtype=np.float64)) / scale
    return scaled.astype(np.float32).reshape(-1, PATCH * PATCH * patches.shape[-1])


def _level_distance(
    left: np.ndarray, right: np.ndarray, draws: np.random.Generator, directions: int
) -> float:
    """Computes the mean distance of vectors [M, D] over random directions, a few at a time."""
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
    """Applies the binomial filter to images [N, H, W, C], mirrored at the edges."""
    for axis in (1, 2):
        margin = [(2, 2) if number == axis else (0, 0) for number in range(4)]
        padded, side = np.pad(images, margin, mode="reflect"), images.shape[axis]
        images = np.zeros_like(images)
        for at, weight in enumerate(_BINOMIAL):
            images += weight * np.take(padded, range(at, at + side), axis)
    return images


def _enlarged(images: np.ndarray) -> np.ndarray:
    """Upsamples images [N, H, W, C] by 2: zeros between the pixels, blurred, times 4."""
    count, height, width, channels = images.shape
    spread = np.zeros((count, 2 * height, 2 * width, channels), np.float32)
    spread[:, ::2, ::2] = images
    return 4 * _blurred(spread)
