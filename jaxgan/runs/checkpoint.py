"""Checkpoints: the whole state by orbax, written while training goes on, checked when read.

A checkpoint holds the state's arrays by path ('players/generator/params/...'), so that it can be
read, and its digest checked, before any model is built; and a JSON item with the digest and what
the run says of it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import pathlib
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import files
from jaxgan.runs import run_directory
from jaxgan.runs.errors import NotFinite, RunError, RunStopped
from jaxgan.types import PyTree

Arrays = dict[str, np.ndarray]

_NAME = re.compile(r"0|[1-9][0-9]{0,17}")
_MOMENT = 0.2  # seconds


class Saved(NamedTuple):
    """A checkpoint as read: arrays by path, the PRNG's name by path of a key, and the notes."""

    step: int
    arrays: Arrays
    keys: dict[str, str]
    notes: dict[str, Any]


class Checkpoints:
    """Writes checkpoints to a directory and keeps the latest `keep`, and those of the steps that
    `best()` gives whenever one has been written.
    """

    def __init__(
        self, path: pathlib.Path, *, keep: int, best: Callable[[], Collection[int]] = tuple
    ) -> None:
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_LatestAndBest(keep, best), cleanup_tmp_directories=True
        )
        self._path, self._latest = path, max(steps_in(path), default=None)
        try:
            self._manager = ocp.CheckpointManager(path.absolute(), options=options)
        except Exception as error:  # whatever lies there instead of checkpoints
            raise RunError(
                f"{path} cannot be written to: {files.reason(error)}; choose another --workdir"
            ) from error

    def save(self, step: int, state: PyTree, notes: dict[str, Any]) -> None:
        """Starts writing the state and the notes (of JSON's types), unless this step is written.

        Both are copied before it returns: the state may be donated at once. Raises NotFinite where
        the state is not finite, which is never written, and RunStopped where the disk refuses.
        """
        if step == self._latest:
            return
        arrays, keys = to_arrays(state)
        broken = [name for name, array in sorted(arrays.items()) if not _finite(array)]
        if broken:
            raise NotFinite(
                f"the state after step {step} is not finite, {broken[0]} first of "
                f"{len(broken)} arrays, and was not saved"
            )
        # Notes are written later too, so what they refer to must not change until then.
        meta = {"format": run_directory.FORMAT, "step": step, "keys": keys, "notes": notes}
        meta = json.loads(json.dumps(meta))
        meta["digest"] = digest(arrays, meta)
        try:
            begun = self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave({k: v for k, v in arrays.items() if v.size}),
                    meta=ocp.args.JsonSave(meta),
                ),
            )
        except Exception as error:
            raise self._failed(error) from error
        if not begun:
            raise self._failed(ValueError(f"orbax takes none of step {step}"))
        self._latest = step

    def wait(self) -> None:
        """Returns once all is on the disk. Raises RunStopped where it could not be written."""
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Ends the writing threads, whatever happened to them."""
        try:
            self._manager.close()
        except Exception:
            return  # reported by save or wait already

    def last_whole(self) -> int | None:
        """The step of the checkpoint to return to, or None; it was read to be sure."""
        try:
            whole = latest(self._path, report=lambda text: None)
        except RunError:
            whole = None
        return None if whole is None else whole.step

    def last_words(self) -> str:
        """Which checkpoint there is to return to, in a sentence."""
        return self.words_on(self.last_whole())

    def words_on(self, step: int | None) -> str:
        """The sentence on what `last_whole` found."""
        if step is None:
            return "There is no checkpoint to return to."
        return f"The last whole checkpoint is that of step {step} in {self._path}."

    def _failed(self, error: Exception) -> RunStopped:
        return RunStopped(
            f"a checkpoint could not be written to {self._path}: {files.reason(error)}. "
            f"{self.last_words()}"
        )


@dataclasses.dataclass(frozen=True)
class _LatestAndBest:
    """Which checkpoints orbax keeps. Its own policy for the best reads their numbers from what was
    saved, and a state may have to be measured after it was.
    """

    keep: int
    best: Callable[[], Collection[int]]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*sorted(steps)[-self.keep :], *self.best()}
        return [step in kept for step in steps]


def steps_in(path: pathlib.Path) -> list[int]:
    """The steps that have a whole checkpoint in the directory, in order; what has any other name is
    none of ours. Raises RunError where the directory cannot be read.
    """
    try:
        if not path.exists():
            return []
        names = [entry.name for entry in path.iterdir() if _NAME.fullmatch(entry.name)]
        return sorted(int(name) for name in names if (path / name).is_dir())
    except OSError as error:
        raise RunError(f"{path} cannot be read: {files.reason(error)}") from error


def read(path: pathlib.Path, step: int) -> Saved:
    """The checkpoint of `step`.

    Raises RunError where it is damaged: where it cannot be read, or its digest is not that of what
    was read; and where a newer version of the library wrote it.
    """
    item = ocp.args.Composite(state=ocp.args.StandardRestore(), meta=ocp.args.JsonRestore())
    folder = path / str(step)
    try:
        with _quietly(), ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as reader:
            found = reader.restore(folder.absolute(), args=item)
        meta = found["meta"]
        if not isinstance(meta, dict):
            raise ValueError("its notes are no entries by name")
        run_directory.require_format(meta, folder)
        arrays = {name: np.asarray(value) for name, value in found["state"].items()}
        stored = meta.pop("digest")
        if stored != digest(arrays, meta):
            raise ValueError("its contents do not have the digest that was stored with them")
        _require_types(meta, step)
        return Saved(meta["step"], arrays, meta["keys"], meta["notes"])
    except run_directory.Newer:
        raise
    except (TypeError, AttributeError, IndexError) as error:  # of a reader that expected others
        raise RunError(
            f"the checkpoint {folder} is damaged: its entries are of other types than were written"
        ) from error
    except Exception as error:  # whatever else a damaged file makes a reader do
        raise RunError(f"the checkpoint {folder} is damaged: {files.reason(error)}") from error


def _require_types(meta: Mapping[str, Any], step: int) -> None:
    """Raises ValueError where the notes are not what `Checkpoints` writes."""
    keys, notes = meta["keys"], meta["notes"]
    if meta["step"] != step:
        raise ValueError(f"it is that of step {meta['step']!r}")
    if not isinstance(keys, dict) or not all(isinstance(name, str) for name in keys.values()):
        raise ValueError("its generators are not named")
    log = notes.get("log", {}) if isinstance(notes, dict) else None
    if not isinstance(log, dict):
        raise ValueError("its notes are no entries by name")
    sums = log.get("sums", {})
    numbers = (log.get("logged", 0), log.get("seconds", 0.0))
    if not isinstance(sums, dict) or not all(type(n) in (int, float) for n in numbers):
        raise ValueError("its notes on the log are no numbers")
    if any(np.asarray(pairs, np.float64).shape[-1:] != (2,) for pairs in sums.values()):
        raise ValueError("its sums of the log are no totals and counts")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Inside the block the reader's libraries say nothing: what a damaged file makes them log, the
    last of it from threads that go on for a moment, is said in a sentence by who catches it.
    """
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    levels = [logger.level for logger in loggers]
    hook = sys.unraisablehook

    def drop(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, RuntimeError):
            hook(unraisable)

    sys.unraisablehook = drop
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    except Exception:
        time.sleep(_MOMENT)
        raise
    finally:
        sys.unraisablehook = hook
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def latest(path: pathlib.Path, *, report: Callable[[str], None]) -> Saved | None:
    """The latest whole checkpoint, or None if there are none; damaged later ones are reported.

    Raises RunError where there are checkpoints and all are damaged, or where a newer version of the
    library wrote the latest.
    """
    steps = steps_in(path)
    for step in reversed(steps):
        try:
            return read(path, step)
        except run_directory.Newer:
            raise
        except RunError as error:
            report(f"{error}; trying the one before")
    if steps:
        raise RunError(f"all {len(steps)} checkpoints in {path} are damaged")
    return None


