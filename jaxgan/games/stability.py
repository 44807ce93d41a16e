"""How a game moves near its equilibria: the Jacobian of what the players want, its eigenvalues, and
the step size below which gradient descent settles (Mescheder et al. 2017, "The Numerics of GANs").

    field, params = stability.field(gan, state, batch)
    local = stability.jacobian(field, params)
    stability.eigenvalues(local)          # all real parts negative: the equilibrium attracts
    stability.largest_step(local)         # of players that move at once
    stability.largest_step(local, ["discriminator", "generator"])

A field maps all params to where each player wants to go: minus the gradient of its own loss by its
own params. At an equilibrium it is zero, and a round of steps of size h multiplies what is left of
the distance by I + h J where all move at once. Eigenvalues near the imaginary axis make the players
circle, and only tiny steps settle. Matrices are dense: this is for games of some thousand params.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
import optax
from jax.flatten_util import ravel_pytree

from jaxgan.state import GANState
from jaxgan.steps.common import Names, as_names
from jaxgan.types import GAN, Batch, PyTree

Params = Mapping[str, PyTree]
"""Params by player."""

Field = Callable[[Params], Params]
"""Where each player wants to go, as a function of the params of all."""

MOST_PARAMS = 8192
"""Beyond this a Jacobian takes half a gigabyte in float64, and its eigenvalues many minutes."""

_ROUNDING = 100  # units in the last place that an eigenvalue of a computed matrix may be off
_FINER = 1.05  # the ratio of neighboring step sizes where the first unstable one is sought
_PIECE = 64  # columns of a Jacobian computed together


class Jacobian(NamedTuple):
    """How a field changes with the params.

    matrix:  [N, N], the derivative of row i by column j.
    players: which rows, and which columns, are whose.
    """

    matrix: np.ndarray
    players: Mapping[str, slice]


# --- the field of a model -------------------------------------------------------------------------


def _recording() -> optax.GradientTransformation:
    """An optimizer that moves nothing and whose state is the last gradient."""

    def init(params: PyTree) -> PyTree:
        return jax.tree.map(jnp.zeros_like, params)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        del state, params
        return jax.tree.map(jnp.zeros_like, updates), updates

    return optax.GradientTransformation(init, update)


_RECORDER = _recording()


def held(state: GANState) -> GANState:
    """The state whose players do not move: a train step leaves their params as they are and the
    gradient of each in the place of its optimizer's state. What the step reports stays the same.
    """
    players = {
        name: player.replace(tx=_RECORDER, opt_state=_RECORDER.init(player.params))
        for name, player in state.players.items()
    }
    return state.replace(players=players)


def field(gan: GAN, state: GANState, batch: Batch) -> tuple[Field, dict[str, PyTree]]:
    """The field of the model on this batch, with the draws of the state's own step, and the params
    at which the state is.

    It is what plain gradient descent of step size 1 would add: no optimizer's memory enters, nor in
    which order the players move. Of several updates of a player in one train step, the last batch
    counts.
    """
    still = held(state)

    def wanted(params: Params) -> dict[str, PyTree]:
        reached, _ = gan.step(still.with_params(params), batch)
        return {
            name: jax.tree.map(jnp.negative, player.opt_state)
            for name, player in reached.players.items()
        }

    return wanted, {name: player.params for name, player in state.players.items()}


# --- its Jacobian ---------------------------------------------------------------------------------


def jacobian(field: Field, params: Params) -> Jacobian:
    """The field's Jacobian at these params, a column for each by forward differentiation
    (`jax.jvp`), in the precision of the params, products included: what is zero but for rounding
    is told by it.

    Raises ValueError where there are more than `MOST_PARAMS`, or where the model's rounds share
    their noise: a shared pass can only be differentiated backwards.
    """
    ordered = {name: params[name] for name in sorted(params)}  # as JAX flattens a dict
    point, restore = ravel_pytree(ordered)
    if point.size > MOST_PARAMS:
        raise ValueError(
            f"the game has {point.size:,} params, and a Jacobian of {MOST_PARAMS:,} is the largest "
            "that is computed; take a smaller model"
        )

    def flat(point: jax.Array) -> jax.Array:
        found = field(restore(point))
        return ravel_pytree({name: found[name] for name in ordered})[0]

    def column(tangent: jax.Array) -> jax.Array:
        return jax.jvp(flat, (point,), (tangent,))[1]

    basis = jnp.eye(point.size, dtype=point.dtype)
    try:
        with jax.default_matmul_precision("highest"):
            columns = jax.jit(lambda basis: jax.lax.map(column, basis, batch_size=_PIECE))(basis)
    except TypeError as error:
        if "custom_vjp" not in str(error):
            raise
        raise ValueError(
            "the model's rounds share their noise, which has no forward derivative; build it "
            "without shared noise"
        ) from error
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(ordered[name])) for name in ordered]
    ends = np.cumsum(sizes)
    players = {
        name: slice(int(end - size), int(end))
        for name, size, end in zip(ordered, sizes, ends, strict=True)
    }
    return Jacobian(np.asarray(columns).T, players)


def eigenvalues(local: Jacobian) -> npt.NDArray[np.complex128]:
    """The eigenvalues, complex [N], by falling real part; players near an equilibrium approach it
    where all real parts are negative and the steps small (Mescheder et al. 2017, section 3).
    """
    found = np.linalg.eigvals(np.asarray(local.matrix, np.float64)).astype(np.complex128)
    return found[np.lexsort((found.imag, -found.real))]


# --- rounds of steps ------------------------------------------------------------------------------


def round_of_steps(
    local: Jacobian, step_size: float, order: Sequence[Names] | None = None
) -> np.ndarray:
    """What a round of gradient steps of this size multiplies the distance from an equilibrium by,
    [N, N].

    `order` names who moves, one after another, and of those who move at once all names together;
    a name may come again, as a discriminator of several steps. None: all at once. Raises ValueError
    on a player that does not exist or one that never moves.
    """
    matrix = np.asarray(local.matrix, np.float64)
    product = np.eye(len(matrix))
    for names in _turns(local, order):
        moved = np.eye(len(matrix))
        for name in names:
            rows = local.players[name]
            moved[rows] += step_size * matrix[rows]
        product = moved @ product
    return product


def scaled(local: Jacobian, step_sizes: Mapping[str, float]) -> Jacobian:
    """The Jacobian of players whose field is multiplied by a step size each: a round of size 1 of
    it is one of these sizes. Raises KeyError where a player has none.
    """
    matrix = np.array(local.matrix)
    for name, rows in local.players.items():
        matrix[rows] *= step_sizes[name]
    return local._replace(matrix=matrix)


def bears(local: Jacobian, step_size: float, order: Sequence[Names] | None = None) -> bool:
    """Whether rounds of gradient steps of this size, in this `order` (see `round_of_steps`),
    converge to an equilibrium that is near: the spectral radius is below 1, by more than rounding.
    """
    eps = np.finfo(np.asarray(local.matrix).dtype).eps
    rounding = _ROUNDING * eps * step_size * np.abs(eigenvalues(local)).max()
    return spectral_radius(round_of_steps(local, step_size, order)) < 1 - rounding


def spectral_radius(matrix: np.ndarray) -> float:
    """The largest modulus of an eigenvalue: below 1, repeated multiplication ends at zero."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def largest_step(local: Jacobian, order: Sequence[Names] | None = None) -> float:
    """The step size below which gradient descent near the equilibrium converges to it; 0 where it
    does not, however small the steps.

    Of players that all move at once it is the least of -2 Re(lambda) / |lambda|^2 (Mescheder et al.
    2017, section 3). In another `order` (see `round_of_steps`), the least step size at
    which a round's spectral radius reaches 1: sought upwards in ratios of 1.05 and then halved
    to full precision. An eigenvalue that is zero but for rounding leaves the step size 0: along it
    nothing pulls.
    """
    found = eigenvalues(local)
    eps = np.finfo(np.asarray(local.matrix).dtype).eps
    if found.real.max() >= -_ROUNDING * eps * np.abs(found).max():
        return 0.0
    at_once = float(np.min(-2 * found.real / np.abs(found) ** 2))
    if len(_turns(local, order)) == 1:
        return at_once

    def settles(step_size: float) -> bool:
        return spectral_radius(round_of_steps(local, step_size, order)) < 1

    low = at_once
    while not settles(low):
        low /= 2
        if low < at_once * eps:
            return 0.0
    # From far below: a round may be unstable at a step and stable again at a larger one.
    low = min(low, at_once) / 64
    while settles(low * _FINER):
        low *= _FINER
    high = low * _FINER
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if settles(middle) else (low, middle)
    return low


def _turns(local: Jacobian, order: Sequence[Names] | None) -> list[tuple[str, ...]]:
    """Who moves in each turn of a round."""
    if order is None:
        return [tuple(local.players)]
    turns = [as_names(names) for names in order]
    named = {name for names in turns for name in names}
    for name in sorted(named ^ set(local.players)):
        known = ", ".join(local.players)
        fault = "does not exist" if name in named else "never moves"
        raise ValueError(f"the player {name!r} {fault}; the order must name {known}")
    return turns
