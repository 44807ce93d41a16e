"""Checks of the networks of a game where they are initialized: their signature and their outputs.

A network is called as `network(inputs, *conditions, keys=..., train=...)` (see `objectives`). What
does not fit is said here in one sentence, before the first step fails with a traceback.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax

from jaxgan import random, state
from jaxgan.types import Array

LOGITS = "logits"
"""The output of a discriminator: one logit per example, [B] or [B, 1], or one per patch."""

Output = str | tuple[int, ...] | None
"""What a network returns: `LOGITS`, arrays with this shape of an example, or anything (None)."""


def initialized(
    name: str,
    key: Array,
    module: linen.Module,
    optimizer: optax.GradientTransformation,
    inputs: Sequence[Array],
    *,
    output: Output = None,
    noise: Array | None = None,
) -> state.Player:
    """Returns the player of a network that is called as the objectives call it.

    Args:
        name: The player's name, for messages.
        key: Random key of the initialization.
        module: The network.
        optimizer: The player's optimizer.
        inputs: Inputs and conditions of one example, [1, ...].
        output: What the network returns.
        noise: Random key of the noise layers. None: `key`.

    Raises:
        ValueError: If the network does not take these inputs, `keys` and `train`, or returns
            something else.
    """
    options = {"keys": random.row_keys(key if noise is None else noise, 1), "train": True}
    _require_signature(name, module, inputs, options)
    try:
        returned, collections = module.init_with_output(key, *inputs, **options)
    except TypeError as error:
        if any(f"unexpected keyword argument '{option}'" in str(error) for option in options):
            raise ValueError(f"{_signature(name, module, inputs)}; {error}") from error
        raise
    if output is not None:
        _require_output(name, module, returned, output)
    return state.player_of(collections, module, optimizer)


def _require_signature(
    name: str, module: linen.Module, inputs: Sequence[Array], options: dict[str, Any]
) -> None:
    """Raises ValueError if the network's `__call__` does not take the arguments."""
    try:
        inspect.signature(module.__call__).bind(*inputs, **options)
    except TypeError as error:
        raise ValueError(f"{_signature(name, module, inputs)}; found {_found(module)}") from error


def _signature(name: str, module: linen.Module, inputs: Sequence[Array]) -> str:
    """Returns the start of the sentence: the signature that is expected."""
    given = ["x", *(f"condition{index}" for index in range(1, len(inputs)))]
    return (
        f"the {name} {type(module).__name__} must have the signature "
        f"__call__(self, {', '.join(given)}, *, keys=None, train=False)"
    )


def _found(module: linen.Module) -> str:
    """Returns the signature of the network without its annotations."""
    signature = inspect.signature(type(module).__call__)
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return f"__call__{inspect.Signature(plain)}"


def _require_output(name: str, module: linen.Module, returned: Any, output: Output) -> None:
    """Raises ValueError if what the network returned for one example is not what is expected."""
    is_array = isinstance(returned, jax.Array) and jnp.issubdtype(returned.dtype, jnp.floating)
    shape = returned.shape if is_array else None
    if output == LOGITS:
        fits = shape is not None and shape[:1] == (1,) and (len(shape) < 4 or shape[-1] == 1)
        wanted = "logits [B], [B, 1], or of patches [B, L] or [B, H, W, 1]"
    else:
        assert isinstance(output, tuple)
        fits = shape == (1, *output)
        wanted = f"[B, {', '.join(map(str, output))}], examples of the data's shape"
    if not fits:
        found = f"the shape {list(shape)}" if shape is not None else _described(returned)
        raise ValueError(
            f"the {name} {type(module).__name__} returns {found} for one example (B = 1); "
            f"expected {wanted}"
        )


def _described(returned: Any) -> str:
    """Returns what something is that is no array of floats."""
    if isinstance(returned, jax.Array):
        return f"values of the type {returned.dtype}"
    return f"a {type(returned).__name__}"
