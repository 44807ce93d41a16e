"""Local stability of GAN training: Jacobian of the gradient field and largest stable learning rate.

    field, params = stability.field(gan, state, batch)
    local = stability.jacobian(field, params)
    stability.eigenvalues(local)          # all real parts negative: the equilibrium attracts
    stability.largest_step(local)         # for simultaneous updates
    stability.largest_step(local, ["discriminator", "generator"])

A field maps all params to each player's update direction: the negative gradient of its own loss by
its own params. It is zero at an equilibrium. With simultaneous updates and learning rate h, a round
multiplies the distance from the equilibrium by I + h J. If eigenvalues are close to the imaginary
axis, the players circle around the equilibrium and only a tiny learning rate converges. Matrices
are dense, so this is for models with a few thousand params.

References:
    Mescheder et al. 2017, "The Numerics of GANs".
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
"""`field(params) -> directions`: the update direction of each player, given all params."""

MOST_PARAMS = 8192
"""Largest supported number of params.

A larger Jacobian takes more than half a gigabyte in float64, and its eigenvalues many minutes.
"""

_ROUNDING = 100  # rounding error of a computed eigenvalue, in units in the last place
_FINER = 1.05  # ratio of neighboring learning rates in the search for the first unstable one
_PIECE = 64  # Jacobian columns computed together


class Jacobian(NamedTuple):
    """The Jacobian of a field.

    Attributes:
        matrix: Derivatives [N, N] of the field: entry (i, j) is the derivative of component i by
            param j.
        players: Slice of the rows, and of the columns, that belong to each player.
    """

    matrix: np.ndarray
    players: Mapping[str, slice]


# --- gradient field of a model --------------------------------------------------------------------


def _recording() -> optax.GradientTransformation:
    """Returns an optimizer that does not change the params and whose state is the last gradient."""

    def init(params: PyTree) -> PyTree:
        return jax.tree.map(jnp.zeros_like, params)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> tuple[PyTree, PyTree]:
        del state, params
        return jax.tree.map(jnp.zeros_like, updates), updates

    return optax.GradientTransformation(init, update)


_RECORDER = _recording()


def held(state: GANState) -> GANState:
    """Returns the state with an optimizer that does not move any player and records the gradients.

    A train step leaves the params as they are and puts the gradient of each player in the place of
    its optimizer state. The reported metrics stay the same.
    """
    players = {
        name: player.replace(tx=_RECORDER, opt_state=_RECORDER.init(player.params))
        for name, player in state.players.items()
    }
    return state.replace(players=players)


def field(gan: GAN, state: GANState, batch: Batch) -> tuple[Field, dict[str, PyTree]]:
    """Returns the gradient field of the model on a batch, and the params of the state.

    The field is the update of plain gradient descent with learning rate 1. Optimizer states and the
    order of the players' updates do not enter. The random numbers are those of the state's next
    train step. If a train step updates a player several times, the gradient of the last update is
    used.

    Args:
        gan: The model.
        state: The state at which the field is evaluated.
        batch: The batch of a train step.

    Returns:
        The field, and the params of each player in `state`.
    """
    still = held(state)

    def wanted(params: Params) -> dict[str, PyTree]:
        reached, _ = gan.step(still.with_params(params), batch)
        return {
            name: jax.tree.map(jnp.negative, player.opt_state)
            for name, player in reached.players.items()
        }

    return wanted, {name: player.params for name, player in state.players.items()}


# --- Jacobian -------------------------------------------------------------------------------------


def jacobian(field: Field, params: Params) -> Jacobian:
    """Computes the Jacobian of a field by forward-mode differentiation (`jax.jvp`).

    It is computed in the precision of the params, matrix products included. `bears` and
    `largest_step` use this precision to decide which eigenvalues are zero up to rounding.

    Args:
        field: The field.
        params: Params at which the Jacobian is computed.

    Raises:
        ValueError: If there are more than `MOST_PARAMS` params, or if the model's rounds share
            their noise: a shared forward pass supports only reverse-mode differentiation.
    """
    ordered = {name: params[name] for name in sorted(params)}  # JAX flattens dicts in this order
    point, restore = ravel_pytree(ordered)
    if point.size > MOST_PARAMS:
        raise ValueError(
            f"the game has {point.size:,} params, and a Jacobian of {MOST_PARAMS:,} is the largest "
            "that is computed; use a smaller model"
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
            "the model uses shared noise, which does not support forward-mode differentiation; "
            "build it without shared noise"
        ) from error
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(ordered[name])) for name in ordered]
    ends = np.cumsum(sizes)
    players = {
        name: slice(int(end - size), int(end))
        for name, size, end in zip(ordered, sizes, ends, strict=True)
    }
    return Jacobian(np.asarray(columns).T, players)


def eigenvalues(local: Jacobian) -> npt.NDArray[np.complex128]:
    """Computes the eigenvalues of a Jacobian, complex [N], in decreasing order of their real part.

    Players near an equilibrium converge to it if all real parts are negative and the learning rate
    is small enough.

    References:
        Mescheder et al. 2017, section 3.
    """
    found = np.linalg.eigvals(np.asarray(local.matrix, np.float64)).astype(np.complex128)
    return found[np.lexsort((found.imag, -found.real))]


# --- stability of rounds --------------------------------------------------------------------------


def round_of_steps(
    local: Jacobian, step_size: float, order: Sequence[Names] | None = None
) -> np.ndarray:
    """Returns the matrix [N, N] by which a round of gradient steps multiplies the distance.

    The distance is that of the params from a nearby equilibrium.

    Args:
        local: The Jacobian at the equilibrium.
        step_size: The learning rate.
        order: Names of the players in the order of their updates. Players that are updated
            simultaneously are one tuple of names. A name may occur several times, such as a
            discriminator with several steps. None: all players simultaneously.

    Raises:
        ValueError: If the order names an unknown player, or leaves out a player.
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
    """Returns the Jacobian of players with different learning rates.

    The field of each player is multiplied by its learning rate. Use the result with `step_size=1`.

    Args:
        local: The Jacobian.
        step_sizes: Learning rate of each player.

    Raises:
        KeyError: If a player has no learning rate.
    """
    matrix = np.array(local.matrix)
    for name, rows in local.players.items():
        matrix[rows] *= step_sizes[name]
    return local._replace(matrix=matrix)


