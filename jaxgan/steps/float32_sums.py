"""Long sums of bfloat16 numbers, added up in float32.

The gradient by a value that is the same at many positions, such as a bias, is a sum over all of
them. JAX writes it as a sum in the type of the positions, and XLA adds up in that type on a CPU. In
bfloat16, with 8 bits of precision, a sum stops growing once it is some hundred times as large as
its terms: the gradient by the bias of a convolution came out as a tenth of what it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core


def summed_in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function whose sums of bfloat16 numbers are added up in float32, then rounded.

    All sums over axes are, wherever they come from: written in a network, or by differentiation. So
    are scattered sums with more terms than places, such as gradients by an embedding. Products of
    matrices and convolutions are left alone: they are accumulated in float32 anyway.

    Args:
        function: A function of trees of arrays.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jax import lax
        >>> from jaxgan.steps import float32_sums
        >>> def total(x):
        ...     return lax.reduce_sum(x, axes=(0, 1))
        >>> ones = jnp.ones((40, 40), jnp.bfloat16)
        >>> print(float32_sums.summed_in_float32(total)(ones))
        1600
    """

    def run(*given: Any) -> Any:
        program, returned = jax.make_jaxpr(function, return_shape=True)(*given)
        outputs = core.jaxpr_as_fun(_rewritten(program))(*jax.tree.leaves(given))
        return jax.tree.unflatten(jax.tree.structure(returned), outputs)

    return run


def _rewritten(program: Any) -> Any:
    """Returns the program, or what else an equation holds, with its sums replaced."""
    if isinstance(program, core.ClosedJaxpr):
        return program.replace(jaxpr=_rewritten(program.jaxpr))
    if isinstance(program, core.Jaxpr):
        return program.replace(eqns=[_replaced(equation) for equation in program.eqns])
    if type(program) in (tuple, list):  # the branches of a conditional
        return type(program)(map(_rewritten, program))
    return program


def _replaced(equation: Any) -> Any:
    inputs = [variable.aval for variable in equation.invars]
    total = _sum_of(equation, inputs)
    if total is None:
        inner = {name: _rewritten(value) for name, value in equation.params.items()}
        return equation.replace(params=inner)

    def widely(*given: jax.Array) -> jax.Array:
        wide = (x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x for x in given)
        return total(*wide).astype(jnp.bfloat16)

    (call,) = jax.make_jaxpr(jax.jit(widely))(*inputs).eqns
    return equation.replace(primitive=call.primitive, params=call.params)


def _sum_of(equation: Any, inputs: list[Any]) -> Callable[..., jax.Array] | None:
    """Returns the equation as a function of its inputs, if it is a sum that needs float32."""
    if not inputs or getattr(inputs[0], "dtype", None) != jnp.bfloat16:
        return None
    if equation.primitive.name == "reduce_sum":
        return functools.partial(equation.primitive.bind, **equation.params)
    if equation.primitive.name == "scatter-add" and inputs[2].size > inputs[0].size:
        kept = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")
        return functools.partial(lax.scatter_add, **{name: equation.params[name] for name in kept})
    return None
