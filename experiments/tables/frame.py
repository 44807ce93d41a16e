"""How a table is declared. Imports no JAX: the page is written from declarations and files alone.

A table is a module `experiments/tables/NAME.py` that ends in

    TABLE = frame.Table(title=..., paper=..., protocol=..., scope=..., parts=parts)

and stands in `experiments.tables.NAMES`. `parts(budget)` gives its parts (sub-tables), each with
its columns and its pieces, for a budget of `frame.BUDGETS`:

    quick    seconds a piece, and at most a minute a table: proves that everything runs. Its
             results go to a temporary folder and never into the page.
    default  meant for at most 45 minutes a table on 2 cores.
    full     the paper's protocol or nearer to it, where `default` cuts it; else left out of
             `scope`.

A piece is a row: it is run by itself, and what it found is a file. `piece.measure(settings,
folder)` returns a `Measured` with every measure of its part's columns, by seed; seeds train
together under `vmap` or one after another as it likes. It imports JAX and the library inside the
function. Beside `settings` (JSON's types) its numbers may depend on the experiments' defaults and
on the code alone. The digest of the settings tells whether a kept result is still one of this
declaration, so whatever is tuned for a table stands there, and whoever changes a default or the
code so that numbers change, changes an entry too ("version": 2), or deletes the results.

`folder` exists, belongs to the piece and these settings, and outlives a killed process: what is
long resumes from what it left there. An experiment's run is resumed by asking for it again,

    run.train(module, module.Config(..., workdir=str(folder / f"seed-{seed}"), cache=False))

which returns at once where the run is finished; the folder itself is no run directory, and whether
compiled programs are cached is decided for all pieces together. The first run of several seeds in a
process settles JAX's devices (`environment.use_cores`).

What the frame does: `python -m experiments.tables [NAMES] [--quick] [--full]` measures each piece
that has no result or one of other settings, writes its file as soon as it is known
(`records.py`: docs/results/NAME/PIECE.json, whole or not at all), and rewrites the page from all
files (`page.py`). A name is that of a table or TABLE/PIECE. Several tables run in a process each.
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
    """A measure as it is shown: its heading, its form, and what it is multiplied by before."""

    measure: str
    heading: str
    form: Callable[[float], str] = "{:.2f}".format
    factor: float = 1.0


class Measured(NamedTuple):
    """What a piece found.

    numbers: by measure, a number for each seed (one number where nothing is drawn).
    picture: a strip of the part's figure, one panel beside the other.
    by:      the settings of what measured, where others than the piece's decide its numbers: such
             as the network that gave the features, and its sha256.
    """

    numbers: Mapping[str, Sequence[float]]
    picture: Image.Image | None = None
    by: Mapping[str, Any] = types.MappingProxyType({})


class Piece(NamedTuple):
    """A row of a table.

    name:  names its file and its command: small letters, digits and dashes, unique in the table.
    title: what the row is called.
    paper: by measure, what the paper prints, such as "6.3 +- 0.5"; left out where it has none.
    """

    name: str
    title: str
    settings: Settings
    measure: Callable[[Settings, Path], Measured]
    paper: Mapping[str, str] = NOTHING


class Part(NamedTuple):
    """Rows of the same columns.

    name:   names the figure's file, as a piece's name does its own.
    source: where the paper's numbers stand, in words; "" where there are none.
    theirs: what is said over them: "paper", or what else ours are compared with.
    note:   what a reader must know to compare, in whole sentences.
    figure: what the strips of the pieces' pictures show, from left to right; () without pictures.
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

    protocol: data, networks, training and measures in plain words.
    scope:    by budget ('default', and 'full' where that is another), in plain words whether it is
              the full protocol or what was cut.
    """

    title: str
    paper: str
    protocol: str
    scope: Mapping[str, str]
    parts: Callable[[str], tuple[Part, ...]]

    def budget(self, asked: str) -> str:
        """The budget asked for; 'default' where 'full' is no other."""
        return asked if asked in ("quick", *self.scope) else "default"

    def pieces(self, budget: str) -> dict[str, tuple[Part, Piece]]:
        """The pieces by name, each with its part."""
        return {piece.name: (part, piece) for part in self.parts(budget) for piece in part.pieces}


def check(name: str, table: Table) -> None:
    """ValueError where the declaration contradicts itself."""
    if not {"default"} <= set(table.scope) <= {"default", "full"}:
        raise ValueError(f"{name}: its scope is of {sorted(table.scope)}; expected 'default'")
    for budget in ("quick", *table.scope):
        parts = table.parts(budget)
        names = [piece.name for part in parts for piece in part.pieces]
        for given in (*names, *(part.name for part in parts)):
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", given):
                raise ValueError(
                    f"{name}: the name {given!r} is no file's; use small letters, digits and dashes"
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
