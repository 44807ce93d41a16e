"""No convolution of a model falls to XLA's slow loops on a CPU, in any derivative.

XLA's compiler for CPUs has fast code for convolutions of one form alone: float32 images [B, *space,
C] and kernels [*space, C, F], without groups, reversed taps or inserted zeros. Outside of loops and
branches it brings some others into this form. So every map is compiled inside a loop here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import laws
import pytest
from jax import Array, lax
from jax.extend import core

from benchmarks import cases, convolutions
from jaxgan import nn
from jaxgan.kernels import convolution, convolution_primitives, onednn_probe
from jaxgan.kernels.convolution_geometry import Geometry
from jaxgan.steps import gradient_update

MAPS = {p.name: p for p in (getattr(convolution_primitives, name) for name in "CTK")}


class Map(NamedTuple):
    """A map that a program holds: the name of its primitive, its operands, and its geometry."""

    name: str
    operands: tuple[jax.ShapeDtypeStruct, ...]
    geometry: Geometry


def maps_of(function, *arguments) -> set[Map]:
    """The maps of a function. It may hold no other convolution."""
    program = jax.make_jaxpr(function)(*arguments)
    equations = list(_equations(program.jaxpr))
    assert not any(e.primitive.name == "conv_general_dilated" for e in equations)
    return {
        Map(
            e.primitive.name,
            tuple(jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in e.invars),
            e.params["geometry"],
        )
        for e in equations
        if e.primitive.name in MAPS
    }


def _equations(jaxpr: core.Jaxpr) -> Iterator[Any]:
    """The equations of a program, and of the programs inside its loops, branches and calls."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")
        ):
            if hasattr(value, "jaxpr") or hasattr(value, "eqns"):
                yield from _equations(getattr(value, "jaxpr", value))


def slow_loops(maps: set[Map], implementation: str = "fast") -> list[str]:
    """The convolutions without fast code in the compiled program of the maps, each in a loop."""

    def twice(which: Map, operands: tuple[Array, Array]) -> Array:
        geometry = which.geometry._replace(implementation=implementation)
        return lax.map(lambda pair: MAPS[which.name].bind(*pair, geometry=geometry), operands)

    ordered = sorted(maps, key=str)
    operands = [
        tuple(jax.ShapeDtypeStruct((2, *a.shape), a.dtype) for a in each.operands)
        for each in ordered
    ]

    @jax.jit
    def together(operands: list[tuple[Array, Array]]) -> list[Array]:
        return [twice(*pair) for pair in zip(ordered, operands, strict=True)]

    text = together.lower(operands).compile().as_text()
    return [line for line in re.findall(r".* convolution\(.*", text) if not _is_fast(line)]


FAST = re.compile(r"= f(32|16)\[.*dim_labels=b(\d+)f_\2io->b\2f(,|$)")


def _is_fast(line: str) -> bool:
    groups = re.search(r"(feature|batch)_group_count=", line)
    turned = re.search(r"rhs_reversal|lhs_dilate", line)
    return bool(FAST.search(line.split(", metadata")[0])) and not groups and not turned


def of_layer(layer: convolutions.Layer, **options) -> set[Map]:
    """The maps of a layer, of its gradients, and of the gradient of their square."""
    inputs = layer.inputs // layer.groups
    x = jax.ShapeDtypeStruct((2, *[layer.size] * layer.axes, layer.inputs), jnp.float32)
    w = jax.ShapeDtypeStruct((*[layer.kernel] * layer.axes, inputs, layer.outputs), jnp.float32)
    if not layer.transposed:
        options["groups"] = layer.groups
    apply = nn.conv_transpose if layer.transposed else nn.conv

    def score(x, w):
        return jnp.sum(apply(x, w, strides=layer.stride, **options) ** 3)

    def penalty(x, w):
        return sum(jnp.sum(g**2) for g in jax.grad(score, (0, 1))(x, w))

    return maps_of(jax.value_and_grad(penalty, (0, 1)), x, w)


