"""The talk between the command and a side: a JSON object a line, over the side's standard streams.

The side says hello once it has done its first step; then to `{"steps": n}` it answers
`{"seconds": s, "peak_mb": m}`, until its standard input ends. A side that waits takes nothing from
the other: the threads of both libraries sleep soon after their work (1 % of a core, as measured).
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
"""The environment's variable that says what a side computes on: cpu, by default, or cuda."""


class SideFailed(RuntimeError):
    """A side ended before its answer."""


class Side(NamedTuple):
    """A running process.

    hello: what it said first.
    turn:  `turn(steps) -> answer`, that many train steps, timed by the process itself.
    """

    hello: dict[str, Any]
    turn: Callable[[int], dict[str, Any]]


@contextlib.contextmanager
def started(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> Iterator[Side]:
    """The side `python ARGUMENTS`, once it has said hello; it ends with the block.

    Raises SideFailed where it ends by itself.
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
            pass  # it has ended: there is no answer to read
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
    """Says hello, then answers requests until there are no more; `train(steps)` is timed."""
    say = _own_output()
    say({**hello, "peak_mb": peak_memory()})
    for line in sys.stdin:
        steps = json.loads(line)["steps"]
        begun = time.perf_counter()
        train(steps)
        say({"seconds": time.perf_counter() - begun, "peak_mb": peak_memory()})


def _own_output() -> Callable[[Mapping[str, Any]], None]:
    """Writes to standard output as it is now; what others print from here on goes to stderr."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(answer: Mapping[str, Any]) -> None:
        output.write(json.dumps(answer) + "\n")
        output.flush()

    return say


def peak_memory() -> float:
    """The largest resident memory of this process so far, in MB (10^6 bytes)."""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
