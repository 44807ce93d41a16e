"""Terms beside the adversarial loss that ask a generator for as much variety as the data have.

A term maps `(state, batch, keys)` to values whose mean is minimized; `plus` adds it to an objective
or puts it in the objective's place. The measures of two sets of features see only their means (and
variances), and `mode_seeking` is a ratio of two means, which couples the examples: under shard_map
and pmap they need the batch's axis, and accumulated gradients are not those of the whole batch.
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
"""Values of any shape, whose mean is to be small."""

Measure = Callable[[Array, Array], Array]
"""`measure(real, fake) -> [F]`: how far apart features [B, F] of two kinds are, by feature."""

EPSILON = 1e-5


def plus(
    objective: Objective, term: Term, *, name: str, weight: float = 1.0, own: float = 1.0
) -> Objective:
    """The objective with its loss taken `own` times and the mean of the term `weight` times.

    The term is reported by the name, unweighted. With `own=0.0` it is the whole loss, as feature
    matching was proposed.
    """

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        loss, out = objective(state, batch, keys)
        values = term(state, batch, keys)
        metrics = {**out.metrics, name: Mean.of(values)}
        return own * loss + weight * jnp.mean(values), out._replace(metrics=metrics)

    return run


# --- features of real and generated images ------------------------------------------------------


def features(player: Player, layer: str, *inputs: Array, **options: object) -> Array:
    """What the named layer of the player's network puts out on the inputs, [B, F], in float32 at
    least.

    `layer` is the path of a submodule, such as 'Dense_1' or 'network/Dense_1'. The player's other
    collections are read, as they are by calling it. Raises ValueError where there is no such layer.
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
            f"the network has no layer {layer!r}; those with parameters are "
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
    """The term that measures how far the discriminator's features of generated images are from
    those of real ones.

    `draw` makes the images (`objectives.fakes`): with the objective's keys, the images that it
    meets. The discriminator runs in training mode, with its noise.
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
    """The squared differences of the features' means over the batch, [F] (Salimans et al. 2016,
    section 3.1). Their mean is the loss of the authors' code, their sum the paper's.
    """
    gap = collectives.batch_mean(real, axis_name) - collectives.batch_mean(fake, axis_name)
    return jnp.square(gap)


# --- divergences of Gaussian fits -----------------------------------------------------------------


class Fit(NamedTuple):
    """A normal distribution for each feature: mean [F] and variance [F]."""

    mean: Array
    variance: Array


def gaussian_fit(features: Array, *, axis_name: str | None = None) -> Fit:
    """The fit of greatest likelihood to features [B, F], `EPSILON` added to the variances, so that
    a feature that is the same for all examples has finite divergences.
    """
    mean = collectives.batch_mean(features, axis_name)
    variance = collectives.batch_mean(jnp.square(features - mean[None, :]), axis_name)
    return Fit(mean, variance + EPSILON)


def kl_of_fits(left: Fit, right: Fit) -> Array:
    """KL(left || right) of each feature, in nats, [F]: log(s2 / s1) + (v1 + (m1 - m2)^2) / (2 v2)
    - 1/2, the closed form for normal distributions (Kullback 1959).
    """
    ratio = left.variance / right.variance
    shift = jnp.square(left.mean - right.mean) / right.variance
    return 0.5 * (ratio + shift - 1 - jnp.log(ratio))


def js_of_fits(left: Fit, right: Fit) -> Array:
    """The Jensen-Shannon divergence of each feature, in nats, [F], with the normal distribution of
    the mixture's mean and variance v for the mixture, which has no closed form: the mean KL of both
    to it, log(v / sqrt(v1 v2)) / 2.

    It is the true divergence's upper bound, and unlike it grows without end as the fits part. The
    form is no paper's; it follows from `kl_of_fits`.
    """
    gap = jnp.square(left.mean - right.mean)
    variance = (left.variance + right.variance) / 2 + gap / 4
    logs = 2 * jnp.log(variance) - jnp.log(left.variance) - jnp.log(right.variance)
    return 0.25 * logs


def gaussian_kl(real: Array, fake: Array, *, axis_name: str | None = None) -> Array:
    """KL(real || fake) of Gaussian fits to features [B, F] of both, by feature, [F].

    A measure, and as a generator's loss no paper's: in this direction a generator pays most for
    variance that its images lack.
    """
    fits = (gaussian_fit(values, axis_name=axis_name) for values in (real, fake))
    return kl_of_fits(*fits)


def gaussian_js(real: Array, fake: Array, *, axis_name: str | None = None) -> Array:
    """The Jensen-Shannon divergence of Gaussian fits to features [B, F] of both (`js_of_fits`), by
    feature, [F]. A measure, and as a generator's loss no paper's.
    """
    fits = (gaussian_fit(values, axis_name=axis_name) for values in (real, fake))
    return js_of_fits(*fits)


# --- two images of one condition ------------------------------------------------------------------


def mode_seeking(
    latents: objectives.Draw,
    conditions: objectives.Conditions = objectives.unconditional,
    *,
    axis_name: str | None = None,
) -> Term:
    """The term d(z1, z2) / d(G(z1), G(z2)) of two fresh latents for each condition, d being the
    mean absolute difference over entries and batch (MSGAN, Mao et al. 2019, eq. 4, as its authors'
    code inverts the ratio); its mean is one number.

    A generator that ignores its latent pays without end; `EPSILON` bounds it.
    """

    def term(state: GANState, batch: Batch, keys: Keys) -> Array:
        def image_of(name: str) -> tuple[Array, Array]:
            own = random.fold(keys, name)
            latent = latents(own)
            noise = random.fold(own, "generator noise")
            return latent, state["generator"](latent, *conditions(batch), keys=noise, train=True)

        (first, left), (second, right) = image_of("first of two"), image_of("second of two")
        spread = _distance(left, right, axis_name) / _distance(first, second, axis_name)
        return 1 / (spread + EPSILON)

    return term


def _distance(left: Array, right: Array, axis_name: str | None) -> Array:
    per_example = jnp.abs(left - right).reshape(left.shape[0], -1)
    return collectives.batch_mean(jnp.mean(per_example, axis=1), axis_name)
