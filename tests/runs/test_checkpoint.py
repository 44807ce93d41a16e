"""Checkpoints: what was saved is what is read, or the reader says so."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxgan import parallel
from jaxgan.runs import checkpoint, checkpoint_digest, processes, saved_state
from jaxgan.runs.errors import NotFinite, RunError, RunStopped
from tests import toy_model, toy_runs


@pytest.fixture(scope="module")
def state():
    """Networks with Adam, batch statistics, an average, keys of two kinds, a pool."""
    gan = toy_model.build(shape=(4, 4, 1), width=8)
    state = jax.jit(gan.init)(jax.random.key(0))
    return state.replace(
        extra={
            **state.extra,
            "half": jnp.linspace(0, 1, 7).astype(jnp.bfloat16),
            "flag": jnp.array(True),
            "none": jnp.zeros((0, 3)),
            "key": jax.random.key(1, impl="rbg"),
            "keys": jax.random.split(jax.random.key(2), 3),
        }
    )


@pytest.fixture(scope="module")
def saved(state, tmp_path_factory):
    """A folder with checkpoints of steps 1, 2 and 3, which differ in their step alone."""
    path = tmp_path_factory.mktemp("saved") / "checkpoints"
    write(path, state, 1, 2, 3)
    return path


def write(path, state, *steps, keep=3, best=tuple):
    with contextlib.closing(checkpoint.Checkpoints(path, keep=keep, best=best)) as checkpoints:
        for step in steps:
            checkpoints.save(step, state.replace(step=jnp.int32(step)), {"sums": {"loss": 0.1}})
        checkpoints.wait()


def copy_of(saved, tmp_path):
    import shutil

    return shutil.copytree(saved, tmp_path / "checkpoints")


def assert_equal(left, right):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert one.dtype == other.dtype
        if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
            assert jax.random.key_impl(one) == jax.random.key_impl(other)
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_every_kind_of_leaf_is_read_as_it_was_saved(state, saved):
    found = checkpoint.read(saved, 2)
    assert found.step == 2
    assert found.notes == {"sums": {"loss": 0.1}}
    template = jax.eval_shape(lambda state: state, state)
    assert_equal(saved_state.to_tree(template, found), state.replace(step=jnp.int32(2)))


def test_what_was_saved_may_be_donated_at_once(state, tmp_path):
    copied = jax.tree.map(jnp.copy, state)
    overwrite = jax.jit(
        lambda state: jax.tree.map(
            lambda x: x + 1 if jnp.issubdtype(x.dtype, jnp.inexact) else x, state
        ),
        donate_argnums=0,
    )
    with contextlib.closing(checkpoint.Checkpoints(tmp_path, keep=1)) as checkpoints:
        checkpoints.save(5, copied, {})
        for _ in range(3):
            copied = overwrite(copied)
        checkpoints.wait()
    assert_equal(saved_state.to_tree(state, checkpoint.read(tmp_path, 5)), state)


def test_notes_that_change_while_they_are_written_are_those_of_the_moment(
    state, tmp_path, monkeypatch
):
    handed_over, save = [], ocp.args.JsonSave
    monkeypatch.setattr(ocp.args, "JsonSave", lambda item: handed_over.append(item) or save(item))
    notes = {"sums": {"loss": [1.0, 2.0]}}
    with contextlib.closing(checkpoint.Checkpoints(tmp_path, keep=1)) as checkpoints:
        checkpoints.save(5, state, notes)
        notes["sums"]["loss"][0] = 3.0
        assert handed_over[0]["notes"] == {"sums": {"loss": [1.0, 2.0]}}


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("devices", [1, 2, 8])
def test_a_state_saved_on_some_devices_goes_onto_any_number(state, tmp_path, devices, split):
    four, other = (parallel.data_mesh(jax.devices()[:n]) for n in (4, devices))
    write(tmp_path, parallel.place_state(state, four, shard_parameters=split), 1)
    restored = saved_state.to_tree(state, checkpoint.read(tmp_path, 1))
    placed = parallel.place_state(restored, other, shard_parameters=not split)
    assert len(placed.buffers["pool"].sharding.device_set) == devices
    assert_equal(placed, state.replace(step=jnp.int32(1)))


# --- in parts, as several processes write: here one does, of eight devices ------------------------


@pytest.fixture
def split(state):
    """The state with the parameters split over four devices."""
    own = jax.tree.map(jnp.copy, state)  # a test donates it
    return parallel.place_state(own, parallel.data_mesh(jax.devices()[:4]), shard_parameters=True)


def in_parts(path, keep=3):
    """Closes by itself at the end of the block."""
    together = checkpoint.SharedCheckpoints(path, keep=keep, team=processes.Team())
    return contextlib.closing(together)


def test_parts_are_read_as_whole_arrays_on_any_number_of_devices(state, split, tmp_path):
    with in_parts(tmp_path) as checkpoints:
        checkpoints.save(5, split, {"log": {"logged": 4}})
        checkpoints.wait()
    found = checkpoint.read(tmp_path, 5)
    assert (found.step, found.notes) == (5, {"log": {"logged": 4}})
    assert all(type(array) is np.ndarray for array in found.arrays.values())
    assert_equal(saved_state.to_tree(state, found), state)
    meta = json.loads((tmp_path / "5" / "meta" / "metadata").read_text())
    kernel = "players/generator/params/Dense_0/kernel"
    shape = list(state["generator"].params["Dense_0"]["kernel"].shape)
    axis = max(range(2), key=lambda axis: (shape[axis] % 4 == 0, shape[axis], axis))
    split_so = {"dtype": "float32", "shape": shape, "axis": axis, "parts": 4}
    assert meta["layout"][kernel] == split_so


def test_parts_that_were_saved_may_be_donated_at_once(state, split, tmp_path):
    double = jax.jit(
        lambda state: state.replace(players=jax.tree.map(lambda x: 2 * x, state.players)),
        donate_argnums=0,
    )
    with in_parts(tmp_path) as checkpoints:
        checkpoints.save(5, split, {})
        for _ in range(3):
            split = double(split)
        checkpoints.wait()
    assert_equal(saved_state.to_tree(state, checkpoint.read(tmp_path, 5)), state)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the reader
@pytest.mark.parametrize("change", ["dtype", "parts", "digest", "swapped"])
def test_parts_are_damaged_if_anything_of_them_has_changed(split, tmp_path, change):
    with in_parts(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, split.replace(step=split.step + step), {})
        checkpoints.wait()
    file = tmp_path / "2" / "meta" / "metadata"
    meta = json.loads(file.read_text())
    kernel = meta["layout"]["players/generator/params/Dense_0/kernel"]
    if change == "dtype":
        kernel["dtype"] = "float16"
    elif change == "parts":
        kernel["parts"] = 2
    elif change == "digest":
        meta["digest"] = "0" * 64
    file.write_text(json.dumps(meta))
    if change == "swapped":
        (tmp_path / "2" / "state").rename(tmp_path / "gone")
        (tmp_path / "1" / "state").rename(tmp_path / "2" / "state")
    with pytest.raises(RunError, match=f"{tmp_path}/2 is damaged"):
        checkpoint.read(tmp_path, 2)


def test_a_part_that_is_not_finite_is_never_written(split, tmp_path):
    broken = split.replace(ema=jax.tree.map(lambda x: x * np.nan, split.ema))
    with in_parts(tmp_path) as checkpoints:
        with pytest.raises(NotFinite, match="after step 2 is not finite, ema/"):
            checkpoints.save(2, broken, {})
        checkpoints.wait()
    assert checkpoint.steps_in(tmp_path) == []


def test_a_process_that_leaves_saves_the_whole_state_beside_the_parts(state, split, tmp_path):
    with in_parts(tmp_path) as checkpoints:
        checkpoints.save(1, split, {})
        checkpoints.save_alone(1, state, {})  # it is there
        checkpoints.save_alone(2, state.replace(step=jnp.int32(2)), {})
    assert checkpoint.steps_in(tmp_path) == [1, 2]
    layouts = [
        "layout" in json.loads((tmp_path / step / "meta" / "metadata").read_text())
        for step in ("1", "2")
    ]
    assert layouts == [True, False]
    assert [int(checkpoint.read(tmp_path, step).arrays["step"]) for step in (1, 2)] == [0, 2]


def test_the_latest_in_parts_are_kept(split, tmp_path):
    with in_parts(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3, 4):
            checkpoints.save(step, split.replace(players={}, ema={}), {})
        checkpoints.wait()
    assert checkpoint.steps_in(tmp_path) == [3, 4]


def test_only_the_latest_are_kept(state, tmp_path):
    write(tmp_path, state, 1, 2, 3, 4, keep=2)
    assert checkpoint.steps_in(tmp_path) == [3, 4]


def test_the_best_are_kept_beside_the_latest_until_others_are_better(state, tmp_path):
    best = [2]
    write(tmp_path, state, 1, 2, 3, 4, keep=2, best=lambda: best)
    assert checkpoint.steps_in(tmp_path) == [2, 3, 4]
    write(tmp_path, state, 5, keep=1, best=lambda: best)
    assert checkpoint.steps_in(tmp_path) == [2, 5]
    best[:] = [6, 5]
    write(tmp_path, state, 6, keep=1, best=lambda: best)
    assert checkpoint.steps_in(tmp_path) == [5, 6]


def test_where_nothing_was_saved_there_is_no_latest(tmp_path):
    assert checkpoint.latest(tmp_path / "nowhere", report=pytest.fail) is None
    assert checkpoint.latest(tmp_path, report=pytest.fail) is None


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the reader
def test_a_flipped_byte_anywhere_is_noticed_or_means_nothing(saved, tmp_path):
    path = copy_of(saved, tmp_path)
    whole = checkpoint.read(path, 3)
    noticed = 0
    for file in files_of(path / "3"):
        content = file.read_bytes()
        for place in {len(content) // 4, len(content) // 2, len(content) * 3 // 4}:
            flipped = bytes([content[place] ^ 0x10])
            file.write_bytes(content[:place] + flipped + content[place + 1 :])
            try:
                found = checkpoint.read(path, 3)
            except RunError as error:
                assert "is damaged" in str(error)
                noticed += 1
            else:
                assert found.notes == whole.notes
                assert found.keys == whole.keys
                for name, array in whole.arrays.items():
                    assert found.arrays[name].tobytes() == array.tobytes()
        file.write_bytes(content)
    assert noticed >= 5


def test_arrays_of_another_step_are_noticed_though_every_file_is_whole(saved, tmp_path):
    path = copy_of(saved, tmp_path)
    (path / "3" / "state").rename(tmp_path / "gone")
    (path / "2" / "state").rename(path / "3" / "state")
    with pytest.raises(RunError, match="digest"):
        checkpoint.read(path, 3)


@pytest.mark.parametrize("harm", ["truncated", "missing", "empty folder"])
def test_a_damaged_latest_is_reported_and_the_one_before_is_used(saved, tmp_path, harm):
    path = copy_of(saved, tmp_path)
    files = files_of(path / "3" / "state")
    largest = max(files, key=lambda file: file.stat().st_size)
    if harm == "truncated":
        largest.write_bytes(largest.read_bytes()[:-20])
    else:
        for file in [largest] if harm == "missing" else files_of(path / "3"):
            file.unlink()
    reports = []
    found = checkpoint.latest(path, report=reports.append)
    assert found is not None
    assert found.step == 2
    assert len(reports) == 1
    assert f"{path}/3 is damaged" in reports[0]
    assert "\n" not in reports[0]


def test_where_all_are_damaged_nothing_is_made_up(saved, tmp_path):
    path = copy_of(saved, tmp_path)
    for file in path.rglob("metadata"):
        file.write_text("")
    with pytest.raises(RunError, match="all 3 checkpoints"):
        checkpoint.latest(path, report=lambda text: None)


def test_damaged_ones_are_set_aside_so_that_their_steps_can_be_saved_again(saved, state, tmp_path):
    path, aside = copy_of(saved, tmp_path), tmp_path / "damaged"
    for _ in range(2):
        checkpoint.set_aside(path, aside, after=1)
        assert checkpoint.steps_in(path) == [1]
        write(path, state, 2)
    assert sorted(entry.name for entry in aside.iterdir()) == ["2-0", "2-1", "3-0"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_never_written(state, tmp_path, value):
    write(tmp_path, state, 1)
    broken = state.replace(extra={**state.extra, "norm": jnp.float32(value)})
    with contextlib.closing(checkpoint.Checkpoints(tmp_path, keep=1)) as checkpoints:
        with pytest.raises(NotFinite, match="after step 2 is not finite, extra/norm"):
            checkpoints.save(2, broken, {})
        checkpoints.wait()
        assert "that of step 1" in checkpoints.last_words()
    assert checkpoint.latest(tmp_path, report=pytest.fail).step == 1


@contextlib.contextmanager
def files_limited_to(size):
    """A disk that refuses, as a full one does: writes past `size` bytes of a file fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_refuses_leaves_the_last_checkpoint_whole(tmp_path):
    noise = jax.random.normal(jax.random.key(0), (300, 300))  # does not compress
    with contextlib.closing(checkpoint.Checkpoints(tmp_path, keep=3)) as checkpoints:
        checkpoints.save(1, {"noise": noise}, {})
        checkpoints.wait()
        with files_limited_to(50_000), pytest.raises(RunStopped) as caught:
            checkpoints.save(2, {"noise": noise}, {})
            checkpoints.wait()
    assert "could not be written" in str(caught.value)
    assert "file too large. The last whole checkpoint is that of step 1" in str(caught.value)
    assert checkpoint.latest(tmp_path, report=pytest.fail).step == 1


