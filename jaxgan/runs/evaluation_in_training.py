"""A model measured while it trains: what is measured, of which states, and what the log says of it.

Training goes on as if it were not: samples are drawn by keys of their own, from states that are
only read, and a run that is told to stop drops the measurement and makes it when it goes on.

Of models that train together each is measured, and the mean of their numbers decides. A run in
stages is measured at the end of each as well, by the model of the stage.
"""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from jaxgan.games import stages
from jaxgan.metrics import evaluation, statistics_cache
from jaxgan.runs import best_checkpoints, interrupts, setup, trained_model
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.metric_log import MEASURED, Row

PREFIX = "evaluation/"
"""Stands before the numbers in a row of the log."""


class Watch(NamedTuple):
    """What is measured of the states of a run.

    scores: `scores(sample)`, see `evaluation.evaluator`.
    config: of the run.
    aim:    what makes one state better than another: the 'metric' and its 'number' in the row, and
            whether the 'lowest' or the 'highest' is the 'best'.
    note:   a sentence that says so.
    """

    scores: Callable[[evaluation.Sample], evaluation.Scores]
    config: RunConfig
    aim: dict[str, str]
    note: str


class BrokenOff(KeyboardInterrupt):
    """A measurement that was dropped as the process was told to stop."""


def of(config: RunConfig, task: setup.Task, *, report: Callable[[str], None]) -> Watch | None:
    """What is to be measured of the task's model against the training images; None where nothing
    is. The statistics of the images are gathered now, unless they have been kept.

    Raises RunError where the metrics cannot be had of the data or the model, or choose no best.
    """
    if not config.evaluate_every:
        return None
    try:
        last = task.plan[-1].build()  # an earlier stage's may draw nothing, see `measured`
        real = evaluation.images_of(task.splits.train, last)
        extractor = evaluation.extractor_of(
            config.inception,
            sha256=config.inception_sha256,
            efficientnet=config.evaluate_features,
            efficientnet_sha256=config.evaluate_features_sha256,
            channels=real.shape[2],
            cache=config.cache,
        )
        names = config.evaluate or evaluation.usual(real, extractor)[:1]
        metrics = evaluation.chosen(names)
        aim = evaluation.aim(metrics, extractor)
        report(f"looking at {len(real)} images of {real.name} to measure samples against")
        scores = evaluation.evaluator(
            metrics,
            real,
            extractor=extractor,
            samples=config.evaluate_samples,
            cache=statistics_cache.folder() if config.cache else None,
            conditions=last.conditions,
        )
    except ValueError as error:
        raise RunError(f"the run cannot be measured (--evaluate-every): {error}") from error
    note = (
        f"every {config.evaluate_every} steps {config.evaluate_samples} samples are measured "
        f"against {len(real)} images of {real.name} (train); the best state is that of the "
        f"{aim.best} {'' if setup.seeds_of(config).single else 'mean '}{_plain(aim.number)}"
    )
    named = {"metric": names[0], "number": PREFIX + aim.number, "best": aim.best}
    return Watch(scores, config, named, note)


def is_owed(
    config: RunConfig, plan: Sequence[stages.Stage], step: int, ranking: best_checkpoints.Ranking
) -> bool:
    """Whether a run that goes on at `step` has first to measure the state there: it was told to
    stop before it had, or is asked to only now.
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
    """The row of the log about the task's state after `step` steps; None, and a sentence, where it
    could not be measured, or the process was told to stop.
    """
    try:
        with breaking_off(request):
            models = _models(watch.config, task, state, step=step)
            found = [watch.scores(model.sample) for model in models]
    except BrokenOff:
        say(f"step {step} is left to be measured when the run goes on")
        return None
    except ValueError as error:
        say(f"step {step} could not be measured: {error}")
        return None
    return _row(watch, found, step=step)


def sentence(row: Row, first: int) -> str:
    """What a row says, and which step has the best state so far."""
    numbers = ", ".join(
        f"{_plain(name.removeprefix(PREFIX))} {value:.5g}"
        for name, value in row.items()
        if name.startswith(PREFIX)
    )
    means = f" (means of {len(row['members']['seed'])} seeds)" if "members" in row else ""
    place = "the best so far" if row["step"] == first else f"the best is that of step {first}"
    return f"step {row['step']}: {numbers}{means}, {place}"


@contextlib.contextmanager
def breaking_off(request: interrupts.Request) -> Iterator[None]:
    """Inside the block a request to stop raises BrokenOff, at once where it was made before.

    Only for what can be dropped half done: the exception may strike anywhere.
    """
    if request():
        raise BrokenOff
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
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
    """The name of a number for reading."""
    return number.replace("_", " ")


def _models(
    config: RunConfig, task: setup.Task, state: Any, *, step: int
) -> list[trained_model.TrainedModel]:
    """The models that train together, each as `jaxgan.load` gives it back: it samples by its
    averaged players.
    """
    return [
        trained_model.TrainedModel(task.single, each, config, task.spec, step)
        for each in setup.seeds_of(config).states(state)
    ]


def _row(watch: Watch, found: Sequence[evaluation.Scores], *, step: int) -> Row:
    """The scores of each seed's model as a row, in the types that JSON gives back."""
    seeds = setup.seeds_of(watch.config)
    numbers = {
        PREFIX + name: [scores.numbers[name] for scores in found] for name in found[0].numbers
    }
    row: Row = {"step": step, **{name: statistics.fmean(of) for name, of in numbers.items()}}
    if not seeds.single:
        row["members"] = {"seed": list(seeds.numbers), **numbers}
    row[MEASURED] = {
        "aim": watch.aim,
        "settings": {"split": "train", **found[0].settings},
        "warnings": list(dict.fromkeys(text for scores in found for text in scores.warnings)),
    }
    return json.loads(json.dumps(row))
