"""What metrics look through, and under which names."""

from __future__ import annotations

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jaxgan import data
from jaxgan.metrics import features, garments, imagenet, inception, streaming
from jaxgan.nn import efficientnet


@pytest.fixture(scope="module")
def images():
    return data.load("fashion").held_out.float_images()[:30]


def test_the_proxy_sees_what_the_judge_sees_and_says_so(images):
    proxy = features.proxy()
    seen, probabilities = proxy.see(data.to_uint8(images))
    expected = garments.judge(images)
    np.testing.assert_array_equal(seen, expected[1])
    np.testing.assert_array_equal(probabilities, expected[0])
    assert proxy.named("fid") == "proxy_fid"
    assert len(proxy.settings["sha256 of its weights"]) == 64


def test_both_sides_are_seen_in_256_levels(images):
    proxy = features.proxy()
    for given in (images, images + 0.4 / 127.5, data.to_uint8(images)):
        (piece,) = features.pieces([given], proxy, ["images", "features"])
        np.testing.assert_array_equal(piece["images"], data.to_uint8(images))
        np.testing.assert_array_equal(piece["features"], garments.judge(images)[1])


def test_the_network_rests_where_images_are_enough(images):
    def see(pixels):
        raise AssertionError("the network was run")

    resting = features.Extractor("own", see, {})
    (piece,) = features.pieces([images], resting, ["images"])
    assert set(piece) == {"images"}


