"""Numbers of which each model of an ensemble has its own; see `ensemble.of_settings`."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.types import Array


class Differs(ValueError):
    """Raised if models of an ensemble would take different programs."""


class Varied:
    """A number of which each model of an ensemble has its own.

    It takes the place of a Python number in the code that builds a model. With Python numbers it is
    calculated in Python, for each model on its own. Where it meets an array, it becomes the traced
    number of the model at hand. So it is rounded exactly where the number of a single run is.

    A question, as in `if weight > 0`, has an answer if it is the same for all models.

    Args:
        values: The number of each model [S].
        index: Index [] of the model at hand, traced: a number below S.
        name: What the number is, for messages and for `met`.
        met: Receives the names of the numbers that have met an array.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgan.games.varied import Varied
        >>> def half(index, x):
        ...     return Varied([1.0, 3.0], index, name="weight", met=set()) / 2 * x
        >>> print(jax.vmap(half)(jnp.arange(2), jnp.array([10.0, 100.0])))
        [  5. 150.]
    """

    def __init__(self, values: Sequence[Any], index: Array, *, name: str, met: set[str]) -> None:
        self.values, self.index = tuple(values), index
        self._names, self._met = frozenset([name]), met

    def __repr__(self) -> str:
        return f"Varied({', '.join(map(str, self.values))})"

    def _with(self, values: Sequence[Any], *, names: frozenset[str]) -> Varied:
        found = Varied(values, self.index, name="", met=self._met)
        found._names = names
        return found

    # --- where it meets an array ------------------------------------------------------------------

    def __jax_array__(self) -> Array:
        self._met |= self._names
        return jax.lax.dynamic_index_in_dim(self._table, self.index, keepdims=False)

    @functools.cached_property
    def _table(self) -> Array:
        """The numbers [S], of the weak type that Python numbers have."""
        with jax.ensure_compile_time_eval():
            return jnp.stack([jnp.asarray(value) for value in self.values])

    # --- arithmetic -------------------------------------------------------------------------------

    def _calculated(self, function: Callable[..., Any], *others: Any, turned: bool = False) -> Any:
        """Returns `function(self, *others)`; with one other number, turned, they change places."""
        if any(isinstance(other, jax.Array | np.ndarray) for other in others):
            operands = (self.__jax_array__(), *others)
            return function(*(reversed(operands) if turned else operands))
        if not all(isinstance(other, int | float | Varied) for other in others):
            return NotImplemented
        columns = [self.values]
        names = self._names
        for other in others:
            varied = isinstance(other, Varied)
            columns.append(other.values if varied else (other,) * len(self.values))
            names = names | (other._names if varied else frozenset())
        rows = zip(*(reversed(columns) if turned else columns), strict=True)
        return self._with([function(*row) for row in rows], names=names)

    def __add__(self, other: Any) -> Any:
        return self._calculated(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self._calculated(operator.add, other, turned=True)

    def __sub__(self, other: Any) -> Any:
        return self._calculated(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._calculated(operator.sub, other, turned=True)

    def __mul__(self, other: Any) -> Any:
        return self._calculated(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self._calculated(operator.mul, other, turned=True)

    def __truediv__(self, other: Any) -> Any:
        return self._calculated(operator.truediv, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._calculated(operator.truediv, other, turned=True)

    def __floordiv__(self, other: Any) -> Any:
        return self._calculated(operator.floordiv, other)

    def __mod__(self, other: Any) -> Any:
        return self._calculated(operator.mod, other)

    def __pow__(self, other: Any) -> Any:
        return self._calculated(operator.pow, other)

    def __rpow__(self, other: Any) -> Any:
        return self._calculated(operator.pow, other, turned=True)

    def __neg__(self) -> Any:
        return self._calculated(operator.neg)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self._calculated(abs)

    def __round__(self, digits: int | None = None) -> Any:
        return self._calculated(lambda value: round(value, digits))

    # --- questions --------------------------------------------------------------------------------

    def _answered(self, question: Callable[..., Any], other: Any) -> Any:
        found = self._calculated(question, other)
        return bool(found) if isinstance(found, Varied) else found

    def __bool__(self) -> bool:
        answers = {bool(value) for value in self.values}
        if len(answers) > 1:
            raise Differs(f"the values of {self._named} take different programs")
        return answers.pop()

    def __lt__(self, other: Any) -> Any:
        return self._answered(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._answered(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._answered(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._answered(operator.ge, other)

    def __eq__(self, other: Any) -> Any:
        if isinstance(other, Varied):  # of another trace, it is another number: keys of caches
            return self.index is other.index and self.values == other.values
        return self._answered(operator.eq, other)

    def __ne__(self, other: Any) -> Any:
        found = self == other
        return found if found is NotImplemented or isinstance(found, jax.Array) else not found

    def __hash__(self) -> int:
        return hash((self.values, id(self.index)))

    # --- what would lose the other models' numbers ------------------------------------------------

    def __float__(self) -> float:
        return float(self._common("a number in the program"))

    def __int__(self) -> int:
        return int(self._common("a number in the program"))

    def __index__(self) -> int:
        return operator.index(self._common("a size or a count"))

    def _common(self, role: str) -> Any:
        """Returns the number, if it is the same for all models."""
        if len(set(self.values)) > 1:
            raise Differs(f"{self._named} is {role}, so its values take different programs")
        return self.values[0]

    @property
    def _named(self) -> str:
        return " and ".join(sorted(self._names))


def _flattened(number: Varied) -> tuple[tuple[Array], None]:
    return (number.__jax_array__(),), None


def _unflattened(_: None, children: tuple[Any]) -> Any:
    return children[0]


# A compiled function takes it as the traced number.
jax.tree_util.register_pytree_node(Varied, _flattened, _unflattened)
