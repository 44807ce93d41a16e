"""The models that a run trains together, one for each seed.

A single model is the case of one seed. All differences between one model and several are handled
here: mesh, keys, batches, placement, and the choice of one model.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from PIL import Image

from jaxgan import parallel
from jaxgan.data import splits
from jaxgan.games import ensemble
from jaxgan.plotting import image_grids
from jaxgan.runs import checkpoint
from jaxgan.runs.errors import RunError
from jaxgan.types import GAN


class Seeds(NamedTuple):
    """The seeds of the models that train together.

    Attributes:
        numbers: The seeds, at least one. With one seed, the state is that of the model itself. With
            several, every leaf but the step counter has a first axis [S].
    """

    numbers: tuple[int, ...]

    @property
    def single(self) -> bool:
        """Returns whether there is only one model."""
        return len(self.numbers) == 1

    @property
    def logged(self) -> tuple[int, ...]:
        """Returns the seeds that the log distinguishes: none if there is only one model."""
        return () if self.single else self.numbers

    # --- training ---------------------------------------------------------------------------------

    def mesh(self, mesh: Mesh) -> Mesh:
        """Returns the devices to train on: all, or as many as split several models evenly.

        Args:
            mesh: All available devices.
        """
        return mesh if self.single else ensemble.mesh_for(len(self.numbers), mesh)

    def together(self, gan: GAN, mesh: Mesh) -> GAN:
        """Returns what is trained: the model itself, or an ensemble split over the devices.

        Args:
            gan: The model of one seed.
            mesh: The devices to train on.
        """
        return gan if self.single else ensemble.spread(ensemble.of(gan), mesh)

    def keys(self, stage: int = 0) -> jax.Array:
        """Returns the random key of a stage's initial state, or one key per model [S].

        Args:
            stage: Index of the stage.
        """
        keys = ensemble.keys(self.numbers)
        if stage > 0:
            keys = jax.vmap(lambda key: jax.random.fold_in(key, stage))(keys)
        return keys[0] if self.single else keys

    def for_each(self, change: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function of all models' states that applies `change` to each model.

        Args:
            change: A function of one model's states.
        """
        return change if self.single else ensemble.for_each(change)

    def place(
        self, state: Any, mesh: Mesh, *, mode: str = "jit", shard_parameters: bool = False
    ) -> Any:
        """Returns the state on the devices: as one model's is placed, or the models split.

        Args:
            state: State of one model, or of all.
            mesh: The devices to train on.
            mode: How to run on several devices (`parallel.MODES`).
            shard_parameters: Whether to split the arrays of a single model.

        Raises:
            ValueError: If the mode cannot hold the state so.
        """
        if self.single:
            return parallel.place_state(state, mesh, mode=mode, shard_parameters=shard_parameters)
        return ensemble.place(state, mesh)

    def batch(
        self, dataset: Any, *, step: int, size: int, rows: np.ndarray | None = None
    ) -> Mapping[str, np.ndarray]:
        """Returns the batch of a train step.

        Args:
            dataset: The training data.
            step: The train step.
            size: Batch size of one model.
            rows: Which examples of the batch to read, int [R]; None: all.

        Returns:
            The arrays [B, ...] by name, or [S, B, ...] with a different batch for each of several
                models.
        """
        parts = [
            splits.examples(dataset, seed=seed, step=step, size=size, rows=rows)
            for seed in self.numbers
        ]
        return parts[0] if self.single else stacked(parts)

    def require_divided(self, size: int, mesh: Mesh) -> None:
        """Checks that the devices can split the batch of a single model evenly.

        Args:
            size: Batch size of a train step.
            mesh: The devices to train on.

        Raises:
            ValueError: If the batch of a single model cannot be split evenly.
        """
        if self.single and size % mesh.size:
            fewer = max(n for n in range(1, mesh.size) if size % n == 0)
            raise ValueError(
                f"a step takes {size} examples, which cannot be split over {mesh.size} devices; "
                f"use a --batch-size that {mesh.size} divides, so that a step takes "
                f"{parallel.fitting(size, mesh)}, or --devices {fewer}"
            )

    def require_mode(self, mode: str, *, shard_parameters: bool = False) -> None:
        """Checks that the models can train in a mode of parallelism.

        Args:
            mode: The value of `--parallel`.
            shard_parameters: The value of `--shard-parameters`.

        Raises:
            RunError: If there are several models and the mode splits batches, or arrays are split,
                over the devices: with several seeds the devices split the models. Or if the mode
                cannot split arrays.
        """
        if shard_parameters and mode != "jit":
            raise RunError(
                f"--shard-parameters works with --parallel jit, not with --parallel {mode}, which "
                "holds all parameters on each device"
            )
        if shard_parameters and not self.single:
            raise RunError(
                f"--shard-parameters splits the arrays of one model over the devices, but "
                f"--seeds {len(self.numbers)} splits the models; leave out one of them"
            )
        if not self.single and mode != "jit":
            raise RunError(
                f"--parallel {mode} splits the examples of a batch over the devices, but "
                f"--seeds {len(self.numbers)} splits the models; use --parallel jit"
            )

    def picture(self, draw: image_grids.Picture) -> image_grids.Picture:
        """Returns the function that draws the pictures of all models together.

        Args:
            draw: Draws the picture of one model.
        """
        if self.single:
            return draw

        def together(state: Any) -> Image.Image:
            pairs = zip(self.numbers, self.states(state), strict=True)
            return image_grids.panels({f"seed {seed}": draw(one) for seed, one in pairs})

        return together

    # --- looking at a model -----------------------------------------------------------------------

    def states(self, state: Any) -> list[Any]:
        """Returns the state of each model. The states of several models are copied to the host.

        Args:
            state: State of one model, or of all.
        """
        if self.single:
            return [state]
        together = jax.device_get(state)
        return [ensemble.select(together, index) for index in range(len(self.numbers))]

    def choose(self, seed: int | None, *, path: pathlib.Path, flag: str) -> int:
        """Returns the seed of the model to load.

        Args:
            seed: The requested seed, or None if none was named.
            path: The run directory, for messages.
            flag: What the user writes before a seed, for messages.

        Raises:
            RunError: If there is no such seed, or if none was named and there are several.
        """
        numbers = ", ".join(map(str, self.numbers))
        have = f"seed {numbers}" if self.single else f"the seeds {numbers}"
        if seed is None and not self.single:
            raise RunError(
                f"{path} holds {len(self.numbers)} models, of {have}: say which, "
                f"{flag}{self.numbers[0]}"
            )
        if seed is not None and seed not in self.numbers:
            raise RunError(f"{path} holds no model of seed {seed}; it has {have}")
        return self.numbers[0] if seed is None else seed

    def restore(self, gan: GAN, saved: checkpoint.Saved, seed: int) -> Any:
        """Returns the state of one model from the checkpoint of all.

        Args:
            gan: The model of one seed.
            saved: The checkpoint.
            seed: Seed of the model, one of `numbers`.
        """
        together = gan if self.single else ensemble.of(gan)
        everyone = checkpoint.to_tree(jax.eval_shape(together.init, self.keys()), saved)
        chosen = everyone if self.single else ensemble.select(everyone, self.numbers.index(seed))
        return jax.device_put(chosen)

    def adopt(self, saved: checkpoint.Saved, held: int, path: pathlib.Path) -> checkpoint.Saved:
        """Returns another run's checkpoint as a checkpoint of as many models as there are here.

        The weights of a single model are repeated for every seed.

        Args:
            saved: The checkpoint.
            held: Number of models that it holds.
            path: The run directory of the checkpoint, for messages.

        Raises:
            RunError: If it holds several models, but not as many as there are here.
        """
        wanted = len(self.numbers)
        if held == wanted:
            return saved
        if held > 1:
            raise RunError(
                f"--init-from {path}: the run holds {held} models; start from it with "
                f"--seeds {held}, or from a run of one"
            )
        arrays = {name: np.broadcast_to(a, (wanted, *a.shape)) for name, a in saved.arrays.items()}
        return saved._replace(arrays=arrays)


def stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Stacks K batches [...] to one batch [K, ...], by name."""
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}
