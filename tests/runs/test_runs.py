"""What a run leaves behind, how it starts from others, and how it stops."""

from __future__ import annotations

import dataclasses
import errno
import json
import pathlib
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

import jaxgan
from jaxgan import files, state
from jaxgan.runs import checkpoint, command_line, experiments, fine_tuning, saved_state, setup
from jaxgan.runs.errors import RunError, RunStopped
from tests import toy_experiment, toy_runs


def test_the_record_says_what_was_run_on_what_and_where(finished, data):
    record = json.loads((finished / "config.json").read_text())
    assert record["experiment"]["module"] == "tests.toy_experiment"
    assert record["config"]["data"] == data
    assert set(record["config"]) == {f.name for f in dataclasses.fields(toy_experiment.Config)}
    assert record["data"]["shape"] == [4, 4, 1]
    assert record["data"]["classes"] == ["0", "1", "2"]
    assert len(record["data"]["digest"]) == 64
    assert record["environment"]["versions"]["jax"] == jax.__version__
    assert record["environment"]["versions"]["jaxgan"] == jaxgan.__version__
    assert record["environment"]["device"].startswith("8 x ")
    assert "revision" in record["environment"]
    assert f"jax {jax.__version__}" in (finished / "log.txt").read_text()


def test_a_run_leaves_metrics_events_samples_and_checkpoints(finished):
    assert [row["step"] for row in toy_runs.rows(finished)] == [5, 10, 15, 20, 24]
    for line in (finished / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert {"discriminator/loss", "generator/loss", "images_per_second"} <= row.keys()
        assert all(np.isfinite(value) for value in row.values())
    assert len(list(finished.glob("events.out.tfevents.*"))) == 1
    names = ["000000.png", "000024.png", "real.png"]
    assert sorted(p.name for p in (finished / "samples").iterdir()) == names
    assert checkpoint.steps_in(finished / "checkpoints") == [8, 16, 24]
    assert not (finished / files.RUN_LOCK).exists()


def prepared(**fields):
    config = toy_experiment.Config(**fields)
    experiment = experiments.of(toy_experiment)
    return setup.task(experiment, config, found=None, report=pytest.fail)


@pytest.mark.parametrize(("per_call", "shape"), [(1, (16, 4, 4, 1)), (3, (3, 16, 4, 4, 1))])
def test_a_step_takes_the_rows_that_the_experiment_asks_for(per_call, shape, data):
    task = prepared(data=data, n_critic=2, steps_per_call=per_call)
    batch = task.batches(6)
    assert batch["image"].shape == shape
    expected = task.splits.train.batch(seed=0, step=6, size=16)
    for name, values in batch.items():
        first = values if per_call == 1 else values[0]
        np.testing.assert_array_equal(first, expected[name])
        assert len(values.sharding.device_set) == 8


def test_a_run_uses_the_devices_asked_for_and_names_what_fits(data):
    assert prepared(data=data, devices=3, batch_size=6).mesh.devices.tolist() == jax.devices()[:3]
    expected = (
        "a step takes 12 examples, which cannot be split over 8 devices; use a --batch-size that 8 "
        "divides, so that a step takes 8 or 16, or --devices 6"
    )
    with pytest.raises(RunError, match=expected):
        prepared(data=data, batch_size=12)
    with pytest.raises(RunError, match="9 devices were asked for and JAX sees 8"):
        prepared(data=data, devices=9)


@pytest.mark.parametrize(("mode", "per_call"), [("shard_map", 5), ("pmap", 1)])
def test_every_way_of_running_on_devices_gives_the_same_training(
    mode, per_call, finished, data, tmp_path
):
    toy_runs.train(tmp_path, data=data, steps=10, parallel=mode, steps_per_call=per_call)
    expected = toy_runs.rows(finished)[:2]
    for row, reference in zip(toy_runs.rows(tmp_path), expected, strict=True):
        assert row == pytest.approx(reference, rel=1e-3, abs=1e-4)


def test_samples_are_drawn_by_the_data_where_the_experiment_has_no_picture_of_its_own(
    data, tmp_path
):
    plain = types.ModuleType("plain")
    plain.Config, plain.build = toy_experiment.Config, toy_experiment.build
    plain.__file__ = __file__
    config = toy_experiment.Config(steps=1, data=data, workdir=str(tmp_path), cache=False)
    command_line.train(plain, config)
    assert Image.open(tmp_path / "samples" / "000001.png").size == (16 * 56, 16 * 50)


def test_a_profile_is_a_trace_that_tensorboard_and_perfetto_open(data, tmp_path, capsys):
    toy_runs.train(tmp_path, data=data, steps=5, profile=2)
    assert "traced 2 calls" in capsys.readouterr().out
    traces = [path.name for path in (tmp_path / "profile").rglob("*")]
    assert any(name.endswith(".xplane.pb") for name in traces)
    assert "perfetto_trace.json.gz" in traces


@pytest.mark.parametrize(("steps", "said"), [(2, "nothing was traced"), (4, "traced 2 calls")])
def test_a_run_too_short_for_its_profile_says_so(steps, said, data, tmp_path, capsys):
    toy_runs.train(tmp_path, data=data, steps=steps, profile=50)
    assert said in capsys.readouterr().out


def test_overwrite_deletes_what_the_run_made_and_nothing_else(finished, data, tmp_path):
    toy_runs.train(tmp_path, data=data, seed=3, sample_every=4, profile=1)
    mine = {tmp_path / "notes.md", tmp_path / "samples" / "favorite.jpg"}
    for file in mine:
        file.write_text("mine")
    toy_runs.train(tmp_path, data=data, overwrite=True)
    toy_runs.assert_same(finished, tmp_path)
    theirs = {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()} - {
        file.relative_to(tmp_path) for file in mine
    }
    ours = set(toy_runs.snapshot(finished))

    def names(files):
        return {p for p in files if "checkpoints" not in p.parts and "events" not in p.name}

    assert names(theirs) == names(ours)
    assert len(list(tmp_path.glob("events*"))) == 1
    assert all(file.read_text() == "mine" for file in mine)


def test_overwrite_deletes_nothing_where_the_new_run_cannot_start(data, tmp_path):
    toy_runs.train(tmp_path, data=data, steps=2)
    before = toy_runs.snapshot(tmp_path)
    with pytest.raises(RunError, match="the width is 0"):
        toy_runs.train(tmp_path, data=data, steps=2, width=0, overwrite=True)
    assert toy_runs.snapshot(tmp_path) == before


def test_init_from_takes_all_weights_at_another_batch_size(finished, data):
    note = prepared(data=data, init_from=str(finished), batch_size=16).notes[-1]
    assert "took 12 of 12 arrays" in note


def test_init_from_takes_weights_and_averages_but_no_optimizer_and_no_step(finished, data):
    task = prepared(data=data, init_from=str(finished), seed=5)
    arrays, _ = saved_state.to_arrays(task.state)
    source = toy_runs.arrays(finished)
    for name, array in arrays.items():
        kind = name.split("/")[2] if name.startswith("players/") else name.split("/")[0]
        if kind in ("params", "variables", "ema"):
            np.testing.assert_array_equal(array, source[name], err_msg=name)
        elif kind == "opt_state":
            assert not array.any(), name
    assert arrays["step"] == 0
    assert not np.array_equal(arrays["rng"], source["rng"])


def test_init_optimizer_takes_the_moments_and_the_counters_that_correct_them(finished, data):
    task = prepared(data=data, init_from=str(finished), init_optimizer=True, seed=5)
    arrays, _ = saved_state.to_arrays(task.state)
    source = toy_runs.arrays(finished)
    moments = [name for name in arrays if "/opt_state/" in name]
    assert any(source[name].any() for name in moments if name.endswith("mu/Dense_0/kernel"))
    for name in moments:
        np.testing.assert_array_equal(arrays[name], source[name], err_msg=name)
    assert arrays["step"] == 0
    assert task.notes[-1] == "took the optimizers of discriminator, generator"


def test_init_optimizer_leaves_the_schedules_at_their_beginning():
    adam = optax.adam(optax.linear_schedule(0.1, 0.0, 10))
    params = {"kernel": jnp.ones((2, 3))}
    _, reached = adam.update(params, adam.init(params))
    player = state.Player.create(apply_fn=lambda _: None, params=params, tx=adam)
    player = player.replace(step=jnp.zeros((), jnp.int32))
    fresh = state.create(jax.random.key(0), {"generator": player})
    arrays, keys = saved_state.to_arrays(
        fresh.replace(players={"generator": player.replace(opt_state=reached)})
    )
    source = fine_tuning.Source(pathlib.Path("run"), {}, saved_state.Saved(1, arrays, keys, {}))
    now, _ = fine_tuning.with_optimizers(fresh, source, ())
    moments, schedule = now["generator"].opt_state
    assert (moments.count, schedule.count) == (1, 0)
    np.testing.assert_array_equal(moments.nu["kernel"], reached[0].nu["kernel"])


def test_init_optimizer_says_of_a_player_that_its_optimizer_keeps_nothing():
    params = {"kernel": jnp.ones((2, 3))}
    player = state.Player.create(apply_fn=lambda _: None, params=params, tx=optax.sgd(0.1))
    player = player.replace(step=jnp.zeros((), jnp.int32))
    fresh = state.create(jax.random.key(0), {"generator": player})
    saved = saved_state.Saved(1, *saved_state.to_arrays(fresh), {})
    source = fine_tuning.Source(pathlib.Path("run"), {}, saved)
    with pytest.raises(RunError, match=r"generator \(its optimizer here keeps no state\)"):
        fine_tuning.with_optimizers(fresh, source, ())


def test_init_optimizer_keeps_a_frozen_layer_without_moments(finished, data):
    frozen = {"init_from": str(finished), "freeze": ("discriminator:1",), "init_optimizer": True}
    arrays, _ = saved_state.to_arrays(prepared(data=data, **frozen).state)
    source = toy_runs.arrays(finished)
    below = "players/discriminator/opt_state/"
    moments = [name for name in arrays if name.startswith(below)]
    assert moments and not [name for name in moments if "Dense_0" in name]
    for name in moments:
        plain = name.replace("inner_states/trained/inner_state/", "")
        np.testing.assert_array_equal(arrays[name], source[plain], err_msg=name)


def test_init_optimizer_needs_a_run_with_such_an_optimizer(finished, data, tmp_path):
    with pytest.raises(RunError, match="--init-optimizer takes moments of another run: name"):
        toy_runs.train(tmp_path / "run", data=data, init_optimizer=True)
    frozen = toy_runs.train(
        tmp_path / "frozen",
        data=data,
        steps=2,
        init_from=str(finished),
        freeze=("discriminator:1", "generator:1"),
    )
    with pytest.raises(RunError, match=r"no optimizer of .*frozen fits: discriminator \("):
        prepared(data=data, init_from=str(frozen), init_optimizer=True)
    part = toy_runs.train(
        tmp_path / "part", data=data, steps=2, init_from=str(finished), freeze=("discriminator:1",)
    )
    note = prepared(data=data, init_from=str(part), init_optimizer=True).notes[-1]
    assert note.startswith("took the optimizers of generator; begun anew: discriminator (")


def test_a_run_begins_with_what_the_experiment_makes_of_the_training_data(
    finished, data, monkeypatch
):
    def begin(state, train):
        params = state["generator"].params
        bias = jnp.asarray(train.float_images().mean(axis=0).ravel())
        last = {**params["Dense_1"], "bias": bias}
        return state.with_params({"generator": {**params, "Dense_1": last}})

    name = "players/generator/params/Dense_1/bias"
    before, _ = saved_state.to_arrays(prepared(data=data).state)
    monkeypatch.setattr(toy_experiment, "begin", begin, raising=False)
    task = prepared(data=data)
    now, _ = saved_state.to_arrays(task.state)
    train: Any = task.splits.train
    expected = train.float_images().mean(axis=0).ravel()
    assert [other for other in now if not np.array_equal(now[other], before[other])] == [name]
    np.testing.assert_array_equal(now[name], expected)
    several, _ = saved_state.to_arrays(prepared(data=data, seeds=2).state)
    np.testing.assert_array_equal(several[name], [expected, expected])
    taken, _ = saved_state.to_arrays(prepared(data=data, init_from=str(finished)).state)
    np.testing.assert_array_equal(taken[name], toy_runs.arrays(finished)[name])


def test_a_run_that_goes_on_does_not_begin_again(finished, data, monkeypatch):
    monkeypatch.setattr(toy_experiment, "begin", pytest.fail, raising=False)
    found = checkpoint.latest(finished / "checkpoints", report=pytest.fail)
    assert found is not None
    experiment = experiments.of(toy_experiment)
    config = toy_experiment.Config(data=data)
    task = setup.task(experiment, config, found=found, report=pytest.fail)
    assert int(task.state.step) == found.step


def test_weights_that_only_a_new_run_reads_need_not_be_there_to_open_or_continue_one(
    data, tmp_path, monkeypatch
):
    toy_runs.train(tmp_path / "run", data=data, steps=2)
    build = toy_experiment.build

    def reading(config, spec, *, axis_name=None, saved=False):
        if not saved:
            raise ValueError("the weights are missing")
        return build(config, spec, axis_name=axis_name)

    monkeypatch.setattr(toy_experiment, "build", reading)
    toy_runs.train(tmp_path / "run", data=data, steps=4)
    assert jaxgan.load(tmp_path / "run").step == 4
    with pytest.raises(RunError, match="the weights are missing"):
        toy_runs.train(tmp_path / "new", data=data, steps=2)


def test_frozen_layers_keep_the_weights_of_the_run_that_it_starts_from(finished, data, tmp_path):
    run = tmp_path / "run"
    frozen = {"init_from": str(finished), "freeze": ("discriminator:1",)}
    toy_runs.train(run, data=data, steps=2, **frozen)
    toy_runs.train(run, data=data, steps=4, **frozen)
    before, after = toy_runs.arrays(finished), toy_runs.arrays(run)
    names = [f"players/discriminator/params/Dense_{layer}/kernel" for layer in (0, 1)]
    assert [np.array_equal(before[name], after[name]) for name in names] == [True, False]
    moments = [name for name in after if "discriminator/opt_state" in name]
    assert moments and not [name for name in moments if "Dense_0" in name]
    assert "frozen: discriminator Dense_0 (2 arrays)" in (run / "log.txt").read_text()
    assert json.loads((run / "config.json").read_text())["config"]["freeze"] == ["discriminator:1"]
    assert jaxgan.load(run).step == 4
    with pytest.raises(RunError, match=r"made with --freeze .* and cannot go on with"):
        toy_runs.train(run, data=data, steps=6, init_from=str(finished))


def test_what_cannot_be_frozen_is_refused(finished, data, tmp_path):
    with pytest.raises(RunError, match="--freeze keeps layers of another run: name that run with"):
        toy_runs.train(tmp_path / "run", data=data, freeze=("discriminator:1",))
    with pytest.raises(RunError, match="the discriminator has 2 layers: Dense_0, Dense_1"):
        prepared(data=data, init_from=str(finished), freeze=("discriminator:3",))


def test_what_a_run_knows_of_its_classes_goes_to_the_classes_of_the_same_name():
    def player(params):
        return state.Player.create(apply_fn=None, params=params, tx=optax.sgd(0.1))

    def tables(classes, value):
        return {
            "Embed_0": {"embedding": jnp.full((classes, 2), value)},
            "Dense_0": {"kernel": jnp.full((4 + classes, 2), value), "bias": jnp.zeros(2)},
        }

    old = tables(2, 0.0)
    old["Embed_0"]["embedding"] = jnp.array([[1.0, 1.0], [2.0, 2.0]])
    old["Dense_0"]["kernel"] = jnp.arange(6.0)[:, None] * jnp.ones((1, 2))
    before, fresh = (
        state.create(jax.random.key(0), {"generator": player(params)}, ema=["generator"])
        for params in (old, tables(3, 9.0))
    )
    saved = saved_state.Saved(7, *saved_state.to_arrays(fine_tuning.weights_of(before)), {})
    record = {"data": {"classes": ["cat", "dog"]}}
    source = fine_tuning.Source(pathlib.Path("run"), record, saved)
    now, notes = fine_tuning.class_by_class(fresh, source, ("dog", "bird", "cat"))
    assert notes == [
        "took what it knows of 2 classes by their names (dog, cat); 1 of the 3 classes begin anew"
    ]
    for weights in ("players/generator/params", "ema/generator/params"):
        table = now.saved.arrays[f"{weights}/Embed_0/embedding"]
        np.testing.assert_array_equal(table[:, 0], [2, 9, 1])
        kernel = now.saved.arrays[f"{weights}/Dense_0/kernel"]
        np.testing.assert_array_equal(kernel[:, 0], [0, 1, 2, 3, 5, 9, 4])
    same, notes = fine_tuning.class_by_class(before, source, ("cat", "dog"))
    assert (same, notes) == (source, [])


def test_a_run_that_goes_on_to_another_end_says_so_where_its_step_sizes_fall_to_it(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr(toy_experiment.Config, "falls_to_the_end", True)
    for steps in (8, 13):
        toy_runs.train(tmp_path, data=data, steps=steps)
    log = (tmp_path / "log.txt").read_text()
    assert (
        log.count("warning: learning rates fall to the run's end, which was step 8 and now is 13")
        == 1
    )
    record = {"config": {"steps": 8}}
    assert setup.notes_on_the_end(toy_experiment.Config(steps=8), record) == []
    monkeypatch.undo()
    assert setup.notes_on_the_end(toy_experiment.Config(steps=13), record) == []


def test_init_from_counts_what_fits_by_player_and_names_what_does_not(finished, data, tmp_path):
    def grown(state, train):
        params = {**state["discriminator"].params, "extra": {"kernel": jnp.ones((2, 2))}}
        return state.with_params({"discriminator": params})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_experiment, "begin", grown, raising=False)
        note = prepared(data=data, init_from=str(finished)).notes[-1]
    assert note.startswith(
        f"started from step 24 of {finished}: took 12 of 13 arrays "
        "(discriminator 4 of 5, generator 8 of 8); left 1 fresh "
        "(players/discriminator/params/extra/kernel)"
    )


def test_init_from_refuses_a_network_of_another_size_and_says_what_differs(finished, data):
    with pytest.raises(RunError) as refused:
        prepared(data=data, init_from=str(finished), width=64)
    assert str(refused.value) == (
        f"--init-from {finished}: 2 of this model's 12 arrays fit "
        "(discriminator 1 of 4, generator 1 of 8): --width was 8, here 64"
    )


def test_init_from_says_where_the_data_have_another_shape_and_other_classes(
    finished, data, tmp_path
):
    pixels = np.random.default_rng(0).integers(0, 256, (44, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "other.npz", images=pixels)
    with pytest.raises(RunError) as refused:
        prepared(data=f"npz:{tmp_path / 'other.npz'}", init_from=str(finished), width=9)
    assert str(refused.value).endswith(
        "--width was 8, here 9, the data's shape were [4, 4, 1], here [8, 8, 3], "
        "the classes were ['0', '1', '2'], here []"
    )


def test_the_networks_of_a_run_to_start_from_are_its_own_unless_the_flags_say_otherwise(
    finished, tmp_path
):
    toy = experiments.of(toy_experiment)
    pixels = np.random.default_rng(0).integers(0, 256, (44, 8, 8, 3)).astype(np.uint8)
    np.savez(tmp_path / "other.npz", images=pixels)
    asked = ["--data", f"npz:{tmp_path / 'other.npz'}", "--preset", "smoke"]
    source = ["--init-from", str(finished)]
    assert command_line.parse(toy, asked).width == 4
    config = command_line.parse(toy, [*asked, *source])
    assert (config.width, config.resolution, config.channels) == (8, "4x4", 1)
    assert config.steps == 6 and config.data == asked[1]
    task = setup.task(toy, config, found=None, report=pytest.fail)
    assert "took 12 of 12 arrays (discriminator 4 of 4, generator 8 of 8)" in task.notes[-1]
    assert "fresh" not in task.notes[-1]
    given = command_line.parse(toy, [*asked, *source, "--width", "5", "--resolution", "8"])
    assert (given.width, given.resolution, given.channels) == (5, "8", 1)
    assert command_line.parse(toy, [*asked, "--init-from", str(tmp_path)]).width == 4


def test_of_another_experiment_the_networks_are_taken_by_name_and_type(finished):
    record = json.loads((finished / "config.json").read_text())
    record["experiment"]["module"] = "elsewhere"
    toy = experiments.of(toy_experiment)
    default = toy_experiment.Config()
    assert toy.with_networks_of(record, default).width == 8
    default = toy_experiment.Config(width=5)
    record["config"]["width"] = [3, 3]
    assert toy.with_networks_of(record, default).width == 5


def test_an_average_that_the_run_did_not_keep_begins_at_its_weights(finished, data, monkeypatch):
    latest = checkpoint.latest

    def without_averages(path, *, report):
        saved = latest(path, report=report)
        kept = {name: a for name, a in saved.arrays.items() if not name.startswith("ema/")}
        return saved._replace(arrays=kept)

    monkeypatch.setattr(checkpoint, "latest", without_averages)
    state = prepared(data=data, init_from=str(finished)).state
    averaged = {"params": state["generator"].params, **state["generator"].variables}
    assert jax.tree.all(jax.tree.map(np.array_equal, state.ema["generator"], averaged))


def test_init_from_needs_a_checkpoint(finished, data, tmp_path):
    (tmp_path / "config.json").write_text((finished / "config.json").read_text())
    with pytest.raises(RunError, match="has no checkpoint yet"):
        prepared(data=data, init_from=str(tmp_path))


def test_a_loss_that_is_not_finite_stops_the_run_with_its_exact_step(data, tmp_path, capsys):
    flags = ["--break-at", "18", "--steps-per-call", "4", "--log-every", "100", "--no-cache"]
    workdir = ["--workdir", str(tmp_path), "--data", data]
    assert command_line.command(toy_experiment, [*workdir, *flags]) == 1
    error = capsys.readouterr().err
    assert "error: discriminator/loss is nan at step 18 (and with it" in error
    assert f"The last whole checkpoint is that of step 16 in {tmp_path}/checkpoints" in error
    assert f"--init-from {tmp_path}" in error
    assert checkpoint.steps_in(tmp_path / "checkpoints") == [8, 16]
    rescued = toy_runs.train(tmp_path / "rescued", data=data, init_from=str(tmp_path), steps=2)
    assert len(toy_runs.rows(rescued)) == 1


def test_a_run_that_breaks_before_its_first_checkpoint_is_not_to_be_started_from(data, tmp_path):
    with pytest.raises(RunStopped) as stopped:
        toy_runs.train(tmp_path, data=data, break_at=3, steps_per_call=1)
    said = str(stopped.value)
    assert said.endswith("no checkpoint to return to. Start a new run with other settings")
    assert "--init-from" not in said


def test_a_state_that_is_not_finite_is_not_saved_though_every_metric_is(
    data, tmp_path, monkeypatch
):
    build = toy_experiment.build

    def broken(config, spec, *, axis_name=None):
        gan = build(config, spec, axis_name=axis_name)

        def step(state, batch):
            state, metrics = gan.step(state, batch)
            norm = jax.numpy.where(state.step == 13, jax.numpy.inf, state.extra["norm"])
            return state.replace(extra={"norm": norm}), metrics

        return gan._replace(step=step)

    monkeypatch.setattr(toy_experiment, "build", broken)
    with pytest.raises(RunStopped, match=r"state after step 16 is not finite, extra/norm.* step 8"):
        toy_runs.train(tmp_path, data=data)
    assert checkpoint.steps_in(tmp_path / "checkpoints") == [8]
    last = (tmp_path / "log.txt").read_text().splitlines()[-1]
    assert last.startswith("error: the state after step 16 is not finite")


def test_a_full_disk_stops_the_run_in_one_sentence_and_it_goes_on_when_there_is_room(
    finished, data, tmp_path, capsys
):
    toy_runs.train(tmp_path, data=data, steps=10)
    metrics = tmp_path / "metrics.jsonl"
    kept = metrics.read_text()
    append = files.append

    def fill(path, content):
        if path.name == metrics.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        append(path, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "append", fill)
        arguments = ["--workdir", str(tmp_path), "--steps", "24"]
        assert command_line.command(toy_experiment, arguments) == 1
    error = capsys.readouterr().err
    assert error == f"error: {metrics} cannot be written to: no space left on device\n"
    assert metrics.read_text() == kept
    toy_runs.train(tmp_path, data=data)
    toy_runs.assert_same(finished, tmp_path)
