"""Writes a traced function as an ONNX model, for any number of examples.

The function is traced by JAX, and each operation that its result needs becomes one or a few of
ONNX: `RULES` has them all. The library's convolutions become ONNX's own. A function that needs
another operation, such as random bits, is refused.

References:
    The operators of ONNX, opset 18: https://onnx.ai/onnx/operators
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from jaxgan.runs.errors import RunError

OPSET, IR_VERSION = 18, 9
"""What the models ask of a program that runs them: those of ONNX 1.14, of May 2023."""

OUTPUT = "images"
"""Name of the output."""

MOST_BYTES = 2**31 - 1
"""The largest size of a model that is one file: that of a protocol buffer."""

_BATCH = "batch"
_MOST_ROUNDS = 1000  # of a loop that is written out
_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
"""Operations that call another program, and the parameter with it."""


class Unsupported(ValueError):
    """Raised for an operation without a rule."""


class Spread(NamedTuple):
    """A value that is equal along some axes, on which its array has the size 1.

    Attributes:
        name: The name of the array.
        shape: The whole shape.
    """

    name: str
    shape: tuple[Any, ...]


Value = str | Spread
Jaxpr = Any  # jax.extend.core.Jaxpr, closed or not
Equation = Any  # jax.extend.core.JaxprEqn


def model_of(
    function: Callable[..., Any],
    weights: Mapping[str, np.ndarray],
    inputs: Mapping[str, tuple[tuple[int, ...], str]],
) -> bytes:
    """Returns the ONNX model of `function(weights, inputs) -> array [B, ...]`, serialized.

    Args:
        function: Takes weights and inputs [B, ...] by name.
        weights: The weights, which the model holds by these names.
        inputs: The shape of one example and the type of each input, by name.

    Raises:
        RunError: If the model would be larger than `MOST_BYTES`.
        Unsupported: If the function needs an operation that has no rule.
    """
    (batch,) = jax.export.symbolic_shape(_BATCH)
    examples = {
        name: jax.ShapeDtypeStruct((batch, *shape), dtype)
        for name, (shape, dtype) in inputs.items()
    }
    shapes = {name: jax.ShapeDtypeStruct(of.shape, of.dtype) for name, of in weights.items()}
    closed = jax.make_jaxpr(function)(shapes, examples)
    (made,) = closed.out_avals
    first, *rest = map(str, made.shape)
    if first != _BATCH or not all(size.isdecimal() for size in rest):
        raise Unsupported(f"an output of the shape {made.shape}")
    size = sum(of.nbytes for of in weights.values())
    if size > MOST_BYTES - 2**20:
        raise RunError(
            f"the weights take {size:,} bytes, more than one ONNX file can hold; use --format "
            "stablehlo"
        )
    graph = Graph(next(iter(sorted(inputs))), weights)
    # JAX passes the entries of dictionaries in the order of their names.
    (result,) = graph.called(closed, [*sorted(weights), *sorted(inputs)], [True])
    graph.node("Identity", [graph.whole(result)], names=[OUTPUT])

    def info(name: str, shape: Sequence[Any], dtype: Any) -> Any:
        sizes = [size if isinstance(size, int) else _BATCH for size in shape]
        return _onnx().helper.make_tensor_value_info(name, _type(dtype), sizes)

    found = _onnx().helper.make_graph(
        graph.nodes,
        "generator",
        [info(name, examples[name].shape, examples[name].dtype) for name in inputs],
        [info(OUTPUT, made.shape, made.dtype)],
        initializer=graph.tensors(),
    )
    model = _onnx().helper.make_model(
        found, opset_imports=[_onnx().helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    _onnx().checker.check_model(model)
    return model.SerializeToString()


def _onnx() -> Any:
    """Returns the package that writes models, which few installations have."""
    import onnx  # type: ignore[import-not-found]

    return onnx


def _type(dtype: Any) -> int:
    """Returns ONNX's number of a type."""
    return _onnx().helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


