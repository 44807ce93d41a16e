"""The results' files, the only source of the page: a JSON file and a picture for each piece.

    RESULTS/TABLE/PIECE.json        of the default budget
    RESULTS/TABLE/full/PIECE.json   of the full protocol

Files are written whole or not at all. Numbers are kept by seed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import files
from jaxgan.runs.errors import RunError

from . import frame


class Kept(NamedTuple):
    """A result as it was kept.

    Attributes:
        settings: The piece's settings.
        digest: Their digest.
        numbers: By measure, a number for each seed.
        seconds: Wall time, over all interruptions.
        command: The command that measures the piece again.
        environment: Versions, device, number of cores, and the code's revision.
        by: Further settings that decide the numbers, see `frame.Measured`; {} if there are none.
    """

    settings: Mapping[str, Any]
    digest: str
    numbers: Mapping[str, list[float]]
    seconds: float
    command: str
    environment: Mapping[str, Any]
    by: Mapping[str, Any] = types.MappingProxyType({})


def digest(settings: frame.Settings) -> str:
    """Returns the first 16 hexadecimal digits of the sha256 of the settings."""
    text = json.dumps(settings, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def path(results: Path, table: str, piece: str, *, budget: str) -> Path:
    """Returns the file of the piece's result.

    Args:
        results: Folder of the results.
        table: Name of the table.
        piece: Name of the piece.
        budget: Name of the budget.
    """
    folder = results / table
    return (folder / "full" if budget == "full" else folder) / f"{piece}.json"


def read(file: Path) -> Kept | None:
    """Returns the result in the file, or None if there is no file.

    Raises:
        RunError: If the file cannot be read.
    """
    try:
        content = json.loads(file.read_text())
        decoded = {name: [float(v) for v in values] for name, values in content["numbers"].items()}
        return Kept(**{**content, "numbers": decoded})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{file} is no result of a table: {error}; restore it, or delete it to measure again"
        ) from error


def write(
    file: Path,
    piece: frame.Piece,
    measured: frame.Measured,
    *,
    columns: tuple[frame.Column, ...],
    seconds: float,
    command: str,
    environment: Mapping[str, Any],
) -> None:
    """Keeps the result of a piece.

    Args:
        file: File of the result; its picture has the suffix .png.
        piece: The piece.
        measured: Its result.
        columns: The columns of its part.
        seconds: Wall time, over all interruptions.
        command: The command that measures the piece again.
        environment: Versions, device, number of cores, and the code's revision.

    Raises:
        ValueError: If a column's measure is missing, or the measures differ in their number of
            seeds.
    """
    _check(measured.numbers, columns, file)
    # JSON has no infinity and no NaN: they are kept as their names.
    content = {
        "settings": dict(piece.settings),
        "digest": digest(piece.settings),
        "numbers": {name: list(map(_plain, values)) for name, values in measured.numbers.items()},
        "seconds": round(seconds, 1),
        "command": command,
        "environment": dict(environment),
        **({"by": dict(measured.by)} if measured.by else {}),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    if measured.picture is not None:
        buffer = io.BytesIO()
        measured.picture.save(buffer, format="PNG", optimize=True)
        files.write_whole(file.with_suffix(".png"), buffer.getvalue())
    # Last: this file marks the piece as finished.
    files.write_whole(file, json.dumps(content, indent=1, allow_nan=False) + "\n")


def is_stale(kept: Kept, piece: frame.Piece) -> bool:
    """Returns whether the result is of other settings than those declared now.

    Args:
        kept: The result.
        piece: The declaration.
    """
    return kept.digest != digest(piece.settings)


def changes(kept: Kept, piece: frame.Piece) -> str:
    """Returns the settings that have changed since the result was measured, in words.

    Args:
        kept: The result.
        piece: The declaration.
    """
    before, now = dict(kept.settings), json.loads(json.dumps(dict(piece.settings)))
    names = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    return ", ".join(f"{name} was {before.get(name)} and is {now.get(name)}" for name in names)


def _plain(value: float) -> float | str:
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _check(numbers: Mapping[str, Any], columns: tuple[frame.Column, ...], file: Path) -> None:
    missing = [column.measure for column in columns if column.measure not in numbers]
    if missing:
        raise ValueError(f"{file}: the piece did not measure {missing[0]!r}")
    lengths = {name: len(values) for name, values in numbers.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(f"{file}: the piece has {lengths} numbers; expected one for each seed")
