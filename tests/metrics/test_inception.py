"""Inception-v3 of FID: its shapes, its resize, its weights, and torch-fidelity's own network."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jaxgan.metrics import inception

WIDTHS = {"64": 64, "192": 192, "768": 768, "2048": 2048, "logits": 1008, "logits_unbiased": 1008}


@pytest.fixture(scope="module")
def given():
    """Random weights under torch's names, scaled so that every layer keeps its input's size."""
    draws = np.random.default_rng(0)
    image = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    template = jax.eval_shape(inception.Inception().init, jax.random.key(0), image)
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(template)[0]:
        *modules, kind = (str(entry.key) for entry in path[1:])
        name, shape = ".".join(modules), leaf.shape
        if kind == "kernel":
            fan_in = np.prod(shape[:-1])
            torch_shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape[::-1]
            found[f"{name}.weight"] = draws.normal(size=torch_shape) * np.sqrt(2 / fan_in)
        elif kind == "scale":
            found[f"{name}.weight"] = draws.uniform(0.8, 1.2, shape)
        elif kind == "var":
            found[f"{name}.running_var"] = draws.uniform(0.5, 1.5, shape)
        else:
            suffix = "bias" if kind == "bias" else "running_mean"
            found[f"{name}.{suffix}"] = draws.normal(size=shape) * 0.1
    return {name: value.astype(np.float32) for name, value in found.items()}


@pytest.mark.slow
def test_every_tap_has_its_width_and_the_parameters_their_number(given):
    image = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    variables = inception.variables(given)
    taps = jax.eval_shape(inception.Inception().apply, variables, image)
    assert {name: tap.shape for name, tap in taps.items()} == {
        name: (2, width) for name, width in WIDTHS.items()
    }
    sizes = [leaf.size for leaf in jax.tree.leaves(variables["params"])]
    # Below the last layer they are as many as torchvision's.
    assert sum(sizes) == 21_785_568 + 2049 * 1008


def test_the_resize_is_tensorflows_by_hand():
    ramp = jnp.asarray(np.array([0.0, 10.0, 20.0, 40.0]).reshape(1, 1, 4, 1))
    wider = inception.resized(jnp.broadcast_to(ramp, (1, 2, 4, 1)), side=8)
    assert wider.shape == (1, 8, 8, 1)
    # Output i lies at i / 2: no half pixel's shift, and the last one meets the edge.
    np.testing.assert_allclose(wider[0, 3, :, 0], [0, 5, 10, 15, 20, 30, 40, 40])
    narrower = inception.resized(jnp.broadcast_to(ramp, (1, 2, 4, 1)), side=2)
    np.testing.assert_allclose(narrower[0, :, :, 0], [[0, 20], [0, 20]])
    image = jnp.asarray(np.random.default_rng(0).normal(size=(1, 5, 7, 3)), jnp.float32)
    assert inception.resized(image, side=7).shape == (1, 7, 7, 3)
    np.testing.assert_array_equal(inception.resized(image[:, :, :5], side=5), image[:, :, :5])


def test_weights_are_taken_by_name_from_a_file_and_turned(given, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(safetensors.numpy.save(given))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    variables = inception.load(path, sha256=digest)
    kernel = variables["params"]["Mixed_6b"]["branch7x7_2"]["conv"]["kernel"]
    weight = given["Mixed_6b.branch7x7_2.conv.weight"]
    assert kernel.shape == (1, 7, 128, 128)
    assert kernel[0, 5, 3, 2] == weight[2, 3, 0, 5]
    np.testing.assert_array_equal(
        variables["batch_stats"]["Mixed_7c"]["branch_pool"]["bn"]["var"],
        given["Mixed_7c.branch_pool.bn.running_var"],
    )
    np.testing.assert_array_equal(variables["params"]["fc"]["kernel"], given["fc.weight"].T)


def test_weights_of_another_network_are_refused(given):
    with pytest.raises(ValueError, match=r"no 'Conv2d_1a_3x3.bn.bias'; they are not FID's"):
        inception.variables({k: v for k, v in given.items() if k != "Conv2d_1a_3x3.bn.bias"})
    with pytest.raises(ValueError, match=r"fc.weight has the shape \(1000, 2048\)"):
        inception.variables({**given, "fc.weight": given["fc.weight"][:1000]})


@pytest.fixture
def reference(monkeypatch):
    """torch-fidelity's module of the network, without the rest of its package, which also imports
    torchvision: a build of it for another torch fails.
    """
    pytest.importorskip("torch", reason="the reference network needs torch")
    found = importlib.util.find_spec("torch_fidelity")
    if found is None:
        pytest.skip("torch-fidelity is not installed")
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(found.submodule_search_locations or ())
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    yield importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    for name in [name for name in sys.modules if name.startswith("torch_fidelity.")]:
        del sys.modules[name]


@pytest.mark.reference
def test_every_tap_agrees_with_torch_fidelitys_network_on_random_weights(
    given, reference, tmp_path
):
    import torch

    path = tmp_path / "weights.pth"
    torch.save({name: torch.from_numpy(value) for name, value in given.items()}, path)
    taps = list(WIDTHS)
    network = reference.FeatureExtractorInceptionV3("f", taps, feature_extractor_weights_path=path)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 48, 33, 3)).astype(np.uint8)
    expected = network(torch.from_numpy(pixels.transpose(0, 3, 1, 2)))

    variables = inception.load(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    apply = jax.jit(lambda x: inception.Inception().apply(variables, inception.resized(x)))
    found = apply(jnp.asarray(pixels))
    for name, tap in zip(taps, expected, strict=True):
        scale = float(tap.abs().max())
        np.testing.assert_allclose(found[name], tap.numpy(), atol=1e-5 * scale, err_msg=name)
    features, probabilities = inception.see(variables, pixels)
    np.testing.assert_allclose(features, found["2048"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
