"""Fine-tuning: what a run takes from another one, given by `--init-from`."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import optax

from jaxgan.games import freezing
from jaxgan.runs import checkpoint, flags, run_directory, saved_state, sweeps
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.runs.experiments import Experiment
from jaxgan.runs.seeds import Seeds
from jaxgan.types import GAN


class Source(NamedTuple):
    """The run that provides the initial weights (`--init-from`).

    Attributes:
        path: Its run directory.
        record: The contents of its config.json.
        saved: Its latest checkpoint.
    """

    path: pathlib.Path
    record: dict[str, Any]
    saved: saved_state.Saved


def source_of(path: pathlib.Path, *, seeds: Seeds, report: Callable[[str], None]) -> Source:
    """Reads the run that provides the initial weights.

    If that run has one seed, all models start from its weights. If it has as many seeds as this
    run, each model starts from its own.

    Args:
        path: Its run directory.
        seeds: The seeds of the run that begins.
        report: Called with a sentence for each damaged checkpoint.

    Raises:
        RunError: If there is no run or no checkpoint, or if its number of seeds is neither 1 nor
            that of this run.
    """
    record = run_directory.read_record(path)
    if record is None:
        raise RunError(f"--init-from {path}: there is no run in it{run_directory.suggestion(path)}")
    saved = checkpoint.latest(path / "checkpoints", report=report)
    if saved is None:
        raise RunError(f"--init-from {path}: the run has no checkpoint yet")
    saved = seeds.adopt(saved, sweeps.count(record["config"]), path)
    return Source(path, record, _averaging_all(saved))


def start_from(state: Any, source: Source, *, differing: Sequence[str] = ()) -> tuple[Any, str]:
    """Copies the weights and averages of another run into an initial state, as far as they fit.

    An array fits if its path and shape agree. Optimizer states, step and random keys keep their
    initial values.

    Args:
        state: The initial state.
        source: The run that provides the weights.
        differing: Differences of the two runs, for the error message (see `differences`).

    Returns:
        The new state, and a sentence that reports what was copied.

    Raises:
        RunError: If no array of the players fits, or less than half of them: of the source's arrays
            or of this model's, whichever are fewer.
    """
    weights, _, _ = saved_state.transfer(weights_of(state), source.saved)
    players = weights["players"]
    taken, missing = saved_state.fitting({"players": players}, source.saved)
    held = [name for name in source.saved.arrays if _PLAYERS.match(name)]
    total = len(taken) + len(missing)
    counts = ", ".join(
        f"{name} {_count(taken, name)} of {_count([*taken, *missing], name)}" for name in players
    )
    if not taken or 2 * len(taken) < min(total, len(held)):
        why = ", ".join(differing) or "the networks differ"
        raise RunError(
            f"--init-from {source.path}: {len(taken)} of this model's {total} arrays fit "
            f"({counts}): {why}"
        )
    state = state.with_params({name: player["params"] for name, player in players.items()})
    state = state.with_variables({name: player["variables"] for name, player in players.items()})
    note = (
        f"started from step {source.saved.step} of {source.path}: "
        f"took {len(taken)} of {total} arrays ({counts})"
    )
    if missing:
        note += f"; left {len(missing)} fresh ({_named(missing)})"
    unused = sorted(set(held) - set(taken))
    if unused:
        note += f"; {len(unused)} arrays of that run were not used ({_named(unused)})"
    return state.replace(ema=weights["ema"]), note


def with_optimizers(state: Any, source: Source, freeze: Sequence[str]) -> tuple[Any, str]:
    """Returns the state with the optimizers of another run, player by player, and a note.

    A player takes the moments and the counters that correct them all together or not at all: a
    fresh moment next to a counter that has run makes steps many times too long. Schedules of
    learning rates begin anew.

    Args:
        state: The state with the source's weights.
        source: The run that provides the optimizers.
        freeze: The frozen layers (`--freeze`).

    Raises:
        RunError: If no player can take its optimizer.
    """
    frozen, optimizers, left = freezing.parsed(freeze), {}, []
    for name, player in state.players.items():
        fresh = _without_schedules(player.opt_state)
        saved = source.saved
        if name in frozen:
            saved = saved._replace(arrays=freezing.as_frozen(saved.arrays, name))
        tree = {"players": {name: {"opt_state": fresh}}}
        moved, taken, missing = saved_state.transfer(tree, saved)
        if taken and not missing:
            found = moved["players"][name]["opt_state"]
            optimizers[name] = _with_schedules_of(player.opt_state, found)
        elif missing:
            array = missing[0].split("opt_state/")[1]
            left.append(f"{name} ({array} is not there, has another shape, or is of other classes)")
        else:
            left.append(f"{name} (its optimizer here keeps no state)")
    if not optimizers:
        raise RunError(
            f"--init-optimizer: no optimizer of {source.path} fits: {'; '.join(left)}; "
            "leave the flag out"
        )
    players = {
        name: player.replace(opt_state=optimizers.get(name, player.opt_state))
        for name, player in state.players.items()
    }
    note = f"took the optimizers of {', '.join(optimizers)}"
    note += f"; begun anew: {'; '.join(left)}" if left else ""
    return state.replace(players=players), note


def _is_schedule(node: Any) -> bool:
    return isinstance(node, optax.ScaleByScheduleState)


def _without_schedules(optimizer: Any) -> Any:
    """Returns an optimizer's state whose schedules' counters are no leaves."""
    return jax.tree.map(
        lambda node: None if _is_schedule(node) else node, optimizer, is_leaf=_is_schedule
    )


def _with_schedules_of(fresh: Any, moved: Any) -> Any:
    """Returns `moved`, a state without schedules' counters, with those of `fresh`."""
    return jax.tree.map(
        lambda own, taken: own if _is_schedule(own) else taken, fresh, moved, is_leaf=_is_schedule
    )


