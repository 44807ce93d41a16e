"""The environment of a run: versions, devices, git revision, memory, the compilation cache."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import glob
import os
import pathlib
import platform
import re
import subprocess
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import jax

import jaxgan
from jaxgan import files

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

# Parameters of mallopt (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

_UNREADABLE = "Error reading persistent compilation cache entry for "  # start of JAX's warning

# The start of JAX's warning on a program that it cannot write, such as one with oneDNN's
# convolutions, which are known to be compiled anew.
_UNWRITABLE = "Error writing persistent compilation cache entry for .*bad_alloc"

_COMPILED = "/jax/core/compile/backend_compile_duration"  # event of jax.monitoring


def describe(file: str) -> dict[str, Any]:
    """Returns versions, devices, and the git revision of the repository that tracks `file`."""
    versions = {"python": platform.python_version(), "jaxgan": jaxgan.__version__}
    versions |= {name: metadata.version(name) for name in _PACKAGES}
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"
    return {"versions": versions, "device": device, "revision": revision(file)}


def sentence(environment: dict[str, Any]) -> str:
    """Returns the environment of `describe` in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    return f"{versions}; {environment['device']}; revision {environment['revision'] or 'unknown'}"


def revision(file: str) -> str | None:
    """Returns the git revision of the repository that tracks `file`, or None if there is none.

    The revision ends in '+changes' if tracked files have changed since.
    """
    folder = pathlib.Path(file).parent
    if _git(folder, "ls-files", "--error-unmatch", file) is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit and commit + ("+changes" if changes else "")


def _git(folder: pathlib.Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def use_cores(most: int) -> None:
    """Makes JAX treat the CPU as several devices, one per core, at most `most`.

    Independent work then runs in parallel on them, although each of its small operations can use
    only one core. Does nothing if the user has set the number of devices, or if JAX is already
    initialized.
    """
    if most == 1:
        return
    set_by_user = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if set_by_user or jax.config.jax_num_cpu_devices >= 0:  # pyright: ignore[reportAttributeAccessIssue]
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", min(most, cores or 1))


@functools.cache
def keep_freed_memory() -> None:
    """Makes the C library keep freed memory for the next allocations.

    Every step frees its temporary arrays, and the next allocates as many. Returning them to the
    system, which clears them page by page, costs up to a fifth of a step on a CPU. Memory that the
    compiler frees is returned: its fragments are of no use to a step. Does nothing without glibc,
    or on a second call.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    for option, value in (
        (_ARENA_MAX, 1),  # arenas of threads would map every large array again
        (_MMAP_THRESHOLD, 1 << 30),
        (_TRIM_THRESHOLD, (1 << 31) - 1),
    ):
        library.mallopt(option, value)

    def release(event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILED:
            library.malloc_trim(0)

    jax.monitoring.register_event_duration_secs_listener(release)


def use_compilation_cache() -> list[str]:
    """Makes JAX cache compiled programs in the user's cache folder.

    The folder is $JAX_COMPILATION_CACHE_DIR, which JAX reads itself, or that of
    `files.cache_folder`.

    Returns:
        Notes for the user: a sentence if the folder cannot be used, else none.
    """
    if jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return []
    folder = files.cache_folder("compiled")
    if not folder.is_absolute() or folder.is_relative_to("/.cache"):
        return ["compiled programs are not kept: there is no home directory"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"compiled programs are not kept: {error}"]
    if not os.access(folder, os.W_OK):
        return [f"compiled programs are not kept: {folder} cannot be written to"]
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    return []


@contextlib.contextmanager
def replacing_damaged_programs(*, report: Callable[[str], None]) -> Iterator[None]:
    """Deletes and reports, inside the block, cached programs that cannot be read.

    Says nothing of programs that the cache cannot keep.

    JAX itself warns and compiles the program, but does not overwrite the damaged file. Once that is
    deleted, the next compilation is cached. JAX names the program rather than the file, so all
    cached programs of that name are deleted.

    Args:
        report: Takes a sentence on each damaged program.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_UNREADABLE)
        show = warnings.showwarning

        def replace(message: Warning | str, *rest: Any, **named: Any) -> None:
            if re.match(_UNWRITABLE, str(message)):
                return
            found = re.match(f"{_UNREADABLE}'([^'/]+)'", str(message))
            if found is None:
                show(message, *rest, **named)
                return
            folder = pathlib.Path(jax.config.jax_compilation_cache_dir)  # pyright: ignore[reportAttributeAccessIssue]
            for entry in folder.glob(f"{glob.escape(found[1])}-*"):
                with contextlib.suppress(OSError):
                    entry.unlink()
            report(f"the compiled program {found[1]} in {folder} is damaged and is compiled again")

        warnings.showwarning = replace
        yield
