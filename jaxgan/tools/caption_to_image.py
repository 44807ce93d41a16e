"""Images of captions by a trained text-to-image model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from jaxgan.data import captions
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel

_LETTERS = 80  # the most characters of a caption in a file name


def pictures(
    model: TrainedModel, asked: Sequence[str], *, each: int = 1, seed: int = 0
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields images of each caption, with a unique name for each image.

    Args:
        model: The trained model.
        asked: The captions.
        each: Number of images per caption.
        seed: Seed of the latents.

    Yields:
        A name, and an image [H, W, C] in the values of the training data.

    Raises:
        RunError: If the model is not conditioned on captions, or `each` is below 1.
        DataError: If a caption is empty.
    """
    require_captions(model)
    if each < 1:
        raise RunError(f"{each} pictures of each caption were asked for; expected 1 or more")
    codes = np.repeat(captions.encode(asked), each, axis=0)
    drawn = model.sample(seed, len(codes), values=True, caption=codes)
    repeated = [caption for caption in asked for _ in range(each)]
    yield from zip(names_of(repeated), drawn, strict=True)


def require_captions(model: TrainedModel) -> None:
    """Raises RunError if the model is not conditioned on captions."""
    if "caption" not in model.gan.conditions:
        takes = ", ".join(model.gan.conditions) or "nothing"
        raise RunError(f"the model draws nothing from captions; it takes {takes}")


def names_of(asked: Sequence[str]) -> list[str]:
    """Returns a unique file name, without suffix, for each caption.

    'A dog!' becomes a-dog, and a later 'a dog' becomes a-dog-2.
    """
    taken: dict[str, None] = {}
    numbers: dict[str, int] = {}  # the last of each stem: equal captions take linear time
    for caption in asked:
        stem = re.sub(r"[^a-z0-9]+", "-", captions.plain(caption)).strip("-")[:_LETTERS]
        stem = stem or "caption"
        number = numbers.get(stem, 0) + 1
        while (name := stem if number == 1 else f"{stem}-{number}") in taken:
            number += 1
        numbers[stem], taken[name] = number, None
    return list(taken)
