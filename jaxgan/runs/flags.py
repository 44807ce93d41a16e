"""Flags of the command line, from the fields of a configuration: groups, help, suggestions.

tyro parses the flags. This module groups the fields under the headings of the classes that declare
them, the experiment's own first. Imports no JAX.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from jaxgan.runs import ranges
from jaxgan.runs.errors import RunError

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "lr": ("learning-rate", "generator-learning-rate", "discriminator-learning-rate"),
    "learning-rate": ("generator-learning-rate", "discriminator-learning-rate"),
    "epochs": ("steps",),
    "iterations": ("steps",),
    "num-steps": ("steps",),
    "kimg": ("images",),
    "hours": ("minutes",),
    "bs": ("batch-size",),
    "z-dim": ("latent-size",),
    "image-size": ("resolution",),
    "img-size": ("resolution",),
    "load-size": ("load",),
    "crop-size": ("crop",),
    "jitter": ("load", "crop"),
    "out": ("workdir",),
    "output": ("workdir",),
    "outdir": ("workdir",),
    "dataset": ("data",),
    "data-path": ("data",),
    "resume": ("workdir",),
    "gpus": ("devices",),
    "num-gpus": ("devices",),
    "fsdp": ("shard-parameters",),
    "amp": ("precision",),
    "bf16": ("precision",),
    "fp16": ("precision",),
    "mixed-precision": ("precision",),
    "gradient-checkpointing": ("remat",),
    "ema": ("ema-half-life",),
    "betas": ("beta1", "beta2"),
    "r1": ("penalty-weight",),
    "nz": ("latent-size",),
    "niter": ("steps",),
}
"""By the name of a flag in other programs, its possible names here."""


def of_two_folders(form: str, source: str | None, target: str | None) -> str | None:
    """Returns the data that --source and --target name, or None if neither is given.

    Args:
        form: The form of the data: 'paired' or 'unpaired'.
        source: Folder of domain a.
        target: Folder of domain b.

    Raises:
        RunError: If one of them is missing.
    """
    from jaxgan.data import two_folders

    folders = {"source": source, "target": target}
    missing = [flag(name) for name, folder in folders.items() if not folder]
    if len(missing) == 1:
        raise RunError(f"two folders name the data, and {missing[0]} is missing: give it, too")
    return None if missing else f"{form}:{two_folders.joined(str(source), str(target))}"


def flag(name: str) -> str:
    """Returns the flag of a field, such as '--batch-size' of 'batch_size'."""
    return f"--{_dashed(name)}"


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def offered(config_class: type) -> list[str]:
    """Returns the names of the fields that can be set by flags."""
    refused = getattr(config_class, "REFUSED", ())
    return [f.name for f in dataclasses.fields(config_class) if f.init and f.name not in refused]


def require_known(
    arguments: Sequence[str], names: Collection[str], *, refused: Collection[str] = ()
) -> None:
    """Checks that every flag among the arguments exists.

    Args:
        arguments: A command line.
        names: The fields that can be set.
        refused: Inherited fields that the experiment does not use.

    Raises:
        RunError: If a flag does not exist; the message suggests the nearest.
    """
    known = [_dashed(name) for name in names]
    for argument in arguments:
        given = _dashed(argument.partition("=")[0].removeprefix("--"))
        if not argument.startswith("--") or given in ("", "help") or given.startswith("tyro-"):
            continue
        if given in known or given.removeprefix("no-") in known:
            continue
        if given in map(_dashed, refused):
            raise RunError(f"--{given} has no effect here; leave it out")
        raise RunError(f"there is no flag --{given}; {_suggestion(given, known)}")


def gathered(arguments: Sequence[str], name: str) -> list[str]:
    """Returns the arguments with all values of a flag behind its first mention.

    A flag of several values takes them at once. Given twice, the last values would replace the
    others.

    Args:
        arguments: A command line.
        name: The field of the flag.

    Examples:
        >>> from jaxgan.runs import flags
        >>> flags.gathered(["--sweep", "a=1,2", "--steps", "9", "--sweep=b=3,4"], "sweep")
        ['--sweep', 'a=1,2', 'b=3,4', '--steps', '9']
    """
    rest: list[str] = []
    values: list[str] = []
    place, taking = None, False
    for argument in arguments:
        if argument == flag(name) or argument.startswith(f"{flag(name)}="):
            place, taking = len(rest) if place is None else place, True
            values += [argument.partition("=")[2]] if "=" in argument else []
        elif taking and not argument.startswith("--"):
            values.append(argument)
        else:
            taking = False
            rest.append(argument)
    return rest if place is None else [*rest[:place], flag(name), *values, *rest[place:]]


def require_one_of(given: Sequence[str], *, what: str) -> None:
    """Checks that at most one of several fields that exclude each other is given.

    Args:
        given: The given fields.
        what: What they set, for the message.

    Raises:
        RunError: If there are several.
    """
    if len(given) > 1:
        listed = " and ".join(map(flag, given))
        raise RunError(f"{listed} are given, and each sets {what}; give one of them")


def require_in_range(config: Any) -> None:
    """Checks that every number of a configuration is within its declared range.

    Raises:
        RunError: If one is not; the message names the flag.
    """
    for name, value, allowed in ranges.violations(config):
        raise RunError(f"{flag(name)} is {value}; expected {allowed}")


def parse(
    default: Any, arguments: Sequence[str], *, title: str, prog: str, description: str
) -> Any:
    """Returns the configuration `default` with the fields that the arguments set.

    Ends the process on `--help`, and on a value of the wrong type.

    Args:
        default: A dataclass whose classes may declare a heading, `GROUP`, for their own fields.
        arguments: The command line.
        title: The heading of the fields of the dataclass itself.
        prog: The command that starts the program, for the help text.
        description: The description of the program, for the help text.
    """
    import tyro

    groups = _groups(type(default), title)
    form = dataclasses.make_dataclass(
        "Flags",
        [
            (group, tyro.conf.OmitArgPrefixes[_form(default, names, group)], dataclasses.field())
            for group, names in groups.items()
        ],
    )
    asked = tyro.cli(form, args=list(arguments), prog=prog, description=description)
    chosen = {
        name: getattr(getattr(asked, group), name)
        for group, names in groups.items()
        for name in names
    }
    return dataclasses.replace(default, **chosen)


def _groups(config_class: type, title: str) -> dict[str, list[str]]:
    """Returns the names of the fields by heading, those of the experiment's own class first."""
    found: dict[str, list[str]] = {title: []}
    for name in offered(config_class):
        found.setdefault(_group(config_class, name) or title, []).append(name)
    return {group: names for group, names in found.items() if names}


