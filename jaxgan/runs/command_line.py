"""The command line of every experiment. Imports no JAX, so that `--help` is instant.

An experiment is a module with

* a docstring: command, wall time, expected numbers,
* a frozen dataclass `Config(RunConfig)`,
* a function `build(config, spec, *, axis_name=None) -> GAN`,
* the line `command_line.main(__name__)` under `__main__`.

It may also have

* `PRESETS`: by preset, the fields of `Config` that it replaces,
* `data(config)`: its own data, `data.Splits`, instead of those of `--data`,
* `picture(gan, splits)`: its own sample picture, see `image_grids.picture_of`,
* `plan(config, spec)`: the stages of its run (`stages.Stage`), if `build` makes only the last one,
* `begin(state, train)`: the initial state, computed from the one of `gan.init` and the training
  data,
* a further argument `saved` of `build`, or of `plan`: whether the state comes from a checkpoint, so
  that weights which only a new run reads from a file need not be there,
* `ALTERNATIVES`: by kind of finding of `jaxgan diagnose`, remedies that suggest what to train
  instead.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import pathlib
import sys
from collections.abc import Sequence
from types import ModuleType

from jaxgan.runs import errors, experiments, flags, run_directory
from jaxgan.runs.config import LENGTHS, OF_ONE_COMMAND, RunConfig


def main(name: str) -> None:
    """Runs the experiment in the module `name` (pass `__name__`) with `sys.argv`, and exits."""
    sys.exit(command(sys.modules[name], sys.argv[1:]))


def command(module: ModuleType, arguments: Sequence[str]) -> int:
    """Runs an experiment and returns its exit code; an error is one sentence on stderr.

    Args:
        module: The module of the experiment.
        arguments: The command line after the experiment's name.
    """
    # Orbax logs its exceptions with a traceback before the run can report them in one sentence.
    for logger in ("absl", "asyncio"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)

    def act() -> None:
        train(module, parse(experiments.of(module), arguments))

    return errors.exit_code(act, interrupted="interrupted before the first step: nothing to save")


def train(module: ModuleType, config: RunConfig) -> pathlib.Path:
    """Trains the experiment's model, or resumes its run; returns the run directory.

    Args:
        module: The module of the experiment.
        config: The configuration of the run.

    Raises:
        RunError: If the run cannot be started or resumed as asked, or had to stop.
        Interrupted: If the process was asked to stop.
    """
    from jaxgan.runs import training_run  # imports JAX

    return training_run.run(experiments.of(module), config)


def parse(experiment: experiments.Experiment, arguments: Sequence[str]) -> RunConfig:
    """Returns the configuration that the arguments ask for, as a `Config` of the experiment.

    Fields that they do not set come from `defaults`. Ends the process on `--help`, and on a value
    of the wrong type.

    Args:
        experiment: The experiment to configure.
        arguments: The command line after the experiment's name.

    Raises:
        RunError: If there is no such flag or preset (the message suggests the nearest), or several
            flags give the length of the run, or the data.
    """
    offered = flags.offered(experiment.config_class)
    flags.require_known(arguments, offered, refused=experiment.config_class.REFUSED)
    ways = experiment.config_class.DATA
    named = [name for name in ways if _given(arguments, flags.flag(name)) is not None]
    flags.require_one_of(named, what="the data")
    arguments = flags.gathered(arguments, "sweep")
    default = _of_one_length(defaults(experiment, arguments), arguments)
    return flags.parse(
        default,
        arguments,
        title=experiment.title,
        prog=experiment.command_line,
        description=experiment.description,
    )


def defaults(experiment: experiments.Experiment, arguments: Sequence[str]) -> RunConfig:
    """Returns the configuration whose fields the flags replace.

    It is that of the run in `--workdir`, if there is one that `--overwrite` does not delete.
    Otherwise it is the preset's, with the network settings of the run given by `--init-from`.

    Args:
        experiment: The experiment to configure.
        arguments: The command line after the experiment's name.

    Raises:
        RunError: If a run or preset cannot be read, or belongs to another experiment.
    """
    workdir = _given(arguments, "--workdir")
    if workdir is not None and "--overwrite" not in arguments:
        record = run_directory.read_record(pathlib.Path(workdir))
        if record is not None:
            experiment.check_made(record, workdir)
            recorded = experiment.config_from(record["config"], source=workdir)
            return dataclasses.replace(recorded, workdir=workdir, **OF_ONE_COMMAND)
    preset = experiment.preset(_given(arguments, "--preset"))
    source = _given(arguments, "--init-from") or _given(arguments, "--init_from")
    record = None if source is None else run_directory.read_record(pathlib.Path(source))
    return preset if record is None else experiment.with_networks_of(record, preset)


def _of_one_length(config: RunConfig, arguments: Sequence[str]) -> RunConfig:
    """Returns the configuration without the length that a flag among the arguments replaces.

    Raises:
        RunError: If several flags give the length of the run.
    """
    given = [name for name in LENGTHS if _given(arguments, flags.flag(name)) is not None]
    flags.require_one_of(given, what="the length of the run")
    return dataclasses.replace(config, minutes=None, images=None) if given else config


def _given(arguments: Sequence[str], flag: str) -> str | None:
    """Returns the last value that the arguments give to the flag, or None."""
    value = None
    for argument, following in itertools.zip_longest(arguments, arguments[1:]):
        if argument == flag:
            value = following
        elif argument.startswith(flag + "="):
            value = argument.partition("=")[2]
    return value
