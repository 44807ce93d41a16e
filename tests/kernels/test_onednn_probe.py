"""oneDNN is used only where a probe has found it to work."""

from __future__ import annotations

import json
import subprocess

import jax.numpy as jnp
import pytest

from jaxgan.kernels import convolution, onednn_probe, processor

CPUINFO = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse4_1 avx2\n\nprocessor\t: 1\n"


@pytest.fixture(autouse=True)
def suited(tmp_path, monkeypatch):
    """A processor with AVX2 that no probe has seen, whatever this machine has."""
    cpu = tmp_path / "cpuinfo"
    cpu.write_text(CPUINFO)
    monkeypatch.setattr(processor, "CPU", cpu)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    for name in processor.LIMITS:
        monkeypatch.delenv(name, raising=False)
    forget()
    yield cpu
    forget()


def forget() -> None:
    """As in a new process."""
    for function in (onednn_probe.why_not, onednn_probe._probed, processor._described):
        function.cache_clear()


@pytest.fixture
def probe(monkeypatch):
    """What the process of the probe does; its calls are counted."""
    ended = {"code": 0, "out": '{"error": 1e-7}', "err": "", "count": 0}

    def run(command, **options):
        ended["count"] += 1
        if ended["code"] is None:
            raise subprocess.TimeoutExpired(command, options["timeout"])
        return subprocess.CompletedProcess(command, ended["code"], ended["out"], ended["err"])

    monkeypatch.setattr(subprocess, "run", run)
    return ended


def test_another_processor_is_not_probed(suited, probe, monkeypatch):
    suited.write_text(CPUINFO.replace("avx2", "avx"))
    assert "needs a processor with AVX2" in onednn_probe.why_not(None)
    forget()
    suited.unlink()
    assert "not known to have" in onednn_probe.why_not(None)
    forget()
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert onednn_probe.why_not(None) == "jaxlib has no oneDNN for aarch64 processors"
    assert probe["count"] == 0


@pytest.mark.parametrize(
    ("code", "out", "err", "sentence", "lasting"),
    [
        (0, '{"error": 1e-7}', "", None, True),
        (0, '{"error": 0.5}', "", "differs from XLA by 5.0e-01", True),
        (0, '{"error": NaN}', "", "differs from XLA by nan", True),
        (1, "", "Traceback\nUNIMPLEMENTED: no such call", "failed in a probe: UNIMPLEM", True),
        (-6, "", "", "failed in a probe: exit status -6", False),
        (None, "", "", "did not end", False),
    ],
)
def test_the_answer_of_a_probe_is_kept_unless_another_may_differ(
    probe, tmp_path, code, out, err, sentence, lasting
):
    probe.update(code=code, out=out, err=err)
    found = onednn_probe.why_not(tmp_path / "kept")
    assert found is None if sentence is None else sentence in found
    forget()
    assert onednn_probe.why_not(tmp_path / "kept") == found
    assert probe["count"] == (1 if lasting else 2)


def test_another_jaxlib_another_processor_and_a_damaged_answer_are_probed_again(
    suited, probe, tmp_path, monkeypatch
):
    def count():
        forget()
        assert onednn_probe.why_not(tmp_path) is None
        return probe["count"]

    assert (count(), count()) == (1, 1)
    suited.write_text(CPUINFO.replace("Some", "Other"))
    assert (count(), count()) == (2, 2)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert count() == 3
    for kept in tmp_path.glob("*.json"):
        kept.write_text(json.dumps({"why_not": 7}))
    assert count() == 4
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9.9")
    assert count() == 5


def test_one_process_probes_once_even_if_nothing_is_kept(probe, tmp_path):
    (tmp_path / "file").write_text("")
    for kept in (None, None, tmp_path / "file" / "below"):
        assert onednn_probe.why_not(kept) is None
    assert probe["count"] == 1


def test_what_cannot_be_used_is_refused_in_one_sentence(suited):
    suited.write_text("")
    x, w = jnp.ones((1, 4, 4, 8)), jnp.ones((2, 2, 8, 8))
    with pytest.raises(ValueError, match="'onednn' cannot be used here: oneDNN needs a processor"):
        convolution.conv(x, w, implementation="onednn")
    with pytest.raises(ValueError, match="use 'auto'"):
        convolution.implemented_by("onednn")


@pytest.mark.parametrize("feature", ["avx512_bf16", "amx_bf16"])
def test_products_of_bfloat16_are_probed_apart_on_processors_that_have_them(
    suited, probe, tmp_path, monkeypatch, feature
):
    assert "need AVX512-BF16 or AMX" in onednn_probe.why_not(tmp_path, "bfloat16")
    assert probe["count"] == 0
    suited.write_text(CPUINFO.replace("avx2", f"avx2 {feature}"))
    forget()
    probe["out"] = '{"error": 5e-3}'  # that of rounding
    assert onednn_probe.why_not(tmp_path, "bfloat16") is None
    assert "differs from XLA" in onednn_probe.why_not(tmp_path)
    forget()
    assert onednn_probe.why_not(tmp_path, "bfloat16") is None
    assert probe["count"] == 2
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    forget()
    assert "need AVX512-BF16 or AMX" in onednn_probe.why_not(tmp_path, "bfloat16")
