"""Images by their seeds: the same seed is the same image, and files are not overwritten."""

from __future__ import annotations

import dataclasses
import functools
import pathlib

import jax
import laws
import numpy as np
import pytest
import tyro
from PIL import Image

import jaxgan
from jaxgan import data, random
from jaxgan.runs import invocation, trained_model
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import directions, interpolate, latent_space, latents, project, sample, traverse

CLASSES = ("T-shirt/top", "Shirt", "Ankle boot")


@functools.cache
def tiny(name, **changes):
    """A model of the laws, as if it had been trained."""
    case = laws.BY_NAME[name]
    gan = case.build(**changes)
    state = jax.eval_shape(gan.init, jax.random.key(0))
    classes = CLASSES[: case.classes]
    return trained_model.TrainedModel(gan, state, None, DataSpec(case.shape, classes), 0)


@pytest.fixture(scope="module")
def conditional():
    return tiny("conditional").untrained(0)


@pytest.fixture(scope="module")
def model(finished):
    return jaxgan.load(finished)


def drawn(run, out, **options):
    """The paths written, and what was said."""
    said: list[str] = []
    return sample.sample(sample.Config(run, out=out, **options), say=said.append), said


# --- seeds ----------------------------------------------------------------------------------------


def test_a_list_of_seeds_is_numbers_and_ranges_each_once():
    assert sample.parsed("3,7,9-12") == [3, 7, 9, 10, 11, 12]
    assert sample.parsed(" 2 - 4, 3,1") == [2, 3, 4, 1]
    assert sample.chosen_seeds(3, None) == [0, 1, 2]
    assert len(sample.chosen_seeds(None, None)) == 64


@pytest.mark.parametrize(
    ("n", "seeds", "said"),
    [
        (None, "", "--seeds is ''; expected seeds like 1-64"),
        (None, "1-", "--seeds is '1-'; expected"),
        (None, "-3", "--seeds is '-3'; expected"),
        (None, "5-2", "--seeds has 5-2; expected the smaller first"),
        (None, str(2**32), "--seeds has 4294967296; .* at most 4294967295"),
        (None, "1-1000000000", "1000000000 seeds were asked for; expected 100000 or fewer"),
        (0, None, "--n is 0; expected 1 to 100000"),
        (3, "1-3", "--n and --seeds were given; give either"),
    ],
)
def test_what_are_no_seeds_is_one_sentence(n, seeds, said):
    with pytest.raises(RunError, match=said):
        sample.chosen_seeds(n, seeds)


def test_a_seed_is_one_image_bit_for_bit_whichever_others_are_drawn(model):
    seeds = np.random.default_rng(0).permutation(150)
    many = np.asarray(model.sample_seeds(seeds))
    np.testing.assert_array_equal(model.sample_seeds(seeds[::-1][:70]), many[::-1][:70])
    for place in (0, 63, 64, 149):
        np.testing.assert_array_equal(model.sample_seeds([seeds[place]])[0], many[place])
        np.testing.assert_array_equal(model.sample(int(seeds[place]), 1)[0], many[place])
    assert model.sample_seeds([]).shape == (0, 4, 4, 1)
    last = trained_model.SEEDS
    np.testing.assert_array_equal(model.sample_seeds([last])[0], model.sample(last, 1)[0])
    for wrong in (-1, last + 1, 1.5):
        with pytest.raises(ValueError, match=f"{wrong} is no seed; expected a whole number from"):
            model.sample_seeds([wrong, 3])


def test_convolutions_draw_a_seed_bit_for_bit_too(conditional):
    seeds, labels = np.arange(100), np.arange(100) % 3
    many = np.asarray(conditional.sample_seeds(seeds, label=labels))
    some = np.array([97, 2, 50])
    few = conditional.sample_seeds(seeds[some], label=labels[some])
    np.testing.assert_array_equal(few, many[some])
    np.testing.assert_array_equal(conditional.sample_seeds([50], label="boot")[0], many[50])
    np.testing.assert_array_equal(conditional.sample(50, 1, label=2)[0], many[50])
    assert len(np.unique(many.reshape(100, -1), axis=0)) == 100


# --- truncation -----------------------------------------------------------------------------------


