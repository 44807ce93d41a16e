"""Checkpoints of the whole state, written by Orbax during training and verified by a digest.

A checkpoint has two items. `state` holds the arrays of `GANState` by path: 'step', 'rng',
'players/generator/params/...', 'ema/...', 'extra/...', 'buffers/...'. So it can be read, and its
digest verified, before a model is built. `meta` is a JSON object with the format, the step, the
name of the PRNG of each random key by path, the notes of the run and the digest.

If arrays are split over the devices of several processes, each process writes and hashes its own
parts (`SharedCheckpoints`). `meta` then says how the arrays were split, and the digest is that of
the digests of all parts. What is read is the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import pathlib
import re
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import files
from jaxgan.runs import checkpoint_digest, run_directory, saved_state
from jaxgan.runs.checkpoint_digest import Layout
from jaxgan.runs.errors import NotFinite, RunError, RunStopped
from jaxgan.runs.processes import Team
from jaxgan.runs.saved_state import Saved
from jaxgan.types import PyTree

_WHOLE, _IN_PARTS = 1, 2  # formats of checkpoints

_NAME = re.compile(r"0|[1-9][0-9]{0,17}")
_MOMENT = 0.2  # seconds


class Checkpoints:
    """Writes checkpoints to a directory and deletes old ones.

    Args:
        path: The directory of the checkpoints.
        keep: Number of latest checkpoints to keep.
        best: Returns the steps of other checkpoints to keep. It is called after every write. By
            default there are none.

    Raises:
        RunError: If the directory cannot be written to.
    """

    def __init__(
        self, path: pathlib.Path, *, keep: int, best: Callable[[], Collection[int]] = tuple
    ) -> None:
        self._path, self._latest = path, max(steps_in(path), default=None)
        self._policy = _LatestAndBest(keep, best)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self._policy,
            cleanup_tmp_directories=True,
            create=False,  # below: Orbax does not for one process of several
            multiprocessing_options=_by_itself(),
        )
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(path.absolute(), options=options)
        except Exception as error:  # anything may lie there instead of checkpoints
            raise RunError(
                f"{path} cannot be written to: {files.reason(error)}; choose another --workdir"
            ) from error

    def save(self, step: int, state: PyTree, notes: dict[str, Any]) -> None:
        """Starts writing a checkpoint, unless the latest checkpoint is of the same step.

        The state and the notes are copied before this method returns, so that the state may be
        donated at once. A state that is not finite is never written.

        Args:
            step: Number of completed train steps.
            state: The state.
            notes: Notes of the run, of JSON types.

        Raises:
            NotFinite: If the state is not finite.
            RunStopped: If this checkpoint or the previous one could not be written.
        """
        if step == self._latest:
            return
        arrays, keys = saved_state.to_arrays(state)
        _require_finite(
            step, [name for name, array in arrays.items() if not saved_state.is_finite(array)]
        )
        meta = _copied({"format": _WHOLE, "step": step, "keys": keys, "notes": notes})
        meta["digest"] = checkpoint_digest.of_whole(arrays, meta)
        try:
            begun = self._manager.save(
                step, args=_items({k: v for k, v in arrays.items() if v.size}, meta)
            )
        except Exception as error:
            raise self._failed(error) from error
        if not begun:
            raise self._failed(ValueError(f"Orbax refused to save step {step}"))
        self._latest = step

    def save_alone(self, step: int, state: PyTree, notes: dict[str, Any]) -> None:
        """Writes a checkpoint without another process, and waits until it is on the disk.

        Args:
            step: Number of completed train steps.
            state: The state, whole in this process.
            notes: Notes of the run, of JSON types.

        Raises:
            NotFinite: If the state is not finite.
            RunStopped: If this checkpoint or the previous one could not be written.
        """
        self.save(step, state, notes)
        self.wait()

    def wait(self) -> None:
        """Waits until all checkpoints are on the disk.

        Raises:
            RunStopped: If a checkpoint could not be written.
        """
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Ends the writing threads, also after errors."""
        try:
            self._manager.close()
        except Exception:
            return  # reported by save or wait already

    def last_whole(self) -> int | None:
        """Returns the step of the latest undamaged checkpoint, or None; the checkpoint is read."""
        try:
            whole = latest(self._path, report=lambda text: None)
        except RunError:
            whole = None
        return None if whole is None else whole.step

    def last_words(self) -> str:
        """Returns a sentence that names the latest undamaged checkpoint."""
        return self.words_on(self.last_whole())

    def words_on(self, step: int | None) -> str:
        """Returns that sentence for the step that `last_whole` found."""
        if step is None:
            return "There is no checkpoint to return to."
        return f"The last whole checkpoint is that of step {step} in {self._path}."

    def _failed(self, error: Exception) -> RunStopped:
        return RunStopped(
            f"a checkpoint could not be written to {self._path}: {files.reason(error)}. "
            f"{self.last_words()}"
        )


