"""Structured joint embedding of images and captions: two encoders, trained with a symmetric hinge.

Matching images and captions get similar embeddings. This pretrains the text encoder to represent
the visible content of captions. The scores also measure how well generated images match their
captions.

Warning: the loss compares all images of a batch with all captions. Under shard_map and pmap it
compares only those of the same shard, and with gradient accumulation only those of the same slice.

References:
    Reed et al. 2016, "Learning Deep Representations of Fine-grained Visual Descriptions".
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
"""The text encoder and the image encoder."""

SMALLEST = 7
"""Downsampling of an image ends when its shorter side has at most this many pixels."""


class ImageEncoder(linen.Module):
    """Maps images [B, H, W, C] to embeddings [B, size].

    The network has stride-2 convolutions, one stride-1 convolution, global average pooling and a
    dense layer. All convolutions have batch normalization and ReLU. Each stride-2 convolution has
    twice the channels of the one before.

    Attributes:
        size: Size of an embedding.
        width: Channels of the first convolution.
        axis_name: Name of the batch's axis under shard_map and pmap. None under jit.
    """

    size: int = 128
    width: int = 32
    axis_name: str | None = None

    @linen.compact
    def __call__(self, images: Array, *, keys: Keys | None = None, train: bool = False) -> Array:
        """Encodes images.

        Args:
            images: Images [B, H, W, C] in [-1, 1].
            keys: Unused; the encoder is deterministic.
            train: Whether batch statistics are used instead of running averages.
        """
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
    """Normalizes embeddings [B, E] to a mean square of 1 each, which removes their scale."""
    squares = jnp.mean(jnp.square(embeddings), axis=-1, keepdims=True)
    return embeddings * jax.lax.rsqrt(squares + 1e-6)


def compatibility(images: Array, texts: Array) -> Array:
    """Computes the compatibility of each image with each text, [N, M].

    It is sqrt(E) times the cosine similarity of the embeddings.

    Args:
        images: Embeddings [N, E] of images.
        texts: Embeddings [M, E] of texts.
    """
    return unit(images) @ unit(texts).T / jnp.sqrt(images.shape[1])


def structured_loss(scores: Array, alike: Array, *, margin: float = 1.0) -> Array:
    """Computes the symmetric hinge loss of the structured joint embedding, [N].

    An image should be more compatible with its own text than with any other text, by a margin, and
    a text with its own image. The loss is the mean hinge of each image over the other texts plus
    that of each text over the other images.

    Args:
        scores: Compatibilities [N, N] of image i (row) and text j (column). Text i belongs to image
            i.
        alike: Booleans [N, N]: whether text j also describes image i, so that it is not a negative.
            True on the diagonal.
        margin: The margin of the hinge.

    References:
        Reed et al. 2016, equations 3 to 5.
    """
    right = jnp.diagonal(scores)
    wrong = 1.0 - alike.astype(scores.dtype)
    by_image = jnp.maximum(margin + scores - right[:, None], 0) * wrong
    by_text = jnp.maximum(margin + scores - right[None, :], 0) * wrong
    counts = [jnp.maximum(jnp.sum(wrong, axis=axis), 1) for axis in (1, 0)]
    return jnp.sum(by_image, axis=1) / counts[0] + jnp.sum(by_text, axis=0) / counts[1]


def objective(state: GANState, batch: Batch, keys: Keys) -> tuple[Array, Out]:
    """Objective of both encoders: the structured loss of the batch's images and captions.

    Reported metric: the fraction of images that are more compatible with their own caption than
    with any other, 'matched'.

    Args:
        state: The state with the players 'encoder' and 'image_encoder'.
        batch: A batch with 'image' and 'caption'.
        keys: Per-example keys [B].
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
    """Returns the model that trains a text and an image encoder to match images and captions.

    Its `sample` raises ValueError, because the model does not generate images.

    Args:
        encoder: The text encoder's module: captions [B, L] to embeddings.
        image_encoder: The image encoder's module: images to embeddings.
        shape: Shape (H, W, C) of the images.
        training: Training options with the optimizers 'encoder' and 'image_encoder'. Both players
            have one common objective, so the schedule, shared noise and `refine` are not used.
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
        raise ValueError("this model trains only the encoders; it generates no images")

    return builder.assemble(networks, body, sample, training, conditions=(), averaged=PLAYERS)


def scores(state: GANState, images: Array, captions: Array) -> Array:
    """Computes the compatibility [N, M] of images and captions with the encoders in inference mode.

    Args:
        state: The state with the players 'encoder' and 'image_encoder'.
        images: Images [N, H, W, C] in [-1, 1].
        captions: Captions [M, L].
    """
    return compatibility(state["image_encoder"](images), state["encoder"](captions))
