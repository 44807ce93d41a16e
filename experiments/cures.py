"""What keeps a GAN from collapsing: a GAN on the plane against the same with one piece more.

    python -m experiments.cures --data ring
    python -m experiments.cures --data grid

Prints, for each row, the modes captured, the modes that hold at least a tenth of their share, the
share of points of high quality and the reverse KL divergence (`jaxgan.metrics.modes`): mean and
standard deviation over seeds, which train together. The protocol is a cut of the papers': 5000
steps of 128 examples, where they take 25,000 of 512, so its numbers compare with each other alone.
A perfect generator has 98.9 % of high quality.

Finished rows are kept in runs/cures/DATA.json and not run again; `--rows "packing 2"` names those
to run. `experiments/pieces.py` says what each row is.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import time
from typing import TYPE_CHECKING, Any, Literal

import tyro

from jaxgan import rundir

if TYPE_CHECKING:
    from experiments.pieces import Recipe

COLUMNS = {
    "captured": ("modes", "{:.1f}", 1.0),
    "filled": ("filled", "{:.1f}", 1.0),
    "high_quality": ("high quality %", "{:.1f}", 100.0),
    "reverse_kl": ("reverse KL", "{:.3f}", 1.0),
}
"""By measure: its heading, its form and what it is multiplied by."""

PROTOCOL = ("data", "seeds", "steps", "batch_size", "samples", "steps_per_call")


@dataclasses.dataclass(frozen=True)
class Config:
    """What to compare."""

    data: Literal["ring", "grid"] = "ring"
    """8 Gaussians on a circle, or 25 on a grid."""
    rows: tuple[str, ...] = ()
    """The rows to run, by name; default: all."""
    seeds: int = 5
    """How many models of each row."""
    steps: int = 5000
    """Train steps of each model."""
    batch_size: int = 128
    """Examples, or packs of them, in each update."""
    samples: int = 2500
    """Points drawn from each model at the end."""
    steps_per_call: int = 100
    """Train steps in one compiled call."""
    out: pathlib.Path | None = None
    """Where the results are kept; default: runs/cures/DATA.json."""

    @property
    def path(self) -> pathlib.Path:
        return self.out or pathlib.Path("runs/cures") / f"{self.data}.json"

    @property
    def protocol(self) -> dict[str, Any]:
        """What a row's numbers depend on."""
        return {name: getattr(self, name) for name in PROTOCOL}


def run(config: Config) -> dict[str, Any]:
    """The results by row, each a list over seeds of every measure; rows not yet there are run.

    Raises ValueError on a row that does not exist, on a number of steps that the calls do not
    divide, and where the file holds results of another protocol.
    """
    from experiments import pieces

    if config.steps % config.steps_per_call:
        raise ValueError(
            f"{config.steps} steps are no whole number of calls of {config.steps_per_call}; "
            "choose --steps-per-call so that it divides --steps"
        )
    recipes = pieces.rows(config.steps)
    for name in config.rows:
        if name not in recipes:
            raise ValueError(f"there is no row {name!r}; the rows are {', '.join(recipes)}")
    results = read(config)
    for name in config.rows or recipes:
        if name not in results:
            results[name] = measured(recipes[name], config)
            config.path.parent.mkdir(parents=True, exist_ok=True)
            content = {"protocol": config.protocol, "rows": results}
            rundir.write_whole(config.path, json.dumps(content, indent=1))
            print(line(name, results[name]), flush=True)
    return results


def read(config: Config) -> dict[str, Any]:
    """The finished rows of the file; ValueError where they are of another protocol."""
    if not config.path.exists():
        return {}
    kept = json.loads(config.path.read_text())
    if kept["protocol"] != config.protocol:
        raise ValueError(
            f"{config.path} holds results of {kept['protocol']}, not of {config.protocol}; "
            "name another file with --out"
        )
    return kept["rows"]


def measured(recipe: Recipe, config: Config) -> dict[str, list[float]]:
    """The measures of the recipe's models, by seed, and the seconds that they took together."""
    import jax
    import numpy as np

    from experiments import pieces
    from jaxgan import data, population, random, steps
    from jaxgan.metrics import modes

    mixture: Any = data.load(config.data).train
    many = population.of(pieces.build(recipe))
    seeds, rows = range(config.seeds), config.batch_size * recipe.rows
    shape = (config.seeds, config.steps_per_call, rows, *mixture.shape)
    begun = time.perf_counter()
    state, call = jax.jit(many.init)(population.keys(seeds)), jax.jit(steps.repeat(many.step))
    for index in range(config.steps // config.steps_per_call):
        size = config.steps_per_call * rows
        drawn = [mixture.batch(seed=seed, step=index, size=size)["image"] for seed in seeds]
        state, _ = call(state, {"image": np.stack(drawn).reshape(shape).swapaxes(0, 1)})
    points = np.asarray(many.sample(state, random.row_keys(jax.random.key(0), config.samples)))
    found = [modes.coverage(of_seed, mixture) for of_seed in points]
    result = {name: [float(getattr(one, name)) for one in found] for name in COLUMNS}
    return {**result, "seconds": [time.perf_counter() - begun]}


def line(name: str, result: dict[str, list[float]]) -> str:
    """One row of the table: mean and standard deviation over seeds."""
    import numpy as np

    cells = []
    for measure, (_, form, factor) in COLUMNS.items():
        values = factor * np.asarray(result[measure])
        spread = "-"
        if len(values) > 1 and np.isfinite(values).all():
            spread = form.format(np.std(values, ddof=1))
        cells.append(f"{form.format(np.mean(values)) + ' +- ' + spread:>18s}")
    return f"{name:26s}" + "".join(cells) + f"{result['seconds'][0]:8.0f} s"


def report(results: dict[str, Any]) -> str:
    """The table of the results."""
    headings = "".join(f"{heading:>18s}" for heading, _, _ in COLUMNS.values())
    head = f"{'GAN and':26s}{headings}{'time':>10s}"
    return "\n".join([head, *(line(name, result) for name, result in results.items())])


if __name__ == "__main__":
    chosen = tyro.cli(Config, description=__doc__)
    print("\n" + report(run(chosen)))
