"""Layers every model shares."""

from jaxgan.kernels.convolution import conv, conv_transpose
from jaxgan.nn.fastgan import DoublingConv, NoiseInjection, SkipLayerExcitation, glu
from jaxgan.nn.frozen import Frozen
from jaxgan.nn.layers import Conv, ConvTranspose, Dropout, GaussianNoise, Maxout
from jaxgan.nn.spectral_norm import SpectralNorm

__all__ = [
    "Conv",
    "ConvTranspose",
    "DoublingConv",
    "Dropout",
    "Frozen",
    "GaussianNoise",
    "Maxout",
    "NoiseInjection",
    "SkipLayerExcitation",
    "SpectralNorm",
    "conv",
    "conv_transpose",
    "glu",
]
