"""Several processes train as one does, and what ends one of them costs no more than time."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from jaxgan import parallel
from jaxgan.data import mixtures, splits
from jaxgan.runs import checkpoint, command_line, experiments, processes
from jaxgan.runs.errors import RunError
from tests import toy_experiment, toy_runs

TOY = "tests/toy_experiment.py"
RING = mixtures.ring()


def launched(
    path: pathlib.Path,
    *flags: str,
    count: int = 2,
    devices: int = 1,
    restarts: int = 9,
    faults: tuple[tuple[str, int, int], ...] = (),
    experiment: str = TOY,
) -> tuple[int, str]:
    """The exit code and the output of `count` processes that train the experiment."""
    # A few of the suite's devices would not divide the batch; all else stays as in this process.
    xla = re.sub(r"(device_count)=\d+", rf"\1={devices}", os.environ["XLA_FLAGS"])
    named = [dict(zip(("kind", "process", "step"), fault, strict=True)) for fault in faults]
    words = ["-n", str(count), "--restarts", str(restarts), "--", "train", experiment]
    words += ["--workdir", str(path), *flags]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.forked_runs", json.dumps(named), *words],
        cwd=toy_runs.ROOT,
        env={**os.environ, **toy_runs.CACHE, "XLA_FLAGS": xla},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ended.returncode, ended.stdout


def alone(path: pathlib.Path, monkeypatch, *, devices: int, **fields) -> pathlib.Path:
    """The same run in this process, on as many devices."""
    mesh = Mesh(np.array(jax.devices()[:devices]), (parallel.AXIS,))
    monkeypatch.setattr(parallel, "data_mesh", lambda devices: mesh)
    experiment = experiments.named(toy_runs.ROOT / TOY).module
    config = experiment.Config(workdir=str(path), cache=False, **fields)
    return command_line.train(experiment, config)


def test_two_processes_train_until_one_is_killed_and_leave_what_was_saved(data, tmp_path):
    flags = ("--data", data, "--steps", "12", "--checkpoint-every", "3", "--log-every", "2")
    code, said = launched(tmp_path / "run", *flags, restarts=0, faults=(("kill", 1, 9),))
    assert code == 1, said
    assert "process 1 was ended by SIGKILL" in said  # before or after the other one
    # Batches are read some steps ahead, so that the process dies before it comes to the ninth.
    saved = checkpoint.steps_in(tmp_path / "run" / "checkpoints")
    assert saved in ([3], [3, 6])
    assert checkpoint.read(tmp_path / "run" / "checkpoints", saved[-1]).step == saved[-1]
    logged = [row["step"] for row in toy_runs.rows(tmp_path / "run")]
    assert len(logged) >= 2 and logged == [2, 4, 6, 8][: len(logged)]


# --- all that needs no second process -------------------------------------------------------------


class Own:
    """A source of the user's own, whose batches are built whole."""

    def batch(self, *, seed, step, size):
        return RING.batch(seed=seed, step=step, size=size)


def test_a_share_of_a_batch_is_those_examples_of_the_batch():
    rows = np.array([2, 3])
    whole = RING.batch(seed=0, step=3, size=8)["image"]
    for source in (RING, Own()):
        some = splits.examples(source, seed=0, step=3, size=8, rows=rows)
        np.testing.assert_array_equal(some["image"], whole[rows])
        every = splits.examples(source, seed=0, step=3, size=8)
        np.testing.assert_array_equal(every["image"], whole)


def test_a_process_that_has_all_devices_reads_all_of_a_batch():
    assert parallel.share_of(8, parallel.data_mesh()) is None


HERE = {"coordinator": "host:1234", "processes": 2, "process": 1}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"coordinator": "host:1234"}, "--coordinator is given without --processes"),
        ({"processes": 2, "process": 0}, "--processes is given without --coordinator"),
        ({**HERE, "coordinator": "host"}, "expected HOST:PORT"),
        ({**HERE, "process": 2}, "counts them from 0 to 1"),
        ({**HERE, "seeds": 2}, "start a run for each instead"),
        ({"distributed": True, "parallel": "pmap"}, "use jit or shard_map"),
    ],
    ids=str,
)
def test_flags_that_do_not_fit_together_are_refused(fields, said):
    with pytest.raises(RunError, match=said):
        processes.check(toy_experiment.Config(**fields))
    processes.check(toy_experiment.Config(**HERE))
    processes.check(toy_experiment.Config())


def test_a_run_is_resumed_with_the_processes_that_the_command_names(tmp_path):
    run = toy_runs.recorded(tmp_path / "run", **HERE, distributed=True, width=5)
    experiment = experiments.of(toy_experiment)
    resumed = command_line.parse(experiment, ["--workdir", str(run)])
    assert resumed == dataclasses.replace(toy_experiment.Config(width=5), workdir=str(run))


def test_a_process_alone_waits_for_nobody():
    team = processes.Team()
    team.wait()
    assert team.leads
    assert team.told([1]) == [1]
    assert team.agreed(True)
    assert not team.agreed(False)
    team.require_same({"step": 1}, words="")
    state = {"a": 1}
    assert team.whole(state) is state


def test_what_ends_a_process_is_one_sentence_and_a_code(capsys):
    team = processes.Team(1, 2)
    lost = RuntimeError("Gloo all-reduce failed: Connection closed by peer")
    for error, code, said in (
        (RunError("no data"), 2, "error: no data"),
        (KeyboardInterrupt(), 130, "process 1 was interrupted"),
        (lost, 1, f"error: process 1 has lost another one: {lost}"),
        (RuntimeError("odd"), 1, "error: process 1 has failed: odd"),
    ):
        assert processes._last_words(error, team) == (code, said)
    assert "RuntimeError: odd" in capsys.readouterr().err


