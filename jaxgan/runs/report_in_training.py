"""The page of a run, renewed while it trains.

`jaxgan report` makes the page from what the run directory holds, so a process of its own runs it:
training neither waits for the page nor ends with it. The page is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

from jaxgan import files
from jaxgan.runs import extras
from jaxgan.runs.experiments import Experiment

NEEDED = ("bokeh", "jinja2")
"""The libraries that make a page."""

_LONGEST = 300.0  # seconds to wait for the page of a finished run
_LAST_WORDS = 5.0  # seconds in which a process ends that was asked to


def require_installed() -> None:
    """Checks that the libraries that make a page are installed.

    Raises:
        RunError: If one is not; the message names the extra.
    """
    extras.require("a report", NEEDED, extra="report")


def command(experiment: Experiment, path: pathlib.Path) -> list[str]:
    """Returns the command that writes the page of a run, without its diagnosis.

    Args:
        experiment: What the run trains. The command runs the file of one of the user's own, as this
            process did.
        path: The run directory.
    """
    words = [sys.executable, "-P", "-m", "jaxgan", "report", os.path.abspath(path)]
    words.append("--no-diagnosis")
    own = not experiment.shipped and experiment.file.endswith(".py")
    return [*words, "--experiment", experiment.file] if own else words


class Pages:
    """Writes the page of a run, by a process at a time.

    Args:
        words: The command that writes it.
        say: Told once, in a sentence, that a page could not be written.
    """

    def __init__(self, words: Sequence[str], say: Callable[[str], None]) -> None:
        self._words = words
        self._say: Callable[[str], None] | None = say
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it

    def renew(self) -> None:
        """Begins to write the page, unless the one before is still being written."""
        if self._process is not None and self._process.poll() is None:
            return
        self._settle()
        self._errors.seek(0)
        self._errors.truncate()
        try:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=_surroundings(),
                start_new_session=True,  # an interrupt from the keyboard is for the run
            )
        except OSError as error:
            self._fail(files.reason(error))

    def finish(self) -> None:
        """Writes the page of the finished run, and waits until it is there."""
        self._wait()  # the page being written may lack the last rows
        self.renew()
        self._wait()
        if self._process is not None and self._process.poll() is None:
            self._fail(f"it took more than {_LONGEST:.0f} s")
        self._settle()

    def close(self) -> None:
        """Ends the process that is still writing; the page before stays."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_LAST_WORDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._errors.close()

    def _wait(self) -> None:
        """Waits for the process to end, but not forever."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LONGEST)

    def _settle(self) -> None:
        """Says why the process that has ended wrote no page, if it did not."""
        status = self._process.poll() if self._process is not None else None
        if status is None:
            return
        self._process = None
        if status:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="backslashreplace").split("\n")
            last = [line for line in lines if line.strip()][-1:]
            self._fail(*[line.removeprefix("error: ") for line in last] or [f"exit code {status}"])

    def _fail(self, reason: str) -> None:
        if self._say is not None:
            self._say(f"warning: report.html could not be written, and training goes on: {reason}")
            self._say = None


def _surroundings() -> dict[str, str]:
    """Returns the environment of the process: the modules of this one, and no accelerator."""
    places = [entry or os.getcwd() for entry in sys.path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), "JAX_PLATFORMS": "cpu"}


@contextlib.contextmanager
def opened(
    asked: bool, experiment: Experiment, path: pathlib.Path, *, say: Callable[[str], None]
) -> Iterator[Pages | None]:
    """Lets pages be written until the block ends; None if none are asked for.

    Args:
        asked: Whether the run is to have a page.
        experiment: What the run trains.
        path: The run directory.
        say: Told once, in a sentence, that a page could not be written.
    """
    if not asked:
        yield None
        return
    with contextlib.closing(Pages(command(experiment, path), say)) as pages:
        yield pages
