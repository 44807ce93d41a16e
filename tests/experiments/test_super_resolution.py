"""The super-resolution experiment: its two stages in one run, its flags, and its scores."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest
from PIL import Image

import jaxgan
from experiments import srgan
from experiments.evaluation import super_resolution
from jaxgan import data
from jaxgan.kernels import bicubic
from jaxgan.runs import command_line, setup
from jaxgan.runs.config import DataSpec
from jaxgan.tools import translate
from tests import toy_runs

SPEC = DataSpec((18, 16, 3))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of smooth color pictures with edges, 40 x 36 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    y, x = np.mgrid[:40, :36] / 40
    for index in range(20):
        shade = np.stack([np.sin(3 * x + index), np.cos(4 * y * x), x - y], axis=-1)
        shade[(x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.008 * (index + 1)] *= -1
        Image.fromarray(data.to_uint8(shade)).save(folder / f"{index}.png")
    return folder


def test_photographs_of_different_sizes_are_cut_by_the_data_and_others_stay_whole(tmp_path):
    for number, size in enumerate([(12, 9), (8, 14), (10, 10), (9, 9)]):
        pixels = np.full((*size, 3), number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "val.txt").write_text("0.png\n")
    config = srgan.Config(data=f"folder:{tmp_path}", crop="8", batch_size=2)
    splits = setup.load_data(config)
    assert splits.train.shape == splits.held_out.shape == (8, 8, 3)
    assert srgan.piece(config, DataSpec.of(splits.train)) == (8, 8, 3)
    whole = setup.load_data(dataclasses.replace(config, resolution="16"))
    assert whole.train.shape == (16, 16, 3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, photos):
    """A run of two steps by pixels and two of the game."""
    path = tmp_path_factory.mktemp("runs") / "srgan"
    flags = ["--preset", "smoke", "--pretraining", "2", "--workdir", str(path), "--no-cache"]
    flags += ["--data", f"folder:{photos}", "--holdout", "0.4", "--crop", "24", "--batch-size", "8"]
    assert command_line.command(srgan, flags) == 0
    return path


@pytest.mark.slow
def test_a_run_learns_by_pixels_first_and_then_plays(finished):
    rows = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert "pretraining/loss" in rows[0] and "generator/loss" not in rows[0]
    assert "generator/content" in rows[1] and "pretraining/loss" not in rows[1]
    first, last = (jaxgan.load(finished, checkpoint=step) for step in (2, 4))
    assert set(first.state.players) == {"generator"}
    assert set(last.state.players) == {"generator", "discriminator", "pretrained"}
    assert last.spec.shape == (40, 36, 3)


@pytest.mark.slow
def test_images_of_any_size_are_enlarged_and_reduced_again_they_are_the_small_ones(finished):
    model = jaxgan.load(finished)
    small = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 9, 13, 3)).astype(np.float32)
    large = np.asarray(model.sample(0, 2, a=small))
    assert large.shape == (2, 36, 52, 3)
    np.testing.assert_allclose(bicubic.resized(large, (9, 13)), small, atol=2e-3)


@pytest.mark.slow
def test_the_scores_compare_both_generators_with_bicubic_enlargement(finished, photos):
    text = super_resolution.report(super_resolution.Config(finished, rows=2, photos=photos))
    lines = text.splitlines()
    assert lines[1].split() == ["bicubic", "SRResNet", "SRGAN"]
    rows = {line[:22].strip(): line[22:].split() for line in lines[2:7]}
    assert set(rows) == {
        "PSNR, dB",
        "SSIM",
        "spectrum apart, dB",
        "reduced again, dB",
        "least",
    }
    assert all(len(cells) == 3 for cells in rows.values())
    # Bicubic enlargement alone cannot be reduced to what it was made from.
    assert float(rows["reduced again, dB"][0]) < float(rows["least"][1])
    whole = [line for line in lines if "40x36" in line]
    assert len(whole) == 20
    with Image.open(finished / "super_resolution.png") as picture:
        width, height = picture.size
    assert width > 4 * 36 and height > 2 * 40


@pytest.mark.slow
def test_data_that_have_changed_are_refused(finished, tmp_path, capsys):
    toy_runs.assert_refuses_other_data(super_resolution, finished, tmp_path / "copy", capsys)


@pytest.mark.slow
def test_whole_photos_go_through_in_tiles_as_they_would_at_once(finished, tmp_path):
    y, x = np.mgrid[:60, :50] / 60
    photo = data.to_uint8(np.stack([np.sin(9 * x), np.cos(7 * y * x), x - y], axis=-1))
    Image.fromarray(photo).save(tmp_path / "photo.png")
    config = translate.Config(finished, (tmp_path / "photo.png",), tmp_path / "out", tile=48)
    (path,) = translate.translate(config, say=lambda text: None)
    model = jaxgan.load(finished)
    at_once = data.to_uint8(np.asarray(model.sample(0, 1, a=data.to_float(photo[None])))[0])
    with Image.open(path) as picture:
        made = np.asarray(picture)
    assert made.shape == (240, 200, 3)
    assert np.abs(made.astype(int) - at_once).max() <= 1


@pytest.mark.slow
def test_the_first_stage_alone_has_no_game_to_score(finished):
    trained = jaxgan.load(finished, checkpoint=2)
    assert list(super_resolution.enlargers_of(trained)) == ["bicubic", "SRResNet"]


@pytest.mark.parametrize(
    ("crop", "shape"),
    [(None, (16, 16, 3)), ("96", (16, 16, 3)), ("8", (8, 8, 3)), ("12x96", (12, 16, 3))],
)
def test_batches_hold_pieces_no_larger_than_the_factor_divides(crop, shape):
    assert srgan.piece(srgan.Config(crop=crop), SPEC) == shape


def test_without_a_pretraining_there_is_one_stage():
    config = srgan.Config(pretraining=0)
    assert [stage.start for stage in srgan.plan(config, SPEC)] == [0]
    both = srgan.plan(dataclasses.replace(config, pretraining=50), SPEC)
    assert [stage.start for stage in both] == [0, 50]


@pytest.mark.slow
def test_the_step_sizes_fall_as_the_flags_say():
    config = srgan.Config(steps=30, pretraining=10, decay_from=0.5, drop_at=0.5, beta1=0.0)
    small = dataclasses.replace(config, blocks=1, width=2, discriminator_width=1, ema_half_life=0.0)
    alone, game = (stage.build() for stage in srgan.plan(small, SPEC))

    def moves(gan, updates):
        player = jax.jit(gan.init)(jax.random.key(0))["generator"]
        ones = jax.tree.map(np.ones_like, player.params)
        opt_state, found = player.opt_state, []
        for _ in range(updates):
            update, opt_state = player.tx.update(ones, opt_state, player.params)
            found.append(-float(jax.tree.leaves(update)[0].ravel()[0]))
        return np.array(found)

    by_pixels = moves(alone, 11) / small.pretraining_learning_rate
    np.testing.assert_allclose(by_pixels[:6], 1, rtol=1e-3)
    np.testing.assert_allclose(by_pixels[6:], [0.8, 0.6, 0.4, 0.2, 0], atol=1e-3)
    in_game = moves(game, 12) / small.generator_learning_rate
    np.testing.assert_allclose(in_game[:10], 1, rtol=1e-3)
    np.testing.assert_allclose(in_game[10:], 0.1, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": "vgg16"}, "the features are 'vgg16'; expected wavelets, pixels or vgg19:"),
        ({"features": "vgg19:none.pth"}, r"the weights none\.pth cannot be read"),
        (
            {"factor": 3, "architecture": "resnet"},
            "a power of two for 'resnet': use 2, 4 or 8",
        ),
        ({"factor": 17}, "images of 18x16 pixels cannot be made 17 times smaller; give --factor 2"),
        ({"crop": "10"}, "10x10 pixels cannot be made from images 4 times smaller"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        srgan.build(srgan.Config(**changes), SPEC)


def test_a_trained_model_needs_no_file_of_the_weights_that_it_holds():
    config = srgan.Config(features="vgg19:none.pth")
    for pretraining, stages in ((0, 1), (50, 2)):
        config = dataclasses.replace(config, pretraining=pretraining)
        plan = srgan.plan(config, SPEC, saved=True)
        assert [stage.build().conditions for stage in plan] == [("a",)] * stages
