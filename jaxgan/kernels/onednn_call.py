"""The convolution of oneDNN, which jaxlib carries for x86 processors.

XLA's compiler for CPUs turns the custom call `__onednn$convolution` into a convolution of oneDNN.

WARNING: the name of the call, its options (a JSON form of XLA's BackendConfig) and the order of the
axes are private to jaxlib, which may change them. The tests of `convolution_onednn` pass with
jaxlib 0.10.2 (Python 3.11) and 0.12.0.1 (Python 3.13); one call of stride 2 was tried by hand with
0.10.0 and 0.11.2. So nothing here is used before `onednn_probe` has compared the values of tiny
maps with XLA's, in a process of its own. A program with the call cannot be exported, nor be kept in
JAX's compilation cache.

The images and the result must lie in memory as [batch, *space, channels]; in any other order,
oneDNN takes a reference loop that is 100 times slower. The environment variable ONEDNN_VERBOSE=1
shows which code it takes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

# The axes of a kernel: output channels, input channels, space.
HWIO = (3, 2, 0, 1)
TURNED = (2, 3, 0, 1)


def convolved(
    x: Array,
    w: Array,
    *,
    dtype: Any,
    space: Sequence[int],
    axes: Sequence[int],
    pads: Sequence[tuple[int, int]],
    strides: Sequence[int] | None = None,
    dilation: Sequence[int] | None = None,
    groups: int = 1,
) -> Array:
    """Returns oneDNN's convolution, [B, *space, features].

    Args:
        x: Images [B, ..., C].
        w: Kernel. It may lie in any order, as oneDNN brings it into its own.
        dtype: Type of the result. The products are added up in float32.
        space: Shape of the result between batch and channels.
        axes: Axes of the kernel: output channels, input channels, and those of the space.
        pads: Padding before and after each axis of the space; negative numbers crop.
        strides: Strides of each axis; default: 1.
        dilation: Distance of the taps of each axis; default: 1.
        groups: Number of groups of channels.
    """
    ones = (1,) * len(space)
    x, pads = _cropped(x, pads)
    images = {"data": _images(x.ndim), "dims": "0"}
    taps = {
        "output_feature_dim": str(axes[0]),
        "input_feature_dim": str(axes[1]),
        "spatial_dims": _said(axes[2:]),
        "shape": _said(w.shape),
    }
    options = {
        "dims": str(x.ndim),
        "feature_groups": str(groups),
        "input": images,
        "output": images,
        "kernel": {"dims": "0", "filter": taps},
        "window": {
            "size": [],
            "pad_left": _said([before for before, _ in pads]),
            "pad_right": _said([after for _, after in pads]),
            "strides": _said(strides or ones),
            "window_dilations": _said(dilation or ones),
        },
        "optimization_config": {
            "bias_broadcast": False,
            "user_scratchpad": False,
            "weights_prepacked": False,
        },
    }
    call = jax.ffi.ffi_call(
        "__onednn$convolution",
        jax.ShapeDtypeStruct((x.shape[0], *space, w.shape[axes[0]]), dtype),
        custom_call_api_version=2,
        legacy_backend_config=json.dumps(
            {"onednn_conv_config": options, "outer_dimension_partitions": []}
        ),
        vmap_method="sequential",
    )
    return call(x, w)


def _images(rank: int) -> dict[str, Any]:
    """Returns the names of the axes of images [B, ..., C]."""
    return {
        "batch_dim": "0",
        "feature_dim": str(rank - 1),
        "spatial_dims": _said(range(1, rank - 1)),
    }


def _said(numbers: Sequence[int]) -> list[str]:
    """Returns the numbers as the JSON form of a protocol buffer has them."""
    return [str(number) for number in numbers]


def _cropped(
    x: Array, pads: Sequence[tuple[int, int]]
) -> tuple[Array, tuple[tuple[int, int], ...]]:
    """Returns the images without what negative padding cuts off, and the rest of the padding."""
    if min(min(pad) for pad in pads) < 0:
        cuts = [(min(before, 0), min(after, 0), 0) for before, after in pads]
        x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *cuts, (0, 0, 0)])
    return x, tuple((max(before, 0), max(after, 0)) for before, after in pads)
