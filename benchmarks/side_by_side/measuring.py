"""Checks and measures one case, and returns its row of the table."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from benchmarks.cases import Case
from benchmarks.side_by_side import evidence, protocol

TURN_S = 1.0
"""The approximate duration of a turn in seconds."""
_LEAST_STEPS = 2

_SIDES = "benchmarks.side_by_side"


EXACT = {"JAX_DEFAULT_MATMUL_PRECISION": "highest", "NVIDIA_TF32_OVERRIDE": "0"}
"""Settings for matrix products in full float32, which the comparison of losses needs. By default
both libraries round the factors on a GPU (TF32); the timed turns keep that default.
"""


class Mismatch(RuntimeError):
    """The two sides do not do the same work."""


def measure(case: Case, *, repeats: int, device: str = "cpu") -> dict[str, Any]:
    """Returns the row of the case: medians of alternating turns, after a warm-up turn.

    Args:
        case: The case to measure.
        repeats: Timed turns of each side.
        device: Device of both sides, 'cpu' or 'cuda'.

    Raises:
        Mismatch: If the losses of the first steps differ; this is checked before the timing.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ours_alone = environment(cache=pathlib.Path(folder, "cache"), device=device)
        require_equal_work(case, pathlib.Path(folder), {**ours_alone, **EXACT})
        train = ["-m", f"{_SIDES}.jaxgan_side", "train", case.name]
        ours = stack.enter_context(protocol.started(train, ours_alone))
        with protocol.started(train, ours_alone) as again:
            warm = again.hello["first_step_s"]
        sides = {"jaxgan": ours}
        for layout in case.layouts:
            train = ["-m", f"{_SIDES}.pytorch_side", "train", case.name, layout]
            sides[layout] = stack.enter_context(protocol.started(train, ours_alone))
        times, peaks = take_turns(sides, repeats=repeats)
    best = min(case.layouts, key=lambda layout: times[layout])
    return {
        "case": case.name,
        "torch_ms": times[best],
        "jaxgan_ms": times["jaxgan"],
        "ratio": times[best] / times["jaxgan"],
        "first_step_cold_s": ours.hello["first_step_s"],
        "first_step_warm_s": warm,
        "torch_first_step_s": sides[best].hello["first_step_s"],
        "torch_mb": peaks[best],
        "jaxgan_mb": peaks["jaxgan"],
        "torch_layout": best,
        "torch_ms_by_layout": {layout: times[layout] for layout in case.layouts},
        "per_call": case.per_call,
        "convolutions": ours_alone.get(protocol.CONVOLUTIONS, "auto"),
        "precision": ours_alone.get(protocol.PRECISION, "float32"),
        "repeats": repeats,
    }


def environment(*, cache: pathlib.Path, device: str = "cpu") -> dict[str, str]:
    """Returns the environment variables of the sides.

    Args:
        cache: Folder of jaxgan's compiled programs.
        device: The only device to use, 'cpu' or 'cuda'.
    """
    inherited = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    of_device = {"JAX_PLATFORMS": device, protocol.DEVICE: device}
    if device != "cpu":  # leave memory for the other side; recorded draws go to the host
        of_device |= {"JAX_PLATFORMS": f"{device},cpu", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return {**inherited, **of_device, "XDG_CACHE_HOME": str(cache)}


def require_equal_work(case: Case, folder: pathlib.Path, environment: Mapping[str, str]) -> None:
    """Checks that the first steps of both sides, from equal weights and draws, are equal.

    Args:
        case: The case to check.
        folder: Folder for the recorded steps.
        environment: The environment variables of the sides.

    Raises:
        Mismatch: If the steps differ.
    """
    file = folder / "evidence.npz"
    run(["jaxgan_side", "record", case.name, str(file)], environment)
    found = json.loads(run(["pytorch_side", "repeat", case.name, str(file)], environment))
    sentence = found.get("refused")
    if sentence is None:
        sentence = evidence.disagreement(evidence.load(file), evidence.Repetition(**found))
    if sentence is not None:
        raise Mismatch(sentence)


def run(arguments: list[str], environment: Mapping[str, str]) -> str:
    """Runs a side to its end and returns what it printed; raises SideFailed if it fails."""
    module, *rest = arguments
    command = [sys.executable, "-m", f"{_SIDES}.{module}", *rest]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, cwd=protocol.ROOT, env=dict(environment)
    )
    if done.returncode:
        raise protocol.SideFailed(f"{' '.join(arguments)} ended with code {done.returncode}")
    return done.stdout


def take_turns(
    sides: Mapping[str, protocol.Side], *, repeats: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Returns, by side, the median milliseconds per step and the peak memory in MB."""
    steps = {name: steps_of_a_turn(side) for name, side in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    peaks: dict[str, float] = {}
    for _ in range(repeats):
        for name, side in sides.items():
            answer = side.turn(steps[name])
            times[name].append(1000 * answer["seconds"] / steps[name])
            peaks[name] = answer["peak_mb"]
    return {name: statistics.median(values) for name, values in times.items()}, peaks


def steps_of_a_turn(side: protocol.Side) -> int:
    """Returns how many steps take about TURN_S, in whole calls, measured by a warm-up turn."""
    per_call, steps, seconds = side.hello["per_call"], 0, 0.0
    wanted = max(_LEAST_STEPS, per_call)
    while seconds < TURN_S / 4 and steps != wanted:
        steps = wanted
        seconds = side.turn(steps)["seconds"]
        calls = math.ceil(steps / per_call * min(TURN_S / max(seconds, 1e-9), 20.0))
        wanted = max(calls, math.ceil(_LEAST_STEPS / per_call)) * per_call
    return wanted
