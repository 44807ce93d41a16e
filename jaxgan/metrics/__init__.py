"""Metrics of what a model has learned, one file per metric.

Metrics that compare sets of images gather their statistics batch by batch (`streaming`). The others
take whole arrays, which are few and small: `modes` takes points, `parzen` and `path_length`
samples, `psnr_ssim` pairs of images, `probes` and `clusters` features, `minimax` logits.
`evaluation` computes several of them at once for `jaxgan evaluate`. May use all rooms up to data,
and nothing of runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.metrics import (
        clusters,
        distances,
        edges,
        evaluation,
        features,
        fid,
        garments,
        imagenet,
        inception,
        inception_score,
        kid,
        memorization,
        minimax,
        modes,
        msssim,
        parzen,
        path_length,
        perceptual,
        prdc,
        probes,
        products,
        psnr_ssim,
        retrieval,
        sliced_wasserstein,
        spectrum,
        statistics_cache,
        streaming,
    )

__all__ = [
    "clusters",
    "distances",
    "edges",
    "evaluation",
    "features",
    "fid",
    "garments",
    "imagenet",
    "inception",
    "inception_score",
    "kid",
    "memorization",
    "minimax",
    "modes",
    "msssim",
    "parzen",
    "path_length",
    "perceptual",
    "prdc",
    "probes",
    "products",
    "psnr_ssim",
    "retrieval",
    "sliced_wasserstein",
    "spectrum",
    "statistics_cache",
    "streaming",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