# --- slow: every kind of fault, again and again ---------------------------------------------------

LONG = {"steps": 60, "checkpoint_every": 4, "keep": 9}
SPLIT = "--shard-parameters"
LONG_FLAGS = ("--steps", "60", "--checkpoint-every", "4", "--keep", "9")
FAULTS = {
    "a worker is killed": ("kill", 1),
    "the coordinator is killed": ("kill", 0),
    "a process hangs": ("stop", 1),
    "the coordinator hangs": ("stop", 0),
    "an exception in one process": ("raise", 1),
    "a full disk": ("disk", 0),
    "a full disk of a worker": ("disk", 1),
}


def undisturbed(path, data, *flags):
    """The run of two processes that nothing interrupts."""
    code, said = launched(path / "run", "--data", data, *LONG_FLAGS, *flags)
    assert code == 0, said
    return path / "run"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """That of whole arrays, which process 0 saves."""
    return undisturbed(tmp_path_factory.mktemp("whole"), data)


@pytest.fixture(scope="module")
def split(tmp_path_factory, data):
    """That of split arrays, which both save together."""
    return undisturbed(tmp_path_factory.mktemp("split"), data, SPLIT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "flags"),
    [(fault, ()) for fault in FAULTS if fault != "a full disk of a worker"]  # which writes nothing
    + [(fault, (SPLIT,)) for fault in FAULTS],
)
def test_a_fault_that_comes_five_times_changes_no_bit(fault, flags, request, data, tmp_path):
    expected = request.getfixturevalue("split" if flags else "whole")
    kind, process = FAULTS[fault]
    # A checkpoint that cannot be written is noticed at the next one at the latest, and batches are
    # read ahead: faults that are nearer to each other than that would be one.
    faults = tuple((kind, process, step) for step in (1, 15, 29, 43, 57))
    code, said = launched(tmp_path / "run", "--data", data, *LONG_FLAGS, *flags, faults=faults)
    print(said)
    assert code == 0
    assert said.count("starting all again") == 5
    # Before the first checkpoint only the log is left: it goes there.
    assert "damaged" not in said.replace(str(tmp_path / "run" / "damaged" / "metrics-0.jsonl"), "")
    if kind == "disk":
        assert "signal only works" not in said and said.count("ile too large") >= 5
    toy_runs.assert_same(expected, tmp_path / "run")


@pytest.mark.slow
def test_two_processes_train_bit_for_bit_as_one_on_two_devices(whole, data, tmp_path, monkeypatch):
    toy_runs.assert_same(whole, alone(tmp_path, monkeypatch, devices=2, data=data, **LONG))


@pytest.mark.slow
def test_what_two_processes_saved_one_continues_bit_for_bit(whole, data, tmp_path, monkeypatch):
    flags = ("--data", data, *LONG_FLAGS)
    code, said = launched(tmp_path / "run", *flags, restarts=0, faults=(("raise", 1, 30),))
    assert code == 1
    assert "RuntimeError: a fault of one process" in said
    toy_runs.assert_same(whole, alone(tmp_path / "run", monkeypatch, devices=2, data=data, **LONG))


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), (SPLIT,)])
@pytest.mark.parametrize("layouts", [((4, 1), (1, 1), (2, 2)), ((1, 1), (2, 2), (4, 1))])
def test_a_checkpoint_continues_on_other_processes_and_devices(more, layouts, data, tmp_path):
    path = tmp_path / "run"
    for steps, (count, devices) in zip((8, 16, 24), layouts, strict=True):
        flags = ("--data", data, "--steps", str(steps), *more)
        code, said = launched(path, *flags, count=count, devices=devices)
        assert code == 0, said
    assert checkpoint.steps_in(path / "checkpoints")[-1] == 24
    rows = toy_runs.rows(toy_runs.train(tmp_path / "whole", data=data))
    for row, of_whole in zip(toy_runs.rows(path), rows, strict=True):
        assert row == pytest.approx(of_whole, rel=1e-4, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), (SPLIT,)])
def test_a_process_that_is_asked_to_stop_stops_all_after_the_same_step(
    more, request, data, tmp_path
):
    path = tmp_path / "run"
    flags = ("--data", data, *LONG_FLAGS, *more)
    code, said = launched(path, *flags, faults=(("ask", 1, 10),))
    assert code == 143, said
    (step,) = set(re.findall(r"stopped and saved at step (\d+)", said))
    assert checkpoint.steps_in(path / "checkpoints")[-1] == int(step)
    assert launched(path, *flags)[0] == 0
    toy_runs.assert_same(request.getfixturevalue("split" if more else "whole"), path)


@pytest.mark.slow
@pytest.mark.parametrize("more", [(), (SPLIT,)])
def test_what_a_stage_has_trained_is_saved_while_one_process_compiles_the_next(
    more, data, tmp_path
):
    staged = "tests/staged_experiment.py"
    flags = ("--data", data, "--checkpoint-every", "0", *more)
    faults = (("compile", 1, 2),)
    code, said = launched(tmp_path / "run", *flags, experiment=staged, faults=faults)
    assert code == 143, said
    assert "stopped and saved at step 8; this continues: " in said
    assert checkpoint.steps_in(tmp_path / "run" / "checkpoints") == [8]
    for name in ("run", "whole"):
        code, said = launched(tmp_path / name, *flags, experiment=staged)
        assert code == 0, said
    toy_runs.assert_same(tmp_path / "whole", tmp_path / "run")
