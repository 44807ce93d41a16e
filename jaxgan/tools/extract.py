"""Makes one model of a run with several an ordinary run: it can be continued, measured, reported.

    jaxgan extract RUN --best proxy_fid
    jaxgan extract RUN --member 2 --out runs/chosen
    jaxgan extract RUN --member generator_learning_rate=2e-4
    jaxgan extract RUN --model-seed 3

RUN trained its models with --seeds or --sweep. --best takes the model with the best number in the
last evaluation in training (--evaluate-every). The new run has its checkpoints, its numbers and its
settings. Continued, it trains as the model would have, to rounding. RUN stays as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from jaxgan import files
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    from jaxgan.runs import experiments
    from jaxgan.runs.metric_log import Row
    from jaxgan.runs.seeds import Seeds

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Config:
    """The run, the model, and where it goes."""

    run: Annotated[pathlib.Path, tyro.conf.Positional]
    """The run directory."""
    best: str | None = None
    """The model with the best number of this name, such as proxy_fid, in the last evaluation."""
    member: str | None = None
    """The model by its number from 0 or its settings, such as beta1=0.5."""
    model_seed: int | None = None
    """The model by its seed."""
    out: pathlib.Path | None = None
    """The new run directory. Default: RUN-member-NUMBER."""
    experiment: pathlib.Path | None = None
    """File of your own experiment that made the run; its code is executed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(extract, say=print),
        program="jaxgan extract",
        description=__doc__,
        arguments=arguments,
    )


