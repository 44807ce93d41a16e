"""The command `jaxgan`: train an experiment, and look at what came of it.

    jaxgan list                       the experiments, a line each
    jaxgan train dcgan [flags]        train one, or continue its run; also your own FILE.py
    jaxgan launch -n 4 -- train ...   train with several processes on this machine
    jaxgan data show DATA [flags]     show what data hold, and draw a contact sheet
    jaxgan data prepare DATA [flags]  decode a set larger than memory ahead of training
    jaxgan sample RUN [flags]         draw images by their seeds, into files
    jaxgan evaluate RUN [flags]       measure a run's samples against real images
    jaxgan diagnose RUN [flags]       say in words what is wrong with a run
    jaxgan nearest RUN [flags]        show the training images nearest to samples
    jaxgan project RUN PHOTO...       find the latents of photographs
    jaxgan report RUN [flags]         write a page that shows a run, or compares several
    jaxgan latents RUN [flags]        draw what the latents mean
    jaxgan directions RUN [flags]     find directions along which the images change
    jaxgan traverse RUN [flags]       go along a direction, an entry or a code
    jaxgan interpolate RUN [flags]    film the way from seed to seed
    jaxgan explore RUN [flags]        open a page with sliders
    jaxgan translate RUN [flags]      send images or captions through a run
    jaxgan export RUN [flags]         write its generator alone, with a model card
    jaxgan extract RUN [flags]        make one model of several a run of its own

`jaxgan COMMAND --help` explains the flags. `jaxgan --completion bash` (zsh, tcsh) prints a script
that completes them.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union

from jaxgan.runs import command_line, errors, experiments

TOOLS = (
    "launch",
    "data",
    "sample",
    "evaluate",
    "diagnose",
    "report",
    "nearest",
    "project",
    "latents",
    "directions",
    "traverse",
    "interpolate",
    "explore",
    "translate",
    "export",
    "extract",
)
COMMANDS = ("list", "train", *TOOLS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command that the arguments name; default: `sys.argv`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return errors.exit_code(lambda: run(given), interrupted="interrupted")


def run(arguments: Sequence[str]) -> int:
    """Returns the exit code of the command.

    Raises:
        RunError: If there is no such command or experiment; the message suggests the nearest name.
    """
    command, rest = (arguments[0], list(arguments[1:])) if arguments else ("--help", [])
    if command in ("-h", "--help"):
        print((__doc__ or "").strip())
        return 0
    if command == "--version":
        return _version()
    if command == "--completion":
        return _completion(rest)
    if command == "list":
        return _list()
    if command == "train":
        return _train(rest)
    if command in TOOLS:
        return importlib.import_module(f"jaxgan.tools.{command}").main(rest)
    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(COMMANDS)}"
    raise errors.RunError(f"there is no command {command!r}; {hint}")


def _list() -> int:
    found = experiments.shipped()
    width = max(map(len, found)) + 2
    for name, line in found.items():
        print(f"{name:{width}s}{line}")
    return 0


def _train(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("jaxgan train EXPERIMENT [flags]; `jaxgan train EXPERIMENT --help` lists flags.\n")
        return _list()
    return command_line.command(experiments.named(arguments[0]).module, arguments[1:])


def _version() -> int:
    import jaxgan

    print(f"jaxgan {jaxgan.__version__}")
    return 0


def _completion(arguments: Sequence[str]) -> int:
    """Prints what completes the whole command in a shell, as tyro makes it."""
    import tyro

    shell = arguments[0] if arguments else "bash"
    shipped = {name: experiments.named(name).config_class for name in experiments.shipped()}
    tools = {name: importlib.import_module(f"jaxgan.tools.{name}").Config for name in TOOLS}
    train = dataclasses.make_dataclass("Train", [("experiment", _any_of(shipped))])
    form = _any_of({"list": dataclasses.make_dataclass("List", []), "train": train, **tools})
    tyro.cli(form, prog="jaxgan", args=["--tyro-print-completion", shell])
    return 0


def _any_of(configs: Mapping[str, type]) -> Any:
    """The type of a subcommand that is one of these configurations, by name."""
    import tyro

    subcommand = functools.partial(tyro.conf.subcommand, prefix_name=False)
    chosen = [Annotated[config, subcommand(name)] for name, config in configs.items()]
    return tyro.conf.OmitSubcommandPrefixes[Union[tuple(chosen)]]  # noqa: UP007 - made at run time


if __name__ == "__main__":
    sys.exit(main())
