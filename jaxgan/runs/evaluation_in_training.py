"""Evaluation during training: metrics of samples, which also choose the best checkpoint.

Evaluation does not change training. Samples are drawn with keys of their own, and states are only
read. A run that is asked to stop drops the evaluation and repeats it when it is resumed.

Every seed of an ensemble is evaluated; the mean of the numbers chooses the best state. A run in
stages is also evaluated at the end of each stage, with the model of that stage.
"""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from jaxgan import parallel
from jaxgan.games import stages
from jaxgan.metrics import evaluation, selection, statistics_cache
from jaxgan.runs import best_checkpoints, interrupts, metric_log, setup, trained_model
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.metric_log import MEASURED, Row

PREFIX = "evaluation/"
"""Prefix of the names of the numbers in a row of the log."""


class Watch(NamedTuple):
    """How the states of a run are evaluated.

    Attributes:
        scores: `scores(sample)`, see `evaluation.evaluator`.
        config: The configuration of the run.
        aim: How states are ranked: the 'metric', its 'number' in the row, and whether the 'lowest'
            or the 'highest' number is the 'best'.
        note: A sentence that describes the evaluation for the log.
    """

    scores: Callable[[evaluation.Sample], evaluation.Scores]
    config: RunConfig
    aim: dict[str, str]
    note: str


class BrokenOff(KeyboardInterrupt):
    """An evaluation was dropped because the process was asked to stop."""


def of(config: RunConfig, task: setup.Task, *, report: Callable[[str], None]) -> Watch | None:
    """Returns how to evaluate the task's model on the training images, or None if it is not to be.

    Computes the statistics of the training images, unless they are cached.

    Args:
        config: The configuration of the run.
        task: The model and its data.
        report: Takes a sentence on what is being computed.

    Raises:
        RunError: If the data or the model do not allow the metrics, or the first metric cannot
            choose the best state.
    """
    if not config.evaluate_every:
        return None
    try:
        last = task.plan[-1].build()  # earlier stages may not be able to sample, see `measured`
        real = evaluation.images_of(task.splits.train, last)
        mesh = parallel.data_mesh(parallel.first_devices(config.devices))
        extractor = selection.extractor_for(
            real,
            config.inception,
            sha256=config.inception_sha256,
            efficientnet=config.evaluate_features,
            efficientnet_sha256=config.evaluate_features_sha256,
            judge=config.JUDGE,
            cache=config.cache,
            mesh=mesh,
        )
        names = config.evaluate or selection.usual(real, extractor)[:1]
        metrics = selection.chosen(names, mesh=mesh)
        aim = evaluation.aim(metrics, extractor)
        report(f"computing statistics of {len(real)} images of {real.name} for the evaluation")
        scores = evaluation.evaluator(
            metrics,
            real,
            extractor=extractor,
            samples=config.evaluate_samples,
            cache=statistics_cache.folder() if config.cache else None,
            conditions=last.conditions,
        )
    except ValueError as error:
        raise RunError(f"the run cannot be evaluated (--evaluate-every): {error}") from error
    note = (
        f"every {config.evaluate_every} steps {config.evaluate_samples} samples are compared "
        f"with {len(real)} images of {real.name} (train); the best state has the "
        f"{aim.best} {'' if setup.seeds_of(config).single else 'mean '}{_plain(aim.number)}"
    )
    named = {"metric": names[0], "number": PREFIX + aim.number, "best": aim.best}
    return Watch(scores, config, named, note)


def is_owed(
    config: RunConfig, plan: Sequence[stages.Stage], step: int, ranking: best_checkpoints.Ranking
) -> bool:
    """Returns whether a run resumed at `step` must first evaluate the state of that step.

    This is so if the run was stopped before it did, or has evaluation switched on only now.

    Args:
        config: The configuration of the run.
        plan: The stages of the run.
        step: The step at which the run is resumed.
        ranking: The evaluations so far.
    """
    if not config.evaluate_every or not step or ranking.knows(step):
        return False
    return step % config.evaluate_every == 0 or any(step == stage.start for stage in plan)


