"""Where a run takes place: versions, devices, the code's revision, the cache of programs."""

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

_UNREADABLE = "Error reading persistent compilation cache entry for "  # how JAX's warning begins

_COMPILED = "/jax/core/compile/backend_compile_duration"  # what jax.monitoring calls it


def describe(file: str) -> dict[str, Any]:
    """Versions, devices, and the git revision of the repository that tracks `file`."""
    versions = {"python": platform.python_version(), "jaxgan": jaxgan.__version__}
    versions |= {name: metadata.version(name) for name in _PACKAGES}
    devices = jax.devices()
    device = f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})"
    return {"versions": versions, "device": device, "revision": revision(file)}


def sentence(environment: dict[str, Any]) -> str:
    """The environment in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
    return f"{versions}; {environment['device']}; revision {environment['revision'] or 'unknown'}"


def revision(file: str) -> str | None:
    """The git revision of the repository that tracks `file` ('+changes' if altered), or None."""
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
    """Has JAX see a CPU as several devices, at most `most`, one a core: work that shares nothing
    runs side by side on them, where its small operations cannot use more than one.

    Does nothing where the user has set the number of devices, or JAX has counted them already.
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
    """Has the C library keep the memory that programs free, and give it to the next ones.

    A step frees its temporary arrays and the next asks for as many: handed back to the system and
    cleared page by page in between, they cost up to a fifth of a step on a CPU. What the compiler
    frees is handed back, as it lies in pieces that no step can use. Does nothing without glibc, or
    a second time.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    for option, value in (
        (_ARENA_MAX, 1),  # threads' own arenas map every large piece anew
        (_MMAP_THRESHOLD, 1 << 30),
        (_TRIM_THRESHOLD, (1 << 31) - 1),
    ):
        library.mallopt(option, value)

    def release(event: str, duration_secs: float, **_: Any) -> None:
        if event == _COMPILED:
            library.malloc_trim(0)

    jax.monitoring.register_event_duration_secs_listener(release)


def use_compilation_cache() -> list[str]:
    """Has JAX keep compiled programs in the user's cache folder; returns notes where it cannot.

    The folder is $JAX_COMPILATION_CACHE_DIR, which JAX heeds by itself, or `cache_folder`'s.
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
    """Inside the block a kept program that cannot be read is deleted and reported, so that the one
    that is then compiled is kept in its place: JAX warns, compiles, and overwrites nothing.

    JAX names the program and not the file: all that are kept under that name go.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_UNREADABLE)
        show = warnings.showwarning

        def replace(message: Warning | str, *rest: Any, **named: Any) -> None:
            found = re.match(f"{_UNREADABLE}'([^'/]+)'", str(message))
            if found is None:
                show(message, *rest, **named)
                return
            folder = pathlib.Path(jax.config.jax_compilation_cache_dir)  # pyright: ignore[reportAttributeAccessIssue]
            for entry in folder.glob(f"{glob.escape(found[1])}-*"):
                with contextlib.suppress(OSError):
                    entry.unlink()
            report(f"the program {found[1]} that was kept in {folder} is damaged and is made anew")

        warnings.showwarning = replace
        yield
