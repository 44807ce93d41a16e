"""The protocol between the benchmark and a side: lines of JSON over the side's standard streams.

The side sends a greeting after its first step. Then it answers each `{"steps": n}` with
`{"seconds": s, "peak_mb": m}`, until its standard input ends. A waiting side does not slow the
other down: the threads of both libraries sleep soon after their work (1 % of a core, as measured).
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).parents[2]

DEVICE = "JAXGAN_BENCHMARK_DEVICE"
"""The environment variable with the device of a side: cpu, the default, or cuda."""

CONVOLUTIONS = "JAXGAN_BENCHMARK_CONVOLUTIONS"
"""The environment variable with the convolutions of jaxgan's side (onednn, ...); default: auto."""

PRECISION = "JAXGAN_BENCHMARK_PRECISION"
"""The environment variable with the precision of the timed steps: float32, the default, or
bf16_products, with which PyTorch's side runs under its autocast to bfloat16.
"""


class SideFailed(RuntimeError):
    """The process of a side ended without an answer."""


class Side(NamedTuple):
    """The running process of a side.

    Attributes:
        hello: Its greeting.
        turn: `turn(steps) -> answer` makes that many train steps, timed by the process itself.
    """

    hello: dict[str, Any]
    turn: Callable[[int], dict[str, Any]]


@contextlib.contextmanager
def started(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[Side]:
    """Starts the side `python ARGUMENTS` and waits for its greeting; it ends with the block.

    Args:
        arguments: The arguments of Python.
        environment: The environment variables, or None for those of this process.

    Raises:
        SideFailed: If the process ends by itself.
    """
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=None if environment is None else dict(environment),
    )
    assert process.stdin is not None and process.stdout is not None
    requests, answers = process.stdin, process.stdout

    def answer() -> dict[str, Any]:
        line = answers.readline()
        if not line:
            raise SideFailed(f"{' '.join(arguments)} ended with code {process.wait()}")
        return json.loads(line)

    def turn(steps: int) -> dict[str, Any]:
        try:
            requests.write(json.dumps({"steps": steps}) + "\n")
            requests.flush()
        except BrokenPipeError:
            pass  # it has ended, and `answer` reports that
        return answer()

    try:
        yield Side(answer(), turn)
    finally:
        with contextlib.suppress(BrokenPipeError):
            requests.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        answers.close()


def serve(hello: Mapping[str, Any], train: Callable[[int], Any]) -> None:
    """Sends the greeting, then answers requests until there are no more.

    Args:
        hello: The greeting.
        train: `train(steps)`, which is timed.
    """
    say = _own_output()
    say({**hello, "peak_mb": peak_memory()})
    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        begun = time.perf_counter()
        train(steps)
        say({"seconds": time.perf_counter() - begun, "peak_mb": peak_memory()})


def _own_output() -> Callable[[Mapping[str, Any]], None]:
    """Returns a function that writes answers to stdout; all other output goes to stderr."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(answer: Mapping[str, Any]) -> None:
        output.write(json.dumps(answer) + "\n")
        output.flush()

    return say


def peak_memory() -> float:
    """Returns the peak resident memory of this process, in MB (10^6 bytes)."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
