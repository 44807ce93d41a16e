"""Images in a folder: one sub-folder a class, or flat."""

from __future__ import annotations

import pathlib

import numpy as np

from jaxgan.data import holdout, resizing
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.readers import decoding, file_listing
from jaxgan.data.splits import Splits

LIST = "val.txt"
"""The list of held-out images that is used if it lies in the folder or beside it."""


def load(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The images below the folder `place`, decoded to uint8 in the shape of `fit`.

    Held out are: those `held` names; or those in a test folder beside a train folder; or those in a
    list `val.txt` in or beside the folder; or a tenth. Raises DataError where the folder cannot be
    used.
    """
    name = f"folder:{place}"
    root = pathlib.Path(place).expanduser()
    found = file_listing.find(root, name=name, apart=root / LIST)
    mask, note = held_out(root, found, held, name=name)
    sources = [root / entry for entry in found.names]
    splits = decoding.decode_splits(
        decoding.Collection(name, found.names, sources, found.labels, found.classes, mask), fit
    )
    return splits._replace(notes=(*found.notes, *splits.notes, note))


def held_out(
    root: pathlib.Path, found: file_listing.Listing, held: holdout.Holdout, *, name: str
) -> tuple[np.ndarray, str]:
    """True [N] for the images listed in the folder that are held out, as `load` chooses them, and a
    note on them.
    """
    if found.held_out is not None:
        refuse(name, "has train and test folders", holdout=held)
        holdout.require_both(found.held_out, name=name)
        count = found.held_out.sum()
        return found.held_out, f"Held out are the {count} images that lie outside the train folder."
    if held is None:
        held = _own_list(root, found.names, name=name)
    return holdout.choose(found.names, held, name=name)


def _own_list(root: pathlib.Path, names: list[str], *, name: str) -> pathlib.Path | None:
    """The list in the folder, or one beside it that speaks of this folder's images."""
    inside, beside = root / LIST, root.resolve().parent / LIST
    if inside.is_file():
        return inside
    return beside if _names_one(beside, set(names), name=name) else None


def _names_one(path: pathlib.Path, names: set[str], *, name: str) -> bool:
    try:
        return not names.isdisjoint(holdout.read_list(path, name=name))
    except DataError:  # whatever lies there is not about this folder
        return False
