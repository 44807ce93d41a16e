"""Directions in the latent space along which images change: found without labels, or by them.

The latent moves by multiples of its own standard deviation along the direction, so that equal steps
are equally likely whatever the prior.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from jaxgan import files, random
from jaxgan.games import latent_access
from jaxgan.metrics import probes
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel
from jaxgan.tools import latent_concepts
from jaxgan.types import Array, PyTree

MOST = 512
"""The largest number of directions of a file."""

MOST_ENTRIES = 4096
"""The largest number of entries of a latent."""

METHODS = ("sefa", "pca", "concepts")
"""How directions are found, which are the names of their files."""

LEAST = 20
"""The smallest number of samples of a concept that a direction is fitted to."""

_POINTS = 8  # latents at which a layer is differentiated that is not linear
_HELD_OUT = 5  # of so many samples, one decides how well a direction separates


@dataclasses.dataclass(frozen=True)
class Directions:
    """Directions of a latent space.

    Attributes:
        method: How they were found, one of `METHODS`; 'entries' of a latent's own.
        vectors: The directions, of length 1, float32 [K, Z].
        deviations: Standard deviation of the prior's latents along each, float32 [K].
        names: Their names [K].
        strengths: Of 'sefa', the share of the squared norm of the first layer's weight; of 'pca',
            the share of the features' variance; of 'concepts', the probability that a held-out
            sample of the concept lies further along the direction than another (the area under the
            ROC curve; 0.5 says that the direction means nothing), float32 [K].
    """

    method: str
    vectors: np.ndarray
    deviations: np.ndarray
    names: tuple[str, ...]
    strengths: np.ndarray

    def along(self, latents: np.ndarray, index: int, steps: np.ndarray) -> np.ndarray:
        """Returns the latents moved by each step along a direction, [N * S, Z].

        Args:
            latents: Latents [N, Z].
            index: Number of the direction.
            steps: Steps [S], in standard deviations of the latents.
        """
        return moved(latents, self.deviations[index] * self.vectors[index], steps)


def moved(latents: np.ndarray, way: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Returns latents plus multiples of a vector, [N * S, Z].

    Args:
        latents: Latents [N, Z].
        way: The vector, [Z].
        steps: The multiples, [S].
    """
    shifts = steps[:, None].astype(np.float32) * way[None].astype(np.float32)
    return (latents[:, None] + shifts[None]).reshape(-1, latents.shape[1])


def of_entries(latents: np.ndarray) -> Directions:
    """Returns the entries of the latent as directions.

    Args:
        latents: Draws of the prior, [N, Z].
    """
    size = latents.shape[1]
    names = [f"entry {number}" for number in range(size)]
    return _of("entries", np.eye(size), names, np.ones(size), latents)


# --- without labels -------------------------------------------------------------------------------


def closed_form(model: TrainedModel, latents: np.ndarray, *, count: int) -> Directions:
    """Finds the directions that the generator's first layer amplifies most (SeFa).

    They are the eigenvectors of A^T A with the largest eigenvalues, where A is the Jacobian of the
    first layer that has weights and depends on the latents. Where that layer is a linear map of the
    latents, this is its weight, as in the paper; where the generator normalizes its latents first,
    A^T A is the mean over several latents.

    Args:
        model: The trained model.
        latents: Draws of the prior, [N, Z]; two or more.
        count: Number of directions.

    Raises:
        ValueError: If the model has no generator that takes one vector per image.

    References:
        Shen and Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs", equation 4.
    """
    product = _first_layer(model, latents[:_POINTS])[1]
    values, vectors = np.linalg.eigh(product)
    return _found("sefa", vectors.T[::-1], values[::-1] / values.sum(), latents, count)


