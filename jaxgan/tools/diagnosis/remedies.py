"""Remedies that the literature recommends against each kind of finding.

They are flags of the run's experiment, alternatives that the experiment names, and functions of the
library for models of one's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgan import losses
from jaxgan.runs import flags
from jaxgan.runs.config import RunConfig
from jaxgan.tools.diagnosis import overfitting_signal
from jaxgan.tools.diagnosis.remedy import Remedy, above, both, has, lacks

CHECKPOINTS = "checkpoints"


def _generator_is_slower(config: Any) -> bool:
    rates = [getattr(config, f"{name}_learning_rate", 1) for name in ("generator", "discriminator")]
    return rates[0] < rates[1] * getattr(config, "n_critic", 1)


def _discriminator_is_slower(config: Any) -> bool:
    return hasattr(config, "generator_learning_rate") and not _generator_is_slower(config)


def _has_batch_norm(config: Any) -> bool:
    offered = "discriminator_norm" in flags.offered(type(config))
    return offered and config.discriminator_norm == "batch"


_HEUSEL = "Heusel et al. 2017, two time scales"
_R1 = Remedy(
    "jaxgan.penalties.r1",
    "penalize the discriminator's gradient at real images: training then converges locally",
    "Mescheder et al. 2018",
)
_R1_FLAGS = tuple(
    Remedy(
        flags_of_r1,
        "penalize its gradient at real images; --gamma is the weight, chosen by the resolution",
        "Mescheder et al. 2018",
        both(has("penalty", "none"), lacks("loss", "wasserstein"), fits),
    )
    for flags_of_r1, fits in (
        ("--penalty r1 --discriminator-norm none", _has_batch_norm),
        ("--penalty r1", lambda config: not _has_batch_norm(config)),
    )
)
_SMOOTHING = Remedy(
    "--real-label 0.9",
    "one-sided label smoothing: it keeps the discriminator from overconfidence",
    "Salimans et al. 2016, section 3.4",
    both(has("real_label", 1.0), has("loss", "minimax", "non_saturating")),
)
_SLOWER_DISCRIMINATOR = Remedy(
    "--discriminator-learning-rate",
    "lower it from {discriminator_learning_rate:g} to a half or a quarter",
    _HEUSEL,
)
_FASTER_GENERATOR = Remedy(
    "--generator-learning-rate",
    "raise it from {generator_learning_rate:g}: the discriminator learns faster",
    _HEUSEL,
    _generator_is_slower,
)
_SLOWER_GENERATOR = Remedy(
    "--generator-learning-rate",
    "lower it from {generator_learning_rate:g}, below the discriminator's",
    _HEUSEL,
    _discriminator_is_slower,
)
_FEWER_CRITICS = Remedy(
    "--n-critic 1",
    "equally many steps for the generator and the discriminator",
    "Goodfellow et al. 2014, algorithm 1",
    both(above("n_critic", 1), lacks("loss", "wasserstein")),
)
_NOISE = Remedy(
    "jaxgan.games.input_transforms.instance_noise",
    "add noise to real and fake images, so that their distributions overlap",
    "Arjovsky and Bottou 2017; Sonderby et al. 2017",
)
_PACKING = Remedy(
    "jaxgan.nn.packing.Packed",
    "a discriminator of several samples at once detects that they are alike",
    "Lin et al. 2018, PacGAN",
)
_DEVIATION = Remedy(
    "jaxgan.nn.minibatch.MinibatchStddev",
    "give the discriminator the standard deviation over the batch as a feature",
    "Karras et al. 2018, section 3",
)
_UNROLLING = Remedy(
    "jaxgan.steps.unrolled",
    "train the generator against the discriminator some steps ahead",
    "Metz et al. 2017",
)
_LESS_MOMENTUM = Remedy(
    "--beta1 0",
    "momentum makes players oscillate",
    "Gidel et al. 2019; Mescheder et al. 2018, section 6",
    both(above("beta1", 0.0), has("optimizer", "adam")),
)
_SMALLER_STEPS = tuple(
    Remedy(
        f"--{player}-learning-rate",
        f"lower it from {{{player}_learning_rate:g}}, first by a factor of 10",
        "Mescheder et al. 2017, section 3",
    )
    for player in ("generator", "discriminator")
)

_WEAKER_PENALTY = Remedy(
    "--penalty-weight",
    "lower it from {penalty_weight:g}, first by a factor of 10: it limits the discriminator",
    "Karras et al. 2020, limited data, appendix C",
    above("penalty_weight", 0.0),
)
_WEAKER_GAMMA = Remedy(
    "--gamma",
    "lower it, first by a factor of 4; 0.0002 * pixels / batch size is the usual weight of R1",
    "Karras et al. 2020, limited data, appendix C",
    both(lacks("penalty", "none"), lacks("gamma", 0.0)),
)
_FASTER_DISCRIMINATOR = Remedy(
    "--discriminator-learning-rate",
    "raise it from {discriminator_learning_rate:g}",
    _HEUSEL,
)
_MORE_CRITICS = Remedy(
    "--n-critic 2",
    "more steps for the discriminator than for the generator",
    "Goodfellow et al. 2014, algorithm 1",
    both(has("n_critic", 1), lacks("order", "simultaneous")),
)
_WIDER = Remedy(
    "--width",
    "widen the networks from {width}",
    "Brock et al. 2019, section 3.1",
)
_LONGER = Remedy(
    "--steps",
    "train longer than {steps} steps: coarse structure is learned before fine detail",
    "Rahaman et al. 2019, spectral bias",
)
_AVERAGE = Remedy(
    "--ema-half-life 10000",
    "sample from the average of the generator's weights, which changes less from step to step",
    "Yazici et al. 2019",
    has("ema_half_life", 0.0),
)

_NO_BOUNDARY = tuple(name for name in losses.LOSSES if losses.by_name(name).boundary is None)
"""Losses whose logits have no boundary between real and fake."""

REMEDIES: dict[str, tuple[Remedy, ...]] = {
    "collapsed": (_SLOWER_GENERATOR, *_R1_FLAGS, _PACKING, _DEVIATION, _R1),
    "modes lost": (_SLOWER_GENERATOR, _PACKING, _DEVIATION, _UNROLLING),
    "won": (
        _FEWER_CRITICS,
        _FASTER_GENERATOR,
        _SLOWER_DISCRIMINATOR,
        _SMOOTHING,
        *_R1_FLAGS,
        _NOISE,
        _R1,
    ),
    "overfits": (
        Remedy(
            "--augment ada",
            "augment images with a probability that adapts to the discriminator's overfitting",
            "Karras et al. 2020, limited data",
            both(has("augment", "none"), lacks("loss", *_NO_BOUNDARY)),
            lambda seen: seen.get(overfitting_signal.R_T, 1.0) > overfitting_signal.SURE,
        ),
        Remedy(
            "--augment scheduled",
            "augment images with a probability that rises: the loss has no signs to adapt it to",
            "Karras et al. 2020, limited data",
            both(has("augment", "none"), has("loss", *_NO_BOUNDARY)),
        ),
        Remedy(
            "--augment diff",
            "augment all of the discriminator's inputs, real and fake",
            "Zhao et al. 2020, DiffAugment",
            has("augment", "none"),
        ),
        Remedy(
            "--flip",
            "mirrored images double the data, if left and right do not matter",
            "Karras et al. 2020, limited data",
            has("flip", False),
        ),
        Remedy(
            "--dropout 0.3",
            "keep the discriminator from relying on single units",
            "Goodfellow et al. 2014, section 5",
            has("dropout", 0.0),
        ),
        *_R1_FLAGS,
        _R1,
    ),
    "vanished": (
        Remedy(
            "--loss non_saturating",
            "a generator loss whose gradient is largest when fakes are recognized",
            "Goodfellow et al. 2014, section 3",
            lambda config: (
                getattr(config, "loss", "") == "minimax"
                or str(getattr(config, "loss", "")).startswith("f_gan")
            ),
        ),
        _FEWER_CRITICS,
        _SLOWER_DISCRIMINATOR,
        _NOISE,
    ),
    "exploded": (
        *_SMALLER_STEPS,
        *_R1_FLAGS,
        _R1,
    ),
    "not finite": (
        *_SMALLER_STEPS,
        Remedy(
            "--init-from",
            "start a new run from the last checkpoint, with smaller learning rates",
            "Mescheder et al. 2017, section 3",
            helps=lambda seen: seen.get(CHECKPOINTS, 0) > 0,
        ),
        *_R1_FLAGS,
        _R1,
    ),
    "held down": (
        _WEAKER_GAMMA,
        _WEAKER_PENALTY,
        _FASTER_DISCRIMINATOR,
        Remedy(
            "jaxgan.penalties.usual_gamma",
            "the usual weight of R1 by the size of the images and of the batch",
            "Karras et al. 2020, limited data, appendix C",
        ),
    ),
    "blind": (
        _WEAKER_GAMMA,
        _WEAKER_PENALTY,
        _FASTER_DISCRIMINATOR,
        _MORE_CRITICS,
        Remedy(
            "jaxgan.steps.alternate",
            "more steps for the discriminator than for the generator, by n_critic",
            "Goodfellow et al. 2014, algorithm 1",
            lambda config: not hasattr(config, "n_critic"),
        ),
        _WIDER,
    ),
    "far": (_LONGER, _WEAKER_GAMMA, _WEAKER_PENALTY, _FASTER_DISCRIMINATOR, _WIDER),
    "checkered": (
        Remedy(
            "--kernel 4",
            "a kernel size divisible by the stride covers every pixel equally; {kernel} is not",
            "Odena et al. 2016, checkerboard artifacts",
            lambda config: getattr(config, "kernel", 4) % 2 == 1,
        ),
        Remedy(
            "jaxgan.nn.resampling.conv_double",
            "nearest-neighbor upsampling and convolution instead of a transposed convolution",
            "Odena et al. 2016, checkerboard artifacts",
        ),
        _AVERAGE,
        _LONGER,
    ),
    "noisy": (_LONGER, _AVERAGE, _WEAKER_GAMMA, _WEAKER_PENALTY, _FASTER_DISCRIMINATOR, _WIDER),
    "blurred": (
        _LONGER,
        _WEAKER_GAMMA,
        _WEAKER_PENALTY,
        _FASTER_DISCRIMINATOR,
        _MORE_CRITICS,
        _WIDER,
    ),
    "oscillating": (
        Remedy(
            "--order alternate",
            "players that update in turn oscillate less than players that update at once",
            "Gidel et al. 2019; Mescheder et al. 2018, section 3",
            has("order", "simultaneous"),
        ),
        _LESS_MOMENTUM,
        *_SMALLER_STEPS,
        Remedy(
            "--ema-half-life 10000",
            "sample from the average of the generators along the oscillation",
            "Yazici et al. 2019",
            has("ema_half_life", 0.0),
        ),
        *_R1_FLAGS,
        _R1,
        Remedy(
            "jaxgan.steps.consensus",
            "both players also minimize the norm of the game's gradient field",
            "Mescheder et al. 2017",
        ),
        Remedy(
            "jaxgan.steps.extragradient",
            "update with the gradients one step ahead",
            "Gidel et al. 2019",
        ),
    ),
}
"""The remedies by kind of finding; the cheapest come first."""


def against(
    kind: str,
    config: RunConfig,
    seen: Mapping[str, float],
    alternatives: Mapping[str, Sequence[Remedy]] | None = None,
) -> list[Remedy]:
    """Returns the remedies against a kind of finding that apply to a run of this configuration.

    The run's own numbers are filled in. The experiment's alternatives come after its flags and
    before functions for models of one's own.

    Args:
        kind: The kind of finding.
        config: The configuration of the run.
        seen: The measured numbers by name, as in `Remedy.helps`.
        alternatives: The experiment's own remedies, by kind of finding.
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    known = REMEDIES[kind]
    place = max((at for at, remedy in enumerate(known, start=1) if _is_flag(remedy)), default=0)
    offered = (*known[:place], *(alternatives or {}).get(kind, ()), *known[place:])
    chosen = [
        remedy
        for remedy in offered
        if (not _is_flag(remedy) or flag_of(remedy) in flags.offered(type(config)))
        and remedy.fits(config)
        and remedy.helps(seen)
    ]
    return [remedy._replace(why=remedy.why.format_map(values)) for remedy in chosen]


def _is_flag(remedy: Remedy) -> bool:
    return remedy.do.startswith("--")


def flag_of(remedy: Remedy) -> str:
    """Returns the field of the configuration that the remedy's flag sets."""
    return remedy.do.split()[0].removeprefix("--").replace("-", "_")