def test_truncation_scales_the_latents(model):
    space = latent_space.space_of(model)
    expected = space.show(np.float32(0.25) * space.draw(3, 5))
    truncated = model.sample(3, 5, truncation=0.25)
    np.testing.assert_allclose(truncated, expected, atol=1e-6)
    center = space.show(np.zeros((1, 3), np.float32))
    np.testing.assert_allclose(model.sample_seeds([4], truncation=0.0), center, atol=1e-6)
    np.testing.assert_array_equal(model.sample(3, 5, truncation=1.0), model.sample(3, 5))
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=f"the truncation is {wrong}; expected 0 to 1"):
            model.sample(0, 1, truncation=wrong)


def test_latents_that_are_not_normal_are_not_truncated(model):
    def uniform(state, keys):
        return state["generator"](random.latents(keys, 3, prior="unit_uniform"))

    other = dataclasses.replace(model, gan=model.gan._replace(sample=uniform))
    with pytest.raises(ValueError, match="the latents of this model are not normal"):
        other.sample(0, 2, truncation=0.5)
    coded = dataclasses.replace(model, gan=model.gan._replace(categories=(("c1", 10),)))
    with pytest.raises(ValueError, match=r"not normal .*or codes"):
        coded.sample(0, 2, truncation=0.5)


def test_truncation_is_refused_where_latents_are_normalized(model):
    network = model.state["generator"].apply_fn

    def apply(variables, latents, **options):
        length = jax.numpy.linalg.norm(latents, axis=1, keepdims=True)
        return network(variables, latents / length, **options)

    generator = model.state["generator"].replace(apply_fn=apply)
    state = model.state.replace(players={**model.state.players, "generator": generator})
    with pytest.raises(ValueError, match="no effect on this model, whose generator normalizes"):
        dataclasses.replace(model, state=state).sample(0, 2, truncation=0.5)


# --- classes --------------------------------------------------------------------------------------


def test_classes_are_drawn_in_turn_or_as_named(conditional):
    in_turn = sample.of_classes(conditional, [5, 3])
    assert (in_turn.seeds.tolist(), in_turn.labels.tolist()) == ([5, 3], [2, 0])
    every = sample.of_classes(conditional, [5, 3], ("all",))
    assert (every.seeds.tolist(), every.labels.tolist()) == ([5] * 3 + [3] * 3, [0, 1, 2] * 2)
    named = sample.of_classes(conditional, [5], ("boot", "0", "boot"))
    assert named.labels.tolist() == [2, 0]
    assert sample.file_names(named, CLASSES) == ["000005_ankle-boot.png", "000005_t-shirt-top.png"]
    assert sample.file_names(sample.of_classes(conditional, [5], ("2",)), CLASSES) == ["000005.png"]
    for wrong in ("sandal", "3"):
        with pytest.raises(ValueError, match=f"'{wrong}' names none, or several, of T-shirt/top, "):
            sample.of_classes(conditional, [5], (wrong,))


def test_digits_name_a_class_before_they_number_one():
    classes = ("7", "1", "42")
    found = data.class_names.numbers(["1", "0", "42"], classes)
    assert found.tolist() == [1, 0, 2]


def test_class_names_of_files_are_told_apart():
    asked = sample.Asked(np.array([1, 1, 1]), np.array([0, 1, 2]), 3)
    names = sample.file_names(asked, ("a b", "A/b", "\u732b"))
    assert names == ["000001_a-b-0.png", "000001_a-b-1.png", "000001_\u732b.png"]


def test_an_unconditional_model_takes_no_class(model):
    assert sample.of_classes(model, [1, 2]).labels is None
    with pytest.raises(ValueError, match="takes no class; leave --label out"):
        sample.of_classes(model, [1], ("0",))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pix2pix", r"draws from other images; use .*jaxgan translate 'my run' IMAGES --out DIR"),
        ("cyclegan", r"draws from other images; use .*jaxgan translate"),
        ("text-to-image", r"draws from captions; use .*jaxgan translate 'my run' --captions TEXT"),
    ],
)
def test_a_model_that_needs_more_than_noise_is_sent_to_translate(name, said):
    with pytest.raises(RunError, match=said):
        sample.require_noise(tiny(name), pathlib.Path("my run"))


