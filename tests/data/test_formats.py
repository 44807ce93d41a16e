"""Files and folders as users have them: what each input gives, or the sentence it gets."""

from __future__ import annotations

import functools
import json
import pathlib
import re
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from tests.data.conftest import picture, png_of_16_bits

COUNT = 6
OPTIONS: dict[str, Any] = {"holdout": 0}


class Case(NamedTuple):
    """Images that `make` writes, what they become, and notes; or the sentence that refuses them.

    Attributes:
        make: `make(folder)` writes the files.
        pixels: The training images, sorted; None if they are refused.
        says: Parts of the notes or of the sentence.
        options: Further options of `data.load`.
    """

    make: Callable[[pathlib.Path], Any]
    pixels: np.ndarray | None
    says: tuple[str, ...] = ()
    options: Mapping[str, Any] = MappingProxyType({})


def gray(level: float, dtype: Any = np.uint8) -> np.ndarray:
    return np.full((4, 6), level, dtype)


def tiff(levels: np.ndarray, *, order: Any = "<", inverted: bool = False, turned: int = 1) -> bytes:
    """An uncompressed TIFF of levels [H, W, C] of any type, as TIFF 6.0 describes it."""
    height, width, channels = levels.shape
    bits, kind = 8 * levels.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[levels.dtype.kind]
    content = levels.astype(levels.dtype.newbyteorder(order)).tobytes()
    photometric = 2 if channels > 1 else 0 if inverted else 1
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 0, 274: turned}
    tags |= {277: channels, 278: height, 279: len(content), 339: kind}
    several = {258, 339} if channels > 1 else set()
    start = 8 + 2 + 12 * len(tags) + 4
    after = b""
    entries = b""
    for tag, value in tags.items():
        if tag in several:
            entries += struct.pack(order + "HHII", tag, 3, channels, start + len(after))
            after += struct.pack(order + "H", value) * channels
        else:
            value = start + len(several) * 2 * channels if tag == 273 else value
            entries += struct.pack(order + "HHII", tag, 4, 1, value)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HIH", 42, 8, len(tags))
    return head + entries + bytes(4) + after + content


def big_tiff(levels: np.ndarray, *, order: Any = "<") -> bytes:
    """An uncompressed BigTIFF of bands [H, W, C] of any type: places and counts have 8 bytes."""
    height, width, channels = levels.shape
    bits, kind = 8 * levels.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[levels.dtype.kind]
    content = levels.astype(levels.dtype.newbyteorder(order)).tobytes()
    tags = {256: [width], 257: [height], 258: [bits] * channels, 259: [1], 262: [1], 273: [0]}
    tags |= {277: [channels], 278: [height], 279: [len(content)], 339: [kind] * channels}
    after, entries = b"", b""
    start = 16 + 8 + 20 * len(tags) + 8
    tags[273] = [start + sum(2 * len(of) for of in tags.values() if len(of) > 4)]
    for tag, numbers in tags.items():
        packed = struct.pack(f"{order}{len(numbers)}{'Q' if tag in (273, 279) else 'H'}", *numbers)
        if len(packed) > 8:
            packed, after = struct.pack(order + "Q", start + len(after)), after + packed
        code = 16 if tag in (273, 279) else 3
        entries += struct.pack(order + "HHQ", tag, code, len(numbers)) + packed.ljust(8, b"\0")
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HHHQQ", 43, 8, 0, 16, len(tags))
    return head + entries + bytes(8) + after + content


def of_bytes(content: bytes, suffix: str) -> Callable:
    """Writes `COUNT` files of this content."""

    def make(root: pathlib.Path) -> None:
        for number in range(COUNT):
            (root / f"{number}.{suffix}").write_bytes(content)

    return make


def of_tiff(levels: np.ndarray, suffix: str = "tif", **options: Any) -> Callable:
    """Writes `COUNT` files of these levels [H, W, C]."""

    def make(root: pathlib.Path) -> None:
        for number in range(COUNT):
            (root / f"{number}.{suffix}").write_bytes(tiff(levels, **options))

    return make


