"""What the convolutions become when they are compiled: by platform, by size, over devices."""

from __future__ import annotations

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec

from jaxgan import collectives, nn, parallel


def loss(w, x):
    """The mean square of a convolution; its gradient holds C and K."""
    return jnp.mean(nn.conv(x, w, strides=2) ** 2)


def transposed_loss(w, x, **options):
    return jnp.mean(nn.conv_transpose(x, w[::-1, ::-1].swapaxes(2, 3), **options) ** 2)


def penalty(w, x):
    """The square of an input gradient, as R1 and WGAN-GP take it; its gradient holds all maps."""

    def score(x):
        return jnp.sum(nn.conv(x, w, strides=2) ** 3)

    return jnp.mean(jax.grad(score)(x) ** 2)


def operands(count: int, size: int, channels: int, features: int, dtype=np.float32):
    """A kernel [3, 3, channels, features] and images."""
    draws = np.random.default_rng(0)
    w = draws.normal(size=(3, 3, channels, features)).astype(dtype)
    return w, draws.normal(size=(count, size, size, channels)).astype(dtype)


def program(function, *arguments, platform: str = "cpu") -> str:
    """What JAX hands to the compiler of a platform, which need not be here."""
    traced = jax.jit(function).trace(*arguments)
    return traced.lower(lowering_platforms=(platform,)).as_text()


def convolutions(text: str) -> int:
    return text.count("stablehlo.convolution")


def depthwise_loss(w, x):
    return jnp.mean(nn.conv(x, w, strides=2, groups=x.shape[3]) ** 2)


def kernel_gradient(x, y, **options):
    shape = (3, 3, x.shape[3], y.shape[3])
    w = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(lambda w: nn.conv(x, w, **options), w)(y)[0]


