"""Images with captions: captions as rows of character codes, and batches of both.

Code 0 is nothing, which fills a row up; 1 to 69 are the characters of `ALPHABET`, and 70 is any
other. Captions are taken in lower case, without accents and with single spaces, and cut to
`LONGEST` characters; a row's length is a multiple of 8. In the place of codes, captions may be
embeddings that the user brings.
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
"""Code i + 1 is the character i."""

UNKNOWN = len(ALPHABET) + 1
"""The code of a character that is not in the alphabet."""

CODES = UNKNOWN + 1
"""How many codes there are, nothing being one of them."""

LONGEST = 200
"""Characters of a caption that are read (Reed et al. 2016 read 201)."""

STRIDE = 8
"""What divides the length of a row: networks may halve it three times."""

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
    """The caption as it is read: in lower case, without accents, with single spaces, not cut."""
    parts = unicodedata.normalize("NFKD", caption.translate(_PLAIN)).lower()
    letters = "".join(part for part in parts if not unicodedata.combining(part))
    return " ".join(letters.split())


def encode(captions: Sequence[str]) -> np.ndarray:
    """The codes of the captions, uint8 [N, L], L being as small as holds them all.

    Raises DataError, with its number, where a caption is empty.
    """
    read = [plain(caption)[:LONGEST].rstrip() for caption in captions]
    if not all(read):
        raise DataError(f"caption {read.index('')} is empty; say what the image is to show")
    length = -(-max(map(len, read), default=1) // STRIDE) * STRIDE
    codes = np.zeros((len(read), length), np.uint8)
    for row, caption in zip(codes, read, strict=True):
        row[: len(caption)] = [_CODE.get(character, UNKNOWN) for character in caption]
    return codes


def decode(codes: np.ndarray) -> str:
    """The caption of a row of codes [L], as it was read."""
    return "".join(_SHOWN[code] for code in codes if code)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Captioned(Dataset):
    """Images with one or more captions each.

    texts: the captions of all images, one image's after the other's: codes uint8 [M, L], or
           embeddings float32 [M, E].
    first: int [N + 1]; image i has the captions first[i] to first[i + 1] - 1.

    Raises DataError where an image has no caption, or is captioned by everything that any is: then
    no caption is wrong for it.
    """

    texts: np.ndarray
    first: np.ndarray

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = np.diff(self.first)
        if len(counts) != len(self) or self.first[-1] != len(self.texts):
            raise DataError(
                f"{self.name}: there are {len(self)} images, and {len(self.texts)} captions of "
                f"{len(counts)}; give captions for each image"
            )
        if not counts.all():
            raise DataError(
                f"{self.name}: image {np.argmin(counts)} has no caption; add one or leave it out"
            )
        own = np.bincount(self._owned // len(self.texts), minlength=len(self))
        if own.max() > self._kinds.max():
            raise DataError(
                f"{self.name}: image {np.argmax(own)} has every caption that there is, so "
                "that none is wrong for it; caption the images by what tells them apart"
            )

    @property
    def role(self) -> str:
        """What batches call the captions: 'caption' where they are codes, 'text' where they are
        embeddings.
        """
        return "caption" if self.texts.dtype == np.uint8 else "text"

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what else an example holds, by role: of a caption."""
        return {self.role: self.texts.shape[1:]}

    @functools.cached_property
    def digest(self) -> str:
        """The sha256, in hex, of all that the images and their captions are."""
        described = f"{super().digest} {self.texts.dtype} {self.texts.shape}"
        contents = hashlib.sha256(described.encode())
        contents.update(np.ascontiguousarray(self.texts).data)
        contents.update(self.first.astype("<i8").tobytes())
        return contents.hexdigest()

    def batch(
        self, *, seed: int, step: int, size: int, rows: Rows = None, stream: str = ""
    ) -> dict[str, np.ndarray]:
        """The batch of step `step`, a pure function of the arguments (see `Dataset.batch`).

        Beside 'image' (and 'label'): a caption of each image, drawn anew in every epoch, and
        'mismatched', a caption of any image that is none of this one's; codes int32 [B, L], or
        embeddings float32 [B, E].
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
        """The dataset of the images at `indices`, in that order, with all their captions."""
        chosen = np.asarray(indices)
        counts = np.diff(self.first)[chosen]
        first = np.concatenate([[0], np.cumsum(counts)])
        rows = np.repeat(self.first[chosen] - first[:-1], counts) + np.arange(first[-1])
        labels = None if self.labels is None else self.labels[chosen]
        return dataclasses.replace(
            self,
            images=self.images[chosen],
            labels=labels,
            texts=self.texts[rows],
            first=first,
        )

    def captions_of(self, image: int) -> list[str]:
        """The captions of an image as they were read; none where they are embeddings."""
        if self.role != "caption":
            return []
        return [decode(row) for row in self.texts[self.first[image] : self.first[image + 1]]]

    @functools.cached_property
    def _kinds(self) -> np.ndarray:
        """A number [M] for each caption, the same for equal ones."""
        return np.unique(self.texts, axis=0, return_inverse=True)[1].reshape(-1)

    @functools.cached_property
    def _owned(self) -> np.ndarray:
        """A number for each pair of an image and a caption of it, sorted."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.first))
        return np.unique(owners * len(self.texts) + self._kinds)

    def _not_of(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The captions [B] at the rows [B] or, where they are the images' own, the next others."""
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
    """The images, each with its captions (one at least, none empty), and notes on what was cut."""
    every = [caption for own in captions for caption in own]
    texts = encode(every)
    notes = []
    cut = sum(len(plain(caption)) > LONGEST for caption in every)
    if cut:
        notes.append(f"{cut} of {len(every)} captions are cut to {LONGEST} characters.")
    strange = int(np.any(texts == UNKNOWN, axis=1).sum())
    if strange:
        notes.append(
            f"{strange} of {len(every)} captions have characters outside of the alphabet "
            "(Latin letters, digits, signs of ASCII), which are all read alike."
        )
    return with_texts(images, texts, [len(own) for own in captions]), notes


def with_texts(images: Dataset, texts: np.ndarray, counts: Sequence[int]) -> Captioned:
    """The images, of which image i has the next counts[i] of the texts."""
    first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    fields = {field.name: getattr(images, field.name) for field in dataclasses.fields(Dataset)}
    return Captioned(**fields, texts=texts, first=first)
