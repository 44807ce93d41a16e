"""TIFFs of any number of bands, which PIL does not read: satellite images, stacks of maps.

Values are read as they are stored: integers of 8 to 32 bits and floats, in strips or tiles, with
interleaved or separate bands, without compression or with deflate or LZW. Georeferences are not
read.

References:
    Aldus 1992, "TIFF Revision 6.0"; Adobe 2002, "Photoshop TIFF Technical Notes" (deflate);
    Adobe 2005, "TIFF Technical Note 3" (floating-point predictor).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxgan.data.errors import DataError

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _TILES, _TILE_BYTES = 284, 317, 322, 323, 324, 325
_FORMAT = 339
_KINDS = {1: "u", 2: "i", 3: "f"}
_WHITE_IS_ZERO, _PALETTE, _YCBCR = 0, 3, 6
_STORED = {"u1": "uint8", "u2": "uint16"}


class Unread(ValueError):
    """The reason, in a few words, why a TIFF is not read."""


class Layout(NamedTuple):
    """What the first page of a TIFF says of its pixels.

    Attributes:
        shape: (H, W, C) as stored.
        dtype: the type of the values, with the file's byte order.
        orientation: the EXIF orientation, from 1 to 8.
        tags: the numbers of each tag.
        order: '<' or '>'.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    orientation: int
    tags: Mapping[int, tuple[int, ...]]
    order: str

    @property
    def kept(self) -> str:
        """The type that the values are kept in."""
        return _STORED.get(self.dtype.str[1:], "float32")


def layout(content: bytes) -> Layout:
    """Returns the layout of the first page.

    Args:
        content: the file.

    Raises:
        Unread: if it is of a kind that is not read.
        Exception: whatever a damaged file raises.
    """
    tags, order = _tags(content)
    one = {tag: numbers[0] for tag, numbers in tags.items() if numbers}
    samples, bits = one.get(_SAMPLES, 1), set(tags.get(_BITS, (1,)))
    kind = _KINDS.get(one.get(_FORMAT, 1))
    if len(bits) > 1 or not kind or len(set(tags.get(_FORMAT, (1,)))) > 1:
        raise Unread("a TIFF whose bands have several types: save it with one")
    (width,) = bits
    if width not in ((16, 32, 64) if kind == "f" else (8, 16, 32)):
        raise Unread(f"a TIFF of {width} bits a value: save it with 8, 16 or 32")
    if one.get(_PHOTOMETRIC, 1) in (_WHITE_IS_ZERO, _PALETTE, _YCBCR):
        raise Unread("a TIFF in which 0 is white, or of a palette or YCbCr: save it as PNG")
    shape = (one[_LENGTH], one[_WIDTH], samples)
    dtype = np.dtype(f"{order}{kind}{width // 8}")
    if min(shape) < 1:
        raise Unread("a TIFF without pixels")
    return Layout(shape, dtype, one.get(_ORIENTATION, 1), tags, order)


def read(content: bytes) -> np.ndarray:
    """Returns the values of the first page, [H, W, C] as stored, in the type of `Layout.kept`.

    Args:
        content: the file.

    Raises:
        Unread: if it is of a kind that is not read.
        DataError: if an integer is too large for float32.
        Exception: whatever a damaged file raises.
    """
    page = layout(content)
    height, width, samples = page.shape
    separate = page.tags.get(_PLANAR, (1,))[0] == 2
    together = 1 if separate else samples
    tiled = _TILES in page.tags
    if tiled:
        piece = (page.tags[_TILE_LENGTH][0], page.tags[_TILE_WIDTH][0])
        places, sizes = page.tags[_TILES], page.tags[_TILE_BYTES]
    else:
        piece = (min(page.tags.get(_ROWS, (height,))[0], height), width)
        places, sizes = page.tags[_STRIPS], page.tags[_STRIP_BYTES]
    down, across = math.ceil(height / piece[0]), math.ceil(width / piece[1])
    planes = samples if separate else 1
    if len(places) != planes * down * across or len(sizes) != len(places):
        raise ValueError(f"{len(places)} pieces for {planes * down * across}")
    values = np.empty((height, width, samples), page.dtype)
    for number, (place, size) in enumerate(zip(places, sizes, strict=True)):
        plane, at = divmod(number, down * across)
        top, left = (side * step for side, step in zip(divmod(at, across), piece, strict=True))
        rows = piece[0] if tiled else min(piece[0], height - top)
        block = _block(content[place : place + size], (rows, piece[1], together), page)
        here = np.s_[plane : plane + 1] if separate else np.s_[:]
        inside = values[top : top + rows, left : left + piece[1], here]
        inside[...] = block[: inside.shape[0], : inside.shape[1]]
    return _kept(values, page.kept)


