"""The command line of what looks at a finished run: one way to ask, one way to refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from jaxgan.errors import RunError

Config = TypeVar("Config")


def answer(
    config: type[Config],
    act: Callable[[Config], object],
    *,
    module: str,
    description: str | None,
    arguments: Sequence[str] | None = None,
) -> int:
    """The exit code of `act` on the `config` that the arguments give (default: the command line's).

    A RunError or ValueError of `act` is one sentence on stderr and the exit code 2; what
    `python -m MODULE --help` says is the description and the docstrings of the fields.
    """
    asked = tyro.cli(config, args=arguments, prog=f"python -m {module}", description=description)
    try:
        act(asked)
    except (RunError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


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
            module=module,
            description=description,
            arguments=arguments,
        )

    return main
