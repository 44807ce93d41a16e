"""Trains one model with several processes on this machine, and starts them again if one dies.

    jaxgan launch -n 4 -- train dcgan [flags]

Every line of their output begins with the number of its process. If one dies, all are ended and
started again; they continue from the last checkpoint. Ctrl-C and SIGTERM are handed on: the run is
saved and everything ends within half a minute. Of several GPUs, each process gets one.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import tyro

from jaxgan.runs import (
    command_line,
    errors,
    experiments,
    flags,
    interrupts,
    progress,
    run_directory,
)
from jaxgan.runs.errors import RunError, RunStopped
from jaxgan.runs.ranges import Count, Positive

_INTERRUPTED = "interrupted before the processes had started"
_LOOK = 0.05  # seconds from one look at the processes to the next
_LAST_WORDS = 5.0  # seconds in which the others may say why they cannot go on
_GRACE = 25.0  # seconds in which all have to end once they were asked to
_SET_PARENT_DEATH_SIGNAL = 1  # linux/prctl.h
_ASKED = tuple(128 + number for number in interrupts.SIGNALS)
"""Exit codes of a process that was asked to stop."""


@dataclasses.dataclass(frozen=True)
class Config:
    """How many processes, and how often to start them again; the command follows after `--`."""

    processes: Annotated[Positive, tyro.conf.arg(aliases=("-n",))] = 2
    """Number of processes."""
    restarts: Count = 3
    """How often to start all processes again after one has died."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    own, words = given, []
    if "--" in given:
        at = given.index("--")
        own, words = given[:at], given[at + 1 :]
    asked = tyro.cli(Config, args=own, prog="jaxgan launch", description=__doc__)
    return errors.exit_code(lambda: launch(asked, words), interrupted=_INTERRUPTED)


def launch(config: Config, words: Sequence[str]) -> int:
    """Trains until the run has ended, and returns its exit code.

    Args:
        config: How many processes.
        words: The command: 'train', the experiment and its flags.

    Raises:
        RunError: If it is no such command.
    """
    flags.require_in_range(config)
    training = _training(words)
    record = _changed(training.workdir / "config.json")
    with _signals() as received:
        for left in reversed(range(config.restarts + 1)):
            begun = _changed(training.workdir / "config.json") != record
            processes = training.start(config.processes, begun=begun)
            with _printed(processes):
                statuses = _attended(processes, received)
            code, reason = _verdict(statuses, received)
            if reason is None:
                return code
            if left == 0:
                raise RunStopped(f"{reason}; gave up after {config.restarts} restarts")
            number = config.restarts + 1 - left
            progress.tell(
                f"launch: {reason}; starting all again from the last checkpoint "
                f"(restart {number} of {config.restarts})"
            )
    raise AssertionError("unreachable")


@dataclasses.dataclass(frozen=True)
class _Training:
    """The command that every process runs.

    Attributes:
        words: 'train', the experiment and its flags.
        workdir: The run directory.
    """

    words: tuple[str, ...]
    workdir: pathlib.Path

    def start(self, count: int, *, begun: bool) -> list[subprocess.Popen[bytes]]:
        """Starts the processes.

        Args:
            count: Number of processes.
            begun: Whether the run has begun, so that it is not to be overwritten again.
        """
        words = [word for word in self.words if not (begun and word == "--overwrite")]
        place = f"127.0.0.1:{_free_port()}"
        processes = []
        for index in range(count):
            joining = ["--coordinator", place, "--processes", f"{count}", "--process", f"{index}"]
            process = subprocess.Popen(
                [sys.executable, "-m", "jaxgan", *words, *joining],
                env={**os.environ, "JAX_LOCAL_DEVICE_IDS": str(index)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal reaches this process alone
                preexec_fn=_ending_with_parent(),
            )
            processes.append(process)
        return processes


def _training(words: Sequence[str]) -> _Training:
    """Returns the command, with a run directory that a restart finds again."""
    if len(words) < 2 or words[0] != "train":
        raise RunError(
            f"`jaxgan launch` was given {' '.join(words) or 'no command'!r}; expected -- train "
            "EXPERIMENT [flags]"
        )
    experiment = experiments.named(words[1])
    config = command_line.parse(experiment, words[2:])
    if config.distributed or config.coordinator is not None:
        raise RunError(
            "`jaxgan launch` says itself where the processes meet: leave out --distributed and "
            "--coordinator, and use them where a cluster starts the processes"
        )
    if config.workdir is not None:
        return _Training(tuple(words), pathlib.Path(config.workdir))
    workdir = run_directory.default_path(experiment.title)
    return _Training((*words, "--workdir", str(workdir)), workdir)


def _changed(path: pathlib.Path) -> tuple[int, int] | None:
    """Returns what differs once the file is written anew."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def _ending_with_parent() -> Callable[[], None] | None:
    """Returns what a child calls to be asked to stop when this process is killed, on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)  # loaded before the fork
    return lambda: library.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


@contextlib.contextmanager
def _printed(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Prints, in the block, the lines of the processes, each after the number of its process."""

    def show(index: int, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            progress.tell(f"[{index}] {line.decode(errors='backslashreplace').rstrip()}")

    threads = [
        threading.Thread(target=show, args=numbered, daemon=True)
        for numbered in enumerate(processes)
    ]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(_LAST_WORDS)  # a child of a process may hold its output open


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Yields the list of signals to stop, to which each that arrives is added."""
    received: list[int] = []

    def add(number: int, frame: object) -> None:
        received.append(number)

    before = {number: signal.signal(number, add) for number in interrupts.heeded()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _attended(
    processes: Sequence[subprocess.Popen[bytes]], received: Sequence[int]
) -> dict[int, int]:
    """Waits until all processes have ended, and ends those that outlive another one for long.

    Returns:
        The exit statuses of those that ended by themselves, by their number, the first one first.
    """
    statuses: dict[int, int] = {}
    handed_on, deadline = 0, None
    while True:
        for index, process in enumerate(processes):
            status = process.poll()
            if status is not None and index not in statuses:
                statuses[index] = status
        running = [process for process in processes if process.returncode is None]
        if not running:
            return statuses
        now = time.monotonic()
        for number in received[handed_on:]:
            for process in running:
                process.send_signal(number)
            deadline = now + _GRACE if handed_on == 0 else deadline
            handed_on += 1
        if statuses and deadline is None:
            deadline = now + (_LAST_WORDS if any(statuses.values()) else _GRACE)
        if deadline is not None and now > deadline:
            for process in running:
                process.kill()
                process.wait()
            return statuses
        time.sleep(_LOOK)


def _verdict(statuses: Mapping[int, int], received: Sequence[int]) -> tuple[int, str | None]:
    """Returns the exit code of the run, and why to start it again, or None if it is over."""
    if received:
        return 128 + received[0], None
    if not any(statuses.values()):
        return 0, None
    if RunError.code in statuses.values():  # a restart would meet the same error
        return RunError.code, None
    asked = [status for status in statuses.values() if status in _ASKED]
    if asked:
        return asked[0], None
    ended = [f"process {index} {_words(status)}" for index, status in statuses.items() if status]
    return RunStopped.code, ", ".join(ended)


def _words(status: int) -> str:
    if status > 0:
        return f"ended with exit code {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