def _kept(values: np.ndarray, dtype: str) -> np.ndarray:
    if values.dtype.kind in "ui" and dtype == "float32":
        low, high = int(values.min()), int(values.max())
        if max(-low, high) > 2**24:
            raise DataError(
                f"a TIFF holds integers in [{low}, {high}]; expected at most {2**24} in size, "
                "which float32 holds: subtract or divide by a constant first"
            )
    return values.astype(dtype)


def _tags(content: bytes) -> tuple[dict[int, tuple[int, ...]], str]:
    """Returns the whole numbers of each tag of the first page, and the byte order."""
    order = {b"II": "<", b"MM": ">"}[content[:2]]
    big = struct.unpack_from(order + "H", content, 2)[0] == 43
    if big:
        (at,) = struct.unpack_from(order + "Q", content, 8)
        (count,) = struct.unpack_from(order + "Q", content, at)
        at, step, inline, head = at + 8, 20, 8, "HHQ"
    else:
        (at,) = struct.unpack_from(order + "I", content, 4)
        (count,) = struct.unpack_from(order + "H", content, at)
        at, step, inline, head = at + 2, 12, 4, "HHI"
    tags = {}
    for entry in range(at, at + count * step, step):
        tag, kind, many = struct.unpack_from(order + head, content, entry)
        if kind not in _INTEGERS:
            continue
        place = entry + step - inline
        if _SIZES[kind] * many > inline:
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), content, place)
        tags[tag] = struct.unpack_from(f"{order}{many}{_INTEGERS[kind]}", content, place)
    return tags, order


def _block(packed: bytes, shape: tuple[int, int, int], page: Layout) -> np.ndarray:
    """Returns the values of a strip or tile [rows, width, samples]."""
    count = math.prod(shape) * page.dtype.itemsize
    compression = page.tags.get(_COMPRESSION, (1,))[0]
    if compression in (8, 32946):
        unpacked = zlib.decompressobj().decompress(packed, count)
    elif compression == 5:
        unpacked = _lzw(packed, count)
    elif compression == 1:
        unpacked = packed
    else:
        raise Unread("a TIFF of bands in a compression that is not read: use deflate, LZW or none")
    if len(unpacked) < count:
        raise ValueError("truncated")
    predictor = page.tags.get(_PREDICTOR, (1,))[0]
    if predictor == 3:
        return _of_float_differences(unpacked[:count], shape, page.dtype)
    values = np.frombuffer(unpacked, page.dtype, math.prod(shape)).reshape(shape)
    if predictor == 2:
        whole = values.view(f"{page.order}u{page.dtype.itemsize}")  # sums wrap, as differences did
        return (
            np.cumsum(whole, axis=1, dtype=whole.dtype.newbyteorder("="))
            .astype(whole.dtype)
            .view(page.dtype)
        )
    return values


def _of_float_differences(
    unpacked: bytes, shape: tuple[int, int, int], dtype: np.dtype
) -> np.ndarray:
    """Undoes the floating-point predictor: differences of bytes, the highest ones first."""
    rows, _, samples = shape
    differences = np.frombuffer(unpacked, np.uint8).reshape(rows, -1, samples)
    summed = np.cumsum(differences, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, -1)
    values = np.ascontiguousarray(summed.transpose(0, 2, 1)).view(f">f{dtype.itemsize}")
    return values.reshape(shape).astype(dtype)


def _lzw(packed: bytes, count: int) -> bytes:
    """Returns the bytes, at least `count` of them if there are as many, of LZW codes."""
    clear, end = 256, 257
    first = [bytes([value]) for value in range(256)] + [b"", b""]
    table, width, out, made = list(first), 9, [], 0
    before = b""
    held = bits = 0
    for byte in packed:
        held, bits = (held << 8 | byte) & 0xFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & (1 << width) - 1
        if code == end:
            break
        if code == clear:
            table, width, before = list(first), 9, b""
            continue
        if code < len(table):
            entry = table[code]
        elif before and code == len(table):
            entry = before + before[:1]
        else:
            raise ValueError("damaged LZW codes")
        out.append(entry)
        made += len(entry)
        if made >= count:
            break
        if before:
            table.append(before + entry[:1])
            if len(table) >= (1 << width) - 1 and width < 12:  # one code early
                width += 1
        before = entry
    return b"".join(out)
