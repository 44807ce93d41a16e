"""Images with captions: captions as character codes, and batches of images and captions.

Code 0 is padding. Codes 1 to 69 are the characters of `ALPHABET`, and code 70 is any other
character. Captions are converted to lower case, without accents and with single spaces, and cut to
`LONGEST` characters. They are padded to a multiple of 8 characters. The user may provide embeddings
of captions in place of codes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import string
import unicodedata
from collections.abc import Sequence

import numpy as np

from jaxgan.data import counter_rng
from jaxgan.data.dataset import Dataset, Rows, positions, visited
from jaxgan.data.errors import DataError

ALPHABET = string.ascii_lowercase + string.digits + string.punctuation + " "
"""The characters with a code of their own: character i has code i + 1."""

UNKNOWN = len(ALPHABET) + 1
"""The code of every character outside the alphabet."""

CODES = UNKNOWN + 1
"""Number of codes, including the code of padding."""

LONGEST = 200
"""Maximum number of characters of a caption that are read (Reed et al. 2016 read 201)."""

STRIDE = 8
"""Encoded captions have a multiple of this length, so that networks may halve it three times."""

_CODE = {character: code for code, character in enumerate(ALPHABET, start=1)}
_PLAIN = str.maketrans(
    {
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
    }
)
_SHOWN = f"\0{ALPHABET}\N{REPLACEMENT CHARACTER}"


def plain(caption: str) -> str:
    """Returns the caption in lower case, without accents, with single spaces, and not cut."""
    parts = unicodedata.normalize("NFKD", caption.translate(_PLAIN)).lower()
    letters = "".join(part for part in parts if not unicodedata.combining(part))
    return " ".join(letters.split())


def encode(captions: Sequence[str]) -> np.ndarray:
    """Returns the character codes of captions, uint8 [N, L].

    L is the smallest multiple of 8 that holds all of them.

    Args:
        captions: the captions [N]; each is cut to `LONGEST` characters.

    Raises:
        DataError: if a caption is empty; the error gives its index.
    """
    read = [plain(caption)[:LONGEST].rstrip() for caption in captions]
    if not all(read):
        raise DataError(f"caption {read.index('')} is empty; say what the image should show")
    length = -(-max(map(len, read), default=1) // STRIDE) * STRIDE
    codes = np.zeros((len(read), length), np.uint8)
    for row, caption in zip(codes, read, strict=True):
        row[: len(caption)] = [_CODE.get(character, UNKNOWN) for character in caption]
    return codes


def decode(codes: np.ndarray) -> str:
    """Returns the caption of the codes [L], as `plain` returned it, and cut."""
    return "".join(_SHOWN[code] for code in codes if code)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Captioned(Dataset):
    """Images with one or more captions each.

    Attributes:
        texts: all captions, ordered by image: codes uint8 [M, L] or embeddings float32 [M, E].
        first: int [N + 1]; image i has the captions first[i] to first[i + 1] - 1.

    The other attributes are those of `Dataset`.

    Raises:
        DataError: if an image has no caption, or has every caption in the data: then no caption can
            be a mismatched one for it.
    """

    texts: np.ndarray
    first: np.ndarray

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = np.diff(self.first)
        if len(counts) != len(self) or self.first[-1] != len(self.texts):
            raise DataError(
                f"{self.name}: there are {len(self)} images but {len(self.texts)} captions of "
                f"{len(counts)} images; give at least one caption for each image"
            )
        if not counts.all():
            raise DataError(
                f"{self.name}: image {np.argmin(counts)} has no caption; add one or remove it"
            )
        if len(self) == 1:
            raise DataError(
                f"{self.name}: there is 1 image to train on or 1 held out, and so no other image "
                "whose caption is wrong for it; give another --holdout or more images"
            )
        own = np.bincount(self._owned // len(self.texts), minlength=len(self))
        if own.max() > self._kinds.max():
            raise DataError(
                f"{self.name}: image {np.argmax(own)} has every caption in the data, so that no "
                "caption is wrong for it; write captions that distinguish the images"
            )

    @property
    def role(self) -> str:
        """The name of captions in a batch: 'caption' for codes, 'text' for embeddings."""
        return "caption" if self.texts.dtype == np.uint8 else "text"

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of each further input of an example, by its name: here of a caption."""
        return {self.role: self.texts.shape[1:]}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of the images and their captions: equal for equal data."""
        described = f"{super().digest} {self.texts.dtype} {self.texts.shape}"
        contents = hashlib.sha256(described.encode())
        contents.update(np.ascontiguousarray(self.texts).data)
        contents.update(self.first.astype("<i8").tobytes())
        return contents.hexdigest()

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """Returns the batch of a step, a pure function of the arguments (see `Dataset.batch`).

        The batch holds 'image', and 'label' if there are labels. It also holds one caption of each
        image ('caption' or 'text', see `role`), drawn anew in every epoch, and 'mismatched', a
        caption that does not belong to the image. Captions are codes int32 [B, L] or embeddings
        float32 [B, E].

        Args:
            seed: seed of the run.
            step: training step, 0 or more.
            size: batch size.
            rows: which examples of the batch to build; None builds all of them.
            stream: name of the stream; each stream has an independent order and independent
                captions.
        """
        batch = super().batch(seed=seed, step=step, size=size, rows=rows, stream=stream)
        at = positions(step, size, rows)
        index = visited(seed, at, len(self), stream)
        counts = np.diff(self.first)[index].astype(np.uint64)
        chosen = counter_rng.bits(seed, f"{stream}caption", at) % counts
        batch[self.role] = self._shown(self.first[index] + chosen.astype(int))
        drawn = counter_rng.bits(seed, f"{stream}mismatched", at) % np.uint64(len(self.texts))
        batch["mismatched"] = self._shown(self._not_of(index, drawn.astype(int)))
        return batch

    def subset(self, indices: Sequence[int] | np.ndarray) -> Captioned:
        """Returns the dataset of the images at `indices`, in that order, with their captions."""
        chosen = np.asarray(indices)
        counts = np.diff(self.first)[chosen]
        first = np.concatenate([[0], np.cumsum(counts)])
        rows = np.repeat(self.first[chosen] - first[:-1], counts) + np.arange(first[-1])
        texts = {"texts": self.texts[rows], "first": first}
        return dataclasses.replace(self, **self._chosen(chosen), **texts)

    def captions_of(self, image: int) -> list[str]:
        """Returns an image's captions as `plain` returned them; [] if they are embeddings."""
        if self.role != "caption":
            return []
        return [decode(row) for row in self.texts[self.first[image] : self.first[image + 1]]]

    @functools.cached_property
    def _kinds(self) -> np.ndarray:
        """A number [M] for each caption; equal captions have equal numbers."""
        return np.unique(self.texts, axis=0, return_inverse=True)[1].reshape(-1)

    @functools.cached_property
    def _owned(self) -> np.ndarray:
        """A sorted array with one number for each pair of an image and one of its captions."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.first))
        return np.unique(owners * len(self.texts) + self._kinds)

    def _not_of(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns the caption indices [B]; an image's own caption is replaced by the next other."""
        rows = rows.copy()
        while True:
            asked = images * len(self.texts) + self._kinds[rows]
            place = np.minimum(np.searchsorted(self._owned, asked), len(self._owned) - 1)
            own = self._owned[place] == asked
            if not own.any():
                return rows
            rows[own] = (rows[own] + 1) % len(self.texts)

    def _shown(self, rows: np.ndarray) -> np.ndarray:
        texts = self.texts[rows]
        return texts.astype(np.int32) if self.role == "caption" else texts


