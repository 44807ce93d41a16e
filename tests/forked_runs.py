"""`jaxgan launch` with processes that are forks of this one, which has imported JAX already.

    python -m tests.forked_runs FAULTS -n 2 -- train tests/toy_experiment.py [flags]

FAULTS is a list, in JSON, of `{"kind", "process", "step"}`; each happens once, in one process when
it reads the batch of a step:

kill     it is killed
stop     it stands still, and shows no sign of life
raise    an exception
disk     from then on the disk is full
ask      it gets SIGTERM alone
compile  `launch` gets SIGTERM, and the process compiles for minutes; `step` counts the compilations

Prints, at the end, after `seconds`, those from the last fault to the end of all processes.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from typing import Any

import jaxgan.__main__
from jaxgan.runs import interrupts
from jaxgan.tools import launch


class Forked:
    """A process like `subprocess.Popen`, as far as `launch` uses it."""

    faults: tuple[dict[str, Any], ...] = ()
    happened: pathlib.Path

    def __init__(self, arguments: list[str], **options: Any) -> None:
        reading, writing = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid:
            os.close(writing)
            self.stdout = os.fdopen(reading, "rb")
            return
        os.setsid()
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(writing, number)
            setattr(sys, name, os.fdopen(number, "w", buffering=1, closefd=False))
        for number in interrupts.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        words = arguments[arguments.index("jaxgan") + 1 :]
        arm(self.faults, int(words[words.index("--process") + 1]), self.happened)
        code = 1
        try:
            code = jaxgan.__main__.main(words)
            atexit._run_exitfuncs()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.stdout.flush()
            os._exit(code)

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def arm(faults: tuple[dict[str, Any], ...], process: int, happened: pathlib.Path) -> None:
    """Lets the faults of this process happen, once each, when it reads a batch or compiles."""
    from jaxgan.runs import seeds, training_loop  # imports JAX

    whole, compile_ahead, count = seeds.Seeds.batch, training_loop.compile_ahead, itertools.count(1)

    def reach(step: int, *, compiling: bool) -> None:
        for number, fault in enumerate(faults):
            mark, here = happened / str(number), (fault["kind"] == "compile") is compiling
            if here and fault["process"] == process and step >= fault["step"] and not mark.exists():
                mark.touch()
                happen(fault["kind"])

    def batch(self: Any, dataset: Any, *, step: int, **rest: Any) -> Any:
        reach(step, compiling=False)
        return whole(self, dataset, step=step, **rest)

    def compiled(*given: Any) -> Any:
        reach(next(count), compiling=True)
        return compile_ahead(*given)

    seeds.Seeds.batch, training_loop.compile_ahead = batch, compiled


def happen(kind: str) -> None:
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif kind == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif kind == "ask":
        os.kill(os.getpid(), signal.SIGTERM)
    elif kind == "compile":
        os.kill(os.getppid(), signal.SIGTERM)
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
    elif kind == "disk":
        # Python ignores SIGXFSZ, so that writing fails.
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    else:
        raise RuntimeError("a fault of one process")


def main(faults: list[dict[str, Any]], arguments: list[str]) -> int:
    """Launches with the faults; returns the exit code."""
    from jaxgan.runs import training_run  # noqa: F401 - before the forks

    pipes = {name: getattr(subprocess, name) for name in ("PIPE", "DEVNULL", "STDOUT")}
    launch.subprocess = types.SimpleNamespace(Popen=Forked, **pipes)
    Forked.faults = tuple(faults)
    Forked.happened = pathlib.Path(tempfile.mkdtemp())  # forks must not remove it at their end
    attended = launch._attended

    def timed(*given: Any) -> dict[int, int]:
        statuses = attended(*given)
        marks = [mark.stat().st_mtime for mark in Forked.happened.iterdir()]
        if marks and any(statuses.values()):
            print(f"seconds {time.time() - max(marks):.1f}", flush=True)
        return statuses

    launch._attended = timed
    try:
        return launch.main(arguments)
    finally:
        shutil.rmtree(Forked.happened)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1]), sys.argv[2:]))
