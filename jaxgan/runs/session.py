"""One run, from its configuration to its last checkpoint: the parts put together."""

from __future__ import annotations

import contextlib
import pathlib
import shlex
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jaxgan import files
from jaxgan.games import stages
from jaxgan.plotting import image_grids
from jaxgan.runs import (
    best_checkpoints,
    checkpoint,
    environment,
    evaluation_in_training,
    interrupts,
    metric_log,
    profiling,
    progress,
    run_directory,
    setup,
    training_loop,
)
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import Interrupted, NotFinite, RunStopped
from jaxgan.runs.experiments import Experiment
from jaxgan.types import TrainStep


def run(experiment: Experiment, config: RunConfig) -> pathlib.Path:
    """Starts the run, or continues the one in its directory, to the last step; returns its path.

    Raises RunError where it cannot start, RunStopped where it cannot go on, Interrupted where it
    was told to stop.
    """
    setup.check_numbers(config)
    environment.keep_freed_memory()
    if config.seeds > 1:
        environment.use_cores(config.seeds)
    path = pathlib.Path(config.workdir or run_directory.default_path(experiment.title))
    with run_directory.claim(path) as directory:
        before = None if config.overwrite else directory.record()
        found = None
        if before is not None:
            config = setup.as_begun(config, before)
            setup.check_same(experiment, config, before, path)
            found = checkpoint.latest(directory.checkpoints, report=print)
        if found is not None and found.step >= config.steps:
            print(f"{path} is finished at step {found.step}; a larger --steps continues it")
            return path
        notes = []
        if config.cache:
            notes += environment.use_compilation_cache()
        task = setup.task(experiment, config, found=found, report=print)
        config = task.config
        watch = evaluation_in_training.of(config, task, report=print)
        record = setup.record(experiment, config, task, before=before)
        found = found and found._replace(arrays={})  # the task has them
        try:
            if config.overwrite:
                directory.clear()
            directory.write_record(record)
            rows = _begin(directory, found)
            if before is not None and found is not None:
                notes += setup.notes_on_the_end(config, before)
            notes += [*task.notes, *([watch.note] if watch else [])]
            for text in (environment.sentence(record["environment"]), *notes):
                progress.say(text, directory.log)
            with _outputs(config, directory, rows, title=experiment.title, found=found) as outputs:
                _train(experiment, config, outputs, task=task, found=found, watch=watch)
        except OSError as error:
            raise RunStopped(f"{path} cannot be written to: {files.reason(error)}") from error
    return path


def _begin(
    directory: run_directory.RunDirectory, found: checkpoint.Saved | None
) -> list[metric_log.Row]:
    """Brings the directory back to the checkpoint found, or to the beginning; the rows left of the
    log.
    """
    begun = f"continuing {directory.path} at step {found.step}" if found else None
    progress.say(begun or f"training in {directory.path}", directory.log)
    checkpoint.set_aside(directory.checkpoints, directory.damaged, after=_step(found))
    directory.samples.mkdir(exist_ok=True)
    return metric_log.cut(directory.metrics, after=_logged(found), measured=_step(found))


def _logged(found: checkpoint.Saved | None) -> int:
    return found.notes["log"]["logged"] if found else 0


class Outputs(NamedTuple):
    """What a run writes to: what the user sees, its checkpoints, its log, and the standing of the
    states that were measured.
    """

    directory: run_directory.RunDirectory
    shown: progress.Progress
    checkpoints: checkpoint.Checkpoints
    recorder: metric_log.Recorder
    ranking: best_checkpoints.Ranking
    log: tuple[metric_log.Sink, ...]


@contextlib.contextmanager
def _outputs(
    config: RunConfig,
    directory: run_directory.RunDirectory,
    rows: list[metric_log.Row],
    *,
    title: str,
    found: checkpoint.Saved | None,
) -> Iterator[Outputs]:
    """What the run writes to, open until the block ends; `rows` are those of its log before."""
    with contextlib.ExitStack() as stack:
        shown = progress.Progress(
            title=title,
            start=_step(found),
            total=config.steps,
            rows_per_step=config.rows_per_step * config.seeds,
            log=directory.log,
        )
        stack.callback(shown.close)
        board = metric_log.TensorBoard(directory.path, start=_logged(found))
        stack.callback(board.close)
        for row in rows:
            if row["step"] > _logged(found):  # of what is void now a measurement alone stays
                board(row)
        saved = checkpoint.steps_in(directory.checkpoints)
        ranking = best_checkpoints.Ranking(rows, saved=saved, keep=config.keep_best)
        checkpoints = checkpoint.Checkpoints(
            directory.checkpoints, keep=config.keep, best=ranking.best
        )
        stack.callback(checkpoints.close)
        log = (metric_log.json_lines(directory.metrics), board)
        recorder = metric_log.Recorder(
            every=config.log_every,
            rows_per_step=config.rows_per_step * config.seeds,
            seeds=config.member_seeds if config.seeds > 1 else (),
            sinks=[*log, shown.show],
            notes=found.notes["log"] if found else {},
            ahead=metric_log.calls_ahead(),
            tick=shown.tick,
        )
        yield Outputs(directory, shown, checkpoints, recorder, ranking, log)


