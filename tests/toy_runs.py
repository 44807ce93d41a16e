"""Runs of `toy_experiment`: in this process, and in others that can be killed."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np

from jaxgan.runs import checkpoint, command_line, experiments, metric_log, setup
from jaxgan.runs.config import DataSpec
from tests import toy_experiment

ROOT = pathlib.Path(__file__).parents[1]
CACHE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def images(path: pathlib.Path, *, count: int = 44, seed: int = 0) -> str:
    """The `--data` of a new archive of 4x4 images in three classes: five batches of 8 and a bit."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (count, 4, 4, 1)).astype(np.uint8)
    np.savez(path, images=pixels, labels=np.arange(count) % 3)
    return f"npz:{path}"


def train(workdir: pathlib.Path, **fields) -> pathlib.Path:
    """Trains in this process."""
    config = toy_experiment.Config(workdir=str(workdir), cache=False, **fields)
    return command_line.train(toy_experiment, config)


def recorded(workdir: pathlib.Path, **fields) -> pathlib.Path:
    """The directory of a run that wrote its record and nothing else."""
    config = toy_experiment.Config(workdir=str(workdir), **fields)
    made = {"experiment": experiments.of(toy_experiment).record, "config": setup.plain(config)}
    made["data"] = {**DataSpec((2,)).record(), "digest": "0" * 64}
    workdir.mkdir()
    (workdir / "config.json").write_text(json.dumps(made))
    return workdir


def rows(workdir: pathlib.Path) -> list[dict]:
    """The rows of the metrics, without what depends on the machine."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in metric_log.TIMES} for line in lines]


def arrays(workdir: pathlib.Path, step: int | None = None) -> dict[str, np.ndarray]:
    """The arrays of the checkpoint of a step, or of the latest."""
    folder = workdir / "checkpoints"
    return checkpoint.read(folder, checkpoint.steps_in(folder)[-1] if step is None else step).arrays


def assert_same(one: pathlib.Path, other: pathlib.Path, step: int | None = None) -> None:
    """Both runs have the same state, bit for bit, and the same rows of metrics."""
    left, right = arrays(one, step), arrays(other, step)
    assert left.keys() == right.keys()
    different = [name for name in left if left[name].tobytes() != right[name].tobytes()]
    assert not different
    assert rows(one) == rows(other)


def snapshot(path: pathlib.Path) -> dict[pathlib.Path, bytes]:
    """The content of every file under the path."""
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def assert_refuses_other_data(module, run: pathlib.Path, copy: pathlib.Path, capsys) -> None:
    """The module's command refuses, in one sentence, a copy of the run that learned other data."""
    shutil.copytree(run, copy)
    record = json.loads((copy / "config.json").read_text())
    record["data"]["digest"] = "0" * 64
    (copy / "config.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert module.main([str(copy)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"error: the data of {copy}, ")
    assert said.endswith("have changed since it was trained; bring them back")


def start(workdir: pathlib.Path, cache: pathlib.Path, *flags: str, **environment: str):
    """A process that trains, its output in a pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.toy_experiment", "--workdir", str(workdir), *flags],
        cwd=ROOT,
        env={**os.environ, **CACHE, "JAX_COMPILATION_CACHE_DIR": str(cache), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def last_logged(workdir: pathlib.Path) -> int:
    """The step of the last whole row that a running process has written; 0 before the first."""
    try:
        lines = (workdir / "metrics.jsonl").read_text().split("\n")[:-1]
    except FileNotFoundError:
        return 0
    return json.loads(lines[-1])["step"] if lines else 0


def saving(workdir: pathlib.Path) -> bool:
    """Whether a checkpoint is half written."""
    return any(workdir.glob("checkpoints/*tmp*"))


def wait_until(process: subprocess.Popen, condition, *, seconds: float = 120.0) -> None:
    """Returns once the condition holds while the process runs."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.0005)


def end(process: subprocess.Popen, number: int) -> tuple[int, str]:
    """Sends the signal; the exit code and all output."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def kill(process: subprocess.Popen) -> None:
    """kill -9."""
    assert end(process, signal.SIGKILL)[0] == -signal.SIGKILL
