"""Layers that several models share, and the functions of their convolutions.

The layers that most networks need are here by name (`Conv`, `ConvTranspose`, `SpectralNorm`, ...).
The others lie in one module each: `minibatch`, `packing`, `normalization`, `resampling`, ... May
use the ground files, kernels and steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule
from jaxgan.kernels.convolution import conv, conv_transpose
from jaxgan.nn.class_conditional import ConditionalBatchNorm, ProjectionHead
from jaxgan.nn.equalized import EqualizedConv, EqualizedDense, pixel_norm
from jaxgan.nn.frozen import Frozen
from jaxgan.nn.gating import SkipLayerExcitation, glu
from jaxgan.nn.layers import Conv, ConvTranspose, Dropout, GaussianNoise, Maxout
from jaxgan.nn.minibatch import MinibatchStddev
from jaxgan.nn.noise import NoiseInjection
from jaxgan.nn.resampling import DoublingConv, smooth_double, smooth_halve
from jaxgan.nn.residual import ResidualBlock
from jaxgan.nn.spectral_norm import SpectralNorm

if TYPE_CHECKING:
    from jaxgan.nn import (
        class_conditional,
        efficientnet,
        equalized,
        frozen,
        gating,
        layers,
        minibatch,
        noise,
        normalization,
        packing,
        patch_discriminator,
        pretrained_weights,
        resampling,
        residual,
        scattering,
        spectral_norm,
        super_resolution,
        text_encoder,
        vgg,
        virtual_batch_norm,
        weight_norm,
    )

__all__ = [
    "ConditionalBatchNorm",
    "Conv",
    "ConvTranspose",
    "DoublingConv",
    "Dropout",
    "EqualizedConv",
    "EqualizedDense",
    "Frozen",
    "GaussianNoise",
    "Maxout",
    "MinibatchStddev",
    "NoiseInjection",
    "ProjectionHead",
    "ResidualBlock",
    "SkipLayerExcitation",
    "SpectralNorm",
    "class_conditional",
    "conv",
    "conv_transpose",
    "efficientnet",
    "equalized",
    "frozen",
    "gating",
    "glu",
    "layers",
    "minibatch",
    "noise",
    "normalization",
    "packing",
    "patch_discriminator",
    "pixel_norm",
    "pretrained_weights",
    "resampling",
    "residual",
    "scattering",
    "smooth_double",
    "smooth_halve",
    "spectral_norm",
    "super_resolution",
    "text_encoder",
    "vgg",
    "virtual_batch_norm",
    "weight_norm",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
