"""Files that somebody else may have laid: no write follows a link, no read waits for a pipe."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import secrets
import stat

MOST_BYTES = 2**31
"""Of a file that is read whole."""

_PARTIAL = re.compile(r"\.jaxgan\.[0-9a-f]{16}\.partial")

# What a system lacks of these it cannot be asked for.
_CAREFULLY = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read(path: pathlib.Path, *, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file of at most `most` bytes; links to one are followed.

    Raises OSError where it cannot be had, or the path leads to anything else: a pipe has no end.
    """
    flags = os.O_RDONLY | _CAREFULLY & ~getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        _require_regular(found, path)
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, more than {most}", str(path))
        return file.read(most)


def append(path: pathlib.Path, content: str | bytes) -> None:
    """Appends to the regular file, made if need be, with one write; UTF-8.

    Raises OSError where it cannot, or the path is a link.
    """
    _write(path, content, os.O_APPEND | os.O_CREAT)


def write_whole(path: pathlib.Path, content: str | bytes) -> None:
    """Writes the file so that a reader, or a crash, never meets half of it; a link is replaced and
    its target left alone. Raises OSError where it cannot.
    """
    partial = path.with_name(f".jaxgan.{secrets.token_hex(8)}.partial")
    try:
        _write(partial, content, os.O_EXCL | os.O_CREAT, to_disk=True)
        os.replace(partial, path)
    except BaseException:  # a full disk, or Ctrl-C: half of a file is of no use
        partial.unlink(missing_ok=True)
        raise


def is_partial(name: str) -> bool:
    """Whether a file of this name is what a killed `write_whole` left."""
    return _PARTIAL.fullmatch(name) is not None


def _write(path: pathlib.Path, content: str | bytes, flags: int, *, to_disk: bool = False) -> None:
    encoded = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with open(os.open(path, os.O_WRONLY | flags | _CAREFULLY, 0o666), "wb", buffering=0) as file:
        _require_regular(os.fstat(file.fileno()), path)
        left = memoryview(encoded)
        while left:
            left = left[file.write(left) :]
        if to_disk:
            os.fsync(file.fileno())


def _require_regular(found: os.stat_result, path: pathlib.Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))


def cache_folder(kind: str) -> pathlib.Path:
    """Where the user keeps what can be made again: KIND in the folder that the system has for
    jaxgan's caches, which is $XDG_CACHE_HOME/jaxgan or ~/.cache/jaxgan on Linux.
    """
    return platformdirs.user_cache_path("jaxgan", appauthor=False) / kind


_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)


def write_whole(path: pathlib.Path, content: str | bytes) -> None:
    """Writes the file so that a reader, or a crash, never meets half of it."""
    write_whole(path, content)


def reason(error: BaseException) -> str:
    """Why an operation failed, in one line: what the system said, where a library has quoted it."""
    if isinstance(error, OSError) and error.strerror:
        return "it is a link" if error.errno == errno.ELOOP else error.strerror.lower()
    if isinstance(error, KeyError) and error.args:
        return f"it lacks {error.args[0]!r}" if " " not in str(error.args[0]) else error.args[0]
    text = str(error).strip()
    for number in _DISK_ERRORS:
        if os.strerror(number) in text:
            return os.strerror(number).lower()
    line = text.partition("\n")[0] or type(error).__name__
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
