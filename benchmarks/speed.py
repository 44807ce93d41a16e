"""jaxgan beside PyTorch: the same network trains on the same batch, on all cores of the CPU.

    python -m benchmarks.speed
    python -m benchmarks.speed --cases mixture dcgan28-b64 --json speed.json
    python -m benchmarks.speed --device cuda        on a GPU

Each side has a process of its own; they take turns of about a second, and a side's time is the
median of its turns. PyTorch (eager, fused Adam) runs in both memory layouts, of which the better
counts; the ratio is its time by jaxgan's, larger is better. Before a case is timed, both sides must
compute the same losses in three steps from the same weights, batch and draws.

The first step is jaxgan's in a fresh process, from building the model to the end of the first
compiled call, without imports: with an empty compilation cache (cold) and with the one that this
has filled (warm). Memory is the high-water mark of each process's resident set, the libraries
and jaxgan's compilation included.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal

import tyro

from benchmarks import cases
from benchmarks.side_by_side import measuring, protocol, seeds


@dataclasses.dataclass(frozen=True)
class Config:
    """What to measure, and how often."""

    cases: tuple[str, ...] = ()
    """Names of cases; all by default. 'seeds' is eight seeds of 'mixture', together against in
    sequence."""
    repeats: int = 7
    """Timed turns of each side, after one that warms up."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What both sides compute on."""
    json: pathlib.Path | None = None
    """Write the table here, too."""


COLUMNS: tuple[tuple[str, int, Callable[[Mapping[str, Any]], str]], ...] = (
    ("case", 18, lambda row: row["case"]),
    ("PyTorch ms", 12, lambda row: f"{row['torch_ms']:.2f}"),
    ("jaxgan ms", 12, lambda row: f"{row['jaxgan_ms']:.2f}"),
    ("ratio", 8, lambda row: f"{row['ratio']:.2f}"),
    ("cold s", 9, lambda row: f"{row['first_step_cold_s']:.2f}"),
    ("warm s", 9, lambda row: f"{row['first_step_warm_s']:.2f}"),
    ("PyTorch MB", 12, lambda row: f"{row['torch_mb']:.0f}"),
    ("jaxgan MB", 12, lambda row: f"{row['jaxgan_mb']:.0f}"),
    ("PyTorch's layout", 18, lambda row: row["torch_layout"]),
)


def heading() -> str:
    """The table's first line."""
    return _line({title: title for title, _, _ in COLUMNS})


def line(row: Mapping[str, Any]) -> str:
    """A case's line of the table."""
    if row["case"] == seeds.NAME:
        return seeds.line(row)
    return _line({title: text(row) for title, _, text in COLUMNS})


def _line(texts: Mapping[str, str]) -> str:
    first, *rest = COLUMNS
    return f"{texts[first[0]]:<{first[1]}}" + "".join(f"{texts[t]:>{w}}" for t, w, _ in rest)


def measurements() -> dict[str, Callable[..., dict[str, Any]]]:
    """What measures a row, `measure(repeats=...)`, by the case's name."""
    by_name = {case.name: functools.partial(measuring.measure, case) for case in cases.every()}
    return {**by_name, seeds.NAME: functools.partial(seeds.measure, cases.named("mixture"))}


def main(config: Config) -> int:
    """Prints the table, a line a case; returns 1 where a case could not be measured, else 0, and 2
    on a name that no case has or without PyTorch.
    """
    known = measurements()
    unknown = [name for name in config.cases if name not in known]
    if unknown:
        print(
            f"error: there is no case {unknown[0]!r}; expected one of {', '.join(known)}",
            file=sys.stderr,
        )
        return 2
    chosen = config.cases or tuple(known)
    if chosen != (seeds.NAME,) and importlib.util.find_spec("torch") is None:
        print("error: PyTorch is not installed; pip install 'jaxgan[benchmark]'", file=sys.stderr)
        return 2
    rows, failed = [], False
    print(heading(), flush=True)
    for name in chosen:
        try:
            rows.append(known[name](repeats=config.repeats, device=config.device))
            print(line(rows[-1]), flush=True)
        except (measuring.Mismatch, protocol.SideFailed) as problem:
            failed = True
            print(f"{name}: not measured: {problem}", flush=True)
        if config.json is not None:
            config.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