@pytest.mark.parametrize("name", ["vanilla", "infogan", "bigan", "semisupervised", "conditional"])
def test_a_model_that_draws_from_noise_is_not(name):
    sample.require_noise(tiny(name), pathlib.Path("run"))


# --- files ----------------------------------------------------------------------------------------


def test_each_image_is_a_file_named_by_its_seed(finished, model, tmp_path):
    written, said = drawn(finished, tmp_path / "out", seeds="7,2-3")
    assert [path.name for path in written] == ["000007.png", "000002.png", "000003.png"]
    expected = data.to_uint8(np.asarray(model.sample_seeds([7, 2, 3])))[:, :, :, 0]
    for path, pixels in zip(written, expected, strict=True):
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels)
    assert said[0] == f"3 images are in {tmp_path / 'out'}, from 000007.png to 000003.png"
    nearest = invocation.called("nearest", finished)
    assert said[1] == f"are they copies of training images? {nearest}"


def test_arrays_and_pictures_have_all_of_them(finished, model, tmp_path):
    drawn(finished, tmp_path / "new" / "some.npz", n=70)
    with np.load(tmp_path / "new" / "some.npz") as file:
        assert sorted(file.files) == ["image", "seed"]
        assert file["seed"].tolist() == list(range(70))
        np.testing.assert_array_equal(file["image"], model.sample_seeds(range(70)))
        assert file["image"].dtype == np.float32
    drawn(finished, tmp_path / "grid.png", n=10)
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (16 * (4 * 6 + 2), 16 * (3 * 6 + 2))


def test_pieces_are_put_together_in_order(finished, model, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "PIECE", 4)
    written, _ = drawn(finished, tmp_path, n=10)
    expected = data.to_uint8(np.asarray(model.sample_seeds(range(10))))[:, :, :, 0]
    for path, pixels in zip(written, expected, strict=True):
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels)


def test_labels_go_with_arrays(conditional, tmp_path):
    asked = sample.of_classes(conditional, [4], ("all",))
    sample._write_arrays(tmp_path / "x.npz", list(sample.drawn(conditional, asked)), asked)
    with np.load(tmp_path / "x.npz") as file:
        assert file["label"].tolist() == [0, 1, 2]
        np.testing.assert_array_equal(
            file["image"], conditional.sample_seeds([4] * 3, label=[0, 1, 2])
        )


@pytest.mark.parametrize("tool", [directions, interpolate, latents, project, sample, traverse])
def test_classes_are_named_by_either_flag(tool):
    for flag in ("--label", "--class"):
        assert "boot" in tyro.cli(tool.Config, args=["RUN", flag, "boot"]).label


def test_nothing_is_overwritten_unless_told(finished, tmp_path):
    (tmp_path / "000003.png").write_text("precious")
    with pytest.raises(RunError, match=r"000003.png exists; .*or give --overwrite"):
        drawn(finished, tmp_path, n=5)
    assert [path.name for path in tmp_path.iterdir()] == ["000003.png"]
    assert (tmp_path / "000003.png").read_text() == "precious"
    drawn(finished, tmp_path, n=5, overwrite=True)
    assert len(list(tmp_path.glob("*.png"))) == 5
    with pytest.raises(data.DataError, match="only 5 that jaxgan wrote, which are not"):
        data.load(f"folder:{tmp_path}")
    with pytest.raises(RunError, match="is a folder; choose another --out"):
        (tmp_path / "x.npz").mkdir()
        drawn(finished, tmp_path / "x.npz", n=5, overwrite=True)
    with pytest.raises(RunError, match=r"expected a folder, FILE.npz or FILE.png"):
        drawn(finished, tmp_path / "x.jpg", n=5)


def test_the_command_is_one_sentence_where_it_cannot(finished, tmp_path, capsys):
    assert sample.main([str(tmp_path)]) == 2
    assert "is no run directory" in capsys.readouterr().err
    assert sample.main([str(finished), "--out", str(tmp_path / "a"), "--label", "boot"]) == 2
    assert capsys.readouterr().err == "error: the model takes no class; leave --label out\n"
    assert not (tmp_path / "a").exists()
