"""Ctrl-C and SIGTERM as a question that a loop asks, not as an exception that strikes anywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Request:
    """Whether, and by which signal, the process was asked to stop."""

    signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def code(self) -> int:
        """The exit code of a process that the signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)


@contextlib.contextmanager
def requests() -> Iterator[Request]:
    """Inside the block a first signal only sets the request; a second ends the process at once."""
    request = Request()

    def handle(number: int, frame: object) -> None:
        if request():
            os._exit(128 + number)
        request.signal = number

    if threading.current_thread() is not threading.main_thread():
        yield request  # signals reach the main thread alone
        return
    previous = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
