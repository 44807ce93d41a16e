"""What a train step exchanges between devices, what it keeps on each, and how that scales.

    python -m benchmarks.scaling              what a DCGAN of 64 pixels exchanges on 8 devices
    python -m benchmarks.scaling --seconds    also times steps on 1, 2, 4 and 8 of them
    python -m benchmarks.scaling --weak       only projects several models to a pod of TPUs

The devices are simulated on the CPU, which shows what is exchanged, not how fast. The collectives
are read from the compiled program; the batch itself is never among them. The projection to real
devices is arithmetic on these numbers, with the assumptions that it prints: nothing of it has been
measured. docs/scaling.md explains the numbers.
"""

from __future__ import annotations

import bisect
import dataclasses
import json
import math
import os
import pathlib
import re
import statistics
import sys
import time
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import tyro

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from jaxgan.types import GAN


@dataclasses.dataclass(frozen=True)
class Config:
    """The model and the devices."""

    devices: int = 8
    """Devices to simulate."""
    resolution: int = 64
    """Height and width of the images."""
    width: int = 64
    """Channels next to the image, in both networks."""
    batch_size: int = 128
    """Examples on each device in the projection, and of a whole batch elsewhere."""
    utilization: float = 0.3
    """Fraction of their peak that the devices compute at, in the projection."""
    seconds: bool = False
    """Time steps on 1, 2, 4, ... simulated devices, which share the cores of this machine."""
    weak: bool = False
    """Project the weak scaling of `WORKLOADS`, and nothing else."""
    json: pathlib.Path | None = None
    """File to write all numbers to, as JSON."""


# --- what is exchanged ----------------------------------------------------------------------------


class Collective(NamedTuple):
    """An instruction of a compiled program that exchanges data between devices.

    Attributes:
        kind: Its name, such as 'all-reduce'.
        size: Bytes of its results on one device.
    """

    kind: str
    size: int


KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_INSTRUCTION = re.compile(rf"= (\(.*?\)|\S+) ({'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"\b(pred|[a-z]+(\d+)\w*)\[([\d,]*)\]")


def collectives(program: str) -> list[Collective]:
    """Returns the collectives of a compiled program.

    Args:
        program: The text of the program (`compiled.as_text()`).
    """
    return [Collective(kind, _bytes(result)) for result, kind in _INSTRUCTION.findall(program)]


def _bytes(shapes: str) -> int:
    """Returns the bytes of all arrays in a type, such as '(f32[4,2]{1,0}, bf16[])'."""
    total = 0
    for name, bits, sides in _ARRAY.findall(shapes):
        count = 1
        for side in filter(None, sides.split(",")):
            count *= int(side)
        total += count * (8 if name == "pred" else max(int(bits), 8)) // 8
    return total


class Expected(NamedTuple):
    """The bytes that a train step of a DCGAN has to reduce.

    Attributes:
        gradients: Of the gradients of both players, each once.
        again: Of the discriminator's gradients, a second time. Under jit its two passes, real and
            fake, each have a gradient. XLA for the CPU reduces both and adds them afterwards.
        normalization: Of the sums of batch normalization.
    """

    gradients: int
    again: int
    normalization: int


_PASSES = {"generator": 3, "discriminator": 6}
"""Passes through a player's normalizations in a step, forward and backward: the generator draws for
both players and is differentiated once; the discriminator sees real and fake images for its own
update and fake ones for the generator's, and all three are differentiated.
"""


def expected(state: Any, mode: str) -> Expected:
    """Returns what a train step of a DCGAN, with one update of each player, has to reduce.

    Args:
        state: Its state; shapes are enough.
        mode: 'jit' or 'shard_map'.
    """
    import jax

    def held(tree: Any) -> int:
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

    gradients = {name: held(player.params) for name, player in state.players.items()}
    # A pass sums two values a channel, as many as there are running statistics.
    sums = {
        name: held(player.variables.get("batch_stats", {}))
        for name, player in state.players.items()
    }
    return Expected(
        gradients=sum(gradients.values()),
        again=gradients["discriminator"] if mode == "jit" else 0,
        normalization=sum(passes * sums[name] for name, passes in _PASSES.items()),
    )


def dcgan(config: Config, *, axis_name: str | None = None) -> GAN:
    """Returns the DCGAN of the configuration.

    Args:
        config: The configuration.
        axis_name: Name of the batch's axis under shard_map, or None.
    """
    from jaxgan import losses, optimizers
    from jaxgan.games.training import Training
    from jaxgan.models import dcgan

    adam = optimizers.adam(2e-4)
    training = Training(
        {"generator": adam, "discriminator": adam}, ema_half_life=10_000.0, axis_name=axis_name
    )
    return dcgan.build(
        shape=(config.resolution, config.resolution, 3),
        width=config.width,
        loss=losses.non_saturating(),
        training=training,
    )


def lowered(
    gan: GAN,
    mesh: Mesh,
    batch: Mapping[str, tuple[int, ...]],
    *,
    mode: str = "jit",
    shard_parameters: bool = False,
) -> Any:
    """Returns the train step lowered for the mesh, without an array in memory.

    Args:
        gan: The model.
        mesh: The devices.
        batch: Shapes of the batch's entries, by name.
        mode: 'jit' or 'shard_map'.
        shard_parameters: Whether to split the arrays of the players.
    """
    import jax
    import jax.numpy as jnp
    from jax.sharding import NamedSharding, PartitionSpec

    from jaxgan import parallel

    state = jax.eval_shape(gan.init, jax.random.key(0))
    shardings = parallel.state_shardings(state, mesh, mode=mode, shard_parameters=shard_parameters)
    state = jax.tree.map(
        lambda leaf, at: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=at), state, shardings
    )
    split = NamedSharding(mesh, PartitionSpec(parallel.AXIS))
    given = {
        name: jax.ShapeDtypeStruct(shape, jnp.float32, sharding=split)
        for name, shape in batch.items()
    }
    step: Any = parallel.compile_step(
        gan.step, mode=mode, mesh=mesh, donate=False, shard_parameters=shard_parameters
    )
    return step.lower(state, given)


