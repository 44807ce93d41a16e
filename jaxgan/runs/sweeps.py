"""Settings that the models of one run do not share, and the names of such models.

`--sweep generator_learning_rate=1e-4,2e-4 beta1=0,0.5` trains four models in one program. Imports
no JAX, so that `--help` is instant.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from jaxgan.runs import flags
from jaxgan.runs.errors import RunError

Columns = Mapping[str, tuple[float, ...]]
"""By name of a setting, the value of each model [S]."""


def parsed(
    texts: Sequence[str], config_class: type, every_run: type
) -> dict[str, tuple[float, ...]]:
    """Returns the values of each swept setting.

    Args:
        texts: What `--sweep` is given, each NAME=VALUE,VALUE,...
        config_class: The class of the configuration.
        every_run: The class with the settings of every run, which all models share.

    Raises:
        RunError: If a text is of another form, or no setting of numbers, or names one twice.
    """
    found: dict[str, tuple[float, ...]] = {}
    for text in texts:
        given, equals, values = text.partition("=")
        name = given.strip().lstrip("-").replace("-", "_")
        if not equals or not values.strip():
            raise RunError(
                f"--sweep is {text!r}; expected a setting and its values, such as "
                "generator_learning_rate=1e-4,2e-4"
            )
        if name in found:
            raise RunError(f"--sweep names {name} twice; give all of its values at once")
        kind = _kind(name, config_class, every_run)
        found[name] = tuple(_number(value, kind, name) for value in values.split(","))
        if len(set(found[name])) < max(2, len(found[name])):
            raise RunError(
                f"--sweep {text}: a sweep takes two or more values of a setting, each once; a "
                f"single one is a flag, --{name.replace('_', '-')}"
            )
    return found


def columns(values: Mapping[str, Sequence[float]], seeds: int) -> dict[str, tuple[float, ...]]:
    """Returns the value of each model: every setting with every other, each at every seed.

    Args:
        values: The values of each setting.
        seeds: The number of seeds.
    """
    if not values:
        return {}
    rows = [row for row in itertools.product(*values.values()) for _ in range(seeds)]
    return dict(zip(values, zip(*rows, strict=True), strict=True))


def count(config: Mapping[str, Any]) -> int:
    """Returns the number of models of a run.

    Args:
        config: Its recorded configuration, of any version of the library.
    """
    found = config.get("seeds", 1)
    for text in config.get("sweep", ()):
        found *= text.count(",") + 1
    return found


def labels(seeds: Sequence[int], settings: Mapping[str, Sequence[float]]) -> list[str]:
    """Returns what names each model: its settings, and its seed if that distinguishes it.

    Args:
        seeds: The seed of each model [S].
        settings: By name, the value of each model [S]; empty if they differ in their seeds alone.

    Examples:
        >>> from jaxgan.runs import sweeps
        >>> sweeps.labels([3, 4], {})
        ['seed 3', 'seed 4']
        >>> sweeps.labels([0, 0], {"beta1": [0.0, 0.5]})
        ['beta1=0.0', 'beta1=0.5']
        >>> sweeps.labels([0, 1], {"beta1": [0.0, 0.0]})
        ['beta1=0.0, seed 0', 'beta1=0.0, seed 1']
    """
    by_seed = not settings or len(set(seeds)) > 1
    return [
        ", ".join(
            [
                *(f"{name}={values[index]}" for name, values in settings.items()),
                *([f"seed {seed}"] if by_seed else []),
            ]
        )
        for index, seed in enumerate(seeds)
    ]


MOST_SETTINGS = 16
"""The largest number of settings of a sweep that are shown one by one."""


def by_setting(settings: Mapping[str, Sequence[float]]) -> dict[str, list[int]]:
    """Returns the indices of the models of each setting, its seeds together, by its label.

    Args:
        settings: By name, the value of each model [S], for at least one setting.

    Examples:
        >>> from jaxgan.runs import sweeps
        >>> sweeps.by_setting({"beta1": [0.0, 0.0, 0.5]})
        {'beta1=0.0': [0, 1], 'beta1=0.5': [2]}
    """
    count = len(next(iter(settings.values())))
    found: dict[str, list[int]] = {}
    for index, label in enumerate(labels([0] * count, settings)):
        found.setdefault(label, []).append(index)
    return found


def tag(label: str) -> str:
    """Returns a label as services that keep logs take it in the name of a metric."""
    return label.replace(", ", "/").replace(" ", "_").replace("=", "_")


def named(text: str | int, seeds: Sequence[int], settings: Mapping[str, Sequence[float]]) -> int:
    """Returns the index of the model that a user names.

    Args:
        text: Its number from 0 on, or what distinguishes it, such as 'beta1=0.5' or
            'beta1=0.5,seed=3'.
        seeds: The seed of each model [S].
        settings: By name, the value of each model [S].

    Raises:
        ValueError: If it names none of them, or several.
    """
    if isinstance(text, int) or text.strip().isdecimal():
        index = int(text)
        if index >= len(seeds) or index < 0:
            raise ValueError(f"there is no member {index}; expected 0 to {len(seeds) - 1}")
        return index
    asked: dict[str, float] = {}
    for part in text.replace("seed ", "seed=").split(","):
        name, _, value = part.partition("=")
        try:
            asked[name.strip().lstrip("-").replace("-", "_")] = float(value)
        except ValueError:
            asked = {}
            break
    known = {**settings, "seed": seeds}
    found = [
        index
        for index in range(len(seeds))
        if asked and all(n in known and known[n][index] == value for n, value in asked.items())
    ]
    if len(found) != 1:
        how = f"{len(found)} members are" if found else "there is no member"
        raise ValueError(f"{how} {text}; say one of: {listed(labels(seeds, settings))}")
    return found[0]


def listed(names: Sequence[str], *, most: int = 12) -> str:
    """Returns names with the numbers of their models, the first ones of many.

    Args:
        names: The names, as `labels` gives them.
        most: The largest number of names.
    """
    shown = [f"{index} ({name})" for index, name in enumerate(names[:most])]
    return ", ".join([*shown, *(["..."] if len(names) > most else [])])


# --- the settings that can be swept ---------------------------------------------------------------

_BY_OTHER_FLAGS = {"seed": "--seeds N", "seeds": "--seeds N"}


def sweepable(config_class: type, every_run: type) -> list[str]:
    """Returns the settings of an experiment that are numbers, and so might be swept.

    Those that every run has are of the data, of the length or of the files: all models share them.

    Args:
        config_class: The class of the configuration.
        every_run: The class with the settings of every run.
    """
    own = _own(config_class, every_run)
    return [name for name in own if _numbers_of(name, config_class)]


def is_continuous(name: str, config_class: type) -> bool:
    """Returns whether the numbers of a setting need not be whole."""
    return float in _numbers_of(name, config_class)


def _own(config_class: type, every_run: type) -> list[str]:
    shared = set(flags.offered(every_run))
    return [name for name in flags.offered(config_class) if name not in shared]


def _numbers_of(name: str, config_class: type) -> tuple[type, ...]:
    """Returns int and float, as far as a field may be one of them; nothing for text or a tuple."""
    found = _plain_types(_hints(config_class)[name])
    others = found - {int, float, type(None)}
    return () if others else tuple(kind for kind in (int, float) if kind in found)


@functools.cache
def _hints(config_class: type) -> dict[str, Any]:
    return typing.get_type_hints(config_class)


def _plain_types(hint: Any) -> set[Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _plain_types(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return {kind for part in typing.get_args(hint) for kind in _plain_types(part)}
    return {hint}


def _kind(name: str, config_class: type, every_run: type) -> type:
    """Returns the type of a setting's numbers. Raises RunError if it cannot be swept."""
    if name in _BY_OTHER_FLAGS:
        raise RunError(f"--sweep {name}: {_BY_OTHER_FLAGS[name]} trains several seeds")
    every, own = flags.offered(config_class), _own(config_class, every_run)
    if name not in every:
        near = difflib.get_close_matches(name, own, n=1)
        hint = f"did you mean {near[0]}?" if near else "--help lists all flags"
        raise RunError(f"--sweep {name}: there is no such setting; {hint}")
    if name not in own or not _numbers_of(name, config_class):
        raise RunError(different(name))
    kinds = _numbers_of(name, config_class)
    return float if float in kinds else int


def different(name: str, works: Collection[str] | None = None) -> str:
    """Returns the sentence that refuses a setting whose values need a program each.

    Args:
        name: The setting.
        works: The settings that can be swept in this run, if they are known.
    """
    return (
        f"--sweep {name}: the models of a sweep share their data, their shapes and their program, "
        f"and other values of {name} change those: start a run for each{_taken(works)}"
    )


def unused(name: str, works: Collection[str]) -> str:
    """Returns the sentence that refuses a setting on which training does not depend.

    Args:
        name: The setting.
        works: The settings that can be swept in this run.
    """
    return f"--sweep {name}: no number of this run's training depends on it{_taken(works)}"


def _taken(works: Collection[str] | None) -> str:
    return "" if works is None else f"; here --sweep takes {', '.join(works) or 'no setting'}"


def _number(text: str, kind: type, name: str) -> float:
    try:
        return kind(text)
    except ValueError:
        words = "a whole number" if kind is int else "a number"
        raise RunError(f"--sweep {name}: {text.strip()!r} is no value; expected {words}") from None
