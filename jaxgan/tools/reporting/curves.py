"""The curves of a report: the columns of the logs of one or several runs, grouped in panels."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np

from jaxgan.runs import evaluation_in_training, metric_log, sweeps
from jaxgan.runs.metric_log import Row
from jaxgan.tools.diagnosis import run_reader
from jaxgan.tools.diagnosis.finding import Series
from jaxgan.tools.reporting.run_summary import Summary

MOST_POINTS = 2000
"""The largest number of points of a line."""

MOST_NUMBERS = 60_000
"""The largest number of points of all lines together."""

MOST_SEEDS = 8
"""With more seeds than this, only the lowest and the highest are drawn."""

SPEED = "images per second"

_LOGARITHMIC = 100  # a panel whose values range over this factor has a logarithmic axis


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a panel.

    Attributes:
        run: Index of its run.
        metric: Name of its column in the log.
        label: Its label: the metric, the run if there are several, the seed if it shows one.
        series: Its steps and values, finite or not.
        main: Whether it is a model's own or a mean, rather than one of several seeds.
        setting: Index of its setting, in a run that sweeps some.
    """

    run: int
    metric: str
    label: str
    series: Series
    main: bool = True
    setting: int | None = None


@dataclasses.dataclass(frozen=True)
class Panel:
    """A panel of lines that share an axis.

    Attributes:
        title: Its title.
        lines: Its lines.
        rows_per_point: How many rows of the log a point is the mean of, at most.
    """

    title: str
    lines: tuple[Line, ...]
    rows_per_point: int = 1

    @property
    def main(self) -> tuple[Line, ...]:
        """Returns the lines that do not show one of several seeds."""
        return tuple(line for line in self.lines if line.main)

    @property
    def logarithmic(self) -> bool:
        """Returns whether the values need a logarithmic axis: all positive, of wide range."""
        values = np.concatenate([line.series.values for line in self.lines])
        values = values[np.isfinite(values)]
        return bool(len(values) and values.min() > 0) and (
            values.max() / values.min() > _LOGARITHMIC
        )


def _ends_in(*endings: str) -> Callable[[str], bool]:
    return lambda name: name.rpartition("/")[2].endswith(endings)


_PANELS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("losses", _ends_in("loss")),
    ("accuracies of the discriminator", _ends_in("accuracy")),
    ("mean logits", _ends_in("logit")),
    (
        "overfitting: mean sign of real logits (r_t), probability of augmentation (p)",
        lambda name: _ends_in("real_sign")(name) or name == "augmentation/probability",
    ),
    ("gradient norms", _ends_in("gradient_norm")),
)
"""The panels by title, and which metrics are in them. Every other metric has a panel of its own."""


_PRDC = re.compile(r"(precision|recall|density|coverage)$")
_LEVEL = re.compile(r"_[0-9]+$")


