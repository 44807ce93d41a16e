"""Compares the memory that a compiled train step needs with what its devices have."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from jaxgan.data import memory
from jaxgan.runs import estimate, flags

try:
    import resource
except ImportError:  # Windows has none
    resource = None

LARGE = (
    "batch_size",
    "resolution",
    "width",
    "max_width",
    "generator_width",
    "discriminator_width",
    "blocks",
    "seeds",
)
"""Fields whose smaller values need less memory, those with the largest effect first."""


def needed(compiled: Any) -> int | None:
    """Returns the bytes that a compiled function needs on each device, or None if unknown.

    They are its arguments, its results that reuse no argument, and what lies in between.

    Args:
        compiled: What `lower(...).compile()` of a jitted function returned.
    """
    found = compiled.memory_analysis()
    if found is None:
        return None
    results = found.output_size_in_bytes - found.alias_size_in_bytes
    return found.argument_size_in_bytes + found.temp_size_in_bytes + results


def available(mesh: Mesh) -> int | None:
    """Returns the bytes of each device, or None if unknown; devices of a CPU share its free memory.

    Args:
        mesh: The devices.
    """
    here = mesh.local_devices  # of several processes each knows its own
    device = here[0]
    found = (device.memory_stats() or {}).get("bytes_limit")
    if found is not None or device.platform != "cpu":
        return found
    free = memory.available()
    return None if free is None else free // len(here)


def peak() -> int | None:
    """Returns the most bytes that this process has used so far, or None if unknown.

    They are those of the device that used most; on a CPU, those of the process.
    """
    used = [
        (device.memory_stats() or {}).get("peak_bytes_in_use") for device in jax.local_devices()
    ]
    known = [count for count in used if count is not None]
    if known:
        return max(known)
    if resource is None:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def warning(
    compiled: Any, mesh: Mesh, config: Any, names: Collection[str], *, shape: Sequence[int]
) -> str:
    """Returns a sentence that says what would help if a train step will not fit, '' if it will.

    Args:
        compiled: The compiled train step.
        mesh: The devices.
        config: The configuration of the run.
        names: The fields that the user can set.
        shape: The shape of an example: (H, W, C) for images, (D,) for points.
    """
    needs, have = needed(compiled), available(mesh)
    if needs is None or have is None or needs <= have:
        return ""
    said = (
        f"warning: a train step needs {memory.size(needs)} on each device, where "
        f"{memory.size(have)} are free"
    )
    smaller = estimate.smaller(config, [name for name in LARGE if name in names], shape=shape)
    ways = [f"a smaller {smaller} needs less"] if smaller else []
    splits = mesh.size > 1 and config.parallel == "jit" and config.models == 1
    if splits and "shard_parameters" in names and not config.shard_parameters:
        ways.append(f"{flags.flag('shard_parameters')} splits weights and optimizer states")
    on_a_cpu = mesh.local_devices[0].platform == "cpu"
    return "; ".join([said, *ways, *_lighter(config, names, on_a_cpu=on_a_cpu)])


def _lighter(config: Any, names: Collection[str], *, on_a_cpu: bool) -> list[str]:
    """Returns, as words, the flags that need less memory for the same networks and batches.

    On a CPU rematerialization does not help: XLA merges what is computed twice.
    """
    found = []
    if "accumulate" in names and config.accumulate < config.batch_size:
        found.append(
            f"a larger {flags.flag('accumulate')} (now {config.accumulate}) holds fewer examples "
            "at a time"
        )
    if "remat" in names and not config.remat and not on_a_cpu:
        found.append(f"{flags.flag('remat')} keeps fewer activations")
    if "precision" in names and config.precision != "bf16":
        found.append(f"{flags.flag('precision')} bf16 makes activations smaller")
    return found
