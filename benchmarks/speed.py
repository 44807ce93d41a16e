"""Compares jaxgan with PyTorch: the same network on the same batch, on all cores of the CPU.

    python -m benchmarks.speed
    python -m benchmarks.speed --cases mixture dcgan28-b64 --json speed.json
    python -m benchmarks.speed --device cuda        on a GPU
    JAXGAN_BENCHMARK_CONVOLUTIONS=onednn python -m benchmarks.speed
    JAXGAN_BENCHMARK_CONVOLUTIONS=onednn JAXGAN_BENCHMARK_PRECISION=bf16_products python -m ...

Each side runs in its own process. They alternate in turns of about a second, and the time of a side
is the median of its turns. PyTorch (eager, fused Adam) runs in both memory layouts, and the better
one counts. The ratio is PyTorch's time divided by jaxgan's: larger is better. Before a case is
timed, both sides must compute the same losses in three steps from the same weights, batch and
random draws. With bf16_products, that comparison stays in float32; the timed steps of jaxgan round
what convolutions multiply, and those of PyTorch run under its autocast to bfloat16.

The time of the first step is that of jaxgan in a fresh process. It runs from building the model to
the end of the first compiled call, without imports: with an empty compilation cache (cold), and
with the cache that the cold run has filled (warm). Memory is the peak resident set size of each
process, including the libraries and jaxgan's compilation.
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
    """The cases and the number of measurements."""

    cases: tuple[str, ...] = ()
    """Names of cases; default: all. 'seeds' compares eight seeds of 'mixture' trained together with
    the same in sequence.
    """
    repeats: int = 7
    """Timed turns of each side, after one warm-up turn."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device of both sides."""
    json: pathlib.Path | None = None
    """File to write the table to, as JSON."""


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
    """Returns the first line of the table."""
    return _line({title: title for title, _, _ in COLUMNS})


def line(row: Mapping[str, Any]) -> str:
    """Returns the line of a case in the table."""
    if row["case"] == seeds.NAME:
        return seeds.line(row)
    return _line({title: text(row) for title, _, text in COLUMNS})


def _line(texts: Mapping[str, str]) -> str:
    first, *rest = COLUMNS
    return f"{texts[first[0]]:<{first[1]}}" + "".join(f"{texts[t]:>{w}}" for t, w, _ in rest)


def measurements() -> dict[str, Callable[..., dict[str, Any]]]:
    """Returns, by name of the case, the function that measures it: `measure(repeats=...)`."""
    by_name = {case.name: functools.partial(measuring.measure, case) for case in cases.every()}
    return {**by_name, seeds.NAME: functools.partial(seeds.measure, cases.named("mixture"))}


def main(config: Config) -> int:
    """Prints the table, one line per case, and returns the exit code.

    It is 1 if a case could not be measured, 2 if a case does not exist or PyTorch is not installed,
    and else 0.
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