def program(step: Any) -> str:
    """Returns the text of a lowered step, compiled. What it exchanges needs no fast code."""
    return step.compile(compiler_options={"xla_backend_optimization_level": 0}).as_text()


# --- the projection -------------------------------------------------------------------------------


class Machine(NamedTuple):
    """Devices and their links, by their makers' numbers.

    Attributes:
        name: What they are called.
        devices: Their number.
        peak: Products of bfloat16, in floating-point operations a second and device.
        bandwidth: Bytes a second that a device sends while all of them reduce.
        latency: Seconds of a reduction of few bytes.
    """

    name: str
    devices: int
    peak: float
    bandwidth: float
    latency: float


MACHINES = (
    Machine("8 x H100, NVLink", 8, 989e12, 450e9, 20e-6),
    # A torus of 16 x 16: two axes of 45 GB/s and direction.
    Machine("TPU v5e-256", 256, 197e12, 180e9, 60e-6),
)


class Projection(NamedTuple):
    """The seconds of a step on many devices, and how much of them is computing.

    Attributes:
        computing: Seconds of the products.
        exchanging: Seconds of the collectives, if nothing else happens meanwhile.
        efficiency: Throughput divided by that of as many single devices, if nothing overlaps.
        overlapped: The same if gradients are reduced while others are computed.
    """

    computing: float
    exchanging: float
    efficiency: float
    overlapped: float


BEHIND = 1 / 3
"""Fraction of the computing behind which gradients can be reduced: about that of the backward
passes which produce them.
"""


class Exchange(NamedTuple):
    """What a step reduces over the devices.

    Attributes:
        gradients: Bytes of the gradients of all players.
        players: Number of players. The gradients of each are reduced in one combined reduction, or
            in parts of which the last one cannot overlap: nothing is left to compute.
        sums: Bytes of the sums of batch normalization.
        normalizations: Number of their reductions, on each of which the next layer waits.
    """

    gradients: int
    players: int
    sums: int
    normalizations: int


def projected(
    machine: Machine, exchange: Exchange, *, flops: float, utilization: float
) -> Projection:
    """Returns the time of a step by arithmetic: products at a part of the peak, ring reductions.

    A reduction of V bytes over n devices takes its latency and 2 (n - 1) / n V / bandwidth.

    Args:
        machine: The devices.
        exchange: What is reduced in a step.
        flops: Floating-point operations of a step on each device.
        utilization: Fraction of the peak that the products reach.
    """
    computing = flops / (machine.peak * utilization)
    ring = 2 * (machine.devices - 1) / machine.devices / machine.bandwidth
    waiting = exchange.normalizations * machine.latency + ring * exchange.sums
    last = exchange.players * machine.latency
    gradients = ring * exchange.gradients
    exchanging = waiting + last + gradients
    seen = waiting + last + max(0.0, gradients - BEHIND * computing)
    return Projection(
        computing, exchanging, computing / (computing + exchanging), computing / (computing + seen)
    )


def needed(machine: Machine, exchange: Exchange, *, flops: float, utilization: float) -> int:
    """Returns the fewest examples on each device with which the overlapped efficiency is 95 %.

    Args:
        machine: The devices.
        exchange: What is reduced in a step.
        flops: Floating-point operations of a step for each example.
        utilization: Fraction of the peak that the products reach.
    """

    def reached(examples: int) -> bool:
        found = projected(machine, exchange, flops=examples * flops, utilization=utilization)
        return found.overlapped >= 0.95

    most = 1
    while not reached(most):
        most *= 2
    return bisect.bisect_left(range(most + 1), True, lo=1, key=reached)