class Graph:
    """An ONNX graph that grows, from its first operation to its last.

    Args:
        main: Name of an input, whose first axis is the batch.
        weights: Arrays that values may name.

    Attributes:
        nodes: The operations so far.
        scalars: Names of the arrays without axes.
    """

    def __init__(self, main: str, weights: Mapping[str, np.ndarray]) -> None:
        self.nodes: list[Any] = []
        self._main = main
        self._weights = weights
        self._read: set[str] = set()
        self._constants: dict[tuple[Any, ...], tuple[str, np.ndarray]] = {}
        self._numbers = itertools.count()
        self.scalars = {name for name, array in weights.items() if not np.ndim(array)}
        self._batch = ""

    # --- operations of ONNX ---

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        names: Sequence[str] = (),
        count: int = 1,
        **attributes: Any,
    ) -> Any:
        """Adds an operation and returns the name of its output, or of each if `count` is not 1.

        Args:
            kind: The operator.
            inputs: Names of its inputs.
            names: Names of its outputs. Default: new ones.
            count: Number of outputs.
            **attributes: Its attributes.
        """
        self._read |= set(inputs)
        outputs = list(names) or [f"v{next(self._numbers)}" for _ in range(count)]
        self.nodes.append(_onnx().helper.make_node(kind, inputs, outputs, **attributes))
        return outputs[0] if count == 1 else outputs

    def constant(self, array: Any) -> str:
        """Returns the name of a constant array."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = f"c{next(self._numbers)}", array
            if not array.ndim:
                self.scalars.add(self._constants[key][0])
        return self._constants[key][0]

    def integers(self, numbers: Sequence[int]) -> str:
        """Returns the name of a list of integers, as operators take them."""
        return self.constant(np.asarray(numbers, np.int64))

    def tensors(self) -> list[Any]:
        """Returns the weights that operations read, and the constants."""
        held = {name: array for name, array in self._weights.items() if name in self._read}
        held.update(self._constants.values())
        return [_onnx().numpy_helper.from_array(np.asarray(a), name) for name, a in held.items()]

    def batch(self) -> str:
        """Returns the name of the list that holds the number of examples."""
        if not self._batch:
            self._batch = self.node("Shape", [self._main], start=0, end=1)
        return self._batch

    def shape(self, sizes: Sequence[Any]) -> str:
        """Returns the name of a list of sizes.

        Args:
            sizes: Integers, or the size of the batch.
        """
        if all(isinstance(size, int) for size in sizes):
            return self.integers(sizes)
        if not all(isinstance(size, int) or str(size) == _BATCH for size in sizes):
            raise Unsupported(f"an array of the shape {tuple(map(str, sizes))}")
        parts = [self.integers([s]) if isinstance(s, int) else self.batch() for s in sizes]
        return self.node("Concat", parts, axis=0)

    def reshaped(self, name: str, sizes: Sequence[Any]) -> str:
        """Returns the name of an array in another shape, of which one size may be unknown."""
        known = [size if isinstance(size, int) else -1 for size in sizes]
        wanted = self.integers(known) if known.count(-1) < 2 else self.shape(sizes)
        return self.node("Reshape", [name, wanted])

    def whole(self, value: Value) -> str:
        """Returns the name of a value as an array of its whole shape."""
        if isinstance(value, str):
            return value
        return self.node("Expand", [value.name, self.shape(value.shape)])

    # --- programs of JAX ---

    def called(self, closed: Jaxpr, inputs: Sequence[Value], wanted: Sequence[bool]) -> list[Value]:
        """Adds the operations of a program and returns its outputs; '' stands for unwanted ones.

        Args:
            closed: The program.
            inputs: Its inputs.
            wanted: Which of its outputs are needed.
        """
        program = getattr(closed, "jaxpr", closed)
        values: dict[Any, Value] = dict(zip(program.invars, inputs, strict=True))
        for variable, array in zip(program.constvars, getattr(closed, "consts", ()), strict=True):
            values[variable] = "" if _is_key(array) else self.constant(array)

        def value(atom: Any) -> Value:
            if isinstance(atom, core.Literal):
                return self.constant(np.asarray(atom.val, atom.aval.dtype))  # type: ignore[attr-defined]
            return values[atom]

        for equation, needed in _needed(program, wanted)[0]:
            given = [value(atom) if known else "" for atom, known in _reads(equation, needed)]
            found = self._outputs(equation, given, needed)
            values.update(zip(equation.outvars, found, strict=True))
        return [value(a) if w else "" for a, w in zip(program.outvars, wanted, strict=True)]

    def _outputs(
        self, equation: Equation, inputs: Sequence[Value], needed: Sequence[bool]
    ) -> Sequence[Value]:
        name = equation.primitive.name
        if name in _CALLS:
            return self.called(equation.params[_CALLS[name]], inputs, needed)
        if name not in RULES:
            raise Unsupported(name)
        found = RULES[name](self, equation, inputs)
        outputs = found if isinstance(found, list) else [found]
        for variable, value in zip(equation.outvars, outputs, strict=True):
            if not variable.aval.ndim:
                self.scalars.add(_narrow(value))
        return outputs


def _is_key(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


# --- what is needed -------------------------------------------------------------------------------


def _needed(
    program: Jaxpr, wanted: Sequence[bool]
) -> tuple[list[tuple[Equation, list[bool]]], list[bool]]:
    """Returns the equations that wanted outputs need, in order, and which inputs they read.

    With each equation it returns which of its outputs are needed.
    """
    live = {v for v, w in zip(program.outvars, wanted, strict=True) if w and _varies(v)}
    kept = []
    for equation in reversed(program.eqns):
        needed = [variable in live for variable in equation.outvars]
        if any(needed):
            kept.append((equation, needed))
            live |= {atom for atom, read in _reads(equation, needed) if read and _varies(atom)}
    return kept[::-1], [variable in live for variable in program.invars]


def _reads(equation: Equation, needed: Sequence[bool]) -> list[tuple[Any, bool]]:
    """Returns the inputs of an equation, and whether the needed outputs depend on them."""
    read = [True] * len(equation.invars)
    if equation.primitive.name in _CALLS:
        closed = equation.params[_CALLS[equation.primitive.name]]
        read = _needed(getattr(closed, "jaxpr", closed), needed)[1]
    return list(zip(equation.invars, read, strict=True))


def _varies(atom: Any) -> bool:
    return isinstance(atom, core.Var)


# --- elementwise operations -----------------------------------------------------------------------

Rule = Callable[[Graph, Equation, Sequence[Value]], Any]


def _elementwise(kind: str) -> Rule:
    """Returns the rule of an operator that spreads inputs by itself."""

    def rule(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
        name = graph.node(kind, [_narrow(value) for value in inputs])
        whole = [v for v in inputs if isinstance(v, str) and v not in graph.scalars]
        spread = any(isinstance(value, Spread) for value in inputs) and not whole
        return Spread(name, equation.outvars[0].aval.shape) if spread else name

    return rule


def _narrow(value: Value) -> str:
    return value.name if isinstance(value, Spread) else value


def _of_bits(of_booleans: str, of_integers: str) -> Rule:
    """Returns the rule of a logical operation, which ONNX has for each kind of type."""

    def rule(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
        kind = of_booleans if equation.outvars[0].aval.dtype == np.bool_ else of_integers
        return _elementwise(kind)(graph, equation, inputs)

    return rule


def _in_turn(*rules: Rule) -> Rule:
    """Returns the rule of operations one after another; each takes the output of the one before."""

    def rule(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
        for each in rules:
            inputs = [each(graph, equation, inputs)]
        return inputs[0]

    return rule


def _with_number(kind: str, number: Callable[[Equation], float], *, first: bool = False) -> Rule:
    """Returns the rule of an operator whose other input is a number."""

    def rule(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
        (value,) = inputs
        other = graph.constant(np.asarray(number(equation), equation.invars[0].aval.dtype))
        return _elementwise(kind)(graph, equation, [other, value] if first else [value, other])

    return rule


def _square(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
    return _elementwise("Mul")(graph, equation, [*inputs, *inputs])


def _select(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
    which, *cases = inputs
    if len(cases) != 2 or equation.invars[0].aval.dtype != np.bool_:
        raise Unsupported("select_n of more than two cases")
    return _elementwise("Where")(graph, equation, [which, *reversed(cases)])


def _clamp(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
    low, value, high = inputs
    raised = _elementwise("Max")(graph, equation, [value, low])
    return _elementwise("Min")(graph, equation, [raised, high])


def _cast(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
    (value,) = inputs
    name = graph.node("Cast", [_narrow(value)], to=_type(equation.outvars[0].aval.dtype))
    return Spread(name, value.shape) if isinstance(value, Spread) else name


def _remainder(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    return graph.node("Mod", [graph.whole(value) for value in inputs], fmod=1)


# --- shapes ---------------------------------------------------------------------------------------


def _broadcast(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
    (operand,) = equation.invars
    shape = equation.outvars[0].aval.shape
    narrow = [1] * len(shape)
    for axis, size in zip(equation.params["broadcast_dimensions"], operand.aval.shape, strict=True):
        narrow[axis] = size
    name = graph.whole(inputs[0])
    if list(operand.aval.shape) != narrow:
        name = graph.reshaped(name, narrow)
    return name if narrow == list(shape) else Spread(name, shape)


def _reshape(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    return graph.reshaped(graph.whole(inputs[0]), equation.outvars[0].aval.shape)


def _transpose(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    return graph.node("Transpose", [graph.whole(inputs[0])], perm=equation.params["permutation"])


def _concatenate(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    names = [graph.whole(value) for value in inputs]
    return graph.node("Concat", names, axis=equation.params["dimension"])


def _stack(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    return _stacked(graph, [graph.whole(value) for value in inputs], equation.params["axis"])


def _stacked(graph: Graph, names: Sequence[str], axis: int) -> str:
    """Returns the name of arrays joined along a new axis."""
    spread = [graph.node("Unsqueeze", [name, graph.integers([axis])]) for name in names]
    return graph.node("Concat", spread, axis=axis)


def _split(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> list[str]:
    sizes = equation.params["sizes"]
    found = graph.node(
        "Split",
        [graph.whole(inputs[0]), graph.integers(sizes)],
        count=len(sizes),
        axis=equation.params["axis"],
    )
    return [found] if len(sizes) == 1 else found


def _slice(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    found, (operand,) = equation.params, equation.invars
    begin, end = found["start_indices"], found["limit_indices"]
    steps = found["strides"] or (1,) * len(begin)
    whole = [
        (first, last, step) == (0, size, 1)
        for first, last, step, size in zip(begin, end, steps, operand.aval.shape, strict=True)
    ]
    axes = [axis for axis, all_of_it in enumerate(whole) if not all_of_it]
    return _cut(
        graph,
        graph.whole(inputs[0]),
        axes,
        [begin[axis] for axis in axes],
        [end[axis] for axis in axes],
        [steps[axis] for axis in axes],
    )


def _reverse(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    return _turned(graph, graph.whole(inputs[0]), equation.params["dimensions"])


def _turned(graph: Graph, name: str, axes: Sequence[int]) -> str:
    count, before_the_first = len(axes), -(2**31)
    return _cut(graph, name, axes, [-1] * count, [before_the_first] * count, [-1] * count)


def _cut(
    graph: Graph,
    name: str,
    axes: Sequence[int],
    begin: Sequence[Any],
    end: Sequence[Any],
    steps: Sequence[int],
) -> str:
    if not all(isinstance(place, int) for place in (*begin, *end)):
        raise Unsupported("a slice whose place depends on the number of examples")
    return graph.node("Slice", [name, *map(graph.integers, (begin, end, axes, steps))])


def _pad(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    name, number = graph.whole(inputs[0]), graph.whole(inputs[1])
    shape = list(equation.invars[0].aval.shape)
    low, high, between = zip(*equation.params["padding_config"], strict=True)
    for axis, gap in enumerate(between):
        if gap and isinstance(shape[axis], int):
            before, after = shape[: axis + 1], shape[axis + 1 :]
            name = graph.reshaped(name, [*before, 1, *after])
            ends = [0] * (axis + 1) + [gap] + [0] * len(after)
            name = _padded(graph, name, [0] * len(ends), ends, number)
            shape[axis] *= 1 + gap
            name = graph.reshaped(name, shape)
        elif gap:
            raise Unsupported("pad between examples")
    return _padded(
        graph, name, low, [h - gap for h, gap in zip(high, between, strict=True)], number
    )


def _padded(
    graph: Graph, name: str, low: Sequence[int], high: Sequence[int], number: str = ""
) -> str:
    """Returns the name of an array with numbers added at its ends, or, if negative, cut off."""
    if not any((*low, *high)):
        return name
    return graph.node("Pad", [name, graph.integers([*low, *high]), *([number] if number else [])])


def _iota(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> Value:
    shape, axis = equation.outvars[0].aval.shape, equation.params["dimension"]
    narrow = [size if each == axis else 1 for each, size in enumerate(shape)]
    end = graph.reshaped(graph.shape([shape[axis]]), [])
    zero, one = (graph.constant(np.int64(number)) for number in (0, 1))
    counted = graph.reshaped(graph.node("Range", [zero, end, one]), narrow)
    name = graph.node("Cast", [counted], to=_type(equation.outvars[0].aval.dtype))
    return name if narrow == list(shape) else Spread(name, shape)


def _size(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    number = graph.reshaped(graph.shape([equation.params["dim"]]), [])
    return graph.node("Cast", [number], to=_type(equation.outvars[0].aval.dtype))


def _gather(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    """Returns the entries of an array at indices of some of its axes, whole along the others.

    At a single index it may also return a part of the array that begins there.
    """
    array, indices = (atom.aval for atom in equation.invars)
    numbers = equation.params["dimension_numbers"]
    indexed, count = tuple(numbers.start_index_map), indices.ndim - 1
    if not count:
        sizes = [equation.params["slice_sizes"][axis] for axis in indexed]
        begin = graph.node("Cast", [graph.whole(inputs[1])], to=_type(np.int64))
        end = graph.node("Add", [begin, graph.integers(sizes)])
        places = [graph.whole(inputs[0]), begin, end, graph.integers(indexed)]
        return graph.reshaped(graph.node("Slice", places), equation.outvars[0].aval.shape)
    kept = [axis for axis in range(array.ndim) if axis not in indexed]
    entry = [1 if axis in indexed else size for axis, size in enumerate(array.shape)]
    whole = list(equation.params["slice_sizes"]) == entry
    if numbers.operand_batching_dims or numbers.collapsed_slice_dims != tuple(sorted(indexed)):
        whole = False
    if not whole:
        raise Unsupported("gather of parts of an array")
    first = graph.node("Transpose", [graph.whole(inputs[0])], perm=[*indexed, *kept])
    at = graph.node("Cast", [graph.whole(inputs[1])], to=_type(np.int64))
    found = graph.node("GatherND", [first, at])
    # It has the axes of the indices first; JAX says where it has those of the array.
    own, of_array = iter(range(count)), iter(range(count, count + len(kept)))
    axes = range(count + len(kept))
    places = [next(of_array if axis in numbers.offset_dims else own) for axis in axes]
    return graph.node("Transpose", [found], perm=places)


def _scan(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> list[Value]:
    """Returns the outputs of a loop, which is written out."""
    found = equation.params
    constants, carried = found["num_consts"], found["num_carry"]
    if found["length"] > _MOST_ROUNDS:
        raise Unsupported(f"a loop of {found['length']} rounds")
    fixed, carry = list(inputs[:constants]), list(inputs[constants : constants + carried])
    stacked = [graph.whole(value) for value in inputs[constants + carried :]]
    made: list[list[str]] = []
    for index in range(found["length"])[:: -1 if found["reverse"] else 1]:
        place = graph.constant(np.int64(index))
        entries = [graph.node("Gather", [name, place], axis=0) for name in stacked]
        outputs = graph.called(
            found["jaxpr"], [*fixed, *carry, *entries], [True] * len(equation.outvars)
        )
        carry = outputs[:carried]
        made.append([graph.whole(value) for value in outputs[carried:]])
    in_order = made[::-1] if found["reverse"] else made
    return [*carry, *(_stacked(graph, names, 0) for names in zip(*in_order, strict=True))]


# --- sums and products ----------------------------------------------------------------------------


def _reduce(kind: str) -> Rule:
    """Returns the rule of a reduction; that of truth values is one of the numbers 0 and 1."""

    def rule(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
        name, logical = graph.whole(inputs[0]), equation.invars[0].aval.dtype == np.bool_
        if logical:
            name = graph.node("Cast", [name], to=_type(np.int32))
        found = graph.node(kind, [name, graph.integers(equation.params["axes"])], keepdims=0)
        return graph.node("Cast", [found], to=_type(np.bool_)) if logical else found

    return rule


def _product(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    """Returns the sum of products, over contracted axes, of two arrays."""
    left, right = (atom.aval.ndim for atom in equation.invars)
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    names = [graph.whole(value) for value in inputs]
    matrices = (left, right) == (2, 2) and (tuple(left_sum), tuple(right_sum)) == ((1,), (0,))
    if matrices and not left_batch:
        return graph.node("MatMul", names)
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    of_left = [next(letters) for _ in range(left)]
    of_right = [next(letters) for _ in range(right)]
    for one, other in zip((*left_sum, *left_batch), (*right_sum, *right_batch), strict=True):
        of_right[other] = of_left[one]
    free = [
        letter
        for of, taken in (
            (of_left, (*left_sum, *left_batch)),
            (of_right, (*right_sum, *right_batch)),
        )
        for axis, letter in enumerate(of)
        if axis not in taken
    ]
    made = [of_left[axis] for axis in left_batch] + free
    formula = f"{''.join(of_left)},{''.join(of_right)}->{''.join(made)}"
    return graph.node("Einsum", names, equation=formula)


# --- convolutions ---------------------------------------------------------------------------------

_FIRST, _LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # from NHWC to ONNX's NCHW, and back


def _convolution(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    """Returns C(x, w) of `kernels.convolution_geometry`."""
    geometry, names = equation.params["geometry"], [graph.whole(value) for value in inputs]
    (top, bottom), (left, right) = geometry.padding
    x = graph.node("Transpose", [names[0]], perm=_FIRST)
    cut = [min(pad, 0) for pad in (top, left, bottom, right)]
    x = _padded(graph, x, [0, 0, *cut[:2]], [0, 0, *cut[2:]])
    y = graph.node(
        "Conv",
        [x, _kernel(graph, names[1], turned=geometry.turned)],
        strides=geometry.strides,
        dilations=geometry.dilation,
        group=geometry.groups,
        pads=[max(pad, 0) for pad in (top, left, bottom, right)],
    )
    return graph.node("Transpose", [y], perm=_LAST)


def _transposed_convolution(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    """Returns T(y, w) of `kernels.convolution_geometry`.

    ONNX's ConvTranspose makes all that the taps reach; the padding is cut off from it, and pixels
    that no tap reaches are zeros.
    """
    geometry, names = equation.params["geometry"], [graph.whole(value) for value in inputs]
    sizes = equation.invars[0].aval.shape[1:3]
    low = [pad[0] for pad in geometry.padding]
    high = [
        (size - 1) * stride + reach - first - wanted
        for size, stride, reach, first, wanted in zip(
            sizes, geometry.strides, geometry.reach, low, geometry.image, strict=True
        )
    ]
    x = graph.node(
        "ConvTranspose",
        [
            graph.node("Transpose", [names[0]], perm=_FIRST),
            _kernel(graph, names[1], turned=geometry.turned),
        ],
        strides=geometry.strides,
        dilations=geometry.dilation,
        group=geometry.groups,
        pads=[max(pad, 0) for pad in (*low, *high)],
    )
    missing = [max(-pad, 0) for pad in (*low, *high)]
    x = _padded(graph, x, [0, 0, *missing[:2]], [0, 0, *missing[2:]])
    return graph.node("Transpose", [x], perm=_LAST)


def _kernel(graph: Graph, name: str, *, turned: bool) -> str:
    """Returns the name of a kernel, HWIO, in ONNX's layout OIHW; a turned one is turned back."""
    if not turned:
        return graph.node("Transpose", [name], perm=(3, 2, 0, 1))
    return _turned(graph, graph.node("Transpose", [name], perm=(2, 3, 0, 1)), (2, 3))


