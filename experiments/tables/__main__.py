"""Measures the papers' tables and writes docs/results.md.

    python -m experiments.tables                      what is missing, of all tables
    python -m experiments.tables dirac ring_grid      of these tables
    python -m experiments.tables ring_grid/ring-gan   one row
    python -m experiments.tables pacgan --full        the paper's protocol if the default is shorter
    python -m experiments.tables --quick              proves that each table runs; keeps nothing

It may be stopped at any time and then resumes; finished rows are not run again. A table is meant to
take at most 45 minutes on 2 cores; --quick takes at most 10 minutes for all.
"""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from jaxgan.runs.errors import RunError, exit_code

from .. import tables
from . import page, running


@dataclasses.dataclass(frozen=True)
class Config:
    """What to measure."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Tables, or single rows as TABLE/PIECE; default: all."""
    quick: bool = False
    """Tiny budgets, into a temporary folder."""
    full: bool = False
    """The papers' full protocols, which take hours to days."""
    page_only: bool = False
    """Write the page from the existing results and measure nothing."""
    results: Path = running.Places().results
    """Folder of the results; the page is written next to it."""
    work: Path = running.Places().work
    """Folder of the runs of unfinished rows."""
    cache: bool = True
    """Keep compiled programs in the user's cache folder, so that the next start is quick."""

    @property
    def budget(self) -> str:
        """The name of the budget: quick, full or default."""
        return "quick" if self.quick else "full" if self.full else "default"


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code of a run with these arguments."""
    config = tyro.cli(
        Config, args=list(arguments), description=__doc__, prog=f"python -m {__package__}"
    )
    return exit_code(lambda: start(config), interrupted="interrupted; what is finished is kept")


def start(config: Config) -> int:
    """Runs `play`, in a temporary folder for --quick, and returns its exit code.

    Raises:
        RunError: If two budgets are given.
    """
    if config.quick and config.full:
        raise RunError("--quick and --full are two budgets; give one of them")
    if not config.quick or config.results != running.Places().results:
        return play(config)
    with tempfile.TemporaryDirectory(prefix="jaxgan-tables-") as folder:
        path = Path(folder)
        return play(dataclasses.replace(config, results=path / "results", work=path / "work"))


def play(config: Config) -> int:
    """Measures what the flags ask for, writes the page, and returns 1 if a row failed, else 0."""
    asked, failed = chosen(config.names), []
    if config.page_only:
        asked = {}
    for name, only in asked.items():
        if len(asked) > 1:
            code = apart(config, [f"{name}/{piece}" for piece in only] or [name])
            failed += [name] if code else []
        else:
            failed += here(config, name, only)
    page.write(config.results)
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def here(config: Config, name: str, only: Sequence[str]) -> list[str]:
    """Measures a table in this process, and returns the names of the rows that failed.

    Args:
        config: The flags.
        name: Name of the table.
        only: Names of the rows to measure; empty: all.
    """
    from jaxgan.runs import environment  # imports JAX

    environment.keep_freed_memory()
    if config.cache:
        environment.use_compilation_cache()
    places = running.Places(config.results, config.work)
    return running.run(name, tables.load()[name], config.budget, places=places, only=only)


def chosen(names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the named rows of each named table, in the order of the page.

    An empty list stands for all rows of a table.

    Raises:
        RunError: If there is no such table.
    """
    named: dict[str, list[str]] = {}
    for given in names or tables.NAMES:
        table, _, piece = given.partition("/")
        if table not in tables.NAMES:
            raise RunError(f"there is no table {table!r}; there are {', '.join(tables.NAMES)}")
        named.setdefault(table, []).extend([piece] if piece else [])
    return {name: named[name] for name in tables.NAMES if name in named}


def apart(config: Config, names: Sequence[str]) -> int:
    """Runs these tables in a process of its own, and returns its exit code.

    JAX sets its devices and types once in a process, and tables need different ones.

    Args:
        config: The flags.
        names: Tables, or single rows as TABLE/PIECE.
    """
    flags = [f"--{flag}" for flag in ("quick", "full") if getattr(config, flag)]
    flags += [] if config.cache else ["--no-cache"]
    places = ["--results", str(config.results), "--work", str(config.work)]
    command = [sys.executable, "-m", str(__package__), *names, *flags, *places]
    # A session of its own: Ctrl-C reaches only this process, which passes one signal on.
    child = subprocess.Popen(command, start_new_session=True)
    try:
        return child.wait()
    except BaseException:
        child.terminate()
        child.wait()
        raise


if __name__ == "__main__":
    # So that a row that is stopped records how long it took.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
