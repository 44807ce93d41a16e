"""How long a run takes, measured over its first calls, and what makes it shorter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

LONG = 3600.0
"""Seconds from which on the flags that make a run shorter are named."""

COSTLY = (
    "steps",
    "resolution",
    "width",
    "max_width",
    "generator_width",
    "discriminator_width",
    "blocks",
    "batch_size",
    "n_critic",
    "seeds",
)
"""Fields of configurations whose smaller values make a run shorter, those that do most first."""

_ENOUGH = 10.0  # seconds
_STEPS, _AT_LEAST = 20, 1.0  # so many steps are enough earlier, but not within less than a second


class Speed:
    """Measures the seconds a train step takes.

    The first call is left out: it may still compile or allocate. The next ones count until they
    have taken 10 s, or have made 20 steps in at least 1 s.
    """

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def after(self, step: int, now: float) -> float | None:
        """Returns the seconds a step takes, or None if it is too early to say.

        Args:
            step: How many steps are done; once a call.
            now: The time in seconds, of any clock that only goes forward.
        """
        if self._first is None:
            self._first = step, now
            return None
        steps, seconds = step - self._first[0], now - self._first[1]
        enough = seconds >= _ENOUGH or (steps >= _STEPS and seconds >= _AT_LEAST)
        return seconds / steps if enough and steps > 0 else None

    def leave_out(self, seconds: float) -> None:
        """Leaves out time in which nothing was trained, such as that of a picture."""
        if self._first is not None:
            self._first = self._first[0], self._first[1] + seconds


def sentence(seconds_per_step: float, *, steps: int, examples: int, kind: str = "steps") -> str:
    """Returns such as 'about 96 minutes for 9000 steps (270 images a second)'.

    Args:
        seconds_per_step: Time a train step takes.
        steps: Train steps that are left.
        examples: Images, or points, that a train step takes, of all models.
        kind: What the steps are, after their number.
    """
    rate = examples / seconds_per_step
    speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    time = duration(seconds_per_step * steps)
    return f"about {time} for {steps} {kind} ({speed} images a second)"


def duration(seconds: float) -> str:
    """Returns the time in the unit that suits it: '40 seconds', '96 minutes', '3.5 hours'."""
    if seconds < 90:
        count, unit = round(seconds), "second"
    elif seconds < 120 * 60:
        count, unit = round(seconds / 60), "minute"
    elif seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    else:
        return f"{seconds / 86400:.1f} days"
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def shorter(config: Any, names: Collection[str], *, shape: Sequence[int]) -> str:
    """Returns a sentence on the flags that make the run shorter; '' if it has none.

    Args:
        config: The run's configuration.
        names: The fields that the user may choose.
        shape: Of an example: (H, W, C) of images, (D,) of points.
    """
    found = []
    for name in (name for name in COSTLY if name in names):
        value = getattr(config, name)
        if name == "resolution":
            value = f"{shape[0]}x{shape[1]}" if len(shape) == 3 else None
        elif not isinstance(value, int) or value <= 1:  # there is no smaller one
            value = None
        if value is not None:
            found.append(f"--{name.replace('_', '-')} (now {value})")
    if not found:
        return ""
    *others, last = found
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"a smaller {listed} makes it shorter"
