"""What a run shows while it trains: a bar on a terminal, plain lines elsewhere, a log file."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import tqdm

from jaxgan import files

Item = TypeVar("Item")

SIGNALS = {
    "accuracy": ("real_accuracy", "fake_accuracy"),
    "r": ("real_sign",),
    "logit": ("real_logit", "fake_logit"),
    "gradient": ("gradient_norm",),
    "loss": ("loss",),
}
"""What a game's health is read from, by the last part of a metric's name, in order of showing."""


FAILED = "error: "
"""What a line of the log begins with that says why a run ended."""


class Progress:
    """Shows a run of `total` steps of `rows_per_step` images, `start` of which are done."""

    def __init__(
        self, *, title: str, start: int, total: int, rows_per_step: int, log: pathlib.Path
    ) -> None:
        self._log, self._total, self._rows_per_step = log, total, rows_per_step
        self._bar = None
        if sys.stderr.isatty():
            self._bar = tqdm.tqdm(
                desc=title, initial=start, total=total, unit="step", dynamic_ncols=True
            )

    def say(self, text: str) -> None:
        """Prints a line and keeps it in the log."""
        with self._showing() as bar:
            if bar is not None:
                bar.clear()
        say(text, self._log)

    def tick(self, step: int) -> None:
        """Shows that `step` steps are done."""
        with self._showing() as bar:
            if bar is not None:
                bar.update(step - bar.n)

    def show(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics."""
        rate = row["images_per_second"]
        speed = f"{rate:,.0f} images/s" if rate else "just compiled"
        with self._showing() as bar:
            if bar is not None:
                bar.set_postfix_str(f"{speed}, {signals(row)}")
                return
        if rate:
            left = (self._total - row["step"]) * self._rows_per_step / rate
            speed += f", {clock(left)} left"
        tell(f"step {row['step']}/{self._total}, {speed}, {signals(row)}")

    def close(self) -> None:
        with self._showing() as bar:
            if bar is not None:
                bar.close()

    @contextlib.contextmanager
    def _showing(self) -> Iterator[Any]:
        """The bar, or None; there is none any more where its terminal has gone inside the block."""
        try:
            yield self._bar
        except OSError:
            self._bar = None
            let_go(sys.stderr)


def tell(text: str) -> None:
    """Prints a line where somebody still reads: a closed pipe or terminal is no reason to stop."""
    try:
        print(text, flush=True)
    except OSError:
        let_go(sys.stdout)


def let_go(stream: Any) -> None:
    """Leads the stream nowhere: what is still in it, or comes, would fail again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def counted(
    items: Iterable[Item], total: int, what: str, *, size: Callable[[Item], int] = len
) -> Iterator[Item]:
    """The items, while stderr shows how much of `total` has been done of `what`, each item counting
    by its size: a bar on a terminal, elsewhere a line at first and at every tenth.
    """
    if sys.stderr.isatty():
        with tqdm.tqdm(desc=what, total=total, dynamic_ncols=True) as bar:
            for item in items:
                yield item
                bar.update(size(item))
        return
    print(f"{what} ...", file=sys.stderr, flush=True)
    done = 0
    for item in items:
        yield item
        before, done = done, done + size(item)
        if before * 10 // total < done * 10 // total < 10:
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)


def say(text: str, log: pathlib.Path) -> None:
    """Prints a line and appends it to the log."""
    tell(text)
    note(text, log)


def note(text: str, log: pathlib.Path) -> None:
    """Appends a line to the log alone."""
    files.append(log, text + "\n")


def signals(row: dict[str, Any]) -> str:
    """What the health of a game is read from, as 'accuracy 0.93/0.88, r 0.86, ...'.

    Entries of one kind stand side by side: real before fake, and otherwise by the names of the
    players.
    """
    shown = []
    for label, endings in SIGNALS.items():
        found = [
            f"{value:.3g}"
            for ending in endings
            for name, value in row.items()
            if name.rpartition("/")[2] == ending
        ]
        if found:
            shown.append(f"{label} {'/'.join(found)}")
    return ", ".join(shown)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds as 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"