def principal(model: TrainedModel, latents: np.ndarray, *, count: int) -> Directions:
    """Finds the directions of the latents along which features of the generator vary most (PCA).

    The features are the outputs of the layer after the first one that depends on the latents (of
    the first, if there is no other): the first is mostly linear, so that its principal components
    would be those of `closed_form`. The principal components' coordinates are regressed on:
    direction k minimizes the sum of squares of the latents minus the direction times coordinate k.

    Args:
        model: The trained model.
        latents: Draws of the prior, [N, Z]; more than `count`.
        count: Number of directions.

    Raises:
        ValueError: If the model has no generator that takes one vector per image.

    References:
        Härkönen et al. 2020, "GANSpace: Discovering Interpretable GAN Controls", section 2.2,
        equation 2.
    """
    first, _ = _first_layer(model, latents[:_POINTS])
    index = first + _has(model, first + 1, latents.shape[1])
    read = jax.jit(lambda state, z: _output(model, state, z, index))
    state, size = model.state.averaged(), 64
    padded = latents[np.minimum(np.arange(-(-len(latents) // size) * size), len(latents) - 1)]
    rows = [np.asarray(read(state, padded[at : at + size])) for at in range(0, len(padded), size)]
    features = np.concatenate(rows)[: len(latents)]
    features = features - features.mean(axis=0, dtype=np.float64).astype(np.float32)
    values, vectors = np.linalg.eigh((features @ features.T).astype(np.float64))
    coordinates = vectors[:, ::-1] * np.sqrt(np.maximum(values[::-1], 0))[None]
    shares = np.maximum(values[::-1], 0) / max(values.sum(), 1e-30)
    count = min(count, latents.shape[1])
    return _found("pca", coordinates[:, :count].T @ latents, shares, latents, count)


def _found(
    method: str, rows: np.ndarray, shares: np.ndarray, latents: np.ndarray, count: int
) -> Directions:
    """Returns the first directions of length 1, signed so that their largest entry is positive."""
    rows = rows[:count].astype(np.float64)
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    names = tuple(f"{method}-{number}" for number in range(len(rows)))
    return _of(method, rows * np.where(largest < 0, -1.0, 1.0), names, shares[:count], latents)


def _of(
    method: str,
    rows: np.ndarray,
    names: Sequence[str],
    strengths: Sequence[float] | np.ndarray,
    latents: np.ndarray,
) -> Directions:
    vectors = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    deviations = np.std(latents @ vectors.T, axis=0)
    arrays = (np.asarray(x, np.float32) for x in (vectors, deviations, strengths))
    unit, spreads, told = arrays
    return Directions(method, unit, spreads, tuple(names), told)


# --- layers of the generator ----------------------------------------------------------------------


def _first_layer(model: TrainedModel, latents: np.ndarray) -> tuple[int, np.ndarray]:
    """Returns the number of the first layer that depends on latents, and the mean of A^T A.

    A layer before it may depend on the class alone, such as an embedding.

    Raises:
        ValueError: If there is no such layer.
    """
    state, index = model.state.averaged(), 0
    while _has(model, index, latents.shape[1]):

        @jax.jit
        def products(state: PyTree, latents: Array, index: int = index) -> Array:
            def product(latent: Array) -> Array:
                jacobian = jax.jacfwd(lambda z: _output(model, state, z[None], index)[0])(latent)
                return jnp.matmul(jacobian.T, jacobian, precision="highest")

            return jnp.mean(jax.lax.map(product, latents), axis=0)

        mean = np.asarray(products(state, latents), np.float64)
        if mean.any():
            return index, mean
        index += 1
    raise ValueError("no layer of the generator depends on its latents")


def _has(model: TrainedModel, index: int, size: int) -> bool:
    """Returns whether the generator has a layer of this number."""
    one = jax.ShapeDtypeStruct((1, size), jnp.float32)
    try:
        jax.eval_shape(
            lambda state, z: _output(model, state.averaged(), z, index), model.state, one
        )
    except IndexError:
        return False
    return True


class _Met(Exception):
    """The layer has been met: the rest of the generator is not asked for."""


def _output(model: TrainedModel, state: PyTree, latents: Array, index: int) -> Array:
    """Returns the outputs [B, F] of a layer with weights, by the order in which they end.

    Raises:
        IndexError: If there are not so many layers.
    """
    met: list[Array] = []

    def watch(call: Callable[..., Any], arguments: Any, options: Any, context: Any) -> Any:
        output = call(*arguments, **options)
        own = context.module.variables.get("params", {})
        weighs = any(getattr(leaf, "ndim", 0) >= 2 for leaf in own.values())
        if context.method_name == "__call__" and weighs and isinstance(output, jax.Array):
            met.append(output)
            if len(met) > index:
                raise _Met
        return output

    keys = random.row_keys(jax.random.key(0), len(latents))
    given = {name: default(len(latents)) for name, default in model.gan.defaults}
    inside = latent_access.changed(state, lambda inputs: latents)
    with linen.intercept_methods(watch), contextlib.suppress(_Met):
        model.gan.sample(inside, keys, **given)
    return met[index].reshape(len(latents), -1)


# --- by labels ------------------------------------------------------------------------------------


def separating(
    concepts: Mapping[str, np.ndarray], latents: np.ndarray, *, strength: float = 1e-2
) -> Directions:
    """Finds for each concept the direction that separates its latents from those of the others.

    It is the normal of a linear classifier (multinomial logistic regression on standardized
    latents), fitted without every fifth sample, which say how well it separates.

    Args:
        concepts: Latents [K, Z] of the samples that show each concept, by its name.
        latents: Draws of the prior, [N, Z].
        strength: Weight of the classifier's L2 penalty (`probes.logistic_weights`).

    Raises:
        RunError: If fewer than two concepts have `LEAST` samples.

    References:
        Shen et al. 2020, "InterFaceGAN: Interpreting the Disentangled Face Representation Learned
        by GANs", section 3.1, whose classifier is a support vector machine.
    """
    kept = {name: rows for name, rows in concepts.items() if len(rows) >= LEAST}
    if len(kept) < 2:
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in concepts.items())
        raise RunError(
            f"a direction needs two concepts of {LEAST} samples or more, and there are: "
            f"{counts or 'none'}; give more --samples, a lower --confidence, or --concepts"
        )
    rows = np.concatenate(list(kept.values())).astype(np.float64)
    labels = np.repeat(np.arange(len(kept)), list(map(len, kept.values())))
    places = np.concatenate([np.arange(len(each)) for each in kept.values()])
    held_out = places % _HELD_OUT == _HELD_OUT - 1
    deviation = np.maximum(np.std(latents, axis=0, dtype=np.float64), 1e-12)
    scaled = rows / deviation
    weights = probes.logistic_weights(scaled[~held_out], labels[~held_out], strength=strength)[:-1]
    ways = (weights - weights.mean(axis=1, keepdims=True)).T / deviation
    told = [
        _area(rows[held_out] @ way, labels[held_out] == number) for number, way in enumerate(ways)
    ]
    return _of("concepts", ways, tuple(kept), told, latents)


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Returns the area under the ROC curve: of pairs, the share that the scores order rightly."""
    ranks, count = scipy.stats.rankdata(scores), int(positive.sum())
    best = count * (len(scores) - count)
    return float((ranks[positive].sum() - count * (count + 1) / 2) / best)


# --- files ----------------------------------------------------------------------------------------

_ARRAYS = {"vectors": 2, "deviations": 1, "names": 1, "strengths": 1, "method": 0}
"""The arrays of a file, with their numbers of axes."""


def arrays_of(directions: Directions) -> dict[str, np.ndarray]:
    """Returns the arrays of the file that holds the directions."""
    return {
        "vectors": directions.vectors,
        "deviations": directions.deviations,
        "names": np.asarray(directions.names),
        "strengths": directions.strengths,
        "method": np.asarray(directions.method),
    }


def read(path: pathlib.Path, *, size: int) -> Directions:
    """Returns the directions of a file that `jaxgan directions` wrote.

    Nothing of the file is executed, and no array is read that claims to be larger than directions
    are.

    Args:
        path: The .npz file.
        size: Number of entries of the model's latents.

    Raises:
        RunError: If it holds no directions of so many entries.
    """
    found = latent_concepts.arrays_of_file(path, most=MOST * MOST_ENTRIES)
    shown = files.printable(path)
    if {name: found[name].ndim for name in _ARRAYS if name in found} != _ARRAYS:
        raise RunError(f"{shown} holds no directions; make them with jaxgan directions RUN")
    vectors, names = found["vectors"], found["names"]
    if vectors.shape[1] != size:
        raise RunError(
            f"{shown} holds directions of {vectors.shape[1]} entries, and the latents of this "
            f"model have {size}: they are of another model"
        )
    numbers = (vectors, found["deviations"], found["strengths"])
    fit = len({len(vectors), *(len(found[name]) for name in ("deviations", "names", "strengths"))})
    kinds = [x.dtype.kind for x in numbers] + [names.dtype.kind, found["method"].dtype.kind]
    if fit != 1 or kinds != ["f", "f", "f", "U", "U"] or not all(map(_finite, numbers)):
        raise RunError(f"{shown} is damaged; make it again with jaxgan directions RUN --overwrite")
    floats = [x.astype(np.float32) for x in numbers]
    return Directions(str(found["method"]), floats[0], floats[1], tuple(map(str, names)), floats[2])


def _finite(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).all())
