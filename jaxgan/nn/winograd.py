"""Stride-1 convolutions of 2x2 and 3x3 kernels, and their kernel gradients, with a third to a
quarter of the multiplications (Winograd 1980; Lavin & Gray 2016).

Polynomials are multiplied by their values at a few points. Which points decides the rounding: those
here lose less than 1e-5 of the largest magnitude in float32, where the customary (0, 1, -1, 2, -2)
lose more.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.types import Array

Pads = tuple[tuple[int, int], tuple[int, int]]
Grid = dict[tuple[int, int], Array]


class Algorithm(NamedTuple):
    """F(tile, taps): `tile` outputs of a kernel of `taps` as
    output^T [(kernel g) * (image d)], g of `taps` and d of tile + taps - 1 values.
    """

    tile: int
    taps: int
    output: np.ndarray
    kernel: np.ndarray
    image: np.ndarray

    @property
    def window(self) -> int:
        """Side of the piece of the image that a tile of outputs sees."""
        return self.tile + self.taps - 1


def algorithm(tile: int, taps: int, points: Sequence[Fraction | int]) -> Algorithm:
    """The algorithm that multiplies values at the points and at infinity (Toom and Cook)."""
    count = tile + taps - 1
    if len(points) != count - 1:
        raise ValueError(f"F({tile}, {taps}) takes {count - 1} points, not {len(points)}")

    def values(degree: int) -> list[list[Fraction]]:
        at_infinity = [Fraction(0)] * (degree - 1) + [Fraction(1)]
        return [[Fraction(p) ** k for k in range(degree)] for p in points] + [at_infinity]

    image = np.array(_inverse(values(count)), dtype=float).T
    # Powers of two are exact: each row's scale moves from the image to the kernel, which is small.
    scale = 2.0 ** np.round(np.log2(np.abs(image).max(axis=1, keepdims=True)))
    kernel = np.array(values(taps), dtype=float) * scale
    return Algorithm(tile, taps, np.array(values(tile), dtype=float), kernel, image / scale)


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """By Gauss and Jordan, exactly."""
    size = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        pivot = next(k for k in range(i, size) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for k in range(size):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [row[size:] for row in rows]


ALGORITHMS = {
    2: algorithm(4, 2, (0, 1, -1, Fraction(1, 2))),
    3: algorithm(4, 3, (0, Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2))),
}
"""By the kernel's taps."""


def correlate(x: Array, taps: Grid, *, padding: Pads, output: tuple[int, int]) -> Array:
    """The stride-1 convolution of x [B, H, W, C] by the kernel whose tap (i, j) is the matrix
    taps[i, j], [C, F]: [B, *output, F].
    """
    form = ALGORITHMS[1 + max(row for row, _ in taps)]
    tiles = _tiles_of(output, form)
    images = _transform(form.image, _windows(x, form, padding=padding, tiles=tiles))
    kernels = _transform(form.kernel, taps)
    products = {at: images[at] @ kernels[at] for at in images}
    return _joined(_transform(form.output.T, products), (x.shape[0], *tiles), output)


def kernel_gradient(x: Array, y: Array, *, taps: int, padding: Pads) -> Grid:
    """The gradient of each tap, [C, F], of the stride-1 convolution of x [B, H, W, C] whose outputs
    have the gradients y [B, H', W', F].
    """
    form = ALGORITHMS[taps]
    output = y.shape[1:3]
    tiles = _tiles_of(output, form)
    images = _transform(form.image, _windows(x, form, padding=padding, tiles=tiles))
    ragged = [(0, 0), *((0, n * form.tile - size) for n, size in zip(tiles, output, strict=True))]
    whole = jnp.pad(y, (*ragged, (0, 0)))
    gradients = _transform(form.output, _pieces(whole, form.tile, step=form.tile, tiles=tiles))
    contract = (((0,), (0,)), ((), ()))
    products = {at: lax.dot_general(images[at], gradients[at], contract) for at in images}
    return _transform(form.kernel.T, products)


def _tiles_of(output: Sequence[int], form: Algorithm) -> tuple[int, int]:
    """How many tiles cover the outputs."""
    return -(-output[0] // form.tile), -(-output[1] // form.tile)


def _windows(x: Array, form: Algorithm, *, padding: Pads, tiles: tuple[int, int]) -> Grid:
    """The pixels that the tiles see, by their place in the window."""
    config = [(0, 0, 0)]
    for size, (before, _), count in zip(x.shape[1:3], padding, tiles, strict=True):
        config.append((before, count * form.tile + form.taps - 1 - size - before, 0))
    padded = lax.pad(x, jnp.zeros((), x.dtype), [*config, (0, 0, 0)])
    # Kept apart, or XLA would pad anew for each place of the window.
    padded = lax.optimization_barrier(padded)
    return _pieces(padded, form.window, step=form.tile, tiles=tiles)


def _pieces(x: Array, side: int, *, step: int, tiles: tuple[int, int]) -> Grid:
    """x [B, H, W, C] at each place of the pieces, [B * tiles, C], which begin every `step`
    pixels.
    """
    ends = [step * (count - 1) + 1 for count in tiles]
    return {
        (row, column): lax.slice(
            x,
            (0, row, column, 0),
            (x.shape[0], row + ends[0], column + ends[1], x.shape[3]),
            (1, step, step, 1),
        ).reshape(-1, x.shape[3])
        for row in range(side)
        for column in range(side)
    }


def _transform(matrix: np.ndarray, grid: Grid) -> Grid:
    """matrix * grid * matrix^T, of a grid of arrays."""
    places, sources = range(matrix.shape[0]), range(matrix.shape[1])
    rows = {
        (a, j): _combined(matrix[a], [grid[i, j] for i in sources]) for a in places for j in sources
    }
    return {
        (a, b): _combined(matrix[b], [rows[a, j] for j in sources]) for a in places for b in places
    }


def _combined(factors: np.ndarray, arrays: Sequence[Array]) -> Array:
    """The sum of the arrays times their factors, without those that are zero."""
    terms = [
        array if factor == 1.0 else array * np.asarray(factor, array.dtype)
        for factor, array in zip(factors, arrays, strict=True)
        if factor
    ]
    return sum(terms[1:], terms[0])


def _joined(grid: Grid, tiles: tuple[int, int, int], output: tuple[int, int]) -> Array:
    """The image [B, *output, F] whose tiles have the grid's arrays, [B * tiles, F], at their
    places.
    """
    side = 1 + max(row for row, _ in grid)
    parts = {at: array.reshape(*tiles, -1) for at, array in grid.items()}
    rows = [jnp.stack([parts[a, b] for b in range(side)], axis=3) for a in range(side)]
    count, high, wide = tiles
    whole = jnp.stack(rows, axis=2).reshape(count, high * side, wide * side, -1)
    return whole[:, : output[0], : output[1]]
