"""What a person sees when a run starts: compilation, an estimate, first pictures, real images."""

from __future__ import annotations

import dataclasses
import itertools
import re
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from jaxgan import data as data_module
from jaxgan import losses, parallel
from jaxgan.games.training import Training
from jaxgan.models import dcgan
from jaxgan.plotting import image_grids
from jaxgan.runs import (
    command_line,
    device_memory,
    estimate,
    flags,
    progress,
    setup,
    training_loop,
    training_run,
)
from tests import staged_experiment, toy_experiment, toy_runs


def pictures(path):
    """The steps that the run has pictures of."""
    return sorted(int(p.stem) for p in (path / "samples").glob("*.png") if p.stem != "real")


# --- the initial state ----------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
def test_the_quickly_compiled_initial_state_is_the_same_to_the_bit(known, monkeypatch):
    if known:
        jax.jit(jnp.sin, compiler_options=setup._QUICK)(1.0)
    else:
        monkeypatch.setattr(setup, "_QUICK", {"xla_option_of_another_time": True})
    gan = dcgan.build(
        shape=(16, 16, 1),
        training=Training({side: optax.adam(1e-3) for side in ("generator", "discriminator")}),
        latent_size=3,
        width=4,
        loss=losses.non_saturating(),
    )
    key = jax.random.key(1)
    states = setup.initial_state(gan, key), jax.jit(gan.init)(key)
    found, expected = (jax.tree.leaves(state.players) for state in states)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# --- the estimate ---------------------------------------------------------------------------------


def test_the_speed_is_that_of_the_steps_after_the_first_call():
    speed = estimate.Speed()
    assert speed.after(4, 100.0) is None  # compiled, or allocated
    assert speed.after(8, 104.0) is None
    assert speed.after(12, 110.0) == pytest.approx(10 / 8)


def test_twenty_steps_are_enough_earlier_but_not_at_once():
    speed = estimate.Speed()
    seconds = [speed.after(step, 0.0625 * step) for step in range(1, 23)]
    assert seconds[:20] == [None] * 20
    assert seconds[20] == pytest.approx(0.0625)
    quick = estimate.Speed()
    assert [quick.after(step, step / 64) for step in range(1, 65)] == [None] * 64
    assert quick.after(65, 65 / 64) == pytest.approx(1 / 64)


def test_a_step_of_a_minute_is_enough():
    speed = estimate.Speed()
    assert [speed.after(1, 0.0), speed.after(2, 60.0)] == [None, 60.0]


def test_time_that_is_left_out_does_not_count():
    speed = estimate.Speed()
    speed.leave_out(1000.0)
    speed.after(1, 0.0)
    speed.leave_out(30.0)
    assert speed.after(2, 35.0) is None
    assert speed.after(3, 50.0) == pytest.approx(10.0)


def test_an_estimate_gives_time_steps_and_speed():
    said = estimate.sentence(0.64, steps=9000, examples=173)
    assert said == "about 96 minutes for 9000 steps (270 images a second)"
    said = estimate.sentence(20.0, steps=3, examples=8, kind="more steps")
    assert said == "about 60 seconds for 3 more steps (0.4 images a second)"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (1.2, "1 second"),
        (89, "89 seconds"),
        (90, "2 minutes"),
        (7140, "119 minutes"),
        (7200, "2.0 hours"),
        (172_800, "2.0 days"),
    ],
)
def test_a_duration_has_the_unit_that_suits_it(seconds, said):
    assert estimate.duration(seconds) == said


def test_the_flags_that_make_a_run_shorter_are_the_experiments_own():
    config = toy_experiment.Config(steps=9000, width=8, batch_size=16)
    names = flags.offered(toy_experiment.Config)
    assert estimate.shorter(config, names, shape=(64, 96, 3)) == (
        "a smaller --steps (now 9000), --resolution (now 64x96), --width (now 8) or "
        "--batch-size (now 16) makes it shorter"
    )
    assert estimate.shorter(config, {"steps", "resolution"}, shape=(2,)) == (
        "a smaller --steps (now 9000) makes it shorter"
    )
    assert estimate.shorter(config, {"n_critic"}, shape=(2,)) == ""


@pytest.fixture
def at_once(monkeypatch):
    """One step is enough for an estimate, and every run is long."""
    monkeypatch.setattr(estimate, "_ENOUGH", 0.0)
    monkeypatch.setattr(estimate, "LONG", 0.0)


def test_a_run_says_once_how_long_it_takes_and_what_makes_it_shorter(data, tmp_path, at_once):
    toy_runs.train(tmp_path, data=data, steps=6)
    said = re.findall(r"^about .*", (tmp_path / "log.txt").read_text(), re.MULTILINE)
    assert len(said) == 1
    assert re.fullmatch(
        r"about \d+ seconds? for 6 steps \([\d,.]+ images a second\); a smaller --steps \(now 6\), "
        r"--resolution \(now 4x4\), --width \(now 8\) or --batch-size \(now 8\) makes it shorter",
        said[0],
    )
    toy_runs.train(tmp_path, data=data, steps=9)
    last = re.findall(r"^about .*", (tmp_path / "log.txt").read_text(), re.MULTILINE)[-1]
    assert " for 3 more steps (" in last
    assert last.endswith("; a smaller --steps (now 9) makes it shorter")