SMALL = {
    "strided": convolutions.Layer(8, 5, 6, 4),
    "transposed": convolutions.Layer(4, 6, 5, 4, transposed=True),
    "from few channels": convolutions.Layer(8, 3, 64, 3, stride=1),
    "to few channels": convolutions.Layer(8, 64, 3, 3, stride=1),
    "few positions": convolutions.Layer(2, 32, 32, 4),
    "grouped": convolutions.Layer(8, 8, 12, 3, stride=2, groups=4),
    "depthwise": convolutions.Layer(8, 6, 6, 3, groups=6),
    "a series": convolutions.Layer(16, 5, 6, 5, axes=1),
    "a grouped series": convolutions.Layer(16, 8, 8, 5, axes=1, groups=2),
    "a transposed series": convolutions.Layer(8, 6, 5, 4, transposed=True, axes=1),
}


unsuited = pytest.mark.skipif(bool(onednn_probe.unsuited()), reason=str(onednn_probe.unsuited()))


@pytest.mark.filterwarnings("ignore:Error writing persistent compilation cache entry")
@pytest.mark.parametrize("implementation", ["fast", pytest.param("onednn", marks=unsuited), "xla"])
def test_xlas_own_fall_to_slow_loops_and_ours_do_not(implementation):
    """Layers of every class, and their second derivatives."""
    found = {name: of_layer(layer) for name, layer in SMALL.items()}
    found["dilated"] = of_layer(convolutions.Layer(12, 5, 6, 3, stride=1), dilation=2)
    grouped = convolutions.Layer(12, 4, 4, 3, stride=1, groups=2, axes=1)
    found["a dilated, grouped series"] = of_layer(grouped, dilation=4)
    assert all({m.name for m in maps} == set(MAPS) for maps in found.values())
    if implementation != "xla":
        assert slow_loops(set().union(*found.values()), implementation) == []
    else:
        for name in ("strided", "transposed", "grouped", "depthwise", "a series", "dilated"):
            assert slow_loops(found[name], "xla"), name


def of_step(gan: Any, batch: Any) -> set[Map]:
    return maps_of(gan.step, jax.eval_shape(gan.init, jax.random.key(0)), batch)


@pytest.mark.slow
@pytest.mark.parametrize("name", laws.BY_NAME)
def test_no_model_falls_to_slow_loops(name):
    case = laws.BY_NAME[name]
    assert slow_loops(of_step(case.build(), laws.batch_of(case))) == []


# Of networks of one size and penalty, one.
SIZES = {case.name: case for case in cases.every() if not case.name.endswith(("b128", "-r1"))}


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_no_model_of_its_papers_size_falls_to_slow_loops(name, monkeypatch):
    """Among them R3GAN, and EfficientNet-Lite0 with its gradient for the images."""
    turns, split = [], gradient_update._pieces

    def counted(leaf: Array) -> Array:
        pieces = split(leaf)
        turns.append(len(pieces))
        return pieces

    monkeypatch.setattr(gradient_update, "_pieces", counted)
    case = SIZES[name]
    assert slow_loops(of_step(case.build_gan(), case.data())) == []
    assert max(turns, default=0) <= 8  # of the loops of gradient norms


def test_a_step_holds_the_maps_of_its_convolutions():
    case = laws.BY_NAME["dcgan"]
    found = of_step(case.build(), laws.batch_of(case))
    assert {m.name for m in found} == set(MAPS)
    assert slow_loops(found) == []


def test_a_convolution_that_is_not_of_this_library_is_found():
    x, w = jnp.ones((1, 1, 4, 4)), jnp.ones((1, 1, 2, 2))
    with pytest.raises(AssertionError):
        maps_of(lambda x: lax.conv(x, w, (1, 1), "SAME"), x)

    def inside(x):
        return lax.cond(x[0, 0, 0, 0] > 0, lambda x: convolution.conv(x, w), lambda x: x, x)

    assert len(maps_of(inside, jnp.ones((1, 4, 4, 2)))) == 1
