"""Pretrained weights: tensors by name, from a file whose sha256 is known.

Two formats are read: `.safetensors`, and state dicts written by `torch.save`, in its zip format or
the older one. The latter are pickles, which can run any code. Here they are read by an unpickler
that knows the few names a state dict needs and refuses all others. A file can also be part of a
distribution that pip installed. Its code is not run either.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import io
import math
import pathlib
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from flax import traverse_util

from jaxgan import files
from jaxgan.types import PyTree

_TYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
_MAGIC = 0x1950A86A20F9469CFC6C
_MOST_BYTES = 2**31


def load(path: str | pathlib.Path, *, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Loads the tensors of a file.

    Args:
        path: A `.safetensors` file, or a state dict written by `torch.save`.
        sha256: First hex digits of the file's sha256, eight or more. By default those in the file's
            name (vgg19-dcbb9e9d.pth).

    Returns:
        The tensors by name.

    Raises:
        ValueError: The file cannot be read, is in another format, or has another sha256. Neither
            `sha256` nor the file's name states the digest.
    """
    path = pathlib.Path(path).expanduser()
    try:
        content = files.read(path, most=_MOST_BYTES)
    except OSError as error:
        raise ValueError(f"the weights {path} cannot be read: {error.strerror}") from error
    _verify(content, path, sha256)
    read = _from_safetensors if path.suffix == ".safetensors" else _from_torch
    try:
        return read(content)
    except Refused as refused:
        raise ValueError(f"the weights {path} are refused: {refused}") from refused
    except Exception as error:  # a damaged file can raise any exception
        raise ValueError(
            f"the weights {path} are no {path.suffix or 'weights'} file that can be read "
            f"({type(error).__name__}); expected .safetensors, or a state dict from torch.save"
        ) from error


def of_distribution(distribution: str, file: str) -> pathlib.Path | None:
    """Finds a file of an installed distribution.

    Args:
        distribution: Name of the distribution.
        file: Name of the file, without its folder.

    Returns:
        The path of the file, or None if the distribution is not installed or has no such file.
    """
    try:
        brought = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    found = (pathlib.Path(str(entry.locate())) for entry in brought if entry.name == file)
    return next((path for path in found if path.is_file()), None)


def kept(
    path: pathlib.Path, *, sha256: str, folder: pathlib.Path | None = None
) -> dict[str, np.ndarray]:
    """Loads the tensors of a file through a copy in safetensors.

    The copy is made if there is none. Its name has the sha256 of the file and of the copy. A
    damaged copy is made anew.

    Args:
        path: File of weights, read if there is no copy.
        sha256: The file's sha256.
        folder: Where the copy is kept. None, or a folder that cannot be written to, keeps no copy.

    Returns:
        The tensors by name.

    Raises:
        ValueError: As `load`.
    """
    for copy in sorted(folder.glob(f"{sha256}-*.safetensors")) if folder else []:
        with contextlib.suppress(ValueError):
            return load(copy)
    tensors = load(path, sha256=sha256)
    if folder:
        content = _to_safetensors(tensors)
        with contextlib.suppress(OSError):  # without a copy, only time is lost
            folder.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256(content).hexdigest()
            files.write_whole(folder / f"{sha256}-{digest}.safetensors", content)
    return tensors


_TORCH = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
"""Torch's name of each kind of weights, by Flax's name."""


def placed(
    given: Mapping[str, np.ndarray],
    template: PyTree,
    *,
    called: Callable[[tuple[str, ...]], str],
    network: str,
    source: object = "given",
) -> PyTree:
    """Arranges tensors under torch's names as Flax variables.

    Args:
        given: Tensors by torch's name.
        template: Variables whose structure and shapes are expected.
        called: Returns torch's name of the layer at a path of modules.
        network: Name of the network in the possessive, for error messages.
        source: Where the tensors come from, for error messages.

    Returns:
        The variables, float32.

    Raises:
        ValueError: A tensor is missing or has another shape.
    """
    flat: dict[Any, Any] = traverse_util.flatten_dict(template)
    found = {}
    for path, leaf in flat.items():
        name = f"{called(path[1:-1])}.{_TORCH[path[-1]]}"
        if name not in given:
            raise ValueError(f"the weights {source} have no {name!r}; they are not {network}")
        # Kernels are [out, in, H, W] in torch and [H, W, in, out] in Flax. Dense ones are
        # transposed too.
        value = given[name].transpose(2, 3, 1, 0) if given[name].ndim == 4 else given[name].T
        if value.shape != leaf.shape:
            raise ValueError(
                f"the weights {source} are not {network}: {name} has the shape {given[name].shape}"
            )
        found[path] = np.asarray(value, np.float32)
    return traverse_util.unflatten_dict(found)


