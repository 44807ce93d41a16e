"""Adversarial losses: shapes, relativistic losses, smoothed and flipped labels, names."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from jaxgan import losses, parallel, random

NAMES = tuple(losses.LOSSES)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def softplus(v):
    return np.logaddexp(0.0, v)


# --- shapes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_patches_are_so_many_logits(name):
    loss = losses.by_name(name)
    real, fake = jax.random.normal(jax.random.key(1), (2, 4, 3, 5, 1))
    for player, arguments in ((loss.discriminator, (real, fake)), (loss.generator, (fake, real))):
        patches = player(*arguments)
        assert patches.shape == (4, 3, 5, 1)
        alone = player(*(logits.reshape(-1) for logits in arguments))
        np.testing.assert_allclose(patches.reshape(-1), alone, rtol=1e-5)


@pytest.mark.parametrize("compiled", [lambda function: function, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_of_different_shapes_are_refused_in_one_sentence(name, compiled):
    loss = losses.by_name(name)
    message = r"real logits have shape \(4,\) but fake logits \(4, 1\); give both the same shape"
    with pytest.raises(ValueError, match=message):
        compiled(loss.discriminator)(jnp.zeros(4), jnp.zeros((4, 1)))
    if loss.relativistic:
        with pytest.raises(ValueError, match=message):
            compiled(loss.generator)(jnp.zeros((4, 1)), jnp.zeros(4))


# --- what each kind promises ---------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_needs_real_logits_exactly_where_the_loss_is_relativistic(name):
    loss = losses.by_name(name)
    fake, real = jnp.array([0.3, -1.0]), jnp.array([2.0, 0.5])
    if loss.relativistic:
        assert loss.boundary is None
        with pytest.raises(ValueError, match=r"call generator\(fake_logits, real_logits\)"):
            loss.generator(fake)
        assert not np.allclose(loss.generator(fake, real), loss.generator(fake, real + 1))
    else:
        np.testing.assert_array_equal(loss.generator(fake), loss.generator(fake, real))


def test_the_paired_relativistic_loss_compares_row_with_row():
    loss = losses.relativistic_paired()
    real, fake = jax.random.normal(jax.random.key(2), (2, 5))
    by_fake = jax.jacobian(loss.discriminator, argnums=1)(real, fake)
    assert np.count_nonzero(by_fake) == np.count_nonzero(np.diag(by_fake)) == 5
    shifted = loss.discriminator(real + 3, fake + 3)
    np.testing.assert_allclose(shifted, loss.discriminator(real, fake), rtol=1e-5)


def relativistic_average_by_hand(real, fake):
    above, below = real - fake.mean(), fake - real.mean()
    return softplus(-above) + softplus(below)


def test_the_average_relativistic_loss_by_hand(float64):
    loss = losses.relativistic_average()
    real, fake = np.random.default_rng(3).normal(size=(2, 6))
    expected = relativistic_average_by_hand(real, fake)
    np.testing.assert_allclose(loss.discriminator(real, fake), expected, rtol=1e-14)
    expected = relativistic_average_by_hand(fake, real)
    np.testing.assert_allclose(loss.generator(fake, real), expected, rtol=1e-14)


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_the_average_relativistic_loss_is_the_same_on_one_device_and_on_four(player, float64):
    axis, devices = parallel.AXIS, 4
    first, second = jax.random.normal(jax.random.key(4), (2, 8, 3, 3, 1), jnp.float64)

    def mean_loss(axis_name):
        function = getattr(losses.relativistic_average(axis_name=axis_name), player)
        return lambda *logits: jnp.mean(function(*logits))

    def gradients(first, second):
        return jax.grad(mean_loss(axis), argnums=(0, 1))(first, second)

    mesh = Mesh(np.array(jax.devices()[:devices]), (axis,))
    split = PartitionSpec(axis)
    sharded = jax.shard_map(gradients, mesh=mesh, in_specs=(split, split), out_specs=(split, split))
    expected = jax.grad(mean_loss(None), argnums=(0, 1))(first, second)
    # Each device differentiates the sum of the devices' means; their mean is the batch's.
    for got, whole in zip(jax.jit(sharded)(first, second), expected, strict=True):
        np.testing.assert_allclose(got / devices, whole, rtol=1e-12)


@pytest.mark.parametrize("loss", [losses.minimax, losses.non_saturating])
def test_one_sided_smoothing_is_cross_entropy_with_a_soft_real_label(loss, float64):
    real, fake = np.array([-3.0, 0.4, 5.0]), np.array([1.0, -2.0, 0.0])
    expected = 0.9 * softplus(-real) + 0.1 * softplus(real) + softplus(fake)
    smoothed = loss(real_label=0.9)
    np.testing.assert_allclose(smoothed.discriminator(real, fake), expected, rtol=1e-13)
    np.testing.assert_array_equal(smoothed.generator(fake), loss().generator(fake))


@pytest.mark.parametrize("label", [0.0, -0.5, 1.1, float("nan")])
def test_a_real_label_outside_zero_to_one_is_refused(label):
    with pytest.raises(ValueError, match="the label of real examples is"):
        losses.non_saturating(real_label=label)


def test_least_squares_labels_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="the labels are fake=1, real=0; expected fake < real"):
        losses.least_squares(fake=1, real=0)


@pytest.mark.parametrize(
    ("misspelt", "suggestion"),
    [
        ("hinje", "hinge"),
        ("non-saturating", "non_saturating"),
        ("f_gan_reversekl", "f_gan_reverse_kl"),
    ],
)
def test_an_unknown_name_lists_the_known_ones_and_the_closest(misspelt, suggestion):
    with pytest.raises(ValueError, match=f"did you mean '{suggestion}'") as error:
        losses.by_name(misspelt)
    assert all(name in str(error.value) for name in NAMES)


def test_options_reach_the_constructor():
    assert losses.by_name("least_squares", fake=-1.0).boundary == 0.0


# --- label flipping ------------------------------------------------------------------------------


def flipped(count, probability, shape=()):
    keys = random.row_keys(jax.random.key(5), count)
    real, fake = jnp.ones((count, *shape)), jnp.zeros((count, *shape))
    return losses.flip_labels(real, fake, keys, probability=probability)


def test_labels_flip_as_often_as_asked_and_never_lose_a_logit():
    real, fake = flipped(4000, 0.3)
    np.testing.assert_array_equal(real + fake, 1)
    assert abs(float(fake.mean()) - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5
    assert flipped(50, 0.0)[1].sum() == 0
    assert flipped(50, 1.0)[1].sum() == 50


def test_a_flip_depends_on_its_example_alone_and_takes_all_its_patches():
    few, many = flipped(8, 0.5)[1], flipped(64, 0.5, (3, 3, 1))[1]
    np.testing.assert_array_equal(few, many[:8, 0, 0, 0])
    np.testing.assert_array_equal(many, jnp.broadcast_to(many[:, :1, :1], many.shape))
    assert 0 < few.sum() < 8


def test_flips_of_other_rows_than_those_of_the_logits_are_refused():
    keys = random.row_keys(jax.random.key(5), 8)
    packs = jnp.ones(4), jnp.zeros(4)
    with pytest.raises(ValueError, match="8 keys for 4 rows of logits; expected one for each"):
        losses.flip_labels(*packs, keys, probability=0.5)
    losses.flip_labels(*packs, keys.replace(base=keys.base[::2]), probability=0.5)


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_an_impossible_flip_probability_is_refused(probability):
    with pytest.raises(ValueError, match="the probability of a flip is"):
        flipped(4, probability)
