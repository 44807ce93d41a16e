"""Weights that the user brings: known by their sha256, read without running what is in them."""

from __future__ import annotations

import collections
import hashlib
import io
import os
import pickle
import struct
import zipfile

import jax
import numpy as np
import pytest
import safetensors.numpy
import scipy.signal

from jaxgan.nn import pretrained_weights, vgg

TENSORS = {
    "features.0.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "features.0.bias": np.array([0.5, -2.0], np.float64),
    "steps": np.array(7, np.int64),
}
TINY = vgg.VGG19(widths=(2, 3), depths=(1, 2))


# --- files as torch.save writes them --------------------------------------------------------------


class Global:
    """Pickles as a reference to a name of a module, without importing it."""

    def __init__(self, module: str, name: str) -> None:
        self.line = f"c{module}\n{name}\n".encode()


class Call:
    """Pickles as a call of a name with arguments."""

    def __init__(self, function: Global, *arguments) -> None:
        self.function, self.arguments = function, arguments


class Storage:
    """Pickles as a persistent reference to numbers."""

    def __init__(self, *pid) -> None:
        self.pid = pid


class Pickler(pickle._Pickler):  # in Python: its save can be extended
    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(obj.line)
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        elif isinstance(obj, Storage):
            self.save(obj.pid)
            self.write(pickle.BINPERSID)
        else:
            super().save(obj, save_persistent_id)


def pickled(value) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def state_dict(tensors) -> collections.OrderedDict:
    kinds = {"float32": "FloatStorage", "float64": "DoubleStorage", "int64": "LongStorage"}

    def entry(key: str, values: np.ndarray) -> Call:
        kind = Global("torch", kinds[values.dtype.name])
        storage = Storage("storage", kind, key, "cpu", values.size)
        strides = tuple(stride // values.itemsize for stride in values.strides)
        hooks = Call(Global("collections", "OrderedDict"))
        build = Global("torch._utils", "_rebuild_tensor_v2")
        return Call(build, storage, 0, values.shape, strides, False, hooks)

    return collections.OrderedDict(
        (name, entry(str(key), values)) for key, (name, values) in enumerate(tensors.items())
    )


def zipped(value, tensors) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("model/data.pkl", pickled(value))
        archive.writestr("model/byteorder", "little")
        for key, values in enumerate(tensors.values()):
            archive.writestr(f"model/data/{key}", values.tobytes())
    return stream.getvalue()


def zipped_by_columns(tensors) -> bytes:
    """Each tensor's numbers as they lie in memory, with the strides that say so."""
    flat = {name: values.ravel(order="K") for name, values in tensors.items()}
    return zipped(state_dict(tensors), flat)


def old(value, tensors) -> bytes:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, value]
    parts = [pickled(part) for part in [*head, [str(key) for key in range(len(tensors))]]]
    for values in tensors.values():
        parts += [struct.pack("<q", values.size), values.tobytes()]
    return b"".join(parts)


def written(path, content: bytes):
    """The file, whose name says the start of its sha256."""
    digest = hashlib.sha256(content).hexdigest()
    named = path.with_name(f"{path.stem}-{digest[:8]}{path.suffix}")
    named.write_bytes(content)
    return named


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["zip", "old", "safetensors"])
def test_tensors_are_read_from_every_kind_of_file(form, tmp_path):
    if form == "safetensors":
        content, suffix = safetensors.numpy.save(TENSORS), ".safetensors"
    else:
        content, suffix = {"zip": zipped, "old": old}[form](state_dict(TENSORS), TENSORS), ".pth"
    found = pretrained_weights.load(written(tmp_path / f"model{suffix}", content))
    assert found.keys() == TENSORS.keys()
    for name, expected in TENSORS.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype


@pytest.mark.parametrize("form", [zipped, old])
@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load")]
)
def test_a_file_that_calls_anything_else_is_refused_and_runs_nothing(form, module, name, tmp_path):
    mark = tmp_path / "mark"
    call = Call(Global(module, name), f"touch {mark}")
    path = written(tmp_path / "model.pth", form({**state_dict(TENSORS), "evil": call}, TENSORS))
    with pytest.raises(ValueError, match=f"refused: they ask for {module}.{name}, which no tensor"):
        pretrained_weights.load(path)
    assert not mark.exists()


