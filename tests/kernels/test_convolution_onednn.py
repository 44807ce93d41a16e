"""The convolutions of oneDNN equal XLA's own, and are taken only where they can be."""

from __future__ import annotations

import convolutions
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax import lax
from jax.sharding import PartitionSpec

from jaxgan import collectives, parallel
from jaxgan.kernels import convolution, onednn_probe, processor

pytestmark = [
    pytest.mark.skipif(onednn_probe.unsuited() is not None, reason=str(onednn_probe.unsuited())),
    # These programs cannot be kept, which a run knows and does not say.
    pytest.mark.filterwarnings("ignore:Error writing persistent compilation cache entry"),
]
CALL = "__onednn$convolution"


def wide(case: convolutions.Case) -> convolutions.Case:
    """The case with enough channels for oneDNN, and as many images as K of many needs."""
    if case.channels == case.groups > 1:
        return case
    channels = {"channels": 6 * case.groups, "features": 7 * case.groups}
    return case._replace(**channels, count=max(case.count, 4))


WIDE = wide(convolutions.CASES["mixed strides, asymmetric padding"])


def assert_equals_xlas_own(name: str, case: convolutions.Case, derivatives, **options) -> None:
    convolutions.assert_equals_xlas_own(name, case, derivatives, implementation="onednn", **options)


def calls(function, *arguments, platform: str = "cpu") -> int:
    """The calls of oneDNN in what JAX hands to the compiler of a platform."""
    traced = jax.jit(function).trace(*arguments)
    return traced.lower(lowering_platforms=(platform,)).as_text().count(CALL)


def loss(w, x):
    return jnp.mean(convolution.conv(x, w, strides=2, implementation="onednn") ** 2)


def operands(dtype=np.float32, channels: int = 8):
    """A kernel and a batch whose loss and gradients hold C, T and K."""
    draws = np.random.default_rng(0)
    w = draws.normal(size=(3, 3, channels, 8)).astype(dtype)
    return w, draws.normal(size=(8, 6, 6, channels)).astype(dtype)


GRADIENTS = jax.value_and_grad(loss, argnums=(0, 1))


def test_the_oneDNN_of_this_jaxlib_passes_the_probe():
    assert onednn_probe.why_not(onednn_probe.folder()) is None


# --- values and derivatives -----------------------------------------------------------------------


@pytest.mark.parametrize("name", convolutions.MAPS)
def test_every_map_equals_xlas_own(name):
    assert_equals_xlas_own(name, WIDE, convolutions.first)


@pytest.mark.parametrize(
    "name",
    ["transposed", *(pytest.param(name, marks=pytest.mark.slow) for name in convolutions.MAPS)],
)
def test_second_derivatives_equal_xlas_own(name):
    assert_equals_xlas_own(name, WIDE, convolutions.second)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("transposed", "stride 3, rows never reached"),
        ("convolution", "cropped by negative padding"),
        ("convolution", "groups"),
        ("convolution", "depthwise, odd pads"),
        pytest.param("convolution", "dilated", marks=pytest.mark.slow),
        pytest.param("convolution", "kernel below the stride", marks=pytest.mark.slow),
    ],
)
def test_special_geometries_equal_xlas_own(name, case):
    assert_equals_xlas_own(name, wide(convolutions.CASES[case]), convolutions.first)


@pytest.mark.parametrize("count", [1, 3])
def test_a_kernel_gradient_of_few_images_equals_xlas_own(count):
    case = convolutions.CASES["stride 2"]._replace(
        channels=6, features=7, count=count, image=(9, 16)
    )
    assert_equals_xlas_own("kernel gradient", case, lambda function, a, b: function(a, b))


def test_a_kernel_gradient_of_many_images_is_the_sum_over_pieces(monkeypatch):
    monkeypatch.setattr("jaxgan.kernels.convolution_onednn._LARGE", 1)
    case = wide(convolutions.CASES["stride 2"])._replace(count=64)
    assert_equals_xlas_own("kernel gradient", case, lambda function, a, b: function(a, b))
    mine, _, make = convolutions.MAPS["kernel gradient"]
    a, b = (jnp.asarray(v, jnp.float32) for v in make(case))
    assert calls(mine(case, "onednn"), a, b) == 4