def shaped(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


@pytest.mark.parametrize(
    ("count", "size", "pieces"),
    [
        (8, 31, 1),  # below 8192 products an entry
        (8, 32, 8),
        (32, 16, 8),
        (64, 32, 16),  # no more than 16
        (31, 32, 1),  # an odd batch stays whole
        (12, 32, 4),
        (1, 128, 1),
    ],
)
def test_a_long_kernel_gradient_is_the_sum_over_pieces_of_the_batch(count, size, pieces):
    text = program(kernel_gradient, shaped(count, size, size, 5), shaped(count, size, size, 6))
    assert convolutions(text) == pieces


@pytest.mark.parametrize(
    ("channels", "features", "expected"),
    [(1, 16, 0), (4, 16, 0), (5, 16, 1), (4, 15, 1), (16, 3, 0), (5, 4, 0)],
)
def test_a_kernel_gradient_of_few_channels_is_one_matrix_product(channels, features, expected):
    text = program(kernel_gradient, shaped(2, 8, 8, channels), shaped(2, 8, 8, features))
    assert convolutions(text) == expected
    assert text.count("stablehlo.dot_general") == 1 - expected


# A convolution over an image dilated by inserted zeros, which is slow on a CPU.
DILATED = re.compile(r"lhs_dilate = \[2, 2\]")


@pytest.mark.parametrize(("taps", "products"), [(3, True), (5, True), (7, False)])
def test_a_convolution_to_few_channels_is_one_product_to_all_taps_unless_they_are_many(
    taps, products
):
    w, x = np.ones((taps, taps, 8, 3), np.float32), np.ones((2, 8, 8, 8), np.float32)
    text = program(lambda w, x: nn.conv(x, w), w, x)
    assert convolutions(text) == (0 if products else 1)
    assert text.count("stablehlo.dot_general") == (1 if products else 0)


@pytest.mark.parametrize(
    ("platform", "implementation", "fast"),
    [
        ("cpu", "auto", True),
        ("cuda", "auto", False),
        ("rocm", "auto", False),
        ("tpu", "auto", False),
        ("cpu", "xla", False),
        ("cuda", "fast", True),
        ("tpu", "fast", True),
    ],
)
def test_the_platform_chooses_unless_the_caller_does(platform, implementation, fast):
    def text(implementation):
        function = functools.partial(transposed_loss, implementation=implementation)
        gradients = jax.value_and_grad(function, argnums=(0, 1))
        return program(gradients, *operands(2, 4, 6, 6), platform=platform)

    assert text(implementation) == text("fast" if fast else "xla")
    assert (not DILATED.search(text(implementation))) == fast


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
@pytest.mark.parametrize("precision", ["highest", None])
def test_products_have_the_precision_that_was_asked_for_where_they_were_traced(platform, precision):
    """JAX's own products keep it too, although the program is lowered after the block's end."""

    def blockwise(w, x):
        with jax.default_matmul_precision(precision):
            return loss(w, x)

    gradients = jax.value_and_grad(blockwise, argnums=(0, 1))
    text = program(gradients, *operands(2, 4, 6, 6), platform=platform)
    products = re.findall(r".*stablehlo\.(?:convolution|dot_general)\b.*", text)
    assert len(products) >= 3
    assert {line.count("HIGHEST") for line in products} == {2 if precision else 0}


def export(*platforms: str):
    w, x = operands(2, 4, 6, 6)
    return jax.export.export(jax.jit(jax.grad(transposed_loss)), platforms=platforms)(w, x)


def forms(*platforms: str) -> set[str]:
    """The kinds of convolution in a program for the platforms."""
    return set(re.findall(r"dim_numbers = .*?\}", export(*platforms).mlir_module()))


def test_an_exported_program_holds_every_platforms_own_form_and_runs_here():
    w, x = operands(2, 4, 6, 6)
    assert forms("cuda") == forms("tpu")
    assert forms("cpu") & forms("cuda") == set()
    assert forms("cpu", "cuda", "tpu") == forms("cpu") | forms("cuda")
    actual = export("cpu", "cuda", "tpu").call(w, x)
    np.testing.assert_allclose(actual, jax.grad(transposed_loss)(w, x), rtol=1e-5, atol=1e-6)


def test_an_exported_program_survives_serialization():
    pytest.importorskip("flatbuffers", reason="jax.export serializes with flatbuffers")
    w, x = operands(2, 4, 6, 6)
    exported = export("cpu", "cuda", "tpu")
    again = jax.export.deserialize(exported.serialize())
    assert again.platforms == ("cpu", "cuda", "tpu")
    np.testing.assert_array_equal(again.call(w, x), exported.call(w, x))


def descend(w, xs):
    """A step of descent on each batch in turn."""
    return lax.scan(lambda w, x: (w - jax.grad(penalty)(w, x), None), w, xs)[0]


def test_on_a_cpu_every_convolution_has_the_form_that_is_fast_in_control_flow_too():
    # XLA:CPU brings others into this form in a program's entry computation only.
    canonical = "dim_numbers = [b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"
    w, x = operands(8, 8, 5, 6)
    text = program(descend, w, x[None])
    assert convolutions(text) == text.count(canonical) >= 4
    assert not DILATED.search(text)
    assert convolutions(elsewhere := program(descend, w, x[None], platform="cuda")) > 0
    assert elsewhere.count(canonical) < convolutions(elsewhere)


def test_on_a_cpu_a_depthwise_convolution_is_shifted_products():
    gradients = jax.value_and_grad(depthwise_loss, argnums=(0, 1))
    w, x = operands(2, 8, 1, 6)[0], operands(2, 8, 6, 6)[1]
    assert convolutions(program(gradients, w, x)) == 0
    assert convolutions(program(gradients, w, x, platform="cuda")) == 3


COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")


def collectives_in(text: str) -> dict[str, int]:
    found = {name: len(re.findall(rf" {name}(?:-start)?\(", text)) for name in COLLECTIVES}
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize("function", [penalty, transposed_loss])
@pytest.mark.parametrize(
    ("count", "size", "channels", "features"),
    [
        (8, 8, 5, 6),
        (8, 8, 3, 16),
        # Long on each device: pieces of it.
        (32, 64, 5, 6),
        # Long in all, with fewer rows a device than pieces in all.
        (16, 46, 5, 6),
    ],
)
def test_a_split_batch_costs_one_all_reduce(function, count, size, channels, features):
    mesh = parallel.data_mesh(jax.devices()[:4])
    w, x = operands(count, size, channels, features)
    if function is transposed_loss:
        w, x = w.swapaxes(2, 3), x[:, ::2, ::2]
    gradient = jax.jit(jax.grad(function))
    placed = parallel.replicate(jnp.asarray(w), mesh), parallel.shard(jnp.asarray(x), mesh)
    compiled = gradient.lower(*placed).compile()
    assert collectives_in(compiled.as_text()) == {"all-reduce": 1}
    expected, actual = gradient(w, x), compiled(*placed)
    assert jnp.max(jnp.abs(actual - expected)) <= 1e-5 * jnp.max(jnp.abs(expected))


def test_a_split_batch_costs_one_all_reduce_of_a_depthwise_kernel_gradient():
    mesh = parallel.data_mesh(jax.devices()[:4])
    w, x = operands(8, 8, 1, 6)[0], operands(8, 8, 6, 6)[1]
    gradient = jax.jit(jax.grad(depthwise_loss))
    placed = parallel.replicate(jnp.asarray(w), mesh), parallel.shard(jnp.asarray(x), mesh)
    compiled = gradient.lower(*placed).compile()
    assert collectives_in(compiled.as_text()) == {"all-reduce": 1}
    np.testing.assert_allclose(compiled(*placed), gradient(w, x), rtol=1e-5, atol=1e-7)


def on_shards(function, mesh):
    """The gradient of the mean over the shards' losses, under shard_map."""

    def local(w, x):
        gradient = jax.grad(function)(collectives.vary(w, parallel.AXIS), x)
        return collectives.all_mean(gradient, parallel.AXIS)

    specs = (PartitionSpec(), PartitionSpec(parallel.AXIS))
    return jax.jit(jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=PartitionSpec()))


