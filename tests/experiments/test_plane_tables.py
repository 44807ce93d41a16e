"""The tables of games on a point and on the plane: what they measure, and on what."""

from __future__ import annotations

import pathlib
from decimal import Decimal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import cures, pacgan
from experiments.tables import dirac, plane
from jaxgan import random
from jaxgan.games import ensemble
from jaxgan.runs.config import DataSpec


def test_points_of_the_data_score_what_a_perfect_generator_does():
    found = plane.measure_control({"data": "grid", "samples": 2500, "seeds": 10}, pathlib.Path())
    assert found.numbers["captured"] == [25.0] * 10
    assert np.mean(found.numbers["high_quality"]) == pytest.approx(0.98889, abs=2e-3)
    assert np.mean(found.numbers["reverse_kl"]) == pytest.approx(0.0048, abs=2e-3)


def test_a_strip_shows_a_panel_for_each_of_its_heads():
    for steps, per_call in ((5000, 100), (20, 10), (2, 2), (400_000, 50), (700, 100)):
        heads = plane.marks_of(steps, per_call)
        assert len(heads) <= plane.PANELS
        assert heads[-1] == f"{steps:,} steps"


@pytest.mark.slow
def test_a_run_that_was_stopped_between_two_panels_still_shows_them_all(tmp_path):
    settings = {"data": "ring", "piece": "GAN", "samples": 10, "seeds": 2}
    settings |= {"steps_per_call": 1, "batch_size": 32, "latent_size": 2}
    plane.train("cures", {**settings, "steps": 3}, tmp_path)
    found = plane.train("cures", {**settings, "steps": 6}, tmp_path)  # shows the steps 2, 4 and 6
    assert found.picture is not None
    assert [len(values) for values in found.numbers.values()] == [2] * 4


def test_the_theory_of_the_unrolled_game_is_that_of_its_linear_field():
    # The discriminator that the generator meets has moved: its loss is -(psi - rate theta) theta.
    rate = 0.2
    theta = np.array([[1 - 2 * rate**2, -rate], [0, 1]])  # theta moves, and psi stays
    psi = np.array([[1, 0], [rate, 1]])
    rounds = {"simultaneous": theta + psi - np.eye(2), "theta_first": psi @ theta}
    rounds["psi_first"] = theta @ psi
    _, verdict, ends = dirac.GAMES["wgan-unrolled"]
    for order, expected in zip(dirac.ORDERS, ends, strict=True):
        end = np.linalg.matrix_power(rounds[order], 500) @ np.ones(2)
        assert np.linalg.norm(end) == pytest.approx(float(expected), rel=5e-4)
        assert (abs(np.linalg.eigvals(rounds[order])) < 1).all() == (verdict == "yes")


SLOW_GAMES = [name for name in dirac.GAMES if name not in ("wgan-clipped", "rpgan")]


@pytest.mark.parametrize(
    "name",
    ["wgan-clipped", "rpgan", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_GAMES)],
)
def test_a_game_ends_where_its_vector_field_does_to_every_digit(name, tmp_path):
    _, piece = dirac.TABLE.pieces("default")[name]
    found = piece.measure(piece.settings, tmp_path).numbers
    for order in dirac.ORDERS:
        printed = piece.paper[order]
        unit = 10.0 ** Decimal(printed).as_tuple().exponent
        assert abs(found[order][0] - float(printed)) <= unit / 2, order
    assert {0.0: "no", 1.0: "yes"}[found["converged"][0]] == piece.paper["converged"]


def test_pacgan_meets_its_training_set_alone_each_pack_by_itself():
    training_set = jnp.arange(10.0)[:, None] + 100
    seen = []

    def inner(state, batch, keys):
        seen.append(batch["image"])
        return state, {}

    keys = random.row_keys(jax.random.key(0), 1000)
    pacgan.among(training_set, inner)(None, {"image": jnp.zeros((1000, 1))}, keys)
    counts = np.bincount(np.asarray(seen[0])[:, 0].astype(int) - 100, minlength=10)
    assert counts.sum() == 1000
    assert counts.min() > 60


def test_pacgans_networks_have_the_papers_sizes_and_only_the_first_layer_grows_with_the_pack():
    sizes = {}
    for packing in (1, 3):
        gan = pacgan.build(pacgan.Config(packing=packing, points=10), DataSpec((2,)))
        state = jax.eval_shape(gan.init, jax.random.key(0))
        sizes[packing] = {
            name: sum(leaf.size for leaf in jax.tree.leaves(state[name].params))
            for name in state.players
        }
    generator = 2 * 400 + 3 * 400 * 400 + 4 * 2 * 400 + 400 * 2 + 2
    judge = 2 * 1000 + 1000 + 2 * (200 * 1000 + 1000) + 200 + 1
    assert sizes[1] == {"generator": generator, "discriminator": judge}
    assert sizes[3] == {"generator": generator, "discriminator": judge + 4 * 1000}


def test_a_member_of_a_population_begins_with_the_orthogonal_weights_of_its_seed():
    gan = cures.build(cures.Config(latent_size=8), DataSpec((2,)))
    together = jax.jit(ensemble.of(gan).init)(ensemble.keys([3, 4]))
    alone = gan.init(jax.random.key(4))
    second = ensemble.select(together, 1)
    for player in ("generator", "discriminator"):
        jax.tree.map(np.testing.assert_array_equal, second[player].params, alone[player].params)
    kernel = np.asarray(alone["generator"].params["Dense_1"]["kernel"])
    np.testing.assert_allclose(kernel @ kernel.T, 1.4**2 * np.eye(128), atol=1e-5)
