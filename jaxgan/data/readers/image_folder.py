"""Images in a folder: flat, with one sub-folder a class, or with a file of labels."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from jaxgan.data import holdout, resizing
from jaxgan.data.dataset import Dataset
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.multi_labeled import MultiLabeled
from jaxgan.data.readers import decoding, file_listing, label_files
from jaxgan.data.splits import Source, Splits

LIST = "val.txt"
"""The list of held-out images; used if it lies in or next to the folder."""


def load(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the images below a folder, decoded to the shape of `fit`.

    Labels come from a file of labels in the folder (see `label_files`), if there is one, or else
    from the class folders. Held out are the images that `held` selects. If `held` is None, they are
    the images in a test folder next to a train folder, or those in a list `val.txt` in or next to
    the folder, or a fraction of 0.1.

    Args:
        place: path of the folder.
        fit: the shape to convert the images to.
        held: a fraction to hold out, a list file, or None (see `holdout.choose`).

    Raises:
        DataError: if the folder cannot be used.
    """
    name = f"folder:{place}"
    root = pathlib.Path(place).expanduser()
    found = file_listing.find(root, name=name, apart=[root / LIST, *label_files.paths(root)])
    found = label_files.applied(root, found)
    mask, said = held_out(root, found, held, name=name)
    sources = [root / entry for entry in found.names]
    labels, classes = found.labels, found.classes
    if found.marks is not None:
        # Labels that number the images show afterwards which of them could be decoded.
        labels, classes = np.arange(len(sources), dtype=np.int32), tuple(found.names)
    collection = decoding.Collection(name, found.names, sources, labels, classes, mask)
    splits = decoding.decode_splits(collection, fit)
    if found.marks is not None:
        splits = splits._replace(
            train=_multi_labeled(splits.train, found),
            held_out=_multi_labeled(splits.held_out, found),
        )
    return splits._replace(notes=(*found.notes, *splits.notes, *said))


def _multi_labeled(numbered: Source, found: file_listing.Listing) -> MultiLabeled:
    """Returns images, labeled by their number in the listing, with their several labels."""
    assert isinstance(numbered, Dataset) and numbered.labels is not None
    assert found.marks is not None
    fields = {field.name: getattr(numbered, field.name) for field in dataclasses.fields(Dataset)}
    fields |= {"labels": None, "classes": found.classes}
    return MultiLabeled(**fields, marks=found.marks[numbered.labels])


def held_out(
    root: pathlib.Path, found: file_listing.Listing, held: holdout.Holdout, *, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns a mask of the held-out images of a folder, chosen as in `load`, and notes on it.

    Args:
        root: the folder.
        found: the images in it.
        held: a fraction to hold out, a list file, or None.
        name: the name of the data, for messages.

    Returns:
        True [N] for the images held out, and the notes.

    Raises:
        DataError: if `held` does not apply or cannot be used, or all images or none are held out.
    """
    if found.held_out is not None:
        refuse(name, "has train and test folders", holdout=held)
        holdout.require_both(found.held_out, name=name)
        count = found.held_out.sum()
        note = f"Held out {count} images: those outside the train folder."
        own = root / LIST
        ignored = (
            (f"Did not use {own}: the folders decide what is held out.",) if own.is_file() else ()
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
    """Returns the list in the folder, or one next to it that names images of this folder.

    Also returns a note if a list next to the folder is not used.
    """
    inside, beside = root / LIST, root.resolve().parent / LIST
    if inside.is_file():
        return inside, ()
    if not beside.is_file():
        return None, ()
    try:
        if holdout.read_list(beside, names, name=name).found:
            return beside, ()
        why = "it lists no image of this folder"
    except DataError:  # a file there may be about other data
        why = "it cannot be read as a list of names, or is empty"
    return None, (f"Did not use {beside}: {why}.",)
