"""One run, from its configuration to its last checkpoint: the parts put together."""

from __future__ import annotations

import contextlib
import pathlib
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from jaxgan import (
    checkpoint,
    environment,
    interrupt,
    logging,
    prepare,
    profile,
    progress,
    rundir,
    stages,
    train,
    visualise,
)
from jaxgan.errors import Interrupted, NotFinite, RunStopped
from jaxgan.experiments import Experiment
from jaxgan.run import Common
from jaxgan.types import TrainStep


def run(experiment: Experiment, config: Common) -> pathlib.Path:
    """Starts the run, or continues the one in its directory, to the last step; returns its path.

    Raises RunError where it cannot start, RunStopped where it cannot go on, Interrupted where it
    was told to stop.
    """
    prepare.check_numbers(config)
    environment.keep_freed_memory()
    if config.seeds > 1:
        environment.use_cores(config.seeds)
    path = pathlib.Path(config.workdir or rundir.default_path(experiment.title))
    with rundir.claim(path) as directory:
        before = None if config.overwrite else directory.record()
        found = None
        if before is not None:
            prepare.check_same(experiment, config, before, path)
            found = checkpoint.latest(directory.checkpoints, report=print)
        if found is not None and found.step >= config.steps:
            print(f"{path} is finished at step {found.step}; a larger --steps continues it")
            return path
        notes = []
        if config.cache:
            notes += environment.use_compilation_cache()
        task = prepare.task(experiment, config, found=found, report=print)
        record = prepare.record(experiment, config, task, before=before)
        found = found and found._replace(arrays={})  # the task has them
        try:
            if config.overwrite:
                directory.clear()
            directory.write_record(record)
            _begin(directory, found)
            for text in (environment.sentence(record["environment"]), *notes, *task.notes):
                progress.say(text, directory.log)
            _train(experiment, config, directory, task=task, found=found)
        except OSError as error:
            raise RunStopped(f"{path} cannot be written to: {rundir.reason(error)}") from error
    return path


def _begin(directory: rundir.RunDirectory, found: checkpoint.Saved | None) -> None:
    """Brings the directory back to the checkpoint found, or to the beginning."""
    begun = f"continuing {directory.path} at step {found.step}" if found else None
    progress.say(begun or f"training in {directory.path}", directory.log)
    checkpoint.set_aside(directory.checkpoints, directory.damaged, after=_step(found))
    logging.cut(directory.metrics, after=_logged(found))
    directory.samples.mkdir(exist_ok=True)


def _logged(found: checkpoint.Saved | None) -> int:
    return found.notes["log"]["logged"] if found else 0


@contextlib.contextmanager
def _outputs(
    config: Common, directory: rundir.RunDirectory, *, title: str, found: checkpoint.Saved | None
) -> Iterator[tuple[progress.Progress, checkpoint.Checkpoints, logging.Recorder]]:
    """What the run writes to, open until the block ends."""
    with contextlib.ExitStack() as stack:
        shown = progress.Progress(
            title=title,
            start=_step(found),
            total=config.steps,
            rows_per_step=config.rows_per_step * config.seeds,
            log=directory.log,
        )
        stack.callback(shown.close)
        board = logging.TensorBoard(directory.path, start=_logged(found))
        stack.callback(board.close)
        checkpoints = checkpoint.Checkpoints(directory.checkpoints, keep=config.keep)
        stack.callback(checkpoints.close)
        recorder = logging.Recorder(
            every=config.log_every,
            rows_per_step=config.rows_per_step * config.seeds,
            seeds=config.member_seeds if config.seeds > 1 else (),
            sinks=[logging.json_lines(directory.metrics), board, shown.show],
            notes=found.notes["log"] if found else {},
            ahead=logging.calls_ahead(),
            tick=shown.tick,
        )
        yield shown, checkpoints, recorder


def _train(
    experiment: Experiment,
    config: Common,
    directory: rundir.RunDirectory,
    *,
    task: prepare.Task,
    found: checkpoint.Saved | None,
) -> None:
    """Trains from the state of the task to the last step, or until told to stop."""
    with _outputs(config, directory, title=experiment.title, found=found) as outputs:
        shown, checkpoints, recorder = outputs

        def save(step: int, state: Any) -> None:
            if step == config.steps:
                recorder.write_rest()
            checkpoints.save(step, state, {"log": recorder.notes})

        def play(begin: int) -> tuple[int, Any]:
            """The step reached and the state at the end of the task's stage, or of the run."""
            draw = _drawer(experiment, config, task, directory=directory, say=shown.say)
            if begin == 0:
                draw(0, task.state)
            with _call(config, task, directory, shown.say) as call:
                return train.fit(
                    call,
                    task.state,
                    task.batches,
                    span=_span(config, task, begin),
                    recorder=recorder,
                    events=(
                        train.Event(config.sample_every, draw),
                        train.Event(config.checkpoint_every, save),
                    ),
                    asked_to_stop=request,
                )

        try:
            with interrupt.requests() as request:
                reached, state = play(_step(found))
                while reached < config.steps and not request():
                    task = prepare.next_stage(config, task, state)
                    shown.say(f"stage {task.index + 1} of {len(task.plan)} from step {reached}")
                    reached, state = play(reached)
                save(reached, state)
                checkpoints.wait()
        except NotFinite as broken:
            checkpoints.wait()
            raise RunStopped(
                f"{broken}. {checkpoints.last_words()} To go on with other settings, start a new "
                f"run with --init-from {directory.path}"
            ) from None
        if reached < config.steps:
            raise Interrupted(_farewell(experiment, directory, reached), code=request.code)
        shown.say(f"finished at step {reached}; samples are in {directory.samples}")


def _step(found: checkpoint.Saved | None) -> int:
    return found.step if found else 0


def _span(config: Common, task: prepare.Task, begin: int) -> range:
    return stages.span(
        task.plan, task.index, begin=begin, end=config.steps, per_call=config.steps_per_call
    )


def _call(
    config: Common,
    task: prepare.Task,
    directory: rundir.RunDirectory,
    say: Callable[[str], None],
) -> contextlib.AbstractContextManager[TrainStep]:
    step = train.compile_call(
        task.gan.step, per_call=config.steps_per_call, mode=config.parallel, mesh=task.mesh
    )
    calls = -(-config.profile // config.steps_per_call)
    return profile.traced(step, calls=calls, path=directory.profile, say=say)


def _drawer(
    experiment: Experiment,
    config: Common,
    task: prepare.Task,
    *,
    directory: rundir.RunDirectory,
    say: Callable[[str], None],
) -> Callable[[int, Any], None]:
    """What writes the picture of a state: the experiment's own, or the one for such data; of a
    population one for each member, together.
    """
    if experiment.picture is not None:
        picture = experiment.picture(task.member, task.splits)
    else:
        rows = visualise.ROWS if config.seeds == 1 else 1
        picture = visualise.picture_of(
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
        picture = visualise.of_members(picture, config.member_seeds)

    def draw(step: int, state: Any) -> None:
        content = visualise.png(picture(state))
        rundir.write_whole(directory.samples / f"{step:06d}.png", content)

    return draw


def _farewell(experiment: Experiment, directory: rundir.RunDirectory, reached: int) -> str:
    again = f"{experiment.command_line} --workdir {shlex.quote(str(directory.path))}"
    return f"stopped and saved at step {reached}; this continues: {again}"