class Refuses:
    """An object whose end fails, which Python reports as it does the end of Orbax's threads."""

    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error


def test_a_failed_write_prints_no_tracebacks_of_the_threads_that_wrote(monkeypatch):
    printed = []
    monkeypatch.setattr(sys, "unraisablehook", lambda it: printed.append(str(it.exc_value)))
    with pytest.raises(RunStopped), checkpoint.closed_loops_dropped():
        Refuses(RuntimeError("Event loop is closed"))
        Refuses(ValueError("an error of the user's own"))
        raise RunStopped("a full disk")
    Refuses(RuntimeError("after it"))
    assert printed == ["an error of the user's own", "after it"]


def rewritten(path, **entries):
    """The notes of the checkpoint of step 3 with other entries, under a digest that fits them."""
    file = path / "3" / "meta" / "metadata"
    meta = {**json.loads(file.read_text()), **entries}
    del meta["digest"]
    meta = {name: value for name, value in meta.items() if value != "gone"}
    found = checkpoint.read(path, 2).arrays | {"step": np.asarray(3, np.int32)}
    meta["digest"] = checkpoint_digest.of_whole(found, meta)
    file.write_text(json.dumps(meta))


def test_a_checkpoint_of_a_newer_format_is_left_alone_and_an_older_one_opens(saved, tmp_path):
    path = copy_of(saved, tmp_path)
    assert json.loads((path / "3" / "meta" / "metadata").read_text())["format"] == 1
    rewritten(path, format="gone")
    assert checkpoint.read(path, 3).step == 3
    rewritten(path, format=3)
    said = r"checkpoints/3 was made by a newer jaxgan \(format 3, this one reads up to 2\): update"
    with pytest.raises(RunError, match=said):
        checkpoint.latest(path, report=pytest.fail)


