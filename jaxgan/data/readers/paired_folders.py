"""Images of two domains in folders, as pairs or unpaired.

Pairs are side by side in one image, or two files of one name. Unpaired domains are two folders. The
folders of the domains are recognized by their names (a and b, trainA, input, ...), and if there are
no such names, two folders of any names are domains a and b in the order of these. Or both folders
are named, wherever they lie: `photos::drawings`.
"""

from __future__ import annotations

import itertools
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan import files
from jaxgan.data import holdout, resizing, two_folders
from jaxgan.data.domains import Domains, Pairs
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.readers import decoding, file_listing, image_file, image_folder
from jaxgan.data.splits import Splits, joined

_PAIRED = (
    "two folders a and b with equal names (also train_A and train_B, train/A and train/B, input "
    "and target), or images that show a and b side by side"
)
_UNPAIRED = "trainA and trainB (or a and b), and testA and testB next to them to hold out"
_PARTNERS = (("a", "b"), ("input", "target"), ("inputs", "targets"), ("source", "target"))
_SIDES = {word: side for pair in _PARTNERS for word, side in zip(pair, "ab", strict=True)}
_ORDER = ("train", "test", "val")
_WORD = "|".join(_SIDES)
_LAST = re.compile(rf"(?:{_WORD})$", re.IGNORECASE)
_NAMED = re.compile(
    rf"(?P<split>{'|'.join(file_listing.SPLITS)})(?:[_ -](?P<apart>{_WORD})|(?P<glued>[ab]))"
    rf"|(?P<plain>{_WORD})",
    re.IGNORECASE,
)
_SPLIT = "|".join(file_listing.SPLITS)
_ANY = re.compile(
    rf"(?:(?P<before>{_SPLIT})[_ -])?(?P<word>.+?)(?:[_ -](?P<after>{_SPLIT}))?", re.IGNORECASE
)


