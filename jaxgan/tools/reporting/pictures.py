"""The pictures of a report: sample grids, encoded to fit, and which of them are shown together."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan import files
from jaxgan.runs import run_directory
from jaxgan.runs.errors import RunError
from jaxgan.tools.diagnosis import run_reader
from jaxgan.tools.reporting.run_summary import Summary

_NAMELESS = ("nearest", "pairs", "traversal")
"""Files of pictures whose names say nothing more than what they show."""


class Quality(NamedTuple):
    """How many grids of a run are shown, and how they are encoded.

    Attributes:
        count: The largest number of grids.
        webp: The quality of WebP, from 0 to 100.
        side: The largest height and width in pixels.
    """

    count: int
    webp: int
    side: int


LADDER = (
    Quality(100, 80, 1200),
    Quality(40, 80, 1200),
    Quality(20, 80, 1000),
    Quality(10, 60, 800),
    Quality(5, 50, 600),
    Quality(2, 40, 400),
)
"""From the best to the smallest; a report uses the first with which its pictures fit."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as the page shows it.

    Attributes:
        uri: Its content as a data URI.
        width: Its width in pixels.
        height: Its height in pixels.
    """

    uri: str
    width: int
    height: int


@dataclasses.dataclass(frozen=True)
class Grid:
    """The sample grid of a step.

    Attributes:
        step: The number of steps done.
        seconds: The training time until then.
        picture: The picture.
    """

    step: int
    seconds: float
    picture: Picture


@dataclasses.dataclass(frozen=True)
class Album:
    """The pictures of a run.

    Attributes:
        grids: The sample grids, by step.
        real: The training images; None if there is no such picture.
        others: Pictures that other commands have made of the run, by what they show.
        remarks: Sentences on what was left out.
    """

    grids: tuple[Grid, ...]
    real: Picture | None
    others: Mapping[str, Picture]
    remarks: tuple[str, ...]


def albums(
    runs: Sequence[Summary],
    *,
    budget: int,
    drawn: Mapping[str, pathlib.Path] = MappingProxyType({}),
) -> list[Album]:
    """Encodes the pictures of the runs so that they fit into the budget.

    Args:
        runs: The runs.
        budget: The largest number of characters of all data URIs together.
        drawn: Files of further pictures of a single run, by what they show.

    Raises:
        RunError: If they cannot be made to fit.
    """
    for quality in LADDER:
        found, room = [], _Room(budget)
        with contextlib.suppress(_Full):
            for run in runs:
                found.append(_album(run, quality, room, drawn))
            return found
    raise RunError(
        f"the pictures of {len(runs)} runs do not fit into a page of {budget:,} characters; "
        "name fewer runs"
    )


class _Full(Exception):
    """The pictures do not fit."""


class _Room:
    """What is left of the budget, so that no picture is encoded in vain once it is used up."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, picture: Picture) -> Picture:
        self._left -= len(picture.uri)
        if self._left < 0:
            raise _Full
        return picture


def _album(run: Summary, quality: Quality, room: _Room, drawn: Mapping[str, pathlib.Path]) -> Album:
    remarks = []

    def encoded(path: pathlib.Path) -> Picture | None:
        try:
            return room.take(_encoded(path, quality))
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            remarks.append(f"{path.name} is left out: {files.reason(error)}")
            return None

    by_step = run_reader.picture_files(run.path)
    chosen = evenly(list(by_step), quality.count)
    if len(chosen) < len(by_step):
        remarks.append(
            f"{len(chosen)} of {len(by_step)} sample grids are shown, evenly spaced, to keep the "
            "page small"
        )
    if quality.side < LADDER[0].side:
        remarks.append(f"pictures are reduced to {quality.side} pixels, to keep the page small")
    pairs = [(step, encoded(by_step[step])) for step in chosen]
    grids = [Grid(step, run.seconds_at(step), one) for step, one in pairs if one is not None]
    samples = run_directory.RunDirectory(run.path).samples
    real = encoded(samples / "real.png") if files.is_file(samples / "real.png") else None
    others = _others(run.path, drawn, encoded)
    return Album(tuple(grids), real, others, tuple(remarks))


def _others(
    path: pathlib.Path,
    drawn: Mapping[str, pathlib.Path],
    encoded: Callable[[pathlib.Path], Picture | None],
) -> dict[str, Picture]:
    """Returns pictures drawn now, and those that other commands have left in the run directory."""
    files_of: dict[str, Sequence[pathlib.Path]] = {
        "nearest training images, next to samples": [path / "nearest.png"],
        "photographs, their projections, the nearest samples": [path / "projected" / "pairs.png"],
        "latents": sorted((path / "latents").glob("*.png"))[:8],
        "directions": sorted((path / "directions").glob("*.png"))[:8],
        "traversal": [path / "traversal.png"],
    }
    found = {what: encoded(file) for what, file in drawn.items()}
    found |= {
        what if file.stem in _NAMELESS else f"{what}: {file.stem}": encoded(file)
        for what, files_found in files_of.items()
        for file in files_found
        if files.is_file(file)
    }
    return {what: picture for what, picture in found.items() if picture is not None}


def evenly(steps: Sequence[int], count: int) -> list[int]:
    """Returns so many of the steps, evenly spaced, with the first and the last; or all of them.

    Args:
        steps: The steps, increasing.
        count: The largest number to choose, at least 2.
    """
    if len(steps) <= count:
        return list(steps)
    return [steps[index] for index in np.linspace(0, len(steps) - 1, count).round().astype(int)]


def _encoded(path: pathlib.Path, quality: Quality) -> Picture:
    with Image.open(io.BytesIO(files.read(path))) as opened:
        opened.load()
        transparent = opened.mode in ("RGBA", "LA", "PA") or "transparency" in opened.info
        picture = opened.convert("RGBA" if transparent else "RGB")
    picture.thumbnail((quality.side, quality.side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=quality.webp)
    content = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/webp;base64,{content}", *picture.size)


# --- which are shown together ---------------------------------------------------------------------


class Stop(NamedTuple):
    """A position of the slider.

    Attributes:
        at: The step, or the seconds.
        shown: The index of the grid that each run shows; None if it has none.
    """

    at: float
    shown: tuple[int | None, ...]


def by_step(found: Sequence[Album]) -> list[Stop]:
    """Returns the positions of a slider through steps.

    At each, every run shows its latest grid until that step, or else its first one.

    Args:
        found: The pictures of the runs.
    """
    return _stops([[float(grid.step) for grid in album.grids] for album in found])


def by_time(found: Sequence[Album]) -> list[Stop]:
    """Returns the positions of a slider through training time; see `by_step`.

    Args:
        found: The pictures of the runs.
    """
    return _stops([[grid.seconds for grid in album.grids] for album in found])


def _stops(of_runs: Sequence[Sequence[float]]) -> list[Stop]:
    stops = sorted({at for of_run in of_runs for at in of_run})
    return [Stop(at, tuple(_latest(of_run, at) for of_run in of_runs)) for at in stops]


def _latest(of_run: Sequence[float], at: float) -> int | None:
    if not of_run:
        return None
    return max(0, int(np.searchsorted(of_run, at, side="right")) - 1)
