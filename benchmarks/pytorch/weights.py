"""Converts Flax weights to torch's layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.pytorch import layers

Tree = Mapping[str, Any]


def load(network: nn.Module, params: Tree) -> None:
    """Copies Flax params (nested by name, kernels HWIO) into the layers of the same names.

    Raises:
        ValueError: If names or shapes of the two sides differ.
    """
    wanted = {
        name.replace(".", "/"): layer
        for name, layer in network.named_modules()
        if any(True for _ in layer.parameters(recurse=False))
    }
    given = _by_layer(params)
    if set(wanted) != set(given):
        raise ValueError(
            f"PyTorch's twin has the layers {', '.join(sorted(wanted))}, "
            f"jaxgan's network {', '.join(sorted(given))}; they must be the same"
        )
    for name, layer in wanted.items():
        _fill(layer, _converted(layer, given[name]), name=name)


def _by_layer(tree: Tree, path: str = "") -> dict[str, dict[str, np.ndarray]]:
    """Returns the leaves of the tree by the path of their layer, then by name."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= _by_layer(value, f"{path}/{name}" if path else name)
        else:
            found.setdefault(path, {})[name] = value
    return found


def _fill(layer: nn.Module, values: Mapping[str, np.ndarray], *, name: str) -> None:
    own = dict(layer.named_parameters(recurse=False))
    shapes = {key: tuple(value.shape) for key, value in own.items()}
    given = {key: value.shape for key, value in values.items()}
    if shapes != given:
        raise ValueError(f"PyTorch's layer {name} has {shapes}, jaxgan's {given}")
    with torch.no_grad():
        for key, value in values.items():
            own[key].copy_(torch.from_numpy(np.array(value, order="C")))


def _converted(layer: nn.Module, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the leaves with the names and layout of the torch layer."""
    for kind, convert in _CONVERSIONS:
        if isinstance(layer, kind):
            return convert(layer, leaves)
    raise ValueError(
        f"there is no conversion to a {type(layer).__name__}; add it to benchmarks/pytorch"
    )


def _linear(layer: nn.Linear, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return _with_bias(leaves, leaves["kernel"].T)


def _from_image(layer: layers.FromImage, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    channels, height, width = layer.shape
    kernel = leaves["kernel"].reshape(height, width, channels, -1).transpose(3, 2, 0, 1)
    return _with_bias(leaves, kernel.reshape(kernel.shape[0], -1))


def _to_image(layer: layers.ToImage, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    channels, height, width = layer.shape
    shape = (height, width, channels)
    kernel = leaves["kernel"].reshape(-1, *shape).transpose(3, 1, 2, 0)
    weight = kernel.reshape(-1, kernel.shape[-1])
    if "bias" not in leaves:
        return {"weight": weight}
    return {"weight": weight, "bias": leaves["bias"].reshape(shape).transpose(2, 0, 1).reshape(-1)}


def _conv(layer: nn.Conv2d, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return _with_bias(leaves, leaves["kernel"].transpose(3, 2, 0, 1))


def _conv_transpose(
    layer: nn.ConvTranspose2d, leaves: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    # Torch's layer, the gradient of a convolution, flips its kernel; Flax's does not.
    return _with_bias(leaves, leaves["kernel"][::-1, ::-1].transpose(2, 3, 0, 1))


def _norm(layer: nn.Module, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {{"scale": "weight"}.get(name, name): value for name, value in leaves.items()}


def _weight_norm(
    layer: layers.WeightNormDense, leaves: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    rest = {name: value for name, value in leaves.items() if name != "directions"}
    return {"weight": leaves["directions"].T, **rest}


def _based(layer: layers.Based, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"basis": leaves["basis"].transpose(2, 0, 1)}


def _prelu(layer: nn.Module, leaves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"weight": leaves["negative_slope"].reshape(1)}


def _before_shuffle(
    layer: layers.BeforeShuffle, leaves: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    def by_channel(leaf: np.ndarray) -> np.ndarray:
        blocks = leaf.reshape(*leaf.shape[:-1], layer.factor**2, -1)
        return blocks.swapaxes(-1, -2).reshape(leaf.shape)

    return _conv(layer, {name: by_channel(leaf) for name, leaf in leaves.items()})


def _with_bias(leaves: Mapping[str, np.ndarray], weight: np.ndarray) -> dict[str, np.ndarray]:
    return {"weight": weight, **{name: v for name, v in leaves.items() if name != "kernel"}}


# The first match is taken, so subclasses come before their base classes.
_CONVERSIONS: tuple[tuple[type[nn.Module], Callable[..., dict[str, np.ndarray]]], ...] = (
    (layers.FromImage, _from_image),
    (layers.ToImage, _to_image),
    (layers.WeightNormDense, _weight_norm),
    (nn.Linear, _linear),
    (layers.BeforeShuffle, _before_shuffle),
    (nn.Conv2d, _conv),
    (nn.ConvTranspose2d, _conv_transpose),
    (nn.BatchNorm1d, _norm),
    (nn.BatchNorm2d, _norm),
    (nn.InstanceNorm2d, _norm),
    (nn.PReLU, _prelu),
    (layers.Based, _based),
    (layers.BiasedLeakyReLU, _norm),
)