def saved(images: list[np.ndarray], suffix: str, **options: Any) -> Callable:
    def make(root: pathlib.Path) -> None:
        for number, pixels in enumerate(images):
            Image.fromarray(pixels).save(root / f"{number}.{suffix}", **options)

    return make


def pages(root: pathlib.Path, **options: Any) -> None:
    for number in range(COUNT):
        first, *others = [Image.fromarray(gray(level)) for level in (7, 8, 9)]
        first.save(root / f"{number}.tiff", save_all=True, append_images=others, **options)


def without_suffix(root: pathlib.Path) -> None:
    for number, kind in enumerate(("png", "jpeg", "gif", "bmp", "webp", "tiff")):
        Image.fromarray(gray(200)).save(root / str(number), format=kind, lossless=True, quality=100)
    (root / "README").write_text("BMW and other cars\n")
    (root / "EMPTY").touch()


def mixed_floats(root: pathlib.Path) -> None:
    for number, level in enumerate((0.0, 0.5, -1.0, 1.0)):
        Image.fromarray(gray(level, np.float32)).save(root / f"{number}.tif")


def same(pixels: np.ndarray, count: int = COUNT) -> np.ndarray:
    return np.stack([pixels if pixels.ndim == 3 else pixels[..., None]] * count)


COLOR, CLEAR = picture(1), picture(2, channels=4)
RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6)
ON_WHITE = np.asarray(
    Image.alpha_composite(Image.new("RGBA", (8, 6), "white"), Image.fromarray(CLEAR)).convert("RGB")
)
BANDS = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
MANY = (np.arange(2 * 3 * 13, dtype=np.uint16) * 50).reshape(2, 3, 13)
DEEP = np.array([[[0], [32896], [65535]]], np.uint16)
VEILED = np.array([[[0, 9, 65535, 65535], [0, 9, 65535, 0], [257, 512, 65279, 21845]]], np.uint16)
"""Colors that are opaque, clear, and veiled by a third."""
VEILED_ON_WHITE = np.array(
    [[[0, 9, 65535], [65535] * 3, [43690 + round(level / 3) for level in (257, 512, 65279)]]],
    np.uint16,
)

