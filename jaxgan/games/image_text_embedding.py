"""Two networks that give an image and its captions embeddings near each other: a structured joint
embedding (Reed et al. 2016, Learning deep representations of fine-grained visual descriptions).

It teaches the network that reads the captions what of them is to be seen; and it judges how well
images and captions match. Its loss compares all images of a batch with all captions: under
shard_map and pmap, and in accumulated gradients, with those of the shard or the slice.
"""

from __future__ import annotations

from typing import Any

import flax.linen as linen
import jax
import jax.numpy as jnp

from jaxgan import nn, random, steps
from jaxgan.games import builder
from jaxgan.games.builder import Network
from jaxgan.games.training import Training
from jaxgan.nn import normalization
from jaxgan.random import Keys
from jaxgan.state import GANState, Mean, Out
from jaxgan.types import GAN, Array, Batch, Objective

PLAYERS = ("encoder", "image_encoder")
"""Who reads captions, and who sees images."""

SMALLEST = 7
"""Pixels of the shorter side, at most, at which an image is no more halved."""


class ImageEncoder(linen.Module):
    """Images [B, H, W, C] to embeddings [B, size]: stride-2 convolutions, each but the last with
    twice the channels of the one before, and the mean over what is left of the image.
    """

    size: int = 128
    width: int = 32
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        x, index = images, 0
        while index == 0 or min(x.shape[1:3]) > SMALLEST:
            x = nn.Conv(self.width << index, (4, 4), strides=(2, 2), use_bias=False)(x)
            norm = normalization.normalize("batch", train=train, axis_name=self.axis_name)
            x, index = jax.nn.relu(norm(x)), index + 1
        x = nn.Conv(self.width << (index - 1), (3, 3), use_bias=False)(x)
        norm = normalization.normalize("batch", train=train, axis_name=self.axis_name)
        x = jnp.mean(jax.nn.relu(norm(x)), axis=(1, 2))
        return linen.Dense(self.size)(x)


def unit(embeddings: Array) -> Array:
    """The embeddings [B, E] with a mean square of 1 each, so that their scale says nothing."""
    squares = jnp.mean(jnp.square(embeddings), axis=-1, keepdims=True)
    return embeddings * jax.lax.rsqrt(squares + 1e-6)


def compatibility(images: Array, texts: Array) -> Array:
    """How well each image [N, E] and each text [M, E] match, [N, M]: the root of E times the cosine
    of their embeddings.
    """
    return unit(images) @ unit(texts).T / jnp.sqrt(images.shape[1])


def structured_loss(scores: Array, alike: Array, *, margin: float = 1.0) -> Array:
    """By how much each image's text, and each text's image, [N], is not better than the wrong ones
    by the margin: the symmetric hinge of Reed et al. 2016, equation 3 to 5, the mean over these.

    scores: [N, N], row i of the image i, whose text is in column i.
    alike:  [N, N], where a text is no wrong one of an image.
    """
    right = jnp.diagonal(scores)
    wrong = 1.0 - alike.astype(scores.dtype)
    by_image = jnp.maximum(margin + scores - right[:, None], 0) * wrong
    by_text = jnp.maximum(margin + scores - right[None, :], 0) * wrong
    counts = [jnp.maximum(jnp.sum(wrong, axis=axis), 1) for axis in (1, 0)]
    return jnp.sum(by_image, axis=1) / counts[0] + jnp.sum(by_text, axis=0) / counts[1]


def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
    """Both encoders': the structured loss of the batch's images and captions.

    Reported: the share of images that match their caption better than any wrong one.
    """
    texts, encoder = state["encoder"].mutate(batch["caption"], keys=keys, train=True)
    noise = random.fold(keys, "image encoder")
    images, image_encoder = state["image_encoder"].mutate(batch["image"], keys=noise, train=True)
    captions = batch["caption"]
    alike = jnp.all(captions[:, None, :] == captions[None, :, :], axis=2)
    scores = compatibility(images, texts)
    values = structured_loss(scores, alike)
    best = jnp.max(jnp.where(alike, -jnp.inf, scores), axis=1)
    metrics = {"matched": Mean.of(jnp.diagonal(scores) > best)}
    return jnp.mean(values), Out(
        metrics, players={"encoder": encoder, "image_encoder": image_encoder}
    )


def build(
    encoder: linen.Module,
    image_encoder: linen.Module,
    *,
    shape: tuple[int, int, int],
    training: Training,
) -> GAN:
    """The players 'encoder' and 'image_encoder', which learn to match batches' 'image' and
    'caption'; nothing is drawn: `sample` raises ValueError.

    training: an optimizer for each of the two players. They have one objective, and so no schedule,
              no shared noise and nothing to refine.
    """
    learn: Objective = objective
    body = steps.update(
        PLAYERS,
        learn,
        prefix="matching/",
        accumulate=training.accumulate,
        axis_name=training.axis_name,
    )
    networks = {
        "encoder": Network(encoder, training.optimizers["encoder"], [(8,)]),
        "image_encoder": Network(image_encoder, training.optimizers["image_encoder"], [shape]),
    }

    def sample(state: GANState, keys: Keys, **conditions: Any) -> Array:
        raise ValueError("the captions' encoder is all that is trained yet; nothing can be drawn")

    return builder.assemble(networks, body, sample, training, conditions=(), averaged=PLAYERS)


def scores(state: GANState, images: Array, captions: Array) -> Array:
    """How well each image [N, H, W, C] and each caption [M, L] match, [N, M], by the encoders as
    they are.
    """
    return compatibility(state["image_encoder"](images), state["encoder"](captions))
