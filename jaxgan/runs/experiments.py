"""Experiment modules: found by name or by file, never listed. Imports no JAX."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import pathlib
import shlex
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jaxgan.runs.errors import RunError

if TYPE_CHECKING:
    from jaxgan.games.stages import Stage


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment: in another process its `name` imports it or, for a script, its `file` does."""

    module: ModuleType
    name: str | None
    file: str

    @property
    def config_class(self) -> type[Any]:
        return self.module.Config

    @property
    def build(self) -> Callable[..., Any]:
        return self.module.build

    def plan(self, config: Any, spec: Any) -> tuple[Stage, ...]:
        """The stages of a run: the experiment's own `plan(config, spec)`, or its model as the one,
        from the configuration's first stage on.

        Raises ValueError where they do not follow one another, or there is no such first one.
        """
        from jaxgan.games import stages  # imports JAX

        planned = getattr(self.module, "plan", None)
        if planned is not None:
            plan = stages.check(planned(config, spec), per_call=config.steps_per_call)
        else:
            build = functools.partial(self.build, config, spec)
            plan = (stages.Stage(0, config.rows_per_step, build),)
        return stages.beginning_in(plan, config.skipped_stages + 1)

    def begin(self, state: Any, train: Any) -> Any:
        """The state that a run begins with, given a fresh one and the training data: the
        experiment's own `begin`, or the fresh one itself.
        """
        own = getattr(self.module, "begin", None)
        return state if own is None else own(state, train)

    @property
    def picture(self) -> Callable[..., Any] | None:
        return getattr(self.module, "picture", None)

    @property
    def presets(self) -> Mapping[str, Mapping[str, Any]]:
        return {"quick": {}, **getattr(self.module, "PRESETS", {})}

    @property
    def title(self) -> str:
        """The short name that run directories are named by."""
        return self.name.rpartition(".")[2] if self.name else pathlib.Path(self.file).stem

    @property
    def command_line(self) -> str:
        """What starts the experiment, before any flag."""
        return f"python -m {self.name}" if self.name else f"python {shlex.quote(self.file)}"

    @property
    def description(self) -> str:
        return self.module.__doc__ or self.config_class.__doc__ or ""

    @property
    def record(self) -> dict[str, str | None]:
        """What `recorded` finds the module by."""
        return {"module": self.name, "file": self.file}

    def preset(self, name: str | None) -> Any:
        """The configuration of the preset; 'quick', the plain defaults, if None.

        Raises RunError where the experiment has no such preset.
        """
        name = name or "quick"
        if name not in self.presets:
            have = ", ".join(self.presets)
            raise RunError(f"{self.title} has no preset {name!r}; it has {have}")
        return self.config_class(**{"preset": name, **self.presets[name]})

    @property
    def network_settings(self) -> tuple[str, ...]:
        """The fields that decide what the networks are: the `NETWORK` of the configuration
        and of all its bases.
        """
        classes = reversed(self.config_class.__mro__)
        return tuple(name for of in classes for name in vars(of).get("NETWORK", ()))

    def with_networks_of(self, record: Mapping[str, Any], config: Any) -> Any:
        """The configuration with the recorded run's networks, and with images of the size and
        channels that these were made for.

        Of a run of another experiment it takes what both have by the same name and type.
        """
        recorded = {**record["config"], **_of_images(record)}
        same = record["experiment"]["module"] == self.name and self.name is not None
        taken = {}
        for name in self.network_settings:
            value, here = _as_tuples(recorded.get(name)), getattr(config, name)
            if name in recorded and (same or name in _IMAGES or type(value) is type(here)):
                taken[name] = value
        return dataclasses.replace(config, **taken)

    def check_made(self, record: Mapping[str, Any], source: object) -> None:
        """Raises RunError where the run recorded in `source` is not one of this experiment."""
        made_by = record["experiment"]["module"] or record["experiment"]["file"]
        if made_by != (self.name or self.file):
            raise RunError(f"{source} is a run of {made_by}; choose another --workdir")

    def config_from(self, values: Mapping[str, Any], *, source: object) -> Any:
        """The configuration with these recorded values, and defaults for fields younger than they.

        Raises RunError where the record, from `source`, has fields that the experiment no longer
        knows.
        """
        known = {field.name for field in dataclasses.fields(self.config_class)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise RunError(
                f"{source} was made with a setting {unknown[0]!r} that {self.title} does not have; "
                "use the version of the experiment that made it"
            )
        return self.config_class(**{k: _as_tuples(v) for k, v in values.items()})


_IMAGES = ("resolution", "channels")


def _of_images(record: Mapping[str, Any]) -> dict[str, Any]:
    """Size and channels of the recorded run's single images, in the terms of the flags, where it
    took them as they were.
    """
    config, shape = record["config"], record["data"]["shape"]
    if len(shape) != 3 or record["data"].get("inputs"):
        return {}
    found = {"resolution": f"{shape[0]}x{shape[1]}", "channels": shape[2]}
    return {name: value for name, value in found.items() if config.get(name) is None}


def of(module: ModuleType) -> Experiment:
    """The experiment in the module, which may run as `__main__`.

    Raises RunError where the module is no experiment.
    """
    missing = [name for name in ("Config", "build") if not hasattr(module, name)]
    if missing:
        raise RunError(f"{module.__name__} is no experiment: it has no {missing[0]}")
    name: str | None = module.__name__
    if name == "__main__":
        name = module.__spec__.name if module.__spec__ else None
    return Experiment(module, name, str(pathlib.Path(module.__file__ or "").resolve()))


def recorded(record: Mapping[str, str | None]) -> Experiment:
    """The experiment that a run recorded, imported by its name or else from its file.

    Raises RunError where neither can be found.
    """
    name, file = record["module"], record["file"] or ""
    if name:
        try:
            return of(importlib.import_module(name))
        except ModuleNotFoundError as error:
            if not name.startswith(error.name or name):  # a package the experiment needs
                raise
    if not pathlib.Path(file).is_file():
        raise RunError(
            f"the experiment {name or file} of this run cannot be found; "
            f"start Python where it can be imported (it was {file})"
        )
    alias = name or f"jaxgan_experiment_{pathlib.Path(file).stem}"
    spec = importlib.util.spec_from_file_location(alias, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[alias] = module  # dataclasses look their annotations up there
    spec.loader.exec_module(module)
    return dataclasses.replace(of(module), name=name)


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list) else value
