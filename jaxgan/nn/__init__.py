"""Layers every model shares."""

from jaxgan.nn.convolution import conv, conv_transpose
from jaxgan.nn.layers import Conv, ConvTranspose, Dropout, GaussianNoise, Maxout

__all__ = ["Conv", "ConvTranspose", "Dropout", "GaussianNoise", "Maxout", "conv", "conv_transpose"]
