"""Compares training several seeds together, in one program, with one after another."""

from __future__ import annotations

import contextlib
import functools
import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.cases import Case
from benchmarks.side_by_side import evidence, measuring, protocol

NAME = "seeds"


def measure(
    case: Case, *, repeats: int, device: str = "cpu", count: int = 8, steps: int = 1000
) -> dict[str, Any]:
    """Returns the row of several seeds: the time of a step of all seeds, and of whole runs.

    For a step, an ensemble and a single run alternate in their own processes. In sequence, a step
    of all seeds takes `count` times that of the single run. Whole runs are timed from the start of
    Python to its end: one process for all seeds, or one for each. The latter either share a
    compilation cache that is initially empty, or each compiles again.

    Args:
        case: The case to train.
        repeats: Timed turns of the ensemble and of the single run.
        device: The device, 'cpu' or 'cuda'.
        count: The number of seeds.
        steps: Train steps of a whole run.

    Raises:
        Mismatch: If the losses of the ensemble's first seed are not those of its single run.
    """
    seeds = range(count)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = measuring.environment(cache=pathlib.Path(folder), device=device)
        train = ["-m", "benchmarks.side_by_side.jaxgan_side", "train", case.name]
        alone = stack.enter_context(protocol.started([*train, "0"], environment))
        together = stack.enter_context(protocol.started([*train, *map(str, seeds)], environment))
        require_equal_members(alone, together)
        sides = {"alone": alone, "together": together}
        times, peaks = measuring.take_turns(sides, repeats=repeats)
    runs = functools.partial(whole_runs, case, steps, device=device)
    sequence_s = runs([[seed] for seed in seeds])
    anew_s = sum(runs([[seed]]) for seed in seeds)
    together_s = runs([seeds])
    return {
        "case": NAME,
        "of": case.name,
        "seeds": count,
        "sequence_ms": count * times["alone"],
        "jaxgan_ms": times["together"],
        "ratio": count * times["alone"] / times["together"],
        "steps": steps,
        "sequence_run_s": sequence_s,
        "sequence_anew_run_s": anew_s,
        "jaxgan_run_s": together_s,
        "ratio_with_start": sequence_s / together_s,
        "ratio_with_compilation": anew_s / together_s,
        "first_step_cold_s": together.hello["first_step_s"],
        "jaxgan_mb": peaks["together"],
        "alone_mb": peaks["alone"],
        "per_call": case.per_call,
        "repeats": repeats,
    }


def require_equal_members(alone: protocol.Side, together: protocol.Side) -> None:
    """Raises Mismatch if the losses of the first seed are not those of the single run."""
    losses = alone.hello["losses"], together.hello["losses"]
    sentence = evidence.differing(*losses, ("a single run", "the ensemble"))
    if sentence is not None:
        raise measuring.Mismatch(sentence)


def whole_runs(
    case: Case, steps: int, groups: Sequence[Sequence[int]], *, device: str = "cpu"
) -> float:
    """Returns the seconds that the groups of seeds take, one process each, in sequence."""
    with tempfile.TemporaryDirectory() as folder:
        environment = measuring.environment(cache=pathlib.Path(folder), device=device)
        begun = time.perf_counter()
        for seeds in groups:
            arguments = ["run", case.name, str(steps), *map(str, seeds)]
            measuring.run(["jaxgan_side", *arguments], environment)
        return time.perf_counter() - begun


def line(row: Mapping[str, Any]) -> str:
    """Returns the row as a sentence, since without PyTorch it does not fit the table."""
    return (
        f"{row['seeds']} seeds of {row['of']}, in sequence / together: a step "
        f"{row['sequence_ms']:.2f} / {row['jaxgan_ms']:.2f} ms, ratio {row['ratio']:.2f}; "
        f"{row['steps']} steps with start and compilation {row['sequence_run_s']:.1f} / "
        f"{row['jaxgan_run_s']:.1f} s, ratio {row['ratio_with_start']:.2f} "
        f"({row['sequence_anew_run_s']:.1f} s, ratio {row['ratio_with_compilation']:.2f}, if "
        "each compiles again)"
    )