FILES = {
    "TIFF in gray": Case(saved([RAMP] * COUNT, "tif"), same(RAMP)),
    "TIFF in color": Case(saved([COLOR] * COUNT, "tiff"), same(COLOR)),
    "TIFF, compressed": Case(saved([COLOR] * COUNT, "TIF", compression="tiff_lzw"), same(COLOR)),
    "TIFF with transparency": Case(
        saved([CLEAR] * COUNT, "tif"), same(ON_WHITE), ("6 of 6 images have transparency (RGBA)",)
    ),
    "TIFF with transparency, kept": Case(
        saved([CLEAR] * COUNT, "tif"), same(CLEAR), options={"channels": 4}
    ),
    "TIFF of several pages": Case(
        pages, same(gray(7)), ("6 of 6 images have several pages: only the first is used.",)
    ),
    "TIFF of several pages, as channels": Case(
        pages,
        same(np.stack([gray(level) for level in (7, 8, 9)], axis=2)),
        ("6 of 6 images have several pages: read as channels.",),
        {"channels": 3},
    ),
    "TIFF of five bands": Case(
        of_tiff(BANDS), same(BANDS), ("Pictures show channels 1, 2 and 3 of 5 as red, green",)
    ),
    "TIFF of five bands, turned": Case(of_tiff(BANDS, turned=6), same(np.rot90(BANDS, -1))),
    "TIFF of thirteen bands of 16 bits": Case(
        of_tiff(MANY, order=">"),
        same(MANY),
        ("values are uint16; their range is [0, 4095], found in the training images.",),
    ),
    "TIFF of five bands, of which three are requested": Case(
        of_tiff(BANDS),
        None,
        ("the images have 5 bands, but 3 channels were requested; leave --channels out",),
        {"channels": 3},
    ),
    "TIFF that is stored turned": Case(
        of_tiff(RAMP[..., None], turned=6),
        same(np.rot90(RAMP, -1)),
        ("6 of 6 images were turned upright according to their EXIF orientation.",),
    ),
    "TIFF upside down, by a file's bytes": Case(
        of_tiff(RAMP[..., None], turned=3, order=">"), same(RAMP[::-1, ::-1])
    ),
    "TIFF in which 0 is white": Case(of_tiff(RAMP[..., None], inverted=True), same(255 - RAMP)),
    "TIFF of 16 bits": Case(
        of_tiff(DEEP),
        same(DEEP),
        ("The values are uint16; their range is [0, 65535], found in the training images.",),
    ),
    "TIFF of 16 bits, most significant byte first": Case(of_tiff(DEEP, order=">"), same(DEEP)),
    "TIFF of 12 bits in 16": Case(
        of_tiff(DEEP // 16), same(DEEP // 16), ("their range is [0, 4095], found",)
    ),
    "TIFF of 16 bits in color": Case(
        of_tiff(np.repeat(DEEP, 3, axis=2)),
        same(np.repeat(DEEP, 3, axis=2)),
        ("their range is [0, 65535], found",),
    ),
    "TIFF of 32 bits that use 16": Case(of_tiff(DEEP.astype(np.int32)), same(DEEP)),
    "TIFF of 32 bits": Case(
        of_tiff(DEEP.astype(np.int32) * 2),
        None,
        ("0.tif holds integers in [0, 131070]; expected integers in [0, 65535]: scale all",),
    ),
    "TIFF of 32 bits without a sign": Case(
        of_tiff(np.array([[[3 * 10**9]]], np.uint32)), None, ("expected integers in [0, 65535]",)
    ),
    "TIFF of 16 bits with a sign": Case(
        of_tiff(np.array([[[-5], [9]]], np.int16)),
        same(np.array([[[-5], [9]]], np.float32)),
        ("The values are float32; their range is [-5, 9], found",),
    ),
    "TIFF of 16 bits in which 0 is white": Case(
        of_tiff(DEEP, inverted=True),
        None,
        ("6 of 6 images cannot be read", "0.tif (a TIFF of more than 8 bits in which 0 is white"),
    ),
    "TIFF of floats": Case(
        of_tiff(np.array([[[0.0], [0.5], [1.0]]], np.float32)),
        same(np.array([[[0.0], [0.5], [1.0]]], np.float32)),
        ("The values are float32; their range is [0, 1], found",),
    ),
    "TIFF of floats, one of them below 0": Case(
        mixed_floats,
        np.stack([np.full((4, 6, 1), level, np.float32) for level in (-1.0, 0.0, 0.5, 1.0)]),
        ("their range is [-1, 1], found",),
    ),
    "TIFF of floats of another range": Case(
        of_tiff(np.array([[[0.0], [300.0]]], np.float32)),
        same(np.array([[[0.0], [300.0]]], np.float32)),
        ("their range is [0, 300], found",),
    ),
    "TIFF of floats that are none": Case(
        of_tiff(np.array([[[0.0], [np.nan]]], np.float32)), None, ("0.tif holds floats in [nan",)
    ),
    "TIFF of floats in color": Case(
        of_tiff(np.ones((2, 2, 3), np.float32)), same(np.ones((2, 2, 3), np.float32))
    ),
    "JPEG called jfif": Case(
        saved([gray(200)] * COUNT, "jfif", format="JPEG", quality=100), same(gray(200))
    ),
    "no suffix": Case(
        without_suffix,
        same(np.stack([gray(200)] * 3, axis=2)),
        (
            "6 images have no suffix, and were recognized by their content.",
            "Ignored 2 files that are not PNG, JPEG, WebP, BMP, GIF or TIFF: EMPTY, README.",
        ),
        {"channels": 3},
    ),
    "PNG of 16 bits": Case(saved([DEEP[..., 0]] * COUNT, "png"), same(DEEP)),
    "PNG of 16 bits in color, with transparency": Case(
        of_bytes(png_of_16_bits(VEILED), "png"), same(VEILED), options={"channels": 4}
    ),
    "PNG of 16 bits in color, on white": Case(
        of_bytes(png_of_16_bits(VEILED), "png"),
        same(VEILED_ON_WHITE),
        ("6 of 6 images have transparency (RGBA): placed on white (--channels 4 keeps it).",),
    ),
    "PNG of 16 bits in gray, with transparency": Case(
        of_bytes(png_of_16_bits(VEILED[..., [0, 3]]), "png"),
        same(VEILED[..., [0, 0, 0, 3]]),
        ("6 of 6 images are grayscale: converted to color.",),
        {"channels": 4},
    ),
    "PNG of 16 bits in gray, on white": Case(
        of_bytes(png_of_16_bits(VEILED[..., [0, 3]]), "png"), same(VEILED_ON_WHITE[..., :1])
    ),
    "BigTIFF in gray": Case(saved([RAMP] * COUNT, "tif", big_tiff=True), same(RAMP)),
    "BigTIFF in color": Case(saved([COLOR] * COUNT, "tif", big_tiff=True), same(COLOR)),
    "BigTIFF of 16 bits": Case(saved([DEEP[..., 0]] * COUNT, "tif", big_tiff=True), same(DEEP)),
    "BigTIFF of several pages, as channels": Case(
        functools.partial(pages, big_tiff=True),
        same(np.stack([gray(level) for level in (7, 8, 9)], axis=2)),
        ("6 of 6 images have several pages: read as channels.",),
        {"channels": 3},
    ),
    "BigTIFF of bands": Case(of_bytes(big_tiff(BANDS), "tif"), same(BANDS)),
    "BigTIFF of bands of 16 bits, most significant byte first": Case(
        of_bytes(big_tiff(MANY, order=">"), "tif"), same(MANY)
    ),
    "BigTIFF of bands of floats": Case(
        of_bytes(big_tiff(BANDS.astype(np.float32) - 9.5), "tif"),
        same(BANDS.astype(np.float32) - 9.5),
    ),
    "BigTIFF, truncated": Case(
        of_bytes(big_tiff(BANDS)[:-9], "tif"), None, ("no readable image is left", "(truncated)")
    ),
}


def sentence(error: Exception) -> str:
    """The message, which must be one sentence."""
    said = str(error)
    assert "\n" not in said and not re.search(r"[.!?] [A-Z]", said) and not said.endswith(".")
    return said


@pytest.mark.parametrize("case", FILES.values(), ids=FILES.keys())
def test_a_file_is_read_with_its_own_range_or_refused(case, tmp_path):
    case.make(tmp_path)
    if case.pixels is None:
        with pytest.raises(data.DataError) as caught:
            data.load(f"folder:{tmp_path}", **OPTIONS, **case.options)
        said = sentence(caught.value)
    else:
        splits = data.load(f"folder:{tmp_path}", **OPTIONS, **case.options)
        assert isinstance(splits.train, data.Dataset)
        found = sorted(splits.train.images, key=lambda image: image.ravel().tolist())
        np.testing.assert_array_equal(np.stack(found), case.pixels)
        assert splits.train.images.dtype == case.pixels.dtype
        said = "\n".join(splits.notes)
    assert [part for part in case.says if part not in said] == []


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_tiff_is_read_in_bands_as_in_one_piece(tmp_path, monkeypatch, dtype, order):
    from jaxgan.data.readers import image_file

    levels = np.random.default_rng(0).integers(0, 2, (9, 7, 1)).astype(dtype)
    (tmp_path / "0.tif").write_bytes(tiff(levels, order=order, turned=6))
    whole = data.load(f"folder:{tmp_path}", **OPTIONS).train
    monkeypatch.setattr(image_file, "_BAND", 20)
    assert whole.shape == (7, 9, 1)
    assert data.load(f"folder:{tmp_path}", **OPTIONS).train.digest == whole.digest


# --- two domains ----------------------------------------------------------------------------------

EQUAL, OTHER, TEST = range(8), range(100, 106), range(3)
EXCHANGE = "in the order of their names; --direction BtoA exchanges them."


class Layout(NamedTuple):
    """Folders of two domains, what they are read as, and the notes, or the sentence.

    Attributes:
        spec: `paired` or `unpaired`.
        folders: The numbers of the images in each folder.
        counts: Images of a and b to train on, and held out; None if they are refused.
        says: Parts of the notes or of the sentence.
    """

    spec: str
    folders: Mapping[str, range]
    counts: tuple[int, int, int, int] | None
    says: tuple[str, ...] = ()


def two(a: str, b: str, *, of_a: range = EQUAL, of_b: range = EQUAL) -> dict[str, range]:
    return {a: of_a, b: of_b}


def held(a: str, b: str) -> dict[str, range]:
    return two(a, b, of_a=TEST, of_b=TEST)


LAYOUTS = {
    "train_A": Layout(
        "paired", two("train_A", "train_B"), (8, 8, 0, 0), ("8 images of train_A and train_B",)
    ),
    "trainA of equal names": Layout(
        "paired", two("trainA", "trainB"), (8, 8, 0, 0), ("Paired 8 images of trainA and trainB.",)
    ),
    "trainA of other names": Layout(
        "paired", two("trainA", "trainB", of_b=OTHER), None, ("not paired; write unpaired:",)
    ),
    "train/A and test/A": Layout(
        "paired",
        two("train/A", "train/B") | held("test/A", "test/B"),
        (8, 8, 3, 3),
        ("Paired 8 images of train/A and train/B.", "Paired 3 images of test/A and test/B."),
    ),
    "train/A and val/A": Layout(
        "unpaired",
        two("train/A", "train/B", of_b=OTHER) | held("val/A", "val/B"),
        (8, 6, 3, 3),
        ("Domain a is train/A and domain b train/B.", "Held out 3 images: those in val/A."),
    ),
    "trainA and valA": Layout(
        "unpaired",
        two("trainA", "trainB", of_b=OTHER) | held("valA", "valB"),
        (8, 6, 3, 3),
        ("Domain a is trainA and domain b trainB.",),
    ),
    "A and B": Layout("unpaired", two("A", "B", of_b=OTHER), (8, 6, 0, 0), ("domain b B.",)),
    "input and target": Layout("paired", two("input", "target"), (8, 8, 0, 0)),
    "source and target": Layout(
        "unpaired", two("source", "target", of_b=OTHER), (8, 6, 0, 0), ("Domain a is source",)
    ),
    "any names": Layout(
        "unpaired",
        two("horses", "zebras", of_b=OTHER),
        (8, 6, 0, 0),
        (f"Domain a is horses and domain b zebras, {EXCHANGE}",),
    ),
    "any names in train and test": Layout(
        "unpaired",
        two("train/horses", "train/zebras", of_b=OTHER) | held("test/horses", "test/zebras"),
        (8, 6, 3, 3),
        (f"Domain a is horses and domain b zebras, {EXCHANGE}",),
    ),
    "any names with the split": Layout(
        "paired",
        two("photos_train", "sketches_train") | held("photos_val", "sketches_val"),
        (8, 8, 3, 3),
        (f"Domain a is photos and domain b sketches, {EXCHANGE}",),
    ),
    "any names with equal files": Layout(
        "paired",
        two("photos", "sketches"),
        (8, 8, 0, 0),
        (f"sketches, {EXCHANGE}", "Paired 8 images of photos and sketches."),
    ),
    "any names, a partner missing": Layout(
        "paired",
        two("photos", "sketches", of_b=range(7)),
        None,
        ("photos/7.png has no partner in sketches; add sketches/7.png or remove the image",),
    ),
    "any names with other files": Layout(
        "paired", two("cats", "dogs", of_b=OTHER), None, ("which may be the two domains",)
    ),
    "three names": Layout(
        "unpaired", two("cats", "dogs") | {"eels": EQUAL}, None, ("no folder trainA in it, but",)
    ),
    "a name that is missing to hold out": Layout(
        "unpaired",
        two("train/cats", "train/dogs") | {"test/cats": TEST},
        None,
        ("no folder trainA in it, but the folders test, train",),
    ),
}


def lay_out(root: pathlib.Path, folders: Mapping[str, range]) -> None:
    """Writes images twice as wide as high, as combined ones are: a is dark, b its negative."""
    for folder, numbers in folders.items():
        (root / folder).mkdir(parents=True)
        first = re.search("A|input|source|horses|photos|cats", folder) is not None
        for number in numbers:
            level = number if first else 255 - number
            image = Image.fromarray(np.full((4, 8), level, np.uint8))
            image.save(root / folder / f"{number}.png")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_folders_of_two_domains_are_understood_and_that_is_told(layout, tmp_path):
    lay_out(tmp_path, layout.folders)
    kind = {"paired": "pairs", "unpaired": "domains"}[layout.spec]
    apart = any(re.search("test|val", folder) for folder in layout.folders)
    spec, options = f"{layout.spec}:{tmp_path}", {} if apart else OPTIONS
    if layout.counts is None:
        with pytest.raises(data.DataError) as caught:
            data.load(spec, kind=kind, **options)
        said = sentence(caught.value)
    else:
        splits = data.load(spec, kind=kind, **options)
        train, held_out = splits.train, splits.held_out
        assert isinstance(train, data.Domains) and isinstance(held_out, data.Domains)
        counts = (len(held_out.a), len(held_out.b)) if apart else (0, 0)
        assert (len(train.a), len(train.b), *counts) == layout.counts
        assert train.shape == (4, 8, 1)
        assert train.a.images.max() < 128 <= train.b.images.max()
        if layout.spec == "paired":
            np.testing.assert_array_equal(train.a.images, 255 - train.b.images)
        said = "\n".join(splits.notes)
    assert [part for part in layout.says if part not in said] == []


# --- files of labels ------------------------------------------------------------------------------

COMPOSED, APART = "caf\u00e9.png", "cafe\u0301.png"
BOM = "\ufeff"


class Labels(NamedTuple):
    """A file of labels for a.png, b.png and café.png.

    Attributes:
        files: The text of each file, by its name.
        labels: The class of each image by the first letter of its name; empty for none.
        says: Parts of the notes.
    """

    files: Mapping[str, str]
    labels: Mapping[str, str]
    says: tuple[str, ...] = ()


def entries(*labels: object, name: str = "file_name", key: str = "label") -> str:
    """Lines of JSON for the images, with these labels."""
    files = ("a.png", "b.png", APART)
    pairs = zip(files, labels, strict=False)
    return "\n".join(json.dumps({name: file, key: label}) for file, label in pairs)


ALL = {"a": "cat", "b": "dog", "c": "cat"}
TABLE = f"a.png\tcat\nb.png\tdog\n{APART}\tcat\n"
TABLES = {
    "tabs": Labels({"labels.tsv": TABLE}, ALL, ("2 classes of 3 images from labels.tsv.",)),
    "tabs, with a header": Labels(
        {"labels.tsv": "label\tage\tfile_name\ncat\t3\ta.png\n"}, {"a": "cat"}
    ),
    "tabs, and commas in names": Labels({"labels.tsv": "a.png\tcat, old\n"}, {"a": "cat, old"}),
    "commas called tsv": Labels(
        {"labels.tsv": "a.png,cat\n"}, {}, ("Did not read labels.tsv: expected two columns",)
    ),
    "BOM and CRLF": Labels({"labels.tsv": BOM + TABLE.replace("\n", "\r\n")}, ALL),
    "BOM and CRLF in csv": Labels(
        {"labels.csv": BOM + f"file,class\r\na.png,cat\r\nb.png,dog\r\n{APART},cat\r\n"}, ALL
    ),
    "BOM and CRLF in lines": Labels(
        {"metadata.jsonl": BOM + entries("cat", "dog", "cat").replace("\n", "\r\n")}, ALL
    ),
    "BOM in JSON": Labels(
        {"dataset.json": BOM + json.dumps({"labels": [["a.png", 1], [APART, 0]]})},
        {"a": "1", "c": "0"},
    ),
    "lines": Labels(
        {"metadata.jsonl": entries("cat", "dog", "cat")}, ALL, ("from metadata.jsonl.",)
    ),
    "lines of numbers": Labels(
        {"metadata.jsonl": entries(10, 9, 9)}, {"a": "10", "b": "9", "c": "9"}
    ),
    "lines with other keys": Labels(
        {"metadata.jsonl": entries("cat", "dog", "cat", name="image", key="class")}, ALL
    ),
    "lines, some without a label": Labels(
        {"metadata.jsonl": entries("cat") + '\n\n{"file_name": "b.png"}\n'},
        {"a": "cat"},
        ("Left out 2 images without a label: b.png",),
    ),
    "lines of captions": Labels(
        {"metadata.jsonl": entries("a cat", key="text")},
        {},
        ("Did not read metadata.jsonl: its lines have no 'label'.",),
    ),
    "lines with lists of lists": Labels(
        {"metadata.jsonl": entries("cat", [[1]])},
        {},
        ("Did not read metadata.jsonl: its line 2 is not a file_name with a label that is",),
    ),
    "a line that is no object": Labels(
        {"metadata.jsonl": entries("cat") + "\n3"}, {}, ("its line 2 is not a JSON object",)
    ),
    "a line that is no JSON": Labels({"metadata.jsonl": "{"}, {}, ("it is damaged or is not",)),
    "two labels of an image": Labels(
        {"labels.csv": f"{COMPOSED},cat\n{APART},dog\n"},
        {},
        ("Did not read labels.csv: it gives caf\u00e9.png two labels, cat and dog.",),
    ),
    "two files": Labels(
        {
            "labels.csv": "a.png,cat\nb.png,dog\ncaf\u00e9.png,cat\n",
            "metadata.jsonl": entries(1, 2, 3),
        },
        ALL,
        ("Did not read metadata.jsonl: the labels are those of labels.csv.",),
    ),
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_labels_come_from_tables_of_any_system(table, tmp_path):
    for level, name in enumerate(("a.png", "b.png", COMPOSED)):
        Image.fromarray(gray(level)).save(tmp_path / name)
    for name, text in table.files.items():
        (tmp_path / name).write_bytes(text.encode())
    splits = data.load(f"folder:{tmp_path}", **OPTIONS)
    train = splits.train
    assert isinstance(train, data.Dataset)
    numbers = [] if train.labels is None else train.labels.tolist()
    first = ["abc"[image[0, 0, 0]] for image in train.images]
    assert dict(zip(first, (train.classes[n] for n in numbers), strict=False)) == table.labels
    assert len(train) == (len(table.labels) or 3)
    assert [part for part in table.says if part not in "\n".join(splits.notes)] == []


@pytest.mark.parametrize(
    ("file", "line"),
    [("metadata.jsonl", '{{"file_name": "{0}", "label": "{1}"}}'), ("labels.tsv", "{0}\t{1}")],
)
def test_train_and_test_folders_may_have_labels_of_their_own(tmp_path, file, line):
    for split, labels in (("train", "xyx"), ("test", "yx")):
        (tmp_path / split).mkdir()
        for number in range(len(labels)):  # the same names in both
            Image.fromarray(gray(number)).save(tmp_path / split / f"{number}.png")
        lines = [line.format(f"{number}.png", label) for number, label in enumerate(labels)]
        (tmp_path / split / file).write_text("\n".join(lines))
    train, held_out, notes = data.load(f"folder:{tmp_path}")
    assert isinstance(train, data.Dataset) and isinstance(held_out, data.Dataset)
    assert train.classes == held_out.classes == ("x", "y")
    assert train.labels is not None and train.labels.tolist() == [0, 1, 0]
    assert held_out.labels is not None and held_out.labels.tolist() == [1, 0]
    assert notes[0] == f"Read 2 classes of 5 images from test/{file} and train/{file}."
