"""The flags of R1 and R2: which penalty they mean, and what they refuse."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import dcgan, sngan, wgan_gp
from experiments.flags import penalty_flags, two_player_flags
from jaxgan.runs import flags
from jaxgan.runs.config import DataSpec

SPEC = DataSpec((64, 64, 3))


def config(**changes):
    return dcgan.Config(**{"penalty": "r1_r2", "discriminator_norm": "none", **changes})


def asked(**changes):
    """The penalty of a configuration that asks for one."""
    found = penalty_flags.penalty(config(**changes), SPEC)
    assert found is not None
    return found


def test_the_weight_is_by_default_that_of_the_resolution_and_the_batch():
    found = asked(batch_size=16)
    assert found.gamma == pytest.approx(0.0512)
    assert (found.at, found.interval, found.stride) == (("real", "fake"), 1, 1)
    assert penalty_flags.penalty(config(penalty="none"), SPEC) is None
    assert asked(penalty="r1", gamma=0.0).at == ("real",)


def test_the_weight_goes_to_its_end_over_the_images_asked_for():
    gamma = asked(batch_size=10, gamma=1.0, gamma_end=0.1, gamma_images=100.0).gamma
    assert callable(gamma)
    found = [float(gamma(jnp.asarray(step))) for step in (0, 5, 10, 20)]
    assert found == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_a_lazy_penalty_corrects_adam_of_the_discriminator_alone():
    rates = {"generator_learning_rate": 0.1, "discriminator_learning_rate": 0.1, "beta1": 0.0}
    for changes, expected in (({}, -0.08), ({"penalty": "none"}, -0.1)):
        found = two_player_flags.optimizers(config(penalty_interval=4, **rates, **changes))
        moves = {}
        for name, optimizer in found.items():
            update, _ = optimizer.update(jnp.ones(()), optimizer.init(jnp.zeros(())), None)
            moves[name] = float(update)
        assert moves == pytest.approx({"generator": -0.1, "discriminator": expected}, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"discriminator_norm": "batch"}, "batch normalization couples the examples; add --discr"),
        ({"penalty_stride": 3}, "--penalty-stride 3 does not divide the batch size 64"),
        (
            {"penalty_interval": 16, "optimizer": "rmsprop"},
            "corrects the constants of Adam, which rmsprop does not have",
        ),
    ],
)
def test_flags_that_a_penalty_does_not_go_with_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dcgan.build(config(**changes), SPEC)


def test_a_model_with_a_penalty_or_a_norm_of_its_own_does_not_offer_it():
    assert "penalty" in flags.offered(dcgan.Config)
    assert not {"penalty", "gamma"} & set(flags.offered(wgan_gp.Config))
    assert "discriminator_norm" in flags.offered(wgan_gp.Config)
    assert "penalty" in flags.offered(sngan.Config)
    assert "discriminator_norm" not in flags.offered(sngan.Config)


def test_a_penalized_dcgan_reports_the_penalty():
    tiny = config(width=2, latent_size=3, batch_size=4, penalty_stride=2, penalty_interval=2)
    gan = dcgan.build(tiny, DataSpec((16, 16, 1)))
    state = gan.init(jax.random.key(0))
    images = np.random.default_rng(0).uniform(-1, 1, (4, 16, 16, 1)).astype(np.float32)
    _, metrics = jax.eval_shape(gan.step, state, {"image": images})
    names = ("penalty", "r1", "r2", "gamma", "penalty_gradient_norm")
    assert {f"discriminator/{name}" for name in names} <= set(metrics)
