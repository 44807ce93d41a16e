"""Brings the training and the held-out images to one range of values, that of training."""

from __future__ import annotations

import dataclasses

from jaxgan.data import bands, resizing, value_range
from jaxgan.data.dataset import Dataset
from jaxgan.data.domains import Domains
from jaxgan.data.errors import DataError, refuse
from jaxgan.data.splits import Splits


def in_one_range(
    splits: Splits, limits: value_range.Limits | None = None, show: str | None = None
) -> Splits:
    """Returns the data with the range of their training images, or the given one, and notes on it.

    Images of two domains have a range for each. Values outside of a given range are clipped.

    Args:
        splits: the data.
        limits: the range, or None for the one found in the training images.
        show: the channels that pictures show (see `bands.parsed`), or None.

    Raises:
        DataError: if the range or the channels make no sense, or the data are no images.
    """
    given = None if limits is None else value_range.limits_of(limits)
    train, held_out = splits.train, splits.held_out
    if isinstance(train, Domains) and isinstance(held_out, Domains):
        if show is not None:
            bands.parsed(show, max(train.a.shape[2], train.b.shape[2]))
        notes, sides = [], {}
        for side in "ab":
            pair = (getattr(train, side), getattr(held_out, side))
            named = bands.fitting(show, pair[0].shape[2])
            *sides[side], said = _ranged(*pair, given, named)
            notes += [f"Domain {side}: {note}" for note in said]
        same = held_out is train
        train = dataclasses.replace(train, a=sides["a"][0], b=sides["b"][0])
        held_out = dataclasses.replace(held_out, a=sides["a"][1], b=sides["b"][1])
        held_out = train if same else held_out
    elif isinstance(train, Dataset) and isinstance(held_out, Dataset):
        named = bands.parsed(show, train.shape[2])
        train, held_out, notes = _ranged(train, held_out, given, named)
    else:
        refuse(splits.train.name, "has no images", range=limits, show=show)
        return splits
    return Splits(train, held_out, (*splits.notes, *notes))


def _ranged(
    train: Dataset,
    held_out: Dataset,
    given: tuple[float, float] | None,
    show: tuple[int, ...],
) -> tuple[Dataset, Dataset, list[str]]:
    """Returns both parts of one set of images in the range of training, and notes."""
    channels = train.shape[2]
    if channels > bands.MOST:
        raise DataError(
            f"{train.name}: the images are {resizing.describe(train.shape)} and have {channels} "
            f"channels; expected {bands.MOST} or fewer, in the last axis: choose some of them"
        )
    told = bands.note(channels, show)
    shown = [told] if told else []
    chosen = train.values
    if given is not None:
        chosen = value_range.ValueRange(*given, chosen.dtype, "given")
    if chosen == value_range.BYTES and not show:
        return train, held_out, shown
    before = (train,) if held_out is train else (train, held_out)
    outside = 0 if given is None else sum(chosen.outside(part.stored) for part in before)
    parts = [dataclasses.replace(part, values=chosen, show=show) for part in before]
    if chosen == value_range.BYTES:
        return parts[0], parts[-1], shown
    said = [f"The values are {chosen.dtype}; their range is {chosen}."]
    if outside:
        said.append(f"warning: {outside} values lie outside of that range: clipped to its ends.")
    return parts[0], parts[-1], [*said, *shown]
