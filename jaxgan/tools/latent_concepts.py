"""Latent arithmetic: expressions of concepts, and the samples that show a concept."""

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
# zipfile raises RuntimeError for an encrypted model_seed, and a subclass for an unknown
# compression.
_DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)

MOST = 100_000
"""The largest number of samples to pick concepts from: all up to the highest number are drawn."""

_BYTES = 8  # of a number: texts of any length claim more

# --- expressions ----------------------------------------------------------------------------------


def parse(words: Sequence[str]) -> list[tuple[int, str]]:
    """Parses an expression such as `boot - sneaker + sandal` into terms, each with its sign.

    Raises:
        RunError: If an operator has no operand.
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
    """Formats the terms as an expression."""
    return "".join(f" {'+' if sign > 0 else '-'} {name}" for sign, name in terms)[3:]


def named(word: str, known: Iterable[str]) -> str:
    """Returns the known name that a word stands for (`class_names.named`).

    Args:
        word: The word.
        known: The known names.

    Raises:
        RunError: If it stands for no name or for several.
    """
    try:
        return class_names.named(word, known)
    except ValueError as error:
        raise RunError(str(error)) from error


# --- samples that show a concept ------------------------------------------------------------------


def of_file(path: pathlib.Path, draw: Callable[[int], np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the latents [K, Z] of each concept's samples, whose indices an .npz file holds.

    Args:
        path: The file: an array of sample indices for each concept.
        draw: `draw(n)`: the latents [n, Z] of the first n samples.

    Raises:
        RunError: If the file does not hold indices below `MOST`.
    """
    numbers = arrays_of_file(path)
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


def arrays_of_file(path: pathlib.Path, *, most: int = MOST) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file, whose headers are checked before they are read.

    Args:
        path: The file.
        most: The largest number of entries of an array.

    Raises:
        RunError: If it cannot be read, or an array claims to be larger.
    """
    try:
        if not path.is_file():  # reading a pipe may never end
            raise OSError("it is not a file" if path.exists() else "there is no such file")
        with zipfile.ZipFile(path) as members:
            for member in members.namelist():
                _require_few(members, member, most)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _DAMAGE as error:
        raise RunError(f"{path} cannot be read as an .npz file: {error}") from error


def _require_few(members: zipfile.ZipFile, name: str, most: int) -> None:
    """Raises ValueError if an array's header claims more numbers, or as many of more bytes."""
    with members.open(name) as file:
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{name} has an unknown format")
        shape, _, kind = _HEADERS[version](file)
    if math.prod(shape) > most or math.prod(shape) * kind.itemsize > _BYTES * most:
        raise ValueError(f"{name} has shape {shape}; expected at most {most} numbers")


def are_garments(model: TrainedModel) -> bool:
    """Returns whether the classifier of garments fits the model, by the classes of its data."""
    return tuple(model.spec.classes) == fashion.CLASSES


def require_told(model: TrainedModel, run: pathlib.Path) -> None:
    """Checks that the classifier of garments can pick the samples of concepts.

    Args:
        model: The trained model.
        run: The run directory, for messages.

    Raises:
        RunError: If the model draws no garments, or its latents do not decide which.
    """
    otherwise = "say which samples show a concept with --concepts FILE.npz"
    if not are_garments(model):
        raise RunError(
            f"the classifier picks concepts of garments only, and {run} draws something "
            f"else: {otherwise}"
        )
    if "label" in model.gan.conditions:
        raise RunError(
            f"the model of {run} is class-conditional, so its latents do not encode the "
            f"class: {otherwise}"
        )


def of_garments(images: np.ndarray, confidence: float) -> Mapping[str, np.ndarray]:
    """Returns the indices of the images that are confidently classified as each class of garments.

    Args:
        images: Images, [N, H, W, C] in [-1, 1].
        confidence: The smallest probability that counts.

    Returns:
        The indices by class name, the most confident first.
    """
    probabilities, _ = garments.judge(garments.fitted(images))
    return {
        name: surest(probabilities, index, confidence) for index, name in enumerate(fashion.CLASSES)
    }


def surest(probabilities: np.ndarray, index: int, confidence: float) -> np.ndarray:
    """Returns the indices of the samples that are confidently classified as a class.

    The most confident come first; ties go to the earlier sample.

    Args:
        probabilities: Class probabilities, [N, classes].
        index: The class, which must also be the most probable one.
        confidence: The smallest probability that counts.
    """
    order = np.argsort(-probabilities[:, index], kind="stable")
    best = probabilities.argmax(axis=1) == index
    return order[(best & (probabilities[:, index] >= confidence))[order]]


def verdict(images: np.ndarray) -> str:
    """Returns a sentence about the class that most of the images [N, H, W, C] are classified as."""
    probabilities, _ = garments.judge(garments.fitted(images))
    counts = np.bincount(probabilities.argmax(axis=1), minlength=len(fashion.CLASSES))
    most = int(counts.argmax())
    name = fashion.CLASSES[most]
    return f"the classifier assigns {counts[most]} of the {len(images)} results to {name}"
