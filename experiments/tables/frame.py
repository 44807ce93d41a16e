"""How a table is declared. Imports no JAX: the page is written only from declarations and files.

A table is a module `experiments/tables/NAME.py` that ends in

    TABLE = frame.Table(title=..., paper=..., protocol=..., scope=..., parts=parts)

and is listed in `experiments.tables.NAMES`. `parts(budget)` returns its parts (sub-tables), each
with its columns and its pieces (rows), for a budget of `frame.BUDGETS`:

    quick    seconds a piece, and at most a minute a table: proves that everything runs. Its
             results go to a temporary folder and never into the page.
    default  meant for at most 45 minutes a table on 2 cores.
    full     the paper's protocol or nearer to it, if `default` shortens it; else left out of
             `scope`.

A piece is a row. It is run separately, and its result is a file. `piece.measure(settings, folder)`
returns a `Measured` with every measure of its part's columns, by seed. Seeds may train together
under `vmap` or one after another. It imports JAX and the library inside the function. Its numbers
may depend only on `settings` (JSON's types), on the experiments' defaults and on the code. The
digest of the settings decides whether a kept result still belongs to this declaration. So whatever
is tuned for a table must be a setting, and whoever changes a default or the code so that numbers
change must also change an entry ("version": 2), or delete the results.

`folder` exists, belongs to the piece and these settings, and outlives a killed process: long work
resumes from what it left there. An experiment's run is resumed by training it again,

    run.train(module, module.Config(..., workdir=str(folder / f"seed-{seed}"), cache=False))

which returns at once if the run is finished. The folder itself is not a run directory, and whether
compiled programs are cached is decided for all pieces together. The first run of several seeds in a
process sets JAX's devices (`environment.use_cores`).

`python -m experiments.tables [NAMES] [--quick] [--full]` measures each piece that has no result, or
one of other settings. It writes the piece's file as soon as the result is known (`records.py`:
docs/results/NAME/PIECE.json, whole or not at all), and rewrites the page from all files
(`page.py`). A name is that of a table or TABLE/PIECE. Several tables run in a process each.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

BUDGETS = ("quick", "default", "full")

Settings = Mapping[str, Any]
"""What a piece's numbers depend on, in JSON's types."""

NOTHING: Mapping[str, str] = types.MappingProxyType({})


class Column(NamedTuple):
    """A measure and how it is shown.

    Attributes:
        measure: Name of the measure.
        heading: Heading of the column.
        form: Formats a number.
        factor: Factor on a number before it is formatted.
    """

    measure: str
    heading: str
    form: Callable[[float], str] = "{:.2f}".format
    factor: float = 1.0


class Measured(NamedTuple):
    """The result of a piece.

    Attributes:
        numbers: By measure, a number for each seed (one number if nothing is random).
        picture: A strip of the part's figure, with panels next to each other, or None.
        by: Further settings that decide the numbers, such as the network of the features and its
            sha256.
    """

    numbers: Mapping[str, Sequence[float]]
    picture: Image.Image | None = None
    by: Mapping[str, Any] = types.MappingProxyType({})


class Piece(NamedTuple):
    """A row of a table.

    Attributes:
        name: Names its file and its command: small letters, digits and dashes, unique in the table.
        title: Title of the row.
        settings: What the numbers depend on.
        measure: Measures the piece, from its settings and its folder.
        paper: By measure, what the paper prints, such as "6.3 +- 0.5"; left out if it has none.
    """

    name: str
    title: str
    settings: Settings
    measure: Callable[[Settings, Path], Measured]
    paper: Mapping[str, str] = NOTHING


class Part(NamedTuple):
    """Rows with the same columns.

    Attributes:
        name: Names the figure's file, as a piece's name does its own.
        title: Title of the part.
        columns: The columns.
        pieces: The rows.
        source: Where the paper's numbers are printed; "" if there are none.
        theirs: Heading of the numbers that ours are compared with, such as "paper".
        note: What a reader must know to compare, in whole sentences.
        figure: Headings of the panels of the pieces' pictures, from left to right; () without
            pictures.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    pieces: tuple[Piece, ...]
    source: str = ""
    theirs: str = "paper"
    note: str = ""
    figure: tuple[str, ...] = ()


class Table(NamedTuple):
    """A module's declaration.

    Attributes:
        title: Title of the table.
        paper: The paper of the table.
        protocol: Data, networks, training and measures in plain words.
        scope: By budget ('default', and 'full' if it differs), whether it is the full protocol or
            what was cut.
        parts: Returns the parts for a budget.
    """

    title: str
    paper: str
    protocol: str
    scope: Mapping[str, str]
    parts: Callable[[str], tuple[Part, ...]]

    def budget(self, asked: str) -> str:
        """Returns the given budget, or 'default' if 'full' is the same."""
        return asked if asked in ("quick", *self.scope) else "default"

    def pieces(self, budget: str) -> dict[str, tuple[Part, Piece]]:
        """Returns the pieces by name, each with its part."""
        return {piece.name: (part, piece) for part in self.parts(budget) for piece in part.pieces}


def check(name: str, table: Table) -> None:
    """Checks that a declaration does not contradict itself.

    Args:
        name: Name of the table.
        table: The declaration.

    Raises:
        ValueError: If a scope is unknown, a name is no file name or occurs twice, or a number has
            no column.
    """
    if not {"default"} <= set(table.scope) <= {"default", "full"}:
        raise ValueError(f"{name}: its scope is of {sorted(table.scope)}; expected 'default'")
    for budget in ("quick", *table.scope):
        parts = table.parts(budget)
        names = [piece.name for part in parts for piece in part.pieces]
        for given in (*names, *(part.name for part in parts)):
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", given):
                raise ValueError(
                    f"{name}: the name {given!r} is no file's; use lowercase letters, "
                    "digits and dashes"
                )
        twice = sorted({given for given in names if names.count(given) > 1})
        if twice:
            raise ValueError(f"{name}: two pieces are called {twice[0]!r}; give each its own name")
        for part in parts:
            _check_paper(name, part)


def _check_paper(name: str, part: Part) -> None:
    known = {column.measure for column in part.columns}
    for piece in part.pieces:
        unknown = sorted(set(piece.paper) - known)
        if unknown:
            raise ValueError(
                f"{name}/{piece.name}: the paper's {unknown[0]!r} has no column; "
                f"there are {', '.join(sorted(known))}"
            )
