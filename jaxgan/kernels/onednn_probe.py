"""Whether this machine's jaxlib computes the maps of `convolution_onednn`, found out by trying.

A process of its own compares tiny maps with XLA's, so that a crash costs nothing. Its answer is
kept, by the version of jaxlib and the processor.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import pathlib
import platform
import subprocess
import sys
from importlib import metadata
from typing import Any

import jax
import numpy as np
from jax import Array

from jaxgan import files
from jaxgan.kernels import processor
from jaxgan.kernels.convolution_geometry import BFLOAT16, Geometry, plain_c, plain_k, plain_t
from jaxgan.kernels.convolution_onednn import c, k, t

_PATIENCE = 300.0  # seconds for a probe on a busy machine
_TOLERANCES = {None: 1e-5, BFLOAT16: 2e-2}  # by the precision of products


def folder() -> pathlib.Path:
    """Returns the folder that keeps what probes have found."""
    return files.cache_folder("onednn")


@functools.cache
def why_not(kept: pathlib.Path | None, precision: str | None = None) -> str | None:
    """Returns why oneDNN cannot be used on this machine, or None if it can.

    The first answer takes some seconds.

    Args:
        kept: Where to keep the answer, such as `folder()`; None: nowhere.
        precision: Precision of products: 'bfloat16', or None for that of float32.
    """
    reason = unsuited(precision)
    if reason:
        return reason
    place = kept and kept / f"{_name(precision)}.json"
    found = _read(place) if place else None
    if found is None:
        found, lasting = _probed(precision)
        if place and lasting:
            _write(place, found)
    return found or None


def unsuited(precision: str | None = None) -> str | None:
    """Returns why the processor is not one for oneDNN, or None if a probe can tell more.

    Args:
        precision: Precision of products: 'bfloat16', or None for that of float32.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"jaxlib has no oneDNN for {platform.machine()} processors"
    if "avx2" not in processor.description().split():
        return "oneDNN needs a processor with AVX2, which this one is not known to have"
    if precision == BFLOAT16 and not processor.multiplies_bfloat16():
        return "fast products of bfloat16 need AVX512-BF16 or AMX, which this CPU is not known for"
    return None


def _name(precision: str | None) -> str:
    """Returns the name of the file for this jaxlib, this processor and oneDNN's settings."""
    limits = [os.environ.get(name, "") for name in processor.LIMITS]
    digest = hashlib.sha256("\n".join([processor.description(), *limits]).encode()).hexdigest()
    parts = (metadata.version("jaxlib"), digest[:12], precision)
    return "-".join(filter(None, parts))


def _read(place: pathlib.Path) -> str | None:
    """Returns the kept answer, '' if oneDNN can be used, or None if there is none."""
    try:
        found = json.loads(place.read_text())["why_not"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _write(place: pathlib.Path, found: str) -> None:
    with contextlib.suppress(OSError):  # then the next process probes again
        place.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(place, json.dumps({"why_not": found}).encode())


@functools.cache
def _probed(precision: str | None) -> tuple[str, bool]:
    """Returns what a probe says against oneDNN, or '', and whether it will say so again."""
    surroundings = {name: value for name, value in os.environ.items() if name not in _OF_A_RUN}
    path = [str(pathlib.Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    surroundings |= {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(filter(None, path))}
    command = [sys.executable, "-c", f"import {__name__} as own; own.probe({precision!r})"]
    try:
        ended = subprocess.run(
            command, env=surroundings, capture_output=True, text=True, timeout=_PATIENCE
        )
        error = float(json.loads(ended.stdout.splitlines()[-1])["error"])
    except subprocess.TimeoutExpired:
        return f"the probe of oneDNN did not end in {_PATIENCE:g} seconds", False
    except OSError as problem:
        return f"the probe of oneDNN could not be started: {files.reason(problem)}", False
    except (ValueError, KeyError, TypeError, IndexError):
        lines = ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"]
        return f"jaxlib's oneDNN failed in a probe: {lines[-1]}", ended.returncode > 0
    if not error <= _TOLERANCES[precision]:  # NaN too
        return f"jaxlib's oneDNN differs from XLA by {error:.1e} in a probe", True
    return "", True


_OF_A_RUN = ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE")


def probe(precision: str | None) -> None:
    """Prints the largest relative difference of tiny maps from XLA's own, as JSON.

    Args:
        precision: Precision of products: 'bfloat16', or None for that of float32.
    """
    print(json.dumps({"error": difference(precision)}))


def difference(precision: str | None = None) -> float:
    """Returns the largest relative difference of tiny maps from XLA's own.

    Args:
        precision: Precision of products: 'bfloat16', or None for that of float32.
    """
    strided = Geometry((8, 7), (4, 3), (2, 2), ((1, 2), (1, 1)), 1, "auto", precision=precision)
    cases = [
        (strided, 16, 8, 4),
        (strided._replace(turned=True), 8, 16, 4),
        (strided._replace(strides=(1, 1)), 8, 8, 2),
        (strided._replace(groups=16), 16, 16, 4),
    ]
    return max(_difference(*case) for case in cases)


def _difference(geometry: Geometry, inputs: int, outputs: int, count: int) -> float:
    draws = np.random.default_rng(0)
    kernel = (inputs // geometry.groups, outputs)
    shapes = (
        (count, *geometry.image, inputs),
        (*geometry.kernel, *(kernel[::-1] if geometry.turned else kernel)),
        (count, *geometry.output, outputs),
    )
    x, w, y = (draws.normal(size=shape).astype(np.float32) for shape in shapes)

    @jax.jit
    def both(x: Array, w: Array, y: Array) -> Any:
        maps = ((c, plain_c, x, w), (t, plain_t, y, w), (k, plain_k, x, y))
        return [
            (ours(a, b, geometry=geometry), xla(a, b, geometry=geometry))
            for ours, xla, a, b in maps
        ]

    return max(float(np.max(abs(a - b)) / np.max(abs(b))) for a, b in jax.device_get(both(x, w, y)))
