"""Writes docs/results.md, a pure function of declarations and results' files. Imports no JAX."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jaxgan import files

from .. import tables
from . import frame, records, strips

INTRODUCTION = """# Results

Our numbers next to the papers', under the papers' protocols. Written by
`python -m experiments.tables`, which measures what is missing, from the files in `results/`, which
hold every number by seed, its settings, versions and wall time. Ours are means +- standard errors
over the seeds. A shortened protocol is marked as a cut; its numbers do not reproduce the paper's
and compare only with each other.
"""

MISSING = "not run yet"


def write(results: Path) -> Path:
    """Writes the page next to the folder of results, and its figures into the folder.

    Returns:
        The path of the page.
    """
    declared = tables.load()
    for name, table in declared.items():
        for budget in table.scope:
            _draw(results, name, table, budget)
    path = results.with_suffix(".md")
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(path, text(declared, results))
    return path


def text(declared: Mapping[str, frame.Table], results: Path) -> str:
    """Returns the page.

    Args:
        declared: The tables by name.
        results: Folder of the results.
    """
    sections = [INTRODUCTION]
    for name, table in declared.items():
        sections += _table(name, table, results)
    return "\n".join(sections).rstrip() + "\n"


def cell(values: list[float], column: frame.Column) -> str:
    """Returns the mean over seeds and, for several seeds, its standard error, as text.

    Args:
        values: One number for each seed.
        column: The column, which formats them.
    """
    scaled = column.factor * np.asarray(values)
    mean = column.form(float(np.mean(scaled)))
    if len(scaled) == 1 or not np.isfinite(scaled).all():
        return mean
    error = float(np.std(scaled, ddof=1)) / math.sqrt(len(scaled))
    return f"{mean} +- {column.form(error)}"


def _table(name: str, table: frame.Table, results: Path) -> list[str]:
    lines = [f"## {table.title}\n", f"{table.paper}\n", f"{table.protocol}\n"]
    for budget in table.scope:
        found = _found(results, name, table, budget)
        command = f"`python -m experiments.tables {name}{' --full' * (budget == 'full')}`"
        lines.append(f"**{table.scope[budget]}** {command}\n")
        if budget == "full" and not found:
            lines.append(f"The full protocol: {MISSING}.\n")
            continue
        begun = [part for part in table.parts(budget) if budget != "full" or _has_any(part, found)]
        for part in begun:
            lines += _part(name, part, found, results, budget=budget)
        missing = [part.title for part in table.parts(budget) if part not in begun]
        if missing:
            lines.append(f"{', '.join(missing)}: {MISSING}.\n")
        lines += _measured_on(found)
    return lines


def _has_any(part: frame.Part, found: Mapping[str, records.Kept]) -> bool:
    """Returns whether a row of the part is measured."""
    return any(piece.name in found for piece in part.pieces)


def _found(results: Path, name: str, table: frame.Table, budget: str) -> dict[str, records.Kept]:
    files = {
        piece: records.path(results, name, piece, budget=budget) for piece in table.pieces(budget)
    }
    read = {piece: records.read(file) for piece, file in files.items()}
    return {piece: kept for piece, kept in read.items() if kept is not None}


def _part(
    name: str,
    part: frame.Part,
    found: Mapping[str, records.Kept],
    results: Path,
    *,
    budget: str,
) -> list[str]:
    lines = [f"### {part.title}\n"]
    printed = {m for piece in part.pieces for m in piece.paper}
    heads = [""]
    for column in part.columns:
        heads += [f"{column.heading}, {part.theirs}"] * (column.measure in printed) + [
            column.heading
        ]
    rows = [_row(piece, part, printed, found.get(piece.name)) for piece in part.pieces]
    rule = ["---"] + ["---:"] * (len(heads) + 1)
    lines += [_line(cells) for cells in ([*heads, "seeds", "time"], rule, *rows)]
    lines.append("")
    if part.source:
        lines.append(f"{part.source}\n")
    if part.note:
        lines.append(f"{part.note}\n")
    figure = _figure_path(results, name, part, budget)
    if part.figure and any(
        records.path(results, name, piece.name, budget=budget).with_suffix(".png").exists()
        for piece in part.pieces
    ):
        where = figure.relative_to(results.parent).as_posix()
        lines.append(f"![{part.title}, {', '.join(part.figure)}]({where})\n")
    return lines


def _row(
    piece: frame.Piece, part: frame.Part, printed: set[str], kept: records.Kept | None
) -> list[str]:
    cells = [piece.title]
    for column in part.columns:
        if column.measure in printed:
            cells.append(piece.paper.get(column.measure, ""))
        known = kept is not None and column.measure in kept.numbers
        cells.append(cell(kept.numbers[column.measure], column) if kept and known else "")
    if kept is None:
        # The first of our own columns says so.
        cells[2 if part.columns[0].measure in printed else 1] = MISSING
        return [*cells, "", ""]
    seeds = len(next(iter(kept.numbers.values())))
    stale = " (stale: of other settings)" if records.is_stale(kept, piece) else ""
    return [*cells, str(seeds), duration(kept.seconds) + stale]


def duration(seconds: float) -> str:
    """Returns a wall time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _measured_on(found: Mapping[str, records.Kept]) -> list[str]:
    if not found:
        return []
    machines = {
        f"{_count(kept.environment['cores'], 'core')}, {kept.environment['device']}, "
        f"jax {kept.environment['versions']['jax']}"
        for kept in found.values()
    }
    total = duration(sum(kept.seconds for kept in found.values()))
    return [f"Measured in {total} on {'; '.join(sorted(machines))}.\n"]


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |"


def _figure_path(results: Path, name: str, part: frame.Part, budget: str) -> Path:
    return results / f"{name}-{part.name}{'-full' * (budget == 'full')}.png"


def _draw(results: Path, name: str, table: frame.Table, budget: str) -> None:
    """Writes the figures of the table's parts, the strips of their pieces below one another."""
    for part in table.parts(budget):
        pictures = {
            piece.title: records.path(results, name, piece.name, budget=budget).with_suffix(".png")
            for piece in part.pieces
        }
        there = {title: file for title, file in pictures.items() if file.exists()}
        if part.figure and there:
            content = strips.together(there, part.figure)
            files.write_whole(_figure_path(results, name, part, budget), content)
