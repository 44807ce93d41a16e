"""Where a run takes place: versions, devices, the code's revision, the cache of programs."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess
from importlib import metadata
from typing import Any

import jax

import jaxgan

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


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


def use_compilation_cache() -> list[str]:
    """Has JAX keep compiled programs in the user's cache folder; returns notes where it cannot.

    The folder is $JAX_COMPILATION_CACHE_DIR, which JAX heeds by itself, or jaxgan in
    $XDG_CACHE_HOME or ~/.cache.
    """
    if jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
        return []
    home = os.path.expanduser("~")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    folder = pathlib.Path(base) / "jaxgan" / "compiled"
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
