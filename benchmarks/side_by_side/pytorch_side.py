"""PyTorch's side: eager, on all cores, in one of two memory layouts.

python -m benchmarks.side_by_side.pytorch_side train CASE LAYOUT
python -m benchmarks.side_by_side.pytorch_side repeat CASE FILE
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from benchmarks import cases
from benchmarks.pytorch import weights
from benchmarks.pytorch.draws import Draws, Replayed, channels_first
from benchmarks.pytorch.training import Twin
from benchmarks.side_by_side import evidence, protocol

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def start(case: cases.Case, layout: str) -> tuple[float, Callable[[int], None]]:
    """Builds the model and makes its first step; returns the seconds and a function for more.

    Args:
        case: The case to train.
        layout: The memory layout, 'contiguous' or 'channels_last'.
    """
    case.build_twin()  # imports what it needs
    data = case.data()
    begun = time.perf_counter()
    twin, draws = case.build_twin(), Draws()
    for player in twin.players.values():
        player.to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]
    batch = prepared(twin, data, layout)

    def train_on(steps: int) -> None:
        with rounding():
            for _ in range(steps):
                twin.step(batch, draws)
        finish()

    train_on(1)
    seconds = time.perf_counter() - begun

    return seconds, train_on


def rounding() -> torch.autocast:
    """Returns the block whose networks compute in the precision that is asked for."""
    asked = os.environ.get(protocol.PRECISION, "float32")
    device = torch.get_default_device().type
    return torch.autocast(device, torch.bfloat16, enabled=asked == "bf16_products")


def finish() -> None:
    """Waits for the device."""
    if torch.get_default_device().type == "cuda":
        torch.cuda.synchronize()


def prepared(twin: Twin, data: Mapping[str, np.ndarray], layout: str) -> Any:
    """Returns the input of the twin's step, made from jaxgan's batch."""
    device = torch.get_default_device()
    tensors = {
        name: channels_first(torch.from_numpy(values)).to(device) for name, values in data.items()
    }
    for name, values in tensors.items():
        if values.ndim == 4:
            tensors[name] = values.contiguous(memory_format=LAYOUTS[layout])
    return twin.prepare(tensors)


def repeat(case: cases.Case, recorded: evidence.Evidence) -> evidence.Repetition:
    """Repeats the recorded steps from the same weights, batch and random draws.

    Args:
        case: The case that was recorded.
        recorded: The steps of jaxgan.

    Raises:
        ValueError: If the networks or the draws of the two sides differ.
    """
    twin, draws = case.build_twin(), Replayed(recorded.draws)
    before = _weights(twin, recorded.before)
    expected = _weights(twin, recorded.after)
    _weights(twin, recorded.before)
    draws.replay_dropout(twin.players)
    batch = prepared(twin, recorded.batch, "contiguous")
    losses: dict[str, list[float]] = {}
    for _ in range(case.compared):
        for name, value in twin.step(batch, draws).items():
            losses.setdefault(name, []).append(value.item())
    if draws.left():
        raise ValueError(f"jaxgan's step draws {draws.left()} where PyTorch's drew nothing")
    differences = {
        name: _difference(_flat(player), expected[name], before[name])
        for name, player in twin.players.items()
    }
    return evidence.Repetition(losses, differences)


def _difference(found: torch.Tensor, expected: torch.Tensor, before: torch.Tensor) -> float:
    """Returns how far a player is from jaxgan's, relative to the update of jaxgan's.

    A player that jaxgan does not train must be what it was: its difference is infinite otherwise.
    """
    missed, moved = (float((player - expected).norm()) for player in (found, before))
    if not moved:
        return math.inf if missed else 0.0
    return missed / moved


def _weights(twin: Twin, params: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Loads the players' params; returns copies, flat, by player."""
    for name, player in twin.players.items():
        weights.load(player, params[name])
    return {name: _flat(player) for name, player in twin.players.items()}


def _flat(player: torch.nn.Module) -> torch.Tensor:
    return torch.cat([leaf.detach().flatten() for leaf in player.parameters()])


def main(action: str, name: str, *rest: str) -> None:
    """Serves the requests of the benchmark, or prints the result of repeating recorded steps.

    Args:
        action: 'train' or 'repeat'.
        name: The name of the case.
        *rest: The memory layout, or the file of the recorded steps.
    """
    torch.set_default_device(os.environ.get(protocol.DEVICE, "cpu"))
    case = cases.named(name)
    if action == "repeat":
        recorded = evidence.load(pathlib.Path(rest[0]))
        try:
            print(json.dumps(repeat(case, recorded)._asdict()))
        except ValueError as error:
            print(json.dumps({"refused": str(error)}))
        return
    seconds, train_on = start(case, rest[0])
    protocol.serve({"first_step_s": seconds, "per_call": 1}, train_on)


if __name__ == "__main__":
    main(*sys.argv[1:])
