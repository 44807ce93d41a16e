"""The two objectives of a game between one generator and one discriminator, whatever the networks
and the loss.

A network is called `network(inputs, *conditions, keys=..., train=...)`: `conditions` are batch
entries both networks see (labels, say), `keys` drive its noise layers, `train` its batch
statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp

from jaxgan import random
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import Array, Batch, Objective

Draw = Callable[[Keys], Array]
"""Latents [B, ...] from per-example keys."""

Conditions = Callable[[Batch], tuple[Array, ...]]
"""What both networks see of the batch beside the image or the latent."""

Penalty = Callable[[Callable[[Array], Array], Array, Array, Keys], Array]
"""`penalty(discriminator, real, fake, keys) -> [B]`, added to the discriminator's loss."""

Content = Callable[[GANState, Batch, Array], Array]
"""`content(state, batch, fake) -> [B, ...]`, whose mean is added to the generator's loss: how far
the fake is from what this example's image should be.
"""


def unconditional(batch: Batch) -> tuple[Array, ...]:
    """No conditions."""
    return ()


def require_known(given: Iterable[str], known: Iterable[str]) -> None:
    """ValueError where a sampler is given a condition that it does not take."""
    known = list(known)
    unknown = sorted(set(given) - set(known))
    if unknown:
        takes = ", ".join(known) or "none"
        raise ValueError(f"this model takes no condition {unknown[0]!r}; it takes {takes}")


def fakes(latents: Draw, conditions: Conditions = unconditional) -> Forward:
    """The forward pass that draws one image per example with the generator in training mode."""

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, dict[str, Player]]:
        noise = random.fold(keys, "generator noise")
        images, generator = state["generator"].mutate(
            latents(keys), *conditions(batch), keys=noise, train=True
        )
        return images, {"generator": generator}

    return Forward(("generator",), run)


def discriminator_objective(
    loss: AdversarialLoss,
    draw: Forward,
    *,
    conditions: Conditions = unconditional,
    relabel: Callable[[Array, Array, Keys], tuple[Array, Array]] | None = None,
    penalty: Penalty | None = None,
    image: str = "image",
) -> Objective:
    """The discriminator's loss on real images and on fresh fakes, each its own batch to batch
    statistics.

    `image` is the batch entry that holds the real images.
    `relabel(real_logits, fake_logits, keys)` may swap verdicts before the loss (label flipping).
    Reported: mean logits, the penalty, and, where the loss gives the logit's sign that meaning,
    accuracy on real and on fake and the overfitting heuristic mean(sign(D(real))) of Karras et al.
    2020; and what the loss estimates.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        given, real = conditions(batch), batch[image]
        fake, _ = draw(state, batch, keys)
        discriminator = state["discriminator"]
        at_real, at_fake = random.fold(keys, "real"), random.fold(keys, "fake")
        real_logits, discriminator = discriminator.mutate(real, *given, keys=at_real, train=True)
        fake_logits, discriminator = discriminator.mutate(fake, *given, keys=at_fake, train=True)
        metrics = verdicts(loss, real_logits, fake_logits)
        if relabel is not None:
            real_logits, fake_logits = relabel(real_logits, fake_logits, keys)
        value = jnp.mean(loss.discriminator(real_logits, fake_logits))
        if penalty is not None:

            def judge(images: Array) -> Array:
                return state["discriminator"](images, *given, keys=at_real, train=True)

            costs = penalty(judge, real, fake, keys)
            value, metrics["penalty"] = value + jnp.mean(costs), Mean.of(costs)
        return value, Out(metrics, players={"discriminator": discriminator})

    return objective


def generator_objective(
    loss: AdversarialLoss,
    draw: Forward,
    *,
    conditions: Conditions = unconditional,
    weight: float = 1.0,
    content: Content | None = None,
    image: str = "image",
) -> Objective:
    """The generator's loss on fresh fakes, judged by the discriminator in training mode with its
    noise active.

    `weight` multiplies the adversarial loss, to which the mean `content` is added and reported.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        given = conditions(batch)
        fake, players = draw(state, batch, keys)
        judge = state["discriminator"]
        fake_logits = judge(fake, *given, keys=random.fold(keys, "fake"), train=True)
        real_logits = None
        if loss.relativistic:
            real = batch[image]
            real_logits = judge(real, *given, keys=random.fold(keys, "real"), train=True)
        value = weight * jnp.mean(loss.generator(fake_logits, real_logits))
        metrics = {"fake_logit": Mean.of(fake_logits)}
        if content is not None:
            distances = content(state, batch, fake)
            value, metrics["content"] = value + jnp.mean(distances), Mean.of(distances)
        return value, Out(metrics, players=players)

    return objective


def verdicts(loss: AdversarialLoss, real_logits: Array, fake_logits: Array) -> dict[str, Mean]:
    """What the discriminator's logits say of the game, as means."""
    metrics: dict[str, Any] = {
        "real_logit": Mean.of(real_logits),
        "fake_logit": Mean.of(fake_logits),
    }
    if loss.boundary is not None:
        metrics["real_accuracy"] = Mean.of(real_logits > loss.boundary)
        metrics["fake_accuracy"] = Mean.of(fake_logits < loss.boundary)
        metrics["real_sign"] = Mean.of(jnp.sign(real_logits - loss.boundary))
    for name, estimate in loss.estimates.items():
        metrics[name] = Mean.of(estimate(real_logits, fake_logits))
    return metrics
