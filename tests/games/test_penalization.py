"""R1 and R2 in a game: their values, their schedule, lazily, and on part of the batch."""

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
from jaxgan.games import input_transforms, objectives, penalization, two_player
from jaxgan.games.penalization import ZeroCentered
from tests.building import built

REAL = jnp.array([1.0, -2.0, 0.5, 3.0])
DRAW = objectives.fakes(lambda keys: random.normal(keys, ()))
WASSERSTEIN = losses.wasserstein()


def game():
    """The game of x = 2 z and the logit x / 2, whose slope is 1 / 2 everywhere."""
    return state_of({"generator": scale(2.0), "discriminator": scale(0.5)})


def values(metrics):
    return {name: float(mean.value) for name, mean in metrics.items()}


def measured(penalty, state=None):
    """What the penalty adds to the discriminator's loss, and the metrics that it adds."""
    batch, keys, state = {"image": REAL}, keys_of(4), game() if state is None else state
    build = partial(objectives.discriminator_objective, WASSERSTEIN, DRAW)
    plain, known = build()(state, batch, keys)
    value, out = build(penalty=penalty)(state, batch, keys)
    new = out.metrics.keys() - known.metrics.keys()
    return float(value - plain), values({name: out.metrics[name] for name in new})


@pytest.mark.parametrize(
    ("at", "parts"),
    [
        (("real",), {"r1": 0.5}),
        (("fake",), {"r2": 0.5}),
        (("real", "fake"), {"r1": 0.5, "r2": 0.5}),
    ],
)
def test_each_place_adds_half_of_gamma_times_the_squared_slope(at, parts):
    cost, metrics = measured(ZeroCentered(4.0, at))
    assert cost == pytest.approx(sum(parts.values()), rel=1e-6)
    assert metrics == pytest.approx({"penalty": cost, "gamma": 4.0, **parts}, rel=1e-6)


def test_the_weight_may_follow_the_train_step():
    penalty = ZeroCentered(lambda step: 2.0 * step, ("real",))
    later = game().replace(step=jnp.asarray(3))
    assert measured(penalty)[0] == 0
    cost, metrics = measured(penalty, later)
    assert (cost, metrics["gamma"]) == (pytest.approx(0.75), 6.0)


def squares():
    """A discriminator x^2 / 2, whose slope at x is x."""
    player = scale(1.0)

    def apply(variables, x, *, mutable, **unused):
        return variables["params"]["weight"] * x**2 / 2, {}

    return state_of({"generator": scale(2.0), "discriminator": player.replace(apply_fn=apply)})


def test_a_stride_penalizes_every_so_many_examples_from_the_first_on():
    state = squares()
    _, metrics = measured(ZeroCentered(2.0, stride=2), state)
    fake = np.asarray(2 * random.normal(keys_of(4), ()))
    assert metrics["r1"] == pytest.approx((1.0 + 0.25) / 2, rel=1e-6)
    assert metrics["r2"] == pytest.approx(np.mean(fake[::2] ** 2), rel=1e-5)
    whole, _ = measured(ZeroCentered(2.0, ("real",)), state)
    assert whole == pytest.approx(np.mean(np.asarray(REAL) ** 2), rel=1e-5)


def test_the_slope_is_by_the_image_before_a_view():
    """Behind the view x -> 3 x the slope of x / 2 is 3 / 2, as in the chain rule."""
    objective = objectives.penalty_objective(ZeroCentered(4.0), DRAW)
    seen = input_transforms.through(objective, lambda state, images, keys: 3 * images)
    value, _ = seen(game(), {"image": REAL}, keys_of(4))
    assert float(value) == pytest.approx(2 * 4 / 2 * (3 / 2) ** 2, rel=1e-6)


# --- lazily ---------------------------------------------------------------------------------------


class Scale(linen.Module):
    """x -> weight * x."""

    first: float

    @linen.compact
    def __call__(self, x, *, keys=None, train=False):
        return x * self.param("weight", linen.initializers.constant(self.first), ())


