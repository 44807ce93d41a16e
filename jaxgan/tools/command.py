"""The command line of the tools: common flags, ranges of numbers, and errors as one sentence."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tyro

from jaxgan import files
from jaxgan.runs import errors, flags, interrupts, invocation, progress
from jaxgan.runs.errors import RunError

if TYPE_CHECKING:
    from jaxgan import data
    from jaxgan.data import Splits
    from jaxgan.runs.seeds import Seeds
    from jaxgan.runs.trained_model import TrainedModel

Config = TypeVar("Config")

_INTERRUPTED = "interrupted; what was written before stays"
SEEDS = (0, 2**63 - 1)
"""Smallest and largest seed that JAX accepts."""

CLASS = tyro.conf.arg(aliases=("--class",))
"""The annotation of `label`: its flag has the name that other libraries give it, too."""

# What precedes a model's seed and its number or settings on the command line, for messages.
_SEED_FLAG = "--model-seed "
_MEMBER_FLAG = "--member "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """The model of a run that a command uses."""

    checkpoint: str = "latest"
    """latest, best (by the metric evaluated in training) or a number of steps."""
    model_seed: int | None = None
    """Seed of the model, if the run trained several."""
    member: str | None = None
    """The model instead, by its number from 0 or its settings, such as beta1=0.5."""
    experiment: pathlib.Path | None = None
    """File of your own experiment that made the run; its code is executed."""

    def load_from(self, run: pathlib.Path) -> TrainedModel:
        """Loads the chosen model of a run directory.

        Raises:
            RunError: If there is no such model; the message names the flags.
        """
        from jaxgan.runs import trained_model  # imports JAX, which would slow down --help

        return trained_model.load(
            run,
            checkpoint=self.checkpoint,
            seed=self.model_seed,
            member=self.member,
            experiment=self.experiment,
            seed_flag=_SEED_FLAG,
            member_flag=_MEMBER_FLAG,
        )


@dataclasses.dataclass(frozen=True)
class OfRun(Choice):
    """The run and the model that a command uses."""

    run: Annotated[pathlib.Path, tyro.conf.Positional]
    """The run directory."""

    def load(self) -> TrainedModel:
        """Loads the chosen model of the run; see `load_from`."""
        return self.load_from(self.run)

    def again(self, verb: str, *words: str | pathlib.Path) -> str:
        """Returns another command for the same model, which the user may type next.

        Args:
            verb: The name of the command, such as 'sample'.
            words: Its arguments after the run.
        """
        usual = Choice()
        for field in dataclasses.fields(Choice):
            value = getattr(self, field.name)
            if value != getattr(usual, field.name):
                words = (*words, flags.flag(field.name), str(value))
        return invocation.called(verb, self.run, *words)

    def suggest(self, say: Callable[[str], None], why: str, verb: str, *words: str) -> None:
        """Says what the user may do next with the same model, if it is that of a run.

        Args:
            say: Receives the sentence.
            why: What the command is good for.
            verb: The name of the command.
            words: Its arguments after the run.
        """
        from jaxgan.runs import exported  # imports JAX, which would slow down --help

        if exported.folder_of(self.run) is None:
            say(f"{why} {self.again(verb, *words)}")

    def suggest_export(self, say: Callable[[str], None]) -> None:
        """Says how the generator is exported into the run directory; see `suggest`."""
        self.suggest(say, "take the generator along:", "export", "--out", f"{self.run}/export")


@dataclasses.dataclass(frozen=True)
class OfRunAndData(OfRun):
    """The run and the model that a command uses, and the place of their data."""

    data: str | None = None
    """New location of the run's data, in the syntax of the training flag --data (default: as
    recorded).
    """

    def splits(self, model: TrainedModel) -> Splits:
        """Loads the data that the model was trained on; see `data_of`."""
        return data_of(self.run, model, self.data)


def index_of_model(
    seeds: Seeds, model_seed: int | None, member: str | None, *, path: pathlib.Path
) -> int:
    """Returns the index of the model that --model-seed or --member names.

    Args:
        seeds: The models of the run.
        model_seed: Value of --model-seed, or None.
        member: Value of --member, or None.
        path: The run directory, for messages.

    Raises:
        RunError: If there is no such model; the message names the flags.
    """
    return seeds.choose(model_seed, member, path=path, flag=_SEED_FLAG, member_flag=_MEMBER_FLAG)


def data_of(run: pathlib.Path, model: TrainedModel, place: str | None) -> data.Splits:
    """Loads the data that the model was trained on.

    Args:
        run: The run directory.
        model: Its model.
        place: New location of the data, in the syntax of the training flag --data; None for the
            recorded one.

    Raises:
        RunError: If the data cannot be loaded, or are no longer those of the run.
    """
    from jaxgan.runs import trained_model  # imports JAX, which would slow down --help

    recorded = model.config
    if place is not None:
        recorded = dataclasses.replace(recorded, data=place)
    return trained_model.data_of(run, recorded)


def require_free(paths: Iterable[pathlib.Path], *, overwrite: bool) -> None:
    """Checks that no file exists that is to be written.

    Args:
        paths: The files to write.
        overwrite: Whether they may exist.

    Raises:
        RunError: If one exists and may not, or is a folder.
    """
    for path in paths:
        if files.is_folder(path):
            raise RunError(f"{files.printable(path)} is a folder; choose another --out")
        if files.exists(path) and not overwrite:
            raise RunError(
                f"{files.printable(path)} exists; choose another --out, or give --overwrite"
            )


def film_form(out: pathlib.Path) -> str:
    """Returns the format of the film that --out names.

    Raises:
        RunError: If it names none, or its encoder is not installed.
    """
    from jaxgan.plotting import films

    try:
        return films.form_of(out)
    except ValueError as error:
        raise RunError(f"--out is {files.printable(out)}; {error}") from error


def write(path: pathlib.Path, content: bytes) -> None:
    """Writes the file atomically, and makes its folder if there is none.

    Args:
        path: The file.
        content: What it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, content)


