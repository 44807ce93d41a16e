"""Several seeds of one network: trained together, in one program, against one after another."""

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
    """The row of `count` seeds of the case: a step of all of them, and whole runs of `steps` steps.

    In the steady state, both take turns in processes of their own; a step in sequence is `count`
    times that of a single run. Whole runs are counted from the start of Python to its end: one
    process, against one for each seed, which share a compilation cache, empty at first, or compile
    anew each.
    Raises Mismatch where the first member's losses are not those of its single run.
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
    """Raises Mismatch where the first member's losses are not those of the single run."""
    losses = alone.hello["losses"], together.hello["losses"]
    sentence = evidence.differing(*losses, ("a single run", "the ensemble"))
    if sentence is not None:
        raise measuring.Mismatch(sentence)


def whole_runs(
    case: Case, steps: int, groups: Sequence[Sequence[int]], *, device: str = "cpu"
) -> float:
    """The seconds that the groups of seeds take, a process each, one after another."""
    with tempfile.TemporaryDirectory() as folder:
        environment = measuring.environment(cache=pathlib.Path(folder), device=device)
        begun = time.perf_counter()
        for seeds in groups:
            arguments = ["run", case.name, str(steps), *map(str, seeds)]
            measuring.run(["jaxgan_side", *arguments], environment)
        return time.perf_counter() - begun


def line(row: Mapping[str, Any]) -> str:
    """The row in a sentence: it has no PyTorch to stand in the table with."""
    return (
        f"{row['seeds']} seeds of {row['of']}, in sequence / together: a step "
        f"{row['sequence_ms']:.2f} / {row['jaxgan_ms']:.2f} ms, ratio {row['ratio']:.2f}; "
        f"{row['steps']} steps with start and compilation {row['sequence_run_s']:.1f} / "
        f"{row['jaxgan_run_s']:.1f} s, ratio {row['ratio_with_start']:.2f} "
        f"({row['sequence_anew_run_s']:.1f} s, ratio {row['ratio_with_compilation']:.2f}, where "
        "each compiles anew)"
    )
