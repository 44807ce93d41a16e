"""Experiments: the shipped ones, found by name, and the user's own, found by file.

A run directory may come from anybody. So a record alone can load a shipped experiment, but never a
user's own: that is code, and the user must name it. Imports no JAX.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import operator
import os
import pathlib
import pkgutil
import shlex
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from jaxgan.runs import invocation
from jaxgan.runs.errors import RunError

if TYPE_CHECKING:
    from jaxgan.games.stages import Stage

SHIPPED = "jaxgan.experiments"
"""The package of the shipped experiments in an installed wheel."""

_PACKAGE = pathlib.Path(__file__).resolve().parents[1]

Named: TypeAlias = ModuleType | str | os.PathLike[str]
"""An experiment as the user names it: a module, its dotted name, or its file."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment, and how a run records it.

    Attributes:
        module: The module with `Config` and `build`.
        name: The dotted name that imports it, or None for a script.
        file: The file it was read from.
        shipped: Whether it is part of jaxgan, so that `name` finds it in any installation.
    """

    module: ModuleType
    name: str | None
    file: str
    shipped: bool = False

    @property
    def config_class(self) -> type[Any]:
        """Returns the class of the configuration, `Config`."""
        return self.module.Config

    @property
    def build(self) -> Callable[..., Any]:
        """Returns the function `build(config, spec, *, axis_name=None)` that builds the model."""
        return self._importing(self.module.build)

    @property
    def data(self) -> Callable[[Any], Any] | None:
        """Returns the experiment's own `data(config) -> Splits`, or None for those of `--data`."""
        own = own_data(self.module)
        return None if own is None else self._importing(own)

    def _importing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function, which can import modules next to an experiment named by file."""
        if not _named_by_file(self.module):
            return function

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            with _importable(pathlib.Path(self.file).parent):
                return function(*arguments, **options)

        return call

    def plan(self, config: Any, spec: Any, *, saved: bool = False) -> tuple[Stage, ...]:
        """Returns the stages of a run, from the configuration's first stage on.

        They are those of the experiment's own `plan(config, spec)`, or one stage with its model. Of
        several models that differ in settings they build the first; `with_numbers` builds others.

        Args:
            config: The configuration of the run.
            spec: The shapes and classes of the data.
            saved: Whether the stages' states are those of checkpoints, which hold all weights.
                Weights that only a new run needs, of an extra or a file, are then not read.

        Raises:
            ValueError: If the stages do not follow one another, or there is no such first stage.
        """
        config = config.of_model(0) if config.sweep else config
        plan = self._plan(config, spec, saved=saved)

        def with_numbers(index: int, values: Mapping[str, Any]) -> Callable[..., Any]:
            changed = self._plan(dataclasses.replace(config, **values), spec, saved=saved)
            for before, now in zip(plan, changed, strict=True):
                for size in (now.start, now.rows):
                    operator.index(size)  # refuses numbers that differ between models
                if (before.start, before.rows) != (now.start, now.rows):
                    raise ValueError("the stages of the models begin at different steps")
            return changed[index].build

        return tuple(
            stage._replace(with_numbers=functools.partial(with_numbers, index))
            for index, stage in enumerate(plan)
        )

    def _plan(self, config: Any, spec: Any, *, saved: bool) -> tuple[Stage, ...]:
        """Returns the stages of a run of models of one configuration."""
        from jaxgan.games import stages  # imports JAX

        planned = getattr(self.module, "plan", None)
        if planned is not None:
            plan = _told(self._importing(planned), saved=saved)(config, spec)
            plan = [stage._replace(build=self._importing(stage.build)) for stage in plan]
            plan = stages.check(plan, per_call=config.steps_per_call)
        else:
            build = functools.partial(_told(self.build, saved=saved), config, spec)
            plan = (stages.Stage(0, config.rows_per_step, build),)
        plan = stages.beginning_in(plan, config.skipped_stages + 1)
        return _frozen(plan, config.freeze) if config.freeze else plan

    def begin(self, state: Any, train: Any) -> Any:
        """Returns the initial state: from the experiment's own `begin`, or else `state` itself.

        Args:
            state: A freshly initialized state.
            train: The training data.
        """
        own = getattr(self.module, "begin", None)
        return state if own is None else self._importing(own)(state, train)

    @property
    def picture(self) -> Callable[..., Any] | None:
        """Returns the experiment's own sample picture, or None for the usual one."""
        own = getattr(self.module, "picture", None)
        return None if own is None else self._importing(own)

    @property
    def presets(self) -> Mapping[str, Mapping[str, Any]]:
        """Returns, by preset, the fields that it replaces; 'quick' is always there."""
        return {"quick": {}, **getattr(self.module, "PRESETS", {})}

    @property
    def alternatives(self) -> Mapping[str, Sequence[Any]]:
        """Returns the alternatives that the experiment recommends, by kind of finding.

        Their values are remedies of `jaxgan diagnose`.
        """
        return getattr(self.module, "ALTERNATIVES", {})

    @property
    def title(self) -> str:
        """Returns the short name, which is also part of the names of run directories."""
        return self.name.rpartition(".")[2] if self.name else pathlib.Path(self.file).stem

    @property
    def command_line(self) -> str:
        """Returns the command that starts the experiment, without flags."""
        return self._starting("jaxgan", "python")

    def continuing(self, path: str | os.PathLike[str]) -> str:
        """Returns the command that continues a run with this Python.

        Args:
            path: The run directory.
        """
        starting = self._starting(invocation.program(), invocation.python())
        return f"{starting} --workdir {shlex.quote(os.fspath(path))}"

    def _starting(self, program: str, python: str) -> str:
        if self.shipped and self.module.__name__ == "__main__":
            return f"{python} -m experiments.{self.title}"
        if self.shipped:
            return f"{program} train {self.title}"
        if _named_by_file(self.module):
            return f"{program} train {shlex.quote(self.file)}"
        return f"{python} -m {self.name}" if self.name else f"{python} {shlex.quote(self.file)}"

    @property
    def description(self) -> str:
        """Returns the docstring of the module, or else of `Config`."""
        return self.module.__doc__ or self.config_class.__doc__ or ""

    @property
    def record(self) -> dict[str, str | None]:
        """Returns the entry of config.json from which `recorded` finds the experiment."""
        if self.shipped:
            return {"module": self.name, "file": None}
        return {"module": self.name, "file": self.file, "sha256": _sha256(self.file)}

    def preset(self, name: str | None) -> Any:
        """Returns the configuration of the preset; None is 'quick', by default without changes.

        Raises:
            RunError: If the experiment has no such preset.
        """
        name = name or "quick"
        if name not in self.presets:
            have = ", ".join(self.presets)
            raise RunError(f"{self.title} has no preset {name!r}; it has {have}")
        return self.config_class(**{"preset": name, **self.presets[name]})

    @property
    def network_settings(self) -> tuple[str, ...]:
        """Returns the fields that determine the networks.

        They are listed in `NETWORK` of the configuration class and all its bases.
        """
        classes = reversed(self.config_class.__mro__)
        return tuple(name for of in classes for name in vars(of).get("NETWORK", ()))

    def with_networks_of(self, record: Mapping[str, Any], config: Any) -> Any:
        """Returns the configuration with the recorded run's network settings and image shape.

        From a run of another experiment it takes the settings with the same name and type.

        Args:
            record: The content of a run's config.json.
            config: The configuration whose settings are replaced.
        """
        recorded = {**record["config"], **_of_images(record)}
        same = self.name is not None and _maker(record["experiment"]) == self.name
        taken = {}
        for name in self.network_settings:
            value, here = _as_tuples(recorded.get(name)), getattr(config, name)
            if name in recorded and (same or name in _IMAGES or type(value) is type(here)):
                taken[name] = value
        return dataclasses.replace(config, **taken)

    def check_made(self, record: Mapping[str, Any], source: object) -> None:
        """Checks that the recorded run is one of this experiment.

        Args:
            record: The content of a run's config.json.
            source: Where the record is from, for the error.

        Raises:
            RunError: If the run was made by another experiment.
        """
        made_by = _maker(record["experiment"])
        if made_by != (self.name or self.file):
            raise RunError(f"{source} is a run of {made_by}; choose another --workdir")

    def config_from(self, values: Mapping[str, Any], *, source: object) -> Any:
        """Returns the configuration with recorded values, and defaults for fields added since.

        Args:
            values: The recorded values by field.
            source: Where the record is from, for errors.

        Raises:
            RunError: If the record has a field that the experiment does not have, or a value of
                the wrong type.
        """
        known = {field.name for field in dataclasses.fields(self.config_class)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise RunError(
                f"{source} was made with the setting {unknown[0]!r}, which {self.title} does not "
                "have; use the version of the experiment that made it"
            )
        given = {name: _as_tuples(value) for name, value in values.items()}
        hints = typing.get_type_hints(self.config_class)
        for name, value in given.items():
            if not _fits(value, hints[name]):
                raise RunError(
                    f"{source} is damaged: its setting {name!r} is {value!r}, which is not of the "
                    f"type that {self.title} expects; restore its config.json from a copy"
                )
        return self.config_class(**given)


def _told(function: Callable[..., Any], *, saved: bool) -> Callable[..., Any]:
    """Returns the `plan` or `build` of an experiment, told of saved states if it asks for that."""
    asks = "saved" in inspect.signature(function).parameters
    return functools.partial(function, saved=saved) if asks else function


def _frozen(plan: Sequence[Stage], texts: Sequence[str]) -> tuple[Stage, ...]:
    """Returns the only stage of a run with layers frozen, as `--freeze` says."""
    from jaxgan.games import freezing  # imports JAX

    if len(plan) > 1:
        raise ValueError(
            f"--freeze needs a run of one stage, as a later one has other layers, and this has "
            f"{len(plan)}; begin in the last with --first-stage"
        )
    asked = freezing.parsed(texts)

    def build(**options: Any) -> Any:
        return freezing.frozen(plan[0].build(**options), asked)

    return (plan[0]._replace(build=build),)


_IMAGES = ("resolution", "channels")


def _of_images(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns, as values of flags, the size and channels of the recorded run's images.

    Only those that the run did not set itself, and only for data of single images.
    """
    config, shape = record["config"], record["data"]["shape"]
    arrays = "transforms" in record["data"]  # which are read as they are
    if len(shape) != 3 or record["data"].get("inputs") or arrays:
        return {}
    found = {"resolution": f"{shape[0]}x{shape[1]}", "channels": shape[2]}
    return {name: value for name, value in found.items() if config.get(name) is None}


def of(module: ModuleType) -> Experiment:
    """Returns the experiment in the module, which may run as `__main__`.

    Raises:
        RunError: If the module has no `Config` or no `build`.
    """
    missing = [name for name in ("Config", "build") if not hasattr(module, name)]
    if missing:
        raise RunError(f"{module.__name__} is no experiment: it has no {missing[0]}")
    file = pathlib.Path(module.__file__ or "").resolve()
    if file.parent == _shipped_folder():
        return Experiment(module, f"{SHIPPED}.{file.stem}", str(file), shipped=True)
    name: str | None = module.__name__
    if name == "__main__":
        name = module.__spec__.name if module.__spec__ else None
    elif _named_by_file(module):
        name = None
    return Experiment(module, name, str(file))


def shipped() -> dict[str, str]:
    """Returns the first line of the docstring of every shipped experiment, by its short name."""
    names = [found.name for found in pkgutil.iter_modules([str(_shipped_folder())])]
    modules = {name: _import_shipped(name) for name in names}
    return {
        name: (module.__doc__ or "").strip().partition("\n")[0]
        for name, module in modules.items()
        if hasattr(module, "Config") and hasattr(module, "build")
    }


def named(experiment: Named) -> Experiment:
    """Returns the experiment that the user names, whose code is run.

    Args:
        experiment: A module, the short name of a shipped experiment such as 'dcgan', the file of
            the user's own, or a dotted name that Python can import.

    Raises:
        RunError: If there is no such experiment; the message suggests the nearest name.
    """
    if isinstance(experiment, ModuleType):
        return of(experiment)
    text = os.fspath(experiment)
    if text.endswith(".py"):
        return _from_file(pathlib.Path(text))
    if short := _short_name(text):
        return of(_import_shipped(short))
    if "." in text:
        try:
            return of(importlib.import_module(text))
        except ModuleNotFoundError as error:
            raise RunError(f"there is no experiment {text}: {error}") from error
    raise RunError(f"there is no experiment {text!r}; {_suggestion(text)}")


def recorded(record: Mapping[str, str | None], *, given: Named | None = None) -> Experiment:
    """Returns the experiment that a run recorded.

    Args:
        record: The entry 'experiment' of a run's config.json.
        given: The experiment as the user names it. It is needed if it is the user's own and this
            process has not imported it yet, since a record alone must not run code.

    Raises:
        RunError: If the experiment cannot be found, or `given` is another one.
    """
    made_by = _maker(record)
    if given is not None:
        found = named(given)
        if made_by not in (found.name, found.file) and not _same_file(record, found):
            raise RunError(f"the run was made by {made_by}, not by {found.name or found.file}")
        _warn_if_changed(record, found)
        return found
    if short := _short_name(made_by):
        return of(_import_shipped(short))
    for module in _imported(record):
        return dataclasses.replace(of(module), name=record["module"])
    raise RunError(
        f"this run was made by your own experiment {record.get('file') or made_by}; its code is "
        "run only if you name it: jaxgan.load(RUN, experiment=FILE), or --experiment FILE"
    )


def _maker(record: Mapping[str, str | None]) -> str:
    """Returns the name, or else the file, of the experiment in a record of any version."""
    name = record.get("module")
    if name and name.startswith(_ALIAS):  # of earlier versions
        name = None
    short = _short_name(name) if name else None
    return f"{SHIPPED}.{short}" if short else (name or record.get("file") or "")


def _short_name(name: str) -> str | None:
    """Returns the short name of a shipped experiment, given it or the dotted name, or None."""
    short = name.removeprefix("jaxgan.").removeprefix("experiments.")
    file = _shipped_folder() / f"{short}.py"
    return short if short.isidentifier() and file.is_file() else None


def _imported(record: Mapping[str, str | None]) -> list[ModuleType]:
    """Returns the imported modules that were read from the recorded file."""
    candidates = [sys.modules.get(record.get("module") or "__main__"), sys.modules["__main__"]]
    return [
        module
        for module in candidates
        if module is not None
        and hasattr(module, "build")
        and str(pathlib.Path(getattr(module, "__file__", None) or "").resolve()) == record["file"]
    ]


def _from_file(file: pathlib.Path) -> Experiment:
    """Returns the experiment in a file; it can import modules next to it, as a script can."""
    if not file.is_file():
        raise RunError(f"there is no experiment {file}")
    file = file.resolve()
    if file.parent == _shipped_folder():
        return of(_import_shipped(file.stem))
    alias = f"{_ALIAS}{file.stem}"
    spec = importlib.util.spec_from_file_location(alias, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module  # dataclasses look their annotations up there
    with _importable(file.parent):
        spec.loader.exec_module(module)
    return of(module)


_ALIAS = "jaxgan_experiment_"
"""Beginning of the names under which experiments named by file are imported."""


def _named_by_file(module: ModuleType) -> bool:
    return module.__name__.startswith(_ALIAS)


@contextlib.contextmanager
def _importable(folder: pathlib.Path) -> Iterator[None]:
    """Lets Python import the modules of the folder inside the block, as it does for a script."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the experiment has removed it
            sys.path.remove(str(folder))


def own_data(module: ModuleType) -> Callable[[Any], Any] | None:
    """Returns the function `data(config)` of an experiment's module, or None if it has none.

    Args:
        module: The module, which may also have imported something else under this name.
    """
    own = getattr(module, "data", None)
    return own if callable(own) else None


def _same_file(record: Mapping[str, str | None], found: Experiment) -> bool:
    return pathlib.Path(record.get("file") or "").name == pathlib.Path(found.file).name


def _warn_if_changed(record: Mapping[str, str | None], found: Experiment) -> None:
    before = record.get("sha256")
    if before and before != _sha256(found.file):
        print(f"warning: {found.file} has changed since the run was made", file=sys.stderr)


def _sha256(file: str) -> str | None:
    try:
        return hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()
    except OSError:  # a module without a file
        return None


def _suggestion(name: str) -> str:
    have = [found.name for found in pkgutil.iter_modules([str(_shipped_folder())])]
    near = difflib.get_close_matches(name, have, n=1)
    return f"did you mean {near[0]}?" if near else "`jaxgan list` lists them"


@functools.cache
def _shipped_folder() -> pathlib.Path:
    """Returns the folder of the shipped experiments: in an installed package, or next to it."""
    inside = _PACKAGE / "experiments"
    return inside if inside.is_dir() else _PACKAGE.parent / "experiments"


def _import_shipped(name: str) -> ModuleType:
    """Imports the module of a shipped experiment.

    A program may have its own package called `experiments`. So the clone's package is imported
    under that name only if Python finds it there, and as `jaxgan.experiments` otherwise.
    """
    folder = _shipped_folder()
    if folder.parent == _PACKAGE:
        return importlib.import_module(f"{SHIPPED}.{name}")
    found = sys.modules.get("experiments")
    spec = found.__spec__ if found is not None else importlib.util.find_spec("experiments")
    places = (spec and spec.submodule_search_locations) or []
    if str(folder) in [str(pathlib.Path(place).resolve()) for place in places]:
        return importlib.import_module(f"experiments.{name}")
    if SHIPPED not in sys.modules:
        sys.modules[SHIPPED] = _package(SHIPPED, folder)
    return importlib.import_module(f"{SHIPPED}.{name}")


def _package(name: str, folder: pathlib.Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package


def _fits(value: Any, hint: Any) -> bool:
    """Returns whether a field of the type may have the value; an int is a float, too."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is typing.Annotated:
        return _fits(value, parts[0])
    if kind is typing.Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if kind in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        if parts[1:] == (...,):
            return all(_fits(item, parts[0]) for item in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if hint in (bool, int, str, type(None)):
        return type(value) is hint
    if hint is float:
        return type(value) in (int, float)
    return True


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value
