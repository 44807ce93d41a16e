"""Compares how fast two source trees make batches of 8-bit images in memory.

    python -m benchmarks.data                   this tree alone
    python -m benchmarks.data --against DIR     this tree and another one, such as a git worktree

A step makes a batch of the flowers, 64x64 in color, and puts it on the device. Each tree runs in
its own process. They alternate in turns of about a second, and the speed of a tree is the median of
its turns. The ratio is that of this tree over the other: larger is better. Before the timing, both
must make the same batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, Literal

import tyro

from benchmarks.side_by_side import protocol

_SIDE = "benchmarks.side_by_side.data_side"


@dataclasses.dataclass(frozen=True)
class Config:
    """The source trees and the number of measurements."""

    against: pathlib.Path | None = None
    """Folder of the other source tree, which holds the folder jaxgan."""
    tree: pathlib.Path = protocol.ROOT
    """Folder of the first source tree."""
    batch_size: int = 64
    """Images in a batch."""
    flip: bool = False
    """Mirror images at random."""
    repeats: int = 15
    """Timed turns of each tree, after one warm-up turn."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Device that batches are put on."""
    json: pathlib.Path | None = None
    """File to write the numbers to, as JSON."""


def measure(config: Config) -> dict[str, Any]:
    """Returns the medians in images per second, by tree, and their ratio.

    Args:
        config: The source trees and the number of measurements.

    Raises:
        SideFailed: If the process of a tree ends, or the trees make different batches.
    """
    from benchmarks.side_by_side import measuring

    trees = {"this": config.tree, **({"other": config.against} if config.against else {})}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = measuring.environment(cache=pathlib.Path(folder), device=config.device)
        sides = {}
        for name, tree in trees.items():
            asked = [str(tree.resolve()), str(config.batch_size), str(int(config.flip))]
            sides[name] = stack.enter_context(protocol.started(["-m", _SIDE, *asked], environment))
        require_equal_batches(sides)
        times, _ = measuring.take_turns(sides, repeats=config.repeats)
    speeds = {name: 1000 * config.batch_size / each for name, each in times.items()}
    ratio = speeds["this"] / speeds["other"] if "other" in speeds else None
    paths = {name: str(tree) for name, tree in trees.items()}
    return {"trees": paths, "images_per_second": speeds, "ratio": ratio}


def require_equal_batches(sides: Mapping[str, protocol.Side]) -> None:
    """Checks that all trees make the same batch.

    Args:
        sides: The processes by name; each greets with the digest of a batch.

    Raises:
        SideFailed: If they differ.
    """
    if len({side.hello["batch"] for side in sides.values()}) > 1:
        raise protocol.SideFailed("the trees make different batches: their speeds do not compare")


def main(config: Config) -> int:
    """Prints the speeds and their ratio, and returns the exit code: 1 if they were not measured."""
    try:
        found = measure(config)
    except protocol.SideFailed as problem:
        print(f"error: not measured: {problem}", file=sys.stderr)
        return 1
    for name, speed in found["images_per_second"].items():
        print(f"{speed:12,.0f} images/s  {found['trees'][name]}")
    if found["ratio"] is not None:
        print(f"{found['ratio']:12.3f} ratio")
    if config.json is not None:
        config.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
