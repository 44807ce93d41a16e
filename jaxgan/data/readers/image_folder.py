"""Images in a folder: one sub-folder a class, with a file of labels, or flat."""

from __future__ import annotations

import pathlib

import numpy as np

from jaxgan.data import holdout, resizing
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.readers import decoding, file_listing, label_files
from jaxgan.data.splits import Splits

LIST = "val.txt"
"""The list of held-out images that is used if it lies in the folder or beside it."""


def load(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The images below the folder `place`, decoded to uint8 in the shape of `fit`, with the labels
    of `dataset.json` or `labels.csv` if one lies in it.

    Held out are: those `held` names; or those in a test folder beside a train folder; or those in a
    list `val.txt` in or beside the folder; or a tenth. Raises DataError where the folder cannot be
    used.
    """
    name = f"folder:{place}"
    root = pathlib.Path(place).expanduser()
    found = file_listing.find(root, name=name, apart=[root / LIST, *label_files.paths(root)])
    found = label_files.applied(root, found)
    mask, said = held_out(root, found, held, name=name)
    sources = [root / entry for entry in found.names]
    splits = decoding.decode_splits(
        decoding.Collection(name, found.names, sources, found.labels, found.classes, mask), fit
    )
    return splits._replace(notes=(*found.notes, *splits.notes, *said))


def held_out(
    root: pathlib.Path, found: file_listing.Listing, held: holdout.Holdout, *, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """True [N] for the images listed in the folder that are held out, as `load` chooses them, and
    notes on them.
    """
    if found.held_out is not None:
        refuse(name, "has train and test folders", holdout=held)
        holdout.require_both(found.held_out, name=name)
        count = found.held_out.sum()
        note = f"Held out are the {count} images that lie outside the train folder."
        own = root / LIST
        ignored = (
            (f"Did not use {own}: the folders say what is held out.",) if own.is_file() else ()
        )
        return found.held_out, (*ignored, note)
    ignored = ()
    if held is None:
        held, ignored = _own_list(root, found.names, name=name)
    mask, note = holdout.choose(found.names, held, name=name)
    return mask, (*ignored, note)


def _own_list(
    root: pathlib.Path, names: list[str], *, name: str
) -> tuple[pathlib.Path | None, tuple[str, ...]]:
    """The list in the folder, or one beside it that speaks of this folder's images; a note where
    one lies there that does not.
    """
    inside, beside = root / LIST, root.resolve().parent / LIST
    if inside.is_file():
        return inside, ()
    if not beside.is_file():
        return None, ()
    try:
        if holdout.read_list(beside, names, name=name).found:
            return beside, ()
        why = "it names no image of this folder"
    except DataError:  # whatever lies there may be about anything
        why = "it cannot be read as a list of names, or is empty"
    return None, (f"Did not use {beside}: {why}.",)
