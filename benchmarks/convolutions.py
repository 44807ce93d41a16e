"""Compares jaxgan's convolutions with XLA's on DCGAN layers, forward and backward.

    python -m benchmarks.convolutions

The two alternate in one process. A turn computes the layer's output and the gradients of its input
and kernel. The table shows the median times and their ratio.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import tyro


@dataclasses.dataclass(frozen=True)
class Config:
    """The number of measurements and their batch."""

    repeats: int = 9
    """Timed turns of each implementation, after one warm-up turn."""
    batch_size: int = 64
    """Images in a batch."""
    json: pathlib.Path | None = None
    """File to write the table to, as JSON."""


class Layer(NamedTuple):
    """A layer of stride 2.

    Attributes:
        size: Height and width of its input in pixels.
        inputs: Input channels.
        outputs: Output channels.
        kernel: Kernel size.
        transposed: Whether it is a transposed convolution, which doubles the size of the image;
            others halve it.
    """

    size: int
    inputs: int
    outputs: int
    kernel: int
    transposed: bool

    @property
    def name(self) -> str:
        """Returns the description of the layer in the table."""
        kind = "transposed" if self.transposed else "convolution"
        return f"{kind} k{self.kernel} {self.size} px {self.inputs} -> {self.outputs}"


LAYERS = (
    Layer(28, 1, 64, 4, False),
    Layer(14, 64, 128, 4, False),
    Layer(7, 128, 64, 4, True),
    Layer(14, 64, 1, 4, True),
    Layer(32, 64, 128, 5, False),
    Layer(16, 128, 64, 5, True),
)


def task(layer: Layer, batch_size: int, implementation: str) -> Callable[[], Any]:
    """Returns a function that runs the layer and its gradients once and waits for them.

    Args:
        layer: The layer.
        batch_size: Images in the batch.
        implementation: 'fast' for jaxgan's convolutions, 'xla' for XLA's.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan import nn

    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (batch_size, layer.size, layer.size, layer.inputs))
    if layer.transposed:
        kernel, apply = (layer.outputs, layer.inputs), nn.conv_transpose
    else:
        kernel, apply = (layer.inputs, layer.outputs), nn.conv
    w = jax.random.normal(keys[1], (layer.kernel, layer.kernel, *kernel))
    apply = partial(apply, strides=2, implementation=implementation)

    @jax.jit
    def run(x, w):
        y, pullback = jax.vjp(lambda x, w: apply(x, w), x, w)
        return y, pullback(jnp.tanh(y))

    return lambda: jax.block_until_ready(run(x, w))


def measure(layer: Layer, config: Config) -> dict[str, Any]:
    """Returns the table row of a layer: median milliseconds of both, and XLA's time over ours.

    Args:
        layer: The layer.
        config: The number of turns and the batch size.
    """
    tasks = {name: task(layer, config.batch_size, name) for name in ("fast", "xla")}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(config.repeats + 1):
        for name, run in tasks.items():
            begun = time.perf_counter()
            run()
            if turn:
                times[name].append(1000 * (time.perf_counter() - begun))
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "layer": layer.name,
        "fast_ms": round(medians["fast"], 2),
        "xla_ms": round(medians["xla"], 2),
        "ratio": round(medians["xla"] / medians["fast"], 2),
    }


def main(config: Config) -> None:
    """Prints the table, one line per layer."""
    rows = []
    title = f"layer, batch {config.batch_size}"
    print(f"{title:36s}{'ours ms':>10s}{'XLA ms':>10s}{'ratio':>8s}")
    for layer in LAYERS:
        row = measure(layer, config)
        rows.append(row)
        print(f"{row['layer']:36s}{row['fast_ms']:10.2f}{row['xla_ms']:10.2f}{row['ratio']:8.2f}")
    if config.json is not None:
        config.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
