"""What the processor of this machine can do, as Linux tells."""

from __future__ import annotations

import functools
import os
import pathlib

CPU = pathlib.Path("/proc/cpuinfo")

LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that keep oneDNN from instructions that the processor has."""

_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16"})


def description() -> str:
    """Returns the name and the features of the processor, or '' where Linux does not tell."""
    return _described(CPU)


@functools.cache
def _described(place: pathlib.Path) -> str:
    try:
        lines = place.read_text().splitlines()
    except OSError:
        return ""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())  # that of the first core
    return " ".join(fields.get(name, "") for name in ("model name", "flags"))


def multiplies_bfloat16() -> bool:
    """Returns whether oneDNN multiplies bfloat16 numbers faster than float32 ones here.

    It does by the instructions of AVX512-BF16 and AMX, which x86 servers have since 2020 (Intel)
    and 2022 (AMD). By others it would round and multiply in float32, which is slower.
    """
    limited = any(os.environ.get(name) for name in LIMITS)
    return not limited and not _BFLOAT16.isdisjoint(description().split())