class Workload(NamedTuple):
    """A model that many devices may train, with its paper's networks.

    Attributes:
        experiment: Name of the experiment.
        preset: The preset with the networks and the batch size of the paper.
        size: Height and width of the images.
        fields: What else to set.
    """

    experiment: str
    preset: str
    size: int
    fields: Mapping[str, Any] = types.MappingProxyType({})


WORKLOADS = (
    Workload("dcgan", "paper", 64, {"width": 64}),
    Workload("projected", "paper", 256, {"features": "package"}),
    Workload("r3gan", "ffhq64", 64),
    Workload("r3gan", "ffhq256", 256),
)
_SUMS = re.compile(r"stablehlo\.all_reduce.*?\) -> (?:tensor<2x(\d+)xf32>|\S)", re.DOTALL)


def exchanged_by(text: str, params: Sequence[Any]) -> Exchange:
    """Returns what a train step reduces over the devices.

    The reductions of normalization are those of its forward passes, which the text shows as arrays
    [2, C], and as many of the backward passes: no pass has more than one.

    Args:
        text: The step, lowered under shard_map.
        params: Parameters of each player, trees of shapes.
    """
    import jax

    sums = [int(channels) for channels in _SUMS.findall(text) if channels]
    held = [leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(params)]
    return Exchange(sum(held), len(params), 2 * sum(8 * n for n in sums), 2 * len(sums))


def measured(workload: Workload, *, examples: int = 8) -> tuple[Exchange, float]:
    """Returns what a step of a model reduces, and its floating-point operations for each example.

    Args:
        workload: The model.
        examples: Examples of the batch that is counted.
    """
    import jax

    from jaxgan import parallel
    from jaxgan.runs import experiments
    from jaxgan.runs.config import DataSpec

    experiment = experiments.named(workload.experiment)
    config = dataclasses.replace(
        experiment.preset(workload.preset), batch_size=examples, **workload.fields
    )
    shape = (workload.size, workload.size, 3)
    stage = experiment.plan(config, DataSpec(shape), saved=True)[0]
    batch = {"image": (stage.rows, *shape)}
    one, several = (parallel.data_mesh(parallel.first_devices(count)) for count in (1, 2))
    flops = lowered(stage.build(), one, batch).cost_analysis()["flops"]
    gan = stage.build(axis_name=parallel.AXIS)
    text = lowered(gan, several, batch, mode="shard_map").as_text()
    state = jax.eval_shape(gan.init, jax.random.key(0))
    return exchanged_by(text, [p.params for p in state.players.values()]), flops / examples


def weak(config: Config) -> dict[str, Any]:
    """Prints how models scale to a pod, and returns the numbers."""
    machine = MACHINES[-1]
    print(
        f"{machine.name}, projected (not measured): efficiency without and with overlap, and the "
        "images a chip with which it is 95 %"
    )
    found: dict[str, Any] = {}
    for workload in WORKLOADS:
        exchange, flops = measured(workload)
        name = f"{workload.experiment} --preset {workload.preset}"
        print(
            f"{name}, {workload.size} pixels: {flops / 1e9:.1f} GFLOP an image, "
            f"{exchange.gradients / 1e6:.1f} MB of gradients, {exchange.normalizations} reductions "
            f"of normalization",
            flush=True,
        )
        found[name] = {"flops": flops, **exchange._asdict()}
        for utilization in (config.utilization, 2 * config.utilization):
            rows: dict[str, Any] = {"utilization": utilization}
            for images in (1, 4, 16, 64, 256):
                one = projected(machine, exchange, flops=images * flops, utilization=utilization)
                rows[str(images)] = (round(one.efficiency, 4), round(one.overlapped, 4))
            rows["needed"] = needed(machine, exchange, flops=flops, utilization=utilization)
            found[name][f"{utilization:.0%}"] = rows
            print(f"  {rows}", flush=True)
    return found


# --- on simulated devices -------------------------------------------------------------------------


