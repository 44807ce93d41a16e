"""Exceptions that end a run with one sentence for the user instead of a traceback."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator


class RunError(Exception):
    """A run cannot start as asked.

    The message says what was found, what was expected and what to do.
    """

    code = 2


class RunStopped(RunError):
    """A run had to stop after its start, for numbers that are not finite or a full disk."""

    code = 1


class NotFinite(RunStopped):
    """A metric of training is not finite."""


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop (Ctrl-C, SIGTERM or SIGHUP) and has saved a checkpoint.

    Attributes:
        message: A sentence for the user, which `str` returns.
        code: The exit code of the process.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


def exit_code(act: Callable[[], int | None], *, interrupted: str) -> int:
    """Calls `act` and returns the exit code of the process; errors become one sentence on stderr.

    Meanwhile, characters that the console cannot encode are printed backslash-escaped.

    Args:
        act: The program. It returns an exit code, or None for 0.
        interrupted: The sentence for a Ctrl-C that `act` did not handle.
    """
    with escaping_streams():
        try:
            return act() or 0
        except RunError as error:
            complain(f"error: {error}")
            return error.code
        except Interrupted as interrupt:
            complain(str(interrupt))
            return interrupt.code
        except KeyboardInterrupt:
            complain(interrupted)
            return 130


@contextlib.contextmanager
def escaping_streams() -> Iterator[None]:
    """Escapes, inside the block, characters that stdout or stderr cannot encode."""
    changed = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # others, such as a notebook's, accept all text
            changed.append((stream, stream.errors))
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in changed:
            with contextlib.suppress(ValueError, OSError):  # closed, or without a reader
                stream.reconfigure(errors=errors)


def complain(text: str) -> None:
    """Prints a line to stderr, if anybody still reads it."""
    with contextlib.suppress(OSError):  # a closed pipe or terminal
        print(text, file=sys.stderr, flush=True)