def on_replicas(function, mesh):
    """The same, under pmap."""

    def local(w, x):
        return collectives.all_mean(jax.grad(function)(w, x), parallel.AXIS)

    devices = list(mesh.devices.flat)
    run = jax.pmap(
        local, axis_name=parallel.AXIS, in_axes=(None, 0), out_axes=None, devices=devices
    )
    return lambda w, x: run(w, x.reshape(mesh.size, -1, *x.shape[1:]))


@pytest.mark.parametrize("spread", [on_shards, on_replicas])
@pytest.mark.parametrize("function", [loss, penalty])
def test_shard_map_and_pmap_give_the_gradients_of_one_device(function, spread):
    mesh = parallel.data_mesh(jax.devices()[:4])
    with jax.enable_x64(True):
        w, x = operands(8, 7, 5, 6, np.float64)
        actual = spread(function, mesh)(w, x)
        expected = jax.jit(jax.grad(function))(w, x)
        assert jnp.max(jnp.abs(actual - expected)) <= 1e-10 * jnp.max(jnp.abs(expected))


def test_under_shard_map_an_unmarked_kernel_behaves_as_in_xlas_own_convolution():
    mesh = parallel.data_mesh(jax.devices()[:2])

    def plain_loss(w, x):
        dimensions = ("NHWC", "HWIO", "NHWC")
        return jnp.mean(
            lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=dimensions) ** 2
        )

    specs = (PartitionSpec(), PartitionSpec(parallel.AXIS))
    w, x = operands(4, 6, 2, 3)
    ours, plain = (
        jax.jit(jax.shard_map(jax.grad(f), mesh=mesh, in_specs=specs, out_specs=PartitionSpec()))(
            w, x
        )
        for f in (loss, plain_loss)
    )
    np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "kernel", "options", "sentence"),
    [
        (nn.conv, (3, 3, 5, 4), {}, "images of 6 channels do not fit a kernel of 5 x 1 groups"),
        (nn.conv, (3, 3, 6, 4), {"groups": 2}, "6 channels do not fit a kernel of 6 x 2 groups"),
        (nn.conv, (3, 3, 6, 4), {"implementation": "cudnn"}, "'cudnn'; expected one of auto, fast"),
        (
            nn.conv,
            (9, 9, 6, 4),
            {"padding": "VALID"},
            r"kernel of \(9, 9\) does not fit into images",
        ),
        (nn.conv_transpose, (3, 3, 5, 4), {}, "input of 6 channels does not fit a kernel from 5"),
        (nn.conv_transpose, (3, 3, 6, 4), {"implementation": ""}, "''; expected one of auto"),
        (nn.conv_transpose, (3, 3, 6, 4), {"output": (17, 16)}, r"starts from \(9, 8\), not from"),
        (nn.conv_transpose, (3, 3, 6, 4), {"padding": 9}, "leaves nothing"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(function, kernel, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        function(jnp.zeros((2, 8, 8, 6)), jnp.zeros(kernel), **options)
