"""What people have: a table of inputs, each with what it gives or the sentence it gets.

`test_formats` has the tables of single files, of folders of two domains and of files of labels.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from jaxgan import data, files

Make = Callable[[pathlib.Path], Any]
A, B, C = "a.png", "b.png", "c.png"
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Input(NamedTuple):
    """What a folder holds, and what it gives; every image has one level of gray, its number.

    Attributes:
        make: Write the files, one after another.
        gives: The levels of the training images with their classes, or with None. Of two domains:
            the levels of a and of b. None: the data are refused.
        held: The levels of the held-out images, of two domains those of a and of b; None: nothing
            is held out, and --holdout 0 is given unless `options` say otherwise.
        says: Parts of the notes, or of the sentence.
        spec: What names the data; {0} is the folder.
        kind: The kind of examples.
        options: Further options of `data.load`.
    """

    make: Sequence[Make]
    gives: Any
    held: Any = None
    says: tuple[str, ...] = ()
    spec: str = "folder:{0}"
    kind: str = "images"
    options: Mapping[str, Any] = NOTHING


def write(path: pathlib.Path, pixels: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def gray(*names: str, first: int = 0, of: str = "{}", **options: Any) -> Make:
    """Writes images of levels `first`, `first` + 1, ... of the given names."""

    def make(root: pathlib.Path) -> None:
        for level, name in enumerate(names, start=first):
            write(root / of.format(name), np.full((2, 4), level, np.uint8), **options)

    return make


def numbered(folder: str, levels: Sequence[int]) -> Make:
    """Writes images called by their levels into a folder."""

    def make(root: pathlib.Path) -> None:
        for level in levels:
            gray(f"{folder}/{level}.png", first=level)(root)

    return make


def text(name: str, content: str | bytes) -> Make:
    def make(root: pathlib.Path) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def lines(name: str, *entries: Any) -> Make:
    return text(name, "\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries))


def labeled(*labels: Any) -> Make:
    """Writes the metadata of a.png, b.png and c.png with these labels."""
    pairs = zip((A, B, C), labels, strict=True)
    return lines("metadata.jsonl", *({"file_name": name, "label": label} for name, label in pairs))


def color(pixels: Any, name: str = "0.png", **options: Any) -> Make:
    """Writes one pixel as an image of 2 x 4."""

    def make(root: pathlib.Path) -> None:
        write(root / name, np.tile(np.array(pixels, np.uint8), (2, 4, 1)), **options)

    return make


def pages(root: pathlib.Path) -> None:
    first, *others = [Image.fromarray(np.full((2, 4), level, np.uint8)) for level in (7, 8, 9)]
    first.save(root / "0.tif", save_all=True, append_images=others)


def film(root: pathlib.Path) -> None:
    first, *others = [Image.fromarray(np.full((2, 4), level, np.uint8)) for level in (7, 80)]
    first.save(root / "0.gif", save_all=True, append_images=others)


def turned(root: pathlib.Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)
    write(root / "0.png", pixels, exif=exif)


def combined(*names: str) -> Make:
    """Writes images whose left half has the level of their number, and the right half 255 less."""

    def make(root: pathlib.Path) -> None:
        for level, name in enumerate(names):
            row = [level, level, 255 - level, 255 - level]
            write(root / name, np.array([row, row], np.uint8))

    return make


def made(*names: str) -> Make:
    """Says that tools of jaxgan wrote these images."""

    def make(root: pathlib.Path) -> None:
        for name in names:
            files.mark_made(root / name)

    return make


def run(folder: str) -> Make:
    record = {"experiment": {}, "config": {}, "data": {}}
    return text(f"{folder}/config.json", json.dumps(record))


def plain(*levels: int) -> dict[int, None]:
    return dict.fromkeys(levels)


def called(**names: Any) -> dict[int, Any]:
    """The class, or the classes, of levels: `l0="cat"`."""
    return {int(level.removeprefix("l")): name for level, name in names.items()}


ABC = gray(A, B, C)
CATS = called(l0="cat", l1="dog", l2="cat")
TAGS = called(l0=("cat", "old"), l1=("dog",), l2=("cat",))
PARTS = ("00000/img00000000.png", "00000/img00000001.png", "00001/img00001000.png")
COMPOSED, APART = "caf\u00e9.png", "cafe\u0301.png"
TWO: dict[str, Any] = {"kind": "domains", "spec": "unpaired:{0}"}
PAIRS: dict[str, Any] = {"kind": "pairs", "spec": "paired:{0}"}
CAPTIONS: dict[str, Any] = {"kind": "captions", "spec": "captioned:{0}"}
CHOSEN = {"holdout": None}
LOW, HIGH = range(3), range(5, 9)

TABLE = {
    # --- files
    "a flat folder": Input([ABC], plain(0, 1, 2)),
    "a file of each format": Input(
        [
            gray("0.png", "0.bmp", "0.tif", "0.tiff", "0.gif", first=9),
            gray("0", first=14, format="PNG"),
        ],
        plain(9, 10, 11, 12, 13, 14),
        says=("1 images have no suffix, and were recognized by their content.",),
    ),
    "a TIFF of three pages": Input(
        [pages], plain(7), says=("1 of 1 images have several pages: only the first is used.",)
    ),
    "an animation": Input([film], plain(7), says=("only the first frame is used",)),
    "stored turned": Input([turned], plain(5), says=("turned upright according to their EXIF",)),
    "transparent": Input(
        [color([10, 20, 30, 0])], plain(255), says=("placed on white (--channels 4 keeps it)",)
    ),
    "transparent, kept": Input([color([10, 20, 30, 0])], plain(10), options={"channels": 4}),
    "gray and transparent": Input([color([10, 0])], plain(255), says=("have transparency",)),
    "in color where gray is asked for": Input(
        [color([80, 80, 80])], plain(80), options={"channels": 1}, says=("converted to grayscale",)
    ),
    "an empty file among others": Input(
        [ABC, text("d.png", "")], plain(0, 1, 2), says=("Left out 1 of 4 images", "d.png (empty")
    ),
    "a text called .png": Input(
        [ABC, text("d.png", "no image")], plain(0, 1, 2), says=("d.png (not an image)",)
    ),
    "texts alone": Input([text("x.txt", "")], None, says=("only 1 other files such as 'x.txt'",)),
    "nothing": Input([], None, says=("there are no images in it (no files); expected PNG",)),
    "a file for a folder": Input([ABC], None, spec="folder:{0}/a.png", says=("is a file, not a",)),
    "nowhere": Input([], None, spec="folder:{0}/x", says=("there is no folder", "check the path")),
    "a path alone": Input(
        [ABC], None, spec="{0}", says=("a path without its kind: write folder:",)
    ),
    "an image next to class folders": Input(
        [ABC, gray("x/0.png")], None, says=("lie next to class folders; move them",)
    ),
    # --- labels
    "class folders": Input([gray("cat/0.png", "dog/0.png", "cat/x/1.png")], CATS, says=()),
    "a class without images": Input(
        [gray("cat/0.png", "dog/0.png"), lambda root: (root / "eel").mkdir()],
        called(l0="cat", l1="dog"),
        says=("Ignored 1 class folders without images: eel.",),
    ),
    "a class of the test folder alone": Input(
        [gray("train/cat/0.png", "train/dog/1.png", "test/cat/2.png", "test/eel/3.png")],
        called(l0="cat", l1="dog"),
        held=[2],
        says=(
            "Left out 1 classes without a training image: eel.",
            "Left out 1 held-out images of classes without training images.",
        ),
        options=CHOSEN,
    ),
    "a class that is held out": Input(
        [gray("cat/0.png", "dog/1.png", "dog/2.png"), text("val.txt", "cat/0.png\ndog/2.png\n")],
        called(l1="dog"),
        held=[2],
        says=("Left out 1 classes without a training image: cat.",),
        options=CHOSEN,
    ),
    "a class that a limit leaves out": Input(
        [gray("cat/0.png", "dog/1.png")],
        called(l0="cat"),
        says=("Left out 1 classes without a training image: dog.",),
        options={"limit": 1},
    ),
    "a class whose images are damaged": Input(
        [gray("cat/0.png", "cat/1.png"), text("dog/2.png", "")],
        called(l0="cat", l1="cat"),
        says=("Left out 1 classes without a training image: dog.",),
    ),
    "a table": Input([ABC, text("labels.csv", f"{A},cat\n{B},dog\n{C},cat\n")], CATS),
    "a table of several labels": Input(
        [ABC, text("labels.csv", f"{A},cat,old\n{B},dog\n{C},cat,\n")],
        TAGS,
        says=("Read 3 classes of 3 images from labels.csv.", "1 of 3 images have several labels."),
    ),
    "tabs and several labels": Input(
        [ABC, text("labels.tsv", f"{A}\tcat\told\n{B}\tdog\n{C}\tcat\n")], TAGS
    ),
    "a header of several labels": Input(
        [ABC, text("labels.csv", f"file,label,label\n{A},cat,old\n{B},dog,\n{C},,cat\n")], TAGS
    ),
    "numbered labels": Input(
        [
            ABC,
            text("labels.csv", f"id,file,label_1,label_2\n1,{A},old,cat\n2,{B},dog,\n3,{C},cat\n"),
        ],
        TAGS,
    ),
    "a column for each class": Input(
        [ABC, text("labels.csv", f"image_id,cat,dog,old\n{A},1,-1,1\n{B},-1,1,-1\n{C},1,-1,-1\n")],
        TAGS,
    ),
    "a table of other columns": Input(
        [ABC, text("labels.csv", f"who,when,where\n{A},1,2\n")],
        plain(0, 1, 2),
        says=("Did not read labels.csv: expected two columns, a name and a class",),
    ),
    "two lines that disagree": Input(
        [ABC, text("labels.csv", f"{A},cat,old\n{A},old,cat\n{A},cat\n")],
        plain(0, 1, 2),
        says=("Did not read labels.csv: it gives a.png two labels, cat, old and cat.",),
    ),
    "StyleGAN's parts and labels": Input(
        [
            gray(*PARTS),
            lines(
                "dataset.json",
                {"labels": [["00000/img00000000.png", 6], ["00001/img00001000.png", 2]]},
            ),
        ],
        called(l0="6", l2="2"),
        says=("Left out 1 images without a label: 00000/img00000001.png.",),
    ),
    "StyleGAN's parts without labels": Input(
        [gray("00000/img00000000.png"), lines("dataset.json", {"labels": None})],
        plain(0),
        says=("dataset.json states that there are no labels",),
    ),
    "StyleGAN's vectors": Input(
        [ABC, lines("dataset.json", {"labels": [[A, [1, 0, 1]], [B, [0, 1, 0]], [C, [1, 0, 0]]]})],
        called(l0=("0", "2"), l1=("1",), l2=("0",)),
    ),
    "lines of JSON": Input([ABC, labeled("cat", "dog", "cat")], CATS),
    "lines of JSON with several labels": Input(
        [ABC, labeled(["old", "cat"], "dog", ["cat"])], TAGS
    ),
    "some of several labels": Input(
        [ABC, text("labels.csv", f"{A},cat,old\n{B},dog\n{C},cat\n")],
        None,
        options={"labels": 1},
        says=("its images have several labels each; expected one label an image",),
    ),
    "several labels, one of them held out": Input(
        [
            ABC,
            text("labels.csv", f"{A},cat,old\n{B},dog,cat\n{C},cat\n"),
            text("val.txt", f"{A}\n"),
        ],
        called(l1=("cat", "dog"), l2=("cat",)),
        held=[0],
        says=("Left out 1 classes without a training image: old.",),
        options=CHOSEN,
    ),
    # --- two domains
    "two folders anywhere": Input(
        [numbered("x/horses", LOW), numbered("y/z/zebras", HIGH)],
        ([0, 1, 2], [5, 6, 7, 8]),
        spec="unpaired:{0}/x/horses::{0}/y/z/zebras",
        kind="domains",
        says=("Domain a is ", "/x/horses and domain b ", "/y/z/zebras."),
    ),
    "pairs in two folders anywhere": Input(
        [numbered("x/photos", LOW), numbered("y/drawings", LOW)],
        ([0, 1, 2], [0, 1, 2]),
        spec="paired:{0}/x/photos::{0}/y/drawings",
        kind="pairs",
        says=("Paired 3 images of ",),
    ),
    "two folders, exchanged": Input(
        [numbered("a", LOW), numbered("b", HIGH)],
        ([5, 6, 7, 8], [0, 1, 2]),
        spec="unpaired:{0}/a::{0}/b",
        kind="domains",
        options={"direction": "BtoA"},
    ),
    "a folder with the separator in its name": Input(
        [numbered("a::b/A", LOW), numbered("a::b/B", HIGH)],
        ([0, 1, 2], [5, 6, 7, 8]),
        spec="unpaired:{0}/a::b/A::{0}/a::b/B",
        kind="domains",
    ),
    "one folder in the other": Input(
        [numbered("a", LOW), numbered("a/b", HIGH)],
        None,
        spec="unpaired:{0}/a::{0}/a/b",
        kind="domains",
        says=("is, or lies in,", "give two folders apart from each other"),
    ),
    "one folder of two is missing": Input(
        [numbered("a", LOW)],
        None,
        spec="unpaired:{0}/a::{0}/b",
        kind="domains",
        says=("there is no folder ", "/b; check the path"),
    ),
    "pairs of other names": Input(
        [numbered("a", LOW), numbered("b", HIGH)],
        None,
        spec="paired:{0}/a::{0}/b",
        kind="pairs",
        says=("a/0.png has no partner in ", "and neither have 2 others"),
    ),
    "test folders in the domains": Input(
        [
            numbered("A/train", LOW),
            numbered("B/train", HIGH),
            numbered("A/test", [9]),
            numbered("B/test", [10, 11]),
        ],
        ([0, 1, 2], [5, 6, 7, 8]),
        held=([9], [10, 11]),
        says=("Domain a: Held out 1 images: those outside the train folder.",),
        options=CHOSEN,
        **TWO,
    ),
    "three folders of equal names": Input(
        [numbered("x", LOW), numbered("y", LOW), numbered("z", LOW)],
        None,
        says=("which may be the two domains or hold both in each image",),
        **PAIRS,
    ),
    "combined images": Input(
        [combined(A, B, C)],
        ([0, 1, 2], [253, 254, 255]),
        says=("Split 3 images into pairs: a is the left half, b the right half.",),
        **PAIRS,
    ),
    "combined images in train and val": Input(
        [combined("train/0.png", "train/1.png", "val/0.png")],
        ([0, 1], [254, 255]),
        held=([2], [253]),
        options=CHOSEN,
        **PAIRS,
    ),
    "trainA and valA next to another folder": Input(
        [
            numbered("trainA", LOW),
            numbered("trainB", HIGH),
            numbered("valA", [9]),
            numbered("valB", [10]),
            numbered("more", [11]),
        ],
        ([0, 1, 2], [5, 6, 7, 8]),
        held=([9], [10]),
        says=("Did not read more: in neither domain.",),
        options=CHOSEN,
        **TWO,
    ),
    # --- what runs and tools wrote
    "a run in the folder": Input(
        [ABC, run("run"), gray("run/samples/0.png", first=50)],
        plain(0, 1, 2),
        says=("Skipped 1 run directories, whose pictures are not used as data: run.",),
    ),
    "samples in a folder of their own": Input(
        [ABC, gray("out/0.png", "out/1.png", first=50), made("out/0.png", "out/1.png")],
        plain(0, 1, 2),
        says=("Left out 2 images that jaxgan wrote, which are not used as data: out/0.png, out/1",),
    ),
    "translations next to photographs": Input(
        [ABC, gray("d.png", first=50), made("d.png")],
        plain(0, 1, 2),
        says=("Left out 1 images that jaxgan wrote, which are not used as data: d.png.",),
    ),
    "samples alone": Input(
        [ABC, made(A, B, C)],
        None,
        says=("only 3 that jaxgan wrote, which are not used as data unless the file .jaxgan.made",),
    ),
    "a damaged list of samples": Input([ABC, text(files.MADE, b"\xff\n[\n")], plain(0, 1, 2)),
    # --- text of other systems
    "BOM and CRLF": Input(
        [ABC, text("labels.csv", f"\ufefffile,class\r\n{A},cat\r\n{B},dog\r\n{C},cat\r\n")], CATS
    ),
    "ends of lines inside JSON": Input(
        [ABC, labeled(*["x\u2028y\u0085z"] * 3)],
        dict.fromkeys((0, 1, 2), "x\\u2028y\\x85z"),
    ),
    "accents in either form": Input(
        [gray(COMPOSED, "b.png"), text("labels.csv", f"{APART},cat\nb.png,dog\n")],
        called(l0="cat", l1="dog"),
    ),
    "accents of classes": Input(
        [gray("cafe\u0301/0.png", "the\u0301/0.png")],
        called(l0="caf\u00e9", l1="th\u00e9"),
    ),
    "a number sign in names": Input(
        [gray("a #1.png", "b#.png", "#c.png"), text("val.txt", "a #1.png # the first\nb#.png\n")],
        plain(2),
        held=[0, 1],
        options=CHOSEN,
    ),
    "a list of Windows": Input(
        [gray("x/0.png", "x/1.png"), text("val.txt", "x\\1.png\r\n".encode("utf-16"))],
        called(l0="x"),
        held=[1],
        options=CHOSEN,
    ),
    "a list of nothing that is there": Input(
        [ABC, text("val.txt", "d.png\n")],
        None,
        says=("val.txt lists 1 images that do not exist, the first is 'd.png'",),
        options=CHOSEN,
    ),
    "names that are not UTF-8": Input(
        [gray("c\udcff/0.png", "dog/1\udcfe.png")], called(l0="c\\xff", l1="dog")
    ),
    "captions of other systems": Input(
        [
            ABC,
            text(
                "metadata.jsonl",
                "\ufeff"
                + "\r\n".join(
                    json.dumps(
                        {"file_name": name, "text": f"{name}\u2028\u0085!"}, ensure_ascii=False
                    )
                    for name in (A, B, C)
                ),
            ),
        ],
        plain(0, 1, 2),
        **CAPTIONS,
    ),
}


def found(dataset: data.Source) -> Any:
    """The levels of images with their classes; of two domains those of a and of b."""
    if isinstance(dataset, data.Domains):
        return tuple(sorted(found(part)) for part in (dataset.a, dataset.b))
    assert isinstance(dataset, data.Dataset)
    levels = dataset.images[:, 0, 0, 0].tolist()
    if isinstance(dataset, data.MultiLabeled):
        names = np.array(dataset.classes)
        of: Sequence[Any] = [tuple(names[mark > 0].tolist()) for mark in dataset.marks]
    elif dataset.labels is not None:
        of = [dataset.classes[label] for label in dataset.labels]
    else:
        of = [None] * len(levels)
    return dict(zip(levels, of, strict=True))


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE.keys())
def test_what_people_have_is_read_or_refused_in_a_sentence(case, tmp_path):
    try:
        for make in case.make:
            make(tmp_path)
    except OSError:
        assert os.name == "nt" or os.uname().sysname == "Darwin"
        pytest.skip("the file system refuses such names")
    options = {"holdout": 0, **case.options}
    spec = case.spec.format(tmp_path)
    if case.gives is None:
        with pytest.raises(data.DataError) as caught:
            data.load(spec, kind=case.kind, **options)
        said = str(caught.value)
        assert "\n" not in said and not re.search(r"[.!?] [A-Z]", said) and not said.endswith(".")
    else:
        splits = data.load(spec, kind=case.kind, **options)
        assert found(splits.train) == case.gives
        if case.held is None:
            assert splits.held_out.digest == splits.train.digest
        else:
            held = found(splits.held_out)
            assert (sorted(held) if isinstance(held, dict) else held) == case.held
        said = "\n".join(splits.notes)
        assert said.isprintable() or "\n" in said
    assert [part for part in case.says if part not in said] == []


def test_the_table_is_as_long_as_what_people_have():
    assert len(TABLE) >= 40
