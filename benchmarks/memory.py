"""What a train step needs in memory: as it is, in slices, rematerialized, and in bfloat16.

    python -m benchmarks.memory              what is alive at once in the programs, as traced
    python -m benchmarks.memory --compile    also what XLA allots to them on this machine (minutes)

Nothing is trained, and no array is made. The first number is that of operations which run one by
one, in the order of the program. It depends on no device, and no device needs just that: XLA fuses
operations and orders them anew, and its convolutions take room of their own. The second is the
temporary memory of the program compiled here. docs/training.md explains the numbers.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import pathlib
import sys
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import tyro

Name = Literal["dcgan", "cyclegan", "r3gan"]


@dataclasses.dataclass(frozen=True)
class Config:
    """The models and what is counted."""

    models: tuple[Name, ...] = ("dcgan", "cyclegan", "r3gan")
    """Models, by their experiments."""
    compile: bool = False
    """Compile the train steps, too, for this machine's devices."""
    json: pathlib.Path | None = None
    """File to write all numbers to, as JSON."""


class Model(NamedTuple):
    """An experiment with its settings.

    Attributes:
        settings: Fields of its configuration.
        shape: Shape of an image.
        roles: Names of the images in its batches.
    """

    settings: Mapping[str, Any]
    shape: tuple[int, int, int]
    roles: tuple[str, ...] = ("image",)


MODELS: Mapping[str, Model] = {
    "dcgan": Model({"preset": "paper"}, (64, 64, 3)),
    "cyclegan": Model({"preset": "paper", "batch_size": 4}, (128, 128, 3), ("a", "b")),
    "r3gan": Model({"preset": "flowers"}, (64, 64, 3)),
}

FLAGS: tuple[Mapping[str, Any], ...] = (
    {},
    {"accumulate": 4},
    {"remat": True},
    {"precision": "bf16"},
    {"precision": "bf16", "remat": True},
)


def lowered(model: Model, name: str, changes: Mapping[str, Any]) -> tuple[Any, tuple[Any, Any]]:
    """Returns the train step of a model, and the shapes of its state and batch.

    Args:
        model: The model.
        name: Name of its experiment.
        changes: Further fields of its configuration.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan.runs import setup
    from jaxgan.runs.config import DataSpec

    module = importlib.import_module(f"experiments.{name}")
    fields = {**module.PRESETS[model.settings["preset"]], **model.settings, **changes}
    config = dataclasses.replace(module.Config(), **fields)
    inputs = {"a": model.shape} if "a" in model.roles else {}
    gan = module.build(config, DataSpec(model.shape, inputs=inputs))
    state = jax.eval_shape(gan.init, jax.random.key(0))
    rows = (config.rows_per_step, *model.shape)
    batch = {role: jax.ShapeDtypeStruct(rows, jnp.float32) for role in model.roles}
    return setup.calling_networks(config, gan.step), (state, batch)


def most_alive(program: Any) -> int:
    """Returns the most bytes of a program's results that are alive at once, without its arguments.

    Args:
        program: The jaxpr of a function, whose operations run one by one, in their order.
    """
    from jax.extend.core import Var, jaxprs_in_params

    last = {}
    for place, equation in enumerate(program.eqns):
        last |= {value: place for value in equation.invars if isinstance(value, Var)}
    last |= {value: len(program.eqns) for value in program.outvars if isinstance(value, Var)}
    alive, most = {}, 0
    for place, equation in enumerate(program.eqns):
        made = {value: _bytes(value.aval) for value in equation.outvars}
        # What an inner program returns is alive within it as well.
        within = max(map(most_alive, jaxprs_in_params(equation.params)), default=0)
        most = max(most, sum(alive.values()) + max(within, sum(made.values())))
        alive = {v: size for v, size in {**alive, **made}.items() if last.get(v, -1) > place}
    return most


def _bytes(of: Any) -> int:
    return math.prod(of.shape) * of.dtype.itemsize


def main(config: Config) -> int:
    """Prints the table; returns the exit status."""
    import jax

    columns = ["alive at once, MB", *(["XLA, MB"] if config.compile else [])]
    print(f"{'':<34}" + "".join(f"{column:>20}" for column in columns))
    table = []
    for name in config.models:
        for changes in FLAGS:
            step, given = lowered(MODELS[name], name, changes)
            row = {
                "model": name,
                **changes,
                "alive": most_alive(jax.make_jaxpr(step)(*given).jaxpr),
            }
            if config.compile:
                row["xla"] = allotted(step, given)
            table.append(row)
            print(f"{name + _words(changes):<34}" + _numbers(row), flush=True)
    if config.json is not None:
        config.json.write_text(json.dumps(table, indent=1) + "\n")
    return 0


def allotted(step: Any, given: tuple[Any, Any]) -> int:
    """Returns the bytes of temporary memory that XLA allots to a train step on this machine.

    Args:
        step: The train step.
        given: Shapes of its state and batch.
    """
    import jax

    program = jax.jit(step, donate_argnums=0).lower(*given)
    # Fast code takes longer to compile, and no other memory.
    options: dict[str, Any] = {"xla_backend_optimization_level": 0}
    analysis: Any = program.compile(compiler_options=options).memory_analysis()
    return analysis.temp_size_in_bytes


def _words(changes: Mapping[str, Any]) -> str:
    from jaxgan.runs import flags

    given = (flags.flag(n) + ("" if value is True else f" {value}") for n, value in changes.items())
    return "".join(f" {flag}" for flag in given)


def _numbers(row: Mapping[str, Any]) -> str:
    return "".join(f"{row[name] / 1e6:>20,.0f}" for name in ("alive", "xla") if name in row)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, description=__doc__)))
