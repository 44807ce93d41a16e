"""The documents of the repository, taken apart: their commands, programs and links."""

from __future__ import annotations

import pathlib
import re
import shlex
import shutil
from typing import NamedTuple

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCUMENTS = [
    README,
    *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
PROGRAMS = ("jaxgan", "python", "pip", "make")
"""What a line of a block begins with if it is a command."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}\S.*\n?)+", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class Command(NamedTuple):
    """A command line of a document, as words; `inline` if it stands in a sentence."""

    document: str
    words: tuple[str, ...]
    inline: bool = False

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.words)}"


def named(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(path: pathlib.Path) -> list[Command]:
    """The commands of the document's blocks, and those in its sentences."""
    text = path.read_text(encoding="utf-8")
    prose = _FENCE.sub("", text)
    blocks = [body for language, body in _FENCE.findall(text) if not language]
    blocks += _INDENTED.findall(prose)
    found = []
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            words = _words(line)
            if words and words[0] in PROGRAMS:
                found.append(Command(named(path), words))
    for code in codes(prose):
        words = _words(code)
        if len(words) > 1 and words[0] in PROGRAMS:
            found.append(Command(named(path), words, inline=True))
    return list(dict.fromkeys(found))


def _words(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line.removeprefix(".venv/bin/"), comments=True))
    except ValueError:  # an apostrophe: no command
        return ()


def codes(text: str) -> list[str]:
    """What stands between backticks, outside of blocks, each on one line."""
    return [" ".join(code.split()) for code in _CODE.findall(_FENCE.sub("", text))]


def programs(path: pathlib.Path) -> list[str]:
    """The blocks of Python in the document."""
    text = path.read_text(encoding="utf-8")
    return [body for language, body in _FENCE.findall(text) if language == "python"]


def links(path: pathlib.Path) -> list[str]:
    """The links of the document that lead into the repository."""
    found = _LINK.findall(_FENCE.sub("", path.read_text(encoding="utf-8")))
    return [link for link in found if "://" not in link and not link.startswith("mailto:")]


def anchors(path: pathlib.Path) -> set[str]:
    """What a link may name of the document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def write_reader(folder: pathlib.Path, *, count: int, size: tuple[int, int]) -> None:
    """Writes what a reader of the documents has: photographs of two classes, and a file of theirs.

    Args:
        folder: Where.
        count: Photographs of each class.
        size: Their height and width.
    """
    pixels = np.random.default_rng(0)
    for kind in ("cats", "dogs"):
        (folder / "photos" / kind).mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(pixels.integers(0, 256, (*size, 3), np.uint8))
            image.save(folder / "photos" / kind / f"{number}.png")
    shutil.copy(folder / "photos" / "cats" / "0.png", folder / "photo.png")
    (folder / "mine.py").write_text(programs(ROOT / "docs" / "training.md")[-1])
