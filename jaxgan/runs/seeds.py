"""The models that a run trains together, one for each seed, or for each setting at each seed.

A single model is the case of one seed. All differences between one model and several are handled
here: mesh, keys, batches, placement, and the choice of one model.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from PIL import Image

from jaxgan import parallel
from jaxgan.data import splits
from jaxgan.games import ensemble
from jaxgan.plotting import image_grids
from jaxgan.runs import saved_state, sweeps
from jaxgan.runs.config import RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.types import GAN


class Seeds(NamedTuple):
    """The seeds of the models that train together, and the settings in which they differ.

    Attributes:
        numbers: The seed of each model, at least one. With one, the state is that of the model
            itself. With several, every leaf but the step counter has a first axis [S].
        settings: By name, the value of each model [S]; empty if they differ in their seeds alone.
    """

    numbers: tuple[int, ...]
    settings: Mapping[str, tuple[float, ...]] = MappingProxyType({})

    @classmethod
    def of(cls, config: RunConfig) -> Seeds:
        """Returns those of the models that a run trains together.

        Args:
            config: The configuration of the run.
        """
        return cls(config.model_seeds, config.model_settings)

    @property
    def single(self) -> bool:
        """Returns whether there is only one model."""
        return len(self.numbers) == 1

    @property
    def logged(self) -> tuple[int, ...]:
        """Returns the seeds that the log distinguishes: none if there is only one model."""
        return () if self.single else self.numbers

    @property
    def labels(self) -> list[str]:
        """Returns what names each model, such as 'seed 3'."""
        return sweeps.labels(self.numbers, self.settings)

    @property
    def flags(self) -> str:
        """Returns the flags that make several models, for messages."""
        if self.settings:
            return f"--sweep {' '.join(self.settings)}"
        return f"--seeds {len(self.numbers)}"

    # --- training ---------------------------------------------------------------------------------

    def mesh(self, mesh: Mesh) -> Mesh:
        """Returns the devices to train on: all, or as many as split several models evenly.

        Args:
            mesh: All available devices.
        """
        return mesh if self.single else ensemble.mesh_for(len(self.numbers), mesh)

    def together(self, gan: GAN, mesh: Mesh, build: ensemble.Build | None = None) -> GAN:
        """Returns what is trained: the model itself, or an ensemble split over the devices.

        Args:
            gan: The model of one seed; of several settings, the first.
            mesh: The devices to train on.
            build: Builds it with other settings; needed only if there are several.
        """
        if self.single:
            return gan
        if not self.settings:
            return ensemble.spread(ensemble.of(gan), mesh)
        assert build is not None
        return ensemble.spread(ensemble.of_settings(build, self.settings), mesh)

    def own(self, build: ensemble.Build) -> tuple[GAN, ...]:
        """Returns the model of each setting, if their samples differ beyond their weights.

        Otherwise returns none: the functions of the first model draw the samples of all.

        Args:
            build: Builds a model with other settings.
        """
        if not ensemble.numbers_drawn(build, self.settings):
            return ()
        rows = zip(*self.settings.values(), strict=True)
        return tuple(build(dict(zip(self.settings, row, strict=True))) for row in rows)

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
        by_seed = {
            seed: splits.examples(dataset, seed=seed, step=step, size=size, rows=rows)
            for seed in dict.fromkeys(self.numbers)
        }
        parts = [by_seed[seed] for seed in self.numbers]
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
                f"{self.flags} splits the models; leave out one of them"
            )
        if not self.single and mode != "jit":
            raise RunError(
                f"--parallel {mode} splits the examples of a batch over the devices, but "
                f"{self.flags} splits the models; use --parallel jit"
            )

    def picture(
        self, draw: image_grids.Picture, *others: image_grids.Picture, models: Sequence[GAN] = ()
    ) -> image_grids.Picture:
        """Returns the function that draws the pictures of all models together.

        Args:
            draw: Draws the picture of one model.
            *others: Draw those of the other models, if their functions differ.
            models: The models, if their functions differ (`states`).
        """
        if self.single:
            return draw
        draws = (draw, *others) if others else (draw,) * len(self.numbers)

        def together(state: Any) -> Image.Image:
            each = zip(self.labels, draws, self.states(state, models), strict=True)
            return image_grids.panels({label: draw(one) for label, draw, one in each})

        return together

    # --- looking at a model -----------------------------------------------------------------------

    def states(self, state: Any, models: Sequence[GAN] = ()) -> list[Any]:
        """Returns the state of each model. The states of several models are copied to the host.

        Args:
            state: State of one model, or of all.
            models: The models, if their functions differ: each state takes those of its own.
        """
        if self.single:
            return [state]
        together = jax.device_get(state)
        found = [ensemble.select(together, index) for index in range(len(self.numbers))]
        if not models:
            return found
        return [ensemble.bound(own, gan) for own, gan in zip(found, models, strict=True)]

    def choose(
        self,
        seed: int | None,
        member: str | int | None = None,
        *,
        path: pathlib.Path,
        flag: str,
        member_flag: str = "member=",
    ) -> int:
        """Returns the index of the model to load.

        Args:
            seed: The requested seed, or None if none was named.
            member: The requested model as `sweeps.named` takes it, or None if none was named.
            path: The run directory, for messages.
            flag: What the user writes before a seed, for messages.
            member_flag: What the user writes before a member, for messages.

        Raises:
            RunError: If there is no such model, if none was named and there are several, or if a
                seed is named that several models have.
        """
        if seed is not None and member is not None:
            raise RunError(f"both {flag}{seed} and {member_flag}{member} name a model; give one")
        if member is not None:
            try:
                return sweeps.named(member, self.numbers, self.settings)
            except ValueError as error:
                raise RunError(f"{path}: {error}") from error
        numbers = ", ".join(map(str, dict.fromkeys(self.numbers)))
        have = f"the seeds {numbers}" if len(set(self.numbers)) > 1 else f"seed {numbers}"
        if seed is not None and seed not in self.numbers:
            raise RunError(f"{path} holds no model of seed {seed}; it has {have}")
        if self.single:
            return 0
        if self.settings:
            raise RunError(
                f"{path} holds {len(self.numbers)} models, {sweeps.listed(self.labels)}: say "
                f"which, {member_flag}0"
            )
        if seed is None:
            raise RunError(
                f"{path} holds {len(self.numbers)} models, of {have}: say which, "
                f"{flag}{self.numbers[0]}"
            )
        return self.numbers.index(seed)

    def restore(self, gan: GAN, saved: saved_state.Saved, index: int) -> Any:
        """Returns the state of one model from the checkpoint of all.

        Args:
            gan: The model.
            saved: The checkpoint.
            index: Index of the model, from 0.
        """
        together = gan if self.single else ensemble.of(gan)
        everyone = saved_state.to_tree(jax.eval_shape(together.init, self.keys()), saved)
        chosen = everyone if self.single else ensemble.select(everyone, index)
        return jax.device_put(chosen)

    def adopt(self, saved: saved_state.Saved, held: int, path: pathlib.Path) -> saved_state.Saved:
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
                f"--seeds {held}, or from a run of one (jaxgan extract makes one of a member)"
            )
        arrays = {name: np.broadcast_to(a, (wanted, *a.shape)) for name, a in saved.arrays.items()}
        return saved._replace(arrays=arrays)


def stacked(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Stacks K batches [...] to one batch [K, ...], by name."""
    return {name: np.stack([part[name] for part in parts]) for name in parts[0]}
