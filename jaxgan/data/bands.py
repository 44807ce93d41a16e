"""The channels of an image that pictures show, for images that are not gray, RGB or RGBA."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxgan.data.errors import DataError

MOST = 64
"""The largest number of channels of an image."""

PICTURES = (1, 3, 4)
"""The numbers of channels that a picture holds: gray, RGB and RGBA."""


def parsed(show: str | None, channels: int) -> tuple[int, ...]:
    """Returns the indices of the channels that `--show` names, or () if it is not given.

    Args:
        show: one channel, or three for red, green and blue, counted from 1, such as '3,2,1'.
        channels: number of channels of the images.

    Raises:
        DataError: if it names neither one channel nor three, or one that does not exist.
    """
    if show is None:
        return ()
    parts = [part.strip() for part in show.split(",")]
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(numbers) != len(parts) or len(parts) not in (1, 3):
        raise DataError(
            f"--show is {show!r}; expected one channel, or three for red, green and blue, counted "
            "from 1, such as 3,2,1"
        )
    wrong = [number for number in numbers if not 1 <= number <= channels]
    if wrong:
        raise DataError(
            f"--show names channel {wrong[0]}, and the images have {channels}; expected 1 to "
            f"{channels}"
        )
    return tuple(number - 1 for number in numbers)


def fitting(show: str | None, channels: int) -> tuple[int, ...]:
    """Returns the indices that `parsed` returns, or () for images that have no such channels.

    Args:
        show: the channels, named for the images of another domain.
        channels: number of channels of the images.
    """
    try:
        return parsed(show, channels)
    except DataError:
        return ()


def usual(channels: int) -> tuple[int, ...]:
    """Returns the indices of the channels that pictures show where none are named.

    They are all of them if a picture holds as many, or else the first three, or of two the first.

    Args:
        channels: number of channels of the images.
    """
    if channels in PICTURES:
        return tuple(range(channels))
    return (0, 1, 2) if channels > 3 else (0,)


def shown(images: np.ndarray, show: Sequence[int] = ()) -> np.ndarray:
    """Returns the channels of images that pictures show, [..., 1, 3 or 4].

    Args:
        images: images [..., C] of any type.
        show: indices of the channels; () for the `usual` ones.
    """
    channels = images.shape[-1]
    chosen = tuple(show) or usual(channels)
    return images if chosen == tuple(range(channels)) else images[..., list(chosen)]


def note(channels: int, show: Sequence[int] = ()) -> str | None:
    """Returns a sentence on what pictures show, or None if they show all channels.

    Args:
        channels: number of channels of the images.
        show: indices of the channels; () for the `usual` ones.
    """
    chosen = tuple(show) or usual(channels)
    if chosen == tuple(range(channels)):
        return None
    named = [str(index + 1) for index in chosen]
    listed = f"channels {', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    what = f"{listed} of {channels} as red, green and blue" if len(named) > 1 else None
    what = what or f"channel {listed} of {channels}"
    return f"Pictures show {what}" + ("." if show else ": --show 3,2,1 chooses others.")