def seconds(gan: GAN, mesh: Mesh, shape: Sequence[int], rows: int, *, repeats: int = 5) -> float:
    """Returns the median seconds of a train step under jit.

    Args:
        gan: The model.
        mesh: The devices.
        shape: Shape of an image.
        rows: Examples of the whole batch.
        repeats: Timed steps, after a first one.
    """
    import jax
    import numpy as np

    from jaxgan import parallel

    state = parallel.place_state(jax.jit(gan.init)(jax.random.key(0)), mesh)
    batch = parallel.shard({"image": np.zeros((rows, *shape), np.float32)}, mesh)
    step = parallel.compile_step(gan.step, mesh=mesh)
    taken = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        state, _ = jax.block_until_ready(step(state, batch))
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def main(config: Config) -> int:
    """Prints the tables and returns the exit code."""
    flag = f"--xla_force_host_platform_device_count={config.devices}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    from jaxgan import parallel

    if config.weak:
        numbers = weak(config)
        if config.json is not None:
            config.json.write_text(json.dumps(numbers, indent=1) + "\n")
        return 0
    mesh = parallel.data_mesh(parallel.first_devices(config.devices))
    shape = (config.resolution, config.resolution, 3)
    found: dict[str, Any] = {"config": {**dataclasses.asdict(config), "json": None}}
    for mode, split in (("jit", False), ("shard_map", False), ("jit", True)):
        gan = dcgan(config, axis_name=parallel.axis_for(mode))
        state = jax.eval_shape(gan.init, jax.random.key(0))
        step = lowered(
            gan, mesh, {"image": (config.batch_size, *shape)}, mode=mode, shard_parameters=split
        )
        exchanged, least = collectives(program(step)), expected(state, mode)
        name = f"{mode}{', parameters split' if split else ''}"
        found[name] = row = {
            "flops": step.cost_analysis()["flops"],
            "bytes": sum(one.size for one in exchanged),
            "collectives": {k: sum(c.kind == k for c in exchanged) for k in KINDS},
            "expected": least._asdict(),
            "bytes of the state a device": _held(state, mesh, split),
        }
        counts = ", ".join(f"{count} {kind}" for kind, count in row["collectives"].items() if count)
        print(f"{name}: {counts}; {row['bytes'] / 1e6:.2f} MB a step")
        print(
            f"  gradients {least.gradients / 1e6:.2f} MB, the discriminator's again "
            f"{least.again / 1e6:.2f}, normalization {least.normalization / 1e6:.3f}: "
            f"{row['bytes'] / sum(least):.3f} times that"
        )
        print(f"  state on a device {row['bytes of the state a device'] / 1e6:.1f} MB")
    print(f"\nprojected, {config.batch_size} images a device (not measured):")
    base = found["shard_map"]
    flops = found["jit"]["flops"]  # of the whole batch, here that of one device
    count, least = sum(base["collectives"].values()), base["expected"]
    exchange = Exchange(
        least["gradients"], players=2, sums=least["normalization"], normalizations=count - 2
    )
    for machine in MACHINES:
        one = projected(machine, exchange, flops=flops, utilization=config.utilization)
        found[machine.name] = {**machine._asdict(), **one._asdict()}
        print(
            f"  {machine.name}: computing {one.computing * 1e3:.3f} ms, exchanging "
            f"{one.exchanging * 1e3:.3f} ms; efficiency {one.efficiency:.2f}, overlapped "
            f"{one.overlapped:.2f} (latency {machine.latency * 1e6:.0f} us, "
            f"{machine.bandwidth / 1e9:.0f} GB/s, {config.utilization:.0%} of "
            f"{machine.peak / 1e12:.0f} TFLOP/s)"
        )
    if config.seconds:
        found["seconds"] = _timed(config, shape)
    if config.json is not None:
        config.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _held(state: Any, mesh: Mesh, split: bool) -> int:
    """Returns the bytes of the state's arrays on one device, but for its random key."""
    import jax

    from jaxgan import parallel

    shardings = parallel.state_shardings(state, mesh, shard_parameters=split)
    total = 0
    for leaf, at in zip(jax.tree.leaves(state), jax.tree.leaves(shardings), strict=True):
        if not jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            total += leaf.dtype.itemsize * math.prod(at.shard_shape(leaf.shape))
    return total


def _timed(config: Config, shape: Sequence[int]) -> list[dict[str, Any]]:
    """Times steps of one batch on more and more devices, and of one as large as they are many."""
    from jaxgan import parallel

    print("\nseconds a step on simulated devices, which share the same cores:")
    print(f"{'devices':>8}{'the same batch':>18}{'a batch each':>18}{'an image':>14}")
    gan, table = dcgan(config), []
    count, part = 1, config.batch_size // config.devices
    while count <= config.devices:
        mesh = parallel.data_mesh(parallel.first_devices(count))
        strong = seconds(gan, mesh, shape, part * config.devices)
        weak = seconds(gan, mesh, shape, part * count)
        table.append({"devices": count, "strong": strong, "weak": weak})
        print(f"{count:>8}{strong:>18.3f}{weak:>18.3f}{weak / (part * count):>14.5f}", flush=True)
        count *= 2
    return table


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
