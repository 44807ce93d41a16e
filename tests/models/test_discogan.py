"""DiscoGAN: its authors' losses, weights and order."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import random
from jaxgan.games.domain_translation import DISCRIMINATORS, GENERATORS
from jaxgan.models import discogan
from tests.building import built

SHAPE = (16, 16, 1)


def noise(*shape: int, seed: int = 0) -> jax.Array:
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, shape).astype(np.float32))


def build(**changes):
    optimizers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    options = {"shape_a": SHAPE, "shape_b": SHAPE, "width": 2, "discriminator_width": 2}
    return built(discogan.build, **{**options, "optimizers": optimizers, **changes})


def unpaired(rows: int = 3) -> dict[str, jax.Array]:
    return {"a": noise(rows, *SHAPE), "b": noise(rows, *SHAPE, seed=1)}


def shapes(module, x) -> dict:
    variables = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), x)
    return {name: layer["kernel"].shape for name, layer in variables["params"].items()
            if "kernel" in layer}  # fmt: skip


def test_the_networks_of_the_authors_have_their_layers():
    x = jnp.zeros((1, 64, 64, 3))
    down = {f"Conv_{i}": (4, 4, n, m) for i, (n, m) in enumerate(
        [(3, 64), (64, 128), (128, 256), (256, 512)])}  # fmt: skip
    up = {f"ConvTranspose_{i}": (4, 4, n, m) for i, (n, m) in enumerate(
        [(512, 256), (256, 128), (128, 64), (64, 3)])}  # fmt: skip
    assert shapes(discogan.Generator(3), x) == {**down, **up}
    assert shapes(discogan.Discriminator(), x) == {**down, "Dense_0": (4 * 4 * 512, 1)}


def test_the_discriminator_gives_all_features_but_the_first_layers():
    network, x = discogan.Discriminator(2), jnp.zeros((3, 64, 64, 1))
    init = partial(network.init_with_output, train=True)
    (logits, features), _ = jax.eval_shape(init, jax.random.key(0), x)
    assert logits.shape == (3,)
    assert [layer.shape for layer in features] == [(3, 16, 16, 4), (3, 8, 8, 8), (3, 4, 4, 16)]


def test_features_are_compared_in_the_mean_of_the_batch():
    real = [noise(4, 3, 2), noise(4, 5, seed=1)]
    fake = [noise(4, 3, 2, seed=2), noise(4, 5, seed=3)]
    expected = sum(
        np.mean((np.mean(r, axis=0) - np.mean(f, axis=0)) ** 2)
        for r, f in zip(real, fake, strict=True)
    )
    assert float(discogan.feature_distance(real, fake)) == pytest.approx(float(expected), rel=1e-5)
    shuffled = [layer[::-1] for layer in real]
    assert float(discogan.feature_distance(real, shuffled)) == pytest.approx(0.0, abs=1e-10)


def test_the_reconstruction_weighs_little_until_the_curriculum_ends():
    weights = discogan.Weights(curriculum=3)
    found = [float(weights.reconstruction(jnp.asarray(step))) for step in range(5)]
    np.testing.assert_allclose(found, [0.01, 0.01, 0.01, 0.5, 0.5])
    assert discogan.AUTHORS_WEIGHTS.curriculum == 10_000


@pytest.mark.slow
def test_the_discriminators_move_at_every_third_step_and_the_generators_at_the_others():
    gan, batch = build(), unpaired()
    step, state = jax.jit(gan.step), gan.init(jax.random.key(0))
    for index in range(4):
        after, metrics = step(state, batch)
        for names, moves in ((DISCRIMINATORS, index % 3 == 0), (GENERATORS, index % 3 != 0)):
            for name in names:
                pair = zip(
                    jax.tree.leaves(state[name].params),
                    jax.tree.leaves(after[name].params),
                    strict=True,
                )
                assert all(np.array_equal(old, new) for old, new in pair) == (not moves)
        assert bool(metrics["generator/loss"].count) == (index % 3 != 0)
        state = after


def cross_entropy(probability, label):
    return -jnp.mean(jnp.log(probability if label else 1 - probability))


def losses_of_the_authors(state, batch, rate):
    """What generators and discriminators minimize, term by term as in the authors' code."""
    to_b, to_a, of_a, of_b = (
        partial(state[name], train=True) for name in (*GENERATORS, *DISCRIMINATORS)
    )
    a, b = batch["a"], batch["b"]
    fake_a, fake_b = to_a(b), to_b(a)
    generators = discriminators = 0.0
    for of, real, fake, back in ((of_a, a, fake_a, to_a(fake_b)), (of_b, b, fake_b, to_b(fake_a))):
        (real_logits, real_features), (fake_logits, fake_features) = of(real), of(fake)
        judged_real, judged_fake = jax.nn.sigmoid(real_logits), jax.nn.sigmoid(fake_logits)
        discriminators += 0.5 * cross_entropy(judged_real, 1) + 0.5 * cross_entropy(judged_fake, 0)
        matching = sum(
            jnp.mean((jnp.mean(r, axis=0) - jnp.mean(f, axis=0)) ** 2)
            for r, f in zip(real_features, fake_features, strict=True)
        )
        imitation = 0.1 * cross_entropy(judged_fake, 1) + 0.9 * matching
        # The authors' images lie in [0, 1].
        rebuilt = jnp.mean(((back + 1) / 2 - (real + 1) / 2) ** 2)
        generators += imitation * (1 - rate) + rebuilt * rate
    return generators, discriminators


@pytest.mark.parametrize(
    ("side", "curriculum", "rate"),
    [
        ("generator", 5, 0.01),
        pytest.param("generator", 0, 0.5, marks=pytest.mark.slow),
        pytest.param("discriminator", 5, 0.01, marks=pytest.mark.slow),
    ],
)
def test_the_losses_are_those_of_the_authors(side, curriculum, rate):
    alone = {"generator": lambda d, g: g, "discriminator": lambda d, g: d}[side]
    gan = build(schedule=alone, weights=discogan.Weights(curriculum=curriculum))
    batch = unpaired()

    @jax.jit
    def both(key):
        state = gan.init(key)
        _, metrics = gan.step(state, batch)
        return metrics[f"{side}/loss"].value, losses_of_the_authors(state, batch, rate)

    found, (generators, discriminators) = both(jax.random.key(0))
    expected = {"generator": generators, "discriminator": discriminators}[side]
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_weight_decay_is_added_to_the_gradient():
    optimizer, params = discogan.adam(0.1), jnp.asarray([2.0, -3.0])
    # Adam moves by the rate against the sign of what it is given: here the decay alone.
    updates, _ = optimizer.update(jnp.zeros(2), optimizer.init(params), params)
    np.testing.assert_allclose(updates, [-0.1, 0.1], rtol=2e-3)


def test_samples_go_both_ways_with_running_statistics():
    gan = build()
    state = gan.init(jax.random.key(0))
    keys, batch = random.row_keys(jax.random.key(0), 3), unpaired()
    sample = jax.jit(gan.sample)
    for name, domain in zip(GENERATORS, "ab", strict=True):
        images = sample(state, keys, **{domain: batch["a"]})
        np.testing.assert_allclose(images, state[name](batch["a"]), rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="cannot make images of 30x30"):
        build(shape_a=(30, 30, 1), shape_b=(30, 30, 1))
    with pytest.raises(ValueError, match="the two domains are 16x16 and 32x32"):
        build(shape_b=(32, 32, 1))
