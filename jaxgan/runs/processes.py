"""Several processes that train one model: what they agree on, and how they end.

All processes run the same program, and every train step is one computation on the devices of all of
them. Process 0 alone writes the run directory, but for checkpoints of split parameters, which all
write (`checkpoint.SharedCheckpoints`). What only it does, such as a picture, it does with the whole
state, while the others wait for it.

A process that ends for a reason of its own leaves the others waiting in a computation that it will
never join. So it ends at once, without the usual clean-up, which would wait for them in turn.
Whoever started the processes ends the others, as `jaxgan launch` does; without such a one they end
as soon as they miss its sign of life.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import itertools
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan import files, parallel
from jaxgan.runs import errors, interrupts
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import Interrupted, RunError, RunStopped
from jaxgan.types import PyTree

HEARTBEAT = 15
"""Seconds without a sign of life after which a process counts as dead, and the others end."""

_LONG = 7 * 24 * 3600  # seconds: what process 0 does alone, such as an evaluation, may take hours
_FAREWELL = 12  # seconds in which process 0 saves while the others wait to end
_WORDS = 256  # bytes by which messages between processes grow: each size is compiled once
_LOST = re.compile("gloo|nccl|coordination service|barrier|heartbeat", re.IGNORECASE)


class Team:
    """The processes of a run, as one of them sees them. By default, it is the only one.

    Args:
        index: The number of this process.
        count: The number of processes.
    """

    def __init__(self, index: int = 0, count: int = 1) -> None:
        self.index, self.count = index, count
        self.parted = False
        self._waits = itertools.count()

    @property
    def leads(self) -> bool:
        """Returns whether this process writes what is to be written once."""
        return self.index == 0

    @property
    def alone(self) -> bool:
        """Returns whether there is no other process."""
        return self.count == 1

    def wait(self) -> None:
        """Waits until all processes are here.

        This uses no device, so that it may take long: on a CPU, a computation that waits for
        another process for half a minute fails.
        """
        self._meet(f"jaxgan {next(self._waits)}", _LONG)

    def _meet(self, name: str, seconds: int) -> None:
        if not self.alone:
            ocp.multihost.get_barrier_sync_fn()(key=name, timeout_ms=1000 * seconds)

    def told(self, value: Any) -> Any:
        """Returns the value of process 0, of JSON types, in every process."""
        if self.alone:
            return value
        self.wait()
        content = json.dumps(value).encode() if self.leads else b""
        size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
        room = np.zeros(-(-size // _WORDS) * _WORDS, np.uint8)
        if self.leads:
            room[:size] = np.frombuffer(content, np.uint8)
        return json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(room))[:size]))

    def gathered(self, value: Any) -> list[Any]:
        """Returns the values of all processes, of JSON types, in the order of their numbers.

        Args:
            value: That of this process.
        """
        if self.alone:
            return [value]
        self.wait()
        content = json.dumps(value).encode()
        sizes = multihost_utils.process_allgather(np.int32(len(content)))
        room = np.zeros(-(-int(max(sizes)) // _WORDS) * _WORDS, np.uint8)
        room[: len(content)] = np.frombuffer(content, np.uint8)
        rooms = np.asarray(multihost_utils.process_allgather(room))
        return [json.loads(bytes(each[:size])) for each, size in zip(rooms, sizes, strict=True)]

    def agreed(self, here: bool) -> bool:
        """Returns, in every process, whether it holds in one of them.

        Args:
            here: Whether it holds in this process.
        """
        return here if self.alone else bool(self._anywhere(here))

    def _anywhere(self, here: bool) -> jax.Array:
        """Returns the greatest of all processes' values, without waiting for it."""
        share = parallel.share_of(self._mesh.size, self._mesh)
        assert share is not None
        values = np.full(len(share.rows), here, np.int32)
        return self._largest(parallel.shard(values, self._mesh, share=share))

    @functools.cached_property
    def _mesh(self) -> Mesh:
        return parallel.data_mesh()

    @property
    def _everywhere(self) -> NamedSharding:
        return NamedSharding(self._mesh, PartitionSpec())

    @functools.cached_property
    def _largest(self) -> Any:
        return jax.jit(jnp.max, out_shardings=self._everywhere)

    @functools.cached_property
    def _gather(self) -> Any:
        return jax.jit(lambda leaves: leaves, out_shardings=self._everywhere)

    def asking(self, request: interrupts.Request, *, ahead: int) -> Callable[[], bool]:
        """Returns what to ask after every call: whether any process was asked to stop.

        All processes get the same answer, so that all stop after the same step.

        Args:
            request: What asks this process to stop. It is asked, too, if another one was.
            ahead: Calls by which the answer is late, so that the device does not wait for it.
        """
        if self.alone:
            return request
        waiting: collections.deque[jax.Array] = collections.deque()

        def asked() -> bool:
            waiting.append(self._anywhere(request()))
            return len(waiting) > ahead and self._noted(bool(waiting.popleft()), request)

        return asked

    def asked(self, request: interrupts.Request) -> bool:
        """Returns, in every process, whether any was asked to stop by now.

        Args:
            request: What asks this process to stop. It is asked, too, if another one was.
        """
        return self._noted(self.agreed(request()), request)

    def _noted(self, asked: bool, request: interrupts.Request) -> bool:
        if asked:
            request.note(signal.SIGTERM)  # unless it has been asked by itself
        return asked

    def whole(self, state: PyTree) -> PyTree:
        """Returns the state with every array whole on a device of this process.

        All processes have to call this. Arrays that are whole already are not copied: donating the
        state donates them.

        Args:
            state: Tree of arrays on the devices of all processes.
        """
        if self.alone:
            return state
        leaves, structure = jax.tree.flatten(state)
        split = [i for i, leaf in enumerate(leaves) if not leaf.is_fully_replicated]
        if split:
            gathered = self._gather([leaves[i] for i in split])
            for i, leaf in zip(split, gathered, strict=True):
                leaves[i] = leaf
        return jax.tree.unflatten(structure, [leaf.addressable_data(0) for leaf in leaves])

    def require_same(self, found: Mapping[str, Any], *, words: str) -> None:
        """Checks that all processes have found the same.

        Args:
            found: What this process has found, of JSON types, by its name.
            words: What to do if it differs.

        Raises:
            RunError: In all processes, if one has found something else than process 0.
        """
        if self.alone:
            return
        of_first = self.told(dict(found))
        mine = json.loads(json.dumps(dict(found)))
        differing = [name for name in mine if mine[name] != of_first.get(name)]
        if not self.agreed(bool(differing)):
            return
        if not differing:
            raise RunError(f"another process has found something else than process 0: {words}")
        name = differing[0]
        raise RunError(
            f"process {self.index} has found {name} {files.shortened(mine[name])} and process 0 "
            f"{files.shortened(of_first.get(name))}: {words}"
        )

    def leave(self, say: Callable[[], str]) -> str:
        """Returns the last words of a process that ends before the others have stopped.

        Others wait a little for process 0, whose end would end them.

        Args:
            say: Saves, in process 0, and returns the last words.
        """
        words = say()
        with contextlib.suppress(Exception):  # the others may not have been asked
            self._meet("jaxgan leaves", _FAREWELL)
        if self.leads and not self.alone:
            time.sleep(0.5)
        return words

    def part(self) -> None:
        """Waits until all processes are here; from then on each may end as it likes."""
        if not self.alone:
            self.wait()
            jax.distributed.shutdown()
        self.parted = True