def test_each_stage_says_what_compiles_and_how_long_it_takes(data, tmp_path, at_once):
    config = staged_experiment.Config(workdir=str(tmp_path), data=data, cache=False)
    command_line.train(staged_experiment, config)
    log = (tmp_path / "log.txt").read_text()
    found = re.findall(r"^(compiling.*\.\.\.|about.*?(?= \()|stage.*)", log, re.MULTILINE)
    assert [re.sub(r"about \d+ seconds?", "about T", line) for line in found] == [
        "compiling the sampler and the train step of stage 1 of 3 ...",
        "about T for 8 steps of stage 1 of 3",
        "stage 2 of 3 from step 8",
        "compiling the train step of stage 2 of 3 ...",
        "about T for 8 steps of stage 2 of 3",
        "stage 3 of 3 from step 16",
        "compiling the train step of stage 3 of 3 ...",
        "about T for 8 steps of stage 3 of 3",
    ]


# --- memory ---------------------------------------------------------------------------------------


def test_a_step_needs_its_arguments_its_results_and_what_lies_between():
    def product(x):
        return x @ x

    given = jax.ShapeDtypeStruct((64, 64), jnp.float32)
    assert device_memory.needed(jax.jit(product).lower(given).compile()) >= 2 * 64 * 64 * 4
    reused = jax.jit(lambda x: x + 1, donate_argnums=0).lower(given).compile()
    assert device_memory.needed(reused) == 64 * 64 * 4


def test_a_run_whose_step_will_not_fit_says_what_helps(data, tmp_path, monkeypatch):
    monkeypatch.setattr(device_memory, "available", lambda mesh: 100)
    toy_runs.train(tmp_path, data=data, steps=1)
    (said,) = re.findall(r"^warning: a train step.*", (tmp_path / "log.txt").read_text(), re.M)
    assert re.fullmatch(
        r"warning: a train step needs 0\.\d MB on each device, where 0\.0 MB are free; a "
        r"smaller --batch-size \(now 8\), --resolution \(now 4x4\) or --width \(now 8\) needs "
        r"less; --shard-parameters splits weights and optimizer states; --precision bf16 makes "
        r"activations smaller",
        said,
    )


@pytest.mark.parametrize(
    ("platform", "fields", "ways"),
    [
        (
            "cpu",
            {"precision": "bf16"},
            ["a larger --accumulate (now 1) holds fewer examples at a time"],
        ),
        (
            "gpu",
            {"accumulate": 8},
            ["--remat keeps fewer activations", "--precision bf16 makes activations smaller"],
        ),
        ("gpu", {"accumulate": 8, "remat": True, "precision": "bf16"}, []),
    ],
)
def test_flags_that_keep_networks_and_batches_are_named_where_they_help(
    platform, fields, ways, monkeypatch
):
    @dataclasses.dataclass(frozen=True)
    class Config(toy_experiment.Config):
        accumulate: int = 1

    monkeypatch.setattr(device_memory, "available", lambda mesh: 10**6)
    monkeypatch.setattr(device_memory, "needed", lambda compiled: 3 * 10**6)
    mesh = types.SimpleNamespace(size=1, local_devices=[types.SimpleNamespace(platform=platform)])
    config, names = Config(**fields), {"accumulate", "remat", "precision"}
    said = device_memory.warning(None, mesh, config, names, shape=(4, 4, 1))
    assert said.split("; ")[1:] == ways


def test_devices_of_a_cpu_share_what_is_free(monkeypatch):
    monkeypatch.setattr(device_memory.memory, "available", lambda: 1000)
    assert device_memory.available(parallel.data_mesh(jax.devices()[:4])) == 250


# --- compilation ----------------------------------------------------------------------------------


def test_compiling_is_said_before_it_begins(data, tmp_path, monkeypatch, capsys):
    said = []
    whole = training_loop.compile_ahead

    def compile_ahead(*given):
        said.extend(capsys.readouterr().out.splitlines())
        return whole(*given)

    monkeypatch.setattr(training_loop, "compile_ahead", compile_ahead)
    toy_runs.train(tmp_path, data=data, steps=1)
    assert said[0] == "loading the data and compiling the initialization ..."
    assert said[-1] == "compiling the sampler and the train step ..."


@pytest.mark.parametrize(("seconds", "more"), [(2.0, []), (34.0, ["compiling took 34 seconds"])])
def test_how_long_it_took_is_said_if_it_was_a_while(seconds, more, monkeypatch):
    clock = itertools.chain([100.0, 100.0 + seconds])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    said = []
    with progress.timed("compiling", said.append):
        assert said == ["compiling ..."]
    assert said == ["compiling ...", *more]


