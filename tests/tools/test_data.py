"""`jaxgan data show`: what it says of data, its contact sheet, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import sources
from jaxgan.tools import data as show


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def noise(count: int, side: int = 6, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)


def shown(capsys, *arguments: str) -> list[str]:
    assert show.main(["show", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_folder_is_told_as_training_reads_it(elsewhere, capsys):
    pixels = np.full((6, 8, 3), 10, np.uint8)
    for name, count in (("cat", 4), ("dog", 2)):
        (elsewhere / "pets" / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(pixels).save(elsewhere / "pets" / name / f"{number}.png")
    (elsewhere / "pets" / "val.txt").write_text("cat/0.png\n")
    (elsewhere / "pets" / "cat" / "read.me").write_text("")
    splits = data.load("folder:pets", channels=1)
    lines = shown(capsys, "folder:pets", "--channels", "1")
    assert lines == [
        "folder:pets: single images",
        "training   5",
        "held out   1",
        "shape      6x8x1 (height x width x channels)",
        "values     10 to 10 (of 255), 10.0 on average; warning: all pixels are alike",
        "classes    2, with their training and held-out images:",
        "  cat  3 and 1",
        "  dog  2 and 0",
        f"digest     {splits.train.digest}",
        *(f"note       {note}" for note in splits.notes),
        "sheet      data.png: a row per class, in the order above",
    ]
    assert len(splits.notes) == 3


def test_the_sheet_has_evenly_chosen_images_of_a_row_per_class(elsewhere, capsys):
    levels = np.arange(64, dtype=np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (64, 64, 64, 1))
    labels = np.repeat([0, 1], [60, 4])
    np.savez(elsewhere / "set.npz", images=images, labels=labels)
    shown(capsys, "npz:set.npz", "--holdout", "0")
    sheet = np.asarray(Image.open("data.png"))
    assert sheet.shape == (2 * 66 + 2, 10 * 66 + 2)
    first, second = (sheet[row * 66 + 30, 30::66].tolist() for row in range(2))
    assert first == list(range(0, 60, 6))
    assert second == [60, 61, 62, 63, *[255] * 6]


def test_many_classes_are_shortened(elsewhere, capsys):
    np.savez(elsewhere / "set.npz", images=noise(200), labels=np.arange(200) % 50)
    lines = shown(capsys, "npz:set.npz", "--holdout", "0")
    assert "  and 10 more" in lines and "held out   none: training images take their place" in lines
    assert (
        lines[-1] == "sheet      data.png: a row per class, for 20 of the 50 classes, from 0 to 47"
    )


def test_images_of_two_domains_are_next_to_each_other(elsewhere, capsys):
    black, white = np.zeros((9, 64, 64, 1), np.uint8), np.full((7, 32, 32, 3), 255, np.uint8)
    np.savez(elsewhere / "two.npz", a=black, b=white)
    lines = shown(capsys, "npz:two.npz", "--holdout", "0", "--out", "two.png")
    assert lines[0] == "npz:two.npz: images of two domains a and b"
    assert lines[1:4:2] == ["training a 9", "shape a    64x64x1 (height x width x channels)"]
    assert lines[5:8:2] == ["training b 7", "shape b    32x32x3 (height x width x channels)"]
    assert lines[-1] == "sheet      two.png: 7 images of each domain, a next to b"
    middle = np.asarray(Image.open("two.png"))[36, 36::68]
    assert (middle[::2] == 0).all() and (middle[1::2] == 255).all()


def test_two_folders_are_named_as_in_training(elsewhere, capsys):
    for name in ("horses", "zebras"):
        (elsewhere / name).mkdir()
        for number, pixels in enumerate(noise(12)):
            Image.fromarray(pixels).save(elsewhere / name / f"{number}.png")
    folders = ["--source", "horses", "--target", "zebras", "--holdout", "0.5", "--no-sheet"]
    lines = shown(capsys, *folders)
    assert lines[0] == "unpaired:horses::zebras: images of two domains a and b"
    assert shown(capsys, *folders, "--kind", "pairs")[0] == (
        "paired:horses::zebras: pairs of images a and b"
    )


def test_captions_and_points_are_told_too(elsewhere, capsys):
    np.savez(elsewhere / "set.npz", images=noise(9), captions=[f"cat {n}" for n in range(9)])
    lines = shown(capsys, "npz:set.npz", "--no-sheet", "--holdout", "0")
    assert lines[0] == "npz:set.npz: images with captions"
    assert "captions   9, such as: cat 0; cat 3; cat 6" in lines
    for name, modes, size in (("ring", 8, "2 numbers"), ("gauss1d", 1, "1 number")):
        lines = shown(capsys, name, "--out", f"{name}.png")
        assert lines[1].startswith(f"modes      {modes} Gaussian")
        assert lines[2] == f"shape      {size} per point"
        assert Image.open(f"{name}.png").size == (256, 256)


def test_no_sheet_is_written_over_another(elsewhere, capsys):
    np.savez(elsewhere / "set.npz", images=noise(30))
    assert shown(capsys, "npz:set.npz")[-1] == "sheet      data.png: 28 images"
    assert shown(capsys, "npz:set.npz")[-1] == "sheet      data-2.png: 28 images"
    assert show.main(["show", "npz:set.npz", "--out", "data.png"]) == 2
    assert capsys.readouterr() == (
        "",
        "error: data.png exists; choose another --out, or give --overwrite\n",
    )
    shown(capsys, "npz:set.npz", "--out", "data.png", "--overwrite", "--limit-images", "3")
    shown(capsys, "npz:set.npz", "--no-sheet")
    assert sorted(path.name for path in elsewhere.glob("*.png")) == ["data-2.png", "data.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["folder:nowhere"], "folder:nowhere: there is no folder nowhere; check the path"),
        (["foldr:x"], "the data is 'foldr:x', perhaps folder:x is meant; expected one of fashion"),
        (["npz:none.npz"], "the archive none.npz is not there"),
        (["fashion", "--resolution", "0"], "the resolution is '0'"),
        (["fashion", "--limit-images", "0"], "--limit-images is 0; expected 1 or more"),
        (["fashion", "--kind", "pairs"], "this is a source of single images, but pairs"),
        (["fashion", "--out", "a.jpg"], "--out is a.jpg; expected FILE.png"),
        ([], "expected either DATA, such as folder:PATH or npz:PATH, or --source DIR --target DIR"),
        (
            ["fashion", "--source", "a", "--target", "b"],
            "expected either DATA, such as folder:PATH",
        ),
        (["--source", "a"], "two folders name the data, and --target is missing: give it, too"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(arguments, says, elsewhere, capsys):
    assert show.main(["show", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and says in said.err and said.err.count("\n") == 1
    assert not said.out and not list(elsewhere.iterdir())


def test_the_kind_is_that_of_the_form_and_of_an_archives_arrays(elsewhere):
    one, other = noise(9), noise(8)
    for arrays, kind in (
        ({"images": one}, "images"),
        ({"images": one, "embeddings": np.zeros((9, 2))}, "captions"),
        ({"a": one, "b": one}, "pairs"),
        ({"a": one, "b": other}, "domains"),
        ({"x": one}, "images"),
    ):
        np.savez(elsewhere / "set.npz", **arrays)  # type: ignore[arg-type]
        assert sources.kind_of("npz:set.npz") == kind
    known = {
        "ring": "images",
        "paired:x": "pairs",
        "unpaired:x": "domains",
        "captioned:x": "captions",
    }
    assert {spec: sources.kind_of(spec) for spec in known} == known


def test_a_set_is_prepared_once_and_shown_with_its_place(elsewhere, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "cache"))
    (elsewhere / "photos").mkdir()
    for number, pixels in enumerate(noise(12)):
        Image.fromarray(pixels).save(elsewhere / "photos" / f"{number}.png")
    asked = ["prepare", "folder:photos", "--holdout", "0.5"]
    assert show.main(asked) == 0
    first = capsys.readouterr()
    root = elsewhere / "cache" / "jaxgan" / "prepared"
    (place,) = [path for path in root.iterdir() if path.is_dir()]
    start = f"folder:photos: 12 images of 6x6x3 are prepared in {root}: 0.0 MB, of "
    said, done, digest = first.out.splitlines()
    assert said.startswith(start) and done == f"prepared: 0.0 MB in {place}"
    assert "preparing training images ..." in first.err
    before = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    assert show.main(asked) == 0
    second = capsys.readouterr()
    assert second.out.splitlines() == [f"prepared already: 0.0 MB in {place}", digest]
    assert second.err == ""
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == before
    lines = shown(capsys, "folder:photos", "--holdout", "0.5", "--no-sheet")
    note = f"note       The images are read from disk: 0.0 MB, prepared in {place}."
    assert note in lines and f"digest     {digest.removeprefix('digest: ')}" in lines


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ring"], "ring needs no preparation: it is read as it is; expected files of images"),
        (["ring", "--out", "a.png"], "--out is the file of a sheet, which prepare does not draw"),
    ],
)
def test_what_is_not_prepared_is_one_sentence(arguments, says, capsys):
    assert show.main(["prepare", *arguments]) == 2
    assert says in capsys.readouterr().err
