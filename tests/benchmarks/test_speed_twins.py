"""The benchmark beside PyTorch: that both sides of every case do the same work."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import cases
from benchmarks.side_by_side import evidence
from jaxgan import nn, random

CASES = {case.name: case for case in cases.every()}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


# --- the same work --------------------------------------------------------------------------------


# Cases that differ in size alone are one when tiny.
DISTINCT = {(case.gan, case.shrunk().setting): case.name for case in CASES.values()}

# Slow to compile. All of the first two is part of the same case with R1, or with a gradient, and
# most of the last one of other cases.
SLOW = {"progressive32", "efficientnet96", "projected64-b16"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in DISTINCT.values()
    ],
)
def test_both_sides_have_the_same_losses_from_the_same_weights_and_draws(name, torch, tmp_path):
    from benchmarks.side_by_side import jaxgan_side, pytorch_side

    case = CASES[name].shrunk()
    file = tmp_path / "evidence.npz"
    evidence.save(file, jaxgan_side.record(case))
    recorded = evidence.load(file)
    found = pytorch_side.repeat(case, recorded)
    assert evidence.disagreement(recorded, found) is None
    assert len(found.losses) >= 2
    assert set(found.differences) == set(recorded.before)


def test_other_weights_are_a_disagreement(torch):
    from benchmarks.side_by_side import jaxgan_side, pytorch_side

    case = CASES["dcgan28-b64"].shrunk()
    recorded = jaxgan_side.record(case)
    dense = recorded.before["discriminator"]["Dense_0"]
    dense["kernel"] = dense["kernel"][::-1]
    sentence = evidence.disagreement(recorded, pytorch_side.repeat(case, recorded))
    assert sentence is not None
    assert "discriminator/loss of step 1 is" in sentence


def test_updates_of_another_step_size_differ_by_as_much(torch):
    from benchmarks.side_by_side import jaxgan_side, pytorch_side

    case = CASES["mixture"].shrunk()
    recorded = jaxgan_side.record(case)
    faster = dataclasses.replace(case.setting, learning_rate=1.03 * case.setting.learning_rate)
    found = pytorch_side.repeat(case._replace(setting=faster), recorded)
    assert found.differences == {
        player: pytest.approx(0.03, abs=0.005) for player in ("generator", "discriminator")
    }
    assert evidence.disagreement(recorded, found) is not None


def test_a_draw_that_only_one_side_makes_is_refused(torch):
    from benchmarks.side_by_side import jaxgan_side, pytorch_side

    case = CASES["mixture"].shrunk()
    recorded = jaxgan_side.record(case)
    more = [*recorded.draws, ("mixture", np.zeros(16))]
    with pytest.raises(ValueError, match="draws \\['mixture'\\] where PyTorch's drew nothing"):
        pytorch_side.repeat(case, recorded._replace(draws=more))
    with pytest.raises(ValueError, match="'latent' where jaxgan's drew nothing"):
        pytorch_side.repeat(case, recorded._replace(draws=recorded.draws[1:]))


def test_what_is_drawn_in_a_compiled_loop_is_recorded_in_order():
    from benchmarks.side_by_side import jaxgan_side

    keys = random.row_keys(jax.random.key(0), 2)

    def body(total, index):
        drawn = random.uniform(random.fold(keys, "mixture"), (3,)) + index
        return total + drawn.sum(), drawn

    with jaxgan_side._recorded() as draws:
        _, expected = jax.jit(lambda: jax.lax.scan(body, 0.0, jnp.zeros(2)))()
        jax.effects_barrier()
    assert [name for name, _ in draws] == ["mixture", "mixture"]
    np.testing.assert_array_equal(draws[0][1], expected[0])
    before = len(draws)
    random.uniform(keys, ())
    assert len(draws) == before


# --- layers and their weights ---------------------------------------------------------------------


def channels_first(images):
    return np.asarray(images).transpose(0, 3, 1, 2)


def both_outputs(torch, module, twin, inputs):
    """Outputs of a Flax layer with random weights, and of its twin with the same."""
    from benchmarks.pytorch import layers, weights

    params = module.init(jax.random.key(0), inputs)["params"]
    params = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(1), leaf.shape), params)
    network = layers.sequence(twin)
    name = next(iter(dict(network.named_children())))
    weights.load(network, {name: jax.tree.map(np.asarray, params)})
    given = channels_first(inputs) if inputs.ndim == 4 else np.asarray(inputs)
    with torch.no_grad():
        theirs = network(torch.from_numpy(np.ascontiguousarray(given)))
    return np.asarray(module.apply({"params": params}, inputs)), theirs.numpy()


SHAPES = [(k, s) for k in (1, 2, 3, 4, 5, 7) for s in (1, 2) if k >= s]


@pytest.mark.parametrize(("kernel", "stride"), SHAPES)
@pytest.mark.parametrize("transposed", [False, True])
def test_convolutions_are_those_of_flax(torch, transposed, kernel, stride):
    from benchmarks.pytorch import layers

    kinds = (nn.ConvTranspose, layers.ConvTranspose) if transposed else (nn.Conv, layers.Conv)
    images = jax.random.normal(jax.random.key(2), (2, 8, 6, 3))
    flax, twin = kinds
    ours, theirs = both_outputs(
        torch, flax(5, (kernel, kernel), strides=stride), twin(3, 5, kernel, stride=stride), images
    )
    np.testing.assert_allclose(channels_first(ours), theirs, rtol=1e-4, atol=1e-5)


def test_a_transposed_convolution_that_leaves_gaps_is_refused(torch):
    from benchmarks.pytorch import layers

    with pytest.raises(ValueError, match="a kernel of 1 leaves gaps between strides of 2"):
        layers.ConvTranspose(3, 5, 1, stride=2)


def test_linear_layers_keep_the_order_of_pixels(torch):
    import flax.linen as linen

    from benchmarks.pytorch import layers

    images = jax.random.normal(jax.random.key(2), (2, 4, 6, 3))
    flat = linen.Sequential([lambda x: x.reshape(2, -1), linen.Dense(5)])
    params = {"layers_1": {"kernel": jax.random.normal(jax.random.key(3), (72, 5))}}
    params["layers_1"]["bias"] = jnp.arange(5.0)
    twin = layers.sequence(layers.FromImage((3, 4, 6), 5))
    theirs = loaded(twin, params["layers_1"])(torch.from_numpy(channels_first(images).copy()))
    ours = flat.apply({"params": params}, images)
    np.testing.assert_allclose(ours, theirs.detach(), rtol=1e-5, atol=1e-5)

    latents = jax.random.normal(jax.random.key(4), (2, 5))
    dense = {"kernel": jax.random.normal(jax.random.key(5), (5, 72)), "bias": jnp.arange(72.0)}
    twin = layers.sequence(layers.ToImage(5, (3, 4, 6)))
    theirs = loaded(twin, dense)(torch.from_numpy(np.array(latents)))
    ours = linen.Dense(72).apply({"params": dense}, latents).reshape(2, 4, 6, 3)
    np.testing.assert_allclose(channels_first(ours), theirs.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [4, 8])
def test_progressive_layers_resample_by_the_nearest_and_the_mean(torch, size):
    from benchmarks.pytorch import progressive

    torch.manual_seed(0)
    images = torch.randn(2, 3, size, size)
    plain, double, halve = (
        kind(3, 5) for kind in (progressive.Conv, progressive.ConvDouble, progressive.ConvHalve)
    )
    for layer in (double, halve):
        layer.load_state_dict(plain.state_dict())
    with torch.no_grad():
        doubled = plain(images.repeat_interleave(2, 2).repeat_interleave(2, 3))
        torch.testing.assert_close(double(images), doubled, rtol=1e-4, atol=1e-5)
        halved = torch.nn.functional.avg_pool2d(plain(images), 2)
        torch.testing.assert_close(halve(images), halved, rtol=1e-4, atol=1e-5)


def test_progressive_networks_of_several_levels_are_those_of_jaxgan(torch):
    from benchmarks.pytorch import weights
    from benchmarks.side_by_side import jaxgan_side

    case = CASES["progressive32"].shrunk()
    case = case._replace(setting=dataclasses.replace(case.setting, shape=(16, 16, 3)))
    latents, grown = jax.random.normal(jax.random.key(0), (4, 3)), jnp.ones(4)
    state = jax.jit(case.build_gan().init)(jax.random.key(1))
    params = {name: jaxgan_side.lively(player.params) for name, player in state.players.items()}
    state = state.with_params(params)

    @jax.jit
    def played(state):
        images = state["generator"](latents, grown, train=False)
        return images, state["discriminator"](images, grown, train=False)

    images, logits = played(state)
    twins = case.build_twin().players
    for name, network in twins.items():
        weights.load(network, params[name])
    with torch.no_grad():
        theirs = twins["generator"](torch.from_numpy(np.array(latents)))
        verdicts = twins["discriminator"](theirs)[:, 0]
    np.testing.assert_allclose(channels_first(images), theirs, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(logits, verdicts, rtol=1e-3, atol=1e-5)


def test_the_drift_term_is_that_of_jaxgan(torch):
    from benchmarks.pytorch import progressive as twin
    from benchmarks.pytorch import training
    from jaxgan import losses
    from jaxgan.models import progressive

    real, fake = [3.0, -1.0], [0.5, 2.0]
    critic = progressive.drifting(losses.wasserstein(), 0.1).discriminator
    ours = critic(jnp.array(real), jnp.array(fake)).mean()
    loss = twin.drifting(training.wasserstein(), 0.1)
    theirs = loss.discriminator(torch.tensor(real), torch.tensor(fake))
    assert theirs.item() == pytest.approx(float(ours), rel=1e-6)


def loaded(network, leaves):
    from benchmarks.pytorch import weights

    weights.load(network, {"Dense_0": jax.tree.map(np.asarray, leaves)})
    return network


def test_weights_of_other_layers_or_shapes_are_refused(torch):
    from benchmarks.pytorch import layers

    network = layers.sequence(torch.nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"has the layers Dense_0, .* network Conv_0"):
        from benchmarks.pytorch import weights

        weights.load(network, {"Conv_0": {"kernel": np.zeros((1, 1, 3, 2))}})
    with pytest.raises(ValueError, match="layer Dense_0 has"):
        loaded(network, {"kernel": np.zeros((3, 4)), "bias": np.zeros(4)})
