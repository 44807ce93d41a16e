"""What a train step exchanges between devices, as the compiled program says."""

from __future__ import annotations

import jax
import laws
import pytest

from benchmarks import scaling
from jaxgan import parallel

TEXT = """
  %all-reduce.5 = (f32[4]{0}, bf16[2,3]{1,0}, /*index=2*/f64[]) all-reduce(%a, %b, %c), channel_id=2
  %all-gather = f32[8,4]{1,0} all-gather(%d), dimensions={0}
  %start = u8[16]{0} all-reduce-start(%e), to_apply=%sum
  %done = u8[16]{0} all-reduce-done(%start)
  %none = pred[3]{0} compare(%f, %g), metadata={op_name="all-reduce(x)"}
"""


def test_the_collectives_of_a_program_have_the_bytes_of_their_results():
    assert scaling.collectives(TEXT) == [
        ("all-reduce", 4 * 4 + 6 * 2 + 8),
        ("all-gather", 8 * 4 * 4),
        ("all-reduce", 16),
    ]


@pytest.mark.parametrize("mode", ["jit", pytest.param("shard_map", marks=pytest.mark.slow)])
def test_a_step_reduces_gradients_and_statistics_and_nothing_else(mode):
    case, mesh = laws.BY_NAME["dcgan"], parallel.data_mesh(jax.devices()[:4])
    gan = case.build(axis_name=parallel.axis_for(mode))
    step = scaling.lowered(gan, mesh, {"image": (case.rows, *case.shape)}, mode=mode)
    exchanged = scaling.collectives(scaling.program(step))
    assert {one.kind for one in exchanged} == {"all-reduce"}
    state = jax.eval_shape(gan.init, jax.random.key(0))
    least = scaling.expected(state, mode)
    # By hand: 64x3 + (4+4) + 4x4x4x2 + (2+2) + 4x4x2x1 + 1 params of the generator, and
    # 4x4x1x2 + 2 + 4x4x2x4 + (4+4) + 64 + 1 of the discriminator; 4 + 2 and 4 normalized channels.
    assert least.gradients == 4 * (365 + 235)
    assert least.normalization == 4 * 2 * (3 * 6 + 6 * 4)
    assert sum(one.size for one in exchanged) <= 1.05 * sum(least)
    assert len(exchanged) <= 20


@pytest.mark.slow
def test_split_parameters_are_gathered_and_examples_are_not():
    case, mesh = laws.BY_NAME["dcgan"], parallel.data_mesh(jax.devices()[:4])
    gan = case.build()
    batch = {"image": (case.rows, *case.shape)}
    step = scaling.lowered(gan, mesh, batch, shard_parameters=True)
    exchanged = scaling.collectives(scaling.program(step))
    least = scaling.expected(jax.eval_shape(gan.init, jax.random.key(0)), "jit")
    gathered = [one.size for one in exchanged if one.kind == "all-gather"]
    assert {one.kind for one in exchanged} == {"all-reduce", "all-gather"}
    # Weights of both players, and those of the discriminator once more after its update.
    assert 0 < sum(gathered) <= least.gradients + least.again


def test_the_projection_is_that_of_ring_reductions():
    machine = scaling.Machine("two", 2, peak=1e12, bandwidth=1e9, latency=1e-3)
    exchange = scaling.Exchange(gradients=3 * 10**6, players=2, sums=10**6, normalizations=4)
    found = scaling.projected(machine, exchange, flops=3e9, utilization=0.5)
    assert found.computing == pytest.approx(6e-3)
    assert found.exchanging == pytest.approx(4e-3 + 1e-3 + 2e-3 + 3e-3)
    assert found.efficiency == pytest.approx(6 / 16)
    # Of the 3 ms of gradients, 2 ms are hidden behind a third of the computing.
    assert found.overlapped == pytest.approx(6 / 14)


def test_as_many_examples_are_needed_as_make_the_waiting_a_twentieth():
    machine = scaling.Machine("two", 2, peak=1e12, bandwidth=1e9, latency=1e-3)
    exchange = scaling.Exchange(gradients=10**6, players=2, sums=0, normalizations=0)
    # 2 ms are not hidden: 38 ms of computing, at 1 ms an example.
    assert scaling.needed(machine, exchange, flops=5e8, utilization=0.5) == 38


def test_the_sums_of_normalization_are_told_from_gradients():
    text = """
    %1 = "stablehlo.all_reduce"(%0) <{channel_handle = #a}> ({
    }) : (tensor<2x64xf32>) -> tensor<2x64xf32>
    %2 = "stablehlo.all_reduce"(%1) <{channel_handle = #a}> ({
    }) : (tensor<2x2x64xf32>) -> tensor<2x2x64xf32>
    """
    params = [jax.ShapeDtypeStruct(shape, "float32") for shape in ((2, 2, 64), ())]
    assert scaling.exchanged_by(text, params) == (4 * 257, 2, 2 * 2 * 64 * 4, 2)