class SharedCheckpoints(Checkpoints):
    """Checkpoints that several processes write together, each the parts on its own devices.

    Every process has to have one, and to call `save`, `wait` and `close` as the others do. A
    checkpoint gets its name when all parts are on the disk: if a process dies before, there is
    none. The state may be split as `parallel.state_shardings` does.

    Args:
        path: The directory of the checkpoints.
        keep: Number of latest checkpoints to keep.
        team: The processes.
        best: Returns the steps of other checkpoints to keep; only that of process 0 counts.

    Raises:
        RunError: If the directory cannot be written to.
    """

    def __init__(
        self,
        path: pathlib.Path,
        *,
        keep: int,
        team: Team,
        best: Callable[[], Collection[int]] = tuple,
    ) -> None:
        self._path, self._team, self._latest = path, team, None
        if team.leads:
            super().__init__(path, keep=keep, best=best)
        self._latest = team.told(self._latest)
        # Not Orbax's manager: in a process that could not write its part it would wait for the
        # others before it says so, and they for it.
        self._writer = ocp.AsyncCheckpointer(
            ocp.CompositeCheckpointHandler(),
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=0, active_processes=set(range(team.count))
            ),
        )

    def save(self, step: int, state: PyTree, notes: dict[str, Any]) -> None:
        """Starts writing a checkpoint, unless the latest checkpoint is of the same step.

        Each process copies its part of the state on its devices before this method returns.

        Args:
            step: Number of completed train steps.
            state: The state, of arrays on the devices of all processes.
            notes: Notes of the run, of JSON types; those of process 0 are written.

        Raises:
            NotFinite: In all processes, if the state is not finite.
            RunStopped: If this checkpoint or the previous one could not be written.
        """
        if step == self._latest:
            return
        self.wait()
        leaves, keys = saved_state.bits_by_path(state)
        layout = {name: Layout.of(leaf)._asdict() for name, leaf in leaves.items() if leaf.size}
        of_all = self._team.gathered(
            checkpoint_digest.hashed({name: leaves[name] for name in layout})
        )
        _require_finite(step, [name for hashed in of_all for name in hashed["broken"]])
        digests: dict[str, dict[str, str]] = {name: {} for name in layout}
        for hashed in of_all:
            for name, parts in hashed["digests"].items():
                digests[name].update(parts)
        meta = {"format": _IN_PARTS, "step": step, "keys": keys, "notes": notes, "layout": layout}
        meta = _copied(meta)
        meta["digest"] = checkpoint_digest.of_parts(digests, meta)
        copies = {name: _copied_on_devices(leaves[name]) for name in layout}
        try:
            self._writer.save((self._path / str(step)).absolute(), args=_items(copies, meta))
        except Exception as error:
            raise self._failed(error) from error
        self._latest = step

    def save_alone(self, step: int, state: PyTree, notes: dict[str, Any]) -> None:
        """Writes a whole checkpoint in process 0, while the others wait, such as for its end."""
        self.wait()
        if step != self._latest:
            super().save(step, state, notes)
            super().wait()

    def wait(self) -> None:
        """Waits until all checkpoints are on the disk, and process 0 has deleted old ones.

        Raises:
            RunStopped: If a part of this process could not be written, or another process has not
                written its own.
        """
        try:
            self._writer.wait_until_finished()
            if self._team.leads:
                self._manager.reload()
                steps = steps_in(self._path)
                for step in set(steps) - self._policy.kept(steps):
                    self._manager.delete(step)
        except Exception as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Ends the writing threads. All processes have to be there."""
        with contextlib.suppress(Exception):  # reported by save or wait already
            self._writer.close()
        if self._team.leads:
            super().close()


class NoCheckpoints(Checkpoints):
    """The checkpoints of a process that leaves it to another one to write them."""

    def __init__(self) -> None:
        return

    def save(self, step: int, state: PyTree, notes: dict[str, Any]) -> None:
        """Writes nothing."""

    def wait(self) -> None:
        """Waits for nothing."""

    def close(self) -> None:
        """Has nothing to end."""


def _items(arrays: Mapping[str, Any], meta: dict[str, Any]) -> ocp.args.Composite:
    return ocp.args.Composite(state=ocp.args.StandardSave(arrays), meta=ocp.args.JsonSave(meta))


def _by_itself() -> ocp.options.MultiprocessingOptions:
    """Makes Orbax wait for no other process: of several, one writes, and each reads for itself.

    So a process can save while others compile, and the death of another one breaks off no save.
    """
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=index, active_processes={index}, barrier_sync_key_prefix=f"process{index}"
    )


@dataclasses.dataclass(frozen=True)
class _LatestAndBest:
    """Preservation policy that keeps the latest and the best checkpoints.

    Orbax's own policy reads the metrics that were saved with a checkpoint. Here a state may be
    evaluated after it was saved.
    """

    keep: int
    best: Callable[[], Collection[int]]

    def kept(self, steps: Sequence[int]) -> set[int]:
        """Returns the steps whose checkpoints are kept."""
        return {*sorted(steps)[-self.keep :], *self.best()}

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = self.kept(steps)
        return [step in kept for step in steps]


def steps_in(path: pathlib.Path) -> list[int]:
    """Returns the steps that have a complete checkpoint in the directory, in ascending order.

    Entries whose name is not a number of steps are ignored.

    Raises:
        RunError: If the directory cannot be read.
    """
    try:
        if not path.exists():
            return []
        names = [entry.name for entry in path.iterdir() if _NAME.fullmatch(entry.name)]
        return sorted(int(name) for name in names if (path / name).is_dir())
    except OSError as error:
        raise RunError(f"{path} cannot be read: {files.reason(error)}") from error


def read(path: pathlib.Path, step: int) -> Saved:
    """Reads a checkpoint and verifies its digest.

    Args:
        path: The directory of the checkpoints.
        step: The step of the checkpoint.

    Raises:
        RunError: If the checkpoint is damaged: it cannot be read, or its digest is wrong.
        run_directory.Newer: If a newer version of the library wrote it.
    """
    folder = path / str(step)
    try:
        meta = _restored(folder, meta=ocp.args.JsonRestore())["meta"]
        if not isinstance(meta, dict):
            raise ValueError("its metadata are not a JSON object")
        run_directory.require_format(meta, folder, newest=_IN_PARTS)
        layout = {name: Layout(**layout) for name, layout in meta.get("layout", {}).items()}
        found = _restored(
            folder, state=ocp.args.StandardRestore(checkpoint_digest.templates(layout))
        )["state"]
        arrays = {name: np.asarray(value) for name, value in found.items()}
        stored = meta.pop("digest")
        computed = (
            checkpoint_digest.of_whole_in_parts(arrays, layout, meta)
            if layout
            else checkpoint_digest.of_whole(arrays, meta)
        )
        if stored != computed:
            raise ValueError("its digest differs from the one that was stored")
        _require_types(meta, step)
        return Saved(meta["step"], arrays, meta["keys"], meta["notes"])
    except run_directory.Newer:
        raise
    except (TypeError, AttributeError, IndexError) as error:  # from a reader
        raise RunError(
            f"the checkpoint {folder} is damaged: its entries are of other types than were written"
        ) from error
    except Exception as error:  # a damaged file can raise anything
        raise RunError(f"the checkpoint {folder} is damaged: {files.reason(error)}") from error


def _restored(folder: pathlib.Path, **items: Any) -> Any:
    """Returns items of a checkpoint."""
    handler = ocp.CompositeCheckpointHandler()
    reading = ocp.Checkpointer(handler, multiprocessing_options=_by_itself())
    with _quietly(), reading as reader:
        return reader.restore(folder.absolute(), args=ocp.args.Composite(**items))


def _require_types(meta: Mapping[str, Any], step: int) -> None:
    """Raises ValueError if `meta` does not have the types that `Checkpoints` writes."""
    keys, notes = meta["keys"], meta["notes"]
    if meta["step"] != step:
        raise ValueError(f"its metadata are of step {meta['step']!r}")
    if not isinstance(keys, dict) or not all(isinstance(name, str) for name in keys.values()):
        raise ValueError("the PRNGs of its random keys are not named")
    log = notes.get("log", {}) if isinstance(notes, dict) else None
    if not isinstance(log, dict):
        raise ValueError("its notes are not a JSON object")
    sums = log.get("sums", {})
    numbers = (log.get("logged", 0), log.get("seconds", 0.0))
    if not isinstance(sums, dict) or not all(type(n) in (int, float) for n in numbers):
        raise ValueError("its notes on the log are not numbers")
    if any(np.asarray(pairs, np.float64).shape[-1:] != (2,) for pairs in sums.values()):
        raise ValueError("its sums of the log are not pairs of a total and a count")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silences the libraries that read a checkpoint.

    They log errors about a damaged file. The caller reports the damage in one sentence instead.
    """
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with closed_loops_dropped():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def closed_loops_dropped() -> Iterator[None]:
    """Drops the tracebacks of threads that outlive the event loop of a failed read or write.

    Orbax raises the failure itself, and its threads report the closed loop dozens of times.
    """
    hook = sys.unraisablehook

    def drop(unraisable: Any) -> None:
        if not isinstance(unraisable.exc_value, RuntimeError):
            hook(unraisable)

    sys.unraisablehook = drop
    try:
        yield
    except Exception:
        time.sleep(_MOMENT)  # the last threads live a moment longer
        raise
    finally:
        sys.unraisablehook = hook


