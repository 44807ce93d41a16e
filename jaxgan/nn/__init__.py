"""Layers that several models share, and the functions of their convolutions."""

from jaxgan.kernels.convolution import conv, conv_transpose
from jaxgan.nn.layers import Conv, ConvTranspose, Dropout, GaussianNoise, Maxout
from jaxgan.nn.spectral_norm import SpectralNorm

__all__ = [
    "Conv",
    "ConvTranspose",
    "Dropout",
    "GaussianNoise",
    "Maxout",
    "SpectralNorm",
    "conv",
    "conv_transpose",
]
