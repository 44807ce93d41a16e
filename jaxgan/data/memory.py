"""Memory that is available for data."""

from __future__ import annotations

import os
import pathlib

from jaxgan.data.errors import DataError

_CGROUP = pathlib.Path("/sys/fs/cgroup")
_MEMINFO = pathlib.Path("/proc/meminfo")


def require(needed: int, *, name: str, what: str) -> None:
    """Raises DataError if there is not enough free memory.

    Args:
        needed: bytes that are needed.
        name: the name of the data, for the message.
        what: what needs the memory, in the plural.

    Raises:
        DataError: if fewer than `needed` bytes are free.
    """
    free = available()
    if free is not None and needed > free:
        raise DataError(
            f"{name}: {what} need {gigabytes(needed)} of memory and {gigabytes(free)} are free; "
            "give a lower --resolution, use fewer images, or free some memory"
        )


def available() -> int | None:
    """Returns the bytes that are free on the machine and in the container, or None if unknown."""
    limits = [limit for limit in (_of_machine(), _of_container()) if limit is not None]
    return max(min(limits), 0) if limits else None


def _of_machine() -> int | None:
    try:
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:  # without /proc (macOS): installed memory, since free memory is not reported
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _of_container() -> int | None:
    """Returns the bytes that a cgroup (version 2) leaves; droppable file pages count as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return None if limit == "max" else int(limit) - used + int(stat.get("inactive_file", 0))
    except (OSError, ValueError):
        return None


def gigabytes(count: int) -> str:
    """Returns a number of bytes as words, such as '1.50 GB'."""
    return f"{count / 1e9:,.2f} GB"
