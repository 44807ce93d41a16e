"""Flags of the augmentation of real and generated images, for any model with a discriminator."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from jaxgan.runs.ranges import Fraction, Range

if TYPE_CHECKING:
    from jaxgan.games.training import Training
    from jaxgan.losses import AdversarialLoss


ONE = {"discriminator/real_sign": "discriminator"}
"""The discriminator of most models, by what the signs of its logits are reported as."""


@dataclasses.dataclass(frozen=True)
class AugmentationFlags:
    """Flags of the augmentation."""

    GROUP: ClassVar[str] = "augmentation"
    DIFF: ClassVar[tuple[str, ...]] = ()
    """What `diff` changes by default; empty: all that it can."""

    augment: Literal["none", "diff", "ada", "scheduled"] = "none"
    """Augmentation of real and generated images: none, diff (DiffAugment: all images), ada
    (adaptive: with a probability set by discriminator overfitting) or scheduled (with a probability
    that rises to --augment-probability).
    """
    augment_policy: tuple[str, ...] = ()
    """What is changed. diff: color, translation, cutout (default: all; fastgan: without cutout;
    projected and text_to_image: translation). ada and scheduled: blit, geometry, color (default:
    these), filter, noise, cutout, or single items of them, such as flip.
    """
    augment_probability: Fraction = 0.3
    """scheduled: probability of each change of an image."""
    augment_images: Annotated[float, Range(0)] = 100_000.0
    """scheduled: images over which the probability rises from 0; 0: it is constant."""
    augment_filtered: bool = False
    """ada and scheduled: rotate and scale images without aliasing, as the authors; much slower."""
    ada_target: Annotated[float, Range(-1, 1)] = 0.6
    """ada: mean sign of the real images' logits at which it holds the discriminator."""
    ada_images: Annotated[float, Range(1)] = 100_000.0
    """ada: images over which the probability can rise from 0 to 1; the authors' runs, 40 times as
    long, have 500,000.
    """


def augmented(
    config: AugmentationFlags,
    training: Training,
    *,
    loss: AdversarialLoss,
    shape: tuple[int, ...],
    judges: Mapping[str, str] = ONE,
    alike: bool = False,
) -> Training:
    """Returns the training options with the augmentation that the flags ask for.

    The training options must have the schedule that the model is trained with, unless that is
    `steps.alternate`.

    Args:
        config: The flags.
        training: Training options.
        loss: The adversarial loss.
        shape: Shape of an example.
        judges: The discriminators, by what their signs are reported as.
        alike: Whether the other images that a discriminator sees next to the first change alike.

    Raises:
        ValueError: If the examples are points, there is no such augmentation, or `--augment ada` is
            given with a loss whose logits have no boundary between real and fake.
    """
    if config.augment == "none":
        if config.augment_policy:
            raise ValueError(
                "--augment-policy names what --augment changes, which is nothing; give --augment "
                "diff, ada or scheduled"
            )
        return training
    if len(shape) != 3:
        raise ValueError(f"--augment {config.augment} changes images, and the data are points")
    require_colors(config, shape[2])
    from jaxgan.games import augmentation, input_transforms

    through = {"names": tuple(judges.values()), "alike": alike}
    if config.augment == "diff":
        policy = config.augment_policy or config.DIFF or tuple(augmentation.POLICIES)
        view = augmentation.diff_augment(policy)
        return training.refined(input_transforms.for_both(view, **through))
    view = augmentation.adaptive(
        config.augment_policy or augmentation.BGC, filtered=config.augment_filtered
    )
    constant = config.augment == "scheduled" and not config.augment_images
    entry = augmentation.initial(config.augment_probability if constant else 0.0)
    followed = _with_probability(config, training, loss, tuple(judges))
    return dataclasses.replace(
        followed.refined(input_transforms.for_both(view, **through)),
        extra={**(training.extra or {}), **entry},
    )


_COLORS = ("color", "brightness", "contrast", "inversion", "hue", "saturation")


def require_colors(config: AugmentationFlags, channels: int) -> None:
    """Raises ValueError if colors are to be changed of images that have none.

    Args:
        config: The flags.
        channels: Channels of the images.
    """
    named = [name for name in config.augment_policy if name in _COLORS]
    if channels in (1, 3, 4) or (config.augment_policy and not named):
        return
    others = "translation cutout" if config.augment == "diff" else "blit geometry"
    raise ValueError(
        f"--augment {config.augment} changes {named[0] if named else 'colors'}, and images of "
        f"{channels} channels have no colors: give --augment-policy {others}"
    )


def _with_probability(
    config: AugmentationFlags, training: Training, loss: AdversarialLoss, signs: Sequence[str]
) -> Training:
    """The training options whose rounds update the probability of augmentation."""
    import functools

    from jaxgan.games import augmentation

    if config.augment == "scheduled":
        return training.with_schedule(
            functools.partial(
                augmentation.ramping,
                probability=config.augment_probability,
                images=config.augment_images,
                axis_name=training.axis_name,
            )
        )
    if loss.boundary is None:
        raise ValueError(
            "--augment ada measures overfitting by the signs of the logits, which mean nothing "
            "under a Wasserstein or relativistic loss; use --augment diff or scheduled"
        )
    return training.with_schedule(
        functools.partial(
            augmentation.adapting,
            signal=tuple(signs),
            target=config.ada_target,
            images=config.ada_images,
            axis_name=training.axis_name,
        )
    )
