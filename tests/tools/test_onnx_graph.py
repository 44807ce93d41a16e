"""ONNX models compute what JAX does, by onnxruntime, for any number of examples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import laws
import numpy as np
import pytest
from jax import lax

from jaxgan.kernels import convolution
from jaxgan.runs import exported
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel
from jaxgan.tools import export, model_card, onnx_graph
from tests.tools.test_export import MADE_BY, model_of

ONNX = export.Asked("onnx")


@pytest.fixture(scope="module")
def onnxruntime():
    pytest.importorskip("onnx", reason="onnx is not installed: pip install 'jaxgan[onnx]'")
    return pytest.importorskip(
        "onnxruntime", reason="onnxruntime is not installed: pip install 'jaxgan[onnx]'"
    )


# --- operations -----------------------------------------------------------------------------------

DRAWS = np.random.default_rng(0)
KERNEL = DRAWS.normal(size=(3, 3, 2, 2)).astype(np.float32)
TABLE = DRAWS.normal(size=(3, 2, 4)).astype(np.float32)
MATRIX = DRAWS.normal(size=(2, 3)).astype(np.float32)


def gru(x):
    """A loop over rows, with a state and an output of each."""

    def advance(state, row):
        state = jnp.tanh(state + row)
        return state, 2 * state

    last, rows = lax.scan(advance, jnp.zeros_like(x[:, 0]), x.swapaxes(0, 1), reverse=True)
    return rows.swapaxes(0, 1) + last[:, None]


OPERATIONS = {
    "strided": lambda x: convolution.conv(x, KERNEL, strides=2),
    "dilated": lambda x: convolution.conv(x, KERNEL, dilation=2, padding=((2, 1), (0, 3))),
    "cropped": lambda x: convolution.conv(x, KERNEL, padding=((-1, 2), (1, -2))),
    "grouped": lambda x: convolution.conv(x, KERNEL[:, :, :1], groups=2),
    "transposed": lambda x: convolution.conv_transpose(x, KERNEL, strides=2),
    "transposed, valid": lambda x: convolution.conv_transpose(x, KERNEL, padding="VALID"),
    "transposed, larger": lambda x: convolution.conv_transpose(
        x, KERNEL[:2, :2], strides=3, padding="VALID", output=(13, 12)
    ),
    "transposed, cropped": lambda x: convolution.conv_transpose(
        x, KERNEL, strides=1, padding=((2, 1), (2, 2))
    ),
    "input gradient": jax.grad(
        lambda x: jnp.sum(convolution.conv(x, KERNEL[:, :, :1], strides=2, groups=2) ** 2)
    ),
    "of XLA": lambda x: lax.conv_general_dilated(
        x, KERNEL, (2, 1), ((1, 1), (0, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    ),
    "spread": lambda x: x * jnp.ones((1, 1, 1, 2)) * 2 + jnp.broadcast_to(3.0, x.shape) / 7,
    "norm": lambda x: (x - x.mean((1, 2), keepdims=True)) * lax.rsqrt(x.var((1, 2), keepdims=True)),
    "numbers": lambda x: jnp.expm1(x) + jnp.log1p(x**2) + jnp.exp2(x) + x**3 + jnp.square(x),
    "softplus": lambda x: jax.nn.softplus(x) + jax.nn.gelu(x) + jax.nn.silu(x),
    "logic": lambda x: (
        jnp.where((x > 0) & ~(x < 1) | (x != x), x, -x) + jnp.any(x > 2, axis=-1)[..., None]
    ),
    "clipped": lambda x: jnp.clip(x, -0.5, 0.5) + jnp.minimum(x, 0.1) - jnp.mod(x, 0.3),
    "einsum": lambda x: (
        jnp.einsum("bhwc,bhkc->bwk", x, x) + x.max((1, 2, 3), keepdims=True)[..., 0]
    ),
    "matrix": lambda x: x.reshape(x.shape[0], -1, 2) @ MATRIX,
    "rows": lambda x: (x.reshape(-1, 2) @ MATRIX).reshape(x.shape[0], 48),
    "parts": lambda x: jnp.concatenate([x[:, ::2], lax.rev(x[:, -2:], (2, 3)), x[:, 1:2]], axis=1),
    "split": lambda x: jnp.stack(jnp.split(x, 2, axis=1), axis=2)[:, :, 0],
    "padded": lambda x: lax.pad(x, 2.0, ((0, 0, 0), (1, -1, 2), (0, 3, 1), (0, 0, 0))),
    "taken": lambda x: jnp.take(x, jnp.array([2, 0]), axis=2) + x[:, 1, 3][:, None, None],
    "table": lambda x: jnp.asarray(TABLE)[jnp.int32(x[:, 0, 0, 0] > 0)],
    "places": lambda x: (
        x + jnp.arange(4.0)[None, :, None, None] + jnp.arange(x.shape[0])[:, None, None, None]
    ),
    "loop": gru,
    "called": lambda x: jax.jit(jax.nn.relu)(jax.checkpoint(jnp.sin)(x)),
}


@pytest.mark.reference
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_jax(name, onnxruntime):
    function, x = OPERATIONS[name], DRAWS.normal(size=(3, 4, 4, 2)).astype(np.float32)
    content = onnx_graph.model_of(
        lambda weights, given: function(given["x"]), {}, {"x": ((4, 4, 2), "float32")}
    )
    session = onnxruntime.InferenceSession(content)
    for count in (3, 1):
        expected = function(jnp.asarray(x[:count]))
        (found,) = session.run(None, {"x": x[:count]})
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.reference
@pytest.mark.parametrize(
    "function, sentence",
    [
        (lambda x: jax.random.normal(jax.random.key(0), x.shape) + x, "random_seed"),
        (lambda x: jnp.sort(x, axis=1), "sort"),
        (lambda x: jnp.concatenate([x, x]), "an output of the shape"),
        (lambda x: x + jnp.sum(jnp.ones((2 * x.shape[0], 2))), "an array of the shape"),
    ],
)
def test_what_has_no_rule_is_named(function, sentence, onnxruntime):
    with pytest.raises(onnx_graph.Unsupported, match=sentence):
        onnx_graph.model_of(lambda _, given: function(given["x"]), {}, {"x": ((2,), "float32")})


# --- models ---------------------------------------------------------------------------------------

QUICK = ("dcgan", "conditional")
WITHOUT = ("pix2pix",)
NAMES = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in laws.BY_NAME
    if name not in (*laws.VARIANTS, *WITHOUT)
]


@pytest.mark.reference
@pytest.mark.parametrize("name", NAMES)
def test_a_model_draws_the_images_of_its_run(name, onnxruntime):
    made = export.parts_of(model_of(laws.BY_NAME[name]), MADE_BY, ONNX)
    assert list(made.files) == [exported.ONNX]
    assert export.checked_onnx(model_of(laws.BY_NAME[name]), made) <= 1e-5


@pytest.mark.reference
def test_a_run_is_exported_with_a_card_whose_lines_run(
    onnxruntime, finished, tmp_path, monkeypatch
):
    config = export.Config(finished, out=tmp_path / "out", format="onnx")
    with monkeypatch.context() as context:
        context.setattr(export, "CLOSE_ONNX", -1.0)
        with pytest.raises(RunError, match="expected -1 at most, so nothing was written"):
            export.export(config, say=print)
    assert not config.out.exists()
    export.export(config, say=print)
    assert {path.name for path in config.out.iterdir()} >= {"generator.onnx", "model.json"}
    lines = model_card.session([exported.Input("latents", "latents", (3,))], {"prior": "normal"})
    assert f"```python\n{lines}\n```" in (config.out / "README.md").read_text()
    monkeypatch.chdir(config.out)
    found: dict = {}
    exec(lines, found)
    assert found["images"].shape == (16, 4, 4, 1) and np.std(found["images"]) > 0
    with pytest.raises(RunError, match="is an ONNX model, which onnxruntime runs"):
        exported.open_folder(config.out)


# --- without the extra ----------------------------------------------------------------------------


def test_without_its_packages_an_export_is_refused_with_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        RunError, match=r"^an ONNX export needs onnx: pip install 'jaxgan\[onnx\]'$"
    ):
        export.export(export.Config(tmp_path, format="onnx", out=tmp_path / "out"), say=print)
    assert not (tmp_path / "out").exists()


def test_noise_inside_a_generator_is_refused():
    noise = exported.Input("noise", "noise", (2,), "uint32")
    model = TrainedModel(None, None, RunConfig(), DataSpec((4, 4, 1)), 0)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=r"draws noise of its own, .*; use --format stablehlo"):
        export.onnx_of(model, [noise], {})
