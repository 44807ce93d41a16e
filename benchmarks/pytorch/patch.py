"""The twin of `jaxgan.nn.patch_discriminator`."""

from __future__ import annotations

from torch import nn

from benchmarks.pytorch import layers


def discriminator(channels: int, *, stages: int, width: int, norm: str) -> nn.Sequential:
    """Images [B, C, H, W] to logits of patches [B, 1, H', W'].

    It has `stages` convolutions of stride 2, one of stride 1, and the last one. The norm is 'batch'
    or 'instance'.
    """
    parts: list[nn.Module] = []
    for index in range(stages + 1):
        features = width * min(2**index, 8)
        stride = 2 if index < stages else 1
        parts.append(nn.Conv2d(channels, features, 4, stride, 1, bias=index == 0))
        if index:
            parts.append(_norm(norm, features))
        parts.append(nn.LeakyReLU(0.2, inplace=True))
        channels = features
    parts.append(nn.Conv2d(channels, 1, 4, 1, 1))
    return layers.sequence(*parts)


def _norm(kind: str, features: int) -> nn.Module:
    return layers.batch_norm(features) if kind == "batch" else nn.InstanceNorm2d(features)