def class_by_class(state: Any, source: Source, classes: Sequence[str]) -> tuple[Source, list[str]]:
    """Returns the source with the weights of its classes at the places of those classes here.

    They are the rows of embeddings, and of kernels whose last inputs are the label one-hot, as in
    `jaxgan.models`. Rows of classes that the source does not have are those of the state.

    Args:
        state: The initial state.
        source: The run that provides the weights.
        classes: The classes of the data, here.

    Returns:
        The source, and a sentence on the classes if they differ and such weights exist.
    """
    before, now = source.record["data"]["classes"], list(classes)
    if before == now or not before or not now:
        return source, []
    shared = [name for name in now if name in before]
    arrays, _ = saved_state.to_arrays(weights_of(state))
    moved = {}
    for name, fresh in arrays.items():
        old = source.saved.arrays.get(name)
        if old is None or not _by_class(name, old.shape, fresh.shape, len(before), len(now)):
            continue
        rest = fresh.shape[-2] - len(now)
        rows = fresh.copy()
        rows[..., :rest, :] = old[..., :rest, :]
        for one in shared:
            rows[..., rest + now.index(one), :] = old[..., rest + before.index(one), :]
        moved[name] = rows
    if not moved:
        return source, []
    # The moments' rows stay with the other run's classes, so those players' optimizers do, too.
    stale = tuple(f"players/{name.split('/')[1]}/opt_state/" for name in moved)
    kept = {name: a for name, a in source.saved.arrays.items() if not name.startswith(stale)}
    saved = source.saved._replace(arrays={**kept, **moved})
    note = f"took what it knows of {len(shared)} classes by their names"
    note += f" ({_named(shared)})" if shared else ""
    return source._replace(saved=saved), [
        f"{note}; {len(now) - len(shared)} of the {len(now)} classes begin anew"
    ]