def _group(config_class: type, name: str) -> str | None:
    """Returns the heading of the class that first declared the field."""
    declaring = [c for c in config_class.__mro__ if name in inspect.get_annotations(c)]
    return declaring[-1].__dict__.get("GROUP")


def _form(default: Any, names: Sequence[str], group: str) -> type:
    """Returns a dataclass of some fields of the configuration, each with its help text."""
    import tyro

    helps = _helps(type(default))
    hints = typing.get_type_hints(type(default), include_extras=True)
    fields = [
        (
            name,
            Annotated[hints[name], tyro.conf.arg(help=helps.get(name, ""))],
            dataclasses.field(default=getattr(default, name)),
        )
        for name in names
    ]
    return dataclasses.make_dataclass(group.title(), fields, frozen=True)


def _helps(config_class: type) -> dict[str, str]:
    """Returns the docstrings of the fields; a subclass's docstring replaces an inherited one."""
    found: dict[str, str] = {}
    for declaring in reversed(config_class.__mro__[:-1]):
        found.update(_own_helps(declaring))
    return found


@functools.cache  # parses the source: 10 ms for each class, and every heading asks for all of them
def _own_helps(declaring: type) -> Mapping[str, str]:
    """Returns the docstrings of the fields that the class itself declares."""
    import docstring_parser

    return {
        field.arg_name: " ".join(field.description.split())
        for field in docstring_parser.parse_from_object(declaring).params
        if field.description
    }


def _suggestion(flag: str, known: Sequence[str]) -> str:
    near = [name for name in SYNONYMS.get(flag, ()) if name in known]
    near = near or difflib.get_close_matches(flag, known, n=1)
    if near:
        return f"did you mean {' or '.join(f'--{name}' for name in near)}?"
    return "--help lists all flags"
