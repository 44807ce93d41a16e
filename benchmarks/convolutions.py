"""Compares jaxgan's convolutions, oneDNN's and XLA's, forward and backward.

    python -m benchmarks.convolutions
    python -m benchmarks.convolutions --layers depthwise --batch-size 16

They alternate in one process. A turn computes the layer's output and the gradients of its input and
kernel. The table shows the median times, and those of the others relative to jaxgan's: above 1,
jaxgan's are faster. Where oneDNN cannot be used, its column is empty.
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
    """The layers, the number of measurements and their batch."""

    layers: str = ""
    """Only the layers whose descriptions hold this text."""
    repeats: int = 9
    """Timed turns of each implementation, after one warm-up turn."""
    batch_size: int = 64
    """Images in a batch."""
    json: pathlib.Path | None = None
    """File to write the table to, as JSON."""


class Layer(NamedTuple):
    """A layer.

    Attributes:
        size: Height and width of its input in pixels.
        inputs: Input channels.
        outputs: Output channels.
        kernel: Kernel size.
        transposed: Whether it is a transposed convolution.
        stride: Factor by which it makes the image smaller, or larger if it is transposed.
        groups: Number of groups of channels.
        axes: 2 for images, 1 for series of `size` steps.
    """

    size: int
    inputs: int
    outputs: int
    kernel: int
    transposed: bool = False
    stride: int = 2
    groups: int = 1
    axes: int = 2

    @property
    def name(self) -> str:
        """Returns the description of the layer in the table."""
        kind = "transposed" if self.transposed else "convolution"
        if self.groups > 1:
            kind = "depthwise" if self.groups == self.inputs else f"{self.groups} groups"
        unit = "px" if self.axes == 2 else "steps"
        shape = f"{self.size} {unit} {self.inputs} -> {self.outputs}"
        return f"{kind} k{self.kernel} s{self.stride} {shape}"


# Each way in which `jaxgan.kernels` computes convolutions on a CPU has a layer.
LAYERS = (
    Layer(28, 1, 64, 4, False),
    Layer(14, 64, 128, 4, False),
    Layer(7, 128, 64, 4, True),
    Layer(14, 64, 1, 4, True),
    Layer(32, 64, 128, 5, False),
    Layer(16, 128, 64, 5, True),
    # A ResNet block of CycleGAN, a progressive network of few channels, and FastGAN's generator.
    Layer(16, 256, 256, 3, stride=1),
    Layer(32, 16, 16, 3, stride=1),
    Layer(32, 64, 64, 3, stride=1),
    Layer(32, 256, 256, 3, stride=1, groups=16),
    # Both ends of CycleGAN, the bottom of a U-Net, R3GAN's pixelwise layers, and a series.
    Layer(64, 3, 64, 7, stride=1),
    Layer(64, 64, 3, 7, stride=1),
    Layer(2, 512, 512, 4),
    Layer(16, 64, 128, 1, stride=1),
    Layer(256, 64, 128, 5, axes=1),
    # EfficientNet-Lite0, of images of 96 px.
    Layer(48, 96, 96, 3, groups=96),
    Layer(24, 144, 144, 5, groups=144),
    Layer(6, 480, 480, 3, stride=1, groups=480),
    Layer(3, 1152, 1152, 5, stride=1, groups=1152),
)


def task(layer: Layer, batch_size: int, implementation: str) -> Callable[[], Any]:
    """Returns a function that runs the layer and its gradients once and waits for them.

    Args:
        layer: The layer.
        batch_size: Images in the batch.
        implementation: 'fast' for jaxgan's convolutions, 'onednn' or 'xla'.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan import nn

    keys = jax.random.split(jax.random.key(0))
    x = jax.random.normal(keys[0], (batch_size, *[layer.size] * layer.axes, layer.inputs))
    kernel = (layer.inputs // layer.groups, layer.outputs)
    apply = nn.conv_transpose if layer.transposed else partial(nn.conv, groups=layer.groups)
    w = jax.random.normal(keys[1], (*[layer.kernel] * layer.axes, *kernel))
    apply = partial(apply, strides=layer.stride, implementation=implementation)

    @jax.jit
    def run(x, w):
        y, pullback = jax.vjp(lambda x, w: apply(x, w), x, w)
        return y, pullback(jnp.tanh(y))

    return lambda: jax.block_until_ready(run(x, w))


def measure(layer: Layer, config: Config) -> dict[str, Any]:
    """Returns the table row of a layer: median milliseconds of each, and the others' over ours.

    Args:
        layer: The layer.
        config: The number of turns and the batch size.
    """
    names = ("fast", "xla") if _why_not() else ("fast", "onednn", "xla")
    tasks = {name: task(layer, config.batch_size, name) for name in names}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(config.repeats + 1):
        for name, run in tasks.items():
            begun = time.perf_counter()
            run()
            if turn:
                times[name].append(1000 * (time.perf_counter() - begun))
    medians = {name: statistics.median(values) for name, values in times.items()}
    row: dict[str, Any] = {"layer": layer.name}
    for name, milliseconds in medians.items():
        row[f"{name}_ms"] = round(milliseconds, 2)
        if name != "fast":
            row[f"{name}_ratio"] = round(milliseconds / medians["fast"], 2)
    return row


def _why_not() -> str | None:
    from jaxgan.kernels import onednn_probe

    return onednn_probe.why_not(onednn_probe.folder())


def main(config: Config) -> None:
    """Prints the table, one line per layer."""
    rows = []
    title = f"layer, batch {config.batch_size}"
    columns = {
        "fast_ms": "ours ms",
        "onednn_ms": "oneDNN ms",
        "onednn_ratio": "ratio",
        "xla_ms": "XLA ms",
        "xla_ratio": "ratio",
    }
    print(f"{title:40s}" + "".join(f"{words:>11s}" for words in columns.values()))
    for layer in LAYERS:
        if config.layers not in layer.name:
            continue
        row = measure(layer, config)
        rows.append(row)
        print(f"{row['layer']:40s}" + "".join(f"{row.get(name, ''):>11}" for name in columns))
    if config.json is not None:
        config.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