def _train(
    experiment: Experiment,
    config: RunConfig,
    outputs: Outputs,
    *,
    task: setup.Task,
    found: checkpoint.Saved | None,
    watch: evaluation_in_training.Watch | None,
) -> None:
    """Trains from the state of the task to the last step, or until told to stop."""
    directory, shown, checkpoints, recorder, ranking, _ = outputs

    def save(step: int, state: Any) -> None:
        if step == config.steps:
            recorder.write_rest()
        checkpoints.save(step, state, {"log": recorder.notes})

    def measure(step: int, state: Any) -> None:
        if watch and _is_among_best(watch, task, outputs, state, step=step, request=request):
            save(step, state)

    def play(begin: int) -> tuple[int, Any]:
        """The step reached and the state at the end of the task's stage, or of the run."""
        draw = _drawer(experiment, config, task, directory=directory, say=shown.say)
        if begin == 0:
            draw(0, task.state)
        with _call(config, task, directory, shown.say) as call:
            return training_loop.fit(
                call,
                task.state,
                task.batches,
                span=_span(config, task, begin),
                recorder=recorder,
                events=(
                    training_loop.Event(config.sample_every, draw),
                    training_loop.Event(config.evaluate_every, measure),
                    training_loop.Event(config.checkpoint_every, save),
                ),
                asked_to_stop=request,
            )

    try:
        with interrupts.requests() as request:
            reached, state = _step(found), task.state
            late = evaluation_in_training.is_owed(config, task.plan, reached, ranking)
            if late:
                measure(reached, state)
            if not (late and request()):
                reached, state = play(reached)
            while reached < config.steps and not request():
                task = setup.next_stage(config, task, state)
                shown.say(f"stage {task.index + 1} of {len(task.plan)} from step {reached}")
                reached, state = play(reached)
            save(reached, state)
            checkpoints.wait()
    except NotFinite as broken:
        raise _stopped(broken, outputs) from None
    if reached < config.steps:
        raise Interrupted(_farewell(experiment, directory, reached), code=request.code)
    shown.say(f"finished at step {reached}; samples are in {directory.samples}")


def _is_among_best(
    watch: evaluation_in_training.Watch,
    task: setup.Task,
    outputs: Outputs,
    state: Any,
    *,
    step: int,
    request: interrupts.Request,
) -> bool:
    """Whether the task's state is among the best so far, once it has been measured, which is logged
    and said.
    """
    with outputs.recorder.paused():
        row = evaluation_in_training.measured(
            watch, task, state, step=step, request=request, say=outputs.shown.say
        )
    if row is None:
        return False
    for sink in outputs.log:
        sink(row)
    new = () if outputs.ranking.best() else row[metric_log.MEASURED]["warnings"]
    among = outputs.ranking.add(row)
    outputs.shown.say(evaluation_in_training.sentence(row, outputs.ranking.best()[0]))
    for warning in new:
        outputs.shown.say(f"beware: {warning}")
    return among


def _stopped(broken: NotFinite, outputs: Outputs) -> RunStopped:
    """What ends the run, once what it has saved is on the disk; the log says it too."""
    outputs.checkpoints.wait()
    last = outputs.checkpoints.last_whole()
    if last is None:
        way_on = "Start a new run with other settings"
    else:
        start = f"--init-from {outputs.directory.path}"
        way_on = f"To go on with other settings, start a new run with {start}"
    sentence = f"{broken}. {outputs.checkpoints.words_on(last)} {way_on}"
    progress.note(f"{progress.FAILED}{sentence}", outputs.directory.log)
    return RunStopped(sentence)


def _step(found: checkpoint.Saved | None) -> int:
    return found.step if found else 0


def _span(config: RunConfig, task: setup.Task, begin: int) -> range:
    return stages.span(
        task.plan, task.index, begin=begin, end=config.steps, per_call=config.steps_per_call
    )


def _call(
    config: RunConfig,
    task: setup.Task,
    directory: run_directory.RunDirectory,
    say: Callable[[str], None],
) -> contextlib.AbstractContextManager[TrainStep]:
    step = training_loop.compile_call(
        task.gan.step, per_call=config.steps_per_call, mode=config.parallel, mesh=task.mesh
    )
    calls = -(-config.profile // config.steps_per_call)
    return profiling.traced(step, calls=calls, path=directory.profile, say=say)


def _drawer(
    experiment: Experiment,
    config: RunConfig,
    task: setup.Task,
    *,
    directory: run_directory.RunDirectory,
    say: Callable[[str], None],
) -> Callable[[int, Any], None]:
    """What writes the picture of a state: the experiment's own, or the one for such data; of a
    population one for each member, together.
    """
    if experiment.picture is not None:
        picture = experiment.picture(task.member, task.splits)
    else:
        rows = image_grids.ROWS if config.seeds == 1 else 1
        picture = image_grids.picture_of(
            task.member,
            task.splits,
            seed=config.seed,
            rows=rows,
            batch_size=config.batch_size,
            say=say,
        )
    if picture is None:
        return lambda step, state: None
    if config.seeds > 1:
        picture = image_grids.of_members(picture, config.member_seeds)

    def draw(step: int, state: Any) -> None:
        content = image_grids.png(picture(state))
        files.write_whole(directory.samples / f"{step:06d}.png", content)

    return draw


def _farewell(experiment: Experiment, directory: run_directory.RunDirectory, reached: int) -> str:
    again = f"{experiment.command_line} --workdir {shlex.quote(str(directory.path))}"
    return f"stopped and saved at step {reached}; this continues: {again}"