def built_game(**options):
    return built(
        two_player.build,
        Scale(2.0),
        Scale(0.5),
        shape=(),
        loss=WASSERSTEIN,
        latents=lambda keys: random.normal(keys, ()),
        optimizers={"generator": optax.sgd(0.0), "discriminator": optax.sgd(0.5)},
        **options,
    )


def test_a_lazy_penalty_is_an_update_of_its_own_every_so_many_steps_before_the_projection():
    lazy = built_game(
        penalty=ZeroCentered(0.1, ("real",), interval=2),
        projection=lambda params: jax.tree.map(lambda w: jnp.clip(w, -0.6, 0.6), params),
    )
    plain, lazily = jax.jit(built_game().step), jax.jit(lazy.step)
    batch, state, reports = {"image": REAL}, lazy.init(jax.random.key(0)), []
    for index in range(4):
        unpenalized, _ = plain(state, batch)
        state, metrics = lazily(state, batch)
        # The penalty of 2 * 0.1 / 2 * w^2 has the slope 0.2 w; the rate is 1/2.
        moved = unpenalized["discriminator"].params["weight"] * (1 if index % 2 else 0.9)
        weight = float(state["discriminator"].params["weight"])
        assert weight == pytest.approx(float(np.clip(moved, -0.6, 0.6)), rel=1e-5)
        reports.append({name: mean for name, mean in metrics.items() if mean.count})
    of_penalty = ("penalty", "r1", "gamma", "penalty_gradient_norm")
    new = {f"discriminator/{name}" for name in of_penalty}
    assert [new & set(report) for report in reports] == [new, set()] * 2
    assert float(reports[0]["discriminator/gamma"].value) == pytest.approx(0.1)


def test_lazy_adam_moves_as_far_in_one_interval_as_adam_without_the_additional_update():
    """For a constant gradient Adam's updates are its rate: c (k + 1) = k of them."""
    lazy, params = optimizers.lazy_adam(0.1, 0.0, 0.99, interval=4), jnp.zeros(())
    state, total = lazy.init(params), 0.0
    for _ in range(5):
        update, state = lazy.update(jnp.array(2.0), state, params)
        total += np.asarray(update).item()
    assert total == pytest.approx(-0.4, rel=1e-5)
    moments = [leaf for leaf in jax.tree.leaves(state) if leaf.dtype == jnp.float32]
    # The mean square after 5 updates at 0.99^(4/5) is that after 4 updates at 0.99.
    assert float(moments[1]) == pytest.approx(4 * (1 - 0.99**4), rel=1e-4)


def test_a_schedule_of_lazy_adam_counts_the_updates_without_the_additional_ones():
    lazy = optimizers.lazy_adam(
        lambda count: jnp.where(count < jnp.array(4), 1.0, 0.0), 0.0, 0.9, interval=2
    )
    state, moves = lazy.init(jnp.zeros(())), []
    for _ in range(7):
        update, state = lazy.update(jnp.array(1.0), state, jnp.zeros(()))
        moves.append(round(np.asarray(update).item(), 3))
    assert moves == pytest.approx([-0.667] * 6 + [0.0])


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at": ()}, "expected 'real', 'fake' or both"),
        ({"at": ("image",)}, "expected 'real', 'fake' or both"),
        ({"interval": 0}, "the penalty's interval is 0"),
        ({"stride": 0}, "its stride is 0"),
        ({"gamma": -1.0}, "gamma is -1.0; expected 0 or more"),
    ],
)
def test_a_penalty_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ZeroCentered(**{"gamma": 1.0, **options})


def test_the_usual_gamma_is_known_for_images_only():
    assert penalties.usual_gamma((256, 256, 3), 64) == pytest.approx(0.2048)
    with pytest.raises(ValueError, match="choose gamma yourself"):
        penalties.usual_gamma((2,), 64)


def test_any_other_penalty_is_in_every_steps_loss():
    assert (
        penalization.lazy_or_none(penalties.gradient_penalty)
        is penalization.lazy_or_none(None)
        is None
    )
    assert penalization.lazy_or_none(ZeroCentered(1.0)) is None
    lazy = ZeroCentered(1.0, interval=16)
    assert penalization.lazy_or_none(lazy) is lazy