# --- pictures -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("every", "per_call", "expected"),
    [
        (500, 1, [50, 100, 200, 500, 1000, 1200]),
        (500, 30, [60, 120, 210, 510, 1020, 1200]),
        (500, 300, [300, 600, 1200]),
        (100, 1, [50, *range(100, 1201, 100)]),
        (40, 1, list(range(40, 1201, 40))),
        (0, 1, [1200]),
    ],
)
def test_the_first_pictures_are_early_and_fall_on_the_end_of_a_call(every, per_call, expected):
    early = training_run._early(toy_experiment.Config(sample_every=every))
    event = training_loop.Event(every, lambda step, state: None, early)
    calls = range(0, 1200, per_call)
    assert [at + per_call for at in calls if event.due(at, at + per_call, 1200)] == expected


PLAIN = {"steps": 60, "log_every": 20, "checkpoint_every": 20}


@pytest.fixture(scope="module")
def pictured(tmp_path_factory, data):
    return toy_runs.train(tmp_path_factory.mktemp("pictured"), data=data, sample_every=500, **PLAIN)


def test_pictures_change_nothing_of_the_training(pictured, data, tmp_path):
    toy_runs.train(tmp_path, data=data, sample_every=0, **PLAIN)
    assert pictures(pictured) == [0, 50, 60]
    assert pictures(tmp_path) == [0, 60]
    toy_runs.assert_same(pictured, tmp_path)


def test_a_resumed_run_makes_the_pictures_that_it_owes(pictured, data, tmp_path):
    options = {**PLAIN, "sample_every": 500, "data": data}
    toy_runs.train(tmp_path, **{**options, "steps": 50})
    (tmp_path / "samples" / "000050.png").unlink()  # as if it had been stopped while it drew
    toy_runs.train(tmp_path, **options)
    toy_runs.assert_same(pictured, tmp_path)
    for path in (pictured / "samples").iterdir():
        assert (tmp_path / "samples" / path.name).read_bytes() == path.read_bytes()
    assert pictures(tmp_path) == pictures(pictured)


# --- the sheet of real images ---------------------------------------------------------------------


def sheet_of(images, columns):
    return np.asarray(image_grids.grid(images, columns=columns))


def test_real_images_are_the_first_that_the_run_trains_on(finished, data):
    train = data_module.load(data).train
    assert isinstance(train, data_module.Dataset)
    expected = train.batch(seed=0, step=0, size=len(train))["image"]
    assert np.array_equal(train.batch(seed=0, step=0, size=8)["image"], expected[:8])
    with Image.open(finished / "samples" / "real.png") as sheet:
        assert np.array_equal(np.asarray(sheet), sheet_of(expected, 9))  # 3 classes, of 40 images


def test_a_sheet_of_real_images_has_the_size_of_one_of_samples():
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 4, 3)).astype(np.uint8)
    dataset = data_module.Dataset("made", images)
    sheet = image_grids.of_real(dataset, seed=3)
    assert sheet is not None
    samples = image_grids.grid(np.zeros((80, 4, 4, 3)), columns=10)
    assert (sheet.size, sheet.mode) == (samples.size, samples.mode)
    other = image_grids.of_real(dataset, seed=4)
    assert other is not None and not np.array_equal(np.asarray(sheet), np.asarray(other))


def test_of_two_domains_the_sheet_shows_both_if_they_are_of_one_size():
    levels = np.arange(200, dtype=np.uint8)[:, None, None, None]
    a, b = (data_module.Dataset(n, np.tile(levels, (1, *shape))) for n, shape in SHAPES.items())
    small = data_module.Dataset("small", np.tile(levels, (1, 2, 2, 3)))
    both = image_grids.of_real(data_module.Pairs(a, b), seed=0)
    only = image_grids.of_real(data_module.Pairs(small, b), seed=0)
    assert both is not None and only is not None
    order = b.batch(seed=0, step=0, size=80)["image"]
    assert np.array_equal(np.asarray(only), sheet_of(order, 10))
    assert np.array_equal(np.asarray(both), sheet_of(np.repeat(order[:40], 2, axis=0), 10))


SHAPES = {"a": (4, 4, 1), "b": (4, 4, 3)}


def test_points_have_no_sheet():
    assert image_grids.of_real(data_module.load("ring").train, seed=0) is None


def test_a_sheet_that_is_there_is_kept_and_overwrite_replaces_it(data, tmp_path):
    toy_runs.train(tmp_path, data=data, steps=1)
    sheet, mine = tmp_path / "samples" / "real.png", tmp_path / "samples" / "really.png"
    first = sheet.read_bytes()
    sheet.write_bytes(b"kept")
    mine.write_bytes(b"mine")
    toy_runs.train(tmp_path, data=data, steps=2)
    assert sheet.read_bytes() == b"kept"
    toy_runs.train(tmp_path, data=data, steps=1, overwrite=True)
    assert sheet.read_bytes() == first
    assert mine.read_bytes() == b"mine"
