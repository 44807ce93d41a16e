"""Measures of what a model learned, one file each.

What compares sets of images sees them piece by piece (`streaming`). What takes its arrays whole is
of few and small ones: `modes` of points, `parzen` and `path_length` of samples, `psnr_ssim` image
by image, `probes` and `clusters` of features, `minimax` of logits. `evaluation` computes several of
them at once for `jaxgan evaluate`. May use all rooms up to data, and nothing of runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _lazy

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
        minimax,
        modes,
        msssim,
        parzen,
        path_length,
        prdc,
        probes,
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
    "minimax",
    "modes",
    "msssim",
    "parzen",
    "path_length",
    "prdc",
    "probes",
    "psnr_ssim",
    "retrieval",
    "sliced_wasserstein",
    "spectrum",
    "statistics_cache",
    "streaming",
]


def __getattr__(name: str) -> Any:
    return _lazy.submodule(__name__, __all__, name)