def are_several(config: RunConfig) -> bool:
    """Returns whether the process is one of several that train together."""
    return config.distributed or config.coordinator is not None


def check(config: RunConfig) -> None:
    """Checks that the flags of several processes fit together.

    Raises:
        RunError: If they do not.
    """
    by_hand = {
        "--coordinator": config.coordinator,
        "--processes": config.processes,
        "--process": config.process,
    }
    given = [flag for flag, value in by_hand.items() if value is not None]
    if given and len(given) < len(by_hand):
        missing = next(flag for flag in by_hand if flag not in given)
        raise RunError(
            f"{given[0]} is given without {missing}; give all of {', '.join(by_hand)}, or "
            "--distributed where the cluster says them"
        )
    if not are_several(config):
        return
    if config.coordinator is not None and not re.fullmatch(r".+:[0-9]+", config.coordinator):
        raise RunError(f"--coordinator is {config.coordinator}; expected HOST:PORT")
    if config.process is not None and config.process >= (config.processes or 0):
        raise RunError(
            f"--process is {config.process}, but --processes {config.processes} counts them "
            f"from 0 to {(config.processes or 0) - 1}"
        )
    if config.models > 1:
        many = "--sweep" if config.sweep else f"--seeds {config.seeds}"
        raise RunError(
            f"{many} trains models next to each other in one process; start a run for each instead"
        )
    if config.parallel == "pmap":
        raise RunError(
            "--parallel pmap splits a batch over the devices of one process; with several "
            "processes use jit or shard_map"
        )


@contextlib.contextmanager
def joined(config: RunConfig, request: interrupts.Request) -> Iterator[Team]:
    """Meets the other processes, and yields the team.

    If there are several, an exception inside the block ends the process after one sentence,
    unless they have parted (`Team.part`) before.

    Args:
        config: The configuration; by default of a process that is alone.
        request: What asks the process to stop.

    Raises:
        RunError: If nothing says which processes there are.
        RunStopped: If they cannot be met.
    """
    if not are_several(config):
        yield Team()
        return
    with request.droppable("interrupted before all processes had met: nothing to save"):
        _initialize(config)
        team = Team(jax.process_index(), jax.process_count())
    try:
        yield team
    except BaseException as error:
        if team.parted:
            raise
        _end(error, team)
    if not team.parted:
        team.part()


def _initialize(config: RunConfig) -> None:
    by_hand = {}
    if config.coordinator is not None:
        by_hand = {
            "coordinator_address": config.coordinator,
            "num_processes": config.processes,
            "process_id": config.process,
        }
    # JAX's own service would take SIGTERM away from `interrupts`, and knows no Ctrl-C.
    with contextlib.suppress(AttributeError):
        jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            **by_hand, heartbeat_timeout_seconds=HEARTBEAT, shutdown_timeout_seconds=_FAREWELL
        )
    except (ValueError, TypeError) as error:
        raise RunError(
            f"--distributed: nothing says which processes there are ({files.reason(error)}); "
            "give --coordinator, --processes and --process"
        ) from error
    except Exception as error:
        raise RunStopped(f"the processes could not meet: {files.reason(error)}") from error


def _end(error: BaseException, team: Team) -> None:
    """Says why this process cannot go on, and ends it at once."""
    code, words = _last_words(error, team)
    if words:
        errors.complain(words)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _last_words(error: BaseException, team: Team) -> tuple[int, str]:
    if isinstance(error, Interrupted):
        return error.code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, f"process {team.index} was interrupted"
    if isinstance(error, errors.NotFinite) and not team.leads:
        time.sleep(_FAREWELL)  # all have found the same; process 0 says it
        return error.code, ""
    if isinstance(error, RunError):
        return error.code, f"error: {error}"
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else 1), ""
    if _LOST.search(str(error)):
        return 1, f"error: process {team.index} has lost another one: {files.reason(error)}"
    traceback.print_exception(error)
    return 1, f"error: process {team.index} has failed: {files.reason(error)}"
