"""What ends a run with one sentence for its user instead of a traceback."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator


class RunError(Exception):
    """A run that cannot start as asked: what was found, what was expected, what to do."""

    code = 2


class RunStopped(RunError):
    """A run that had to stop after it had started: numbers that are not finite, a full disk."""

    code = 1


class NotFinite(RunStopped):
    """Training that met a number that is not finite."""


class Interrupted(KeyboardInterrupt):
    """A run that was told to stop (Ctrl-C, SIGTERM or SIGHUP) and has saved; `code` is its exit
    code.
    """

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


def exit_code(act: Callable[[], int | None], *, interrupted: str) -> int:
    """The exit code of `act`, 0 where it gives none; what ended it is one sentence on stderr:
    `interrupted` for a Ctrl-C that nothing below had words for.

    Meanwhile what the console cannot encode is printed backslash-escaped.
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
    """Inside the block a character that stdout or stderr cannot encode is escaped, not refused."""
    changed = []
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # others, such as a notebook's, take all text
            changed.append((stream, stream.errors))
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in changed:
            with contextlib.suppress(ValueError, OSError):  # closed, or nobody reads it any more
                stream.reconfigure(errors=errors)


def complain(text: str) -> None:
    """Prints a line to stderr, where somebody still reads it."""
    with contextlib.suppress(OSError):  # a closed pipe or terminal
        print(text, file=sys.stderr, flush=True)
