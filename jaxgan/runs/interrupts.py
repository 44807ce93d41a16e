"""Handles Ctrl-C, SIGTERM and SIGHUP as a request that a loop asks for.

No exception is raised at an arbitrary place. The user gets an answer within seconds, even if the
interpreter is not running, as while a step compiles.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

from jaxgan.runs.errors import Interrupted

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""Signals that ask a process to stop. SIGHUP comes when its terminal is closed."""

PATIENCE = 3.0
"""Seconds in which a block of `at_rest` or `droppable` may end by itself."""


class Request:
    """Whether, and by which signal, the process was asked to stop.

    Attributes:
        signal: The number of the first signal, or None.
    """

    signal: int | None = None

    def __init__(self, first_word: str = "") -> None:
        self._first_word = first_word
        self._asked_at = 0.0
        self._leave: Callable[[], str] | None = None
        self._strike = self._struck = False
        self._lock = threading.Lock()  # held while the state at rest is left

    def __call__(self) -> bool:
        """Returns whether the process was asked to stop."""
        return self.signal is not None

    @property
    def code(self) -> int:
        """Returns the exit code of an ended process: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + (self.signal or 0)

    @contextlib.contextmanager
    def at_rest(self, leave: Callable[[], str]) -> Iterator[None]:
        """Lets the process end inside the block, which must change nothing that is to be saved.

        Args:
            leave: Saves what there is and returns the last message. It is called in another thread
                if a stop was asked for and the block does not end in time.
        """
        with self._leaving(leave, strike=False):
            yield

    @contextlib.contextmanager
    def droppable(self, words: str) -> Iterator[None]:
        """Lets the process end anywhere inside the block, as there is nothing to save.

        Args:
            words: The message. A request to stop raises Interrupted with it, or, outside of Python
                code, prints it and ends the process.
        """
        with self._leaving(lambda: words, strike=True):
            if self():
                self._raise()
            yield

    @contextlib.contextmanager
    def _leaving(self, leave: Callable[[], str], *, strike: bool) -> Iterator[None]:
        before = self._leave, self._strike
        self._leave, self._strike = leave, strike
        try:
            yield
        finally:
            with self._lock:
                self._leave, self._strike = before

    def _raise(self) -> None:
        assert self._leave is not None
        raise Interrupted(self._leave(), code=self.code)

    def handle(self, number: int, frame: object) -> None:
        """Handles a signal in the main thread; the watching thread may have noted it before.

        Args:
            number: The number of the signal.
            frame: Not used.
        """
        self.note(number)
        if self._strike and not self._struck:
            self._struck = True  # a second one must not strike the words of the first
            self._raise()

    def note(self, number: int) -> None:
        """Records the first signal and its time."""
        if self.signal is None:
            self._asked_at = time.monotonic()
            self.signal = number

    def answer(self, number: int) -> None:
        """Answers a first signal with a message."""
        name = signal.Signals(number).name
        self.note(number)
        if self._first_word and not (self._strike or self._struck):
            tell(f"{name}: {self._first_word}; a second one ends at once")

    def end_at_once(self, number: int) -> None:
        """Ends the process at once, whatever it is doing."""
        tell(f"{signal.Signals(number).name} again: ending at once, nothing more is saved")
        os._exit(128 + number)

    @property
    def patience(self) -> float | None:
        """Returns the seconds until the process has to end, or None if it was not asked to stop."""
        if not self():
            return None
        return max(0.0, self._asked_at + PATIENCE - time.monotonic())

    def leave(self) -> None:
        """Saves and ends the process, if it is in a block that allows this."""
        with self._lock:
            if self._leave is None:
                return
            try:
                words = self._leave()
            except Exception as error:
                words = f"error: {error}"
            tell(words)
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(self.code)


def tell(text: str) -> None:
    """Writes a line to stderr without a buffer, as the interpreter may be anywhere."""
    with contextlib.suppress(OSError):
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))


@contextlib.contextmanager
def requests(first_word: str = "") -> Iterator[Request]:
    """Yields a request that the first signal sets; a second signal ends the process at once.

    A thread watches for signals: Python's handlers wait for the main thread, which may be in the
    compiler for minutes. SIGHUP stays ignored if the process was started to ignore it (nohup).

    Args:
        first_word: The answer to the first signal.
    """
    request = Request(first_word)
    if threading.current_thread() is not threading.main_thread():
        yield request  # signals reach the main thread alone
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(ours, request), daemon=True)
    watcher.start()
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    previous = {number: signal.signal(number, request.handle) for number in heeded()}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        theirs.close()  # the watcher reads the end
        watcher.join()
        ours.close()


def heeded() -> list[int]:
    """Returns the signals that ask this process to stop."""
    ignored = [n for n in SIGNALS[2:] if signal.getsignal(n) == signal.SIG_IGN]
    return [number for number in SIGNALS if number not in ignored]


def _watch(signals: socket.socket, request: Request) -> None:
    """Answers the signals whose numbers it reads, until the socket is closed."""
    asked = 0
    while True:
        # Out of patience, it checks now and then whether the process may end by now.
        patience = request.patience if asked else None
        signals.settimeout(None if patience is None else max(patience, 0.2))
        try:
            received = signals.recv(64)
        except TimeoutError:
            if request.patience == 0.0:
                request.leave()
            continue
        if not received:
            return
        for number in received:
            if number in SIGNALS:
                asked += 1
                (request.answer if asked == 1 else request.end_at_once)(number)