def test_a_function_of_the_users_bears_its_name_and_has_no_probabilities(images):
    own = features.of_function(lambda x: x.mean(axis=(1, 2)), name="brightness")
    (piece,) = features.pieces([images], own, ["features"])
    np.testing.assert_allclose(piece["features"], images.mean(axis=(1, 2)), atol=1e-5)
    assert own.named("fid") == "brightness_fid"
    with pytest.raises(ValueError, match="'brightness' give no class probabilities"):
        list(features.pieces([images], own, ["probabilities"]))
    with pytest.raises(ValueError, match="have no name"):
        features.of_function(np.asarray, name="")


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """A file of weights, and the network in whose place its one number stands."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.numpy.save({"gain": np.full(1, 3.0, np.float32)}))
    monkeypatch.setattr(inception, "variables", lambda given, source: given)

    def see(variables, pixels, mesh):
        assert pixels.shape[1:] == (28, 28, 3)
        return variables["gain"] * pixels.mean(axis=(1, 2)), np.ones((len(pixels), 1))

    monkeypatch.setattr(inception, "see", see)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_the_weights_of_2015_bear_the_plain_names(brought, images, monkeypatch):
    path, digest = brought
    other = features.of_inception(path, sha256=digest[:8])
    assert other.named("fid") == "unverified_fid"
    assert other.settings["sha256 of its weights"] == digest
    monkeypatch.setattr(inception, "SHA256", digest)
    known = features.of_inception(path, sha256=digest)
    assert known.named("fid") == "fid"
    seen, _ = known.see(data.to_uint8(images))  # gray images are seen in color
    expected = 3 * data.to_uint8(images).mean(axis=(1, 2)).repeat(3, axis=1)
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


def test_weights_that_are_not_those_meant_are_refused(brought):
    with pytest.raises(ValueError, match="does not begin with 6726825d"):
        features.of_inception(brought[0], sha256="6726825d")


# --- EfficientNet-Lite0 ---------------------------------------------------------------------------


@pytest.fixture
def lite0(monkeypatch):
    """The extra as if installed, of random weights, one stage and a small size."""
    short = efficientnet.LITE0._replace(stages=efficientnet.LITE0.stages[:1])
    monkeypatch.setitem(efficientnet.VARIANTS, "lite0", short)
    network, image = efficientnet.EfficientNetLite(short.stages), jnp.zeros((1, 32, 32, 3))
    draws, template = (
        np.random.default_rng(0),
        jax.eval_shape(network.init, jax.random.key(0), image),
    )

    def drawn(leaf):
        spread = np.sqrt(2 / np.prod(leaf.shape[:-1])) if len(leaf.shape) > 1 else 0.1
        center = 0.0 if len(leaf.shape) > 1 else 1.0
        return draws.normal(center, spread, leaf.shape).astype(np.float32)

    variables = jax.tree.map(drawn, template)
    monkeypatch.setattr(efficientnet, "packaged", lambda folder, variant: variables)
    monkeypatch.setattr(imagenet, "SIDE", 32)
    monkeypatch.setattr(imagenet, "_BATCH", 3)
    return lambda images: jax.jit(network.apply)(variables, images)


def test_lite0_sees_pictures_of_any_size_scaled_and_in_color(lite0):
    extractor = features.of_efficientnet()
    assert extractor is not None and extractor.channels is None
    assert extractor.settings["sha256 of its weights"] == efficientnet.LITE0.sha256
    assert extractor.settings["size"].startswith("32x32 ")
    pixels = np.random.default_rng(1).integers(0, 256, (4, 16, 32, 1)).astype(np.uint8)
    seen, probabilities = extractor.see(pixels)
    # Between two rows that lie a quarter from either, and the first and last beyond all.
    rows = data.to_float(pixels).repeat(2, axis=1)
    expected = rows.copy()
    expected[:, 1:-1:2] = 0.75 * rows[:, 1:-1:2] + 0.25 * rows[:, 2::2]
    expected[:, 2::2] = 0.75 * rows[:, 2::2] + 0.25 * rows[:, 1:-1:2]
    found = lite0(expected.repeat(3, axis=3))
    np.testing.assert_allclose(seen, found.pooled, rtol=1e-3, atol=1e-4)
    assert seen.shape == (4, 1280)
    np.testing.assert_allclose(probabilities, jax.nn.softmax(found.logits), atol=1e-5)


def test_numbers_of_lite0_bear_its_name_and_never_inceptions(lite0):
    extractor = features.of_efficientnet()
    names = ["fid", "kid", "kid_deviation", "coverage", "inception_score"]
    assert extractor is not None
    assert [extractor.named(name) for name in names] == [
        "efficientnet_lite0_frechet",
        "efficientnet_lite0_kernel",
        "efficientnet_lite0_kernel_deviation",
        "efficientnet_lite0_coverage",
        "efficientnet_lite0_class_score",
    ]


def test_without_the_extra_there_is_no_lite0(monkeypatch):
    monkeypatch.setattr(efficientnet, "packaged", lambda **options: None)
    assert features.of_efficientnet() is None
    with pytest.raises(ValueError, match=r"EfficientNet-Lite1 is not installed: pip install"):
        features.of_efficientnet("lite1")


def test_lite0_of_a_file_is_the_one_that_is_meant(tmp_path):
    path = tmp_path / "lite0-12345678.safetensors"
    path.write_bytes(safetensors.numpy.save({"_fc.bias": np.zeros(3, np.float32)}))
    with pytest.raises(ValueError, match="does not begin with 12345678"):
        features.of_efficientnet(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=r"they are not EfficientNet-Lite0's"):
        features.of_efficientnet(path, sha256=digest)


def test_a_file_is_of_the_network_with_as_many_blocks(tmp_path):
    for name, title in (("lite0", "Lite0"), ("lite1", "Lite1")):
        blocks = range(efficientnet.VARIANTS[name].blocks)
        tensors = {f"_blocks.{block}._bn1.bias": np.zeros(3, np.float32) for block in blocks}
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(safetensors.numpy.save(tensors))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with pytest.raises(ValueError, match=f"they are not EfficientNet-{title}'s"):
            features.of_efficientnet(path, sha256=digest)


@pytest.mark.parametrize("count", [1, 3, 7])
def test_batches_of_one_size_show_every_image_once(count):
    pixels = np.random.default_rng(0).integers(0, 256, (count, 2, 2, 3)).astype(np.uint8)
    sizes = []

    def see(batch):
        sizes.append(len(batch))
        return batch.sum(axis=(1, 2, 3)), batch[:, 0, 0]

    sums, corners = streaming.in_batches(see, pixels, size=3)
    np.testing.assert_array_equal(sums, pixels.sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(corners, pixels[:, 0, 0])
    assert sizes == [3] * -(-count // 3)
