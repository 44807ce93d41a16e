"""Files: written whole or not at all, read within bounds, named and written by any system.

No write follows a link, and no read waits for a pipe: somebody else may have laid the files.

Imports nothing of this package, so that everything may use it.
"""

from __future__ import annotations

import codecs
import errno
import os
import pathlib
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterable

import platformdirs

MOST_BYTES = 2**31
"""Of a file that is read whole."""

RUN_LOCK = ".jaxgan.lock"
"""The name of the lock in a run directory."""

_PARTIAL = re.compile(r"\.jaxgan\.[0-9a-f]{16}\.partial")

# What a system lacks of these it cannot be asked for.
_CAREFULLY = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO)
_LONGEST = 300  # letters of a reason

_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # control characters, surrogates, separators of lines
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def printable(name: object) -> str:
    """The name (or a sentence with names in it) in characters that can be printed and encoded.

    What stands for a byte that is no UTF-8 becomes `\\xff`; so do control characters, which could
    end the line, color the terminal or turn the direction of reading. All else stays as it is.
    """
    text = str(name)
    return text if text.isprintable() else "".join(map(_seen, text))


def shortened(name: object, longest: int = 100) -> str:
    """The printable name, of which a long one keeps its beginning and its end."""
    text = printable(name)
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def is_file(path: pathlib.Path) -> bool:
    """Whether there is such a file; a name that no file can have names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: pathlib.Path) -> bool:
    """Whether there is such a folder; a name that no folder can have names none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def exists(path: pathlib.Path) -> bool:
    """Whether there is anything of this name; a name that nothing can have names nothing."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def lies_in(path: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether what the path leads to, over every link, lies in the folder."""
    real = os.path.realpath(folder)
    return os.path.commonpath([real, os.path.realpath(path)]) == real


def lines(path: pathlib.Path) -> list[str]:
    """The lines of a text file, whatever system wrote it: UTF-8 with a mark of the byte order or
    without one, or UTF-16 with one; a line ends by LF, CRLF or CR, and by nothing else.

    Raises OSError where it cannot be read, and UnicodeDecodeError where it is no such text.
    """
    content = path.read_bytes()
    text = content.decode("utf-16" if content.startswith(_WIDE) else "utf-8")
    ended = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # Files that were put one behind another have a mark at the beginning of each.
    return [line.removeprefix("\ufeff") for line in ended]


class Names:
    """Names that others are looked up among, however either writes its accents."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = set(names)
        self._alike: dict[str, list[str]] = {}
        for name in sorted(self._names):
            self._alike.setdefault(composed(name), []).append(name)

    def find(self, name: str) -> list[str]:
        """The name itself or, where there is none such, those that differ in how their accents are
        stored.
        """
        return [name] if name in self._names else self._alike.get(composed(name), [])


def composed(name: str) -> str:
    """The name with its accents in one character each (NFC): file systems store them either way."""
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
