"""What a run directory says of its run: settings, log, time and speed."""

from __future__ import annotations

import dataclasses
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data import memory
from jaxgan.runs import (
    best_checkpoints,
    environment,
    estimate,
    experiments,
    flags,
    metric_log,
    run_directory,
    sweeps,
)
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.runs.metric_log import Row

ABSENT = "-"
"""Stands for a setting that a run does not have."""

_PLACES = ("workdir", "overwrite")  # these say where a run is, not what it trains
_INTERESTING = ("data", "resolution", "batch_size", "steps")  # of a run whose defaults are unknown


class Setting(NamedTuple):
    """A setting of a run.

    Attributes:
        flag: Its flag.
        value: Its value.
        default: The value of the run's preset; None if it is not known.
    """

    flag: str
    value: str
    default: str | None

    @property
    def changed(self) -> bool:
        """Returns whether the value is known to differ from the preset's."""
        return self.default is not None and self.value != self.default


@dataclasses.dataclass(frozen=True)
class Summary:
    """What is known of a run.

    Attributes:
        path: The run directory.
        name: A short name, unique among the runs of a report.
        title: The name of the experiment.
        about: The first line of the experiment's description; '' if it is not known.
        settings: The settings, those that the user changed first.
        facts: Values by name: data, steps, time, speed, versions.
        rows: The rows of the log.
        members: The models that the log distinguishes, without their numbers; None if there is only
            one.
        continuing: The command that continues the run; '' if it is not known.
        remarks: Sentences on what could not be read.
    """

    path: pathlib.Path
    name: str
    title: str
    about: str
    settings: tuple[Setting, ...]
    facts: Mapping[str, str]
    rows: Sequence[Row]
    members: metric_log.Members | None
    continuing: str
    remarks: tuple[str, ...]

    @property
    def measured(self) -> Mapping[str, Any] | None:
        """Returns the aim, settings and warnings of the last evaluation, or None if there is none.

        They are those that `metric_log` writes next to the numbers of an evaluation.
        """
        found = [row[metric_log.MEASURED] for row in self.rows if metric_log.is_measurement(row)]
        return found[-1] if found else None

    def seconds_at(self, step: int) -> float:
        """Returns the training time in seconds until the step, interpolated between rows.

        Args:
            step: The number of steps done.
        """
        timed = [(row["step"], row["seconds"]) for row in self.rows if "seconds" in row]
        steps, seconds = zip((0, 0.0), *timed, strict=True)
        return float(np.interp(step, steps, seconds))


