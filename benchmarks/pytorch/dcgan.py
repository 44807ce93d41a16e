"""The twin of `jaxgan.models.dcgan`."""

from __future__ import annotations

from torch import nn

from benchmarks.pytorch import layers


def generator(
    shape: tuple[int, int, int], *, stages: int, latent_size: int, width: int, kernel: int
) -> nn.Sequential:
    """Latents [B, Z] to images [B, *shape] (C, H, W), doubled `stages` times."""
    channels, height, rest = shape
    features = width << (stages - 1)
    base = (features, height >> stages, rest >> stages)
    parts: list[nn.Module] = [layers.ToImage(latent_size, base, bias=False)]
    for _ in range(stages - 1):
        parts += [layers.batch_norm(features), nn.ReLU(inplace=True)]
        parts += [layers.ConvTranspose(features, features // 2, kernel, bias=False)]
        features //= 2
    parts += [layers.batch_norm(features), nn.ReLU(inplace=True)]
    parts += [layers.ConvTranspose(features, channels, kernel), nn.Tanh()]
    return layers.sequence(*parts)


def discriminator(
    shape: tuple[int, int, int], *, stages: int, width: int, kernel: int, norm: str
) -> nn.Sequential:
    """Images [B, *shape] (C, H, W) to logits [B, 1]; the norm is 'batch' or 'none'."""
    if norm not in ("batch", "none"):
        raise ValueError(f"the norm is {norm!r}; expected batch or none")
    channels, height, rest = shape
    parts: list[nn.Module] = []
    for index in range(stages):
        features = width << index
        normalized = norm == "batch" and index > 0
        parts.append(layers.Conv(channels, features, kernel, stride=2, bias=not normalized))
        if normalized:
            parts.append(layers.batch_norm(features))
        parts.append(nn.LeakyReLU(0.2, inplace=True))
        channels = features
    parts.append(layers.FromImage((channels, height >> stages, rest >> stages), 1))
    return layers.sequence(*parts)
