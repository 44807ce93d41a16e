"""The pieces against collapse: every one trains, and what cannot be is refused."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import laws
import numpy as np
import optax
import pytest

import jaxgan
from experiments import cures
from experiments.networks import plane
from jaxgan import data, parallel
from jaxgan.runs import command_line
from jaxgan.runs.config import DataSpec

LATENTS = plane.latents(3)
RECIPES = plane.rows(10, LATENTS)
ROWS = list(RECIPES)
QUICK = ("unrolled 1",)


def in_time(names):
    return [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in names]


@functools.cache
def played(name):
    """The states before two steps with the piece and after each, and the last metrics."""
    config = cures.Config(piece=name, steps=10, batch_size=32, latent_size=3)
    gan = cures.build(config, DataSpec((2,)))
    ring = data.load(config.data).train
    states, step, metrics = [gan.init(jax.random.key(0))], jax.jit(gan.step), {}
    for index in range(2):
        batch = ring.batch(seed=0, step=index, size=config.rows_per_step)
        state, metrics = step(states[-1], batch)
        states.append(state)
    return states, metrics


def differ(left, right):
    """Whether two trees of arrays differ in a shape or a number."""
    left, right = jax.tree.leaves(left), jax.tree.leaves(right)
    return len(left) != len(right) or not all(map(np.array_equal, left, right))


@pytest.mark.parametrize("name", in_time(ROWS))
def test_every_piece_moves_both_players_stays_finite_and_is_not_the_gan_without_it(name):
    (before, after, last), metrics = played(name)
    assert np.isfinite([mean.value for mean in metrics.values()]).all()
    for player in ("generator", "discriminator"):
        assert differ(before[player].params, after[player].params), player
    if RECIPES[name].rows == 1 and name != "GAN":
        # Adam's first update is nearly the gradient's sign: it may be that of the plain GAN.
        plain = played("GAN")[0][-1]
        assert any(differ(plain[n].params, last[n].params) for n in plain.players)


# --- the laws of the step library -----------------------------------------------------------------

PER_SHARD = 32
DEVICES = 2

# Each stands for its kind; moves that anticipate others are on several devices elsewhere.
OF_A_KIND = (
    "instance noise",
    "Gaussian KL",
)

OF_SLICES = {
    "feature matching": "the means are those of a slice",
    "Gaussian KL": "the fits are those of a slice",
    "Gaussian JS": "the fits are those of a slice",
    "mode seeking": "the distances are those of a slice",
    "consensus": "the energy is that of a slice",
    "minibatch stddev": "the groups are those of a slice",
    "minibatch discrimination": "the groups are those of a slice",
    **{f"packing {size}": "the packs are those of a slice" for size in (2, 3, 4)},
    **{name: "the others move by a slice" for name in ROWS if "unrolled" in name},
}


def recipe_of(name, axis_name=None):
    """The recipe, by plain descent unless the piece is one of optimizers: Adam would scale rounding
    up.
    """
    recipe = plane.rows(10, LATENTS, axis_name=axis_name)[name]
    if name in ("historical averaging", "optimistic"):
        return recipe
    return recipe._replace(optimizers={n: optax.sgd(0.1) for n in recipe.optimizers})


@functools.cache
def beginning(name):
    """The leaves of the piece's first state, at double precision."""
    state = plane.build(recipe_of(name), LATENTS).init(jax.random.key(7))
    return jax.tree.leaves(laws.at_double_precision(state))


def reached_by(name, *, mode="jit", devices=1, accumulate=1):
    """The params and the metrics after two steps of a small game with the piece."""
    axis_name = parallel.axis_for(mode)
    recipe = recipe_of(name, axis_name=axis_name)
    gan = plane.build(recipe, LATENTS, axis_name=axis_name, accumulate=accumulate)
    mesh = parallel.data_mesh(jax.devices()[:devices])
    step = parallel.compile_step(gan.step, mode=mode, mesh=mesh, donate=False)
    shapes = jax.eval_shape(gan.init, jax.random.key(7))
    state = jax.tree.unflatten(jax.tree.structure(shapes), beginning(name))
    state, metrics = parallel.place_state(state, mesh), {}
    rows = PER_SHARD * DEVICES * recipe.rows
    draws = np.random.default_rng(0)
    for _ in range(2):
        batch = parallel.shard({"image": jnp.asarray(draws.normal(size=(rows, 2)))}, mesh)
        state, metrics = step(state, batch)
    params = {name: player.params for name, player in state.players.items()}
    values = {name: mean.value for name, mean in metrics.items()}
    return [np.asarray(leaf) for leaf in jax.tree.leaves((params, values))]


@functools.cache
def reached_alone(name):
    return reached_by(name)


@pytest.fixture
def small(monkeypatch):
    """Networks of a few units, at double precision."""
    monkeypatch.setattr(plane, "HIDDEN", (4, 4))
    with jax.enable_x64(True):
        yield


def modes_of_the_pieces():
    for name in ROWS:
        for mode in parallel.MODES:
            quick = name == OF_A_KIND[-1] and mode == "shard_map"
            yield pytest.param(name, mode, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(("name", "mode"), list(modes_of_the_pieces()))
def test_L3_every_piece_on_several_devices_is_the_piece_on_one(name, mode, small):
    together = reached_by(name, mode=mode, devices=DEVICES)
    for one, other in zip(reached_alone(name), together, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_L4_accumulation_equals_the_whole_batch_but_for_pieces_that_couple_it(name, small):
    sliced = reached_by(name, accumulate=2)
    same = all(
        np.allclose(other, one, rtol=1e-9, atol=1e-10)
        for one, other in zip(reached_alone(name), sliced, strict=True)
    )
    assert same == (name not in OF_SLICES)


@pytest.mark.slow
def test_a_run_gives_each_seeds_points_back(tmp_path):
    flags = ["--preset", "smoke", "--workdir", str(tmp_path / "run"), "--no-cache", "--seeds", "2"]
    assert command_line.command(cures, [*flags, "--piece", "packing 2"]) == 0
    first, second = (jaxgan.load(tmp_path / "run", seed=s).sample(0, 5) for s in (0, 1))
    assert first.shape == (5, 2)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "spec", "message"),
    [
        ({"piece": "sleep"}, DataSpec((2,)), "there is no piece 'sleep'; the pieces are GAN"),
        ({}, DataSpec((28, 28, 1)), "expected points on the plane"),
    ],
)
def test_unknown_pieces_and_images_are_refused(changes, spec, message):
    with pytest.raises(ValueError, match=message):
        cures.build(cures.Config(**changes), spec)
