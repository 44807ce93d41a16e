"""Convolutions that are fast on a CPU in every derivative, and XLA's own everywhere else.

On a CPU, XLA is slow for the gradients of strided and transposed convolutions, and for any kernel
gradient inside control flow (`lax.scan`, `lax.cond`). The functions here equal XLA's in values and
in all derivatives. They bind the primitives of `jaxgan.kernels.convolution_primitives`, which lower
to the fast forms of `jaxgan.kernels.convolution_cpu` on a CPU. Where it is asked for, a CPU runs
oneDNN's convolutions instead (`jaxgan.kernels.convolution_onednn`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from jax import Array, lax

from jaxgan.kernels import convolution_primitives, onednn_probe
from jaxgan.kernels.convolution_geometry import Geometry, Pads, Pair, said_precision

Padding = str | int | Sequence[int | tuple[int, int]]

IMPLEMENTATIONS = ("auto", "fast", "xla", "onednn")


def implemented_by(implementation: str) -> AbstractContextManager[None]:
    """Returns a block in which convolutions are traced with an implementation.

    It holds for those that are not told another, and for their derivatives.

    Args:
        implementation: 'auto' (by platform), 'fast', 'xla', or 'onednn': oneDNN's on a CPU and
            XLA's own on other platforms. In a program that is exported, or that jit splits over
            several devices, 'onednn' is 'fast' on a CPU. A program with oneDNN is compiled at every
            start, as JAX's compilation cache cannot keep it.

    Raises:
        ValueError: If the implementation is unknown, or cannot be used on this machine.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxgan.kernels import convolution
        >>> with convolution.implemented_by("xla"):
        ...     y = convolution.conv(jnp.ones((1, 4, 4, 1)), jnp.ones((2, 2, 1, 3)), strides=2)
        >>> print(y.shape)
        (1, 2, 2, 3)
    """
    return convolution_primitives.ASKED(_known(implementation))


def conv(
    x: Array,
    w: Array,
    *,
    strides: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    implementation: str = "auto",
) -> Array:
    """Returns the convolution of images with a kernel, [B, H', W', F], or of series, [B, T', F].

    It equals `lax.conv_general_dilated` in values and in all derivatives.

    Args:
        x: Images [B, H, W, C], or series [B, T, C].
        w: Kernel [kh, kw, C / groups, F], or [k, C / groups, F] for series.
        strides: Strides, one for all axes or one per axis (vertical, horizontal).
        padding: 'SAME', 'VALID' or explicit, as in `lax.conv_general_dilated`. One number pads all
            sides; a sequence gives one number (or a pair of before and after) per axis.
        dilation: Distance of the kernel's taps, one for all axes or one per axis.
        groups: Number of groups of channels.
        implementation: 'auto' (that of `implemented_by`, or by platform), 'fast', 'xla' or
            'onednn'.

    Raises:
        ValueError: If the implementation is unknown or cannot be used here, the channels do not
            match, or the kernel is
            larger than the padded images.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.kernels.convolution import conv
        >>> y = conv(jnp.ones((1, 4, 4, 1)), jnp.ones((2, 2, 1, 3)), strides=2)
        >>> print(y.shape, y[0, 0, 0])
        (1, 2, 2, 3) [4. 4. 4.]
    """
    if x.ndim == 3:
        of_rows = _of_rows(strides=strides, padding=padding, dilation=dilation)
        options = {"groups": groups, "implementation": implementation}
        return conv(x[:, None], w[None], **of_rows, **options)[:, 0]
    strides, dilation = pair(strides), pair(dilation)
    taps = pair(w.shape[:2])
    reach = pair([(size - 1) * apart + 1 for size, apart in zip(taps, dilation, strict=True)])
    if x.shape[3] != w.shape[2] * groups:
        raise ValueError(
            f"images of {x.shape[3]} channels do not fit a kernel of {w.shape[2]} x {groups} groups"
        )
    geometry = Geometry(
        image=pair(x.shape[1:3]),
        kernel=taps,
        strides=strides,
        padding=_explicit(padding, x.shape[1:3], reach, strides),
        groups=groups,
        implementation=_chosen(implementation),
        precision=said_precision(),
        dilation=dilation,
    )
    if min(geometry.output) < 1:
        raise ValueError(
            f"a kernel of {reach} does not fit into images of {geometry.image} "
            f"padded by {geometry.padding}"
        )
    return convolution_primitives.bind(convolution_primitives.C, x, w, geometry)


def conv_transpose(
    y: Array,
    w: Array,
    *,
    strides: int | Sequence[int] = 2,
    padding: Padding = "SAME",
    output: Sequence[int] | None = None,
    implementation: str = "auto",
) -> Array:
    """Returns the transposed convolution of y by w, [B, H', W', C], or of series, [B, T', C].

    It is the input gradient of the `conv` whose kernel is w turned (taps reversed, channels
    swapped). It is the fractionally strided convolution of Radford et al. 2016, and its kernel is
    laid out as in `lax.conv_transpose`.

    Args:
        y: Input [B, H, W, F], or series [B, T, F].
        w: Kernel [kh, kw, F, C], or [k, F, C] for series.
        strides: Strides, one for all axes or one per axis (vertical, horizontal).
        padding: 'SAME' gives H' = H * stride, 'VALID' gives H' = (H - 1) * stride + kernel.
            Explicit padding crops the latter.
        output: (H', W') or (T',), to choose among the sizes that `conv` maps to that of y; None for
            the sizes above.
        implementation: 'auto' (that of `implemented_by`, or by platform), 'fast', 'xla' or
            'onednn'.

    Raises:
        ValueError: If the implementation is unknown or cannot be used here, the channels do not
            match, or `conv` would not
            map the output's size to y's size.

    Examples:
        >>> import jax.numpy as jnp
        >>> from jaxgan.kernels.convolution import conv_transpose
        >>> x = conv_transpose(jnp.ones((1, 2, 2, 1)), jnp.ones((2, 2, 1, 3)), strides=2)
        >>> print(x.shape, x[0, 0, 0])
        (1, 4, 4, 3) [1. 1. 1.]
    """
    if y.ndim == 3:
        of_rows = _of_rows(strides=strides, padding=padding)
        size = None if output is None else (1, *output)
        options = {"output": size, "implementation": implementation}
        return conv_transpose(y[:, None], w[None], **of_rows, **options)[:, 0]
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
        implementation=_chosen(implementation),
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


def _of_rows(*, padding: Padding, **steps: int | Sequence[int]) -> dict[str, Any]:
    """Returns the options of a convolution of series as those of images of one row.

    Args:
        padding: The padding of the series.
        **steps: Numbers of one axis: strides and dilation.
    """
    found: dict[str, Any] = {name: (1, *per_axis(step, 1)) for name, step in steps.items()}
    if not isinstance(padding, str):
        padding = ((0, 0), pair(*per_axis(padding, 1)))
    return {**found, "padding": padding}


def per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    """Returns one entry per axis, from one number for all of them or from a sequence.

    Args:
        value: A number, or a sequence with an entry per axis.
        axes: Number of axes.

    Raises:
        ValueError: If the sequence has another number of entries.
    """
    if isinstance(value, int):
        return (value,) * axes
    if len(value) != axes:
        raise ValueError(f"{value} has {len(value)} entries; expected {axes}, one for each axis")
    return tuple(value)


def _explicit(
    padding: Padding, image: Sequence[int], taps: Sequence[int], strides: Sequence[int]
) -> Pads:
    if isinstance(padding, str):
        low, high = lax.padtype_to_pads(image, taps, strides, padding)
        return pair(low), pair(high)
    return explicit_padding(padding)


def explicit_padding(padding: int | Sequence[int | tuple[int, int]]) -> Pads:
    """Returns ((top, bottom), (left, right)) from one number, a pair of numbers, or pairs."""
    if isinstance(padding, int):
        padding = (padding, padding)
    low, high = padding
    return pair(low), pair(high)


def pair(value: int | Sequence[int]) -> Pair:
    """Returns (height, width) from one number for both, or from two."""
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second


def _chosen(implementation: str) -> str:
    """Returns the known implementation, or if it is 'auto', that of the block around."""
    if implementation == "auto":
        return convolution_primitives.ASKED.value
    return _known(implementation)


def _known(implementation: str) -> str:
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(
            f"the implementation is {implementation!r}; "
            f"expected one of {', '.join(IMPLEMENTATIONS)}"
        )
    reason = implementation == "onednn" and onednn_probe.why_not(onednn_probe.folder())
    if reason:
        raise ValueError(f"the implementation 'onednn' cannot be used here: {reason}; use 'auto'")
    return implementation