def test_a_tensor_beyond_its_numbers_is_refused(tmp_path):
    short = {**TENSORS, "features.0.weight": TENSORS["features.0.weight"][:1]}
    path = written(tmp_path / "model.pth", zipped(state_dict(TENSORS), short))
    with pytest.raises(ValueError, match=r"features.0.weight reaches beyond its numbers"):
        pretrained_weights.load(path)


@pytest.mark.parametrize("shape", [(40_000, 40_000), (25,)])
def test_a_tensor_of_more_numbers_than_are_stored_is_refused_before_it_is_made(shape, tmp_path):
    one = np.broadcast_to(np.float32(1), shape)  # strides of 0
    value = state_dict({"features.0.weight": one})
    path = written(tmp_path / "model.pth", zipped(value, {"0": np.ones(24, np.float32)}))
    with pytest.raises(ValueError, match=r"features.0.weight asks for more numbers than the file"):
        pretrained_weights.load(path)


def test_a_pipe_is_no_file_of_weights(tmp_path):
    os.mkfifo(tmp_path / "model.pth")
    with pytest.raises(ValueError, match="cannot be read: it is not a regular file"):
        pretrained_weights.load(tmp_path / "model.pth")


def test_a_file_must_be_the_one_that_is_meant(tmp_path):
    content = safetensors.numpy.save(TENSORS)
    digest = hashlib.sha256(content).hexdigest()
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"the file's is {digest}"):
        pretrained_weights.load(path)
    assert pretrained_weights.load(path, sha256=digest[:12].upper()).keys() == TENSORS.keys()
    with pytest.raises(ValueError, match="does not begin with 0123456789; they are damaged"):
        pretrained_weights.load(path, sha256="0123456789")
    with pytest.raises(ValueError, match="the sha256 is 'abc'; expected 8 to 64 hex digits"):
        pretrained_weights.load(path, sha256="abc")
    path.rename(tmp_path / "model-deadbeef.safetensors")
    with pytest.raises(ValueError, match="does not begin with deadbeef"):
        pretrained_weights.load(tmp_path / "model-deadbeef.safetensors")


def test_a_copy_is_kept_and_made_anew_where_it_is_damaged(tmp_path):
    # Columns first, as what was converted from TensorFlow may lie.
    tensors = {**TENSORS, "turned": np.arange(6, dtype=np.float32).reshape(3, 2).T}
    content, folder = zipped_by_columns(tensors), tmp_path / "cache" / "weights"
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()

    def assert_read(**options):
        found = pretrained_weights.kept(path, sha256=digest, **options)
        assert found.keys() == tensors.keys()
        for name, expected in tensors.items():
            np.testing.assert_array_equal(found[name], expected)
            assert found[name].shape == expected.shape

    assert_read()
    assert_read(folder=folder)
    (copy,) = folder.iterdir()
    assert copy.name.startswith(f"{digest}-") and copy.suffix == ".safetensors"
    kept = copy.read_bytes()
    copy.write_bytes(kept[:-1])
    assert_read(folder=folder)
    assert copy.read_bytes() == kept and list(folder.iterdir()) == [copy]
    with pytest.raises(ValueError, match="does not begin with 0123456789"):
        pretrained_weights.kept(path, sha256="0123456789", folder=folder)
    path.write_bytes(b"")
    assert_read(folder=folder)  # of the copy alone
    copy.unlink()
    folder.rmdir()
    path.write_bytes(content)
    folder.write_bytes(b"no folder")
    assert_read(folder=folder)


def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        pretrained_weights.load(tmp_path / "none.pth")
    cut = zipped(state_dict(TENSORS), TENSORS)[:100]
    with pytest.raises(ValueError, match=r"are no .pth file that can be read"):
        pretrained_weights.load(written(tmp_path / "cut.pth", cut))
    with pytest.raises(ValueError, match="refused: they are no dictionary of tensors by name"):
        pretrained_weights.load(written(tmp_path / "list.pth", zipped([1, 2], {})))


