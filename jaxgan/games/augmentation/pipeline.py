"""The augmentation pipeline of ADA: each of its items changes an image with a probability.

The items, in their order, with N ~ N(0, 1) and U ~ U(-1, 1) drawn for each image:

| group | item | what it does |
|---|---|---|
| blit | flip | flips left and right, in half of the images |
| blit | quarter_turn | turns by 0, 1, 2 or 3 quarters; images that are not square by 0 or 2 |
| blit | shift | shifts by U / 8 of the width and of the height, in whole pixels |
| geometry | scale | enlarges by 2^(0.2 N) |
| geometry | rotation | rotates by pi U, before or after the stretch or both |
| geometry | stretch | enlarges the width by 2^(0.2 N), and the height by the inverse |
| geometry | fraction | shifts by N / 8 of the width and of the height |
| color | brightness | adds 0.2 N |
| color | contrast | multiplies by 2^(N / 2) |
| color | inversion | negates the mean of the channels, in half of the images |
| color | hue | rotates colors about gray by pi U |
| color | saturation | multiplies the distance from gray by 2^N |
| filter | filter | multiplies each of four bands of frequencies by 2^N, at equal power |
| noise | noise | adds noise of standard deviation 0.1 abs(N) to each pixel |
| cutout | cutout | sets a rectangle of half the width and height to 0 |

All that moves pixels is one resampling, all that changes colors is one matrix. An image beyond
whose edges a pixel comes from is mirrored there. Hue and saturation do nothing to gray images;
transparency, the fourth channel, moves with the image and is otherwise unchanged.

References:
    Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", appendix B.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgan import random
from jaxgan.games.augmentation import colors, frequencies, geometry, policies, transformations
from jaxgan.random import Keys
from jaxgan.types import Array

GROUPS = {
    "blit": ("flip", "quarter_turn", "shift"),
    "geometry": ("scale", "rotation", "stretch", "fraction"),
    "color": ("brightness", "contrast", "inversion", "hue", "saturation"),
    "filter": ("filter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
"""The items of each group."""

ITEMS = tuple(itertools.chain.from_iterable(GROUPS.values()))
"""The items, in the order in which they are applied."""

BGC = ("blit", "geometry", "color")
"""The groups that the paper recommends, 'bgc'."""

Multipliers = Mapping[str, float]
"""Factors of the probability by item. An item that is not named is left out."""

_UNIFORM = {"flip": 1, "quarter_turn": 1, "shift": 2, "rotation": 2, "inversion": 1, "hue": 1}
_NORMAL = {"scale": 1, "stretch": 1, "fraction": 2, "brightness": 1, "contrast": 1}
_NORMAL |= {"saturation": 1, "filter": frequencies.BANDS, "noise": 1}
"""How many numbers each item draws for an image."""

_CHANCES = {"rotation": 2, "filter": frequencies.BANDS}
"""How often an item decides whether it is applied, if more than once."""


def multipliers(policy: Sequence[str] | Multipliers) -> dict[str, float]:
    """Returns the multiplier of each item of a policy, in the pipeline's order.

    Args:
        policy: Names of groups and of items, or their multipliers by name. An item's own multiplier
            replaces that of its group.

    Raises:
        ValueError: If there is no such group or item, or a multiplier is negative.
    """
    given = policy if isinstance(policy, Mapping) else dict.fromkeys(policy, 1.0)
    for name, value in given.items():
        if name not in GROUPS and name not in ITEMS:
            known = ", ".join(dict.fromkeys((*GROUPS, *ITEMS)))
            raise ValueError(f"the augmentation is {name!r}; expected one of {known}")
        if value < 0:
            raise ValueError(f"the multiplier of {name} is {value}; expected 0 or more")
    found = {}
    for group, items in GROUPS.items():
        for item in items:
            value = given.get(item, given.get(group))
            if value is not None:
                found[item] = float(value)
    return found


def pipeline(
    policy: Sequence[str] | Multipliers = BGC, *, filtered: bool = False
) -> Callable[[Array, Keys, Array | float], Array]:
    """Returns `augment(images, keys, probability) -> images`.

    Each item is applied to each image with the probability times the item's multiplier,
    independently of the others. At a probability of 0 images stay as they are, bit for bit.

    Args:
        policy: Names of groups and of items (see the module), or their multipliers by name.
        filtered: Whether what moves pixels does so without aliasing, as in the paper, which takes
            several times as long (`geometry.filtered`). Otherwise images that are made smaller may
            show aliasing (`geometry.resampled`).

    Raises:
        ValueError: If there is no such group or item, or a multiplier is negative. Also when it is
            called, if the examples are not images.
    """
    factors = multipliers(policy)

    def augment(images: Array, keys: Keys, probability: Array | float) -> Array:
        if images.ndim != 4:
            raise ValueError(
                f"the examples have shape {images.shape[1:]}; augmentation takes images (H, W, C)"
            )
        draws = _Draws(keys, factors, probability)
        images = _moved(images, draws, filtered=filtered)
        images = _recolored(images, draws)
        return _degraded(images, draws)

    return augment


class _Draws:
    """What the items draw for each image, at once for all of them."""

    def __init__(self, keys: Keys, factors: Multipliers, probability: Array | float):
        self.keys, self.factors, self.probability = keys, factors, probability
        self.chances = self._of("chosen", {name: _CHANCES.get(name, 1) for name in ITEMS}, 0.0)
        self.uniform = self._of("uniform", _UNIFORM, -1.0)
        self.normal = self._of("normal", _NORMAL, None)

    def _of(self, kind: str, sizes: Mapping[str, int], low: float | None) -> dict[str, Array]:
        """Arrays [B, n] of draws by item: from U(low, 1), or from N(0, 1)."""
        keys, count = random.fold(self.keys, kind), sum(sizes.values())
        values = (
            random.normal(keys, (count,))
            if low is None
            else random.uniform(keys, (count,), low=low)
        )
        ends = np.cumsum(list(sizes.values()))
        return dict(zip(sizes, jnp.split(values, ends[:-1], axis=1), strict=True))

    def has(self, item: str) -> bool:
        return item in self.factors

    def chosen(self, item: str) -> Array:
        """Whether the item is applied to each image, bool [B, n]."""
        probability = self.probability * self.factors.get(item, 0.0)
        if item == "rotation":  # either of two rotations, with this probability
            probability = 1 - jnp.sqrt(jnp.maximum(0.0, 1 - probability))
        return self.chances[item] < probability

    def any(self, items: Sequence[str]) -> Array:
        """Whether any of the items is applied to each image, bool [B, 1, 1, 1]."""
        found = jnp.concatenate([self.chosen(item) for item in items], axis=1)
        return jnp.any(found, axis=1)[:, None, None, None]

    def of(self, item: str, change: Callable[[Array], Array], neutral: float) -> Array:
        """`change(draws)` [B, n] where the item is applied, and `neutral` elsewhere."""
        drawn = self.uniform[item] if item in self.uniform else self.normal[item]
        return jnp.where(self.chosen(item), change(drawn), neutral)


# --- what moves pixels ----------------------------------------------------------------------------


def _moved(images: Array, draws: _Draws, *, filtered: bool) -> Array:
    """Applies the groups blit and geometry."""
    matrices = list(_places(draws, *images.shape[1:3]))
    if not matrices:
        return images
    product = geometry.product(matrices)
    found = geometry.resampled(images, product)
    used = [item for item in GROUPS["geometry"] if draws.has(item)]
    if filtered and used:  # whole pixels are copied all the same
        found = jnp.where(draws.any(used), geometry.filtered(images, product), found)
    return found


def _places(draws: _Draws, height: int, width: int) -> Iterator[Array]:
    """Yields the matrices [B, 3, 3] of the items, in their order."""
    sides = jnp.asarray([[width, height]])
    if draws.has("flip"):
        (x,) = draws.of("flip", lambda u: jnp.where(u < 0, -1.0, 1.0), 1.0).T
        yield geometry.scaling(x, jnp.ones_like(x))
    if draws.has("quarter_turn"):
        step = 1 if height == width else 2
        (quarters,) = draws.of("quarter_turn", lambda u: jnp.floor(2 + 2 * u) * step % 4, 0.0).T
        yield geometry.turning(quarters)
    if draws.has("shift"):
        yield geometry.moving(*draws.of("shift", lambda u: jnp.round(u / 8 * sides), 0.0).T)
    if draws.has("scale"):
        (factor,) = draws.of("scale", lambda n: 2 ** (0.2 * n), 1.0).T
        yield geometry.scaling(factor, factor)
    before, after = draws.of("rotation", lambda u: jnp.pi * u, 0.0).T
    if draws.has("rotation"):
        yield geometry.rotating(before)
    if draws.has("stretch"):
        (factor,) = draws.of("stretch", lambda n: 2 ** (0.2 * n), 1.0).T
        yield geometry.scaling(factor, 1 / factor)
    if draws.has("rotation"):
        yield geometry.rotating(after)
    if draws.has("fraction"):
        yield geometry.moving(*draws.of("fraction", lambda n: n / 8 * sides, 0.0).T)


# --- what changes colors --------------------------------------------------------------------------


@transformations.sparing_transparency
def _recolored(images: Array, draws: _Draws) -> Array:
    """Applies the group color."""
    # A matrix product applies its last factor first.
    matrices = list(_tints(draws))[::-1]
    if not matrices:
        return images
    changed = colors.recolored(images, geometry.product(matrices))
    used = [item for item in GROUPS["color"] if draws.has(item)]
    return jnp.where(draws.any(used), changed, images)


def _tints(draws: _Draws) -> Iterator[Array]:
    """Yields the matrices [B, 4, 4] of the items, in their order."""
    if draws.has("brightness"):
        yield colors.adding(*draws.of("brightness", lambda n: 0.2 * n, 0.0).T)
    if draws.has("contrast"):
        yield colors.scaling(*draws.of("contrast", lambda n: 2 ** (0.5 * n), 1.0).T)
    if draws.has("inversion"):
        yield colors.inverting(*draws.of("inversion", lambda u: u < 0, False).T)
    if draws.has("hue"):
        yield colors.rotating(*draws.of("hue", lambda u: jnp.pi * u, 0.0).T)
    if draws.has("saturation"):
        yield colors.saturating(*draws.of("saturation", lambda n: 2**n, 1.0).T)


# --- what degrades images -------------------------------------------------------------------------


def _degraded(images: Array, draws: _Draws) -> Array:
    """Applies the groups filter, noise and cutout."""
    if draws.has("filter"):
        images = _filtered(images, draws)
    if draws.has("noise"):
        images = _noisy(images, draws)
    if draws.has("cutout"):
        probability = draws.probability * draws.factors["cutout"]
        images = transformations.sometimes(policies.cutout, probability)(images, draws.keys)
    return images


@transformations.sparing_transparency
def _filtered(images: Array, draws: _Draws) -> Array:
    gains = draws.of("filter", lambda n: 2**n, 1.0)
    product: Any = 1.0
    for band in range(frequencies.BANDS):
        alone = jnp.ones_like(gains).at[:, band].set(gains[:, band])
        product *= frequencies.normalized(alone)
    changed = frequencies.amplified(images, product)
    return jnp.where(draws.any(["filter"]), changed, images)


@transformations.sparing_transparency
def _noisy(images: Array, draws: _Draws) -> Array:
    deviation = draws.of("noise", lambda n: 0.1 * jnp.abs(n), 0.0)[:, :, None, None]
    field = random.normal(random.fold(draws.keys, "noise"), images.shape[1:])
    return images + (deviation * field).astype(images.dtype)
