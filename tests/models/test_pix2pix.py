"""Pix2Pix: the networks of the paper, what the players minimize, and how samples are drawn."""

from __future__ import annotations

import itertools
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import losses, nn, random
from jaxgan.models import pix2pix
from jaxgan.nn import patch_discriminator
from tests.building import built


def parameters(module: linen.Module, *inputs) -> dict:
    """The module's parameters, as shapes."""
    init = partial(module.init, train=True)
    return jax.eval_shape(init, jax.random.key(0), *inputs)["params"]


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def noise(*shape: int, seed: int = 0) -> jax.Array:
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, shape).astype(np.float32))


def build(**changes):
    optimizers = {name: optax.sgd(0.01) for name in ("generator", "discriminator")}
    options = {
        "shape_a": (8, 8, 2),
        "shape_b": (8, 8, 1),
        "width": 2,
        "discriminator_width": 2,
        "patch_size": 16,
    }
    return built(pix2pix.build, **{**options, "optimizers": optimizers, **changes})


def pairs(rows: int = 3) -> dict[str, jax.Array]:
    return {"a": noise(rows, 8, 8, 2), "b": noise(rows, 8, 8, 1, seed=1)}


# --- the U-Net ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "halvings"),
    [((256, 256), 8), ((512, 512), 8), ((64, 64), 6), ((64, 96), 6), ((28, 28), 5), ((4, 9), 2)],
)
def test_an_image_halves_until_a_side_is_one_pixel(size, halvings):
    assert pix2pix.depth(size) == halvings


def test_the_unet_of_the_paper_has_its_parameters():
    found = parameters(pix2pix.UNet(3, 8), jnp.zeros((1, 256, 256, 3)))
    encoder = [found[f"Conv_{level}"]["kernel"].shape for level in range(8)]
    widths = [3, 64, 128, 256, 512, 512, 512, 512, 512]
    assert encoder == [(4, 4, *pair) for pair in itertools.pairwise(widths)]
    decoder = [found[f"ConvTranspose_{layer}"]["kernel"].shape for layer in range(8)]
    inputs = [512, 1024, 1024, 1024, 1024, 512, 256, 128]
    outputs = [512, 512, 512, 512, 256, 128, 64, 3]
    assert decoder == [(4, 4, *pair) for pair in zip(inputs, outputs, strict=True)]
    # The 54.4 million of the authors' network.
    assert round(count(found) / 1e6, 1) == 54.4


def test_neither_the_first_layer_nor_the_bottleneck_nor_the_output_is_normalized():
    found = parameters(pix2pix.UNet(3, 6), jnp.zeros((1, 64, 64, 3)))
    norms = [found[f"BatchNorm_{index}"]["scale"].shape for index in range(9)]
    assert norms == [(n,) for n in (128, 256, 512, 512, 512, 512, 256, 128, 64)]
    assert "BatchNorm_9" not in found
    assert {name for name in found if "bias" in found[name] and "Norm" not in name} == {
        "Conv_0",
        "Conv_5",
        "ConvTranspose_5",
    }


def test_dropout_is_on_the_first_three_decoder_layers():
    shapes = []

    def watch(call, args, kwargs, context):
        if isinstance(context.module, nn.Dropout):
            shapes.append(args[0].shape)
            assert args[1] is not None
        return call(*args, **kwargs)

    network, x = pix2pix.UNet(1, 5, 1), jnp.zeros((1, 32, 32, 1))
    keys = random.row_keys(jax.random.key(0), 1)
    with linen.intercept_methods(watch):
        jax.eval_shape(partial(network.init, keys=keys, train=True), jax.random.key(0), x)
    assert shapes == [(1, 2, 2, 8), (1, 4, 4, 4), (1, 8, 8, 2)]


@pytest.mark.parametrize("size", [(28, 28), (30, 22), (64, 48), (7, 5)])
def test_the_output_has_the_size_of_the_input(size):
    network, x = pix2pix.UNet(3, pix2pix.depth(size), 2), jnp.zeros((2, *size, 1))
    images, _ = jax.eval_shape(partial(network.init_with_output, train=True), jax.random.key(0), x)
    assert images.shape == (2, *size, 3)


def test_one_image_alone_passes_the_bottleneck():
    network, x = pix2pix.UNet(1, 3, 4), noise(1, 8, 8, 1)

    @jax.jit
    def gradient(key):
        variables = network.init(key, x, train=True)

        def loss(params):
            state = {**variables, "params": params}
            return jnp.sum(network.apply(state, x, train=True, mutable=["batch_stats"])[0] ** 2)

        return jax.grad(loss)(variables["params"])["Conv_2"]["kernel"]

    assert np.any(gradient(jax.random.key(0)))


def test_images_too_small_to_halve_are_refused():
    with pytest.raises(ValueError, match="images of 3x8 pixels are too small; expected 4 or more"):
        pix2pix.depth((3, 8))


# --- the discriminator of patches -----------------------------------------------------------------


