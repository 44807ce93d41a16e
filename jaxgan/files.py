"""Files as other people and systems name and write them: names in words, text in lines.

Imports nothing of this package, so that everything may use it.
"""

from __future__ import annotations

import codecs
import errno
import os
import pathlib
import unicodedata
from collections.abc import Iterable

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
