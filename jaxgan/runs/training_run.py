"""One run, from its configuration to its last checkpoint."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jaxgan import files
from jaxgan.games import stages
from jaxgan.kernels import threefry
from jaxgan.plotting import image_grids
from jaxgan.runs import (
    best_checkpoints,
    checkpoint,
    convolutions,
    device_memory,
    environment,
    estimate,
    evaluation_in_training,
    flags,
    interrupts,
    invocation,
    length,
    metric_log,
    processes,
    profiling,
    progress,
    report_in_training,
    run_directory,
    saved_state,
    setup,
    tensorboard,
    trackers,
    training_loop,
)
from jaxgan.runs.config import MAY_CHANGE, RunConfig
from jaxgan.runs.errors import Interrupted, NotFinite, RunError, RunStopped
from jaxgan.runs.experiments import Experiment
from jaxgan.types import GAN, TrainStep

NOTHING_TO_SAVE = "interrupted before the first step: nothing to save"
_EARLY = (50, 100, 200)  # steps of the first pictures, where the others are further apart
_FIRST_WORD = "the run saves and ends as soon as it can"
_SHARED = "all processes need the same --workdir, on a file system they share, and the same data"


def run(experiment: Experiment, config: RunConfig) -> pathlib.Path:
    """Trains to the last step and returns the run directory; a run in it is continued.

    Args:
        experiment: What to train.
        config: The settings.

    Raises:
        RunError: If the run cannot start.
        RunStopped: If it cannot go on.
        Interrupted: If it was asked to stop.
    """
    setup.check_numbers(config)
    environment.keep_freed_memory()
    threefry.install()
    environment.use_cores(config.models)
    with interrupts.requests(_FIRST_WORD) as request, processes.joined(config, request) as team:
        named = config.workdir or run_directory.default_path(experiment.title)
        path = pathlib.Path(team.told(str(named)))
        with _claimed(path, team) as directory:
            try:
                with environment.replacing_damaged_programs(report=progress.tell):
                    _run(experiment, config, directory, request, team)
            except Exception as failure:
                if not (team.alone or isinstance(failure, RunError)):
                    _note(f"{progress.FAILED}{files.reason(failure)}", directory, team)
                raise
            except Interrupted as stop:
                _note(str(stop), directory, team)
                raise
    return path


def _claimed(
    path: pathlib.Path, team: processes.Team
) -> contextlib.AbstractContextManager[run_directory.RunDirectory]:
    """Locks the run directory; of several processes, the one that writes to it does."""
    if team.leads:
        return run_directory.claim(path)
    return contextlib.nullcontext(run_directory.RunDirectory(path))


def _note(words: str, directory: run_directory.RunDirectory, team: processes.Team) -> None:
    """Keeps the last words of the run in its log, if it has begun one."""
    if team.leads and directory.log.exists():
        with contextlib.suppress(OSError):  # a full disk, and the words say so
            progress.note(words, directory.log)


def _run(
    experiment: Experiment,
    config: RunConfig,
    directory: run_directory.RunDirectory,
    request: interrupts.Request,
    team: processes.Team,
) -> None:
    """Runs in the directory; a request to stop before the preparation is done drops the run."""
    path = directory.path
    trackers.require_installed(config.tracker)
    if config.report:
        report_in_training.require_installed()
    tell = progress.tell if team.leads else lambda text: None
    with contextlib.ExitStack() as stack:
        with request.droppable(NOTHING_TO_SAVE):
            before = None if config.overwrite else directory.record()
            found = None
            if before is not None:
                config = setup.as_begun(config, before, path)
                setup.check_same(experiment, config, before, path)
                config = setup.places(config, before)[0]
                found = checkpoint.latest(directory.checkpoints, report=tell)
            here = {"a run": before is not None, "step": _step(found), "--steps": config.steps}
            team.require_same(here, words=_SHARED)
            if found is not None and found.step >= config.steps:
                tell(f"{path} is finished at step {found.step}; a larger --steps continues it")
                tell(_looking(experiment, path))
                return
            convolutions.require(config, path)
            notes = []
            if config.cache:
                notes += environment.use_compilation_cache()
            first = "compiling the initialization" if found is None else "reading the checkpoint"
            with progress.timed(f"loading the data and {first}", tell):
                task = setup.task(experiment, config, found=found, before=before, report=tell)
            if before is None:
                task = _with_convolutions(task)
            if before is None and config.minutes is not None:
                task = _of_minutes(experiment, task, team)
            config = task.config
            if not team.alone:
                notes.append(f"{team.count} processes train together")
                same = setup.fingerprint(config, task, team.whole(task.state))
                team.require_same(same, words=_SHARED)
            watch = evaluation_in_training.of(config, task, report=tell) if team.leads else None
            record = setup.record(experiment, config, task, before=before)
            found = found and found._replace(arrays={})  # the task has them
            team.wait()
        stack.enter_context(_disk_errors_said(path))
        if team.leads:
            if config.overwrite:
                notes += _left(directory.clear())
            directory.write_record(record)
            rows, lost = _begin(directory, found)
            if before is not None and found is not None:
                notes += setup.notes_on_the_end(config, before)
                notes += convolutions.note_on_change(config, before)
            notes += [*lost, *task.notes, *([watch.note] if watch else [])]
            for text in (environment.sentence(record["environment"]), *notes):
                progress.say(text, directory.log)
            outputs = _outputs(experiment, config, directory, rows, found=found, team=team)
        else:
            outputs = _no_outputs(config, directory, found, team)
        _train(
            experiment,
            config,
            stack.enter_context(outputs),
            task=task,
            found=found,
            watch=watch,
            request=request,
            team=team,
        )


def _with_convolutions(task: setup.Task) -> setup.Task:
    """Returns the task of a run that begins, with the convolutions and precision to train with."""
    config, notes = convolutions.chosen(task.config, shape=task.spec.shape, devices=task.mesh.size)
    return task._replace(config=config, notes=(*task.notes, *notes))


def _of_minutes(experiment: Experiment, task: setup.Task, team: processes.Team) -> setup.Task:
    """Returns the task of as many steps as its first ones need minutes for.

    They train a copy of the state. The task is prepared again, as its schedules may depend on the
    number of steps.
    """
    config = task.config
    if not team.alone:
        raise RunError(
            "--minutes measures the first steps, and each process would measure other seconds; "
            "use --images or --steps"
        )
    length.require_one_stage(task.plan)
    with progress.timed("compiling the train step and measuring its speed", progress.tell):
        call = _compiled(config, task)
        seconds = length.measured(call, task.state, task.batches, config=config)
    config, note = length.of_minutes(config, seconds)
    # What there was to report was reported when the task was prepared first.
    task = setup.task(
        experiment, config, found=None, splits=task.splits, report=lambda sentence: None
    )
    return task._replace(notes=(*task.notes, note))


@contextlib.contextmanager
def _disk_errors_said(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunStopped(f"{path} cannot be written to: {files.reason(error)}") from error


def _left(others: list[str]) -> list[str]:
    """A sentence on what --overwrite has not deleted, if there is any."""
    if not others:
        return []
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return [f"left in place, as no run wrote it: {', '.join(others[:3])}{more}"]


def _begin(
    directory: run_directory.RunDirectory, found: saved_state.Saved | None
) -> tuple[list[metric_log.Row], list[str]]:
    """Brings the directory back to the checkpoint found, or to the beginning.

    Returns the remaining rows of the log, and sentences on what was damaged or missing.
    """
    begun = f"continuing {directory.path} at step {found.step}" if found else None
    progress.say(begun or f"training in {directory.path}", directory.log)
    odd = checkpoint.set_aside(directory.checkpoints, directory.damaged, after=_step(found))
    directory.samples.mkdir(exist_ok=True)
    notes = _set_log_aside(directory, whole=found is None)
    if odd:
        notes.append(f"warning: no checkpoint, and moved to {directory.damaged}: {', '.join(odd)}")
    return metric_log.cut(directory.metrics, after=_logged(found), measured=_step(found)), notes


def _set_log_aside(directory: run_directory.RunDirectory, *, whole: bool) -> list[str]:
    """Moves damaged lines out of the log, or the whole log if its run begins again.

    Returns a sentence that says so, if there was anything to move.
    """
    rows, damaged = metric_log.read(directory.metrics)
    if whole and (rows or damaged):
        aside = directory.aside("metrics", ".jsonl")
        directory.metrics.rename(aside)
        reached = f", which reaches step {rows[-1]['step']}," if rows else ""
        return [
            f"warning: {directory.checkpoints} holds no checkpoint to continue from, so the run "
            f"begins again at step 0; its log{reached} is kept as {aside}"
        ]
    if damaged:
        aside = directory.aside("metrics", ".jsonl")
        files.write_whole(aside, b"".join(line + b"\n" for line in damaged))
        return [
            f"warning: {len(damaged)} damaged lines of {directory.metrics} are kept as {aside}; "
            "the others stay in the log"
        ]
    return []


def _logged(found: saved_state.Saved | None) -> int:
    return found.notes.get("log", {}).get("logged", 0) if found else 0


class Outputs(NamedTuple):
    """What a run writes to.

    Attributes:
        directory: The run directory.
        shown: What the user sees.
        checkpoints: The saved states.
        recorder: The metrics of train steps, on their way to the log.
        ranking: The evaluated states, from the best on.
        log: What takes the rows of the log.
        galleries: What takes the sample pictures, by step and file.
        pages: What renews the page of the run, if it is asked for.
    """

    directory: run_directory.RunDirectory
    shown: progress.Progress
    checkpoints: checkpoint.Checkpoints
    recorder: metric_log.Recorder
    ranking: best_checkpoints.Ranking
    log: tuple[metric_log.Sink, ...]
    galleries: tuple[Callable[[int, pathlib.Path], None], ...]
    pages: report_in_training.Pages | None


@contextlib.contextmanager
def _outputs(
    experiment: Experiment,
    config: RunConfig,
    directory: run_directory.RunDirectory,
    rows: list[metric_log.Row],
    *,
    found: saved_state.Saved | None,
    team: processes.Team,
) -> Iterator[Outputs]:
    """Opens what the run writes to until the block ends; `rows` are those already in its log."""
    with contextlib.ExitStack() as stack:
        shown = progress.Progress(
            title=experiment.title,
            start=_step(found),
            total=config.steps,
            rows_per_step=config.rows_per_step * config.models,
            log=directory.log,
        )
        stack.callback(shown.close)
        settings = dataclasses.asdict(config)
        compared = {name: value for name, value in settings.items() if name != "workdir"}
        board = tensorboard.Events(directory.path, rows, settings=compared, step=_step(found))
        saved = checkpoint.steps_in(directory.checkpoints)
        ranking = best_checkpoints.Ranking(rows, saved=saved, keep=config.keep_best)
        stack.enter_context(checkpoint.closed_loops_dropped())
        if _saves_together(config, team):
            checkpoints = checkpoint.SharedCheckpoints(
                directory.checkpoints, keep=config.keep, team=team, best=ranking.best
            )
        else:
            checkpoints = checkpoint.Checkpoints(
                directory.checkpoints, keep=config.keep, best=ranking.best
            )
            stack.callback(checkpoints.close)
        tracking = stack.enter_context(
            trackers.opened(config.tracker, directory.path, settings, say=shown.say)
        )
        pages = stack.enter_context(
            report_in_training.opened(config.report, experiment, directory.path, say=shown.say)
        )
        services = () if tracking is None else (tracking,)
        log = (metric_log.json_lines(directory.metrics), board, *services)
        galleries = tuple(one.picture for one in (board, *services))
        recorder = metric_log.Recorder(
            every=config.log_every,
            rows_per_step=config.rows_per_step * config.models,
            seeds=setup.seeds_of(config).logged,
            settings=setup.seeds_of(config).settings,
            sinks=[*log, shown.show],
            notes=found.notes.get("log", {}) if found else {},
            ahead=metric_log.calls_ahead(),
            tick=shown.tick,
            spread=board.histograms,
        )
        yield Outputs(directory, shown, checkpoints, recorder, ranking, log, galleries, pages)


def _saves_together(config: RunConfig, team: processes.Team) -> bool:
    """Whether each process saves its own part of the state."""
    return config.shard_parameters and not team.alone


@contextlib.contextmanager
def _no_outputs(
    config: RunConfig,
    directory: run_directory.RunDirectory,
    found: saved_state.Saved | None,
    team: processes.Team,
) -> Iterator[Outputs]:
    """What a process writes to that leaves writing to another one: its part of checkpoints."""
    recorder = metric_log.Recorder(
        every=config.log_every,
        rows_per_step=config.rows_per_step,
        sinks=(),
        notes=found.notes.get("log", {}) if found else {},
        ahead=metric_log.calls_ahead(),
    )
    ranking = best_checkpoints.Ranking((), saved=(), keep=config.keep_best)
    checkpoints: checkpoint.Checkpoints = checkpoint.NoCheckpoints()
    if _saves_together(config, team):
        checkpoints = checkpoint.SharedCheckpoints(
            directory.checkpoints, keep=config.keep, team=team
        )
    yield Outputs(directory, progress.Silence(), checkpoints, recorder, ranking, (), (), None)


def _train(
    experiment: Experiment,
    config: RunConfig,
    outputs: Outputs,
    *,
    task: setup.Task,
    found: saved_state.Saved | None,
    watch: evaluation_in_training.Watch | None,
    request: interrupts.Request,
    team: processes.Team,
) -> None:
    """Trains from the state of the task to the last step, or until asked to stop.

    Of several processes, the first draws, evaluates and saves, while the others wait for it. If
    parameters are split, all save together.
    """
    directory, shown, checkpoints, recorder, ranking, _, galleries, pages = outputs
    together = _saves_together(config, team)

    def notes(step: int) -> dict[str, Any]:
        """What a checkpoint holds of the log, whose last rows are written before the last one."""
        if step == config.steps:
            recorder.write_rest()
        return {"log": recorder.notes}

    def save(step: int, state: Any) -> None:
        checkpoints.save(step, state if together else team.whole(state), notes(step))
        team.wait()

    @contextlib.contextmanager
    def resting(step: int, state: Any) -> Iterator[Any]:
        """Marks a block that leaves the state alone and may take, or compile for, minutes.

        Yields the state, whole in this process. The block ends when all processes are at its end.
        """
        whole = team.whole(state)

        def save_and_say() -> str:
            words = _farewell(experiment, directory, step)
            if not team.leads:
                return words
            if step > 0:
                checkpoints.save_alone(step, whole, notes(step))
            progress.note(words, directory.log)
            return words

        with shown.paused(), request.at_rest(lambda: team.leave(save_and_say)):
            yield whole
            team.wait()

    def measure(step: int, state: Any) -> None:
        if not config.evaluate_every:
            return
        among = False
        with resting(step, state) as whole:
            if watch:
                among = _is_among_best(watch, task, outputs, whole, step=step, request=request)
        if team.told(among):
            save(step, state)

    def play(begin: int, before: Any) -> tuple[int, Any]:
        """Trains the stage of the task; returns the step reached and its state.

        `before` is the state at its beginning as a checkpoint holds it: that of the stage before.
        """
        drawing = None
        if team.leads:
            drawing = _drawer(experiment, config, task, directory=directory, say=shown.say)
        step, span = _compiled(config, task), _span(config, task, begin)

        def draw(step: int, state: Any) -> None:
            with resting(step, state) as whole:
                if drawing:
                    drawing(step, whole)
            if (path := _picture(directory, step)).is_file():
                for show in galleries:
                    show(step, path)
            if pages is not None:
                pages.renew()

        pictures = training_loop.Event(config.sample_every, draw, _early(config))
        continued = found is not None and found.step == begin
        if team.told(continued and _lacks_picture(config, pictures, directory, begin, span)):
            draw(begin, task.state)
        if span:
            with progress.timed(_compilation(task, first=begin == 0), shown.say):
                if begin == 0:
                    draw(0, task.state)
                with resting(begin, before):
                    compiled = training_loop.compile_ahead(step, task.state, task.batches(begin))
            names = _settable(config, continued=found is not None)
            large = device_memory.warning(compiled, task.mesh, config, names, shape=task.spec.shape)
            if large:
                shown.say(large)
        shown.estimate(_estimator(config, task, span, continued=found is not None))
        with _traced(config, step, directory, shown.say, team) as call:
            return training_loop.fit(
                call,
                task.state,
                task.batches,
                span=span,
                recorder=recorder,
                events=(
                    pictures,
                    training_loop.Event(config.evaluate_every, measure),
                    training_loop.Event(config.checkpoint_every, save),
                ),
                asked_to_stop=team.asking(request, ahead=metric_log.calls_ahead()),
            )

    try:
        reached, state = _step(found), task.state
        if team.leads:
            _write_real_images(config, task, directory)
        late = team.told(evaluation_in_training.is_owed(config, task.plan, reached, ranking))
        if late:
            measure(reached, state)
        if not (late and team.asked(request)):
            reached, state = play(reached, state)
        while reached < config.steps and not team.asked(request):
            shown.say(f"stage {task.index + 2} of {len(task.plan)} from step {reached}")
            with resting(reached, state) as whole:
                task = setup.next_stage(config, task, whole)
            reached, state = play(reached, whole)
        save(reached, state)
        checkpoints.wait()
        checkpoints.close()  # while all processes are there
        if pages is not None and reached == config.steps:
            pages.finish()
    except NotFinite as broken:
        if not team.leads:
            raise
        raise _stopped(broken, outputs) from None
    team.part()
    if reached < config.steps:
        raise Interrupted(_farewell(experiment, directory, reached), code=request.code)
    shown.say(f"finished at step {reached}; samples are in {directory.samples}")
    shown.say(_looking(experiment, directory.path))


def _is_among_best(
    watch: evaluation_in_training.Watch,
    task: setup.Task,
    outputs: Outputs,
    state: Any,
    *,
    step: int,
    request: interrupts.Request,
) -> bool:
    """Evaluates and logs the state; returns whether it is among the best so far."""
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
        outputs.shown.say(f"warning: {warning}")
    return among


def _stopped(broken: NotFinite, outputs: Outputs) -> RunStopped:
    """Waits for saved checkpoints and logs the failure; returns the exception to raise."""
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


def _step(found: saved_state.Saved | None) -> int:
    return found.step if found else 0


def _span(config: RunConfig, task: setup.Task, begin: int) -> range:
    return stages.span(
        task.plan, task.index, begin=begin, end=config.steps, per_call=config.steps_per_call
    )


def _compiled(config: RunConfig, task: setup.Task) -> TrainStep:
    return training_loop.compile_call(
        task.gan.step,
        per_call=config.steps_per_call,
        mode=config.parallel,
        mesh=task.mesh,
        implementation=config.convolutions,
        precision=config.precision,
        shard_parameters=config.shard_parameters,
    )


def _compilation(task: setup.Task, *, first: bool) -> str:
    """The words for what happens before the steps of the task."""
    what = "compiling the sampler and the train step" if first else "compiling the train step"
    return what if len(task.plan) == 1 else f"{what} of {_stage(task)}"


def _stage(task: setup.Task) -> str:
    return f"stage {task.index + 1} of {len(task.plan)}"


def _estimator(
    config: RunConfig, task: setup.Task, span: range, *, continued: bool
) -> Callable[[float], str]:
    """The sentence on how long the steps of the span take, given the seconds of one."""
    stage = task.plan[task.index]
    names = _settable(config, continued=continued)
    kind = "steps" if len(task.plan) == 1 else f"steps of {_stage(task)}"
    kind = f"more {kind}" if span.start > stage.start else kind
    steps, examples = span.stop - span.start, stage.rows * config.models

    def words(seconds: float) -> str:
        said = estimate.sentence(seconds, steps=steps, examples=examples, kind=kind)
        if config.evaluate_every:
            said += ", without the evaluations"
        long = seconds * steps > estimate.LONG
        advice = long and estimate.shorter(config, names, shape=task.spec.shape)
        return f"{said}; {advice}" if advice else said

    return words


def _settable(config: RunConfig, *, continued: bool) -> set[str]:
    """Returns the fields that the user can set, or change when the run is continued."""
    names = set(flags.offered(type(config)))
    return names & MAY_CHANGE if continued else names


def _traced(
    config: RunConfig,
    step: TrainStep,
    directory: run_directory.RunDirectory,
    say: Callable[[str], None],
    team: processes.Team,
) -> contextlib.AbstractContextManager[TrainStep]:
    calls = -(-config.profile // config.steps_per_call) if team.leads else 0
    return profiling.traced(step, calls=calls, path=directory.profile, say=say)


def _early(config: RunConfig) -> tuple[int, ...]:
    """The steps of the first pictures, none if there are to be none but at the end."""
    return tuple(step for step in _EARLY if step < config.sample_every)


def _lacks_picture(
    config: RunConfig,
    pictures: training_loop.Event,
    directory: run_directory.RunDirectory,
    step: int,
    span: range,
) -> bool:
    """Whether a run that was stopped at the step, while it drew, owes the picture of it."""
    due = pictures.due(step - config.steps_per_call, step, span.stop)
    return due and not _picture(directory, step).exists()


def _picture(directory: run_directory.RunDirectory, step: int) -> pathlib.Path:
    return directory.samples / f"{step:06d}.png"


def _write_real_images(
    config: RunConfig, task: setup.Task, directory: run_directory.RunDirectory
) -> None:
    """Writes the sheet of training images, once, to compare the pictures with."""
    path = directory.samples / "real.png"
    if path.exists():
        return
    sheet = image_grids.of_real(task.splits.train, seed=config.seed, **_size(config))
    if sheet is not None:
        files.write_whole(path, image_grids.png(sheet))


def _size(config: RunConfig) -> dict[str, Any]:
    """Rows and columns of a picture: fewer rows of each model if there are several."""
    usual = image_grids.ROWS if setup.seeds_of(config).single else 1
    rows, columns = setup.grid_of(config) or (usual, None)
    return {"rows": rows, "columns": columns}


def _drawer(
    experiment: Experiment,
    config: RunConfig,
    task: setup.Task,
    *,
    directory: run_directory.RunDirectory,
    say: Callable[[str], None],
) -> Callable[[int, Any], None]:
    """Returns what writes the picture of a state: the experiment's own, or the one for its data.

    An ensemble has one picture of all its models.
    """

    def picture_of(gan: GAN) -> image_grids.Picture | None:
        if experiment.picture is not None:
            return experiment.picture(gan, task.splits)
        return image_grids.picture_of(
            gan,
            task.splits,
            seed=config.seed,
            batch_size=config.batch_size,
            say=say,
            **_size(config),
        )

    drawing = [picture_of(gan) for gan in task.own or (task.single,)]
    pictures = [picture for picture in drawing if picture is not None]
    if not pictures:
        return lambda step, state: None
    picture = setup.seeds_of(config).picture(*pictures, models=task.own)

    def draw(step: int, state: Any) -> None:
        content = image_grids.png(picture(state))
        files.write_whole(_picture(directory, step), content)

    return draw


def _looking(experiment: Experiment, path: pathlib.Path) -> str:
    """Returns a sentence with the command that shows the run."""
    own = [] if experiment.shipped else ["--experiment", experiment.file]
    return f"look at it: {invocation.called('report', path, *own)}"


def _farewell(experiment: Experiment, directory: run_directory.RunDirectory, reached: int) -> str:
    again = experiment.continuing(directory.path)
    if reached == 0:
        return f"stopped before the first step: nothing to save; this starts again: {again}"
    return f"stopped and saved at step {reached}; this continues: {again}"
