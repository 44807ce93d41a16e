"""Convolutions that are fast on a CPU in every derivative, and XLA's own everywhere else.

On a CPU, XLA runs the gradients of strided and transposed convolutions, and any kernel gradient
inside control flow, far from the machine's speed. The functions here are equal to XLA's in values
and in all derivatives, and go through the primitives of `jaxgan.kernels.convolution_primitives`,
which lower to `jaxgan.kernels.convolution_cpu` that are fast there.
"""

from __future__ import annotations

from collections.abc import Sequence

from jax import Array, lax

from jaxgan.kernels import convolution_primitives
from jaxgan.kernels.convolution_geometry import Geometry, Pads, Pair, said_precision

Padding = str | int | Sequence[int | tuple[int, int]]

IMPLEMENTATIONS = ("auto", "fast", "xla")


def conv(
    x: Array,
    w: Array,
    *,
    strides: int | tuple[int, int] = 1,
    padding: Padding = "SAME",
    groups: int = 1,
    implementation: str = "auto",
) -> Array:
    """Images x [B, H, W, C] convolved with a kernel w [kh, kw, C / groups, F]: [B, H', W', F].

    `padding` is 'SAME', 'VALID' or explicit, as in `lax.conv_general_dilated`. `implementation` is
    'auto' (by platform), 'fast' or 'xla'. Equal to `lax.conv_general_dilated` in values and in all
    derivatives. Raises ValueError on another implementation, where the channels do not fit, or
    where the kernel is larger than the padded images.
    """
    strides = pair(strides)
    taps = pair(w.shape[:2])
    if x.shape[3] != w.shape[2] * groups:
        raise ValueError(
            f"images of {x.shape[3]} channels do not fit a kernel of {w.shape[2]} x {groups} groups"
        )
    geometry = Geometry(
        image=pair(x.shape[1:3]),
        kernel=taps,
        strides=strides,
        padding=_explicit(padding, x.shape[1:3], taps, strides),
        groups=groups,
        implementation=_known(implementation),
        precision=said_precision(),
    )
    if min(geometry.output) < 1:
        raise ValueError(
            f"a kernel of {taps} does not fit into images of {geometry.image} "
            f"padded by {geometry.padding}"
        )
    return convolution_primitives.bind(convolution_primitives.C, x, w, geometry)


def conv_transpose(
    y: Array,
    w: Array,
    *,
    strides: int | tuple[int, int] = 2,
    padding: Padding = "SAME",
    output: tuple[int, int] | None = None,
    implementation: str = "auto",
) -> Array:
    """The transposed convolution of y [B, H, W, F] by w [kh, kw, F, C], [B, H', W', C]: the input
    gradient of the `conv` whose kernel is w turned (taps in reverse, channels swapped).

    'SAME' gives H' = H * stride, 'VALID' H' = (H - 1) * stride + kernel, explicit padding crops the
    latter; `output` fixes (H', W') where a size among those that `conv` maps to H is wanted. This
    is the fractionally strided convolution of Radford et al. 2016, and takes its kernel as
    `lax.conv_transpose` does. Raises ValueError where `conv`
    would not map that output to y's size, or where the channels do not fit.
    """
    strides, taps = pair(strides), pair(w.shape[:2])
    if y.shape[3] != w.shape[2]:
        raise ValueError(
            f"an input of {y.shape[3]} channels does not fit a kernel from {w.shape[2]} channels"
        )
    sizes = list(zip(y.shape[1:3], strides, taps, strict=True))
    if output is not None:
        image = pair(output)
    elif padding == "SAME":
        image = pair([size * stride for size, stride, _ in sizes])
    else:
        pads = _explicit(padding, (0, 0), taps, strides)
        image = pair(
            [
                (size - 1) * stride + k - sum(pad)
                for (size, stride, k), pad in zip(sizes, pads, strict=True)
            ]
        )
    geometry = Geometry(
        image=image,
        kernel=taps,
        strides=strides,
        padding=_explicit(padding, image, taps, strides),
        groups=1,
        implementation=_known(implementation),
        precision=said_precision(),
        turned=True,
    )
    if min(image) < 1:
        raise ValueError(f"padding by {geometry.padding} leaves nothing: an output of {image}")
    if geometry.output != tuple(y.shape[1:3]):
        raise ValueError(
            f"a transposed convolution to {image} starts from {geometry.output}, "
            f"not from {y.shape[1:3]}"
        )
    return convolution_primitives.bind(convolution_primitives.T, y, w, geometry)


def _explicit(
    padding: Padding, image: Sequence[int], taps: Sequence[int], strides: Sequence[int]
) -> Pads:
    if isinstance(padding, str):
        low, high = lax.padtype_to_pads(image, taps, strides, padding)
        return pair(low), pair(high)
    return explicit_padding(padding)


def explicit_padding(padding: int | Sequence[int | tuple[int, int]]) -> Pads:
    """((top, bottom), (left, right)) from a number, a pair of numbers, or pairs."""
    if isinstance(padding, int):
        padding = (padding, padding)
    low, high = padding
    return pair(low), pair(high)


def pair(value: int | Sequence[int]) -> Pair:
    """(height, width) from one number for both, or from two."""
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second


def _known(implementation: str) -> str:
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(
            f"the implementation is {implementation!r}; "
            f"expected one of {', '.join(IMPLEMENTATIONS)}"
        )
    return implementation
