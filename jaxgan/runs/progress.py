"""What a run shows while it trains: a bar on a terminal, plain lines elsewhere, a log file."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import tqdm

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
        if self._bar is not None:
            self._bar.clear()
        say(text, self._log)

    def tick(self, step: int) -> None:
        """Shows that `step` steps are done."""
        if self._bar is not None:
            self._bar.update(step - self._bar.n)

    def show(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics."""
        rate = row["images_per_second"]
        speed = f"{rate:,.0f} images/s" if rate else "just compiled"
        if self._bar is not None:
            self._bar.set_postfix_str(f"{speed}, {signals(row)}")
            return
        if rate:
            left = (self._total - row["step"]) * self._rows_per_step / rate
            speed += f", {clock(left)} left"
        print(f"step {row['step']}/{self._total}, {speed}, {signals(row)}", flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


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
    print(text, flush=True)
    note(text, log)


def note(text: str, log: pathlib.Path) -> None:
    """Appends a line to the log alone."""
    with log.open("a") as file:
        file.write(text + "\n")


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