def panels(runs: Sequence[Summary]) -> list[Panel]:
    """Returns the panels of the runs' logs; those of evaluations come first, the speed last.

    Args:
        runs: The runs. With several, lines of the same metric are in the same panel.
    """
    lines = [line for index, run in enumerate(runs) for line in _lines(runs, index, run)]
    by_title: dict[str, list[Line]] = {}
    for line in lines:
        by_title.setdefault(_title(line.metric), []).append(line)
    most = max(2, min(MOST_POINTS, MOST_NUMBERS // max(1, len(lines))))
    return [
        thinned(Panel(title, tuple(by_title[title])), most=most)
        for title in sorted(by_title, key=_rank)
    ]


def _title(metric: str) -> str:
    if metric == metric_log.TIMES[0]:
        return SPEED
    return next((title for title, has in _PANELS if has(metric)), _worded(metric))


def _worded(metric: str) -> str:
    """Returns the name of a metric as words, such as 'evaluation: proxy fid'.

    The fractions of `prdc` have one name, and so have the levels of `swd`.
    """
    together = _PRDC.sub("precision, recall, density, coverage", _LEVEL.sub("", metric))
    return together.replace("_", " ").replace("/", ": ")


def _rank(title: str) -> tuple[int, int]:
    """Returns what panels are sorted by: evaluations, the known ones, others, the speed."""
    if title.startswith(_worded(evaluation_in_training.PREFIX).strip()):
        return 0, 0
    known = [name for name, _ in _PANELS]
    if title in known:
        return 1, known.index(title)
    return (3, 0) if title == SPEED else (2, 0)


def _lines(runs: Sequence[Summary], index: int, run: Summary) -> Iterator[Line]:
    """Yields the lines of a run, for each metric.

    They are its own or its mean, then those of its seeds; in a sweep, these for each setting.
    """
    ending = f" ({run.name})" if len(runs) > 1 else ""
    columns = {**run_reader.columns_of(run.rows), **_speed(run.rows)}
    labels = run.members.labels if run.members is not None else []
    by_member = [run_reader.columns_of(run.rows, member=at) for at in range(len(labels))]
    settings = _settings(run)
    for metric, series in columns.items():
        if not any(metric in found for found in by_member):
            yield Line(index, metric, f"{metric}{ending}", series)
            continue
        parts = {
            label: found[metric]
            for label, found in zip(labels, by_member, strict=True)
            if metric in found
        }
        if settings is None:
            what = "members" if run.members is not None and run.members.settings else "seeds"
            yield Line(index, metric, f"{metric}, mean of {what}{ending}", series)
            for label, part in _of_seeds(parts, what):
                yield Line(index, metric, f"{metric}, {label}{ending}", part, main=False)
            continue
        for at, (setting, members) in enumerate(settings.items()):
            own = {labels[member]: parts[labels[member]] for member in members}
            of_setting = f"{metric}, {setting}"
            mean = f"{of_setting}, mean of seeds" if len(own) > 1 else of_setting
            yield Line(index, metric, f"{mean}{ending}", _mean(own.values()), setting=at)
            if len(own) > 1:
                for label, part in _of_seeds(own, "seeds"):
                    words = label if label.startswith(setting) else f"{setting}, {label}"
                    name = f"{metric}, {words}{ending}"
                    yield Line(index, metric, name, part, main=False, setting=at)


def _settings(run: Summary) -> dict[str, list[int]] | None:
    """Returns the members of each setting of a sweep, by its label; None if seeds are shown.

    With more settings than are shown one by one, those of a sweep are drawn as seeds are.
    """
    if run.members is None or not run.members.settings:
        return None
    found = sweeps.by_setting(run.members.settings)
    return found if len(found) <= sweeps.MOST_SETTINGS else None


def _mean(parts: Collection[Series]) -> Series:
    """Returns the mean of series of the same steps."""
    return Series(next(iter(parts)).steps, np.mean([part.values for part in parts], axis=0))


def _speed(rows: Sequence[Row]) -> dict[str, Series]:
    """Returns the column of the images per second, without the rows that only compiled."""
    name = metric_log.TIMES[0]
    found = [(row["step"], float(row[name])) for row in rows if row.get(name)]
    if not found:
        return {}
    steps, rates = zip(*found, strict=True)
    return {name: Series(np.array(steps), np.array(rates))}


def _of_seeds(parts: Mapping[str, Series], what: str) -> list[tuple[str, Series]]:
    """Returns the lines of the seeds with their labels, or the lowest and highest of many."""
    if len(parts) <= MOST_SEEDS:
        return list(parts.items())
    steps = next(iter(parts.values())).steps
    values = np.stack([part.values for part in parts.values()])
    return [
        (f"lowest of {len(parts)} {what}", Series(steps, values.min(axis=0))),
        (f"highest of {len(parts)} {what}", Series(steps, values.max(axis=0))),
    ]


def thinned(panel: Panel, *, most: int = MOST_POINTS) -> Panel:
    """Returns a panel whose points are the means of so many rows that no line has too many points.

    Args:
        panel: The panel.
        most: The largest number of points of a line.
    """
    longest = max(len(line.series.steps) for line in panel.lines)
    size = -(-longest // most)
    lines = [dataclasses.replace(line, series=_means(line.series, size)) for line in panel.lines]
    return Panel(panel.title, tuple(lines), size)


def _means(series: Series, size: int) -> Series:
    """Returns the means of blocks of so many values, each at the last step of its block."""
    if size == 1:
        return series
    starts = np.arange(0, len(series.steps), size)
    ends = np.append(starts[1:], len(series.steps))
    sums = np.add.reduceat(series.values, starts)
    return Series(series.steps[ends - 1], sums / (ends - starts))
