"""A run that was interrupted, in whatever way, is the run that never was."""

from __future__ import annotations

import random
import signal

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import memory
from jaxgan.runs import checkpoint
from jaxgan.runs.errors import Interrupted
from tests import toy_experiment, toy_runs


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """Never interrupted, one step a call."""
    return toy_runs.train(tmp_path_factory.mktemp("whole"), data=data)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory, data):
    """Never interrupted, four steps a call."""
    return toy_runs.train(
        tmp_path_factory.mktemp("scanned"),
        data=data,
        steps_per_call=4,
        sample_every=6,
        checkpoint_every=5,
        keep=9,
    )


def test_the_same_seed_gives_the_same_numbers_twice(whole, data, tmp_path):
    again = toy_runs.train(tmp_path, data=data)
    toy_runs.assert_same(whole, again)


def test_a_set_on_disk_continues_in_the_middle_of_an_epoch_as_one_in_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (44, 6, 6))):
        image = Image.fromarray(pixels.astype(np.uint8))
        image.save(tmp_path / "photos" / f"{number}.png")
    settings = {"data": f"folder:{tmp_path / 'photos'}", "crop": "4", "flip": True}
    inside = toy_runs.train(tmp_path / "inside", **settings, steps=12)
    monkeypatch.setattr(memory, "available", lambda: 44 * 6 * 6 // 5)
    for steps in (7, 12):
        toy_runs.train(tmp_path / "mapped", **settings, steps=steps)
    toy_runs.assert_same(inside, tmp_path / "mapped")
    assert "The images are read from disk" in (tmp_path / "mapped" / "log.txt").read_text()


def test_another_seed_gives_other_numbers(whole, data, tmp_path):
    other = toy_runs.train(tmp_path, data=data, seed=1)
    assert toy_runs.rows(whole) != toy_runs.rows(other)


# 44 images less those held out are five batches and a bit: 8 and 13 lie within an epoch, 13 and 1
# between rows of the log and between checkpoints as well.
def test_a_run_in_pieces_equals_the_whole(whole, data, tmp_path):
    for steps in (1, 8, 13, 24):
        toy_runs.train(tmp_path, data=data, steps=steps)
    toy_runs.assert_same(whole, tmp_path)


@pytest.mark.slow
def test_a_run_in_pieces_equals_the_whole_with_several_steps_a_call(scanned, data, tmp_path):
    for steps in (12, 24):
        toy_runs.train(tmp_path, data=data, steps=steps, steps_per_call=4)
    toy_runs.assert_same(scanned, tmp_path)


def test_pictures_and_checkpoints_fall_on_the_end_of_a_call_and_rows_where_they_would(scanned):
    samples = sorted(int(path.stem) for path in (scanned / "samples").glob("0*.png"))
    assert samples == [0, 8, 12, 20, 24]
    assert checkpoint.steps_in(scanned / "checkpoints") == [8, 12, 16, 20, 24]
    assert [row["step"] for row in toy_runs.rows(scanned)] == [5, 10, 15, 20, 24]


def test_steps_per_call_changes_losses_by_rounding_alone(whole, scanned):
    for one, other in zip(toy_runs.rows(whole), toy_runs.rows(scanned), strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-4)


def test_what_changes_no_number_may_change_between_pieces(whole, data, tmp_path):
    toy_runs.train(tmp_path, data=data, steps=10, checkpoint_every=3, keep=1, sample_every=2)
    toy_runs.train(tmp_path, data=data, checkpoint_every=7, keep=2, profile=1)
    toy_runs.assert_same(whole, tmp_path)


def test_a_damaged_latest_checkpoint_costs_no_more_than_the_steps_since_the_one_before(
    whole, data, tmp_path, capsys
):
    toy_runs.train(tmp_path, data=data, steps=16)
    (tmp_path / "checkpoints" / "16" / "meta" / "metadata").write_text("{")
    toy_runs.train(tmp_path, data=data)
    output = capsys.readouterr().out
    assert f"{tmp_path}/checkpoints/16 is damaged" in output
    assert f"continuing {tmp_path} at step 8" in output
    assert [entry.name for entry in (tmp_path / "damaged").iterdir()] == ["16-0"]
    toy_runs.assert_same(whole, tmp_path)


def test_a_run_continues_on_another_number_of_devices_in_another_layout(whole, data, tmp_path):
    for devices, split, steps in ((4, True, 8), (1, False, 16), (4, True, 24)):
        toy_runs.train(tmp_path, data=data, steps=steps, devices=devices, shard_parameters=split)
    # Other shards, other rounding, but the same training.
    for row, of_whole in zip(toy_runs.rows(tmp_path), toy_runs.rows(whole), strict=True):
        assert row == pytest.approx(of_whole, rel=1e-3, abs=1e-4)


def test_a_run_in_bfloat16_in_pieces_equals_the_whole(whole, data, tmp_path):
    settings = {"data": data, "precision": "bf16", "remat": True, "steps": 12}
    once = toy_runs.train(tmp_path / "once", **settings)
    for steps in (5, 12):
        toy_runs.train(tmp_path / "pieces", **{**settings, "steps": steps})
    toy_runs.assert_same(once, tmp_path / "pieces")
    rounded, kept = toy_runs.arrays(once), toy_runs.arrays(whole)
    assert {name: array.dtype for name, array in rounded.items()} == {
        name: array.dtype for name, array in kept.items()
    }
    assert toy_runs.rows(once)[0] != toy_runs.rows(whole)[0]
    assert toy_runs.rows(once)[0] == pytest.approx(toy_runs.rows(whole)[0], rel=0.05, abs=0.02)


def test_kill_9_at_any_moment_loses_nothing_but_time(data, cache, tmp_path):
    _kill_and_continue(tmp_path, data, cache, at=[7, "save"], steps=120)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["moments", "saves"])
