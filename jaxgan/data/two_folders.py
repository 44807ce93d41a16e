"""Two folders named in one text, as the place of two domains: `horses::zebras`."""

from __future__ import annotations

import pathlib

from jaxgan import files

SEPARATOR = "::"


def joined(a: str, b: str) -> str:
    """Returns the text that names the folders of domains a and b."""
    return f"{a}{SEPARATOR}{b}"


def parted(place: str) -> tuple[str, ...]:
    """Returns the two folders that a text names, or the text itself if it names one.

    A folder may have the separator in its own name. The parts that exist decide.

    Args:
        place: the path of a folder, or two of them with `SEPARATOR` between.
    """
    if SEPARATOR not in place or _is_folder(place):
        return (place,)
    words = place.split(SEPARATOR)
    cuts = [
        (SEPARATOR.join(words[:cut]), SEPARATOR.join(words[cut:])) for cut in range(1, len(words))
    ]
    return next((cut for cut in cuts if all(map(_is_folder, cut))), cuts[0])


def _is_folder(place: str) -> bool:
    return files.is_folder(pathlib.Path(place).expanduser())
