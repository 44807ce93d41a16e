"""Images of two domains in folders: pairs side by side in one image, pairs of files with one name,
or two folders that have nothing to do with each other.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from jaxgan.data import holdout, resizing
from jaxgan.data.domains import Domains, Pairs
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.readers import decoding, file_listing, image_file, image_folder
from jaxgan.data.splits import Splits, joined

_PAIRED = "two folders a and b with equal names, or images that show a and b side by side"
_UNPAIRED = "trainA and trainB (or a and b), beside them testA and testB for what is held out"


def load_pairs(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The pairs in the folder `place`, decoded to uint8 in the shape of `fit`.

    With sub-folders a and b, two images of one name, whatever its suffix, are a pair; otherwise an
    image's left half (a) and right half (b) are. Held out are whole pairs, chosen as by
    `image_folder.load`. Raises DataError, naming it, where an image has no partner, or one of
    another size.
    """
    name, root = f"paired:{place}", pathlib.Path(place).expanduser()
    found, a, b, note = _two_files(root, name) or _two_halves(root, name)
    mask, held_note = image_folder.held_out(root, found, held, name=name)
    collections = [
        decoding.Collection(name, names, sources, None, (), mask) for names, sources in (a, b)
    ]
    splits = joined(Pairs, *decoding.decode_together(collections, fit))
    return splits._replace(notes=(*found.notes, note, *splits.notes, held_note))


def load_domains(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """The images of the two domains in the folder `place`, decoded to uint8 in the shape of `fit`.

    Held out are those in testA and testB or, without them, what `held` says of each domain. Raises
    DataError where a domain has no images.
    """
    name, root = f"unpaired:{place}", pathlib.Path(place).expanduser()
    folders = [_domain_folders(root, domain, name=name) for domain in "ab"]
    if len(folders[0]) != len(folders[1]):
        missing = "testA" if len(folders[0]) == 1 else "testB"
        raise DataError(
            f"{name}: there is no folder {missing}, but one of the other domain; "
            f"expected {_UNPAIRED}"
        )
    listings = [
        [file_listing.find(part, name=f"{name}, {part.name}") for part in of] for of in folders
    ]
    return joined(
        Domains,
        *(_domain(name, of, found, fit, held) for of, found in zip(folders, listings, strict=True)),
    )


def _domain_folders(root: pathlib.Path, domain: str, *, name: str) -> list[pathlib.Path]:
    """A domain's folder to train on and, if there is one, that of what is held out."""
    inner = _folders(root, name=name)
    train, test = inner.get(f"train{domain}", inner.get(domain)), inner.get(f"test{domain}")
    if train is None:
        raise DataError(
            f"{name}: there is no folder train{domain.upper()} in it, but {_some(inner)}; "
            f"expected {_UNPAIRED}"
        )
    return [train] if test is None else [train, test]


def _domain(
    name: str,
    folders: Sequence[pathlib.Path],
    found: Sequence[file_listing.Listing],
    fit: resizing.Fit,
    held: holdout.Holdout,
) -> Splits:
    """The images of one domain, those of its second folder held out if it has one."""
    names = [
        f"{part.name}/{entry}"
        for part, its in zip(folders, found, strict=True)
        for entry in its.names
    ]
    if len(folders) == 1:
        # By the name within the domain: what has one name in both falls on the same side.
        mask, note = holdout.choose(found[0].names, held, name=f"{name}, {folders[0].name}")
    else:
        refuse(name, "has test folders", holdout=held)
        mask = np.arange(len(names)) >= len(found[0].names)
        note = f"Held out are the {mask.sum()} images in {folders[1].name}."
    sources = [folders[0].parent / entry for entry in names]
    collection = decoding.Collection(name, names, sources, None, (), mask)
    splits = decoding.decode_splits(collection, fit)
    ignored = [ignored for its in found for ignored in its.notes]
    return splits._replace(notes=(*ignored, *splits.notes, note))


_Side = tuple[list[str], Sequence[image_file.Source]]
_Found = tuple[file_listing.Listing, _Side, _Side, str]


def _two_files(root: pathlib.Path, name: str) -> _Found | None:
    """The pairs of files in the folders a and b; None where there are no such folders."""
    inner = _folders(root, name=name)
    if {"traina", "trainb"} <= inner.keys():
        raise DataError(
            f"{name}: it holds trainA and trainB, two domains that are not paired; "
            f"write unpaired:{root}, or bring pairs as {_PAIRED}"
        )
    if inner.keys().isdisjoint("ab"):
        return None
    sides = []
    for domain in "ab":
        if domain not in inner:
            raise DataError(f"{name}: it holds {_some(inner)} but no folder {domain}: add it")
        found = file_listing.find(inner[domain], name=f"{name}, {inner[domain].name}")
        sides.append((inner[domain], found, _by_stem(found.names, inner[domain], name=name)))
    (folder_a, found, a), (folder_b, _, b) = sides
    _require_partners((folder_a, a), (folder_b, b), name=name)
    ordered = [(folder_a, list(a.values())), (folder_b, [b[stem] for stem in a])]
    side_a, side_b = (
        ([f"{inner.name}/{entry}" for entry in names], [inner / entry for entry in names])
        for inner, names in ordered
    )
    return found, side_a, side_b, f"Paired {len(a)} images of {folder_a.name} and {folder_b.name}."


def _two_halves(root: pathlib.Path, name: str) -> _Found:
    """The pairs that images show side by side."""
    found = file_listing.find(root, name=name, apart=root / image_folder.LIST)
    side_a, side_b = (
        (found.names, [image_file.Half(root / entry, right) for entry in found.names])
        for right in (False, True)
    )
    note = f"Took {len(found.names)} images as pairs side by side: a is the left half, b the right."
    return found, side_a, side_b, note


def _folders(root: pathlib.Path, *, name: str) -> dict[str, pathlib.Path]:
    """The folders in `root` by their names in lower case; DataError where it is none."""
    if not root.is_dir():
        found = "a file, not a folder" if root.exists() else "not there: check the path"
        raise DataError(f"{name}: {root} is {found}; expected a folder")
    return {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}


def _some(inner: Mapping[str, pathlib.Path]) -> str:
    return (
        f"the folders {file_listing.some([path.name for path in inner.values()])}"
        if inner
        else "no folders"
    )


def _by_stem(names: list[str], inner: pathlib.Path, *, name: str) -> dict[str, str]:
    """The names by what is left of them without their suffix; DataError where two are alike."""
    stems: dict[str, str] = {}
    for entry in names:
        stem = str(pathlib.PurePosixPath(entry).with_suffix(""))
        if stem in stems:
            raise DataError(
                f"{name}: {inner.name} has {stems[stem]} and {entry}, which differ in their "
                "suffix alone: keep one"
            )
        stems[stem] = entry
    return stems


def _require_partners(
    first: tuple[pathlib.Path, dict[str, str]],
    second: tuple[pathlib.Path, dict[str, str]],
    *,
    name: str,
) -> None:
    """Raises DataError, naming it, where an image of one folder is not in the other."""
    for (here, names), (there, others) in ((first, second), (second, first)):
        alone = [names[stem] for stem in names if stem not in others]
        if alone:
            more = f", nor have {len(alone) - 1} others" if len(alone) > 1 else ""
            raise DataError(
                f"{name}: {here.name}/{alone[0]} has no partner in {there.name}{more}; "
                f"add {there.name}/{alone[0]} or leave it out"
            )