def write_image(path: pathlib.Path, content: bytes) -> None:
    """Writes the image file as `write` does, and notes that it is made: no data show it.

    Args:
        path: The file.
        content: What it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files.mark_made(path)
    files.write_whole(path, content)


def write_arrays(path: pathlib.Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays as an .npz file, atomically, and makes its folder if there is none.

    Args:
        path: The file.
        arrays: The arrays by name.
    """
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write(path, buffer.getvalue())


def require_ranges(config: object, ranges: Mapping[str, tuple[int, int]]) -> None:
    """Checks that the numbers of a configuration are in their ranges.

    Args:
        config: The configuration.
        ranges: The smallest and the largest allowed value, by field.

    Raises:
        RunError: If a number is out of range; the message names the flag.
    """
    for name, (least, most) in ranges.items():
        value = getattr(config, name)
        if value < least:
            raise RunError(f"{flags.flag(name)} is {value}; expected {least} or more")
        if value > most:
            raise RunError(f"{flags.flag(name)} is {value}; expected {most} or less")


def answer(
    config: type[Config],
    act: Callable[[Config], object],
    *,
    program: str,
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parses the arguments, runs the command and returns its exit code.

    A RunError, ValueError or OSError becomes one sentence on stderr and the exit code 2. A signal
    to stop becomes one sentence and the exit code of that signal.

    Args:
        config: Class of the configuration; the docstrings of its fields are the help texts.
        act: The command.
        program: Name of the program in the help.
        description: Description of the program in the help.
        arguments: The arguments. Default: those of the command line.
    """
    asked = tyro.cli(config, args=arguments, prog=program, description=description)
    from jaxgan.kernels import threefry  # imports JAX, which would slow down --help

    threefry.install()

    def told() -> None:
        try:
            with interrupts.requests() as request, request.droppable(_INTERRUPTED):
                act(asked)
        except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
            progress.let_go(sys.stdout)
        except ValueError as error:
            raise RunError(str(error)) from error
        except OSError as error:
            raise RunError(_of_file(error)) from error

    return errors.exit_code(told, interrupted=_INTERRUPTED)


def _of_file(error: OSError) -> str:
    """Returns the system's reason, and the file if it names one."""
    said = files.reason(error)
    return f"{files.printable(str(error.filename))}: {said}" if error.filename else said


def printing(
    config: type[Config],
    report: Callable[[Config], str],
    *,
    module: str,
    description: str | None,
) -> Callable[..., int]:
    """Returns the `main(arguments=None)` of a module that prints a report.

    Args:
        config: Class of the configuration.
        report: `report(config) -> text`.
        module: Name of the module, for the help.
        description: Description of the module in the help.

    Returns:
        A function of the arguments to the exit code, as `answer` returns it.
    """

    def main(arguments: Sequence[str] | None = None) -> int:
        return answer(
            config,
            lambda asked: print(report(asked)),
            program=f"python -m {module}",
            description=description,
            arguments=arguments,
        )

    return main
