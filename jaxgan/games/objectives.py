"""Objectives of the discriminator and the generator, for any networks and any adversarial loss.

Networks are called as `network(inputs, *conditions, keys=..., train=...)`. `conditions` are batch
entries that both networks receive, such as labels. `keys` are the random keys of noise layers; a
generator has them in sampling, too. `train` selects batch statistics instead of running averages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp

from jaxgan import random
from jaxgan.games import penalization
from jaxgan.games.penalization import Penalty, Seen, ZeroCentered
from jaxgan.losses import AdversarialLoss
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import Array, Batch, Objective

Draw = Callable[[Keys], Array]
"""`draw(keys) -> latents [B, ...]`: samples the latents from per-example keys."""

Conditions = Callable[[Batch], tuple[Array, ...]]
"""`conditions(batch) -> arrays`: the batch entries that both networks receive as conditions."""

Content = Callable[[GANState, Batch, Array], Array]
"""`content(state, batch, fake) -> [B, ...]`: a content loss.

It measures the distance of each generated image from its target. Its mean is added to the
generator's loss.
"""

GENERATOR_NOISE = "generator noise"
"""Names the keys of the noise inside a generator, in training and in sampling."""


def unconditional(batch: Batch) -> tuple[Array, ...]:
    """Returns no conditions."""
    return ()


def require_known(given: Iterable[str], known: Iterable[str]) -> None:
    """Raises ValueError if a sampler is given a condition that the model does not take.

    Args:
        given: Names of the given conditions.
        known: Names of the conditions that the model takes.
    """
    known = list(known)
    unknown = sorted(set(given) - set(known))
    if unknown:
        takes = ", ".join(known) or "none"
        raise ValueError(f"this model takes no condition {unknown[0]!r}; it takes {takes}")


def fakes(latents: Draw, conditions: Conditions = unconditional) -> Forward:
    """Returns the generator's forward pass in training mode, one generated image per example.

    Args:
        latents: Samples the latents from per-example keys.
        conditions: Selects the conditions from the batch.
    """

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, dict[str, Player]]:
        noise = random.fold(keys, GENERATOR_NOISE)
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
    penalty: Penalty | ZeroCentered | None = None,
    image: str = "image",
) -> Objective:
    """Returns the discriminator's objective: its loss on real images and on new fakes.

    Real and fake images are separate batches for batch normalization. Reported metrics: those of
    `verdicts`, and those of the penalty.

    Args:
        loss: The adversarial loss.
        draw: Forward pass that generates the fakes (`fakes`).
        conditions: Selects the conditions from the batch.
        relabel: `relabel(real_logits, fake_logits, keys) -> (real_logits, fake_logits)`. May swap
            logits before the loss is computed (label flipping). None: no change.
        penalty: Added to the loss in every step, such as a gradient penalty. None: no penalty.
        image: Name of the batch entry with the real images.
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
            seen = Seen(state["discriminator"], given, real, fake, at_real, at_fake, keys)
            cost, reported = penalization.cost(penalty, seen, state.step)
            value, metrics = value + cost, {**metrics, **reported}
        return value, Out(metrics, players={"discriminator": discriminator})

    return objective


def penalty_objective(
    penalty: Penalty | ZeroCentered,
    draw: Forward,
    *,
    conditions: Conditions = unconditional,
    weight: float = 1.0,
    image: str = "image",
) -> Objective:
    """Returns the penalty alone as the discriminator's objective, for an update of its own.

    With the same keys the images, fakes and noise are those of `discriminator_objective`. Reported
    metrics: those of the penalty, unweighted.

    Args:
        penalty: The penalty.
        draw: Forward pass that generates the fakes (`fakes`).
        conditions: Selects the conditions from the batch.
        weight: Weight of the penalty.
        image: Name of the batch entry with the real images.
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        fake, _ = draw(state, batch, keys)
        given, real, judge = conditions(batch), batch[image], state["discriminator"]
        at_real, at_fake = random.fold(keys, "real"), random.fold(keys, "fake")
        seen = Seen(judge, given, real, fake, at_real, at_fake, keys)
        cost, metrics = penalization.cost(penalty, seen, state.step)
        return weight * cost, Out(metrics)

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
    """Returns the generator's objective: its adversarial loss on new fakes, plus a content loss.

    The discriminator runs in training mode, with its noise layers active. Reported metrics: the
    mean logit of the fakes, and the content loss.

    Args:
        loss: The adversarial loss. A relativistic loss also receives the logits of real images.
        draw: Forward pass that generates the fakes (`fakes`).
        conditions: Selects the conditions from the batch.
        weight: Weight of the adversarial loss.
        content: Content loss whose mean is added, unweighted. None: no content loss.
        image: Name of the batch entry with the real images.
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
    """Returns the discriminator's metrics of a batch, as means.

    These are the mean logits of real and fake images, and the estimates of the loss. If the loss
    has a decision boundary, they also include the accuracies on real and fake images and the
    overfitting heuristic mean(sign(D(real))), 'real_sign'. If it is relativistic, only differences
    of logits mean something: they include the fraction of pairs whose real logit is the higher one,
    'ranking_rate', and the mean difference, 'gap'.

    Args:
        loss: The adversarial loss.
        real_logits: Logits of real images, [B] or [B, H, W, 1].
        fake_logits: Logits of generated images, of the same shape.

    References:
        Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 3
        (the overfitting heuristic).
    """
    metrics: dict[str, Any] = {
        "real_logit": Mean.of(real_logits),
        "fake_logit": Mean.of(fake_logits),
    }
    if loss.boundary is not None:
        metrics["real_accuracy"] = Mean.of(real_logits > loss.boundary)
        metrics["fake_accuracy"] = Mean.of(fake_logits < loss.boundary)
        metrics["real_sign"] = Mean.of(jnp.sign(real_logits - loss.boundary))
    if loss.relativistic:
        metrics["ranking_rate"] = Mean.of(real_logits > fake_logits)
        metrics["gap"] = Mean.of(real_logits - fake_logits)
    for name, estimate in loss.estimates.items():
        metrics[name] = Mean.of(estimate(real_logits, fake_logits))
    return metrics