def _plain_convolution(graph: Graph, equation: Equation, inputs: Sequence[Value]) -> str:
    """Returns XLA's own convolution, as layers of Flax trace it."""
    found, names = equation.params, [graph.whole(value) for value in inputs]
    numbers = found["dimension_numbers"]
    if math.prod(found["lhs_dilation"]) != 1 or found["batch_group_count"] != 1:
        raise Unsupported("conv_general_dilated with a dilated input")
    low, high = zip(*found["padding"], strict=True)
    if min(*low, *high) < 0:
        raise Unsupported("conv_general_dilated with negative padding")
    x, w = (
        graph.node("Transpose", [name], perm=perm)
        for name, perm in zip(names, (numbers.lhs_spec, numbers.rhs_spec), strict=True)
    )
    y = graph.node(
        "Conv",
        [x, w],
        strides=found["window_strides"],
        dilations=found["rhs_dilation"],
        group=found["feature_group_count"],
        pads=[*low, *high],
    )
    return graph.node("Transpose", [y], perm=[int(axis) for axis in np.argsort(numbers.out_spec)])


_ELEMENTWISE = {
    "abs": "Abs",
    "add": "Add",
    "add_any": "Add",
    "ceil": "Ceil",
    "copy": "Identity",
    "cos": "Cos",
    "div": "Div",
    "eq": "Equal",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "ge": "GreaterOrEqual",
    "gt": "Greater",
    "le": "LessOrEqual",
    "log": "Log",
    "logistic": "Sigmoid",
    "lt": "Less",
    "max": "Max",
    "min": "Min",
    "mul": "Mul",
    "neg": "Neg",
    "pow": "Pow",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "stop_gradient": "Identity",
    "sub": "Sub",
    "tanh": "Tanh",
}

