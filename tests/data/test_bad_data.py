"""Every way in which data can be bad gets one sentence that says what was found and what to do."""

from __future__ import annotations

import os
import pathlib
import re
import struct
import subprocess
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from jaxgan import data


class Case(NamedTuple):
    """A set that `make` writes below a folder, giving its spec and options, and what is said."""

    make: Callable[[pathlib.Path], str | tuple[str, dict]]
    says: tuple[str, ...]


def write(root: pathlib.Path, names, *, size=(8, 6), mode="RGB") -> str:
    """Noise in image files of these names below `root`: the spec of the folder."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).convert(mode).save(path)
    return f"folder:{root}"


def numbered(count: int, suffix: str = "png") -> list[str]:
    return [f"{number:02}.{suffix}" for number in range(count)]


def archive(root: pathlib.Path, **arrays) -> str:
    np.savez(root / "set.npz", **arrays)
    return f"npz:{root / 'set.npz'}"


def images(count: int = 20, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (count, 6, 8, channels)).astype(dtype)


def spoil(spec: str, name: str, contents: bytes) -> str:
    """The spec, after the file of this name in its folder was overwritten."""
    pathlib.Path(spec.partition(":")[2], name).write_bytes(contents)
    return spec


def two_sizes(root):
    write(root / "a", numbered(20), size=(8, 6))
    write(root / "b", ["1.png"], size=(12, 6))
    return f"folder:{root}"


def beside_classes(root):
    return write(root, ["cat/a.png", "dog/b.png", "c.png"])


def bomb(root):
    """PNG headers that announce 30,000 x 30,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    for name in numbered(20):
        (root / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\1IDAT")
    return f"folder:{root}"


def mostly_damaged(root):
    spec = write(root, numbered(20))
    for number, name in enumerate(numbered(11)):
        spoil(spec, name, b"x" * number)
    return spec


def with_list(root, contents: str):
    (root / "held.list").write_text(contents)
    return write(root / "set", numbered(20)), {"holdout": root / "held.list"}


def nothing_readable_to_hold_out(root):
    spec = write(root, numbered(20))
    (root / "val.txt").write_text("03.png\n")
    return spoil(spec, "03.png", b"broken")


def some_file(root, name: str, contents: bytes = b"x" * 100) -> pathlib.Path:
    (root / name).write_bytes(contents)
    return root / name


def cut_archive(root, keep: float) -> str:
    spec = archive(root, images=images(200))
    path = root / "set.npz"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return spec


def flipped_archive(root) -> str:
    """An archive in which one byte of the images was changed."""
    spec = archive(root, images=images(200))
    contents = bytearray((root / "set.npz").read_bytes())
    contents[len(contents) // 2] ^= 255
    (root / "set.npz").write_bytes(contents)
    return spec


def npy(shape, held: int | None = None) -> bytes:
    """A file of uint8 that claims this shape, and holds as many bytes or `held`."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    count = abs(int(np.prod(shape))) if held is None and not isinstance(shape, str) else held or 0
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(count)


def members(root, contents: list[tuple[str, bytes]]) -> str:
    """An archive of members with these names and contents."""
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(root / "set.npz", "w") as file:
        for name, content in contents:
            file.writestr(name, content)
    return f"npz:{root / 'set.npz'}"


def altered(root, at: int, value: int) -> str:
    """An archive in both of whose headers a field has another value, `at` bytes from the first."""
    spec = members(root, [("images.npy", npy((9, 6, 8)))])
    contents = bytearray((root / "set.npz").read_bytes())
    central = contents.index(b"PK\x01\x02")
    for place in (at, central + at + 2):
        contents[place] = value
    (root / "set.npz").write_bytes(contents)
    return spec


def encrypted_archive(root) -> str:
    return altered(root, at=6, value=1)


def unknown_compression(root) -> str:
    return altered(root, at=8, value=77)


def holed(value: float) -> np.ndarray:
    floats = images(dtype=np.float32)
    floats[7, 2, 3, 1] = value
    return floats


CASES = {
    # --- folders
    "no such folder": Case(lambda root: f"folder:{root}/none", ("no folder", "check the path")),
    "a file for a folder": Case(
        lambda root: f"folder:{some_file(root, 'a.zip')}", ("a.zip is a file", "unpacked")
    ),
    "an archive for a folder": Case(
        lambda root: f"folder:{some_file(root, 'a.npz')}", ("is a file, not a folder", "npz:")
    ),
    "an empty folder": Case(lambda root: f"folder:{root}", ("no images", "no files", "PNG, JPEG")),
    "no image among the files": Case(
        lambda root: f"folder:{some_file(root, 'scan.psd').parent}",
        ("no images", "1 other files such as 'scan.psd'", "expected PNG"),
    ),
    "only hidden files": Case(
        lambda root: write(root, [".cache/a.png", "__MACOSX/b.png"]), ("no images", "no files")
    ),
    "images beside class folders": Case(beside_classes, ("1 images", "'c.png'", "move them")),
    "mixed sizes": Case(
        two_sizes, ("a/00.png is 6x8", "b/1.png is 6x12", "give --resolution, such as 64")
    ),
    "a list of names that are not there": Case(
        lambda root: with_list(root, "03.png\n77.png\nx.png\n"),
        ("held.list lists 2 images that do not exist", "'77.png'", "names like '00.png'"),
    ),
    "an empty list": Case(
        lambda root: with_list(root, "# nothing\n\n"), ("held.list is empty", "one name a line")
    ),
    "a list that is no text": Case(
        lambda root: (write(root, numbered(9)), {"holdout": root / "00.png"}),
        ("00.png cannot be read (not UTF-8 text)", "a fraction such as 0.1"),
    ),
    "no such list": Case(
        lambda root: (write(root, numbered(9)), {"holdout": "0,1"}),
        ("0,1 cannot be read (No such file or directory)", "a fraction such as 0.1"),
    ),
    "everything held out": Case(
        lambda root: with_list(root, "\n".join(numbered(20))), ("none is left to train on",)
    ),
    "nothing held out": Case(
        lambda root: (write(root, numbered(3)), {"holdout": 1e-9}),
        ("of 3 images none is held out", "another --holdout"),
    ),
    "a fraction of one": Case(
        lambda root: (write(root, numbered(3)), {"holdout": 1.0}), ("holdout is 1.0", "from 0 to")
    ),
    "a fraction of zero": Case(
        lambda root: (write(root, numbered(3)), {"holdout": "-0.1"}),
        ("holdout is -0.1", "from 0 to below 1"),
    ),
    "more than half damaged": Case(
        mostly_damaged,
        ("11 of 20 images cannot be read", "00.png (empty file), 01.png (not an image)", "6 more"),
    ),
    "all that is held out damaged": Case(
        nothing_readable_to_hold_out, ("no readable image is left", "03.png (not an image)")
    ),
    "a decompression bomb": Case(bomb, ("00.png (more than 67 million pixels)", "replace")),
    "a channel count that files do not have": Case(
        lambda root: (write(root, numbered(9)), {"channels": 2}), ("channels is 2", "1 (grayscale)")
    ),
    "a folder that is too large for memory": Case(
        lambda root: (write(root, numbered(20)), {"resolution": 10**6, "channels": 3}),
        (
            "20 images of 1000000x1000000x3 need 60,000.00 GB on disk",
            "are free",
            "lower --resolution",
        ),
    ),
    "a resolution that is none": Case(
        lambda root: (write(root, numbered(9)), {"resolution": "64x"}), ("'64x'", "like 64x96")
    ),
    # --- archives
    "no such archive": Case(lambda root: f"npz:{root}/none.npz", ("not there", "check the path")),
    "a folder for an archive": Case(lambda root: f"npz:{root}", ("is a folder: write folder:",)),
    "no archive at all": Case(
        lambda root: f"npz:{some_file(root, 'a.npz')}", ("not a complete .npz archive", "np.savez(")
    ),
    "an empty archive": Case(
        lambda root: f"npz:{some_file(root, 'a.npz', b'')}", ("not a complete .npz archive",)
    ),
    "a truncated archive": Case(
        lambda root: cut_archive(root, 0.5), ("not a complete .npz archive", "save it again")
    ),
    "a changed byte in an archive": Case(
        flipped_archive, ("'images' is damaged (Bad CRC-32", "save the archive again")
    ),
    "no images in an archive": Case(
        lambda root: archive(root, x_train=images(), y_train=np.arange(20)),
        ("no array 'images' but has x_train, y_train", "rename"),
    ),
    "an encrypted archive": Case(encrypted_archive, ("is encrypted", "without a password")),
    "an array twice": Case(
        lambda root: members(
            root, [("images.npy", npy((9, 6, 8))), ("images.npy", npy((9, 6, 8)))]
        ),
        ("holds 'images' more than once", "save it again"),
    ),
    "an array twice, once without its suffix": Case(
        lambda root: members(root, [("images.npy", npy((9, 6, 8))), ("images", b"")]),
        ("holds 'images' more than once",),
    ),
    "a huge claimed shape": Case(
        lambda root: members(root, [("images.npy", npy((2**40, 2**40, 2**40, 3), held=100))]),
        ("'images' is damaged (shape (1099511627776, ", "bytes but it holds 100)"),
    ),
    "a huge claimed number of labels": Case(
        lambda root: members(
            root, [("images.npy", npy((9, 6, 8))), ("labels.npy", npy((2**62,), held=9))]
        ),
        ("'labels' is damaged (shape (4611686018427387904,)",),
    ),
    "a shape below zero": Case(
        lambda root: members(root, [("images.npy", npy((-9, -6, 8)))]), ("'images' is damaged",)
    ),
    "a header nested beyond reason": Case(
        lambda root: members(root, [("images.npy", npy("(" * 9000))]), ("'images' is damaged",)
    ),
    "an unknown compression": Case(
        unknown_compression, ("'images' is damaged (That compression method is not supported",)
    ),
    "a name of thousands of letters": Case(
        lambda root: members(root, [("x" * 5000, b"")]), ("no array 'images' but has xxx", "rename")
    ),
    "pickled objects as images": Case(
        lambda root: archive(root, images=np.array([images(1), None], object)),
        ("'images' holds Python objects", "never loaded", "plain array"),
    ),
    "pickled objects as labels": Case(
        lambda root: archive(root, images=images(2), labels=np.array(["a", None], object)),
        ("'labels' holds Python objects",),
    ),
    "vectors for images": Case(
        lambda root: archive(root, images=np.zeros((9, 784), np.uint8)), ("shape (9, 784)", "[N, H")
    ),
    "no rows": Case(lambda root: archive(root, images=images(0)), ("shape (0, 6, 8, 3)", "size 0")),
    "channels first": Case(
        lambda root: archive(root, images=np.zeros((9, 3, 32, 32), np.uint8)),
        ("channels first", "images.transpose(0, 2, 3, 1)"),
    ),
    "integers that float32 does not hold": Case(
        lambda root: archive(root, images=2**24 * images(dtype=np.int64) + 1),
        ("is int64 in [1, 1.67772e+07]", "up to 1.67772e+07: subtract or divide by a constant"),
    ),
    "truth values for images": Case(
        lambda root: archive(root, images=images(dtype=np.bool_)),
        ("is bool", "use images.astype(np.float32)"),
    ),
    "NaN": Case(
        lambda root: archive(root, images=holed(np.nan)),
        ("1 values of 'images' are NaN or infinite", "in image 7", "replace them"),
    ),
    "infinity": Case(lambda root: archive(root, images=holed(-np.inf)), ("the first in image 7",)),
    "a range of one number": Case(
        lambda root: (archive(root, images=images()), {"range": "5"}),
        ("the range is '5'; expected LOW,HIGH, two numbers, the lower first",),
    ),
    "a range from high to low": Case(
        lambda root: (archive(root, images=images()), {"range": (5, 2)}), ("the range is (5, 2);",)
    ),
    "more channels than a picture needs": Case(
        lambda root: archive(root, images=images(channels=65)), ("have 65 channels", "64 or fewer")
    ),
    "a channel to show that is not there": Case(
        lambda root: (archive(root, images=images(channels=5)), {"show": "3,2,6"}),
        ("--show names channel 6, and the images have 5",),
    ),
    "two channels to show": Case(
        lambda root: (archive(root, images=images(channels=5)), {"show": "3,2"}),
        ("--show is '3,2'; expected one channel, or three",),
    ),
    "channels that cannot be had": Case(
        lambda root: (archive(root, images=images(channels=2)), {"channels": 3}),
        ("have 2 channels, but 3 were requested", "leave --channels out"),
    ),
    "too few labels": Case(
        lambda root: archive(root, images=images(), labels=np.arange(19)),
        ("19 labels for 20 images", "one for each image"),
    ),
    "labels that are no integers": Case(
        lambda root: archive(root, images=images(), labels=np.linspace(0, 1, 20)),
        ("labels are float64", "one integer for each of the 20 images"),
    ),
    "counts for several labels": Case(
        lambda root: archive(root, images=images(), labels=2 * np.eye(20, dtype=int)),
        ("of shape (20, 20) holds other values than 0 and 1, as image 0 does", "expected 1 where"),
    ),
    "several labels of other images": Case(
        lambda root: archive(root, images=images(), labels=np.eye(19, dtype=bool)),
        ("are bool of shape (19, 19)", "20 images, or [20, classes] of 0 and 1"),
    ),
    "an image without any of several labels": Case(
        lambda root: archive(root, images=images(), labels=np.tril(np.ones((20, 3), int), -7)),
        ("7 images have no label, the first is image 0", "at least one, or remove them"),
    ),
    "fewer names than several labels": Case(
        lambda root: archive(root, images=images(), labels=np.eye(20), classes=["a", "b"]),
        ("'labels' has 20 columns and 'classes' 2 names",),
    ),
    "a label below zero": Case(
        lambda root: archive(root, images=images(), labels=np.arange(20) - 1),
        ("1 labels are out of range, the first is -1 for image 0", "expected 0 to 18"),
    ),
    "a label without a class": Case(
        lambda root: archive(root, images=images(), labels=np.arange(20), classes=["a", "b"]),
        ("18 labels are out of range, the first is 2 for image 2", "expected 0 to 1 for 2 cl"),
    ),
    "labels beyond all reason": Case(
        lambda root: archive(root, images=images(), labels=np.full(20, 10**12)),
        ("20 labels are out of range", "1000000000000 for image 0"),
    ),
    "names without labels": Case(
        lambda root: archive(root, images=images(), classes=["a"]), ("'classes' but no 'labels'",)
    ),
    "numbers for names": Case(
        lambda root: archive(root, images=images(), labels=np.zeros(20, int), classes=[1]),
        ("'classes' is int64", "one string for each class"),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_data_is_refused_in_one_sentence_that_says_what_was_found_and_what_to_do(
    case, tmp_path
):
    made = case.make(tmp_path)
    spec, options = made if isinstance(made, tuple) else (made, {})
    with pytest.raises(data.DataError) as caught:
        data.load(spec, **options)
    message = str(caught.value)
    for part in case.says:
        assert part in message
    assert "\n" not in message and not re.search(r"[.!?] [A-Z]", message)
    assert not message.endswith(".")


def test_a_set_that_is_smaller_than_a_batch_is_refused(tmp_path):
    train = data.load(write(tmp_path, numbered(20)), holdout=0.5).train
    with pytest.raises(data.DataError, match=r"fewer than one batch of 64; add images or give"):
        data.require_batch(train, 64)


def test_a_folder_that_may_not_be_listed_is_named(tmp_path, monkeypatch):
    spec = write(tmp_path, ["cat/a.png", "dog/b.png"])
    scan = os.scandir

    def guarded(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(data.DataError, match=r"dog cannot be listed \(Permission denied\)"):
        data.load(spec)


def test_a_file_that_may_not_be_read_is_left_out_and_named(tmp_path, monkeypatch):
    spec = write(tmp_path, numbered(20))
    opened = Image.open

    def guarded(path, **options):
        if path.name == "07.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, **options)

    monkeypatch.setattr(Image, "open", guarded)
    assert any("07.png (permission denied)" in note for note in data.load(spec).notes)


@pytest.mark.parametrize("form", ["folder:", "npz:", "paired:", "unpaired:", "captioned:", ""])
def test_a_path_that_none_can_be_gets_one_sentence(form):
    kind = {"paired:": "pairs", "unpaired:": "domains", "captioned:": "captions"}.get(form)
    for path in ("a" * 5000, "a\0b"):
        with pytest.raises(data.DataError):
            data.load(form + path, kind=kind or "images")


@pytest.fixture
def nested(tmp_path):
    """A folder of 20 images and, in it, 1,100 folders in folders of this name: gives its spec."""

    def make(name: str) -> str:
        spec = write(tmp_path / "set", numbered(20))
        here = os.open(tmp_path / "set", os.O_RDONLY)
        for _ in range(1100):
            os.mkdir(name, dir_fd=here)
            inner = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        os.close(here)
        return spec

    yield make
    subprocess.run(["rm", "-rf", tmp_path / "set"], check=True)  # Python's own calls itself


def test_folders_nested_deeper_than_python_calls_are_walked(nested):
    assert sum(map(len, data.load(nested("d"))[:2])) == 20


def test_folders_nested_deeper_than_a_path_is_long_get_one_sentence(nested):
    with pytest.raises(data.DataError, match=r"cannot be listed \(File name too long\)") as caught:
        data.load(nested("deep"))
    assert len(str(caught.value)) < 500