def _by_class(name: str, old: Sequence[int], new: Sequence[int], before: int, now: int) -> bool:
    """Returns whether the last rows of an array, by its path and shapes, are those of classes."""
    if len(old) < 2 or len(old) != len(new) or name.split("/")[2:3] == ["variables"]:
        return False
    if (*old[:-2], old[-1]) != (*new[:-2], new[-1]):
        return False
    if name.endswith("/embedding"):
        return (old[-2], new[-2]) == (before, now)
    return before != now and old[-2] - before == new[-2] - now >= 0


def note_on_frozen(single: GAN, config: RunConfig, source: Source) -> list[str]:
    """Returns a sentence on the frozen layers, if there are any.

    Raises RunError if a frozen layer has not been taken from the source.
    """
    if not config.freeze:
        return []
    template = jax.eval_shape(single.init, jax.random.key(0))
    asked = freezing.parsed(config.freeze)
    paths = set(freezing.frozen_paths(template, asked))
    of_seeds = source.saved if len(config.model_seeds) == 1 else _of_one(source.saved)
    _, missing = saved_state.fitting(weights_of(template), of_seeds)
    fresh = sorted(paths.intersection(missing))
    if fresh:
        raise RunError(
            f"--freeze {' '.join(config.freeze)} would freeze {fresh[0]}, which --init-from "
            f"{source.path} does not hold in this shape: freeze other layers"
        )
    layers = {
        name: [layer for layer, own in freezing.layers_of(template[name]).items() if of & {*own}]
        for name, of in freezing.chosen(template, asked).items()
    }
    named = "; ".join(f"{name} {', '.join(of)}" for name, of in layers.items())
    return [f"frozen: {named} ({len(paths)} arrays)"]


def _of_one(saved: saved_state.Saved) -> saved_state.Saved:
    """Returns the checkpoint of the first of several models."""
    return saved._replace(arrays={name: a[0] for name, a in saved.arrays.items() if a.ndim})


def differences(
    experiment: Experiment, settings: Mapping[str, Any], spec: DataSpec, source: Source
) -> list[str]:
    """Returns the differences of two runs that affect their networks, as phrases.

    Args:
        experiment: The experiment to train. Its `network_settings` are compared.
        settings: Its configuration, as in config.json.
        spec: Shape, classes and inputs of the data. Shape and classes are compared.
        source: The other run.
    """
    was, now = source.record["config"], settings
    found = [
        f"{flags.flag(name)} was {was[name]}, here {now[name]}"
        for name in experiment.network_settings
        if name in was and was[name] != now[name]
    ]
    before, here = source.record["data"], spec.record()
    for name, words in (("shape", "the data's shape"), ("classes", "the classes")):
        old, new = before.get(name), here[name]
        if old != new:
            found.append(f"{words} were {old}, here {new}")
    return found


def weights_of(state: Any) -> dict[str, Any]:
    """Returns what is copied of a state: the players' params and variables, and their averages."""
    return {
        "players": {
            name: {"params": player.params, "variables": player.variables}
            for name, player in state.players.items()
        },
        "ema": state.ema,
    }


_PLAYERS = re.compile("players/([^/]+)/(params|variables)/(.+)")


def _averaging_all(saved: saved_state.Saved) -> saved_state.Saved:
    """Returns the checkpoint with an average of every player: its own weights if none was saved."""
    averaged = {name.split("/")[1] for name in saved.arrays if name.startswith("ema/")}
    arrays = dict(saved.arrays)
    for name, array in saved.arrays.items():
        found = _PLAYERS.match(name)
        if found and found[1] not in averaged:
            below = "params/" if found[2] == "params" else ""
            arrays[f"ema/{found[1]}/{below}{found[3]}"] = array
    return saved._replace(arrays=arrays)


def _count(names: Sequence[str], player: str) -> int:
    return sum(name.startswith(f"players/{player}/") for name in names)


def _named(names: Sequence[str], *, most: int = 6) -> str:
    """Returns the first names and the number of the others."""
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])