def _verify(content: bytes, path: pathlib.Path, sha256: str | None) -> None:
    found = hashlib.sha256(content).hexdigest()
    named = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    expected = sha256.lower() if sha256 else named and named.group(1)
    if not expected:
        raise ValueError(
            f"no sha256 is given for the weights {path}: the file's is {found}; compare it with "
            "the publisher's and pass it as sha256"
        )
    if not re.fullmatch(r"[0-9a-f]{8,64}", expected):
        raise ValueError(f"the sha256 is {sha256!r}; expected 8 to 64 hex digits")
    if not found.startswith(expected):
        raise ValueError(
            f"the weights {path} have the sha256 {found}, which does not begin with {expected}; "
            "they are damaged or different weights: download them again"
        )


def _from_safetensors(content: bytes) -> dict[str, np.ndarray]:
    import safetensors.numpy

    return safetensors.numpy.load(content)


def _to_safetensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    import safetensors.numpy

    # safetensors writes the memory in order and ignores strides, so arrays must be contiguous.
    return safetensors.numpy.save({name: np.array(v, order="C") for name, v in tensors.items()})


# --- files of torch.save --------------------------------------------------------------------------


class Refused(ValueError):
    """The file asks for something other than weights."""


class _Storage(NamedTuple):
    """A buffer of numbers that tensors are views of."""

    key: str
    kind: type
    size: int


class _View(NamedTuple):
    """A tensor whose numbers are not read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _view(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
    **{("torch", name): kind for name, kind in _TYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise Refused(f"they ask for {module}.{name}, which no tensor needs")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, size, *_ = pid
        if kind != "storage":
            raise Refused(f"they refer to a {kind!r}")
        return _Storage(str(key), storage, int(size))


def _from_torch(content: bytes) -> dict[str, np.ndarray]:
    if zipfile.is_zipfile(io.BytesIO(content)):
        return _from_zip(content)
    stream = io.BytesIO(content)
    if _Unpickler(stream).load() != _MAGIC:
        raise Refused("the file does not start like one written by torch.save")
    for _ in ("version", "system"):
        _Unpickler(stream).load()
    views = _Unpickler(stream).load()
    keys = _Unpickler(stream).load()
    kinds = {view.storage.key: view.storage.kind for view in _tensors(views).values()}
    numbers = {}
    for key in keys:
        size = int.from_bytes(stream.read(8), "little")
        if key not in kinds:
            raise Refused(f"the storage {key!r} belongs to no tensor")
        kind = np.dtype(kinds[key]).newbyteorder("<")
        numbers[key] = np.frombuffer(stream.read(size * kind.itemsize), kind)
    return _gathered(views, numbers.__getitem__)


def _from_zip(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
            raise Refused(f"the unpacked file takes more than {_MOST_BYTES} bytes")
        (table,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        root = table.removesuffix("data.pkl")
        views = _Unpickler(io.BytesIO(archive.read(table))).load()
        order = "<"
        if f"{root}byteorder" in archive.namelist():
            order = ">" if archive.read(f"{root}byteorder") == b"big" else "<"
        kinds = {view.storage.key: view.storage.kind for view in _tensors(views).values()}
        numbers = {
            key: np.frombuffer(
                archive.read(f"{root}data/{key}"), np.dtype(kind).newbyteorder(order)
            )
            for key, kind in kinds.items()
        }
    return _gathered(views, numbers.__getitem__)


def _tensors(views: Any) -> dict[str, _View]:
    """Returns the entries that are tensors. Raises `Refused` if the file holds no state dict."""
    if not isinstance(views, dict) or not all(isinstance(name, str) for name in views):
        raise Refused("they are no dictionary of tensors by name; save a model's state_dict()")
    return {name: view for name, view in views.items() if isinstance(view, _View)}


def _gathered(views: Any, numbers: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors, each filled from its storage."""
    found, left = {}, _MOST_BYTES
    for name, view in _tensors(views).items():
        held = numbers(view.storage.key)
        strides = [stride * held.itemsize for stride in view.strides]
        sides = zip(view.shape, view.strides, strict=True)
        last = view.offset + sum((side - 1) * stride for side, stride in sides)
        if min((view.offset, *view.shape, *view.strides)) < 0 or last >= len(held):
            raise Refused(f"the tensor {name} reaches beyond its numbers")
        count = math.prod(view.shape)
        left -= count * held.itemsize
        if count > len(held) or left < 0:  # views can repeat numbers
            raise Refused(f"the tensor {name} asks for more numbers than the file holds")
        window = np.ndarray(view.shape, held.dtype, held, view.offset * held.itemsize, strides)
        found[name] = np.array(window, held.dtype.newbyteorder("="))
    return found