def captioned(images: Dataset, captions: Sequence[Sequence[str]]) -> tuple[Captioned, list[str]]:
    """Returns the images with their captions, and notes for the user on what was cut or unknown.

    Args:
        images: the images [N].
        captions: for each image, its captions: at least one, none of them empty.
    """
    every = [caption for own in captions for caption in own]
    texts = encode(every)
    notes = []
    cut = sum(len(plain(caption)) > LONGEST for caption in every)
    if cut:
        notes.append(f"{cut} of {len(every)} captions were cut to {LONGEST} characters.")
    strange = int(np.any(texts == UNKNOWN, axis=1).sum())
    if strange:
        notes.append(
            f"{strange} of {len(every)} captions have characters outside the alphabet (Latin "
            "letters, digits, ASCII punctuation), all of which get the same code."
        )
    return with_texts(images, texts, [len(own) for own in captions]), notes


def with_texts(images: Dataset, texts: np.ndarray, counts: Sequence[int]) -> Captioned:
    """Returns the images with captions that are encoded or embedded already.

    Args:
        images: the images [N].
        texts: all captions, ordered by image: codes uint8 [M, L] or embeddings float32 [M, E].
        counts: number of captions of each image [N]; their sum is M.
    """
    first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    fields = {field.name: getattr(images, field.name) for field in dataclasses.fields(Dataset)}
    return Captioned(**fields, texts=texts, first=first)
