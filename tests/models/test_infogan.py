"""InfoGAN: the authors' networks, and whom the information of the codes moves."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, random
from jaxgan.games import mutual_information, objectives
from jaxgan.games.mutual_information import Codes
from jaxgan.losses import AdversarialLoss
from jaxgan.models import infogan
from tests.building import built

SHAPE = (16, 16, 1)
CODES = Codes((3,), 1)


def build(**changes):
    options = {
        "shape": SHAPE,
        "codes": CODES,
        "latent_size": 4,
        "width": 2,
        "hidden": 8,
        "loss": losses.non_saturating(),
        "optimizers": {name: optax.sgd(0.1) for name in ("generator", "discriminator")},
    }
    return built(infogan.build, **{**options, **changes})


def images(count: int, seed: int = 0) -> jax.Array:
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, (count, *SHAPE)).astype(np.float32))


def keys(count: int, seed: int = 5) -> random.Keys:
    return random.row_keys(jax.random.key(seed), count)


def shapes(module, x) -> dict:
    variables = jax.eval_shape(partial(module.init, train=True), jax.random.key(0), x)
    return jax.tree.map(jnp.shape, variables["params"])


def same(left, right) -> bool:
    """Whether all arrays of two trees are equal."""
    return all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True)
    )


# --- the networks ---------------------------------------------------------------------------------


def test_the_networks_of_the_authors_have_their_layers():
    norm = {features: {"scale": (features,), "bias": (features,)} for features in (64, 128, 1024)}
    assert shapes(infogan.Generator((28, 28, 1)), jnp.zeros((1, 74))) == {
        "Dense_0": {"kernel": (74, 1024)},
        "BatchNorm_0": norm[1024],
        "Generator_0": {
            "Dense_0": {"kernel": (1024, 7 * 7 * 128)},
            "BatchNorm_0": norm[128],
            "ConvTranspose_0": {"kernel": (4, 4, 128, 64)},
            "BatchNorm_1": norm[64],
            "ConvTranspose_1": {"kernel": (4, 4, 64, 1), "bias": (1,)},
        },
    }
    assert shapes(infogan.Discriminator(), jnp.zeros((1, 28, 28, 1))) == {
        "Conv_0": {"kernel": (4, 4, 1, 64), "bias": (64,)},
        "Conv_1": {"kernel": (4, 4, 64, 128)},
        "BatchNorm_0": norm[128],
        "Dense_0": {"kernel": (7 * 7 * 128, 1024)},
        "BatchNorm_1": norm[1024],
        "Dense_1": {"kernel": (1024, 1), "bias": (1,)},
    }
    for std, outputs in ((1.0, 10 + 2), (None, 10 + 2 * 2)):
        assert shapes(infogan.Recognizer(Codes(), std=std), jnp.zeros((1, 1024))) == {
            "Dense_0": {"kernel": (1024, 128)},
            "BatchNorm_0": norm[128],
            "Dense_1": {"kernel": (128, outputs), "bias": (outputs,)},
        }


@pytest.mark.parametrize("std", [0.5, None])
def test_the_deviation_is_the_one_given_or_learned_and_then_never_nothing(std):
    q = infogan.Recognizer(Codes((3, 2), 2), std=std, hidden=4)
    features = jnp.asarray(np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32))
    variables = jax.jit(partial(q.init, train=True))(jax.random.key(0), features)
    variables["params"]["Dense_1"]["bias"] = jnp.asarray([0.0] * 7 + [-50.0, 3.0])[
        : variables["params"]["Dense_1"]["bias"].shape[0]
    ]
    told, _ = q.apply(variables, features, train=True, mutable=["batch_stats"])
    assert [logits.shape for logits in told.logits] == [(6, 3), (6, 2)]
    assert told.mean.shape == told.std.shape == (6, 2)
    if std is None:
        np.testing.assert_allclose(told.std[:, 0], 0.01, rtol=1e-4)
        assert np.all(np.abs(np.log(told.std[:, 1]) - 3.0) < 1)
        assert len(np.unique(told.std[:, 1])) == 6
    else:
        np.testing.assert_array_equal(told.std, 0.5)


# --- the objectives -------------------------------------------------------------------------------


def swapped(real_logits, fake_logits, keys):
    return fake_logits, real_logits


def told_by_hand(state, told, batch_keys) -> float:
    """2 (log q(c1 | x) + log 3) + 0.5 (log q(c2 | x) + log 2) in the mean, of deviation 1."""
    codes = {n: np.asarray(v) for n, v in mutual_information.drawn(CODES, batch_keys).items()}
    logits, mean = np.asarray(told.logits[0], np.float64), np.asarray(told.mean, np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    categorical = np.log(probabilities[np.arange(len(mean)), codes["c1"]]) + math.log(3)
    continuous = -((codes["c2"] - mean[:, 0]) ** 2) / 2 - math.log(2 * math.pi) / 2 + math.log(2)
    return float(np.mean(2 * categorical + 0.5 * continuous))


@pytest.mark.parametrize("relabel", [None, swapped])
def test_both_sides_lower_their_loss_less_what_the_fakes_tell(relabel):
    state, batch, rows = build().init(jax.random.key(0)), {"image": images(6)}, keys(6)
    noise = partial(random.latents, size=4, prior="uniform")

    def latents(keys):
        return mutual_information.joined(CODES, noise(keys), mutual_information.drawn(CODES, keys))

    draw = objectives.fakes(latents)
    told = mutual_information.weighted(CODES, mutual_information.Weights(2.0, 0.5))
    loss = losses.non_saturating()

    @jax.jit
    def parts(state):
        fake = state["generator"](latents(rows), train=True)
        real_logits, _ = state["discriminator"](batch["image"], train=True)
        fake_logits, features = state["discriminator"](fake, train=True)
        posterior = state["q"](features, train=True)
        d = infogan.discriminator_objective(loss, draw, told, relabel=relabel)
        g = infogan.generator_objective(loss, draw, told)
        values = d(state, batch, rows)[0], g(state, batch, rows)[0]
        return values, (real_logits, fake_logits), posterior

    (of_discriminator, of_generator), logits, posterior = parts(state)
    real, fake = (1 / (1 + np.exp(-np.asarray(part, np.float64))) for part in logits)
    bound = told_by_hand(state, posterior, rows)
    if relabel is None:
        expected = -np.mean(np.log(real) + np.log(1 - fake))
    else:
        expected = -np.mean(np.log(fake) + np.log(1 - real))
    assert float(of_discriminator) == pytest.approx(expected - bound, rel=1e-4)
    assert float(of_generator) == pytest.approx(-np.mean(np.log(fake)) - bound, rel=1e-4)


def silence() -> AdversarialLoss:
    """No adversarial loss: all that moves is moved by the information."""
    return AdversarialLoss(
        lambda real, fake: jnp.zeros_like(fake), lambda fake, real=None: fake * 0, False, None
    )


@pytest.fixture(scope="module")
def informed():
    """A state, its step by the information alone, and the state after one step."""
    gan = build(loss=silence())
    state, step = gan.init(jax.random.key(0)), jax.jit(gan.step)
    return state, step, step(state, {"image": images(6)})[0]


def test_the_information_moves_the_trunk_q_and_the_generator_but_not_the_verdict(informed):
    before, _, after = informed
    old, new = before["discriminator"].params, after["discriminator"].params
    for name in old:
        assert same(old[name], new[name]) == (name == "Dense_1")
    for player in ("q", "generator"):
        assert not same(before[player].params, after[player].params)


def test_real_images_tell_nothing(informed):
    before, step, after = informed
    other, _ = step(before, {"image": images(6, seed=1)})
    for player in infogan.PLAYERS:
        assert same(after[player].params, other[player].params)
    assert same(after["q"].variables, other["q"].variables)
    assert not same(after["discriminator"].variables, other["discriminator"].variables)


@pytest.mark.slow
def test_q_moves_by_the_discriminators_optimizer_in_the_other_order_too():
    optimizers = {"discriminator": optax.sgd(0.1), "generator": optax.sgd(0.0)}
    gan = build(optimizers=optimizers, schedule=infogan.simultaneously)
    before = gan.init(jax.random.key(0))
    after, _ = jax.jit(gan.step)(before, {"image": images(6)})
    for player in infogan.PLAYERS:
        assert same(before[player].params, after[player].params) == (player == "generator")


@pytest.mark.slow
def test_the_information_rises_from_nothing_to_almost_all():
    adam = {name: optax.adam(1e-2, b1=0.5) for name in ("generator", "discriminator")}
    gan = build(optimizers=adam, shared_noise=True, std=None, ema_half_life=500.0)
    step, state, told = jax.jit(gan.step), gan.init(jax.random.key(0)), []
    for index in range(200):
        state, metrics = step(state, {"image": images(24, seed=index % 4)})
        told.append(metrics["discriminator/information_c1"].value)
    assert np.mean(told[:3]) < 0.3
    assert 0.85 * math.log(3) < np.mean(told[-20:]) <= math.log(3)
    assert set(state.ema) == set(infogan.PLAYERS)
    values = jnp.arange(30) % 3

    @jax.jit
    def read(state):
        # By the samples' own statistics: beside noise as real images, running ones fit neither.
        drawn = gan.sample(state, keys(30), c1=values)
        _, features = state["discriminator"](drawn, train=True)
        return jnp.argmax(state["q"](features, train=True).logits[0], axis=1)

    assert np.mean(read(state) == values) > 0.8


# --- samples --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawing():
    gan = build()
    return gan, gan.init(jax.random.key(0)), jax.jit(gan.sample)


def test_codes_asked_for_are_those_of_the_samples_and_others_are_drawn(drawing):
    gan, state, sample = drawing
    assert gan.conditions == ("c1", "c2")
    drawn, rows = mutual_information.drawn(CODES, keys(4)), keys(4)
    values = {"c1": jnp.asarray([0, 1, 2, 0]), "c2": jnp.asarray([-2.0, 0.0, 1.0, 2.0])}
    noise = random.latents(rows, 4, prior="uniform")
    generate = jax.jit(lambda state, latents: state["generator"](latents))
    for given in ({}, {"c1": values["c1"]}, {"c2": values["c2"]}, values):
        latents = mutual_information.joined(CODES, noise, {**drawn, **given})
        expected = generate(state, latents)
        np.testing.assert_allclose(sample(state, rows, **given), expected, rtol=1e-5, atol=1e-6)
    assert gan.categories == (("c1", 3),)
    with pytest.raises(ValueError, match="takes no condition 'label'; it takes c1, c2"):
        gan.sample(state, rows, label=1)


def test_a_row_of_a_traversal_differs_in_its_code_alone(drawing):
    gan, state, sample = drawing
    found = jax.jit(lambda state: infogan.traversals(gan, state, SHAPE, rows=4))(state)
    assert {name: drawn.shape for name, drawn in found.items()} == dict.fromkeys(
        ("c1", "c2"), (4, 3, *SHAPE)
    )
    first = random.row_keys(jax.random.key(0), 4)
    for column, (c1, c2) in enumerate(zip((0, 1, 2), (-2.0, 0.0, 2.0), strict=True)):
        of_c1 = sample(state, first, c1=jnp.full(4, c1))
        of_c2 = sample(state, first, c1=jnp.asarray([0, 1, 2, 0]), c2=jnp.full(4, c2))
        np.testing.assert_allclose(found["c1"][:, column], of_c1, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["c2"][:, column], of_c2, rtol=1e-5, atol=1e-6)
    assert float(jnp.ptp(found["c1"], axis=1).max()) > 0


# --- what is built --------------------------------------------------------------------------------


def test_a_relativistic_loss_sees_real_images_in_the_generators_turn_too():
    gan = build(loss=losses.relativistic_paired())
    state = jax.eval_shape(gan.init, jax.random.key(0))
    batch = {"image": jax.ShapeDtypeStruct((6, *SHAPE), np.float32)}
    _, metrics = jax.eval_shape(gan.step, state, batch)
    assert metrics["generator/loss"].total.shape == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codes": Codes((3, 1), 0)}, "expected at least 2 classes for each categorical code"),
        ({"codes": Codes((), -1)}, "0 or more continuous codes"),
        ({"codes": Codes((), 0)}, "there are no codes"),
        ({"std": 0.0}, r"deviation is 0\.0; expected a positive number"),
        ({"shape": (30, 30, 1)}, "cannot make images of 30x30"),
        ({"prior": "cauchy"}, "the prior is 'cauchy'"),
    ],
)
def test_what_tells_nothing_or_cannot_be_made_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)
