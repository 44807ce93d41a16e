"""Safe file access: atomic writes, bounded reads, and names that every system can print.

No write follows a link, and no read waits for a pipe, because the files may come from others.

This module imports nothing from this package, so that every module may use it.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import pathlib
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterable

import platformdirs

MOST_BYTES = 2**31
"""Largest size of a file that is read into memory as a whole."""

RUN_LOCK = ".jaxgan.lock"
"""Name of the lock file in a run directory."""

MADE = ".jaxgan.made"
"""Name of the file that lists the images in its folder that a tool wrote, so that no data show
them.
"""

_PARTIAL = re.compile(r"\.jaxgan\.[0-9a-f]{16}\.partial")

# Some of these flags do not exist on every system.
_CAREFULLY = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)
_LONGEST = 300  # characters of a reason

_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, line separators
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def printable(name: object) -> str:
    r"""Returns the name, or a sentence with names in it, in printable characters.

    The result can be printed and encoded everywhere. A byte that is not valid UTF-8 becomes an
    escape like `\xff`. So does a control character, which could end the line, color the terminal or
    reverse the reading direction. Everything else is unchanged.
    """
    text = str(name)
    return text if text.isprintable() else "".join(map(_seen, text))


def shown(text: str) -> str:
    """Returns a text of one or several lines, each as `printable` returns it."""
    return "\n".join(map(printable, text.split("\n")))


def shortened(name: object, longest: int = 100) -> str:
    """Returns the printable name; a long one keeps only its beginning and its end.

    Args:
        name: The name.
        longest: Largest number of characters.
    """
    text = printable(name)
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def is_file(path: pathlib.Path) -> bool:
    """Returns whether the file exists; False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: pathlib.Path) -> bool:
    """Returns whether the folder exists; False for a name that no folder can have."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def exists(path: pathlib.Path) -> bool:
    """Returns whether the path exists; False for a name that nothing can have."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def lies_in(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Returns whether the path, with all links followed, is in the folder.

    Args:
        path: The path.
        folder: The folder.
    """
    real = os.path.realpath(folder)
    return os.path.commonpath([real, os.path.realpath(path)]) == real


def lines(path: pathlib.Path) -> list[str]:
    """Returns the lines of a text file from any operating system.

    The encoding is UTF-8, with or without a byte order mark, or UTF-16 with one. Lines end with LF,
    CRLF or CR, and with nothing else.

    Raises:
        OSError: If the file cannot be read.
        UnicodeDecodeError: If it is not such a text.
    """
    content = path.read_bytes()
    text = content.decode("utf-16" if content.startswith(_WIDE) else "utf-8")
    ended = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # Concatenated files have a byte order mark at the beginning of each.
    return [line.removeprefix("\ufeff") for line in ended]


class Names:
    """A set of names that finds a name in either Unicode form of its accents."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._alike: dict[str, list[str]] = {}
        for name in sorted(self._names):
            self._alike.setdefault(composed(name), []).append(name)

    def find(self, name: str) -> list[str]:
        """Returns [name] if it is in the set, else the names that differ in the form of accents."""
        return [name] if name in self._names else self._alike.get(composed(name), [])


def composed(name: str) -> str:
    """Returns the name with composed accents (NFC). File systems store either form."""
    return unicodedata.normalize("NFC", name)


def _seen(character: str) -> str:
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character in _TURNING or unicodedata.category(character) in _UNSEEN:
        return character.encode("unicode_escape").decode("ascii")
    return character


def is_run_record(content: object) -> bool:
    """Returns whether the parsed content of a config.json is the record of a run."""
    return isinstance(content, dict) and {"experiment", "config", "data"} <= content.keys()


def read(path: pathlib.Path, *, most: int = MOST_BYTES) -> bytes:
    """Returns the content of a regular file; links to one are followed.

    Args:
        path: The file.
        most: Largest size in bytes.

    Raises:
        OSError: If the file cannot be read, is larger, or is not a regular file (a pipe has no
            end).
    """
    flags = os.O_RDONLY | _CAREFULLY & ~getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        _require_regular(found, path)
        if found.st_size > most:
            raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, more than {most}", str(path))
        return file.read(most)


def append(path: pathlib.Path, content: str | bytes) -> None:
    """Appends to a regular file with one write, and creates the file if it does not exist.

    Args:
        path: The file.
        content: Bytes, or text, which is encoded as UTF-8.

    Raises:
        OSError: If the write fails, or the path is a link.
    """
    _write(path, content, os.O_APPEND | os.O_CREAT)


def write_whole(path: pathlib.Path, content: str | bytes) -> None:
    """Writes the file atomically: neither a reader nor a crash ever sees half of it.

    A link is replaced, and its target left unchanged.

    Args:
        path: The file.
        content: Bytes, or text, which is encoded as UTF-8.

    Raises:
        OSError: If the write fails.
    """
    partial = path.with_name(f".jaxgan.{secrets.token_hex(8)}.partial")
    try:
        _write(partial, content, os.O_EXCL | os.O_CREAT, to_disk=True)
        os.replace(partial, path)
    except BaseException:  # also Ctrl-C: an incomplete file must not stay
        partial.unlink(missing_ok=True)
        raise


def is_partial(name: str) -> bool:
    """Returns whether a file of this name was left behind by a `write_whole` that was killed."""
    return _PARTIAL.fullmatch(name) is not None


def mark_made(path: pathlib.Path) -> None:
    """Notes in the file `MADE` of the folder that a tool writes this image (see `made_in`).

    Args:
        path: The image; its folder exists.

    Raises:
        OSError: If the folder cannot be written to.
    """
    if not (exists(path) and path.name in made_in(path.parent)):
        append(path.parent / MADE, json.dumps(path.name) + "\n")


def made_in(folder: pathlib.Path) -> frozenset[str]:
    """Returns the names of the images in a folder that a tool wrote; none if there is no list."""
    try:
        written = read(folder / MADE).decode().split("\n")
    except (OSError, ValueError):
        return frozenset()
    return frozenset(filter(None, map(_name_in, written)))


def _name_in(line: str) -> str | None:
    """Returns the name that a line of `MADE` holds, or None for a damaged line."""
    try:
        name = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return name if isinstance(name, str) else None


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
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))


def cache_folder(kind: str) -> pathlib.Path:
    """Returns the user's folder for files that can be recreated.

    It is `kind` in the system's cache folder for jaxgan, which is $XDG_CACHE_HOME/jaxgan or
    ~/.cache/jaxgan on Linux.
    """
    return platformdirs.user_cache_path("jaxgan", appauthor=False) / kind


def reason(error: BaseException) -> str:
    """Returns why an operation failed, in one line.

    It is the operating system's message, even if a library has quoted it.
    """
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
