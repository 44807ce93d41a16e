"""What metrics look through, and under which names."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import safetensors.numpy

from jaxgan import data
from jaxgan.metrics import features, garments, inception


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

    def see(variables, pixels):
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
