"""From what the user names, such as `folder:photos`, to a training and a held-out set."""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib

from jaxgan.data import fashion, fitting, mixtures
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.holdout import Holdout
from jaxgan.data.splits import Splits

_FORMS = ("fashion", "folder:PATH", "npz:PATH", "tfds:NAME", *mixtures.MIXTURES)


def load(
    spec: str,
    *,
    resolution: fitting.Resolution | None = None,
    resize: str = "crop",
    holdout: Holdout = None,
    flip: bool = False,
    channels: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Splits:
    """The training and held-out data that `spec` names, and notes on what was done to it.

    spec:       'fashion' (embedded), 'folder:PATH', 'npz:PATH', 'tfds:NAME', 'ring', 'grid' or
                'gauss1d'.
    resolution: 64, '64x96' or (64, 96), height first; None keeps the size, which must then be one
                for all.
    resize:     'crop', 'pad' or 'stretch', see `fitting.Fit`.
    holdout:    for a folder or an archive: the fraction to hold out, chosen by a hash of the file's
                name or the row's number, so that adding data moves nothing from one side to the
                other; or a text file that lists what to hold out, one name (row number) a line.
                None takes the set's own split where it has one, such as a `val.txt` in the folder
                or beside it, and 0.1 otherwise.
    flip:       mirror training images left to right at random.
    channels:   1 (greyscale), 3 (colour), 4 (with transparency); None takes what the images have.
    data_dir:   for tfds: where prepared sets are, or a folder that holds the original files.

    Raises DataError, one sentence, where there is no such data or it cannot be used.
    """
    fit = fitting.make_fit(resolution, resize, channels)
    if spec in mixtures.MIXTURES:
        refuse(spec, "has points, not images", resolution=resolution, channels=channels, flip=flip)
        refuse(spec, "holds out fresh draws of its own", holdout=holdout)
        mixture = mixtures.MIXTURES[spec]()
        return Splits(mixture, mixtures.held_out(mixture))
    kind, _, place = spec.partition(":")
    if kind != "tfds":
        refuse(spec, "is not a set of TensorFlow Datasets", data_dir=data_dir)
    if spec == "fashion":
        refuse(spec, "has a test set of its own", holdout=holdout)
        splits = fashion.load(fit)
    elif place and kind in ("folder", "npz", "tfds"):
        splits = _read(kind, place, fit, holdout, data_dir)
    else:
        raise DataError(_unknown(spec))
    if flip:
        splits = splits._replace(train=dataclasses.replace(splits.train, flip=True))
    return splits


def _read(
    kind: str,
    place: str,
    fit: fitting.Fit,
    holdout: Holdout,
    data_dir: str | os.PathLike[str] | None,
) -> Splits:
    # Imported where needed: PIL and TensorFlow Datasets take longer to import than all the rest.
    if kind == "npz":
        from jaxgan.data import archive

        return archive.load(place, fit, holdout)
    if kind == "folder":
        from jaxgan.data import folder

        return folder.load(place, fit, holdout)
    from jaxgan.data import tensorflow_datasets

    return tensorflow_datasets.load(place, fit, holdout, data_dir=data_dir)


def _unknown(spec: str) -> str:
    expected = f"expected one of {', '.join(_FORMS)}"
    if spec and pathlib.Path(spec).exists():
        kind = "npz" if spec.endswith(".npz") else "folder"
        return f"the data is {spec!r}, a path without its kind: write {kind}:{spec}"
    kind, _, place = spec.partition(":")
    names = {form.partition(":")[0]: form for form in _FORMS}
    close = difflib.get_close_matches(kind, names, n=1)
    if not close:
        return f"the data is {spec!r}; {expected}"
    meant = f"{close[0]}:{place}" if place and ":" in names[close[0]] else names[close[0]]
    return f"the data is {spec!r}; perhaps {meant} is meant: {expected}"
