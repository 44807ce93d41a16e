"""A run trains with the convolutions that it began with."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import pytest

from jaxgan import parallel
from jaxgan.kernels import convolution, onednn_probe, processor
from jaxgan.runs import convolutions, training_loop
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import RunError
from tests import toy_runs

IMAGE = (64, 64, 3)
PRODUCTS = "bf16_products"


@pytest.fixture
def works(monkeypatch):
    monkeypatch.setattr(onednn_probe, "why_not", lambda kept, precision=None: None)


@pytest.fixture
def lacks(monkeypatch):
    monkeypatch.setattr(
        onednn_probe, "why_not", lambda kept, precision=None: "this CPU has no AVX2"
    )


def choice(shape=IMAGE, devices=1, **fields) -> str | None:
    config = RunConfig(**fields)
    return convolutions.chosen(config, shape=shape, devices=devices)[0].convolutions


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"steps": 128}, "onednn"),  # 128 x 64 images of 64 x 64 pixels: 2^25
        ({"steps": 127}, "auto"),
        ({"steps": 256, "batch_size": 32}, "onednn"),
        ({"steps": 128, "shape": (32, 32, 1)}, "auto"),
        ({"steps": 10**9, "shape": (2,)}, "auto"),  # points have no convolutions
        ({"steps": 10**9, "preset": "smoke"}, "auto"),
        ({"steps": 10**9, "devices": 2}, "auto"),
        ({"steps": 10**9, "seeds": 2}, "auto"),
        ({"steps": 1, "minutes": 10.0}, "onednn"),
        ({"steps": 10**9, "minutes": 9.9}, "auto"),
        ({"steps": 1, "convolutions": "onednn"}, "onednn"),
        ({"steps": 10**9, "convolutions": "auto"}, "auto"),
        ({"steps": 10**9, "convolutions": "xla"}, "xla"),
    ],
)
def test_the_settings_of_a_run_choose_its_convolutions(works, fields, expected):
    assert choice(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"steps": 128, "precision": "auto"}, (PRODUCTS, "onednn")),
        ({"steps": 127, "precision": "auto"}, ("float32", "auto")),
        ({"steps": 128, "precision": "float32"}, ("float32", "onednn")),
        ({"steps": 1, "precision": PRODUCTS}, (PRODUCTS, "onednn")),
        ({"steps": 128, "precision": "auto", "convolutions": "fast"}, ("float32", "fast")),
        ({"steps": 128, "precision": "auto", "devices": 2}, ("float32", "auto")),
        ({"steps": 128, "precision": "auto", "preset": "smoke"}, ("float32", "auto")),
        (
            {"precision": PRODUCTS, "convolutions": "onednn", "devices": 2, "parallel": "pmap"},
            (PRODUCTS, "onednn"),
        ),
    ],
)
def test_the_settings_of_a_run_choose_its_precision(works, fields, expected):
    fields = dict(fields)
    devices = fields.pop("devices", 1)
    config, _ = convolutions.chosen(RunConfig(**fields), shape=IMAGE, devices=devices)
    assert (config.precision, config.convolutions) == expected


def test_a_run_says_that_it_rounds(works):
    _, notes = convolutions.chosen(RunConfig(steps=9999, precision="auto"), shape=IMAGE, devices=1)
    assert [note.split(",")[0] for note in notes][-1] == "products of bfloat16"


def test_a_run_in_float32_names_the_faster_precision_where_there_is_one(works, monkeypatch):
    for fast in (True, False):
        monkeypatch.setattr(processor, "multiplies_bfloat16", lambda fast=fast: fast)
        _, (note,) = convolutions.chosen(RunConfig(steps=9999), shape=IMAGE, devices=1)
        assert note.endswith(f"rounded: --precision {PRODUCTS}") == fast


def test_a_network_in_bfloat16_takes_onednn_where_its_products_are_fast(works, monkeypatch):
    for fast, expected in ((True, "onednn"), (False, "auto")):
        monkeypatch.setattr(processor, "multiplies_bfloat16", lambda fast=fast: fast)
        assert choice(steps=9999, precision="bf16") == expected


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"convolutions": "fast"}, "only --convolutions onednn has them"),
        ({"devices": 2}, "only --convolutions onednn has them"),
        ({"devices": 2, "convolutions": "onednn"}, "XLA cannot split"),
    ],
)
def test_products_of_bfloat16_that_cannot_be_are_refused_in_one_sentence(works, fields, reason):
    fields = dict(fields)
    devices = fields.pop("devices", 1)
    with pytest.raises(RunError, match=f"{PRODUCTS} cannot be used here: {reason}.*use float32"):
        convolutions.chosen(
            RunConfig(steps=9999, precision=PRODUCTS, **fields), shape=IMAGE, devices=devices
        )


def test_a_gpu_has_products_of_its_own(works, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for asked, expected in (("auto", "float32"), (PRODUCTS, PRODUCTS)):
        config = RunConfig(steps=9999, precision=asked)
        assert convolutions.chosen(config, shape=IMAGE, devices=1)[0].precision == expected


def test_a_run_goes_on_with_its_precision_and_not_on_a_processor_without_it(tmp_path, monkeypatch):
    record = {"config": {"convolutions": "onednn", "precision": PRODUCTS}}
    config = convolutions.as_recorded(RunConfig(precision="auto"), record)
    assert (config.precision, config.convolutions) == (PRODUCTS, "onednn")
    without = convolutions.as_recorded(RunConfig(precision="auto"), {"config": {}})
    assert without.precision == "float32"
    monkeypatch.setattr(onednn_probe, "why_not", lambda kept, precision=None: precision and "no")
    with pytest.raises(RunError, match=f"--precision {PRODUCTS}, and no; --convolutions auto"):
        convolutions.require(config, tmp_path)
    other = convolutions.as_recorded(RunConfig(precision="auto", convolutions="auto"), record)
    convolutions.require(other, tmp_path)
    (note,) = convolutions.note_on_change(other, record)
    assert note.endswith("its results differ from those of an uninterrupted run")


def test_a_short_run_does_not_probe(monkeypatch):
    monkeypatch.setattr(onednn_probe, "why_not", lambda *asked: pytest.fail("probed"))
    assert choice(steps=1) == "auto"


def test_a_long_run_without_onednn_says_why(lacks):
    config, notes = convolutions.chosen(RunConfig(steps=9999), shape=IMAGE, devices=1)
    assert config.convolutions == "auto"
    assert notes == ("convolutions of jaxgan instead of oneDNN: this CPU has no AVX2",)


def test_a_gpu_has_its_own(works, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert choice(steps=9999) == "auto"


def test_what_was_asked_for_and_cannot_be_is_refused_in_one_sentence(lacks, tmp_path, monkeypatch):
    config = RunConfig(convolutions="onednn")
    with pytest.raises(RunError, match=r"oneDNN, and this CPU has no AVX2; --convolutions auto"):
        convolutions.require(config, tmp_path)
    convolutions.require(RunConfig(convolutions="auto"), tmp_path)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    convolutions.require(config, tmp_path)


@pytest.mark.parametrize("value", ["auto", "onednn"])
def test_a_train_step_is_traced_with_its_convolutions(value):
    def step(state, batch):
        return state, {"sum": jnp.sum(convolution.conv(batch, state))}

    mesh = parallel.data_mesh(jax.devices()[:1])
    call = training_loop.compile_call(step, per_call=1, mode="jit", mesh=mesh, implementation=value)
    text = call.lower(jnp.ones((3, 3, 8, 8)), jnp.ones((2, 6, 6, 8))).as_text()
    assert ("__onednn$convolution" in text) == (value == "onednn")


@pytest.mark.parametrize("precision", ["float32", PRODUCTS])
def test_a_train_step_is_traced_with_its_precision(precision, monkeypatch):
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: True)

    def step(state, batch):
        return state, {"sum": jnp.sum(convolution.conv(batch, state))}

    mesh = parallel.data_mesh(jax.devices()[:1])
    options = {"implementation": "onednn", "precision": precision}
    call = training_loop.compile_call(step, per_call=1, mode="jit", mesh=mesh, **options)
    text = call.lower(jnp.ones((3, 3, 8, 8)), jnp.ones((2, 6, 6, 8))).as_text()
    assert ("bf16" in text) == (precision == PRODUCTS)


def test_a_run_takes_what_is_recorded_and_warns_where_it_is_told_others():
    record = {"config": {"steps": 5, "convolutions": "onednn"}}
    config = convolutions.as_recorded(RunConfig(steps=6), record)
    assert config.convolutions == "onednn"
    assert convolutions.note_on_change(config, record) == []
    asked = convolutions.as_recorded(RunConfig(steps=6, convolutions="fast"), record)
    (note,) = convolutions.note_on_change(asked, record)
    assert note.startswith("warning: the run goes on with --convolutions fast after onednn")


def recorded(path) -> str:
    return json.loads((path / "config.json").read_text())["config"]["convolutions"]


@pytest.mark.slow
def test_a_run_keeps_its_convolutions_until_it_is_told_others(works, data, tmp_path, capsys):
    toy_runs.train(tmp_path, data=data, steps=1, convolutions="onednn")
    toy_runs.train(tmp_path, data=data, steps=2)
    assert recorded(tmp_path) == "onednn"
    assert "warning" not in capsys.readouterr().out
    toy_runs.train(tmp_path, data=data, steps=3, convolutions="auto")
    assert recorded(tmp_path) == "auto"
    said = capsys.readouterr().out
    assert "warning: the run goes on with --convolutions auto after onednn" in said


@pytest.mark.slow
def test_a_run_that_would_take_onednn_and_cannot_says_so_once(
    lacks, data, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(RunConfig, "PIXELS_FOR_ONEDNN", 1)
    for steps in (1, 2):
        toy_runs.train(tmp_path, data=data, steps=steps, devices=1)
    assert recorded(tmp_path) == "auto"
    sentence = "convolutions of jaxgan instead of oneDNN: this CPU has no AVX2"
    assert capsys.readouterr().out.count(sentence) == 1
    assert (tmp_path / "log.txt").read_text().count(sentence) == 1


def test_a_run_of_an_older_version_keeps_those_of_the_platform(works):
    old = {"config": {"steps": 5}}
    config = convolutions.as_recorded(RunConfig(steps=10**9), old)
    assert config.convolutions == "auto"
    assert convolutions.note_on_change(config, old) == []
