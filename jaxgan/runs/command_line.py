"""The command line of every experiment and its one runner. Imports no JAX: `--help` is instant.

An experiment is a module with a docstring (command, wall time, expected numbers), a frozen
dataclass `Config(Common)`, a function `build(config, spec, *, axis_name=None) -> GAN`, and the line
`command_line.main(__name__)` under `__main__`. It may have `PRESETS`, a dict of fields to replace
by preset, `picture(gan, splits)`, a picture of its own (see `image_grids.picture_of`),
`plan(config, spec)`, the stages of its run (`stages.Stage`) where `build`'s is only the last,
`begin(state, train)`, the state that a run begins with where it depends on the training data: from
the one of `gan.init`, and `ALTERNATIVES`, what else to train where `jaxgan diagnose` finds
something wrong: remedies by kind of finding.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import pathlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from jaxgan.runs import errors, experiments, flags, run_directory
from jaxgan.runs.config import RunConfig

if TYPE_CHECKING:
    pass


def main(name: str) -> None:
    """Runs the experiment in the module `name` (pass `__name__`) by the command line and exits."""
    sys.exit(command(sys.modules[name], sys.argv[1:]))


def command(module: ModuleType, arguments: Sequence[str]) -> int:
    """The exit code of a run with these arguments; what went wrong is one sentence on stderr."""
    # Orbax logs what it raises, with a traceback, before the run can say it in a sentence.
    for logger in ("absl", "asyncio"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)

    def act() -> None:
        train(module, parse(experiments.of(module), arguments))

    return errors.exit_code(act, interrupted="interrupted before the first step: nothing to save")


def train(module: ModuleType, config: RunConfig) -> pathlib.Path:
    """Trains the experiment's model, or continues its run; returns the run directory.

    Raises `RunError` where it cannot start or go on as asked, and `Interrupted` where it was told
    to stop.
    """
    from jaxgan.runs import session  # imports JAX

    return session.run(experiments.of(module), config)


def parse(experiment: experiments.Experiment, arguments: Sequence[str]) -> RunConfig:
    """Returns the configuration that the arguments ask for, as a `Config` of the experiment.

    What they leave out is taken from the run in the directory, if it holds one that is not to be
    overwritten, and else from the preset. Ends the process on a value of the wrong type.

    Args:
        experiment: The experiment to configure.
        arguments: The command line after the experiment's name.

    Raises:
        RunError: If there is no such flag or preset; the message suggests the nearest.
    """
    offered = flags.offered(experiment.config_class)
    flags.require_known(arguments, offered, refused=experiment.config_class.REFUSED)
    default = defaults(experiment, arguments)
    return flags.parse(
        default,
        arguments,
        title=experiment.title,
        prog=experiment.command_line,
        description=experiment.description,
    )


def defaults(experiment: experiments.Experiment, arguments: Sequence[str]) -> RunConfig:
    """What the flags replace: the configuration of the run to continue, or the preset's, whose
    networks are those of the run to start from, if there is one.
    """
    workdir = _given(arguments, "--workdir")
    if workdir is not None and "--overwrite" not in arguments:
        record = run_directory.read_record(pathlib.Path(workdir))
        if record is not None:
            experiment.check_made(record, workdir)
            recorded = experiment.config_from(record["config"], source=workdir)
            return dataclasses.replace(recorded, workdir=workdir, overwrite=False, profile=0)
    preset = experiment.preset(_given(arguments, "--preset"))
    source = _given(arguments, "--init-from") or _given(arguments, "--init_from")
    record = None if source is None else run_directory.read_record(pathlib.Path(source))
    return preset if record is None else experiment.with_networks_of(record, preset)


def _given(arguments: Sequence[str], flag: str) -> str | None:
    """The value that the arguments give to the flag, the last one if there are several."""
    value = None
    for argument, following in itertools.zip_longest(arguments, arguments[1:]):
        if argument == flag:
            value = following
        elif argument.startswith(flag + "="):
            value = argument.partition("=")[2]
    return value
