"""The benchmark beside PyTorch: how sides are compared, timed and printed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import cases, speed
from benchmarks.side_by_side import evidence, measuring, protocol, seeds

CASES = {case.name: case for case in cases.every()}

# --- evidence -------------------------------------------------------------------------------------


def test_evidence_survives_its_file(tmp_path):
    written = evidence.Evidence(
        before={"generator": {"Dense_0": {"kernel": np.arange(6.0).reshape(2, 3)}}},
        after={"generator": {"Dense_0": {"kernel": np.zeros((2, 3))}}},
        batch={"image": np.ones((2, 4), np.float32)},
        draws=[("latent", np.zeros(2)), ("Dropout_1", np.array([True, False]))] * 6,
        losses={"discriminator/loss": [1.0, 2.0, 3.0]},
    )
    evidence.save(tmp_path / "file", written)
    read = evidence.load(tmp_path / "file")
    np.testing.assert_array_equal(
        read.before["generator"]["Dense_0"]["kernel"],
        written.before["generator"]["Dense_0"]["kernel"],
    )
    assert not read.after["generator"]["Dense_0"]["kernel"].any()
    assert [name for name, _ in read.draws] == ["latent", "Dropout_1"] * 6
    assert read.draws[1][1].dtype == bool
    assert read.losses == written.losses


def disagreement(ours, theirs, difference=0.0):
    recorded = evidence.Evidence({}, {}, {}, [], {"loss": ours})
    return evidence.disagreement(recorded, evidence.Repetition(theirs, {"critic": difference}))


@pytest.mark.parametrize(("theirs", "agree"), [(2.0019, True), (2.0021, False), (np.nan, False)])
def test_the_first_losses_agree_to_a_thousandth(theirs, agree):
    sentence = disagreement([2.0, 2.0, 2.0], {"loss": [theirs, 2.0, 2.0]})
    assert (sentence is None) == agree
    assert agree or "loss of step 1 is 2 in jaxgan" in sentence


@pytest.mark.parametrize(("theirs", "agree"), [(2.019, True), (2.021, False), (np.nan, False)])
def test_later_losses_agree_to_a_hundredth(theirs, agree):
    sentence = disagreement([2.0, 2.0, 2.0], {"loss": [2.0, 2.0, theirs]})
    assert (sentence is None) == agree
    assert agree or "loss of step 3 is 2 in jaxgan" in sentence


@pytest.mark.parametrize(("difference", "agree"), [(0.01, True), (0.5, False), (np.nan, False)])
def test_updates_agree(difference, agree):
    sentence = disagreement([2.0] * 3, {"loss": [2.0] * 3}, difference)
    assert (sentence is None) == agree
    assert agree or "after 3 steps the update of the critic differs by" in sentence


def test_a_loss_that_only_pytorch_reports_is_a_disagreement():
    assert "cycle" in disagreement([1.0] * 3, {"cycle": [1.0] * 3})
    assert "no loss" in disagreement([1.0] * 3, {})


# --- measuring ------------------------------------------------------------------------------------

TOY_SIDE = """
from benchmarks.side_by_side import protocol
hello = {"first_step_s": 0.5, "per_call": 5}
protocol.serve(hello, lambda steps: print("noise") or 1 / (steps - 7))
"""


def test_a_side_answers_turns_and_may_print():
    with protocol.started(["-c", TOY_SIDE]) as side:
        assert side.hello["first_step_s"] == 0.5
        answers = [side.turn(steps) for steps in (1, 2)]
    assert all(0 <= answer["seconds"] < 60 for answer in answers)
    assert all(answer["peak_mb"] > 1 for answer in answers)


def test_a_side_that_fails_is_named():
    with (
        protocol.started(["-c", TOY_SIDE]) as side,
        pytest.raises(protocol.SideFailed, match="ended with code 1"),
    ):
        side.turn(7)  # divides by zero
    with pytest.raises(protocol.SideFailed, match="code 3"), protocol.started(["-c", "exit(3)"]):
        pass


def simulated(milliseconds, *, per_call=1):
    """A side whose steps take these milliseconds, turn by turn, and the turns asked of it."""
    asked = []

    def turn(steps):
        asked.append(steps)
        each = milliseconds[min(len(asked), len(milliseconds)) - 1]
        return {"seconds": steps * each / 1000, "peak_mb": 100.0 + len(asked)}

    return protocol.Side({"first_step_s": 1.0, "per_call": per_call}, turn), asked


@pytest.mark.parametrize(
    ("each", "per_call", "steps"), [(2000, 1, 2), (100, 1, 10), (1, 50, 1000), (1, 300, 1200)]
)
def test_a_turn_takes_about_a_second_in_whole_calls(each, per_call, steps):
    side, asked = simulated([each], per_call=per_call)
    assert measuring.steps_of_a_turn(side) == steps
    assert all(count % per_call == 0 for count in asked)


def test_sides_take_turns_and_the_median_counts():
    side, asked = simulated([500, 500, 300, 900, 400])
    other, also_asked = simulated([1000])
    times, peaks = measuring.take_turns({"a": side, "b": other}, repeats=3)
    warming = len(asked) - 3
    assert warming >= 1
    assert times["a"] == np.median([500, 300, 900, 400][warming - 1 :][:3])
    assert times["b"] == 1000
    assert peaks["a"] == 100.0 + len(asked)
    assert len(also_asked) >= 4


@pytest.mark.slow
def test_members_of_a_population_are_those_of_single_runs(monkeypatch):
    from benchmarks.side_by_side import jaxgan_side

    monkeypatch.setattr(jaxgan_side.environment, "use_cores", lambda most: None)
    case = CASES["mixture"].shrunk()._replace(per_call=2)
    sides = []
    for members in [(3,), (3, 4)]:
        started = jaxgan_side.start(case, members)
        started.train_on(2)
        sides.append(protocol.Side({"losses": started.losses}, lambda steps: {}))
    assert {len(values) for values in sides[0].hello["losses"].values()} == {2}
    seeds.require_equal_members(*sides)
    other = protocol.Side({"losses": jaxgan_side.start(case, (4,)).losses}, lambda steps: {})
    with pytest.raises(measuring.Mismatch, match=r"in a single run and .* in the ensemble"):
        seeds.require_equal_members(other, sides[1])


def test_whole_runs_are_a_process_a_group_and_share_a_cache(monkeypatch):
    asked = []

    def run(arguments, environment):
        asked.append((arguments, environment["XDG_CACHE_HOME"]))
        return ""

    monkeypatch.setattr(measuring, "run", run)
    assert seeds.whole_runs(CASES["mixture"], 100, [[0], [1]]) >= 0
    assert [arguments for arguments, _ in asked] == [
        ["jaxgan_side", "run", "mixture", "100", seed] for seed in ("0", "1")
    ]
    assert asked[0][1] == asked[1][1]


def test_sides_run_on_the_cpu_with_a_cache_of_their_own(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/somewhere")
    given = measuring.environment(cache=tmp_path)
    assert given["JAX_PLATFORMS"] == "cpu"
    assert given["XDG_CACHE_HOME"] == str(tmp_path)
    assert "JAX_COMPILATION_CACHE_DIR" not in given


def test_sides_on_a_gpu_share_its_memory_and_leave_what_is_recorded_to_the_host(tmp_path):
    given = measuring.environment(cache=tmp_path, device="cuda")
    assert given["JAX_PLATFORMS"] == "cuda,cpu"
    assert given[protocol.DEVICE] == "cuda"
    assert given["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


# --- the table ------------------------------------------------------------------------------------

ROW = {
    "case": "mixture",
    "torch_ms": 2.0,
    "jaxgan_ms": 1.0,
    "ratio": 2.0,
    "first_step_cold_s": 3.25,
    "first_step_warm_s": 0.75,
    "torch_mb": 250.4,
    "jaxgan_mb": 300.0,
    "torch_layout": "contiguous",
}


def test_the_table_has_a_line_a_case():
    heading, line = speed.heading(), speed.line(ROW)
    assert len(heading) == len(line)
    assert line.split() == [
        *("mixture", "2.00", "1.00", "2.00", "3.25", "0.75", "250", "300", "contiguous")
    ]


def test_the_line_of_the_seeds_tells_all_ratios():
    row = {
        "case": "seeds",
        "of": "mixture",
        "seeds": 8,
        "sequence_ms": 8.0,
        "jaxgan_ms": 4.0,
        "ratio": 2.0,
        "steps": 1000,
        "sequence_run_s": 30.0,
        "sequence_anew_run_s": 45.0,
        "jaxgan_run_s": 10.0,
        "ratio_with_start": 3.0,
        "ratio_with_compilation": 4.5,
    }
    line = speed.line(row)
    assert "8.00 / 4.00 ms, ratio 2.00" in line
    assert "30.0 / 10.0 s, ratio 3.00" in line
    assert "45.0 s, ratio 4.50" in line


def test_the_command_prints_and_writes_rows_and_says_what_was_not_measured(
    monkeypatch, tmp_path, capsys
):
    def measure(case, *, repeats, device):
        assert repeats == 2
        if case.name == "vanilla28":
            raise measuring.Mismatch("the losses differ")
        return {**ROW, "case": case.name}

    monkeypatch.setattr(measuring, "measure", measure)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "installed")
    file = tmp_path / "speed.json"
    config = speed.Config(cases=("mixture", "vanilla28", "dcgan28-b64"), repeats=2, json=file)
    assert speed.main(config) == 1
    assert [row["case"] for row in json.loads(file.read_text())] == ["mixture", "dcgan28-b64"]
    assert "vanilla28: not measured: the losses differ" in capsys.readouterr().out


def test_without_pytorch_the_command_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert speed.main(speed.Config(cases=("mixture",))) == 2
    assert "pip install 'jaxgan[benchmark]'" in capsys.readouterr().err


def test_an_unknown_case_is_refused_with_those_that_exist(capsys):
    assert speed.main(speed.Config(cases=("mixtures",))) == 2
    assert "there is no case 'mixtures'; expected one of" in capsys.readouterr().err
    with pytest.raises(ValueError, match="there is no case 'mixtures'"):
        cases.named("mixtures")


def test_the_list_of_cases_needs_neither_library():
    code = (
        "import sys; from benchmarks import speed, cases; list(cases.every());"
        "sys.exit(bool({'jax', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=protocol.ROOT).returncode == 0


def test_case_names_are_unique():
    assert len(CASES) == len(list(cases.every()))
