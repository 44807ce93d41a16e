"""What models from image to image ask of the step library: successions, one shared pass in a
simultaneous round, content beside the adversarial loss.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from toy_players import keys_of, scale, state_of, weight

from jaxgan import losses, steps
from jaxgan.games import domain_translation, objectives
from jaxgan.state import Out
from jaxgan.steps import shared_forward


def push(name, *, gain=1.0):
    """An update under which the named player's weight grows by gain * rate."""
    return steps.update(name, lambda state, batch, keys: (-gain * state[name](jnp.ones(())), Out()))


# --- one step after another -----------------------------------------------------------------------


@pytest.mark.parametrize("until", [0, 2, 9])
def test_a_succession_passes_from_its_first_step_to_the_rest(until):
    step = steps.succession(push("a"), until=until, rest=push("b"))
    train = steps.make_train_step(step)
    state, batch = state_of({name: scale(0.0) for name in "ab"}), {"x": jnp.ones(1)}
    for index in range(4):
        state, metrics = train(state, batch)
        first = min(index + 1, until)
        assert (weight(state, "a"), weight(state, "b")) == (first, index + 1 - first)
        seen = {name: float(metrics[f"{name}/loss"].count) for name in "ab"}
        assert seen == {"a": float(index < until), "b": float(index >= until)}


def test_a_succession_from_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="is to last until train step -1; expected 0 or more"):
        steps.succession(push("a"), until=-1, rest=push("b"))


# --- one pass for two sides -----------------------------------------------------------------------


def test_a_simultaneous_round_shares_a_pass_with_the_same_result():
    passes = []

    def run(state, batch, keys):
        passes.append(None)
        return state["maker"](batch["x"]), {}

    made = shared_forward.Forward(("maker",), run)
    judging = steps.update(
        "judge", lambda s, b, k: (jnp.mean((s["judge"](made(s, b, k)[0]) - 1) ** 2), Out())
    )
    making = steps.update("maker", lambda s, b, k: (-jnp.mean(s["judge"](made(s, b, k)[0])), Out()))
    state = state_of({"maker": scale(2.0, rate=0.1), "judge": scale(3.0, rate=0.1)})
    batch, sides = {"x": jnp.asarray([1.0, 2.0])}, {"judge": judging, "maker": making}
    counts, weights = [], []
    for shared in (None, made):
        passes.clear()
        reached, _ = steps.simultaneous(sides, shared_noise=shared)(state, batch, keys_of(2))
        counts.append(len(passes))
        weights.append((weight(reached, "maker"), weight(reached, "judge")))
    # judge: d/dw mean((w m x - 1)^2) = mean(2 (6 x - 1) 2 x) = (20 + 88) / 2; maker: mean(3 x)
    assert weights == [pytest.approx((2 + 0.1 * 4.5, 3 - 0.1 * 54))] * 2
    assert counts == [2, 1]


# --- content --------------------------------------------------------------------------------------


def test_content_is_added_to_the_weighted_adversarial_loss():
    draw = shared_forward.Forward(("generator",), lambda s, b, k: (s["generator"](b["a"]), {}))
    objective = objectives.generator_objective(
        losses.wasserstein(),
        draw,
        weight=0.5,
        content=lambda state, batch, fake: 7 * jnp.abs(fake - batch["b"]),
    )
    state = state_of({"generator": scale(2.0), "discriminator": scale(3.0)})
    batch = {"a": jnp.asarray([1.0, 2.0]), "b": jnp.asarray([0.0, 5.0])}
    value, out = objective(state, batch, keys_of(2))
    # fakes 2, 4; logits 6, 12; distances 2, 1
    assert float(value) == pytest.approx(0.5 * -9.0 + 7 * 1.5)
    assert float(out.metrics["content"].value) == pytest.approx(7 * 1.5)


def test_the_discriminator_takes_its_real_images_from_the_entry_named():
    draw = shared_forward.Forward(("generator",), lambda s, b, k: (s["generator"](b["a"]), {}))
    objective = objectives.discriminator_objective(losses.wasserstein(), draw, image="b")
    state = state_of({"generator": scale(2.0), "discriminator": scale(3.0)})
    batch = {"a": jnp.asarray([1.0, 2.0]), "b": jnp.asarray([0.0, 5.0])}
    value, _ = objective(state, batch, keys_of(2))
    assert float(value) == pytest.approx(3 * 3.0 - 3 * 2.5)


def test_a_halved_loss_halves_the_discriminators_part_alone():
    loss = losses.least_squares(factor=1.0)
    halved = domain_translation.halved(loss)
    real, fake = jnp.asarray([0.5, 2.0]), jnp.asarray([1.0, -1.0])
    np.testing.assert_allclose(halved.discriminator(real, fake), [0.5 * 1.25, 0.5 * 2.0])
    np.testing.assert_allclose(halved.generator(fake), [0.0, 4.0])
    # Without the factor 1/2 of Mao et al., a halved loss is their discriminator's.
    theirs = losses.least_squares().discriminator(real, fake)
    np.testing.assert_allclose(halved.discriminator(real, fake), theirs)


# --- samples --------------------------------------------------------------------------------------


def test_a_domain_is_translated_by_its_own_generator_and_one_at_a_time():
    shapes = {"a": (2, 2, 1), "b": (2, 2, 1)}
    images = np.ones((3, 2, 2, 1), np.float32)
    assert domain_translation.source({"b": images}, shapes, 3)[0] == "b"
    domain, gray = domain_translation.source({}, shapes, 3)
    assert domain == "a"
    np.testing.assert_array_equal(gray, np.zeros((3, 2, 2, 1)))
    with pytest.raises(ValueError, match="takes no condition 'label'; it takes a, b"):
        domain_translation.source({"label": 1}, shapes, 3)
    with pytest.raises(ValueError, match="images of a and b were given; one call translates from"):
        domain_translation.source({"a": images, "b": images}, shapes, 3)