def test_kill_9_at_twenty_moments(data, cache, tmp_path, mode):
    moments = sorted(random.Random(0).sample(range(5, 900), 10))
    moments = moments if mode == "moments" else ["save"] * 10
    _kill_and_continue(tmp_path, data, cache, at=moments, steps=1200)


def _kill_and_continue(path, data, cache, *, at, steps):
    """Kills a run at moments (a logged step, or a save in progress), lets it end, compares."""
    chance = random.Random(0)
    flags = ["--data", data, "--steps", str(steps), "--checkpoint-every", "9"]
    killed = path / "killed"
    for moment in at:
        before = _latest(killed)
        process = toy_runs.start(killed, cache, *flags)
        if moment == "save":
            # Not before the process has saved itself: what the last one left half written is gone.
            goal = before + 9 * chance.randint(0, 2)
            toy_runs.wait_until(process, lambda: _latest(killed) > goal)  # noqa: B023
            toy_runs.wait_until(process, lambda: toy_runs.saving(killed))
        else:
            toy_runs.wait_until(process, lambda: toy_runs.last_logged(killed) >= moment)  # noqa: B023
        toy_runs.kill(process)
    fields = {"data": data, "steps": steps, "checkpoint_every": 9}
    toy_runs.train(killed, **fields)
    toy_runs.assert_same(toy_runs.train(path / "whole", **fields), killed)


def _latest(path):
    return max(checkpoint.steps_in(path / "checkpoints"), default=0)


@pytest.mark.slow
def test_signals_save_and_say_how_to_go_on(data, cache, tmp_path, hangup):
    flags = ["--data", data, "--steps", "100000", "--checkpoint-every", "0"]
    codes = {signal.SIGTERM: 143, signal.SIGINT: 130, hangup: 129}
    reached = 0
    for number, code in codes.items():
        process = toy_runs.start(tmp_path / "a run", cache, *flags)
        toy_runs.wait_until(
            process,
            lambda: toy_runs.last_logged(tmp_path / "a run") > reached + 10,  # noqa: B023
        )
        ended, output = toy_runs.end(process, number)
        assert ended == code
        assert "Traceback" not in output
        saved = _latest(tmp_path / "a run")
        assert saved > reached
        again = f"python -m tests.toy_experiment --workdir '{tmp_path / 'a run'}'"
        said = f"stopped and saved at step {saved}; this continues: {again}"
        assert said in output
        assert (tmp_path / "a run" / "log.txt").read_text().splitlines()[-1] == said
        reached = saved
        flags = []  # the printed command has none
    # The two pieces, and the rest up to the next multiples, are one run.
    steps = reached + 5
    fields = {"data": data, "steps": steps, "checkpoint_every": 0}
    toy_runs.train(tmp_path / "a run", **fields)
    toy_runs.assert_same(toy_runs.train(tmp_path / "whole", **fields), tmp_path / "a run")


def test_an_interrupted_run_is_told_apart_from_a_finished_one(data, tmp_path, monkeypatch):
    def told_while_it_draws(gan, splits):
        return lambda state: signal.raise_signal(signal.SIGTERM) or Image.new("L", (1, 1))

    monkeypatch.setattr(toy_experiment, "picture", told_while_it_draws)
    with pytest.raises(Interrupted) as caught:
        toy_runs.train(tmp_path, data=data)
    assert caught.value.code == 143
    assert checkpoint.steps_in(tmp_path / "checkpoints") == [1]