@pytest.mark.slow
@settings(max_examples=60)
@given(
    convolutions.geometries(groups=(1, 1, 2, 3), inputs=(3, 6, 11)),
    convolutions.geometries(inputs=(6, 11)),
)
def test_any_geometry_equals_xlas_own(case, transposed):
    assert_equals_xlas_own("convolution", wide(case), convolutions.first)
    assert_equals_xlas_own("transposed", wide(transposed), convolutions.first)


@pytest.mark.parametrize(
    "wrap",
    [
        convolutions.in_scan,
        pytest.param(convolutions.in_cond, marks=pytest.mark.slow),
        pytest.param(jax.checkpoint, marks=pytest.mark.slow),
    ],
)
def test_control_flow_and_remat_leave_the_derivatives_as_they_are(wrap):
    assert_equals_xlas_own("convolution", WIDE, convolutions.first, wrap=wrap)


@pytest.mark.parametrize(
    "mapped",
    [(None, 1), *(pytest.param(axes, marks=pytest.mark.slow) for axes in ((1, None), (1, 1)))],
)
def test_vmap_equals_xlas_own_for_either_operand(mapped):
    mine, theirs, make = convolutions.MAPS["convolution"]
    a, b = (
        np.stack(values, axis=1).astype(np.float32) if axis == 1 else values[0].astype(np.float32)
        for values, axis in zip(
            zip(*(make(WIDE, seed) for seed in range(2)), strict=True), mapped, strict=True
        )
    )
    over = [jax.vmap(f, in_axes=mapped) for f in (mine(WIDE, "onednn"), theirs(WIDE))]
    convolutions.assert_close(*convolutions.both(convolutions.first, *over, a, b), 2e-5)


def test_repeated_calls_are_equal_to_the_bit():
    run = jax.jit(GRADIENTS)
    first = run(*operands())
    for _ in range(3):
        jax.tree.map(np.testing.assert_array_equal, run(*operands()), first)


# --- products of bfloat16 -------------------------------------------------------------------------

fast_bfloat16 = pytest.mark.skipif(
    onednn_probe.unsuited("bfloat16") is not None, reason=str(onednn_probe.unsuited("bfloat16"))
)


def of_rounded(value):
    """The numbers rounded to bfloat16, in float32."""
    return jnp.asarray(value, jnp.bfloat16).astype(jnp.float32)


@fast_bfloat16
@pytest.mark.parametrize("name", convolutions.MAPS)
@pytest.mark.parametrize("case", ["stride 1", "mixed strides, asymmetric padding"])
def test_products_of_bfloat16_are_those_of_rounded_operands_added_up_in_float32(name, case):
    mine, theirs, make = convolutions.MAPS[name]
    given = wide(convolutions.CASES[case])
    a, b = (jnp.asarray(v, jnp.float32) for v in make(given))
    with jax.default_matmul_precision("bfloat16"):
        found = jax.jit(mine(given, "onednn"))(a, b)
    assert found.dtype == jnp.float32
    convolutions.assert_close(found, theirs(given)(of_rounded(a), of_rounded(b)), 2e-6)
    # Had nothing been rounded, it would be as near to the product itself.
    with pytest.raises(AssertionError):
        convolutions.assert_close(found, theirs(given)(a, b), 1e-4)


@fast_bfloat16
def test_a_gradient_of_few_images_and_a_sum_of_pieces_add_up_in_float32(monkeypatch):
    monkeypatch.setattr("jaxgan.kernels.convolution_onednn._LARGE", 1)
    mine, theirs, make = convolutions.MAPS["kernel gradient"]
    for count in (2, 64):
        case = wide(convolutions.CASES["stride 2"])._replace(count=count, image=(9, 16))
        a, b = (jnp.asarray(v, jnp.float32) for v in make(case))
        with jax.default_matmul_precision("bfloat16"):
            found = jax.jit(mine(case, "onednn"))(a, b)
        convolutions.assert_close(found, theirs(case)(of_rounded(a), of_rounded(b)), 2e-6)


