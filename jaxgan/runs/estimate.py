"""Estimates the duration of a run from its first calls, and names flags that shorten it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from jaxgan.runs import flags

LONG = 3600.0
"""The estimated seconds from which on a run suggests flags that shorten it."""

COSTLY = (
    "steps",
    "resolution",
    "crop",
    "width",
    "max_width",
    "generator_width",
    "discriminator_width",
    "blocks",
    "batch_size",
    "n_critic",
    "seeds",
)
"""Fields whose smaller values make a run shorter, those with the largest effect first."""

_ENOUGH = 10.0  # seconds
_STEPS, _AT_LEAST = 20, 1.0  # this many steps are enough earlier, if they take this many seconds


class Speed:
    """Measures the seconds a train step takes.

    It excludes the first call, which may still compile or allocate. It measures the following
    calls until they have taken 10 s, or have made 20 steps in at least 1 s.
    """

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def after(self, step: int, now: float) -> float | None:
        """Returns the seconds per step, or None if it is too early for an estimate.

        Call it once after every call of the compiled step.

        Args:
            step: The number of steps done.
            now: The time in seconds, from any monotonic clock.
        """
        if self._first is None:
            self._first = step, now
            return None
        steps, seconds = step - self._first[0], now - self._first[1]
        enough = seconds >= _ENOUGH or (steps >= _STEPS and seconds >= _AT_LEAST)
        return seconds / steps if enough and steps > 0 else None

    def leave_out(self, seconds: float) -> None:
        """Excludes seconds that were not spent on training, such as on a sample picture."""
        if self._first is not None:
            self._first = self._first[0], self._first[1] + seconds


def sentence(seconds_per_step: float, *, steps: int, examples: int, kind: str = "steps") -> str:
    """Returns a sentence like 'about 96 minutes for 9000 steps (270 images a second)'.

    Args:
        seconds_per_step: Seconds that a train step takes.
        steps: The number of train steps left.
        examples: Images, or points, in a train step, of all seeds.
        kind: The words after the number of steps.
    """
    rate = examples / seconds_per_step
    speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    time = duration(seconds_per_step * steps)
    return f"about {time} for {steps} {kind} ({speed} images a second)"


def duration(seconds: float) -> str:
    """Returns the time in a suitable unit: '40 seconds', '96 minutes', '3.5 hours'."""
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
    """Returns a sentence on the flags that make the run shorter, or '' if there are none.

    Args:
        config: The configuration of the run.
        names: The fields that the user can set.
        shape: The shape of an example: (H, W, C) for images, (D,) for points.
    """
    found = smaller(config, [name for name in COSTLY if name in names], shape=shape)
    return f"a smaller {found} makes it shorter" if found else ""


def smaller(config: Any, names: Sequence[str], *, shape: Sequence[int]) -> str:
    """Returns the flags that can be smaller with their values, as words; '' if there are none.

    Args:
        config: The configuration of the run.
        names: The fields, in the order of the words.
        shape: The shape of an example: (H, W, C) for images, (D,) for points.
    """
    found = []
    for name in names:
        value = getattr(config, name)
        if name == "resolution":
            open_size = len(shape) == 3 and not config.crop
            value = f"{shape[0]}x{shape[1]}" if open_size else None
        elif name == "crop":
            pass
        elif not isinstance(value, int) or value <= 1:  # there is no smaller one
            value = None
        if value is not None:
            found.append(f"{flags.flag(name)} (now {value})")
    if not found:
        return ""
    *others, last = found
    return f"{', '.join(others)} or {last}" if others else last
