"""Writes images as files that hold their values: PNG of 8 or 16 bits, and TIFF for all others."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from jaxgan.data import bands

_COLOR_TYPES = {1: 0, 3: 2, 4: 6}
"""The color type of a PNG by its number of channels: gray, RGB and RGBA."""

_KINDS = {"u": 1, "f": 3}


def suffix(channels: int, dtype: str) -> str:
    """Returns the suffix of a file for such images: '.png', or '.tif' where a PNG holds them not.

    Args:
        channels: number of channels.
        dtype: the type of the values, 'uint8', 'uint16' or 'float32'.
    """
    return ".png" if channels in bands.PICTURES and dtype != "float32" else ".tif"


def encoded(values: np.ndarray) -> bytes:
    """Returns the file of an image, of the kind that `suffix` names.

    Args:
        values: uint8, uint16 or float32 [H, W, C].
    """
    is_png = suffix(values.shape[2], values.dtype.name) == ".png"
    return _png(values) if is_png else _tiff(values)


def _png(values: np.ndarray) -> bytes:
    """Returns a PNG; the specification (ISO 15948) puts the most significant byte first."""
    height, width, channels = values.shape
    bits = 8 * values.itemsize
    lines = values.astype(values.dtype.newbyteorder(">")).reshape(height, -1).view(np.uint8)
    unfiltered = np.pad(lines, ((0, 0), (1, 0)))  # each line begins with its filter, 0 for none
    header = struct.pack(">IIBBBBB", width, height, bits, _COLOR_TYPES[channels], 0, 0, 0)
    parts = {b"IHDR": header, b"IDAT": zlib.compress(unfiltered.tobytes()), b"IEND": b""}
    chunks = [
        struct.pack(">I", len(content)) + named + struct.pack(">I", zlib.crc32(named))
        for content, named in ((content, name + content) for name, content in parts.items())
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _tiff(values: np.ndarray) -> bytes:
    """Returns a TIFF without compression, of one strip and interleaved bands (TIFF 6.0)."""
    height, width, channels = values.shape
    content = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    bits, kind = 8 * values.itemsize, _KINDS[values.dtype.kind]
    tags = {256: [width], 257: [height], 258: [bits] * channels, 259: [1], 262: [1], 273: [0]}
    tags |= {277: [channels], 278: [height], 279: [len(content)]}
    if channels > 1:
        tags[338] = [0] * (channels - 1)  # bands of no further meaning
    tags[339] = [kind] * channels
    after = 8 + 2 + 12 * len(tags) + 4
    lists, places = b"", {}
    for tag, numbers in tags.items():
        if len(numbers) > 1:
            places[tag] = after + len(lists)
            lists += struct.pack(f"<{len(numbers)}I", *numbers)
    tags[273] = [after + len(lists)]
    entries = b"".join(
        struct.pack("<HHII", tag, 4, len(numbers), places.get(tag, numbers[0]))
        for tag, numbers in tags.items()
    )
    head = b"II" + struct.pack("<HIH", 42, 8, len(tags))
    return head + entries + bytes(4) + lists + content
