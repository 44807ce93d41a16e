"""The twin of `jaxgan.models.vanilla`."""

from __future__ import annotations

from torch import nn

from benchmarks.pytorch import layers


def generator(
    shape: tuple[int, ...], *, latent_size: int, hidden: tuple[int, ...]
) -> nn.Sequential:
    """Latents [B, Z] to points [B, D], or to images [B, C, H, W] that end in tanh."""
    parts: list[nn.Module] = []
    for width in hidden:
        parts += [nn.Linear(latent_size, width), nn.ReLU(inplace=True)]
        latent_size = width
    if len(shape) == 1:
        return layers.sequence(*parts, nn.Linear(latent_size, shape[0]))
    channels, height, rest = shape
    return layers.sequence(*parts, layers.ToImage(latent_size, (channels, height, rest)), nn.Tanh())


def discriminator(
    shape: tuple[int, ...], *, hidden: tuple[int, ...], dropout: float
) -> nn.Sequential:
    """Points or images to logits [B, 1]; no dropout on the input."""
    parts: list[nn.Module] = [nn.Dropout(0.0)]
    size = shape[0]
    for index, width in enumerate(hidden):
        if len(shape) == 3 and index == 0:
            channels, height, rest = shape
            parts.append(layers.FromImage((channels, height, rest), width))
        else:
            parts.append(nn.Linear(size, width))
        parts += [nn.LeakyReLU(0.2, inplace=True), nn.Dropout(dropout)]
        size = width
    return layers.sequence(*parts, nn.Linear(size, 1))
