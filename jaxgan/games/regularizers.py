"""Generator losses that increase variety: feature matching, Gaussian divergences, mode seeking.

A term maps `(state, batch, keys)` to values whose mean is minimized. `plus` adds a term to an
objective or replaces the objective's loss by it.

Warning: these terms are not means over independent examples. Feature measures depend on the batch
only through means and variances, and `mode_seeking` is a ratio of two means. Under shard_map and
pmap they need the name of the batch's axis. With gradient accumulation their gradients differ from
those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from jaxgan import collectives, random
from jaxgan.games import objectives
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import Array, Batch, Objective

Term = Callable[[GANState, Batch, Keys], Array]
"""`term(state, batch, keys) -> values` of any shape, whose mean is minimized."""

Measure = Callable[[Array, Array], Array]
"""`measure(real, fake) -> [F]`: the distance between features [B, F] of both, for each feature."""

EPSILON = 1e-5
"""Added to variances, and to the denominator of the mode-seeking term."""


def plus(
    objective: Objective, term: Term, *, name: str, weight: float = 1.0, own: float = 1.0
) -> Objective:
    """Returns the objective with loss `own * loss + weight * mean(term)`.

    The mean of the term is reported, unweighted.

    Args:
        objective: The objective.
        term: The term to add.
        name: Name of the metric that reports the term.
        weight: Weight of the term.
        own: Weight of the objective's own loss. With 0.0 the term is the whole loss, as feature
            matching was proposed.
    """

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        loss, out = objective(state, batch, keys)
        values = term(state, batch, keys)
        metrics = {**out.metrics, name: Mean.of(values)}
        return own * loss + weight * jnp.mean(values), out._replace(metrics=metrics)

    return run


# --- features of real and generated images --------------------------------------------------------


def features(player: Player, layer: str, *inputs: Array, **options: object) -> Array:
    """Returns the output [B, F] of one layer of a player's network.

    The output is flattened and has at least float32 precision. The player's other collections (such
    as running averages) are read, as they are when the player is called.

    Args:
        player: The player.
        layer: Path of a submodule, such as 'Dense_1' or 'network/Dense_1'.
        *inputs: Inputs of the network.
        **options: Keyword arguments of the network, such as `keys` and `train`.

    Raises:
        ValueError: If the network has no such layer.
    """
    path = tuple(layer.split("/"))
    _, seen = player.apply_fn(
        {"params": player.params, **player.variables},
        *inputs,
        mutable=[*player.variables, "intermediates"],
        capture_intermediates=lambda module, method: module.path == path and method == "__call__",
        **options,
    )
    found = seen.get("intermediates", {})
    for part in path if found else ():
        found = found[part]
    if not found:
        raise ValueError(
            f"the network has no layer {layer!r}; its layers with parameters are "
            f"{', '.join(player.params)}"
        )
    outputs = found["__call__"][0]
    flat = outputs.reshape(outputs.shape[0], -1)
    return flat.astype(jnp.promote_types(flat.dtype, jnp.float32))


def between_features(
    draw: Forward,
    layer: str,
    measure: Measure,
    *,
    conditions: objectives.Conditions = objectives.unconditional,
    image: str = "image",
) -> Term:
    """Returns the term that compares discriminator features of real and generated images.

    The discriminator runs in training mode, with its noise layers active.

    Args:
        draw: Forward pass that generates the images (`objectives.fakes`). Called with the
            objective's keys, it generates the same images as in the objective.
        layer: Path of the discriminator's layer that gives the features.
        measure: Distance between the features of real and of generated images.
        conditions: Selects the conditions from the batch.
        image: Name of the batch entry with the real images.
    """

    def term(state: GANState, batch: Batch, keys: Keys) -> Array:
        given, judge = conditions(batch), state["discriminator"]
        fake, _ = draw(state, batch, keys)

        def seen(images: Array, name: str) -> Array:
            noise = random.fold(keys, name)
            return features(judge, layer, images, *given, keys=noise, train=True)

        return measure(seen(batch[image], "real"), seen(fake, "fake"))

    return term


def feature_matching(real: Array, fake: Array, *, axis_name: str | None = None) -> Array:
    """Returns the squared differences [F] of the features' batch means.

    Their mean is the loss of the authors' code. Their sum is the loss of the paper.

    Args:
        real: Features [B, F] of real images.
        fake: Features [B, F] of generated images.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.

    References:
        Salimans et al. 2016, "Improved Techniques for Training GANs", section 3.1.
    """
    gap = collectives.batch_mean(real, axis_name) - collectives.batch_mean(fake, axis_name)
    return jnp.square(gap)


# --- divergences of Gaussian fits -----------------------------------------------------------------


class Fit(NamedTuple):
    """A normal distribution for each feature.

    Attributes:
        mean: Means [F].
        variance: Variances [F].
    """

    mean: Array
    variance: Array


def gaussian_fit(features: Array, *, axis_name: str | None = None) -> Fit:
    """Returns the maximum-likelihood normal distribution of each feature.

    `EPSILON` is added to the variances, so that the divergences of a constant feature are finite.

    Args:
        features: Features [B, F].
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.
    """
    mean = collectives.batch_mean(features, axis_name)
    variance = collectives.batch_mean(jnp.square(features - mean[None, :]), axis_name)
    return Fit(mean, variance + EPSILON)


def kl_of_fits(left: Fit, right: Fit) -> Array:
    """Returns the divergence KL(left || right) of each feature in nats, [F].

    This is the closed form for normal distributions:

        log(s2 / s1) + (v1 + (m1 - m2)^2) / (2 v2) - 1/2

    Args:
        left: The first distributions, with means m1 and variances v1 = s1^2.
        right: The second distributions, with means m2 and variances v2 = s2^2.

    References:
        Kullback 1959, "Information Theory and Statistics".
    """
    ratio = left.variance / right.variance
    shift = jnp.square(left.mean - right.mean) / right.variance
    return 0.5 * (ratio + shift - 1 - jnp.log(ratio))


def js_of_fits(left: Fit, right: Fit) -> Array:
    """Returns an upper bound on the Jensen-Shannon divergence of each feature in nats, [F].

    The mixture of two normal distributions has no closed form of the divergence. It is replaced by
    the normal distribution with the mixture's mean and variance v. The result is the mean KL
    divergence of both fits to it, log(v / sqrt(v1 v2)) / 2. Unlike the true divergence, it grows
    without bound as the fits move apart. The formula is not from a paper; it follows from
    `kl_of_fits`.

    Args:
        left: The first distributions, with variances v1.
        right: The second distributions, with variances v2.
    """
    gap = jnp.square(left.mean - right.mean)
    variance = (left.variance + right.variance) / 2 + gap / 4
    logs = 2 * jnp.log(variance) - jnp.log(left.variance) - jnp.log(right.variance)
    return 0.25 * logs


def gaussian_kl(real: Array, fake: Array, *, axis_name: str | None = None) -> Array:
    """Returns KL(real || fake) of Gaussian fits to the features, in nats for each feature, [F].

    This is a measure for `between_features`. No paper uses it as a generator loss. In this
    direction the loss is largest for variance that the generated images lack.

    Args:
        real: Features [B, F] of real images.
        fake: Features [B, F] of generated images.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.
    """
    fits = (gaussian_fit(values, axis_name=axis_name) for values in (real, fake))
    return kl_of_fits(*fits)


def gaussian_js(real: Array, fake: Array, *, axis_name: str | None = None) -> Array:
    """Returns the Jensen-Shannon bound (`js_of_fits`) of Gaussian fits to the features, [F].

    This is a measure for `between_features`. No paper uses it as a generator loss.

    Args:
        real: Features [B, F] of real images.
        fake: Features [B, F] of generated images.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.
    """
    fits = (gaussian_fit(values, axis_name=axis_name) for values in (real, fake))
    return js_of_fits(*fits)


# --- mode seeking ---------------------------------------------------------------------------------


def mode_seeking(
    latents: objectives.Draw,
    conditions: objectives.Conditions = objectives.unconditional,
    *,
    axis_name: str | None = None,
) -> Term:
    """Returns the mode-seeking term d(z1, z2) / d(G(z1), G(z2)) of MSGAN.

    Two new latents are drawn for each condition. d is the mean absolute difference over all entries
    and over the batch. The term is one number. The paper maximizes the inverse ratio; minimizing
    this form follows the authors' code. Without a bound, a generator that ignores its latent would
    have infinite loss; `EPSILON` in the denominator bounds it.

    Args:
        latents: Samples the latents from per-example keys.
        conditions: Selects the conditions from the batch.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.

    References:
        Mao et al. 2019, "Mode Seeking Generative Adversarial Networks", equation 4.
    """

    def term(state: GANState, batch: Batch, keys: Keys) -> Array:
        def image_of(name: str) -> tuple[Array, Array]:
            own = random.fold(keys, name)
            latent = latents(own)
            noise = random.fold(own, objectives.GENERATOR_NOISE)
            return latent, state["generator"](latent, *conditions(batch), keys=noise, train=True)

        (first, left), (second, right) = image_of("first of two"), image_of("second of two")
        spread = _distance(left, right, axis_name) / _distance(first, second, axis_name)
        return 1 / (spread + EPSILON)

    return term


def _distance(left: Array, right: Array, axis_name: str | None) -> Array:
    per_example = jnp.abs(left - right).reshape(left.shape[0], -1)
    return collectives.batch_mean(jnp.mean(per_example, axis=1), axis_name)
