"""A run directory that a crash, a user or a stranger has been at: nothing is lost, nothing outside
it is touched, and what is wrong is said in a sentence.
"""

from __future__ import annotations

import errno
import json
import os
import pathlib
import shutil

import pytest

from jaxgan import files
from jaxgan.runs import checkpoint, command_line, metric_log, run_directory
from jaxgan.runs.errors import RunError
from jaxgan.tools import latents
from tests import toy_experiment, toy_runs


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, to be harmed."""
    return shutil.copytree(finished, tmp_path / "copy")


def begun(path: pathlib.Path, record) -> pathlib.Path:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(record))
    return path


# --- the log --------------------------------------------------------------------------------------


def test_damaged_lines_are_set_aside_and_all_others_stay(data, tmp_path, capsys):
    whole = toy_runs.train(tmp_path / "whole", data=data, steps=10, log_every=1)
    path = toy_runs.train(tmp_path / "run", data=data, steps=8, log_every=1)
    lines = (path / "metrics.jsonl").read_bytes().splitlines()
    damaged = [b'{"step": 3, "d/lo', b"\xff\xfe", b'{"step": "4"}', b"[" * 100_000]
    mixed = [*lines[:2], damaged[0], b"", *lines[2:4], *damaged[1:], *lines[4:]]
    (path / "metrics.jsonl").write_bytes(b"\n".join(mixed) + b"\n")
    assert [row["step"] for row in metric_log.rows(path / "metrics.jsonl")] == list(range(1, 9))
    toy_runs.train(path, data=data, steps=10, log_every=1)
    aside = path / "damaged" / "metrics-0.jsonl"
    said = f"warning: 4 damaged lines of {path}/metrics.jsonl are kept as {aside}; the others stay"
    assert said in capsys.readouterr().out
    assert said in (path / "log.txt").read_text()
    assert aside.read_bytes().splitlines() == damaged
    toy_runs.assert_same(whole, path)


def test_a_run_whose_checkpoints_are_gone_says_so_and_keeps_its_log(finished, copy, data, capsys):
    before = (copy / "metrics.jsonl").read_text()
    shutil.rmtree(copy / "checkpoints")
    toy_runs.train(copy, data=data)
    said = (
        f"warning: {copy}/checkpoints holds no checkpoint to continue from, so the run begins "
        f"again at step 0; its log, which reaches step 24, is kept as "
        f"{copy}/damaged/metrics-0.jsonl\n"
    )
    assert said in capsys.readouterr().out
    assert (copy / "damaged" / "metrics-0.jsonl").read_text() == before
    toy_runs.assert_same(finished, copy)


def test_a_log_that_is_no_file_is_refused_in_a_sentence(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(RunError, match=r"metrics.jsonl cannot be read: it is not a regular file"):
        metric_log.rows(tmp_path / "metrics.jsonl")


NO_ROWS = {
    "a list": [],
    "no step": {"loss": 1.0},
    "a step in words": {"step": "5"},
    "a true step": {"step": True},
    "a step before the first": {"step": -1},
    "a number in words": {"step": 5, "loss": "small"},
    "members that are none": {"step": 5, "members": [1]},
    "more seeds than numbers": {"step": 5, "members": {"seed": [0, 1], "loss": [1.0]}},
    "a measurement of nothing": {"step": 5, "measured": {"settings": {}}},
    "an aim at no number": {
        "step": 5,
        "measured": {
            "aim": {"metric": "fid", "number": "fid", "best": "lowest"},
            "settings": {"metrics": {"fid": {}}},
        },
    },
}


@pytest.mark.parametrize("case", NO_ROWS)
def test_what_no_run_could_have_written_is_no_row(case, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 4}\n' + json.dumps(NO_ROWS[case]) + '\n{"step": 6, "loss": NaN}\n')
    found = metric_log.read(path)
    assert [row["step"] for row in found.rows] == [4, 6]
    assert found.damaged == [json.dumps(NO_ROWS[case]).encode()]


# --- config.json ----------------------------------------------------------------------------------

RECORD = {
    "experiment": {"module": "tests.toy_experiment", "file": "toy_experiment.py"},
    "config": {"steps": 24},
    "data": {"shape": [4, 4, 1], "classes": ["0"], "inputs": {}, "digest": "00"},
}

DAMAGED = {
    "its experiment is 3": {"experiment": 3},
    "its experiment is": {"experiment": {"module": 1, "file": "x"}},
    "its experiment lacks": {"experiment": {"module": "x"}},
    "its config is": {"config": [1]},
    "its data are": {"data": "ring"},
    "the shape of its data is null": {"data": {"classes": [], "digest": ""}},
    "the shape of its data is 4": {"data": {**RECORD["data"], "shape": 4}},
    r"the shape of its data is \[4, -1\]": {"data": {**RECORD["data"], "shape": [4, -1]}},
    r"the shape of its data is \[60000": {"data": {**RECORD["data"], "shape": [60000, 60000, 3]}},
    "the classes of its data are": {"data": {**RECORD["data"], "classes": [1]}},
    "the inputs of its data are": {"data": {**RECORD["data"], "inputs": {"a": "x"}}},
    "the digest of its data is": {"data": {**RECORD["data"], "digest": None}},
    "its format is": {"format": "new"},
}


@pytest.mark.parametrize("said", DAMAGED)
def test_a_record_of_other_types_is_refused_in_one_sentence(said, tmp_path):
    path = begun(tmp_path / "run", {**RECORD, **DAMAGED[said]})
    with pytest.raises(RunError, match=f"config.json is damaged: {said}") as caught:
        run_directory.read_record(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", "24"),
        ("steps", True),
        ("steps", None),
        ("seed", 0.5),
        ("data", 3),
        ("flip", 1),
        ("hidden", 8),
        ("hidden", ["8"]),
        ("parallel", "no"),
        ("holdout", []),
        ("evaluate", ["fidd"]),
    ],
)
def test_a_setting_of_another_type_is_refused_in_one_sentence(name, value, copy, capsys):
    record = json.loads((copy / "config.json").read_text())
    record["config"][name] = value
    begun(copy, record)
    assert command_line.command(toy_experiment, ["--workdir", str(copy)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"error: {copy} is damaged: its setting {name!r} is ")


@pytest.mark.parametrize("content", [b"\xff\xfe{", b"[" * 100_000, b""])
def test_a_record_that_is_no_json_is_refused_in_one_sentence(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(RunError, match=r"config.json cannot be read") as caught:
        run_directory.read_record(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_record_says_its_format_and_older_and_newer_ones_are_told_apart(finished, tmp_path):
    record = json.loads((finished / "config.json").read_text())
    assert record.pop("format") == run_directory.FORMAT == 1
    assert run_directory.read_record(begun(tmp_path, record)) == record
    begun(tmp_path, {**record, "format": 2})
    with pytest.raises(run_directory.Newer) as caught:
        run_directory.read_record(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/config.json was made by a newer jaxgan (format 2, this one reads up to 1): "
        "update jaxgan"
    )


# --- what was left half written -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["config.json.partial", ".jaxgan.0123456789abcdef.partial"])
def test_what_a_kill_left_half_written_is_cleaned_up(name, data, tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / name).write_text('{"experi')
    (tmp_path / "samples" / ".jaxgan.0123456789abcdef.partial").write_text("")
    (tmp_path / "samples" / "mine.partial").write_text("mine")
    with pytest.raises(RunError, match="holds 'samples'"):  # of somebody else
        toy_runs.train(tmp_path, data=data, steps=2)
    shutil.rmtree(tmp_path / "samples")
    toy_runs.train(tmp_path, data=data, steps=2)
    (tmp_path / name).write_text('{"experi')
    (tmp_path / "samples" / ".jaxgan.0123456789abcdef.partial").write_text("")
    (tmp_path / "samples" / "mine.partial").write_text("mine")
    toy_runs.train(tmp_path, data=data, steps=3)
    assert not (tmp_path / name).exists()
    assert [p.name for p in (tmp_path / "samples").glob("*partial")] == ["mine.partial"]


def test_a_disk_that_is_full_at_the_first_write_leaves_nothing(data, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunError, match="no space left on device"):
            toy_runs.train(tmp_path / "run", data=data, steps=2)
    assert not (tmp_path / "run").exists()
    toy_runs.train(tmp_path / "run", data=data, steps=2)


# --- links ----------------------------------------------------------------------------------------

LINKS = (
    files.RUN_LOCK,
    "config.json",
    "log.txt",
    "metrics.jsonl",
    "events.out.tfevents.9999999999.here",
    "samples",
    "checkpoints",
    "checkpoints/8",
    "damaged",
    "profile",
    "profile/plugins",
)


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_write_follows_a_link_in_a_run_directory(name, overwrite, copy, tmp_path, data):
    outside = tmp_path / "outside"
    if (copy / name).exists():
        (copy / name).rename(outside)
    elif name in ("profile", "damaged", "profile/plugins"):
        outside.mkdir()
        (outside / "precious").write_text("precious")
    else:
        outside.write_text("precious")
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).symlink_to(outside)
    before, run_before = toy_runs.snapshot(outside), toy_runs.snapshot(copy)
    content = outside.read_bytes() if outside.is_file() else None
    with pytest.raises(RunError) as caught:
        toy_runs.train(copy, data=data, steps=30, overwrite=overwrite, profile=1)
    assert "link" in str(caught.value) and "\n" not in str(caught.value)
    assert toy_runs.snapshot(outside) == before
    assert toy_runs.snapshot(copy) == run_before
    assert content is None or outside.read_bytes() == content


def test_a_link_that_comes_later_is_not_followed_either(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("precious")
    link.symlink_to(target)
    with pytest.raises(OSError) as caught:
        files.append(link, "more")
    assert files.reason(caught.value) == "it is a link"
    files.write_whole(link, "new")
    assert not link.is_symlink() and link.read_text() == "new"
    assert target.read_text() == "precious"


def test_pictures_of_latents_go_through_no_link_in_the_run_directory(copy, tmp_path):
    (tmp_path / "outside").mkdir()
    (copy / "latents").symlink_to(tmp_path / "outside")
    with pytest.raises(RunError, match="latents is a symbolic link"):
        latents.explore(latents.Config(run=copy), say=pytest.fail)


def test_nobody_waits_for_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        files.read(tmp_path / "pipe")
    with pytest.raises(OSError):
        files.append(tmp_path / "pipe", "more")
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(OSError, match="5 bytes, more than 4"):
        files.read(tmp_path / "large", most=4)


# --- --overwrite ----------------------------------------------------------------------------------


def test_overwrite_leaves_the_users_own_files_in_every_folder_and_says_so(
    finished, data, tmp_path, capsys
):
    toy_runs.train(tmp_path, data=data, seed=3, steps=8, profile=1)
    own = ("samples/favorite.png", "samples/12.png", "profile/notes.md", "checkpoints/why.txt")
    for name in own:
        (tmp_path / name).write_text("mine")
    capsys.readouterr()
    toy_runs.train(tmp_path, data=data, overwrite=True)
    assert "left in place, as no run wrote it: checkpoints/why.txt, " in capsys.readouterr().out
    assert all((tmp_path / name).read_text() == "mine" for name in own)
    assert [p.name for p in (tmp_path / "profile").iterdir()] == ["notes.md"]
    toy_runs.assert_same(finished, tmp_path)


# --- TensorBoard ----------------------------------------------------------------------------------


def test_what_tensorboard_shows_is_the_log_whatever_was_before(data, tmp_path):
    from tests.runs import test_tensorboard

    toy_runs.train(tmp_path, data=data, steps=16)
    shutil.rmtree(tmp_path / "checkpoints")  # as killed before its first
    toy_runs.train(tmp_path, data=data, steps=16)
    (file,) = tmp_path.glob("events.out.tfevents.*")
    file.write_bytes(file.read_bytes()[:-400])  # as written out too late
    toy_runs.train(tmp_path, data=data)
    shown = [(step, name) for step, name, _ in test_tensorboard.scalars(tmp_path)]
    rows = metric_log.rows(tmp_path / "metrics.jsonl")
    assert shown == [(row["step"], name) for row in rows for name in row if name != "step"]


# --- checkpoints/ ---------------------------------------------------------------------------------


def test_what_has_no_name_of_a_step_is_no_checkpoint(copy, data):
    for name in ("²", "007", "9" * 30, "-1", "note"):
        (copy / "checkpoints" / name).mkdir()
    (copy / "checkpoints" / "99").write_text("no folder")
    assert checkpoint.steps_in(copy / "checkpoints") == [8, 16, 24]
    toy_runs.train(copy, data=data, steps=26)
    assert checkpoint.steps_in(copy / "checkpoints")[-1] == 26
    moved = {"²", "007", "9" * 30, "-1", "99"}
    assert {path.name for path in (copy / "damaged").iterdir()} == {f"{name}-0" for name in moved}
    assert (copy / "checkpoints" / "note").is_dir()
    assert "warning: no checkpoint, and moved to" in (copy / "log.txt").read_text()


def test_checkpoints_that_are_no_folder_are_refused_in_a_sentence(copy, data):
    shutil.rmtree(copy / "checkpoints")
    (copy / "checkpoints").write_text("")
    with pytest.raises(RunError, match="checkpoints cannot be read: not a directory") as caught:
        toy_runs.train(copy, data=data, steps=26)
    assert "\n" not in str(caught.value)


def test_checkpoints_that_cannot_be_listed_are_refused_in_a_sentence(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(pathlib.Path, "iterdir", refuse)
    with pytest.raises(RunError, match="cannot be read: permission denied"):
        checkpoint.steps_in(tmp_path)