def bears(local: Jacobian, step_size: float, order: Sequence[Names] | None = None) -> bool:
    """Returns whether rounds of gradient steps converge to a nearby equilibrium.

    They do if the spectral radius of a round is below 1, by more than rounding errors.

    Args:
        local: The Jacobian at the equilibrium.
        step_size: The learning rate.
        order: Order of the players' updates, as in `round_of_steps`.
    """
    eps = np.finfo(np.asarray(local.matrix).dtype).eps
    rounding = _ROUNDING * eps * step_size * np.abs(eigenvalues(local)).max()
    return spectral_radius(round_of_steps(local, step_size, order)) < 1 - rounding


def spectral_radius(matrix: np.ndarray) -> float:
    """Returns the largest modulus of the eigenvalues of a matrix.

    If it is below 1, the powers of the matrix converge to zero.
    """
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def largest_step(local: Jacobian, order: Sequence[Names] | None = None) -> float:
    """Returns the learning rate below which gradient descent converges near the equilibrium.

    It is 0 if gradient descent does not converge for any learning rate. It is also 0 if an
    eigenvalue is zero up to rounding, because there is no attraction along its eigenvector.

    With simultaneous updates it is the minimum of -2 Re(lambda) / |lambda|^2 over the eigenvalues.
    With another order it is the smallest learning rate at which the spectral radius of a round
    reaches 1. It is searched upward in ratios of 1.05, and then bisected to full precision.

    Args:
        local: The Jacobian at the equilibrium.
        order: Order of the players' updates, as in `round_of_steps`.

    References:
        Mescheder et al. 2017, section 3.
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
    # Start far below: a round may be unstable at one learning rate and stable at a larger one.
    low = min(low, at_once) / 64
    while settles(low * _FINER):
        low *= _FINER
    high = low * _FINER
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if settles(middle) else (low, middle)
    return low


def _turns(local: Jacobian, order: Sequence[Names] | None) -> list[tuple[str, ...]]:
    """Returns the players that are updated in each turn of a round."""
    if order is None:
        return [tuple(local.players)]
    turns = [as_names(names) for names in order]
    named = {name for names in turns for name in names}
    for name in sorted(named ^ set(local.players)):
        known = ", ".join(local.players)
        fault = "does not exist" if name in named else "never moves"
        raise ValueError(f"the player {name!r} {fault}; the order must name {known}")
    return turns
