"""The command line of what looks at a finished run: one way to ask, one way to refuse."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import tyro

from jaxgan import files
from jaxgan.runs import errors, interrupts, progress
from jaxgan.runs.errors import RunError

if TYPE_CHECKING:
    from jaxgan.runs.trained_model import TrainedModel

Config = TypeVar("Config")

_INTERRUPTED = "interrupted; what was written before stays"
SEEDS = (0, 2**63 - 1)
"""The seeds that JAX makes keys of."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """Which of the models that runs hold."""

    checkpoint: str = "latest"
    """latest, best (by what the run measured while it trained) or a number of steps."""
    model_seed: int | None = None
    """The seed of the model, where the run holds several."""
    experiment: pathlib.Path | None = None
    """The file of your own experiment that made the run; its code is run."""

    def load_from(self, run: pathlib.Path) -> TrainedModel:
        """The chosen model of the run directory; RunError, which names the flags, where there is
        none such.
        """
        from jaxgan.runs import trained_model  # imports JAX, which --help must not

        return trained_model.load(
            run,
            checkpoint=self.checkpoint,
            seed=self.model_seed,
            experiment=self.experiment,
            seed_flag="--model-seed ",
        )


@dataclasses.dataclass(frozen=True)
class OfRun(Choice):
    """One model of one run."""

    run: Annotated[pathlib.Path, tyro.conf.Positional]
    """The run directory."""

    def load(self) -> TrainedModel:
        """What `load_from` gives of the run."""
        return self.load_from(self.run)


def require_ranges(config: object, ranges: Mapping[str, tuple[int, int]]) -> None:
    """RunError, which names the flag, on a number of the configuration that is out of its range,
    both ends of which are in it.
    """
    for name, (least, most) in ranges.items():
        value, flag = getattr(config, name), f"--{name.replace('_', '-')}"
        if value < least:
            raise RunError(f"{flag} is {value}; expected {least} or more")
        if value > most:
            raise RunError(f"{flag} is {value}; expected {most} or less")


def answer(
    config: type[Config],
    act: Callable[[Config], object],
    *,
    program: str,
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """The exit code of `act` on the `config` that the arguments give (default: the command line's).

    A RunError, ValueError or OSError of `act` is one sentence on stderr and the exit code 2, and so
    is a request to stop, with the exit code of its signal; what `PROGRAM --help` says is
    the description and the docstrings of the fields.
    """
    asked = tyro.cli(config, args=arguments, prog=program, description=description)
    from jaxgan.kernels import threefry  # imports JAX, which --help must not

    threefry.install()

    def told() -> None:
        try:
            with interrupts.requests() as request, request.droppable(_INTERRUPTED):
                act(asked)
        except BrokenPipeError:  # who reads has read enough
            progress.let_go(sys.stdout)
        except ValueError as error:
            raise RunError(str(error)) from error
        except OSError as error:
            raise RunError(_of_file(error)) from error

    return errors.exit_code(told, interrupted=_INTERRUPTED)


def _of_file(error: OSError) -> str:
    """What the system refused, and of which file."""
    said = files.reason(error)
    return f"{files.printable(str(error.filename))}: {said}" if error.filename else said


def printing(
    config: type[Config],
    report: Callable[[Config], str],
    *,
    module: str,
    description: str | None,
) -> Callable[..., int]:
    """The `main(arguments=None)` of a module that prints a report: what `answer` gives."""

    def main(arguments: Sequence[str] | None = None) -> int:
        return answer(
            config,
            lambda asked: print(report(asked)),
            program=f"python -m {module}",
            description=description,
            arguments=arguments,
        )

    return main
