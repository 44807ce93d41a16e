"""The objectives of a game of two players, and the game built of them."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from toy_players import keys_of, scale, state_of

from jaxgan import losses, optimizers, penalties, random
from jaxgan.games import builder, objectives, two_player
from tests.building import built

REAL = jnp.array([1.0, -2.0, 0.5, 3.0])
DRAW = objectives.fakes(lambda keys: random.normal(keys, ()))


def game(generator=2.0, discriminator=0.5):
    """The game of x = generator * z and the logit discriminator * x; both count their inputs."""
    return state_of(
        {
            "generator": scale(generator, running=0.0),
            "discriminator": scale(discriminator, running=0.0),
        }
    )


def latents():
    return np.asarray(random.normal(keys_of(4), ()), np.float64)


def softplus(x):
    return np.log1p(np.exp(np.asarray(x, np.float64)))


def values(metrics):
    return {name: float(mean.value) for name, mean in metrics.items()}


def running(player):
    return float(player.variables["stats"]["running"])


# --- the discriminator's ------------------------------------------------------------------------


def test_the_discriminator_minimizes_its_loss_on_real_and_on_fresh_fakes():
    objective = objectives.discriminator_objective(losses.non_saturating(), DRAW)
    value, out = objective(game(), {"image": REAL}, keys_of(4))
    real_logits, fake_logits = 0.5 * np.asarray(REAL), latents()
    expected = np.mean(softplus(-real_logits) + softplus(fake_logits))
    assert float(value) == pytest.approx(expected, rel=1e-6)
    assert values(out.metrics) == pytest.approx(
        {
            "real_logit": np.mean(real_logits),
            "fake_logit": np.mean(fake_logits),
            "real_accuracy": 0.75,
            "fake_accuracy": np.mean(fake_logits < 0),
            "real_sign": 0.5,
        },
        rel=1e-5,
    )


def test_real_and_fake_are_each_their_own_batch_to_the_discriminators_collections():
    objective = objectives.discriminator_objective(losses.non_saturating(), DRAW)
    _, out = objective(game(), {"image": REAL}, keys_of(4))
    assert set(out.players) == {"discriminator"}  # the generator's collections stay as they are
    expected = 10 * np.sum(REAL) + np.sum(2 * latents())
    assert running(out.players["discriminator"]) == pytest.approx(float(expected), rel=1e-5)


def test_relabeling_changes_the_loss_and_not_the_report():
    def exchange(real_logits, fake_logits, keys):
        return fake_logits, real_logits

    build = partial(objectives.discriminator_objective, losses.wasserstein(), DRAW)
    batch, keys = {"image": REAL}, keys_of(4)
    value, out = build()(game(), batch, keys)
    exchanged, other = build(relabel=exchange)(game(), batch, keys)
    assert float(exchanged) == pytest.approx(-float(value), rel=1e-6)
    assert values(other.metrics) == values(out.metrics)


def test_a_penalty_is_added_and_reported_and_leaves_the_collections_alone():
    def penalty(discriminator, real, fake, keys):
        return penalties.r1(discriminator, real, gamma=4.0) + fake

    build = partial(objectives.discriminator_objective, losses.wasserstein(), DRAW)
    batch, keys = {"image": REAL}, keys_of(4)
    value, out = build()(game(), batch, keys)
    penalized, other = build(penalty=penalty)(game(), batch, keys)
    # The slope of the logit is 0.5 everywhere: gamma / 2 * 0.25 = 0.5.
    expected = 0.5 + np.mean(2 * latents())
    assert float(penalized) - float(value) == pytest.approx(expected, rel=1e-4)
    assert values(other.metrics)["penalty"] == pytest.approx(expected, rel=1e-5)
    assert running(other.players["discriminator"]) == running(out.players["discriminator"])


@pytest.mark.parametrize(
    ("loss", "estimates"),
    [
        (losses.relativistic_paired(), {"ranking_rate", "gap"}),
        (losses.wasserstein(), {"wasserstein"}),
    ],
)
def test_accuracies_are_reported_only_where_a_logits_sign_means_something(loss, estimates):
    objective = objectives.discriminator_objective(loss, DRAW)
    _, out = objective(game(), {"image": REAL}, keys_of(4))
    assert set(out.metrics) == {"real_logit", "fake_logit"} | estimates


def test_a_relativistic_loss_is_judged_by_its_pairs():
    real, fake = jnp.array([3.0, 0.0, 1.0, 0.5]), jnp.array([1.0, 2.0, 0.0, 0.5])
    found = values(objectives.verdicts(losses.relativistic_paired(), real, fake))
    assert (found["ranking_rate"], found["gap"]) == (0.5, 0.25)


def test_verdicts_count_from_the_losss_boundary():
    loss = losses.least_squares(fake=0.0, real=1.0)
    metrics = objectives.verdicts(loss, jnp.array([0.4, 0.6, 2.0]), jnp.array([0.4, 0.6, -1.0]))
    accuracies = {name: values(metrics)[name] for name in ("real_accuracy", "fake_accuracy")}
    assert accuracies == pytest.approx({"real_accuracy": 2 / 3, "fake_accuracy": 2 / 3})
    assert values(metrics)["real_sign"] == pytest.approx(1 / 3)


# --- the generator's ----------------------------------------------------------------------------


def test_the_generator_minimizes_its_loss_and_keeps_its_collections():
    objective = objectives.generator_objective(losses.non_saturating(), DRAW)
    value, out = objective(game(), {"image": REAL}, keys_of(4))
    assert float(value) == pytest.approx(np.mean(softplus(-latents())), rel=1e-6)
    assert values(out.metrics) == pytest.approx({"fake_logit": np.mean(latents())}, rel=1e-5)
    assert set(out.players) == {"generator"}
    assert running(out.players["generator"]) == pytest.approx(np.sum(latents()), rel=1e-5)


def test_the_generator_is_compared_with_real_rows_where_the_loss_is_relativistic():
    objective = objectives.generator_objective(losses.relativistic_paired(), DRAW)
    value, _ = objective(game(), {"image": REAL}, keys_of(4))
    expected = np.mean(softplus(0.5 * np.asarray(REAL) - latents()))
    assert float(value) == pytest.approx(expected, rel=1e-6)


# --- what networks are given --------------------------------------------------------------------


class Witness(linen.Module):
    """A network that puts out one of the things it is given; its parameter does nothing."""

    what: str

    @linen.compact
    def __call__(self, x, label=None, weight=None, *, keys=None, train=False):
        zero = 0 * self.param("zero", linen.initializers.zeros, ())
        if self.what == "noise":
            return zero + (x * 0 if keys is None else random.uniform(keys, ()))
        given = {"input": x, "label": label, "weight": weight, "train": jnp.full(len(x), train)}
        return zero + given[self.what].astype(jnp.float32)


def witnesses(*, generator="input", discriminator="input", **options):
    """The game of two witnesses, built."""
    return built(
        two_player.build,
        Witness(generator),
        Witness(discriminator),
        shape=(),
        loss=losses.wasserstein(),
        latents=lambda keys: random.normal(keys, ()),
        optimizers={name: optax.sgd(0.1) for name in ("generator", "discriminator")},
        **options,
    )


def reports(gan, batch):
    _, metrics = jax.jit(gan.step)(gan.init(jax.random.key(0)), batch)
    return values(metrics)


CONDITIONED = {
    "conditions": lambda batch: (batch["label"], batch["weight"]),
    "default_conditions": {
        "label": lambda count: jnp.arange(count),
        "weight": lambda count: jnp.full(count, 0.25),
    },
}
BATCH = {"image": REAL, "label": jnp.array([1, 2, 3, 6]), "weight": jnp.array([1.0, 1, 1, 9])}


@pytest.mark.parametrize(("what", "mean"), [("label", 3.0), ("weight", 3.0), ("train", 1.0)])
def test_both_players_see_the_conditions_in_order_and_play_in_training_mode(what, mean):
    seen = reports(witnesses(generator=what, discriminator="input", **CONDITIONED), BATCH)
    assert seen["discriminator/fake_logit"] == seen["generator/fake_logit"] == mean
    seen = reports(witnesses(generator="input", discriminator=what, **CONDITIONED), BATCH)
    assert seen["discriminator/real_logit"] == seen["generator/fake_logit"] == mean


def test_noise_layers_draw_apart_for_real_for_fake_and_in_the_generator():
    state = witnesses(generator="noise", discriminator="noise").init(jax.random.key(0))
    keys = keys_of(4)
    discriminator = objectives.discriminator_objective(losses.wasserstein(), DRAW)
    _, out = discriminator(state, {"image": REAL}, keys)
    fake, _ = DRAW(state, {"image": REAL}, keys)
    seen = [float(jnp.mean(fake)), *(values(out.metrics)[n] for n in ("real_logit", "fake_logit"))]
    named = [random.fold(keys, name) for name in ("generator noise", "real", "fake")]
    expected = [float(jnp.mean(random.uniform(k, ()))) for k in named]
    assert seen == pytest.approx(expected, rel=1e-6)
    assert len(set(seen)) == 3


def sampled(gan, **conditions):
    return np.asarray(gan.sample(gan.init(jax.random.key(0)), keys_of(4), **conditions))


def test_sampling_takes_a_default_where_no_condition_is_given():
    by_label, by_weight = (witnesses(generator=w, **CONDITIONED) for w in ("label", "weight"))
    np.testing.assert_array_equal(sampled(by_label), [0, 1, 2, 3])
    np.testing.assert_array_equal(sampled(by_label, label=[7, 7, 8, 8]), [7, 7, 8, 8])
    np.testing.assert_array_equal(sampled(by_weight, label=[7, 7, 8, 8]), [0.25] * 4)


def test_sampling_is_by_key_in_inference_mode():
    np.testing.assert_allclose(sampled(witnesses()), latents(), rtol=1e-6)
    np.testing.assert_array_equal(sampled(witnesses(generator="train")), [0.0] * 4)


def test_a_generator_that_draws_noise_is_sampled_with_the_noise_of_the_key():
    noise = sampled(witnesses(generator="noise"))
    assert len(np.unique(noise)) == 4 and np.all(noise != 0)
    np.testing.assert_array_equal(sampled(witnesses(generator="noise")), noise)


def test_a_condition_that_the_model_does_not_take_is_refused():
    gan = witnesses(**CONDITIONED)
    state = gan.init(jax.random.key(0))
    with pytest.raises(ValueError, match="takes no condition 'size'; it takes label, weight"):
        gan.sample(state, keys_of(4), size=3)
    with pytest.raises(ValueError, match="takes no condition 'label'; it takes none"):
        witnesses().sample(state, keys_of(4), label=3)


# --- the schedule -------------------------------------------------------------------------------


def test_the_game_alternates_unless_told_otherwise():
    def moves(schedule):
        gan = witnesses(**({} if schedule is None else {"schedule": schedule}))
        state = gan.init(jax.random.key(0)).replace(players=dict(game().players))
        reached, _ = jax.jit(gan.step)(state, {"image": REAL})
        return [float(reached[name].params["weight"]) for name in ("generator", "discriminator")]

    # The generator ascends the discriminator's slope: times mean(z) of its draw, old or new slope.
    keys = random.example_keys(witnesses().init(jax.random.key(0)).rng, 0, jnp.arange(4))
    at_once, in_turns = moves(builder.simultaneously), moves(None)
    mean = float(jnp.mean(random.normal(keys, ())))
    assert at_once[0] == pytest.approx(2.0 + 0.5 * mean, rel=1e-5)
    assert at_once[1] == pytest.approx(0.5 + float(jnp.mean(REAL)) - 2.0 * mean, rel=1e-5)
    own = float(jnp.mean(random.normal(random.fold(keys, "generator"), ())))
    assert in_turns[0] == pytest.approx(2.0 + in_turns[1] * own, rel=1e-5)
    assert in_turns[0] != pytest.approx(2.0 + 0.5 * own, rel=1e-3)


def test_an_average_is_kept_of_the_generator_where_a_half_life_is_given():
    assert witnesses().init(jax.random.key(0)).ema == {}
    gan = witnesses(ema_half_life=4.0)
    state = gan.init(jax.random.key(0))
    assert set(state.ema) == {"generator"}
    moved = state.with_params({"generator": {"zero": jnp.ones(())}})
    reached, _ = jax.jit(gan.step)(moved, {"image": REAL})
    # 4 images of the first batch and a ramp of 1/20 of them: 2^-20 of the start is left.
    left = reached["generator"].params["zero"] - reached.ema["generator"]["params"]["zero"]
    assert float(left) == pytest.approx(0.5**20, rel=0.05)


def test_adam_has_the_momentum_of_gans():
    gradients = [jnp.array(1.0), jnp.array(0.0)]
    optimizer = optimizers.adam(1e-2)
    state, moves = optimizer.init(jnp.array(0.0)), []
    for gradient in gradients:
        move, state = optimizer.update(gradient, state)
        moves.append(float(move))
    # Second moments 1 - 0.999^t and momenta 0.5, 0.25 over 0.5, 0.75, by hand.
    second = 1e-3 * 0.999 / (1 - 0.999**2)
    assert moves == pytest.approx([-1e-2, -1e-2 / 3 / np.sqrt(second)], rel=1e-4)