def latest(path: pathlib.Path, *, report: Callable[[str], None]) -> Saved | None:
    """Reads the latest undamaged checkpoint.

    Args:
        path: The directory of the checkpoints.
        report: Called with a sentence for each damaged checkpoint that is skipped.

    Returns:
        The checkpoint, or None if there are no checkpoints.

    Raises:
        RunError: If all checkpoints are damaged.
        run_directory.Newer: If a newer version of the library wrote the latest one.
    """
    steps = steps_in(path)
    for step in reversed(steps):
        try:
            return read(path, step)
        except run_directory.Newer:
            raise
        except RunError as error:
            report(f"{error}; trying the previous one")
    if steps:
        raise RunError(f"all {len(steps)} checkpoints in {path} are damaged")
    return None


def set_aside(path: pathlib.Path, aside: pathlib.Path, *, after: int) -> list[str]:
    """Moves checkpoints that must not be resumed from to another directory.

    Besides the later checkpoints, it moves all entries that are not checkpoints but have a number
    as their name. Orbax would take them for checkpoints.

    Args:
        path: The directory of the checkpoints.
        aside: The directory to move them to. It is created if needed.
        after: Checkpoints of later steps are moved.

    Returns:
        The names of the entries that are not checkpoints.
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
    """Returns whether Orbax would take the name for a step."""
    try:
        int(name)
    except ValueError:
        return name.isdigit()
    return True


def _copied_on_devices(leaf: jax.Array) -> jax.Array:
    """Returns a copy of the array, whose own memory may be donated while the copy is written."""
    parts = [jnp.copy(shard.data) for shard in leaf.addressable_shards]
    return jax.make_array_from_single_device_arrays(leaf.shape, leaf.sharding, parts)


def _copied(meta: dict[str, Any]) -> dict[str, Any]:
    """Returns a copy to be written in another thread: the values of notes may change before."""
    return json.loads(json.dumps(meta))


def _require_finite(step: int, broken: Sequence[str]) -> None:
    if broken:
        raise NotFinite(
            f"the state after step {step} is not finite, {min(broken)} first of "
            f"{len(set(broken))} arrays, and was not saved"
        )
