"""Measures the pieces that have no result, or one of other settings."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import files
from jaxgan.runs.errors import RunError

from . import frame, page, records


class Places(NamedTuple):
    """Folders of the results, and of the unfinished pieces' runs."""

    results: Path = Path("docs/results")
    work: Path = Path("runs/tables")


class Job(NamedTuple):
    """A piece to measure, with its part, its file and the reason."""

    part: frame.Part
    piece: frame.Piece
    file: Path
    reason: str


def jobs(
    name: str,
    table: frame.Table,
    budget: str,
    *,
    results: Path,
    only: Sequence[str] = (),
) -> list[Job]:
    """Returns what there is to measure, in the order of the page.

    Args:
        name: Name of the table.
        table: The declaration.
        budget: Name of the budget.
        results: Folder of the results.
        only: Names of the pieces to measure; empty: all.

    Raises:
        RunError: If there is no such piece.
    """
    pieces = table.pieces(budget)
    for asked in only:
        if asked not in pieces:
            raise RunError(f"{name} has no piece {asked!r}; it has {', '.join(pieces)}")
    found = []
    for part, piece in (pieces[asked] for asked in only or pieces):
        file = records.path(results, name, piece.name, budget=budget)
        kept = records.read(file)
        if kept is None:
            found.append(Job(part, piece, file, "not run yet"))
        elif records.is_stale(kept, piece):
            reason = f"stale, {records.changes(kept, piece)}"
            found.append(Job(part, piece, file, reason))
    return found


def run(
    name: str,
    table: frame.Table,
    asked: str,
    *,
    places: Places,
    only: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> list[str]:
    """Measures what is missing of a table, and returns the pieces that failed.

    The page is written again after each piece. A piece that raises RunError is reported and
    skipped; any other exception ends the table, whose finished pieces stay.

    Args:
        name: Name of the table.
        table: The declaration.
        asked: Name of the budget that was asked for.
        places: Folders of the results and of the runs.
        only: Names of the pieces to measure; empty: all.
        say: Receives each line of the report.
    """
    budget = table.budget(asked)
    waiting = jobs(name, table, budget, results=places.results, only=only)
    say(f"{name}: {len(waiting)} of {len(only or table.pieces(budget))} pieces to measure")
    failed = []
    for job in waiting:
        title = f"{name}/{job.piece.name}"
        say(f"{title}: {job.reason}")
        try:
            seconds = measure(name, job, budget, work=places.work)
        except RunError as error:
            say(f"{title}: {error}")
            failed.append(title)
            continue
        say(f"{title}: measured in {seconds:.0f} s")
        page.write(places.results)
    return failed


def measure(name: str, job: Job, budget: str, *, work: Path) -> float:
    """Measures one piece, keeps its result, and returns the seconds it took.

    Args:
        name: Name of the table.
        job: The piece.
        budget: Name of the budget.
        work: Folder of the runs.
    """
    import jax

    from jaxgan.runs import environment

    settings = job.piece.settings
    folder = work / name / f"{job.piece.name}-{records.digest(settings)}"
    folder.mkdir(parents=True, exist_ok=True)
    measured, seconds = _timed(job.piece, folder)
    records.write(
        job.file,
        job.piece,
        measured,
        columns=job.part.columns,
        seconds=seconds,
        command=command(f"{name}/{job.piece.name}", budget),
        environment={**environment.describe(__file__), "cores": cores()},
    )
    jax.clear_caches()  # each program takes memory that no other piece uses
    return seconds


def command(name: str, budget: str) -> str:
    """Returns the command that measures the table or the piece of that name.

    Args:
        name: TABLE or TABLE/PIECE.
        budget: Name of the budget.
    """
    return f"python -m experiments.tables {name}" + (" --full" if budget == "full" else "")


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _timed(piece: frame.Piece, folder: Path) -> tuple[frame.Measured, float]:
    """The piece's result, and the seconds that it took, earlier interrupted attempts included."""
    clock = folder / "seconds.json"
    before: Any = json.loads(clock.read_text()) if clock.exists() else 0.0
    begun = time.monotonic()
    try:
        measured = piece.measure(piece.settings, folder)
    finally:
        seconds = before + time.monotonic() - begun
        files.write_whole(clock, json.dumps(seconds))
    return measured, seconds
