"""Random draws as functions of (seed, step, example).

Every example of a batch has its own PRNG key, and every draw has a name, so that two draws of one
objective never use the same bits. No key is ever advanced: the same key and name give the same
draw, whether the batch is split over devices, slices or processes. Names are folded in when a draw
is made, so naming costs nothing at run time.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

PRIORS = ("normal", "uniform", "unit_uniform")


class Keys(struct.PyTreeNode):
    """Per-example PRNG keys and the path of the names folded into them so far.

    Attributes:
        base: Typed PRNG keys [B].
        path: The folded names, joined by '/' (static).
    """

    base: Array
    path: str = struct.field(pytree_node=False, default="")

    def __len__(self) -> int:
        return self.base.shape[0]

    @property
    def count(self) -> int:
        """Returns B, also where it is a variable of an exported program, which `len` refuses."""
        return self.base.shape[0]


def example_keys(rng: Array, step: Array | int, rows: Array) -> Keys:
    """Returns the keys of examples in one train step.

    Args:
        rng: Base key [].
        step: Number of the train step.
        rows: Indices of the examples in the whole batch over all devices, int32 [B].

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import random
        >>> keys = random.example_keys(jax.random.key(0), 7, jnp.arange(4))
        >>> half = random.example_keys(jax.random.key(0), 7, jnp.arange(2, 4))
        >>> bool(jnp.all(random.normal(keys, (3,))[2:] == random.normal(half, (3,))))
        True
    """
    return _of_rows(jax.random.fold_in(rng, step), rows)


def row_keys(key: Array, count: int, *, start: Array | int = 0) -> Keys:
    """Returns the keys of the examples start ... start + count - 1, for sampling.

    The key of example i depends on (key, i) alone, not on `count`.

    Args:
        key: Base key [].
        count: Number of keys.
        start: Index of the first example.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> keys = random.row_keys(jax.random.key(0), 4)
        >>> rest = random.row_keys(jax.random.key(0), 2, start=2)
        >>> len(keys), bool((keys.base[2:] == rest.base).all())
        (4, True)
    """
    return _of_rows(key, start + jnp.arange(count, dtype=jnp.int32))


def seed_keys(seeds: Array | np.ndarray) -> Keys:
    """Returns the key of the first example of each seed, for sampling one example per seed.

    Args:
        seeds: Seeds, uint32 [B].

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan import random
        >>> keys = random.seed_keys(jnp.array([3, 7], jnp.uint32))
        >>> bool(keys.base[1] == random.row_keys(jax.random.key(7), 1).base[0])
        True
    """
    return _kept(jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), 0))(seeds))


def _of_rows(key: Array, rows: Array) -> Keys:
    return _kept(jax.vmap(lambda row: jax.random.fold_in(key, row))(rows))


def _kept(keys: Array) -> Keys:
    # Without the barrier, XLA recomputes the keys in the loop of every draw. On a CPU, the LLVM of
    # jaxlib 0.12 then never finishes compiling such a loop if each example draws a single number.
    return Keys(jax.lax.optimization_barrier(keys))


def fold(keys: Keys, name: str | int) -> Keys:
    """Returns keys that are independent of `keys` and of every fold by another name.

    Args:
        keys: Keys [B].
        name: Name (or number) of the draw.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> keys = random.row_keys(jax.random.key(0), 4)
        >>> random.fold(random.fold(keys, "generator"), "noise").path
        '/generator/noise'
    """
    return keys.replace(path=f"{keys.path}/{name}")


def draw(keys: Keys, function: Callable[[Array], Array]) -> Array:
    """Returns `function(key)` of each example's own key, stacked [B, ...].

    Args:
        keys: Keys [B].
        function: Any draw of `jax.random`, as a function of one key.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> keys = random.row_keys(jax.random.key(0), 4)
        >>> random.draw(keys, lambda key: jax.random.exponential(key)).shape
        (4,)
    """
    salt = zlib.crc32(keys.path.encode())
    return jax.vmap(lambda key: function(jax.random.fold_in(key, salt)))(keys.base)


def several(keys: Keys, count: int) -> Keys:
    """Returns `count` independent keys of each example, those of an example next to each other.

    Args:
        keys: Keys [B].
        count: Number of keys of an example.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> keys = random.row_keys(jax.random.key(0), 4)
        >>> len(random.several(keys, 2))
        8
    """
    return _kept(draw(keys, lambda key: jax.random.split(key, count)).reshape(-1))


def normal(keys: Keys, shape: tuple[int, ...]) -> Array:
    """Returns standard normal draws [B, *shape].

    Args:
        keys: Keys [B].
        shape: Shape of one example's draw.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> keys = random.row_keys(jax.random.key(0), 4)
        >>> random.normal(random.fold(keys, "noise"), (8, 8)).shape
        (4, 8, 8)
    """
    return draw(keys, lambda key: jax.random.normal(key, shape))


def uniform(keys: Keys, shape: tuple[int, ...], *, low: float = 0.0, high: float = 1.0) -> Array:
    """Returns uniform draws [B, *shape] in [low, high).

    Args:
        keys: Keys [B].
        shape: Shape of one example's draw.
        low: Lower bound, included.
        high: Upper bound, excluded.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> angles = random.uniform(random.row_keys(jax.random.key(0), 4), (), low=-1.0, high=1.0)
        >>> angles.shape, bool((abs(angles) <= 1).all())
        ((4,), True)
    """
    return draw(keys, lambda key: jax.random.uniform(key, shape, minval=low, maxval=high))


def bernoulli(keys: Keys, shape: tuple[int, ...], *, probability: float) -> Array:
    """Returns boolean draws [B, *shape].

    Args:
        keys: Keys [B].
        shape: Shape of one example's draw.
        probability: Probability of True, in [0, 1].

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> kept = random.bernoulli(random.row_keys(jax.random.key(0), 4), (2,), probability=1.0)
        >>> kept.shape, bool(kept.all())
        ((4, 2), True)
    """
    return draw(keys, lambda key: jax.random.bernoulli(key, probability, shape))


def labels(keys: Keys, classes: int) -> Array:
    """Returns uniform class labels [B] (int32) in [0, classes).

    Args:
        keys: Keys [B].
        classes: Number of classes.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> labels = random.labels(random.row_keys(jax.random.key(0), 4), 10)
        >>> labels.shape, labels.dtype.name, bool((labels < 10).all())
        ((4,), 'int32', True)
    """
    return draw(keys, lambda key: jax.random.randint(key, (), 0, classes, dtype=jnp.int32))


def known_prior(prior: str) -> str:
    """Returns the name of the prior, after checking it.

    Raises:
        ValueError: If `latents` does not know the prior.
    """
    if prior not in PRIORS:
        raise ValueError(f"the prior is {prior!r}; expected one of {', '.join(PRIORS)}")
    return prior


def latents(keys: Keys, size: int, *, prior: str = "normal") -> Array:
    """Returns latents [B, size] drawn from the prior.

    Args:
        keys: Keys [B].
        size: Dimension of the latent space.
        prior: 'normal' is N(0, I), 'uniform' is U(-1, 1)^size, and 'unit_uniform' is
            U(-sqrt 3, sqrt 3)^size, which has variance 1.

    Raises:
        ValueError: If the prior is unknown.

    Examples:
        >>> import jax
        >>> from jaxgan import random
        >>> keys = random.row_keys(jax.random.key(0), 4)
        >>> random.latents(keys, 100).shape
        (4, 100)
        >>> bool((abs(random.latents(keys, 100, prior="uniform")) <= 1).all())
        True
    """
    named = fold(keys, "latent")
    if known_prior(prior) == "normal":
        return normal(named, (size,))
    drawn = uniform(named, (size,), low=-1.0, high=1.0)
    return drawn if prior == "uniform" else math.sqrt(3) * drawn
