"""Names of files, as they can be printed. Imports no JAX."""

from __future__ import annotations

import os


def printable(name: str | os.PathLike[str]) -> str:
    """The name as text that every log can hold: bytes that are no UTF-8 are backslash-escaped."""
    return os.fspath(name).encode("utf-8", "backslashreplace").decode("utf-8")


def cache_folder(kind: str) -> pathlib.Path:
    """Where the user keeps what can be made again: jaxgan/KIND in $XDG_CACHE_HOME or ~/.cache."""
    home = os.path.expanduser("~")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return pathlib.Path(base) / "jaxgan" / kind


_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)


def write_whole(path: pathlib.Path, content: str | bytes) -> None:
    """Writes the file so that a reader, or a crash, never meets half of it."""
    partial = path.with_name(path.name + ".partial")
    if isinstance(content, str):
        partial.write_text(content)
    else:
        partial.write_bytes(content)
    os.replace(partial, path)


def reason(error: BaseException) -> str:
    """Why an operation failed, in one line: what the system said, where a library has quoted it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = str(error).strip()
    for number in _DISK_ERRORS:
        if os.strerror(number) in text:
            return os.strerror(number).lower()
    return text.partition("\n")[0] or type(error).__name__
