"""Evaluates a run: metrics of its samples against training images or held-out images.

    jaxgan evaluate RUN
    jaxgan evaluate RUN --inception pt_inception-2015-12-05-6726825d.pth --metrics fid
    jaxgan evaluate RUN --features lite1

Without --inception, gray images are evaluated on the features of the embedded classifier of
garments. The names of these metrics begin with "proxy": they rank models of garments. Color images
are evaluated on the features of EfficientNet-Lite0, an ImageNet network (pip install
'jaxgan[features]'), and the names of these metrics begin with "efficientnet_lite0". Models that
were trained with that network (projected) are judged by EfficientNet-Lite1, as are others with
--features lite1. None of these compares with published numbers. Arrays (`arrays:PATH`) are
compared with held-out ones, as floats in the units of the model: features are their values, and the
names begin with "values". Every number is printed with the settings that it depends on. Nothing is
written to the run.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from jaxgan.runs import progress
from jaxgan.runs.config import MetricName
from jaxgan.tools import command

if TYPE_CHECKING:
    from jaxgan.data import Splits
    from jaxgan.metrics.selection import Real
    from jaxgan.metrics.streaming import Show
    from jaxgan.runs.trained_model import TrainedModel


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The metrics and their settings."""

    metrics: tuple[MetricName, ...] = ()
    """Frechet distance, its extrapolation to infinitely many samples, kernel distance, precision /
    recall / density / coverage, Inception score, sliced Wasserstein distance, MS-SSIM of pairs,
    distance of log spectra. Default: fid kid prdc; for images without a suitable network swd
    ms_ssim; for arrays swd spectrum kid prdc, those that their shape allows.
    """
    samples: int = 10_000
    """Number of images to generate; numbers of different counts do not compare."""
    split: Literal["train", "held_out"] | None = None
    """The real examples to compare with, whose conditions the samples take. Default: train; for
    arrays held_out, unless nothing is held out.
    """
    data: str | None = None
    """New location of the run's data, in the syntax of the training flag --data (default: as
    recorded).
    """
    inception: pathlib.Path | None = None
    """File of FID's Inception weights, pt_inception-2015-12-05-6726825d.pth (91.2 MB, released with
    pytorch-fid) or the same as .safetensors. Default: the proxy for gray images, EfficientNet-Lite0
    for color images.
    """
    sha256: str | None = None
    """First digits of the sha256 of these weights, if their file name does not end in it."""
    features: str | None = None
    """ImageNet network of the features: EfficientNet lite0 or lite1 (the extra 'features'), or a
    file of the weights of either, .pth or .safetensors. Default for color images: lite0, or lite1
    for models that were trained with lite0 (projected).
    """
    features_sha256: str | None = None
    """First digits of the sha256 of these weights, if their file name does not end in it."""
    seed: int = 0
    """Seed of the samples."""
    devices: int | None = None
    """Number of devices that share the work, the first ones; default: all that JAX sees."""
    cache: bool = True
    """Cache the statistics of the real images in the user's cache folder."""
    json: bool = False
    """Print the numbers and their settings as JSON."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""

    def tell(config: Config) -> None:
        report = evaluate(config, show=progress.counted)
        print(json.dumps(report, indent=2) if config.json else text(report))

    return command.answer(
        Config, tell, program="jaxgan evaluate", description=__doc__, arguments=arguments
    )


def evaluate(config: Config, *, show: Show | None = None) -> dict[str, Any]:
    """Evaluates the run and returns the numbers and their settings, as JSON types.

    Args:
        config: The metrics and their settings.
        show: Reports progress (`progress.counted`). Default: no report.

    Raises:
        RunError: If there is no such run or checkpoint, or the data have changed since training.
        ValueError: If the data or the weights cannot be used.
    """
    from jaxgan import parallel
    from jaxgan.metrics import evaluation, selection, statistics_cache, streaming

    mesh = parallel.data_mesh(parallel.first_devices(config.devices))
    trained = config.load()
    split, real = _chosen(config, trained)
    extractor = selection.extractor_for(
        real,
        config.inception,
        sha256=config.sha256,
        efficientnet=config.features,
        efficientnet_sha256=config.features_sha256,
        judge=trained.config.JUDGE,
        cache=config.cache,
        mesh=mesh,
    )
    scores = evaluation.evaluator(
        selection.chosen(config.metrics or selection.usual(real, extractor), mesh=mesh),
        real,
        extractor=extractor,
        samples=config.samples,
        seed=config.seed,
        cache=statistics_cache.folder() if config.cache else None,
        conditions=trained.gan.conditions,
        show=show or streaming.unseen,
    )(trained.sample)
    return {
        "run": str(config.run),
        "step": trained.step,
        "model's seed": trained.config.seed,
        "numbers": scores.numbers,
        "warnings": list(scores.warnings),
        "settings": {"split": split, **scores.settings},
    }


def images(config: Config, model: TrainedModel) -> Real:
    """Returns the real images or arrays to compare with.

    Args:
        config: The metrics and their settings.
        model: The trained model.

    Raises:
        RunError: If the data are no longer those of the run.
        ValueError: If nothing is held out that is asked for, or the model does not generate such
            images without other images.
    """
    return _chosen(config, model)[1]


def _chosen(config: Config, model: TrainedModel) -> tuple[str, Real]:
    """Returns the name of the split and its images or arrays, as `images` does."""
    from jaxgan.metrics import evaluation

    splits = command.data_of(config.run, model, config.data)
    split = config.split or _usual(splits)
    if split == "held_out" and splits.held_out.digest == splits.train.digest:
        raise ValueError("the run held nothing out (--holdout 0); measure with --split train")
    chosen = splits.train if split == "train" else splits.held_out
    return split, evaluation.images_of(chosen, model.gan)


def _usual(splits: Splits) -> str:
    """Returns the name of the default split."""
    from jaxgan import data

    arrays = isinstance(splits.train, data.Arrays) and splits.held_out is not splits.train
    return "held_out" if arrays else "train"


def text(report: Mapping[str, Any]) -> str:
    """Returns the report as text: the numbers first, then the settings that they depend on."""
    from jaxgan.metrics import evaluation

    settings = report["settings"]
    what = "images" if "levels" in settings["both"] else "examples"
    lines = [
        f"{settings['generated']['images']} samples of {report['run']} after {report['step']} "
        f"steps, against {settings['real']['images']} {what} of {settings['real']['data']} "
        f"({settings['split']})"
    ]
    width = max(map(len, report["numbers"])) + 2
    for name, value in report["numbers"].items():
        lines.append(f"  {name.replace('_', ' '):{width}s}{value:12.6g}")
    lines += [f"warning: {warning}" for warning in report["warnings"]]
    return "\n".join(lines + evaluation.listed(settings))


if __name__ == "__main__":
    sys.exit(main())
