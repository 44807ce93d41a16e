"""Rounds of play: who sees which rows, with which keys, and when a forward pass is shared."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from laws import at_double_precision
from toy_players import keys_of, record, scale, state_of, weight

from jaxgan import losses, random, steps
from jaxgan.games import objectives, two_player
from jaxgan.models import dcgan, vanilla
from jaxgan.state import Mean, Out
from jaxgan.steps import shared_forward
from tests.building import built

ROWS = 6


def numbered(rows=ROWS):
    return {"row": jnp.arange(rows, dtype=jnp.float32)}


def counting():
    return state_of({}, extra={"turn": jnp.zeros((), jnp.int32)})


def draws(keys, *names):
    """What `record` draws with keys folded by the names."""
    for name in names:
        keys = random.fold(keys, name)
    return random.uniform(keys, ())


# --- rows and keys of a round ---------------------------------------------------------------------


@pytest.mark.parametrize("n_critic", [1, 2, 3])
def test_critic_step_j_sees_every_nth_row_from_j_and_the_generator_the_last_slice(n_critic):
    step = steps.alternate(record("discriminator"), record("generator"), n_critic=n_critic)
    state, metrics = step(counting(), numbered(), keys_of(ROWS))
    rows = np.arange(ROWS)
    for turn in range(n_critic):
        seen = metrics["discriminator/rows"].total[turn]
        np.testing.assert_array_equal(seen, rows[turn::n_critic])
    np.testing.assert_array_equal(
        metrics["generator/rows"].total[n_critic], rows[n_critic - 1 :: n_critic]
    )
    assert int(state.extra["turn"]) == n_critic + 1
    assert float(metrics["discriminator/rows"].count) == n_critic


@pytest.mark.parametrize("n_critic", [1, 2, 3])
def test_every_step_of_a_round_draws_afresh_by_its_rows(n_critic):
    step = steps.alternate(record("discriminator"), record("generator"), n_critic=n_critic)
    _, metrics = step(counting(), numbered(), keys_of(ROWS))
    of_discriminator = draws(keys_of(ROWS), "discriminator")
    of_generator = draws(keys_of(ROWS), "generator")
    for turn in range(n_critic):
        seen = metrics["discriminator/draws"].total[turn]
        np.testing.assert_array_equal(seen, of_discriminator[turn::n_critic])
    last = metrics["generator/draws"].total[n_critic]
    np.testing.assert_array_equal(last, of_generator[n_critic - 1 :: n_critic])
    assert not np.isin(last, of_discriminator).any()


def test_a_round_without_critic_steps_or_rows_for_them_is_refused():
    with pytest.raises(ValueError, match="n_critic is 0"):
        steps.alternate(record("a"), record("b"), n_critic=0)
    with pytest.raises(ValueError, match="6 examples cannot be split into 4 slices"):
        steps.alternate(record("a"), record("b"), n_critic=4)(counting(), numbered(), keys_of(ROWS))


# --- sharing a pass -------------------------------------------------------------------------------


def noisy(reached, batch, keys):
    """The pass z -> weight * z of the player 'a', on latents by key; it updates its collection."""
    output, player = reached["a"].mutate(random.normal(keys, ()))
    return output, {"a": player}


def meet(reached, batch, keys, *, draw):
    """An objective on the shared or own pass: its gradient is the mean of 2 weight z^2."""
    output, players = draw(reached, batch, keys)
    return jnp.mean(output**2), Out({"output": Mean.of(output)}, players=players)


def test_a_pass_that_nobody_shares_is_run():
    draw = shared_forward.Forward(("a",), noisy)
    state = state_of({"a": scale(2.0, running=0.0)})
    output, players = draw(state, {}, keys_of(4))
    latents = random.normal(keys_of(4), ())
    np.testing.assert_allclose(output, 2 * latents, rtol=1e-6)
    running = players["a"].variables["stats"]["running"]
    assert float(running) == pytest.approx(float(jnp.sum(latents)))
    assert not shared_forward.is_shared({})


def test_a_shared_pass_has_the_output_collections_and_gradient_of_an_own_one():
    with jax.enable_x64(True):
        draw = shared_forward.Forward(("a",), noisy)
        state = state_of({"a": scale(2.0, rate=0.1, running=0.0)})
        step = steps.update("a", partial(meet, draw=draw))
        alone, expected = step(state, {}, keys_of(4))
        batch = shared_forward.share(draw, state, {}, keys_of(4))
        assert shared_forward.is_shared(batch)
        # The step must not draw again: keys it does not use change nothing.
        shared, metrics = step(state, batch, random.fold(keys_of(4), "unused"))
        assert weight(shared, "a") == pytest.approx(weight(alone, "a"), rel=1e-14)
        assert weight(shared, "a") != 2.0
        running = [s["a"].variables["stats"]["running"] for s in (alone, shared)]
        assert float(running[1]) == float(running[0]) != 0.0
        for name, mean in expected.items():
            assert float(metrics[name].value) == pytest.approx(float(mean.value), rel=1e-14)


def test_players_that_are_not_differentiated_see_a_shared_pass_as_data():
    def objective(reached, batch, keys):
        output, _ = shared_forward.Forward(("a",), noisy)(reached, batch, keys)
        return jnp.mean(reached["b"](output)), Out()

    state = state_of({"a": scale(2.0, running=0.0), "b": scale(1.0)})
    batch = shared_forward.share(shared_forward.Forward(("a",), noisy), state, {}, keys_of(4))
    moved, _ = steps.update("b", objective)(state, batch, keys_of(4))
    expected = 1.0 - 2.0 * float(jnp.mean(random.normal(keys_of(4), ())))
    assert weight(moved, "b") == pytest.approx(expected, rel=1e-6)
    assert weight(moved, "a") == 2.0


def test_a_shared_pass_is_not_sliced_for_accumulation():
    draw = shared_forward.Forward(("a",), noisy)
    state = state_of({"a": scale(2.0, running=0.0)})
    batch = shared_forward.share(draw, state, {}, keys_of(4))
    with pytest.raises(ValueError, match="cannot accumulate"):
        steps.update("a", partial(meet, draw=draw), accumulate=2)(state, batch, keys_of(4))


# --- rounds with shared noise -------------------------------------------------------------------


def update_both(draw):
    """The steps of the game whose fakes `draw` makes."""
    loss = losses.non_saturating()
    return (
        steps.update("discriminator", objectives.discriminator_objective(loss, draw)),
        steps.update("generator", objectives.generator_objective(loss, draw)),
    )


def images(rows, size):
    return {"image": jnp.asarray(np.random.default_rng(0).normal(size=(rows, size)))}


def same(left, right, tolerance=1e-12):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_a_round_with_shared_noise_is_one_in_which_both_players_draw_with_the_same_keys():
    with jax.enable_x64(True):
        gan = built(
            two_player.build,
            vanilla.Generator((2,), (8,)),
            vanilla.Discriminator((8,), dropout=0.3),
            shape=(2,),
            loss=losses.non_saturating(),
            latents=partial(random.latents, size=3),
            # At rate 1 a move is its gradient.
            optimizers={name: optax.sgd(1.0) for name in ("generator", "discriminator")},
            shared_noise=True,
        )
        start = at_double_precision(gan.init(jax.random.key(0)))
        shared, metrics = jax.jit(gan.step)(start, images(8, 2))
        critic, generator = update_both(objectives.fakes(partial(random.latents, size=3)))
        keys = random.example_keys(start.rng, 0, jnp.arange(8))
        keys = random.fold(keys, "discriminator")
        expected, of_critic = critic(start, images(8, 2), keys)
        expected, of_generator = generator(expected, images(8, 2), keys)
        for player in ("generator", "discriminator"):
            same(shared[player].params, expected[player].params)
        same(metrics, {**of_critic, **of_generator})


@pytest.mark.parametrize("n_critic", [1, 2, 3])
def test_with_shared_noise_the_generator_meets_the_fakes_of_the_last_critic_step(n_critic):
    with jax.enable_x64(True):
        draw = objectives.fakes(lambda keys: random.normal(keys, ()))
        critic, generator = update_both(draw)
        expected = state_of({"generator": scale(2.0), "discriminator": scale(0.5)})
        batch = {"image": images(2 * n_critic, 1)["image"][:, 0]}
        keys = random.fold(keys_of(2 * n_critic), "discriminator")
        body = steps.alternate(critic, generator, n_critic=n_critic, shared_noise=draw)
        shared, _ = body(expected, batch, keys_of(2 * n_critic))
        for turn in range(n_critic):
            piece = jax.tree.map(lambda x, j=turn: x[j::n_critic], (batch, keys))
            expected, _ = critic(expected, *piece)
        fresh, _ = generator(expected, piece[0], random.fold(piece[1], "fresh"))
        expected, _ = generator(expected, *piece)
        for player in ("generator", "discriminator"):
            assert weight(shared, player) == pytest.approx(weight(expected, player), rel=1e-12)
        assert weight(fresh, "generator") != pytest.approx(weight(shared, "generator"), rel=1e-3)


# Each doubling of the image is one convolution of the generator's forward pass.
@pytest.mark.parametrize(
    ("side", "doublings"), [(28, 2), pytest.param(32, 3, marks=pytest.mark.slow)]
)
def test_a_round_with_shared_noise_computes_the_generators_forward_pass_once(side, doublings):
    def convolutions(**options):
        gan = built(
            dcgan.build,
            shape=(side, side, 1),
            width=4,
            latent_size=4,
            loss=losses.non_saturating(),
            optimizers={name: optax.sgd(0.1) for name in ("generator", "discriminator")},
            **options,
        )
        state = jax.eval_shape(gan.init, jax.random.key(0))
        images = {"image": jax.ShapeDtypeStruct((8, side, side, 1), jnp.float32)}
        return jax.jit(gan.step).lower(state, images).compile().as_text().count(" convolution(")

    once, twice = convolutions(shared_noise=True), convolutions()
    assert once > 0
    assert twice - once == doublings
