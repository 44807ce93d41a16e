"""CycleGAN (Zhu et al. 2017): translation between two domains, learned without pairs.

There are two generators and two discriminators. An image translated to the other domain and back
must match the original. Batches hold unpaired images 'a' and 'b'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import losses, nn, random
from jaxgan.games import builder, domain_translation, objectives, replay_pool
from jaxgan.games.builder import Side
from jaxgan.games.domain_translation import DISCRIMINATORS, GENERATORS, Shape
from jaxgan.games.training import Training
from jaxgan.losses import AdversarialLoss
from jaxgan.nn import layers, patch_discriminator, resampling
from jaxgan.nn.normalization import instance_norm
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out, Player
from jaxgan.steps.shared_forward import Forward
from jaxgan.types import GAN, Array, Batch, Objective

LEAST_SQUARES = losses.least_squares(factor=1.0)
"""Least-squares loss of Zhu et al., without the factor 1/2.

The weights of the other terms are relative to it.
"""

_SMALLEST = 8


class ResNetGenerator(linen.Module):
    """Maps images [B, H, W, C] to images [B, H, W, channels] in [-1, 1].

    In the paper's notation, for a width of 64: c7s1-64, d128, d256, R256 x `blocks`, u128, u64,
    c7s1-3. Instance normalization, ReLU and reflection padding are used. Each image is translated
    independently of the others. Sides that are not multiples of 4 are rounded up inside and cropped
    back.

    Attributes:
        channels: Channels of the output.
        blocks: Number of residual blocks.
        width: Channels of the first layer.

    References:
        Zhu et al. 2017, section 7.2.
    """

    channels: int
    blocks: int
    width: int = 64

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Returns translated images [B, H, W, channels] in [-1, 1].

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; every network takes it.
            train: Unused; every network takes it.
        """
        height, width = images.shape[1:3]
        x = _rectified(_reflected(images, self.width, 7))
        for features in (2 * self.width, 4 * self.width):
            x = _rectified(_conv(features, strides=2, padding=1)(x))
        for _ in range(self.blocks):
            y = _rectified(_reflected(x, x.shape[-1], 3))
            x = x + instance_norm(_reflected(y, x.shape[-1], 3))
        for features in (2 * self.width, self.width):
            x = _rectified(_doubled(features)(x))
        x = x[:, :height, :width]
        return jnp.tanh(_reflected(x, self.channels, 7, use_bias=True))


def _rectified(x: Array) -> Array:
    return jax.nn.relu(instance_norm(x))


def _conv(features: int, taps: int = 3, *, use_bias: bool = False, **options: Any) -> nn.Conv:
    """Returns a convolution, by default without bias, which a norm would cancel."""
    return nn.Conv(
        features,
        (taps, taps),
        use_bias=use_bias,
        kernel_init=layers.normal_weights,
        **options,
    )