def set_aside(path: pathlib.Path, aside: pathlib.Path, *, after: int) -> list[str]:
    """Moves the checkpoints of steps later than `after` to the directory `aside`, and what has a
    number for a name but is no checkpoint, as orbax would take it for one; the names of these.
    """
    steps = steps_in(path)
    later = [str(step) for step in steps if step > after]
    names = [entry.name for entry in path.iterdir()] if path.exists() else []
    odd = sorted(name for name in set(names) - set(map(str, steps)) if _is_number(name))
    for name in [*later, *odd]:
        aside.mkdir(exist_ok=True)
        (path / name).rename(run_directory.free(aside, name))
    return odd


def _is_number(name: str) -> bool:
    try:
        int(name)
    except ValueError:
        return name.isdigit()
    return True


def to_arrays(tree: PyTree) -> tuple[Arrays, dict[str, str]]:
    """The leaves by path as host copies, typed keys as their bits; and the PRNG's name by path."""
    arrays, keys = {}, {}
    for name, leaf in _by_path(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            keys[name] = str(jax.random.key_impl(leaf))
            leaf = jax.random.key_data(leaf)
        arrays[name] = np.array(
            leaf
        )  # a copy: the device's buffer may be donated while this is written
    return arrays, keys


def to_tree(template: PyTree, saved: Saved) -> PyTree:
    """The saved arrays in the place of the template's leaves (arrays or their shapes), on the host.

    Raises RunError where they do not fit: the model is not the one that was saved.
    """

    def restored(name: str, leaf: Any) -> Any:
        if leaf.size == 0:  # not stored
            return np.zeros(leaf.shape, leaf.dtype)
        if name not in saved.arrays:
            raise RunError(f"the checkpoint has no {name}; the model is not the one that was saved")
        array: Any = saved.arrays[name]
        if name in saved.keys:
            try:
                array = jax.random.wrap_key_data(jnp.asarray(array), impl=saved.keys[name])
            except (ValueError, TypeError) as error:
                raise RunError(
                    f"the checkpoint's {name} is no key of a generator {saved.keys[name]!r} that "
                    "this JAX knows"
                ) from error
        if array.shape != leaf.shape or array.dtype != leaf.dtype:
            raise RunError(
                f"the checkpoint's {name} is {array.dtype} {array.shape} where the model has "
                f"{leaf.dtype} {leaf.shape}; the model is not the one that was saved"
            )
        return array

    leaves = [restored(name, leaf) for name, leaf in _by_path(template)]
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def transfer(tree: PyTree, saved: Saved) -> tuple[PyTree, list[str], list[str]]:
    """The tree with the saved arrays that agree in path and shape; paths taken, and those left."""
    taken, left = fitting(tree, saved)
    fits = set(taken)
    leaves = [
        jnp.asarray(saved.arrays[name], leaf.dtype) if name in fits else leaf
        for name, leaf in _by_path(tree)
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves), taken, left


def fitting(tree: PyTree, saved: Saved) -> tuple[list[str], list[str]]:
    """The paths of the tree's leaves (arrays or their shapes) that agree with a saved array in path
    and shape, and those of the others.
    """
    taken, left = [], []
    for name, leaf in _by_path(tree):
        array = saved.arrays.get(name)
        fits = array is not None and array.shape == leaf.shape and name not in saved.keys
        (taken if fits else left).append(name)
    return taken, left


def digest(arrays: Arrays, meta: Mapping[str, Any]) -> str:
    """The sha256, in hex, of the path, type, shape and bytes of every array, and of `meta`."""
    contents = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        if array.size:
            contents.update(f"{name} {array.dtype} {array.shape}".encode())
            contents.update(np.ascontiguousarray(array).tobytes())
    return contents.hexdigest()


def _by_path(tree: PyTree) -> list[tuple[str, Any]]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def _finite(array: np.ndarray) -> bool:
    return not jnp.issubdtype(array.dtype, jnp.inexact) or bool(np.isfinite(array).all())
