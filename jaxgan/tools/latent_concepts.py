"""Concepts of which latents are sums: expressions of them, and the samples that show them."""

from __future__ import annotations

import math
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from jaxgan.data import class_names, fashion
from jaxgan.metrics import garments
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Of an encrypted member zipfile raises RuntimeError, of an unknown compression its subclass.
_DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)

MOST = 100_000
"""Samples that concepts may be picked from: up to the highest number of a file all are drawn."""

# --- expressions ----------------------------------------------------------------------------------


def parse(words: Sequence[str]) -> list[tuple[int, str]]:
    """The terms of an expression such as `boot - sneaker + sandal`, each with its sign.

    Raises RunError where an operator stands beside nothing.
    """
    tokens = " ".join(words).split()
    terms: list[tuple[int, str]] = []
    sign, name = 1, []
    for token in [*tokens, "+"]:
        if token not in ("+", "-"):
            name.append(token)
            continue
        if not name:
            written = " ".join(tokens)
            raise RunError(
                f"{written!r} cannot be calculated: write it like 'boot - sneaker + sandal'"
            )
        terms.append((sign, " ".join(name)))
        sign, name = (1 if token == "+" else -1), []
    return terms


def written_out(terms: Iterable[tuple[int, str]]) -> str:
    """The expression of these terms."""
    return "".join(f" {'+' if sign > 0 else '-'} {name}" for sign, name in terms)[3:]


def named(word: str, known: Iterable[str]) -> str:
    """The known name that the word means (`class_names.named`); RunError where that is none, or
    several.
    """
    try:
        return class_names.named(word, known)
    except ValueError as error:
        raise RunError(str(error)) from error


# --- samples that show a concept ------------------------------------------------------------------


def of_file(path: pathlib.Path, draw: Callable[[int], np.ndarray]) -> dict[str, np.ndarray]:
    """The latents [K, Z] of the samples whose numbers an .npz file gives by the name of a concept;
    `draw(n)` gives those of the first n.

    Raises RunError where the file does not hold numbers of samples below `MOST`.
    """
    numbers = _numbers(path)
    for name, chosen in numbers.items():
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or (chosen < 0).any():
            raise RunError(
                f"{path}: {name!r} is {chosen.dtype} of shape {chosen.shape}; expected the "
                "numbers of samples, integers from 0 on"
            )
        if (chosen >= MOST).any():
            raise RunError(
                f"{path}: {name!r} names sample {chosen.max()}, and all up to it are drawn; "
                f"expected numbers below {MOST}"
            )
    highest = max((int(chosen.max()) for chosen in numbers.values() if len(chosen)), default=0)
    latents = draw(highest + 1)
    return {name: latents[chosen] for name, chosen in numbers.items()}


def _numbers(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; RunError where it is none, or one of them claims to be larger
    than the numbers of samples are.
    """
    try:
        if not path.is_file():  # a pipe would be waited for
            raise OSError("it is no file" if path.exists() else "there is no such file")
        with zipfile.ZipFile(path) as members:
            for member in members.namelist():
                _require_few(members, member)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _DAMAGE as error:
        raise RunError(f"{path} cannot be read as an .npz file: {error}") from error


def _require_few(members: zipfile.ZipFile, name: str) -> None:
    """ValueError where an array's header claims more numbers than there are samples."""
    with members.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name} has an unknown format")
        shape, _, _ = _HEADERS[version](file)
    if math.prod(shape) > MOST:
        raise ValueError(f"{name} has shape {shape}; expected at most {MOST} numbers")


def are_garments(model: TrainedModel) -> bool:
    """Whether the classifier of garments knows what the model draws: by the classes of its data."""
    return tuple(model.spec.classes) == fashion.CLASSES


def of_garments(images: np.ndarray, confidence: float) -> Mapping[str, np.ndarray]:
    """The numbers of the images [N, H, W, C] that the classifier gives to each class of garments
    with this confidence at least, by the name of the class; the surest first.
    """
    probabilities, _ = garments.judge(garments.fitted(images))
    return {
        name: surest(probabilities, index, confidence) for index, name in enumerate(fashion.CLASSES)
    }


def surest(probabilities: np.ndarray, index: int, confidence: float) -> np.ndarray:
    """The numbers of the samples that are most probably of the class, and so with this confidence
    at least, by their probabilities [N, classes]; the surest first, of equally sure ones the
    earlier.
    """
    order = np.argsort(-probabilities[:, index], kind="stable")
    best = probabilities.argmax(axis=1) == index
    return order[(best & (probabilities[:, index] >= confidence))[order]]


def verdict(images: np.ndarray) -> str:
    """A sentence: what the classifier makes of most of the images [N, H, W, C]."""
    probabilities, _ = garments.judge(garments.fitted(images))
    counts = np.bincount(probabilities.argmax(axis=1), minlength=len(fashion.CLASSES))
    most = int(counts.argmax())
    name = fashion.CLASSES[most]
    return f"the classifier calls {counts[most]} of the {len(images)} results {name}"