def measured(
    watch: Watch,
    task: setup.Task,
    state: Any,
    *,
    step: int,
    request: interrupts.Request,
    say: Callable[[str], None],
) -> Row | None:
    """Evaluates a state and returns the row for the log, or None if that was not possible.

    It returns None, after a sentence, if the evaluation fails or the process is asked to stop.

    Args:
        watch: How to evaluate.
        task: The model and its data.
        state: The state after `step` steps.
        step: The number of steps done.
        request: Whether the process was asked to stop.
        say: Takes the sentence.
    """
    try:
        with breaking_off(request):
            models = _models(watch.config, task, state, step=step)
            found = [watch.scores(model.sample) for model in models]
    except BrokenOff:
        say(f"evaluation of step {step} postponed until the run is resumed")
        return None
    except ValueError as error:
        say(f"step {step} could not be evaluated: {error}")
        return None
    return _row(watch, found, step=step)


def sentence(row: Row, first: int) -> str:
    """Returns the numbers of a row, and the step of the best state so far, as a sentence.

    Args:
        row: An evaluation's row of the log.
        first: The step of the best state so far.
    """
    numbers = ", ".join(
        f"{_plain(name.removeprefix(PREFIX))} {value:.5g}"
        for name, value in row.items()
        if name.startswith(PREFIX)
    )
    members = metric_log.members(row)
    place = "the best so far" if row["step"] == first else f"the best is step {first}"
    if members is not None and members.settings:
        aim = row[MEASURED]["aim"]["number"]
        each = zip(members.labels, members.numbers[aim], strict=True)
        of_each = ", ".join(f"{value:.5g} ({label})" for label, value in each)
        return (
            f"step {row['step']}: {_plain(aim.removeprefix(PREFIX))} {of_each}; by their mean "
            f"{place}"
        )
    means = f" (means of {len(members.seeds)} seeds)" if members is not None else ""
    return f"step {row['step']}: {numbers}{means}, {place}"


def directions(row: Row) -> dict[str, str]:
    """Returns, by number of an evaluation, whether its 'lowest' or 'highest' value is the best.

    Numbers that do not rank models, such as the precision, are left out.

    Args:
        row: An evaluation's row of the log.
    """
    aim, settings = row[MEASURED]["aim"], row[MEASURED]["settings"]
    found = {aim["number"]: aim["best"]}
    for name in settings["metrics"]:
        known = selection.METRICS[name]().aim if name in selection.METRICS else None
        if known is None:
            continue
        ends = (PREFIX + known.number, f"_{known.number}")  # behind the network's name
        found |= {number: known.best for number in row if number.endswith(ends)}
    return {number: best for number, best in found.items() if number.startswith(PREFIX)}


@contextlib.contextmanager
def breaking_off(request: interrupts.Request) -> Iterator[None]:
    """Raises BrokenOff inside the block on a request to stop, or at once after an earlier one.

    Use it only around work that can be dropped half done: the exception can occur anywhere in it.
    """
    if request():
        raise BrokenOff
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return
    before = {number: signal.getsignal(number) for number in interrupts.heeded()}

    def handle(number: int, frame: Any) -> None:
        noted = before[number]
        if callable(noted):
            noted(number, frame)
        raise BrokenOff

    try:
        for number in before:
            signal.signal(number, handle)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _plain(number: str) -> str:
    """Returns the name of a number as words."""
    return number.replace("_", " ")


def _models(
    config: RunConfig, task: setup.Task, state: Any, *, step: int
) -> list[trained_model.TrainedModel]:
    """Returns each model as `jaxgan.load` does: it samples with averaged players."""
    states = setup.seeds_of(config).states(state, task.own)
    models = task.own or (task.single,) * len(states)
    return [
        trained_model.TrainedModel(gan, each, config, task.spec, step)
        for gan, each in zip(models, states, strict=True)
    ]


def _row(watch: Watch, found: Sequence[evaluation.Scores], *, step: int) -> Row:
    """Returns the scores of all seeds as a row, in the types that JSON reads back."""
    seeds = setup.seeds_of(watch.config)
    numbers = {
        PREFIX + name: [scores.numbers[name] for scores in found] for name in found[0].numbers
    }
    row: Row = {"step": step, **{name: statistics.fmean(of) for name, of in numbers.items()}}
    if not seeds.single:
        row["members"] = metric_log.Members(seeds.numbers, seeds.settings, numbers).entry
    row[MEASURED] = {
        "aim": watch.aim,
        "settings": {"split": "train", **found[0].settings},
        "warnings": list(dict.fromkeys(text for scores in found for text in scores.warnings)),
    }
    return json.loads(json.dumps(row))
