"""Progress of a run: a bar on a terminal, plain lines elsewhere, and a log file."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import tqdm

from jaxgan import files
from jaxgan.runs import sweeps
from jaxgan.runs.estimate import Speed, duration

Item = TypeVar("Item")

SIGNALS = {
    "accuracy": (
        {"real_accuracy": "real", "fake_accuracy": "fake"},
        "fraction of images that are classified correctly",
    ),
    "ranked right": (
        {"ranking_rate": ""},
        "fraction of pairs whose real image has the higher logit",
    ),
    "real sign": (
        {"real_sign": ""},
        "mean sign of the logits of real images, ADA's r_t: near 1 the discriminator overfits",
    ),
    "logit": ({"real_logit": "real", "fake_logit": "fake"}, "mean"),
    "gradient norm": ({"gradient_norm": ""}, "mean"),
    "loss": ({"loss": ""}, "mean"),
}
"""The numbers of a progress line, in their order: by label, the last part of a metric's name with
the images it is of, and what the number is."""


NOTICEABLE = 0.05
"""The fraction of the time spent waiting for data from which on a progress line shows it."""

_QUICK = 3.0  # seconds that need no mention

FAILED = "error: "
"""Prefix of the line of the log that says why a run ended."""


class Progress:
    """Shows the progress of a run.

    Args:
        title: The name of the run.
        start: Steps that are done already.
        total: Steps in all.
        rows_per_step: Images that a step takes, of all models.
        log: The log file.
    """

    def __init__(
        self, *, title: str, start: int, total: int, rows_per_step: int, log: pathlib.Path
    ) -> None:
        self._log, self._total, self._rows_per_step = log, total, rows_per_step
        self._explained: set[str] = set()
        self._speed: Speed | None = None
        self._words: Callable[[float], str] = str
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
        if self._speed is not None:
            seconds = self._speed.after(step, time.monotonic())
            if seconds is not None:
                self._speed = None
                self.say(self._words(seconds))

    def estimate(self, words: Callable[[float], str]) -> None:
        """Measures the next steps, and says once how long the run takes.

        Args:
            words: The sentence to say, given the seconds a step takes.
        """
        self._speed, self._words = Speed(), words

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time inside the block out of the estimate."""
        began = time.monotonic()
        try:
            yield
        finally:
            if self._speed is not None:
                self._speed.leave_out(time.monotonic() - began)

    def show(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics; before the first row, the legend of its numbers."""
        words = legend(row)
        if words and words not in self._explained:
            self._explained.add(words)
            self.say(words)
        rate = row["images_per_second"]
        speed = f"{rate:,.0f} images/s" if rate else "just compiled"
        if row.get("data_wait", 0.0) >= NOTICEABLE:
            speed += f", {row['data_wait']:.0%} of the time waiting for data"
        with self._showing() as bar:
            if bar is not None:
                bar.set_postfix_str(f"{speed}, {signals(row)}")
                return
        if rate:
            left = (self._total - row["step"]) * self._rows_per_step / rate
            speed += f", {clock(left)} left"
        tell("\n".join([f"step {row['step']}/{self._total}, {speed}, {signals(row)}", *each(row)]))

    def close(self) -> None:
        """Removes the bar."""
        with self._showing() as bar:
            if bar is not None:
                bar.close()

    @contextlib.contextmanager
    def _showing(self) -> Iterator[Any]:
        """Yields the bar, or None; drops the bar if its terminal has gone inside the block."""
        try:
            yield self._bar
        except OSError:
            self._bar = None
            let_go(sys.stderr)


class Silence(Progress):
    """The progress of a process that leaves it to another one to show it."""

    def __init__(self) -> None:
        return

    def say(self, text: str) -> None:
        """Says nothing."""

    def tick(self, step: int) -> None:
        """Shows nothing."""

    def estimate(self, words: Callable[[float], str]) -> None:
        """Measures nothing."""

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Leaves nothing out."""
        return contextlib.nullcontext()

    def show(self, row: dict[str, Any]) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Has nothing to remove."""


def tell(text: str) -> None:
    """Prints a line; a closed pipe or terminal is no reason to stop."""
    try:
        print(files.shown(text), flush=True)
    except OSError:
        let_go(sys.stdout)


def let_go(stream: Any) -> None:
    """Redirects the stream to nowhere, as its buffer and further lines would fail again."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def counted(
    items: Iterable[Item], total: int, what: str, *, size: Callable[[Item], int] = len
) -> Iterator[Item]:
    """Yields the items and shows on stderr how much is done.

    A terminal shows a bar, any other output a first line and one for every tenth.

    Args:
        items: What to yield.
        total: The sum of the sizes of all items.
        what: The name of the work.
        size: The size of an item.
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


@contextlib.contextmanager
def timed(text: str, report: Callable[[str], None]) -> Iterator[None]:
    """Reports what the block does, and afterwards how long it took if that was 3 s or more.

    Args:
        text: What the block does, as 'compiling the train step'.
        report: Takes a line.
    """
    report(f"{text} ...")
    began = time.monotonic()
    yield
    seconds = time.monotonic() - began
    if seconds >= _QUICK:
        report(f"{text} took {duration(seconds)}")


def say(text: str, log: pathlib.Path) -> None:
    """Prints a line and appends it to the log.

    Args:
        text: The line.
        log: The log file.
    """
    tell(text)
    note(text, log)


def note(text: str, log: pathlib.Path) -> None:
    """Appends a line to the log only.

    Args:
        text: The line.
        log: The log file.
    """
    files.append(log, files.shown(text) + "\n")


def signals(row: dict[str, Any]) -> str:
    """Returns the main metrics of a game, as 'accuracy 0.93/0.88, real sign 0.86, ...'.

    The values of one label stand next to each other, in the order that `legend` explains.
    """
    shown = (
        f"{label} {'/'.join(f'{row[name]:.3g}' for name, _ in found)}"
        for label, found in _signals_in(row)
    )
    return ", ".join(shown)


def each(row: dict[str, Any]) -> list[str]:
    """Returns the main metrics of each setting of a sweep, the means over its seeds, as lines."""
    members = row.get("members", {})
    settings = members.get("settings", {})
    if not settings:
        return []
    by_setting = sweeps.by_setting(settings)
    shown = {
        label: {
            name: sum(values[index] for index in of) / len(of)
            for name, values in members.items()
            if name not in ("seed", "settings")
        }
        for label, of in list(by_setting.items())[: sweeps.MOST_SETTINGS]
    }
    more = len(by_setting) - len(shown)
    lines = [f"  {label}: {signals(means)}" for label, means in shown.items()]
    return [*lines, *([f"  and {more} more settings"] if more else [])]


def legend(row: dict[str, Any]) -> str:
    """Returns what the numbers of `signals` are, or '' if there are none.

    Such as 'accuracy: discriminator real/fake (fraction of images ...)'.
    """
    shown = []
    for label, found in _signals_in(row):
        of = "/".join(words for _, words in found)
        shown.append(f"{label}: {of} ({SIGNALS[label][1]})")
    return f"the numbers below are {'; '.join(shown)}" if shown else ""


def _signals_in(row: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each label its metrics in the row, real before fake, each with the words for it."""
    by_label = []
    for label, (endings, _) in SIGNALS.items():
        found = [
            (name, f"{_player(name)} {images}".strip())
            for ending, images in endings.items()
            for name in row
            if name.rpartition("/")[2] == ending
        ]
        if found:
            by_label.append((label, found))
    return by_label


def _player(name: str) -> str:
    """The words for whose metric it is."""
    return name.rpartition("/")[0].replace("_", " ").replace("/", " ")


def clock(seconds: float) -> str:
    """Returns hours, minutes and seconds as 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"
