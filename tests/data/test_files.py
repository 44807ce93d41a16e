"""Names and lists as other systems write them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from jaxgan import data, files
from jaxgan.data import holdout
from tests.data.conftest import picture

COMPOSED, APART = "caf\u00e9.png", "cafe\u0301.png"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("cat one.png", "cat one.png"),
        (COMPOSED, COMPOSED),
        ("\u732b\u3000.png", "\u732b\u3000.png"),
        (os.fsdecode(b"caf\xe9.png"), r"caf\xe9.png"),
        ("half \ud83d", r"half \ud83d"),
        ("a\nb\x1b[31m\u2028c\x85", r"a\nb\x1b[31m\u2028c\x85"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
    ],
)
def test_every_name_can_be_printed_and_stays_as_it_is_where_it_could(name, shown):
    assert files.printable(name) == shown
    files.printable(name).encode("utf-8")


def test_a_long_name_keeps_its_beginning_and_its_end():
    assert files.shortened("a" * 3000 + "b" * 3000, 21) == "a" * 9 + "..." + "b" * 9
    assert files.shortened("a" * 21, 21) == "a" * 21


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_by_the_ends_of_lines_alone(tmp_path, encoding, end):
    lines = ["a\u2028b", "c\u0085d", "e\x0bf\x1cg", COMPOSED, ""]
    (tmp_path / "list").write_bytes(end.join(lines).encode(encoding))
    assert files.lines(tmp_path / "list") == lines


def test_lists_put_one_behind_another_are_read(tmp_path):
    (tmp_path / "list").write_bytes(2 * "a.png\n".encode("utf-8-sig"))
    assert files.lines(tmp_path / "list") == ["a.png", "a.png", ""]


def listed(tmp_path, names, content: bytes) -> list[str]:
    """Which of the names a list of this content holds out."""
    (tmp_path / "list.txt").write_bytes(content)
    mask = holdout.by_list(names, tmp_path / "list.txt", name="set")
    return [name for name, held in zip(names, mask, strict=True) if held]


def test_a_name_is_found_however_its_accents_are_stored_and_itself_before_others(tmp_path):
    assert listed(tmp_path, [COMPOSED, "b.png"], APART.encode()) == [COMPOSED]
    assert listed(tmp_path, [APART, "b.png"], COMPOSED.encode()) == [APART]
    assert listed(tmp_path, [APART, COMPOSED], COMPOSED.encode()) == [COMPOSED]


def test_a_name_may_hold_what_else_starts_a_comment(tmp_path):
    names = ["#1.png", "a#2.png", "b # 3.png", " c.png", "d.png"]
    content = "#1.png\na#2.png # the second\nb # 3.png\n c.png\n# d.png\n"
    assert listed(tmp_path, names, content.encode()) == names[:4]
    with pytest.raises(data.DataError, match=r"lists 1 images that do not exist.* 'x#4\.png'"):
        listed(tmp_path, names, b"d.png\nx#4.png")


def test_names_with_the_ends_of_lines_of_others_are_found(tmp_path):
    names = ["a\u2028b.png", "c\u0085d.png", "e.png"]
    assert listed(tmp_path, names, "\n".join(names[:2]).encode()) == names[:2]


def test_a_list_of_one_marked_line_keeps_its_image_out_of_training(class_folder):
    (class_folder / "val.txt").write_bytes(b"\xef\xbb\xbfcat/03.png\r\n")
    splits = data.load(f"folder:{class_folder}")
    assert np.array_equal(splits.held_out.images, [picture(3)])
    (class_folder / "val.txt").rename(class_folder.parent / "val.txt")
    assert np.array_equal(data.load(f"folder:{class_folder}").held_out.images, [picture(3)])


def test_an_entry_of_thousands_of_letters_is_shortened(tmp_path):
    with pytest.raises(data.DataError) as caught:
        listed(tmp_path, ["a.png"], b"x" * 5000)
    assert len(str(caught.value)) < 500


def not_text(folder, number: int, suffix: str = ".png") -> str:
    """A file's name that is no UTF-8, where the file system takes it."""
    name = os.fsencode(folder) + b"/\xff%d" % number + suffix.encode()
    try:
        with open(name, "wb") as file:
            file.write((folder / f"{number:02}.png").read_bytes())
    except OSError:
        pytest.skip("names of this file system are text")
    return os.fsdecode(name)


def test_names_that_are_no_text_are_read_listed_and_said(class_folder):
    not_text(class_folder / "cat", 0)
    with open(not_text(class_folder / "cat", 1), "wb") as file:
        file.write(b"broken")
    not_text(class_folder / "cat", 2, suffix=".txt")
    os.rename(class_folder / "dog", os.fsencode(class_folder) + b"/\xe9")
    splits = data.load(f"folder:{class_folder}")
    said = "\n".join(splits.notes).encode("utf-8").decode()
    assert r"cat/\xff1.png (not an image)" in said and r"cat/\xff2.txt" in said
    assert sum(map(len, splits[:2])) == 21
    assert splits.train.classes == ("cat", r"\xe9") and len(splits.train.digest) == 64
    with pytest.raises(data.DataError) as caught:
        data.load(f"folder:{class_folder}", holdout=os.fsdecode(b"/none/\xff"))
    assert r"/none/\xff cannot be read" in str(caught.value).encode("utf-8").decode()


def test_an_array_may_name_what_no_file_is_called():
    assert holdout.by_hash(["\ud800", "\udcff"], 1.0).all()
