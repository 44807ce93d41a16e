"""How much memory there is for data."""

from __future__ import annotations

import os
import pathlib

from jaxgan.data.errors import DataError

_CGROUP = pathlib.Path("/sys/fs/cgroup")
_MEMINFO = pathlib.Path("/proc/meminfo")


def require(needed: int, *, name: str, what: str) -> None:
    """Raises DataError where `needed` bytes, for `what` of the data `name`, are not free."""
    free = available()
    if free is not None and needed > free:
        raise DataError(
            f"{name}: {what} need {_gigabytes(needed)} of memory and {_gigabytes(free)} are free; "
            "give a lower --resolution, use fewer images, or free some memory"
        )


def available() -> int | None:
    """The bytes that the machine and the container have free; None where it cannot be told."""
    limits = [limit for limit in (_of_machine(), _of_container()) if limit is not None]
    return max(min(limits), 0) if limits else None


def _of_machine() -> int | None:
    try:
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:  # without /proc (macOS): what is installed, since what is free is not told
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container() -> int | None:
    """What a cgroup (version 2) leaves; file pages that can be dropped count as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return None if limit == "max" else int(limit) - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.2f} GB"