RULES: Mapping[str, Rule] = {
    **{name: _elementwise(kind) for name, kind in _ELEMENTWISE.items()},
    "and": _of_bits("And", "BitwiseAnd"),
    "not": _of_bits("Not", "BitwiseNot"),
    "or": _of_bits("Or", "BitwiseOr"),
    "ne": _in_turn(_elementwise("Equal"), _elementwise("Not")),
    "rsqrt": _in_turn(_elementwise("Sqrt"), _elementwise("Reciprocal")),
    "expm1": _in_turn(_elementwise("Exp"), _with_number("Sub", lambda _: 1.0)),
    "exp2": _with_number("Pow", lambda _: 2.0, first=True),
    "integer_pow": _with_number("Pow", lambda equation: equation.params["y"]),
    "log1p": _in_turn(_with_number("Add", lambda _: 1.0), _elementwise("Log")),
    "square": _square,
    "select_n": _select,
    "clamp": _clamp,
    "convert_element_type": _cast,
    "rem": _remainder,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "transpose": _transpose,
    "concatenate": _concatenate,
    "stack": _stack,
    "split": _split,
    "slice": _slice,
    "rev": _reverse,
    "pad": _pad,
    "iota": _iota,
    "dim_as_value": _size,
    "gather": _gather,
    "scan": _scan,
    "reduce_and": _reduce("ReduceMin"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_or": _reduce("ReduceMax"),
    "reduce_prod": _reduce("ReduceProd"),
    "reduce_sum": _reduce("ReduceSum"),
    "dot_general": _product,
    "conv_general_dilated": _plain_convolution,
    "jaxgan_conv": _convolution,
    "jaxgan_conv_input_gradient": _transposed_convolution,
}
"""By operation of JAX, what adds those of ONNX: `rule(graph, equation, inputs) -> outputs`."""
