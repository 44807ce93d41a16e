"""Networks that a game cannot play with are refused in one sentence where they are initialized."""

from __future__ import annotations

from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import optax
import pytest

from jaxgan import losses, random
from jaxgan.games import bidirectional, builder, two_player
from jaxgan.games.training import Training
from jaxgan.models import vanilla


def network(call) -> linen.Module:
    """A network whose `__call__` is the function."""
    return type("Mine", (linen.Module,), {"__call__": linen.compact(call)})()


GENERATOR: linen.Module = vanilla.Generator((8, 8, 3), (2,))
DISCRIMINATOR: linen.Module = vanilla.Discriminator((2,))
TRAINING = Training({"generator": optax.sgd(0.1), "discriminator": optax.sgd(0.1)})


def init(
    generator: linen.Module = GENERATOR, discriminator: linen.Module = DISCRIMINATOR, **options
):
    """Traces the initialization of the game with the networks."""
    gan = two_player.build(
        generator,
        discriminator,
        shape=(8, 8, 3),
        loss=losses.non_saturating(),
        latents=partial(random.latents, size=3),
        training=TRAINING,
        **options,
    )
    return jax.eval_shape(gan.init, jax.random.key(0))


EXPECTED = r"must have the signature __call__\(self, x, \*, keys=None, train=False\); "


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda self, x: x, r"found __call__\(self, x\)"),
        (lambda self, x, *, keys=None: x, r"found __call__\(self, x, \*, keys=None\)"),
        (lambda self, x, y, *, keys=None, train=False: x, r"found __call__\(self, x, y, \*, keys"),
    ],
)
def test_another_signature_is_refused_with_the_expected_one(call, found):
    for side in ("generator", "discriminator"):
        with pytest.raises(ValueError, match=rf"the {side} Mine {EXPECTED}{found}"):
            init(**{side: network(call)})


def test_layers_that_pass_the_arguments_on_are_refused_too():
    with pytest.raises(ValueError, match=rf"the discriminator Sequential {EXPECTED}Dense"):
        init(discriminator=linen.Sequential([linen.Dense(1)]))


def test_a_generator_may_need_keys_which_samplers_pass():
    def call(self, x, *, keys, train=False):
        return random.normal(random.fold(keys, "inside"), (8, 8, 3))

    init(network(call))


def test_the_conditions_are_named_in_the_signature():
    label = {"label": lambda count: jnp.zeros(count, jnp.int32)}
    with pytest.raises(ValueError, match=r"__call__\(self, x, condition1, \*, keys=None, train="):
        init(default_conditions=label)


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((), True),
        ((1,), True),
        ((7,), True),
        ((4, 4, 1), True),
        ((4, 4), True),
        ((4, 4, 2), False),
        ((4, 4, 4, 1, 2), False),
    ],
)
def test_a_discriminator_returns_logits_or_patches(shape, fits):
    discriminator = network(lambda self, x, *, keys=None, train=False: jnp.zeros((len(x), *shape)))
    if fits:
        init(discriminator=discriminator)
        return
    with pytest.raises(ValueError, match=r"returns the shape .* expected logits \[B\], \[B, 1\]"):
        init(discriminator=discriminator)


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        (lambda x: jnp.mean(x), r"the shape \[\]"),
        (lambda x: jnp.mean(x, axis=0).ravel(), r"the shape \[192\]"),
        (lambda x: (x, x), "a tuple"),
        (lambda x: jnp.zeros(len(x), jnp.int32), "values of the type int32"),
    ],
)
def test_what_is_no_logit_per_example_is_refused(returned, found):
    discriminator = network(lambda self, x, *, keys=None, train=False: returned(x))
    with pytest.raises(ValueError, match=rf"discriminator Mine returns {found} for one example"):
        init(discriminator=discriminator)


def test_a_generator_of_another_shape_than_the_data_is_refused():
    with pytest.raises(ValueError, match=r"\[1, 8, 8, 1\] .*; expected \[B, 8, 8, 3\], examples"):
        init(vanilla.Generator((8, 8, 1), (2,)))


def test_errors_of_the_network_itself_stay_as_they_are():
    def call(self, x, *, keys=None, train=False):
        raise TypeError("of its own")

    with pytest.raises(TypeError, match="of its own"):
        init(network(call))


def test_the_players_of_other_games_are_checked_as_well():
    def player(**changes):
        networks = {"generator": GENERATOR, "encoder": GENERATOR, "discriminator": DISCRIMINATOR}
        gan = bidirectional.build(
            {**networks, **changes},
            shape=(8, 8, 3),
            latent_size=3,
            latents=partial(random.latents, size=3),
            loss=losses.non_saturating(),
            training=TRAINING,
        )
        jax.eval_shape(gan.init, jax.random.key(0))

    with pytest.raises(ValueError, match=r"the discriminator Discriminator must have .*condition1"):
        player()
    with pytest.raises(ValueError, match="the generator Mine returns a tuple"):
        player(generator=network(lambda self, x, *, keys=None, train=False: (x, x)))
    assert builder.Network(GENERATOR, optax.sgd(0.1), [(3,)]).output is None