def load_pairs(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the pairs in a folder, decoded to uint8 in the shape of `fit`.

    If the folder has sub-folders a and b (or train_A and train_B, train/A and train/B, input and
    target), two images of one name form a pair, whatever their suffix; so they do in two other
    folders, if these have mostly the same files. Otherwise each image shows a pair side by side:
    its left half is a and its right half b. Whole pairs are held out: those in test_A and test_B,
    or those chosen as by `image_folder.load`.

    Args:
        place: path of the folder, or of the folders of both domains (see `two_folders`).
        fit: the shape to convert the images to.
        held: a fraction to hold out, a list file, or None (see `holdout.choose`).

    Raises:
        DataError: if an image has no partner, or one of another size; the error names it.
    """
    name, root, given = _located("paired", place)
    if given:
        found, a, b, said = _pairs(root, {"train": given}, name=name)
    else:
        found, a, b, said = _two_files(root, name) or _two_halves(root, name)
    mask, held_notes = image_folder.held_out(root, found, held, name=name)
    collections = [
        decoding.Collection(name, names, sources, None, (), mask) for names, sources in (a, b)
    ]
    splits = joined(Pairs, *decoding.decode_together(collections, fit))
    return splits._replace(notes=(*found.notes, *said, *splits.notes, *held_notes))


def load_domains(place: str, fit: resizing.Fit, held: holdout.Holdout) -> Splits:
    """Returns the images of two domains in a folder, decoded to uint8 in the shape of `fit`.

    Held out are the images in testA and testB (or valA and valB), or in a test folder next to a
    train folder in the folder of a domain. Without such folders, `held` applies to each domain. Two
    folders of any names are domains a and b in the order of these.

    Args:
        place: path of the folder, or of the folders of both domains (see `two_folders`).
        fit: the shape to convert the images to.
        held: a fraction to hold out, a list file, or None (see `holdout.choose`).

    Raises:
        DataError: if a domain has no images, or the folder cannot be used.
    """
    name, root, given = _located("unpaired", place)
    parts, guessed = ({"train": given}, ()) if given else _parts(root, name=name)
    folders = [_domain_folders(root, parts, domain, name=name) for domain in "ab"]
    for split in ("test", "val"):
        missing = [side for side in "ab" if side not in parts.get(split, "ab")]
        if missing:
            raise DataError(
                f"{name}: there is no folder {split}{missing[0].upper()}, but one of the other "
                f"domain; expected {_UNPAIRED}"
            )
    listings = [
        [file_listing.find(part, name=f"{name}, {part.name}") for part in of] for of in folders
    ]
    splits = joined(
        Domains,
        *(
            _domain(name, root, of, found, fit, held)
            for of, found in zip(folders, listings, strict=True)
        ),
    )
    called = [_called(of[0], root) for of in folders]
    understood = guessed or (f"Domain a is {called[0]} and domain b {called[1]}.",)
    unread = () if given else _unread(root, parts, used=())
    return splits._replace(notes=(*understood, *unread, *splits.notes))


def _located(form: str, place: str) -> tuple[str, pathlib.Path, dict[str, pathlib.Path]]:
    """Returns the name of the data, their folder, and by domain the two folders that are named.

    If two are named, the folder is that of domain a. Raises DataError if one of the two is, or lies
    in, the other.
    """
    name = f"{form}:{place}"
    paths = [pathlib.Path(part).expanduser() for part in two_folders.parted(place)]
    if len(paths) == 1:
        return name, paths[0], {}
    for inner, outer in (paths, paths[::-1]):
        if files.is_folder(outer) and files.lies_in(inner, outer):
            raise DataError(
                f"{name}: {inner} is, or lies in, {outer}, so that images would be in both domains;"
                " give two folders apart from each other"
            )
    return name, paths[0], dict(zip("ab", paths, strict=True))


def _called(path: pathlib.Path, root: pathlib.Path) -> str:
    """Returns how notes call a folder: by its path in `root`, or else by its whole path."""
    inside = path != root and path.is_relative_to(root)
    return path.relative_to(root).as_posix() if inside else path.as_posix()


def _domain_folders(
    root: pathlib.Path, parts: _Parts, domain: str, *, name: str
) -> list[pathlib.Path]:
    """Returns a domain's training folder and then the folders to hold out, if there are any."""
    if domain not in parts.get("train", {}):
        raise DataError(
            f"{name}: there is no folder train{domain.upper()} in it, but "
            f"{_some(_folders(root, name=name))}; expected {_UNPAIRED}"
        )
    return [of[domain] for split in _ORDER if domain in (of := parts.get(split, {}))]


def _domain(
    name: str,
    root: pathlib.Path,
    folders: Sequence[pathlib.Path],
    found: Sequence[file_listing.Listing],
    fit: resizing.Fit,
    held: holdout.Holdout,
) -> Splits:
    """Returns the images of one domain; those of all folders but the first are held out."""
    parts = zip(folders, found, strict=True)
    of_parts = [(part, entry) for part, its in parts for entry in its.names]
    names = [f"{_called(part, root)}/{entry}" for part, entry in of_parts]
    here = f"{name}, {folders[0].name}"
    if len(folders) > 1:
        refuse(name, "has test folders", holdout=held)
        mask = np.arange(len(names)) >= len(found[0].names)
        where = " and ".join(_called(part, root) for part in folders[1:])
        said = (f"Held out {mask.sum()} images: those in {where}.",)
    elif found[0].held_out is not None:
        mask, said = image_folder.held_out(folders[0], found[0], held, name=here)
    else:
        # By the name within the domain: images of one name in both are held out together.
        mask, note = holdout.choose(found[0].names, held, name=here)
        said = (note,)
    sources = [part / entry for part, entry in of_parts]
    collection = decoding.Collection(name, names, sources, None, (), mask)
    splits = decoding.decode_splits(collection, fit)
    ignored = [ignored for its in found for ignored in its.notes]
    return splits._replace(notes=(*ignored, *splits.notes, *said))


_Parts = dict[str, dict[str, pathlib.Path]]
"""The folders by split (train, test, val) and by domain (a, b)."""

_Side = tuple[list[str], Sequence[image_file.Source]]


class _Found(NamedTuple):
    """Paired images.

    Attributes:
        listed: the pairs as a listing, to choose what is held out.
        a: the names and the sources of the images of domain a.
        b: those of domain b, in the same order.
        notes: sentences for the user.
    """

    listed: file_listing.Listing
    a: _Side
    b: _Side
    notes: tuple[str, ...]


def _parts(root: pathlib.Path, *, name: str) -> tuple[_Parts, tuple[str, ...]]:
    """Returns the folders by split and domain: a and b, trainA and testA, train_A, train/A, ...

    Also returns a note if the folders have other names. Raises DataError if two folders stand for
    the same domain and split.
    """
    parts: _Parts = {}
    for split, side, path in _named(root, name=name):
        known = parts.setdefault(split, {}).setdefault(side, path)
        if known != path:
            raise DataError(
                f"{name}: {known.relative_to(root)} and {path.relative_to(root)} would both be "
                f"domain {side}: keep one, or move them into separate folders"
            )
    return (parts, ()) if parts else _guessed(root, name=name)


def _guessed(root: pathlib.Path, *, name: str) -> tuple[_Parts, tuple[str, ...]]:
    """Returns two folders of any names as domains, or none if there are not exactly two names."""
    by_word: dict[str, dict[str, pathlib.Path]] = {}
    for split, word, path in _worded(root, name=name):
        if not word.isdecimal() and _has_images(path):  # numbers divide one dataset
            by_word.setdefault(word, {})[split] = path
    words = sorted(by_word)
    flat = any(file_listing.is_image(path) for path in root.iterdir() if not path.is_dir())
    if len(words) != 2 or flat or by_word[words[0]].keys() != by_word[words[1]].keys():
        return {}, ()
    parts = {
        split: {side: by_word[word][split] for side, word in zip("ab", words, strict=True)}
        for split in by_word[words[0]]
    }
    note = (
        f"Domain a is {files.shortened(words[0])} and domain b {files.shortened(words[1])}, in the "
        "order of their names; --direction BtoA exchanges them."
    )
    return parts, (note,)


def _worded(root: pathlib.Path, *, name: str) -> Iterable[tuple[str, str, pathlib.Path]]:
    """Yields each folder that may be a domain: its split, its name without that, and its path."""
    for path in _folders(root, name=name).values():
        split = file_listing.SPLITS.get(path.name.lower())
        if split is not None:
            for inner in _folders(path, name=name).values():
                yield split, inner.name, inner
            continue
        found = _ANY.fullmatch(path.name)
        if found and not path.name.startswith((".", "_")):
            split = (found["before"] or found["after"] or "train").lower()
            yield file_listing.SPLITS[split], found["word"], path


def _has_images(folder: pathlib.Path) -> bool:
    try:
        return bool(file_listing.images_below(folder, name="").images)
    except DataError:
        return False


def _mostly_equal(of: dict[str, pathlib.Path], *, name: str) -> bool:
    """Returns whether most files of two folders have the same names, without their suffixes."""
    a, b = (
        {_stem(entry) for entry in file_listing.images_below(of[side], name=name).images}
        for side in "ab"
    )
    return 2 * len(a & b) > max(len(a), len(b))


def _named(root: pathlib.Path, *, name: str) -> Iterable[tuple[str, str, pathlib.Path]]:
    """Yields each folder that is named after a domain: its split, its domain and its path."""
    for path in _folders(root, name=name).values():
        found = _NAMED.fullmatch(path.name)
        if found:
            side = _SIDES[(found["apart"] or found["glued"] or found["plain"]).lower()]
            yield file_listing.SPLITS[(found["split"] or "train").lower()], side, path
        elif path.name.lower() in file_listing.SPLITS:
            split = file_listing.SPLITS[path.name.lower()]
            for inner in _folders(path, name=name).values():
                if inner.name.lower() in _SIDES:
                    yield split, _SIDES[inner.name.lower()], inner


def _unread(root: pathlib.Path, parts: _Parts, *, used: Iterable[str]) -> tuple[str, ...]:
    """Returns a note on files and folders next to those of the domains."""
    tops = {path.relative_to(root).parts[0] for of in parts.values() for path in of.values()}
    rest = [path.name for path in sorted(root.iterdir()) if not path.name.startswith(".")]
    rest = [entry for entry in rest if entry not in tops | set(used)]
    return (f"Did not read {file_listing.some(rest)}: in neither domain.",) if rest else ()


def _two_files(root: pathlib.Path, name: str) -> _Found | None:
    """Returns the pairs of files in two folders, or None if there are no such folders."""
    inner = _folders(root, name=name)
    parts, guessed = _parts(root, name=name)
    glued = {"traina", "trainb"} <= inner.keys()
    both = [of for of in parts.values() if len(of) == 2]
    if (glued or guessed) and not all(_mostly_equal(of, name=name) for of in both):
        if guessed:
            return None
        raise DataError(
            f"{name}: it holds trainA and trainB, two domains whose files have other names, so "
            f"that they are not paired; write unpaired:{root}, or provide pairs as {_PAIRED}"
        )
    if not parts:
        return None
    found = _pairs(root, parts, name=name)
    unread = _unread(root, parts, used=[image_folder.LIST])
    return found._replace(notes=(*guessed, *found.notes, *unread))


def _pairs(root: pathlib.Path, parts: _Parts, *, name: str) -> _Found:
    """Returns the pairs of files in the folders of two domains."""
    paired = [
        (split, _two_sides(root, parts[split], name=name)) for split in _ORDER if split in parts
    ]
    notes = tuple(note for _, found in paired for note in found.notes)
    listed = paired[0][1].listed
    if len(paired) > 1 or "train" not in parts:
        # Without the split, two images could have one name.
        names = [f"{split}/{entry}" for split, found in paired for entry in found.listed.names]
        held = np.concatenate(
            [np.full(len(found.listed.names), split != "train") for split, found in paired]
        )
        ignored = [note for _, found in paired for note in found.listed.notes]
        listed = file_listing.Listing(names, None, (), held, tuple(dict.fromkeys(ignored)))
    a, b = _together([found.a for _, found in paired]), _together([found.b for _, found in paired])
    return _Found(listed, a, b, notes)


def _together(sides: Iterable[_Side]) -> _Side:
    """Joins the images of one domain from several folders."""
    names, sources = zip(*sides, strict=True)
    return list(itertools.chain(*names)), list(itertools.chain(*sources))


def _two_sides(root: pathlib.Path, of: dict[str, pathlib.Path], *, name: str) -> _Found:
    """Returns the pairs of files in two folders; raises DataError if one has no partner."""
    called = {side: _called(path, root) for side, path in of.items()}
    if len(of) < 2:
        (have,) = called.values()
        raise DataError(
            f"{name}: it holds {_some(_folders(root, name=name))} but no folder "
            f"{_partner(have)}: add it"
        )
    found = {side: file_listing.find(of[side], name=f"{name}, {called[side]}") for side in "ab"}
    a, b = (_by_stem(found[side].names, of[side], name=name) for side in "ab")
    _require_partners((called["a"], a), (called["b"], b), name=name)
    ordered = (("a", list(a.values())), ("b", [b[stem] for stem in a]))
    side_a, side_b = (
        ([f"{called[side]}/{entry}" for entry in names], [of[side] / entry for entry in names])
        for side, names in ordered
    )
    note = f"Paired {len(a)} images of {called['a']} and {called['b']}."
    notes = tuple(dict.fromkeys((*found["a"].notes, *found["b"].notes)))
    return _Found(found["a"]._replace(notes=notes), side_a, side_b, (note,))


def _partner(folder: str) -> str:
    """Returns the name that the folder of the other domain would have."""
    word = _LAST.findall(folder)[0]
    first, second = next(pair for pair in _PARTNERS if word.lower() in pair)
    other = second if word.lower() == first else first
    other = other.upper() if word.isupper() else other.title() if word.istitle() else other
    return folder.removesuffix(word) + other


def _two_halves(root: pathlib.Path, name: str) -> _Found:
    """Returns the pairs that images show side by side."""
    found = file_listing.find(root, name=name, apart=[root / image_folder.LIST])
    if len(found.classes) > 1:
        raise DataError(
            f"{name}: it holds the folders {file_listing.some(found.classes)}, which may be the "
            f"two domains or hold both in each image; expected {_PAIRED}, all in one folder"
        )
    side_a, side_b = (
        (found.names, [image_file.Half(root / entry, right) for entry in found.names])
        for right in (False, True)
    )
    note = f"Split {len(found.names)} images into pairs: a is the left half, b the right half."
    return _Found(found, side_a, side_b, (note,))


def _folders(root: pathlib.Path, *, name: str) -> dict[str, pathlib.Path]:
    """Returns the folders in `root` by their lower-case names; DataError if it is not a folder."""
    if not files.is_folder(root):
        found = "a file, not a folder" if files.exists(root) else "not there: check the path"
        raise DataError(f"{name}: {root} is {found}; expected a folder")
    return {path.name.lower(): path for path in sorted(root.iterdir()) if path.is_dir()}


def _some(inner: Mapping[str, pathlib.Path]) -> str:
    return (
        f"the folders {file_listing.some([path.name for path in inner.values()])}"
        if inner
        else "no folders"
    )


def _stem(entry: str) -> str:
    return str(pathlib.PurePosixPath(entry).with_suffix(""))


def _by_stem(names: list[str], inner: pathlib.Path, *, name: str) -> dict[str, str]:
    """Returns the names by their stem, without suffix; DataError if two have the same stem."""
    stems: dict[str, str] = {}
    for entry in names:
        stem = _stem(entry)
        if stem in stems:
            raise DataError(
                f"{name}: {inner.name} has {stems[stem]} and {entry}, which differ only in their "
                "suffix: keep one"
            )
        stems[stem] = entry
    return stems


def _require_partners(
    first: tuple[str, dict[str, str]],
    second: tuple[str, dict[str, str]],
    *,
    name: str,
) -> None:
    """Raises DataError, with the name, if an image of one folder is not in the other."""
    for (here, names), (there, others) in ((first, second), (second, first)):
        alone = [names[stem] for stem in names if stem not in others]
        if alone:
            more = f", and neither have {len(alone) - 1} others" if len(alone) > 1 else ""
            raise DataError(
                f"{name}: {here}/{alone[0]} has no partner in {there}{more}; "
                f"add {there}/{alone[0]} or remove the image"
            )