def summaries(
    paths: Sequence[pathlib.Path], *, given: experiments.Named | None = None
) -> list[Summary]:
    """Reads what is known of some runs.

    Args:
        paths: The run directories.
        given: The experiment of runs of the user's own. Without it their defaults are not known.

    Raises:
        RunError: If there is no such run, or its log cannot be read.
    """
    return [_summary(path, name, given) for path, name in zip(paths, _names(paths), strict=True)]


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
    """Returns the last part of each path, or the whole path if that is not unique."""
    short = [path.resolve().name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _summary(path: pathlib.Path, name: str, given: experiments.Named | None) -> Summary:
    record = run_directory.required_record(path)
    rows, damaged = metric_log.read(run_directory.RunDirectory(path).metrics)
    remarks = []
    if damaged:
        remarks.append(
            f"{len(damaged)} damaged lines of metrics.jsonl are left out; continuing the run sets "
            "them aside"
            if len(damaged) > 1
            else "a damaged line of metrics.jsonl is left out; continuing the run sets it aside"
        )
    values = record["config"]
    try:
        experiment = experiments.recorded(record["experiment"], given=given)
        config = experiment.config_from(values, source=path)
    except RunError as error:
        remarks.append(f"which settings are defaults is not known: {error}")
        title, about, continuing = _title(record["experiment"]), "", ""
        settings = _as_recorded(values)
    else:
        title = experiment.title
        values = {field: getattr(config, field) for field in flags.offered(type(config))}
        settings = _with_defaults(values, experiment.preset(config.preset))
        about = experiment.description.strip().partition("\n")[0]
        continuing = _continuing(experiment, path, config.steps, rows)
    members = next((metric_log.members(row) for row in rows if "members" in row), None)
    facts = _facts(record, values, rows, members)
    return Summary(
        path, name, title, about, settings, facts, rows, members, continuing, tuple(remarks)
    )


def _title(record: Mapping[str, str | None]) -> str:
    """Returns the short name of an experiment of the user's own, by its record."""
    module, file = record["module"], record["file"]
    return module.rpartition(".")[2] if module else pathlib.PurePath(file or "").stem


# --- settings -------------------------------------------------------------------------------------


def _with_defaults(values: Mapping[str, Any], preset: Any) -> tuple[Setting, ...]:
    found = [
        Setting(flags.flag(name), _shown(value), _shown(getattr(preset, name)))
        for name, value in values.items()
        if name not in _PLACES
    ]
    return tuple(sorted(found, key=lambda setting: not setting.changed))


def _as_recorded(values: Mapping[str, Any]) -> tuple[Setting, ...]:
    names = [name for name in _INTERESTING if name in values]
    names += [name for name in values if name not in (*_INTERESTING, *_PLACES)]
    return tuple(Setting(flags.flag(name), _shown(values[name]), None) for name in names)


def _shown(value: Any) -> str:
    """Returns the value of a setting as the user would write it."""
    if value is None or value == () or value == []:
        return "none"
    if isinstance(value, tuple | list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def facts_of(found: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """Returns the facts of runs: the name, and the value of each run.

    Args:
        found: The runs.
    """
    names = dict.fromkeys(name for one in found for name in one.facts)
    return [(name, [one.facts.get(name, ABSENT) for one in found]) for name in names]


def differing(found: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """Returns the settings that differ between runs: the flag, and the value of each run.

    Args:
        found: The runs.
    """
    by_run = [{"experiment": one.title, **{s.flag: s.value for s in one.settings}} for one in found]
    names = dict.fromkeys(name for values in by_run for name in values)
    columns = [(name, [values.get(name, ABSENT) for values in by_run]) for name in names]
    return [(name, values) for name, values in columns if len(set(values)) > 1]


# --- facts ----------------------------------------------------------------------------------------


def _facts(
    record: Mapping[str, Any],
    values: Mapping[str, Any],
    rows: Sequence[Row],
    members: metric_log.Members | None,
) -> dict[str, str]:
    spec = DataSpec.recorded(record["data"])
    last = max((row["step"] for row in rows), default=0)
    seconds = max((row["seconds"] for row in rows if "seconds" in row), default=0.0)
    rates = [row["images_per_second"] for row in rows if row.get("images_per_second")]
    facts = {
        "data": f"{values.get('data', ABSENT)}, {_size(spec)}",
        "steps": f"{last} of {values.get('steps', ABSENT)}",
        "batch size": str(values.get("batch_size", ABSENT)),
        "seed": str(values.get("seed", ABSENT)),
        "training time": estimate.duration(seconds) if rows else ABSENT,
        "images per second": f"{statistics.median(rates):,.0f} (median)" if rates else ABSENT,
    }
    if members is not None and (not members.settings or len(set(members.seeds)) > 1):
        count = len(set(members.seeds))
        what = "seeds" if members.settings else "models, seeds"
        facts["seed"] = f"{count} {what} {members.seeds[0]} to {members.seeds[-1]}"
    if members is not None and members.settings:
        facts["members"] = sweeps.listed(members.labels)
    if most := max((row.get("peak_memory", 0) for row in rows), default=0):
        facts["peak memory"] = memory.size(most)
    if seconds and last:
        facts["steps per second"] = f"{last / seconds:.3g} (with compilation)"
    for step in best_checkpoints.ranked(rows)[:1]:
        facts["best evaluation"] = _best(rows, step)
    if "environment" in record:
        facts["environment"] = environment.sentence(record["environment"])
    return facts


def _size(spec: DataSpec) -> str:
    shape = " x ".join(map(str, spec.shape)) + ("" if len(spec.shape) > 1 else " numbers")
    return f"{shape}, {len(spec.classes)} classes" if spec.classes else shape


def _best(rows: Sequence[Row], step: int) -> str:
    row = [row for row in rows if metric_log.is_measurement(row) and row["step"] == step][-1]
    aim = row[metric_log.MEASURED]["aim"]
    return f"{aim['number']} {row[aim['number']]:.5g} ({aim['best']}) at step {step}"


def _continuing(
    experiment: experiments.Experiment, path: pathlib.Path, steps: int, rows: Sequence[Row]
) -> str:
    done = max((row["step"] for row in rows), default=0)
    again = experiment.continuing(path)
    return f"{again} --steps {2 * steps}" if done >= steps else again