@pytest.mark.parametrize(
    "entries",
    [
        {"step": 4},
        {"step": "gone"},
        {"keys": ["rng"]},
        {"keys": {"rng": 1}},
        {"notes": 3},
        {"notes": {"log": 3}},
        {"notes": {"log": {"logged": "5"}}},
        {"notes": {"log": {"seconds": []}}},
        {"notes": {"log": {"sums": [1]}}},
        {"notes": {"log": {"sums": {"loss": [1.0]}}}},
        {"notes": {"log": {"sums": {"loss": "low"}}}},
        {"format": "new"},
        {"format": -1},
    ],
)
def test_notes_of_other_types_are_damage_though_their_digest_fits(entries, saved, tmp_path):
    path = copy_of(saved, tmp_path)
    rewritten(path, **entries)
    with pytest.raises(RunError, match="checkpoints/3 is damaged") as caught:
        checkpoint.read(path, 3)
    assert "\n" not in str(caught.value)


def test_a_key_of_a_generator_that_is_not_known_is_refused_by_name(saved, state):
    found = checkpoint.read(saved, 3)
    with pytest.raises(RunError, match="'mersenne' that this JAX knows"):
        saved_state.to_tree(state, found._replace(keys={**found.keys, "rng": "mersenne"}))


@pytest.mark.slow
def test_a_damaged_checkpoint_makes_no_other_noise(saved, tmp_path):
    script = (
        "import pathlib, sys\n"
        "from jaxgan.runs import checkpoint\n"
        "from jaxgan.runs.errors import RunError\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "for name in ('state/manifest.ocdbt', 'state/_METADATA', 'meta/metadata'):\n"
        "    file = path / '3' / name\n"
        "    content = file.read_bytes()\n"
        "    for harm in (b'', b'{}', b'[1]', content[: len(content) // 2]):\n"
        "        file.write_bytes(harm)\n"
        "        try:\n"
        "            checkpoint.read(path, 3)\n"
        "        except RunError as error:\n"
        "            print(error)\n"
        "    file.write_bytes(content)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(copy_of(saved, tmp_path))],
        cwd=toy_runs.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert len(said) == 12
    assert all("/checkpoints/3 is damaged: " in line for line in said)
    assert all(" " in line.partition("is damaged: ")[2] for line in said)


def test_a_state_of_another_model_is_refused_by_name(state, saved):
    found = checkpoint.read(saved, 1)
    wider = jax.eval_shape(toy_model.build(shape=(4, 4, 1), width=9).init, jax.random.key(0))
    with pytest.raises(RunError, match=r"discriminator/.* \(8,\) where the model has .* \(9,\)"):
        saved_state.to_tree(wider, found)
    with pytest.raises(RunError, match="no extra/more"):
        saved_state.to_tree(state.replace(extra={"more": jnp.zeros(())}), found)


def test_a_transfer_takes_what_agrees_in_name_and_shape(saved):
    found = checkpoint.read(saved, 1)
    tree = {
        "extra": {"norm": jnp.float32(7), "half": jnp.zeros(8), "flag": jnp.array(False)},
        "fresh": jnp.ones(2),
    }
    moved, taken, left = saved_state.transfer(tree, found)
    assert taken == ["extra/flag", "extra/norm"]
    assert left == ["extra/half", "fresh"]
    assert bool(moved["extra"]["flag"])
    np.testing.assert_array_equal(moved["extra"]["half"], np.zeros(8))