def extract(config: Config, *, say: Say) -> pathlib.Path:
    """Writes the new run directory and returns its path.

    Args:
        config: The run, the model, and where it goes.
        say: Receives sentences about what was chosen and written.

    Raises:
        RunError: If there is no such run or model, if the run has a single model or no whole
            checkpoint or is being trained, or if the new directory exists. Nothing is written then.
    """
    from jaxgan.runs import experiments, metric_log, run_directory
    from jaxgan.runs.seeds import Seeds

    record = run_directory.required_record(config.run)
    experiment = experiments.recorded(record["experiment"], given=config.experiment)
    recorded = experiment.config_from(record["config"], source=config.run)
    seeds = Seeds.of(recorded)
    if seeds.single:
        raise RunError(f"{config.run} holds one model already, and can be continued as it is")
    if run_directory.is_claimed(config.run):
        raise RunError(f"{config.run} is being trained; wait for its end, or stop it")
    rows = metric_log.rows(run_directory.RunDirectory(config.run).metrics)
    index, why = _chosen(config, seeds, rows)
    out = config.out or config.run.with_name(f"{config.run.resolve().name}-member-{index}")
    if files.exists(out) or out.is_symlink():
        raise RunError(f"{files.printable(out)} exists; choose another --out")
    own = recorded.of_model(index)
    label = seeds.labels[index]
    partial = run_directory.free(out.parent, f".{out.name}")
    try:
        partial.mkdir(parents=True)
        last = _write_checkpoints(config.run, partial, experiment, record, seeds, index, say)
        _write_log(config.run, partial, [_of_member(row, index) for row in rows], last)
        _write_record(partial, record, dataclasses.replace(own, workdir=str(out)))
        words = f"extracted from {files.printable(config.run)}: member {index}, {label}"
        files.append(partial / "log.txt", words + "\n")
        partial.rename(out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    say(f"member {index}, {label}{why}")
    longer = f" --steps {2 * own.steps}" if last >= own.steps else ""
    say(f"{files.printable(out)} is its run, at step {last}; this continues it:")
    say(f"  {experiment.continuing(files.printable(out))}{longer}")
    return out


def _chosen(config: Config, seeds: Seeds, rows: Sequence[Row]) -> tuple[int, str]:
    """Returns the index of the model, and why it was chosen, as the end of a sentence.

    Raises RunError if not exactly one way to choose is given, or there is no such model.
    """
    ways = {"--best": config.best, "--member": config.member, "--model-seed": config.model_seed}
    given = [flag for flag, value in ways.items() if value is not None]
    if len(given) != 1:
        held = f"{config.run} holds {len(seeds.numbers)} models"
        said = f"{' and '.join(given)} are given" if given else "none is named"
        raise RunError(f"{held}, and {said}: give one of --best METRIC, --member, --model-seed")
    if config.best is not None:
        return _best(config.best, seeds, rows, config.run)
    found = command.index_of_model(seeds, config.model_seed, config.member, path=config.run)
    return found, ""


def _best(name: str, seeds: Seeds, rows: Sequence[Row], run: pathlib.Path) -> tuple[int, str]:
    """Returns the index of the model whose number is the best in the last evaluation."""
    from jaxgan.runs import evaluation_in_training, metric_log

    measured = [row for row in rows if metric_log.is_measurement(row)]
    members = metric_log.members(measured[-1]) if measured else None
    if members is None:
        raise RunError(
            f"{run} has no evaluation in its log (--evaluate-every), so that none of its models is "
            "known to be the best; name one: --member 0"
        )
    prefix = evaluation_in_training.PREFIX
    number = prefix + name.removeprefix(prefix)
    directions = evaluation_in_training.directions(measured[-1])
    if number not in directions:
        known = ", ".join(each.removeprefix(prefix) for each in directions)
        raise RunError(
            f"--best {name}: the last evaluation of {run} has no number of this name that says "
            f"which model is better; it has {known}"
        )
    values = members.numbers[number]
    order = sorted(range(len(values)), key=lambda at: values[at])
    index = order[0 if directions[number] == "lowest" else -1]
    others = ", ".join(
        f"{values[at]:.5g} ({label})"
        for at, label in list(enumerate(seeds.labels))[:12]
        if at != index
    )
    return index, (
        f", has the {directions[number]} {number.removeprefix(prefix)} at step "
        f"{measured[-1]['step']}: {values[index]:.5g}; others: {others}"
    )


def _write_checkpoints(
    run: pathlib.Path,
    to: pathlib.Path,
    experiment: experiments.Experiment,
    record: dict[str, Any],
    seeds: Seeds,
    index: int,
    say: Say,
) -> int:
    """Writes the model's part of every whole checkpoint; returns the last step that has one."""
    from jaxgan.games import stages
    from jaxgan.runs import checkpoint
    from jaxgan.runs.config import DataSpec

    recorded = experiment.config_from(record["config"], source=run)
    spec = DataSpec.recorded(record["data"])
    plan = experiment.plan(recorded.of_model(index), spec, saved=True)
    steps = checkpoint.steps_in(run / "checkpoints")
    writer = checkpoint.Checkpoints(to / "checkpoints", keep=max(1, len(steps)))
    written = []
    try:
        for step in steps:
            try:
                saved = checkpoint.read(run / "checkpoints", step)
            except RunError as error:
                say(f"warning: left out: {error}")
                continue
            gan = plan[stages.made_at(plan, step)].build()
            writer.save(step, seeds.restore(gan, saved, index), _notes_of(saved.notes, index))
            written.append(step)
        writer.wait()
    finally:
        writer.close()
    if not written:
        raise RunError(f"{run} has no whole checkpoint to extract a model from")
    return written[-1]


def _notes_of(notes: dict[str, Any], index: int) -> dict[str, Any]:
    """Returns the notes of a checkpoint with the sums of one model."""
    log = notes.get("log", {})
    sums = {name: [pairs[index]] for name, pairs in log.get("sums", {}).items()}
    return {**notes, "log": {**log, "sums": sums}} if log else notes


def _of_member(row: Row, index: int) -> Row:
    """Returns the row that the model's own run would have, trained as fast as its share."""
    from jaxgan.runs import metric_log

    members = metric_log.members(row)
    if members is None:
        return row
    found = {name: value for name, value in row.items() if name != "members"}
    found |= {name: values[index] for name, values in members.numbers.items()}
    rate = metric_log.TIMES[0]
    if rate in found:
        found[rate] = round(found[rate] / len(members.seeds), 1)
    return found


def _write_log(run: pathlib.Path, to: pathlib.Path, rows: Sequence[Row], last: int) -> None:
    """Writes the rows up to the last checkpoint, and the picture of training images."""
    from jaxgan.runs import metric_log, tensorboard

    kept = [row for row in rows if row["step"] <= last]
    write = metric_log.json_lines(to / "metrics.jsonl")
    for row in kept:
        write(row)
    tensorboard.Events(to, kept)
    real = run / "samples" / "real.png"
    (to / "samples").mkdir()
    if real.is_file():
        shutil.copyfile(real, to / "samples" / real.name)


def _write_record(to: pathlib.Path, record: dict[str, Any], own: Any) -> None:
    from jaxgan.runs import run_directory, setup

    rest = {name: value for name, value in record.items() if name != "format"}
    run_directory.RunDirectory(to).write_record({**rest, "config": setup.plain(own)})


if __name__ == "__main__":
    sys.exit(main())
