"""The pieces against collapse: every one trains, and what cannot be is refused."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import jaxgan
from experiments import cures, pieces
from jaxgan import data, run

ROWS = list(pieces.rows(10, pieces.latents(3)))
QUICK = ("unrolled 1",)


def in_time(names):
    return [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in names]


@pytest.mark.parametrize("name", in_time(ROWS))
def test_every_piece_moves_both_players_and_stays_finite(name):
    config = cures.Config(piece=name, steps=2, batch_size=32, latent_size=3)
    gan = cures.build(config, run.DataSpec((2,)))
    ring = data.load(config.data).train
    batch = ring.batch(seed=0, step=0, size=config.rows_per_step)
    state = gan.init(jax.random.key(0))
    reached, metrics = jax.jit(gan.step)(state, batch)
    assert np.isfinite([mean.value for mean in metrics.values()]).all()
    for player in ("generator", "discriminator"):
        before, after = (jax.tree.leaves(s[player].params) for s in (state, reached))
        assert any((a != b).any() for a, b in zip(before, after, strict=True)), player


@pytest.mark.slow
def test_a_run_gives_each_seeds_points_back(tmp_path):
    flags = ["--preset", "smoke", "--workdir", str(tmp_path / "run"), "--no-cache", "--seeds", "2"]
    assert run.command(cures, [*flags, "--piece", "packing 2"]) == 0
    first, second = (jaxgan.load(tmp_path / "run", seed=s).sample(0, 5) for s in (0, 1))
    assert first.shape == (5, 2)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("changes", "spec", "message"),
    [
        ({"piece": "sleep"}, run.DataSpec((2,)), "there is no piece 'sleep'; the pieces are GAN"),
        ({}, run.DataSpec((28, 28, 1)), "expected points on the plane"),
    ],
)
def test_unknown_pieces_and_images_are_refused(changes, spec, message):
    with pytest.raises(ValueError, match=message):
        cures.build(cures.Config(**changes), spec)