@pytest.mark.parametrize(("size", "side"), [(1, 9), (16, 33), (34, 64), (70, 96)])
def test_a_logit_sees_one_patch_and_no_more(size, side):
    network, x = patch_discriminator.PatchDiscriminator(size, 1, "none"), noise(1, side, side, 1)
    rows, columns = patch_discriminator.verdicts(size, (side, side))

    @jax.jit
    def seen(key):
        variables = network.init(key, x)
        return jax.grad(lambda x: network.apply(variables, x)[0, rows // 2, columns // 2, 0])(x)

    touched = np.asarray(seen(jax.random.key(0)))[0, :, :, 0] != 0
    for axis in (0, 1):
        reach = np.flatnonzero(touched.any(axis=axis))
        assert reach[-1] - reach[0] + 1 == size


@pytest.mark.parametrize("size", patch_discriminator.STAGES)
@pytest.mark.parametrize("image", [(130, 97), (101, 128)])
def test_every_patch_has_a_logit(size, image):
    network = patch_discriminator.PatchDiscriminator(size, 1, "none")
    logits, _ = jax.eval_shape(
        network.init_with_output, jax.random.key(0), jnp.zeros((2, *image, 1))
    )
    assert logits.shape == (2, *patch_discriminator.verdicts(size, image), 1)


def test_the_discriminator_of_the_paper_has_its_parameters():
    x = jnp.zeros((1, 64, 64, 3))
    found = parameters(patch_discriminator.PatchDiscriminator(70), x, x)
    widths = [6, 64, 128, 256, 512, 1]
    assert [found[f"Conv_{layer}"]["kernel"].shape for layer in range(5)] == [
        (4, 4, *pair) for pair in itertools.pairwise(widths)
    ]
    assert [found[f"BatchNorm_{index}"]["scale"].shape for index in range(3)] == [
        (128,),
        (256,),
        (512,),
    ]
    assert round(count(found) / 1e6, 3) == 2.769


def test_the_discriminator_of_pixels_has_one_by_one_convolutions():
    found = parameters(patch_discriminator.PatchDiscriminator(1), jnp.zeros((1, 8, 8, 3)))
    kernels = [found[f"Conv_{layer}"]["kernel"].shape for layer in range(3)]
    assert kernels == [(1, 1, 3, 64), (1, 1, 64, 128), (1, 1, 128, 1)]
    assert "BatchNorm_1" not in found


def test_patches_that_do_not_exist_or_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="patches are 64 pixels; expected one of 1, 16, 34, 70"):
        patch_discriminator.verdicts(64, (64, 64))
    with pytest.raises(ValueError, match=r"16x20 pixels are too small .* fits is 34"):
        patch_discriminator.verdicts(70, (16, 20))


# --- the game -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def game():
    gan = build()
    state = gan.init(jax.random.key(0))
    return gan, state


def test_the_losses_are_halved_for_the_discriminator_and_weighted_for_the_generator(game):
    gan, state = game
    batch = pairs()
    _, metrics = jax.jit(gan.step)(state, batch)
    found = {name: float(mean.value) for name, mean in metrics.items()}
    loss = losses.non_saturating()

    # The fakes of the round, from the keys that the first step of `alternate` uses.
    keys = random.fold(random.example_keys(state.rng, 0, jnp.arange(3)), "discriminator")

    @jax.jit
    def expected(state):
        fake, _ = pix2pix.outputs(state, batch, keys)
        judge = partial(state["discriminator"], train=True)
        real_logits, fake_logits = judge(batch["b"], batch["a"]), judge(fake, batch["a"])
        verdict = jnp.mean(loss.discriminator(real_logits, fake_logits))
        return verdict, jnp.mean(jnp.abs(fake - batch["b"]))

    verdict, error = expected(state)
    assert found["discriminator/loss"] == pytest.approx(float(verdict) / 2, rel=1e-5)
    assert found["generator/content"] == pytest.approx(100 * float(error), rel=1e-5)
    adversarial = found["generator/loss"] - found["generator/content"]
    assert adversarial == pytest.approx(np.log(2), abs=0.1)


def test_without_the_adversarial_weight_only_the_error_counts():
    gan = build(adversarial=0.0, l1=1.0)
    _, metrics = jax.jit(gan.step)(gan.init(jax.random.key(0)), pairs())
    assert metrics["generator/loss"].value == metrics["generator/content"].value


def test_samples_are_drawn_as_in_training(game):
    gan, state = game
    a, sample = pairs()["a"], jax.jit(gan.sample)
    keys = random.row_keys(jax.random.key(1), 3)
    images = sample(state, keys, a=a)
    assert images.shape == (3, 8, 8, 1)
    assert not np.allclose(images, sample(state, random.row_keys(jax.random.key(2), 3), a=a))
    # The statistics are those of the images given: running ones play no part.
    statistics = jax.tree.map(lambda leaf: leaf + 5, state["generator"].variables)
    moved = state.with_variables({"generator": statistics})
    np.testing.assert_array_equal(images, sample(moved, keys, a=a))


def test_without_images_gray_ones_are_translated(game):
    gan, state = game
    keys = random.row_keys(jax.random.key(1), 2)
    sample = jax.jit(gan.sample)
    gray = sample(state, keys, a=jnp.zeros((2, 8, 8, 2)))
    np.testing.assert_array_equal(sample(state, keys), gray)
    with pytest.raises(ValueError, match="takes no condition 'label'; it takes a"):
        gan.sample(state, keys, label=0)


def test_a_model_built_for_shards_samples_outside_of_them():
    gan = build(axis_name="data")
    state = jax.eval_shape(gan.init, jax.random.key(0))
    keys = random.row_keys(jax.random.key(1), 2)
    assert jax.eval_shape(gan.sample, state, keys).shape == (2, 8, 8, 1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="are 8x8 and 8x16; the generator keeps the size"):
        build(shape_b=(8, 16, 1))
    with pytest.raises(ValueError, match=r"8x8 pixels are too small .* fits is 16"):
        build(patch_size=70)
    with pytest.raises(ValueError, match="the normalization is 'layer'"):
        build(norm="layer")
