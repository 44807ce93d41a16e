"""Loads training and held-out data from a name such as `folder:photos`."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from jaxgan import files
from jaxgan.data import (
    few_labels,
    limiting,
    mixtures,
    occurring_classes,
    ranging,
    resizing,
    two_folders,
    value_range,
)
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.holdout import Holdout
from jaxgan.data.image_stores import Storing
from jaxgan.data.splits import Splits

_IMAGES = (Dataset, Domains)

KINDS = {
    "images": "single images",
    "pairs": "pairs of images a and b",
    "domains": "images of two domains a and b",
    "captions": "images with captions",
}
"""The kinds of examples, with their names in messages."""

DIRECTIONS = ("AtoB", "BtoA")
"""The directions of a translation between two domains."""


class Form(NamedTuple):
    """A form in which users name data.

    Attributes:
        written: how the user writes it.
        readers: for each kind of example, the module of this package and the function that read it:
            `f(place, fit, holdout) -> Splits`, or `f(fit)` if the form has no place. `_read` and
            `load` know the exceptions: 'tfds' takes its folder, 'arrays' its transforms and no fit,
            densities nothing. The module is imported when needed: PIL and TensorFlow Datasets take
            longer to import than all the rest.
    """

    written: str
    readers: Mapping[str, str]


FORMS = {
    "fashion": Form("fashion", {"images": "fashion.load"}),
    "flowers": Form("flowers", {"images": "flowers.load"}),
    "folder": Form("folder:PATH", {"images": "readers.image_folder.load"}),
    "fashion-edges": Form(
        "fashion-edges", {"pairs": "fashion_domains.pairs", "domains": "fashion_domains.pairs"}
    ),
    "fashion-halves": Form("fashion-halves", {"domains": "fashion_domains.halves"}),
    "shoes-bags": Form("shoes-bags", {"domains": "fashion_domains.shoes_and_bags"}),
    "unpaired": Form("unpaired:PATH", {"domains": "readers.paired_folders.load_domains"}),
    "paired": Form(
        "paired:PATH",
        {
            "pairs": "readers.paired_folders.load_pairs",
            "domains": "readers.paired_folders.load_pairs",
        },
    ),
    "fashion-captions": Form("fashion-captions", {"captions": "fashion_captions.load"}),
    "captioned": Form("captioned:PATH", {"captions": "readers.captioned_folder.load"}),
    "npz": Form(
        "npz:PATH",
        {
            "images": "readers.npz.load",
            "pairs": "readers.npz.load_pairs",
            "domains": "readers.npz.load_domains",
            "captions": "readers.npz.load_captions",
        },
    ),
    "tfds": Form("tfds:NAME", {"images": "readers.tfds.load"}),
    **{name: Form(name, {"images": f"mixtures.{name}"}) for name in mixtures.MIXTURES},
    "arrays": Form("arrays:PATH", {"images": "readers.arrays.load"}),
}
"""All forms in which users name data, by the text before the colon."""


def load(
    spec: str,
    *,
    kind: str = "images",
    resolution: resizing.Resolution | None = None,
    resize: str = "crop",
    holdout: Holdout = None,
    flip: bool = False,
    crop: resizing.Resolution | None = None,
    crop_alike: bool = True,
    load: resizing.Resolution | None = None,
    channels: int | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    direction: str | None = None,
    labels: int | None = None,
    limit: int | None = None,
    storing: Storing | None = None,
    transform: str | None = None,
    range: value_range.Limits | None = None,
    show: str | None = None,
) -> Splits:
    """Returns the training and held-out data that `spec` names, with notes on conversions.

    Args:
        spec: the data, such as 'fashion' (embedded), 'folder:PATH' or 'ring'; see `FORMS`.
        kind: the kind of examples: 'images', 'pairs', 'domains' or 'captions'. Pairs also serve as
            domains: then the training data are unpaired and the held-out data stay paired.
        resolution: 64, '64x96' or (64, 96), height first. None keeps the size, which must then be
            the same for all images.
        resize: 'crop', 'pad' or 'stretch'; see `resizing.Fit`.
        holdout: for folders and archives, the fraction to hold out, or a text file that lists what
            to hold out, one name (row number) a line. The fraction is chosen by a hash of the file
            name or row number, so that new data do not move others in or out. None uses the split
            of the data, such as a `val.txt` in or next to the folder, and otherwise 0.1.
        flip: whether to mirror training images left to right at random.
        crop: the size of the parts, at random places, that batches show of the training images, in
            full detail; held-out images are cut in the center. None for whole images.
        crop_alike: whether images that all have one size are cut, too.
        load: with `crop`, the size that images are brought to before it. None keeps their sizes,
            which may differ in folders.
        channels: 1 (grayscale), 3 (color) or 4 (with transparency), or as many as the images have.
            None keeps those of the images.
        data_dir: for tfds, the folder of prepared datasets or of the original files.
        direction: 'AtoB', or 'BtoA' to exchange the two domains. None is 'AtoB'.
        labels: number of training images of each class that keep their label. Batches then hold
            labeled and unlabeled images separately; see `PartlyLabeled`. None keeps all labels.
        limit: number of training images to keep; see `limiting.limited`. None keeps all.
        storing: where the images of files are stored; see `image_stores.Storing`. None chooses
            memory or disk by their size.
        transform: for arrays, the transform of each entry, 'image=symlog,condition=standardize';
            see `transforms`. None changes none.
        range: 'LOW,HIGH' or (low, high), the values that become -1 and 1; others are clipped. None
            takes the range of the type uint8, and finds that of others in the training images.
        show: the channels that pictures show, counted from 1, such as '3,2,1'; None for the usual
            ones (see `bands.usual`).

    Raises:
        DataError: if the data do not exist or cannot be used. The message is one sentence.
    """
    fit = resizing.make_fit(resolution, resize, channels, load=load, crop=crop, storing=storing)
    read = _reader(spec, kind)
    if spec in mixtures.MIXTURES:
        refuse(spec, "has points, not images", resolution=resolution, channels=channels, flip=flip)
        refuse(spec, "has points, not images", crop=crop, range=range, show=show)
        refuse(spec, "always holds out fresh draws", holdout=holdout)
        refuse(spec, "has no labels", labels=labels)
        refuse(spec, "draws new points at every step", limit_images=limit)
        refuse(spec, "has no arrays of other units", transform=transform)
        return Splits(read(), mixtures.held_out(read()))
    if spec.startswith("arrays:"):
        refuse(spec, "has arrays, not images", resolution=resolution, channels=channels, flip=flip)
        refuse(spec, "has arrays, not images", crop=crop, load=load, range=range, show=show)
        refuse(spec, "has no labels", labels=labels)
        read = functools.partial(_arrays, read, transform)
    else:
        refuse(spec, "has no arrays of other units", transform=transform)
    whole = _directed(spec, _read(spec, read, fit, holdout, data_dir), direction)
    splits = _cut(ranging.in_one_range(whole, range, show), fit.crop, alike=crop_alike)
    train = splits.train
    if kind == "domains" and isinstance(train, Domains):
        train = train.unpaired()
    if limit is not None:
        train = limiting.limited(train, limit)
    train, held_out, notes = occurring_classes.occurring(splits._replace(train=train))
    if isinstance(train, Dataset | Domains):
        train = train.augmented(flip=flip)
    if labels is not None:
        train = few_labels.partly_labeled(train, labels)
    return Splits(train, held_out, tuple(map(files.printable, notes)))


def moved(spec: str, at: Callable[[str], str]) -> str:
    """Returns the data with `at(path)` in the place of each path, of a file or a folder, in it.

    Args:
        spec: the data, such as 'folder:photos'; others than paths are returned unchanged.
        at: gives the new path.
    """
    head, _, place = spec.partition(":")
    form = _form(spec)
    if form is None or not form.written.endswith(":PATH"):
        return spec
    parts = two_folders.parted(place) if head in ("paired", "unpaired") else (place,)
    return f"{head}:{two_folders.SEPARATOR.join(map(at, parts))}"


def kind_of(spec: str) -> str:
    """Returns the kind of examples that the data provide, a key of `KINDS`.

    It is the first of those that the form provides; an archive's arrays decide that of an archive.

    Args:
        spec: the data, such as 'folder:PATH' (see `FORMS`).

    Raises:
        DataError: if there is no such form, or no such archive.
    """
    head, _, place = spec.partition(":")
    form = _form(spec)
    if form is None:
        raise DataError(_unknown(spec, None))
    if head == "npz":
        from jaxgan.data.readers import npz

        return npz.kind(place)
    return next(iter(form.readers))


def _form(spec: str) -> Form | None:
    """Returns the form in which the data are named, or None if there is no such form."""
    head, _, place = spec.partition(":")
    form = FORMS.get(head)
    named = form is not None and (place if ":" in form.written else spec == form.written)
    return form if named else None


def _read(
    spec: str,
    read: Callable[..., Splits],
    fit: resizing.Fit,
    holdout: Holdout,
    data_dir: str | os.PathLike[str] | None,
) -> Splits:
    """Returns what the reader reads; raises DataError for options that do not apply to it."""
    head, _, place = spec.partition(":")
    if head == "tfds":
        return read(place, fit, holdout, data_dir=data_dir)
    refuse(spec, "is not a set of TensorFlow Datasets", data_dir=data_dir)
    if place:
        return read(place, fit, holdout)
    refuse(spec, "has a test set of its own", holdout=holdout)
    return read(fit)


def _cut(splits: Splits, crop: tuple[int, int] | None, *, alike: bool) -> Splits:
    """Returns the data with training images that are cut at random, and the others in the center.

    Images of one size are only cut if `alike` is True.
    """
    train, held_out = splits.train, splits.held_out
    if crop is None or not isinstance(train, _IMAGES) or not isinstance(held_out, _IMAGES):
        return splits
    if not (alike or getattr(train, "uncut", None)):
        return splits
    size = resizing.describe(crop)
    cut = train.of_each(lambda dataset: dataset.cut_at_random(crop))
    rest = cut if held_out is train else held_out
    rest = rest.of_each(lambda dataset: dataset.cut_in_the_center(crop))
    note = f"Training images are cut to {size} at random places, held-out ones in the center."
    return Splits(cut, rest, (*splits.notes, note))


def _arrays(
    read: Callable[..., Splits],
    transform: str | None,
    place: str,
    fit: resizing.Fit,
    holdout: Holdout,
) -> Splits:
    """Returns what the reader of arrays reads, which fits them to no shape."""
    return read(place, holdout, transform)


def _directed(spec: str, splits: Splits, direction: str | None) -> Splits:
    """Returns the data with their domains exchanged if the direction is 'BtoA'."""
    train, held_out = splits.train, splits.held_out
    if not isinstance(train, Domains) or not isinstance(held_out, Domains):
        refuse(spec, "has no two domains", direction=direction)
        return splits
    if direction not in (None, *DIRECTIONS):
        raise DataError(f"the direction is {direction!r}; expected {' or '.join(DIRECTIONS)}")
    if direction == "BtoA":
        return splits._replace(train=train.swapped(), held_out=held_out.swapped())
    return splits


def _reader(spec: str, kind: str) -> Callable:
    """Returns the function that reads the data of a spec.

    Raises DataError if there is no such form, or it provides another kind of example.
    """
    form = _form(spec)
    if form is None:
        raise DataError(_unknown(spec, kind))
    if kind not in form.readers:
        given = KINDS[next(iter(form.readers))]
        raise DataError(
            f"{spec}: this is a source of {given}, but {KINDS[kind]} are needed; "
            f"expected one of {', '.join(_written(kind))}"
        )
    module, _, function = form.readers[kind].rpartition(".")
    return getattr(importlib.import_module(f"jaxgan.data.{module}"), function)


def _written(kind: str | None) -> list[str]:
    """Returns the forms that provide this kind of example, or any, as users write them."""
    return [form.written for form in FORMS.values() if kind is None or kind in form.readers]


def _unknown(spec: str, kind: str | None) -> str:
    expected = f"expected one of {', '.join(_written(kind))}"
    if spec and files.exists(pathlib.Path(spec)):
        named = next(form for form in _written(kind) if form.endswith(":PATH"))
        heads = {".npz": "npz", ".npy": "arrays"}
        head = heads.get(pathlib.Path(spec).suffix, named.partition(":")[0])
        return f"the data is {spec!r}, a path without its kind: write {head}:{spec}"
    head, _, place = spec.partition(":")
    close = difflib.get_close_matches(head, FORMS, n=1)
    if not close:
        return f"the data is {spec!r}; {expected}"
    written = FORMS[close[0]].written
    meant = f"{close[0]}:{place}" if place and ":" in written else written
    return f"the data is {spec!r}, perhaps {meant} is meant; {expected}"