@fast_bfloat16
def test_every_derivative_has_the_precision_of_the_forward_pass():
    with jax.default_matmul_precision("bfloat16"):
        text = jax.jit(GRADIENTS).trace(*operands()).lower().as_text()
    of_calls = [line for line in text.splitlines() if CALL in line]
    assert len(of_calls) == 6
    for line in of_calls:
        operand_types = line.rsplit(":", 1)[1].split("->")[0]
        assert operand_types.count("xbf16>") == 2, line


@fast_bfloat16
def test_a_network_in_bfloat16_calls_it_too():
    assert calls(GRADIENTS, *operands(jnp.bfloat16)) == 6
    value, gradients = jax.jit(GRADIENTS)(*operands(jnp.bfloat16))
    expected = jax.grad(loss, argnums=(0, 1))(*(of_rounded(v) for v in operands()))
    assert value.dtype == jnp.bfloat16
    convolutions.assert_close(gradients, expected, 0.02)


def test_products_stay_float32_where_those_of_bfloat16_are_not_faster(monkeypatch):
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: False)
    w, x = operands(channels=16)
    with jax.default_matmul_precision("bfloat16"):
        text = jax.jit(lambda w, x: loss(w, x) + 1).trace(w, x).lower().as_text()
    assert text.count(CALL) == 1
    assert "bf16" not in text
    # Of other channels than above, as JAX keeps what it has lowered.
    assert calls(GRADIENTS, *operands(jnp.bfloat16, channels=16)) == 0


# --- where it is taken ----------------------------------------------------------------------------


def test_the_three_maps_call_it_on_a_cpu_alone():
    # C, K, and T by one call for each of 2 x 2 phases.
    assert calls(GRADIENTS, *operands()) == 6
    assert calls(GRADIENTS, *operands(), platform="cuda") == 0


def test_other_types_few_channels_and_small_outputs_keep_their_forms():
    with jax.enable_x64(True):
        assert calls(GRADIENTS, *operands(np.float64)) == 0
    assert calls(GRADIENTS, *operands(np.float16)) == 0
    assert calls(GRADIENTS, *operands(channels=3)) == 1  # C alone
    w, x = operands()
    assert calls(GRADIENTS, np.tile(w, (1, 1, 1, 2)), x[:1, :3, :3]) == 0


def test_a_block_chooses_what_its_convolutions_are_traced_with():
    def gradient(w, x):
        return jax.grad(lambda w: jnp.mean(convolution.conv(x, w) ** 2))(w)

    compiled = jax.jit(gradient)
    assert calls(compiled, *operands()) == 0
    with convolution.implemented_by("onednn"):
        assert calls(compiled, *operands()) == 2
        assert calls(lambda w, x: convolution.conv(x, w, implementation="fast"), *operands()) == 0
    assert calls(compiled, *operands()) == 0


def test_an_exported_program_has_the_form_without_the_call():
    exported = jax.export.export(jax.jit(GRADIENTS), platforms=("cpu",))(*operands())
    assert CALL not in exported.mlir_module()


def test_a_program_over_several_devices_has_the_form_without_the_call():
    mesh = parallel.data_mesh(jax.devices()[:4])
    w, x = operands()
    placed = parallel.replicate(jnp.asarray(w), mesh), parallel.shard(jnp.asarray(x), mesh)
    compiled = jax.jit(GRADIENTS).lower(*placed).compile().as_text()
    assert CALL not in compiled
    assert "all-gather" not in compiled


def test_under_shard_map_each_device_calls_it():
    mesh = parallel.data_mesh(jax.devices()[:2])

    def local(w, x):
        gradient = jax.grad(loss)(collectives.vary(w, parallel.AXIS), x)
        return collectives.all_mean(gradient, parallel.AXIS)

    specs = (PartitionSpec(), PartitionSpec(parallel.AXIS))
    run = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec())
    w, x = operands()
    assert calls(run, w, x) == 2
    np.testing.assert_allclose(jax.jit(run)(w, x), jax.grad(loss)(w, x), rtol=1e-4, atol=1e-6)


def test_a_scan_of_steps_calls_it():
    def descend(w, xs):
        return lax.scan(lambda w, x: (w - jax.grad(loss)(w, x), None), w, xs)[0]

    w, x = operands()
    assert calls(descend, w, x[None]) == 2