def _reflected(x: Array, features: int, taps: int, *, use_bias: bool = False) -> Array:
    """Convolves images that are reflected at their borders; `taps` is odd."""
    padded = resampling.reflected(x, [(taps // 2, taps // 2)] * 2)
    return _conv(features, taps, use_bias=use_bias, padding="VALID")(padded)


def _doubled(features: int) -> nn.ConvTranspose:
    return nn.ConvTranspose(
        features,
        (3, 3),
        strides=2,
        padding=((1, 2), (1, 2)),
        use_bias=False,
        kernel_init=layers.normal_weights,
    )


def blocks_for(size: tuple[int, int]) -> int:
    """Returns the paper's number of residual blocks: 6 up to 128 pixels, 9 above."""
    return 6 if max(size) <= 128 else 9


# --- one pass for two batches ---------------------------------------------------------------------


def together(first: Array, second: Array) -> Array:
    """Interleaves two batches [B, ...] into one [2 B, ...], so that shards stay local.

    One pass over both is faster than two. It is only valid for networks that treat every image
    independently.

    Args:
        first: Batch [B, ...].
        second: Batch [B, ...].
    """
    return jnp.stack([first, second], axis=1).reshape(-1, *first.shape[1:])


def apart(both: Array) -> tuple[Array, Array]:
    """Returns the two batches that `together` joined."""
    pairs = both.reshape(-1, 2, *both.shape[1:])
    return pairs[:, 0], pairs[:, 1]


def translations(*, identities: bool) -> Forward:
    """Returns the forward pass of both generators, which a round computes once.

    Its result has the generated images of each domain under 'a' and 'b'.

    Args:
        identities: Whether the result also has 'same_a' and 'same_b': each generator's output for
            real images of its target domain.
    """

    def run(state: GANState, batch: Batch, keys: Keys) -> tuple[Any, dict[str, Player]]:
        a, b = batch["a"], batch["b"]
        to_b, to_a = (state[name] for name in GENERATORS)
        if not identities:
            return {"a": to_a(b, train=True), "b": to_b(a, train=True)}, {}
        fake_a, same_a = apart(to_a(together(b, a), train=True))
        fake_b, same_b = apart(to_b(together(a, b), train=True))
        return {"a": fake_a, "b": fake_b, "same_a": same_a, "same_b": same_b}, {}

    return Forward(GENERATORS, run)


# --- objectives -----------------------------------------------------------------------------------


def generator_objective(
    loss: AdversarialLoss, draw: Forward, *, cycle: float, identity: float
) -> Objective:
    """Returns the objective of both generators.

    It is the sum of the adversarial loss, of `cycle` times the cycle-consistency loss, and of
    `cycle * identity` times the identity loss. The latter two are mean absolute errors.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of both generators (`translations`).
        cycle: Weight of the cycle-consistency loss.
        identity: Weight of the identity loss, relative to `cycle`. 0 leaves it out.

    References:
        Zhu et al. 2017, equation 3 and section 5.2 (identity loss).
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        made, _ = draw(state, batch, keys)
        to_b, to_a = (state[name] for name in GENERATORS)
        back = {"a": to_a(made["b"], train=True), "b": to_b(made["a"], train=True)}
        names = ["adversarial", "cycle", *["identity"] * bool(identity)]
        terms = dict.fromkeys(names, jnp.zeros(()))
        for domain in ("a", "b"):
            real, judge = batch[domain], state[f"discriminator_{domain}"]
            at_real, at_fake = domain_translation.keys_at(domain, keys)
            real_logits = judge(real, keys=at_real, train=True) if loss.relativistic else None
            fake_logits = judge(made[domain], keys=at_fake, train=True)
            verdict = loss.generator(fake_logits, real_logits)
            terms["adversarial"] += jnp.mean(verdict)
            terms["cycle"] += cycle * _absolute(back[domain] - real)
            if identity:
                terms["identity"] += cycle * identity * _absolute(made[f"same_{domain}"] - real)
        return sum(terms.values(), jnp.zeros(())), Out(jax.tree.map(Mean.of, terms))

    return objective


def discriminator_objective(loss: AdversarialLoss, draw: Forward, *, pooled: bool) -> Objective:
    """Returns the objective of both discriminators, on real and generated images.

    Args:
        loss: Adversarial loss.
        draw: Forward pass of both generators (`translations`).
        pooled: Whether earlier generated images are replayed (`replay_pool.exchange`).
    """

    def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
        made, _ = draw(state, batch, keys)
        value: Any = 0.0
        metrics, buffers = {}, {}
        for domain in ("a", "b"):
            fake, name = made[domain], f"pool_{domain}"
            if pooled:
                pool, pool_keys = state.buffers[name], random.fold(keys, name)
                fake, buffers[name] = replay_pool.exchange(pool, fake, pool_keys)
            judge = state[f"discriminator_{domain}"]
            both, own = together(batch[domain], fake), random.several(random.fold(keys, domain), 2)
            real_logits, fake_logits = apart(judge(both, keys=own, train=True))
            value += jnp.mean(loss.discriminator(real_logits, fake_logits))
            verdicts = objectives.verdicts(loss, real_logits, fake_logits)
            metrics |= {f"{domain}/{key}": mean for key, mean in verdicts.items()}
        return value, Out(metrics, buffers=buffers)

    return objective


def _absolute(difference: Array) -> Array:
    return jnp.mean(jnp.abs(difference))


# --- the game -------------------------------------------------------------------------------------


def build(
    *,
    shape_a: Shape,
    shape_b: Shape,
    training: Training,
    loss: AdversarialLoss = LEAST_SQUARES,
    cycle: float = 10.0,
    identity: float = 0.5,
    pool: int = 50,
    blocks: int | None = None,
    width: int = 64,
    discriminator_width: int = 64,
    patch_size: int = 70,
) -> GAN:
    """Builds a CycleGAN between images of two shapes.

    Args:
        shape_a: Height, width and channels of the images 'a'.
        shape_b: Height, width and channels of the images 'b', of the same height and width.
        training: How the players are trained. Each of its two optimizers updates both generators or
            both discriminators. Averages are kept of the generators. By default a round is
            `domain_translation.simultaneously` with shared noise.
        loss: Adversarial loss. The discriminators' is halved.
        cycle: Weight of the cycle-consistency loss.
        identity: Weight of the identity loss, relative to `cycle`. Must be 0 if the domains have
            different numbers of channels.
        pool: Generated images kept for each discriminator (replay pool). 0 uses none.
        blocks: Residual blocks of the generators. None chooses by size (`blocks_for`).
        width: Channels of the generators' first layer.
        discriminator_width: Channels of the discriminators' first layer.
        patch_size: Patch size of the discriminators in pixels.

    Returns:
        The model. `sample(state, keys, a=images)` translates to b, and `sample(state, keys,
        b=images)` translates to a. Images may have any height and width.

    Raises:
        ValueError: The shapes do not fit each other or the networks, or the patch size is unknown.

    References:
        Zhu et al. 2017, sections 3, 4 and 7.2.
    """
    training = training.otherwise(schedule=domain_translation.simultaneously, shared_noise=True)
    _require_fit(shape_a, shape_b, identity)
    patch_discriminator.verdicts(patch_size, shape_a[:2])
    shapes = {"a": shape_a, "b": shape_b}
    blocks = blocks_for(shape_a[:2]) if blocks is None else blocks
    draw = translations(identities=identity > 0)
    judging = discriminator_objective(domain_translation.halved(loss), draw, pooled=pool != 0)
    translating = generator_objective(loss, draw, cycle=cycle, identity=identity)
    body = builder.round_of_play(
        Side("discriminator", DISCRIMINATORS, judging),
        Side("generator", GENERATORS, translating),
        training,
        draw=draw,
    )
    return builder.assemble(
        domain_translation.both_ways(
            shapes,
            lambda channels: ResNetGenerator(channels, blocks, width),
            patch_discriminator.PatchDiscriminator(patch_size, discriminator_width, "instance"),
            training.optimizers,
        ),
        body,
        domain_translation.both_ways_sample(shapes),
        training,
        conditions=("a", "b"),
        averaged=GENERATORS,
        buffers=lambda: _pools(pool, shapes),
    )


def _pools(capacity: int, shapes: Mapping[str, Shape]) -> dict[str, replay_pool.Pool]:
    if capacity == 0:
        return {}
    return {f"pool_{domain}": replay_pool.pool(capacity, shape) for domain, shape in shapes.items()}


def _require_fit(shape_a: Shape, shape_b: Shape, identity: float) -> None:
    domain_translation.require_one_size(shape_a, shape_b)
    if min(shape_a[:2]) < _SMALLEST:
        raise ValueError(
            f"images of {shape_a[0]}x{shape_a[1]} pixels are too small for the generators; "
            f"expected {_SMALLEST} pixels or more"
        )
    if identity and shape_a[2] != shape_b[2]:
        raise ValueError(
            f"images of a have {shape_a[2]} channels and images of b {shape_b[2]}; the identity "
            "loss needs as many in both: set identity=0 or convert one domain"
        )