@pytest.mark.parametrize("zip_format", [True, False])
def test_what_torch_itself_writes_is_read(zip_format, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    layer = torch.nn.Conv2d(2, 3, 3)
    tensors = {**layer.state_dict(), "turned": torch.arange(6.0).reshape(2, 3).T}
    path = tmp_path / "model.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=zip_format)
    found = pretrained_weights.load(written(path, path.read_bytes()))
    for name, expected in tensors.items():
        np.testing.assert_array_equal(found[name], expected.detach().numpy())


# --- VGG19 ----------------------------------------------------------------------------------------


def tiny_weights() -> dict[str, np.ndarray]:
    """Under torchvision's names: a convolution, its ReLU, a pooling, and two convolutions more."""
    draws, found = np.random.default_rng(0), {"classifier.0.weight": np.zeros((1, 1), np.float32)}
    for place, (inputs, outputs) in {0: (3, 2), 3: (2, 3), 5: (3, 3)}.items():
        found[f"features.{place}.weight"] = draws.normal(size=(outputs, inputs, 3, 3)) / 3
        found[f"features.{place}.bias"] = draws.normal(size=outputs)
    return {name: values.astype(np.float32) for name, values in found.items()}


def by_hand(given: dict[str, np.ndarray], image: np.ndarray) -> np.ndarray:
    """The maps of the tiny network for one image [H, W, 3], channels first."""
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = np.moveaxis(((image + 1) / 2 - mean) / deviation, -1, 0)
    for place in (0, 3, 5):
        if place == 3:
            x = x.reshape(x.shape[0], x.shape[1] // 2, 2, -1, 2).max(axis=(2, 4))
        kernel, bias = given[f"features.{place}.weight"], given[f"features.{place}.bias"]
        x = np.stack(
            [
                b + sum(scipy.signal.correlate(c, k, "same") for c, k in zip(x, taps, strict=True))
                for taps, b in zip(kernel, bias, strict=True)
            ]
        )
        x = np.maximum(x, 0)
    return x / 12.75


@pytest.mark.parametrize("channels", [1, 3])
def test_the_maps_are_those_of_the_weights_after_the_relu_and_before_the_pooling(
    channels, tmp_path
):
    given = tiny_weights()
    path = written(tmp_path / "tiny.safetensors", safetensors.numpy.save(given))
    player = vgg.player(path, network=TINY)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 8, 6, channels)).astype(np.float32)
    found = np.asarray(jax.jit(player.__call__)(image))
    expected = by_hand(given, np.broadcast_to(image[0], (8, 6, 3)))
    assert found.shape == (1, 4, 3, 3) and found.min() == 0 < found.max()
    np.testing.assert_allclose(found[0], np.moveaxis(expected, 0, -1), atol=1e-5)


def test_a_network_whose_weights_come_later_has_their_shapes(tmp_path):
    path = written(tmp_path / "tiny.safetensors", safetensors.numpy.save(tiny_weights()))
    shapes = [
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), player.params)
        for player in (vgg.player(path, network=TINY), vgg.blank(TINY))
    ]
    assert shapes[0] == shapes[1]


def test_the_network_of_the_paper_has_sixteen_convolutions_at_torchvisions_places():
    network = vgg.VGG19()
    found = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    assert len(found["params"]) == 16
    assert sum(leaf.size for leaf in jax.tree.leaves(found)) == 20_024_384
    assert vgg._places(network) == [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]


def test_other_networks_weights_are_refused(tmp_path):
    given = tiny_weights()
    lacking = {name: values for name, values in given.items() if name != "features.3.bias"}
    path = written(tmp_path / "lacking.safetensors", safetensors.numpy.save(lacking))
    with pytest.raises(ValueError, match=r"no 'features.3.bias'; expected torchvision's VGG19"):
        vgg.player(path, network=TINY)
    path = written(tmp_path / "tiny.safetensors", safetensors.numpy.save(given))
    with pytest.raises(
        ValueError, match=r"kernel of features.0 has shape \(3, 3, 3, 2\); expected"
    ):
        vgg.player(path)
