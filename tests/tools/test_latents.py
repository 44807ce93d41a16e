"""Pictures of latents: sums that cancel, and what can be asked of a run."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import shutil
import types
import zipfile

import generators
import jax
import laws
import numpy as np
import pytest
from PIL import Image

from jaxgan import data, random
from jaxgan.runs import trained_model
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import latent_concepts, latent_space, latents, traverse


def gaussian(count, size=100, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


# --- sums -----------------------------------------------------------------------------------------


def test_equal_concepts_cancel_exactly():
    boots, sandals = gaussian(3), gaussian(4, seed=3)
    found = latent_space.combined([(1, boots), (-1, boots), (1, sandals)])
    np.testing.assert_array_equal(found, sandals.mean(axis=0, dtype=np.float64).astype(np.float32))


def test_a_sum_is_that_of_the_means():
    one, two = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0]])
    np.testing.assert_array_equal(latent_space.combined([(1, one), (-1, two)]), [1.0, 2.0])


def test_noise_is_bounded_and_decided_by_the_seed():
    latent = gaussian(1)[0]
    near = latent_space.around(latent, 50, most=0.25, seed=3)
    np.testing.assert_array_equal(near[0], latent)
    distances = np.abs(near[1:] - latent)
    assert 0.24 < distances.max() <= 0.25 + 1e-6
    np.testing.assert_array_equal(near, latent_space.around(latent, 50, most=0.25, seed=3))
    assert not np.array_equal(near, latent_space.around(latent, 50, most=0.25, seed=4))


def test_a_walk_changes_one_entry_and_the_liveliest_are_those_that_images_show_most():
    latent = gaussian(1, size=5)[0]
    along = latent_space.walked(latent, 3, np.array([-1.0, 2.0]))
    np.testing.assert_array_equal(along[:, 3], [-1.0, 2.0])
    np.testing.assert_array_equal(np.delete(along, 3, axis=1), [np.delete(latent, 3)] * 2)
    gains = np.array([0.5, 0.0, 4.0, 1.0, 0.2])
    space = latent_space.Space(
        draw=lambda seed, n: gaussian(n, size=5), show=lambda x: (x * gains)[:, None, :, None]
    )
    low, high = np.full(5, -1.0), np.full(5, 1.0)
    assert latent_space.liveliest(space, gaussian(2, size=5), low, high, count=3) == [2, 3, 0]


# --- concepts -------------------------------------------------------------------------------------


def test_an_expression_is_terms_with_their_signs():
    terms = latent_concepts.parse(("Ankle", "boot", "-", "sneaker + sandal"))
    assert terms == [(1, "Ankle boot"), (-1, "sneaker"), (1, "sandal")]
    assert latent_concepts.written_out(terms) == "Ankle boot - sneaker + sandal"
    for wrong in ("", "- boot", "boot - + bag", "boot -"):
        with pytest.raises(RunError, match="write it like 'boot - sneaker"):
            latent_concepts.parse(wrong.split())


def test_a_name_may_be_shortened_where_it_stays_the_only_one():
    known = data.load("fashion").train.classes
    meant = {"boots": "Ankle boot", "SHIRT": "Shirt", "t-shirt": "T-shirt/top", "dress": "Dress"}
    assert {word: latent_concepts.named(word, known) for word in meant} == meant
    for word in ("hat", "er", "o"):
        with pytest.raises(RunError, match=f"'{word}' names none, or several, of T-shirt/top, "):
            latent_concepts.named(word, known)


def test_the_surest_samples_of_a_class_come_first():
    ours = np.array([0.95, 0.2, 0.99, 0.95, 0.85, 0.4])
    probabilities = np.stack([1 - ours, ours], axis=1)
    assert latent_concepts.surest(probabilities, 1, 0.9).tolist() == [2, 0, 3]
    assert latent_concepts.surest(probabilities, 0, 0.5).tolist() == [1, 5]


class Garments:
    """A space whose latents number real garments, and a model of it."""

    def __init__(self):
        self.real = data.load("fashion").held_out.take(300)
        images = self.real.float_images()
        self.space = latent_space.Space(
            draw=lambda seed, n: np.stack([np.arange(n), np.ones(n)], axis=1).astype(np.float32),
            show=lambda latents: images[latents[:, 0].astype(int) % 300],
        )
        spec = DataSpec((28, 28, 1), self.real.classes)
        self.model = types.SimpleNamespace(spec=spec, gan=types.SimpleNamespace(conditions=()))


@pytest.fixture(scope="module")
def garments():
    return Garments()


def test_the_classifier_picks_garments_that_show_the_concepts(garments):
    config = latents.Config("run", samples=300, exemplars=4)
    rows = latents.arithmetic(garments.space, garments.model, config)
    *sets, total = rows.values()
    assert next(iter(rows)) == "+ Ankle boot: 4 samples, and at the end their mean"
    assert list(rows)[-1].startswith("boot - sneaker + sandal, then")
    for name, row in zip(("Ankle boot", "Sneaker", "Sandal"), sets, strict=True):
        labels = garments.real.labels[row[:-1, 0].astype(int)]
        assert (labels == garments.real.classes.index(name)).all()
        np.testing.assert_allclose(row[-1], row[:-1].mean(axis=0), rtol=1e-6)
    boot, sneaker, sandal = (row[-1] for row in sets)
    np.testing.assert_allclose(total[0], boot - sneaker + sandal, rtol=1e-5)
    again = latents.arithmetic(garments.space, garments.model, config)
    assert all(np.array_equal(rows[name], again[name]) for name in rows)


def test_the_verdict_is_that_of_most(garments):
    sandals = garments.real.float_images()[garments.real.labels == 5]
    said = latent_concepts.verdict(sandals)
    assert said.endswith(f"of the {len(sandals)} results to Sandal")


def test_too_few_samples_of_a_concept_are_refused(garments):
    config = latents.Config("run", samples=5)
    with pytest.raises(RunError, match="samples show 'Ankle boot'; the mean of 3 or more"):
        latents.arithmetic(garments.space, garments.model, config)


def test_where_no_classifier_fits_arithmetic_is_refused(garments):
    model = types.SimpleNamespace(spec=DataSpec((28, 28, 1)), gan=garments.model.gan)
    with pytest.raises(RunError, match="run draws something else: say which samples"):
        latents.arithmetic(garments.space, model, latents.Config("run"))
    conditional = types.SimpleNamespace(conditions=("label",))
    model = types.SimpleNamespace(spec=garments.model.spec, gan=conditional)
    with pytest.raises(RunError, match="is class-conditional, so its latents"):
        latents.arithmetic(garments.space, model, latents.Config("run"))


# --- of a trained model ---------------------------------------------------------------------------


def tiny(name):
    """A model of the laws, as if it had been trained; its state is abstract until it is drawn."""
    case = laws.BY_NAME[name]
    gan = case.build()
    classes = tuple(map(str, range(case.classes)))
    state = jax.eval_shape(gan.init, jax.random.key(0))
    return trained_model.TrainedModel(gan, state, None, DataSpec(case.shape, classes), 0)


@pytest.mark.parametrize(
    ("name", "conditions"), [("conditional", {"label": 2}), ("progressive", {})]
)
def test_a_space_draws_the_latents_of_the_samples_and_shows_their_images(name, conditions):
    model = tiny(name).untrained(0)
    space = latent_space.space_of(model, **conditions)
    drawn = space.draw(5, 7)
    assert drawn.shape == (7, 3)
    np.testing.assert_array_equal(drawn[:4], space.draw(5, 4))
    assert not np.array_equal(drawn, space.draw(6, 7))
    images = np.asarray(model.sample(5, 7, **conditions))
    np.testing.assert_allclose(space.show(drawn), images, atol=1e-6)
    np.testing.assert_allclose(space.show(drawn[::-1]), images[::-1], atol=1e-6)


@pytest.mark.parametrize("name", ["vanilla", "dcgan", "infogan", "semisupervised", "bigan"])
def test_every_model_that_draws_from_noise_has_a_space(name):
    latent_space.space_of(tiny(name))


@pytest.mark.parametrize("name", ["pix2pix", "cyclegan", "srgan"])
def test_a_model_that_draws_from_images_has_none(name):
    model = tiny(name)
    with pytest.raises(ValueError, match="does not draw its images from noise"):
        latent_space.space_of(model)
    with pytest.raises(RunError, match=r"somewhere draws from other images; use .*translate"):
        latents.explored(model, latents.Config("somewhere"))


def test_arrays_in_units_of_their_own_are_refused_and_shown_alike_from_one_latent():
    model, run = generators.of_arrays(), pathlib.Path("my run")
    said = (
        "my run draws numbers in units of their own and this command shows images; use .* explore"
    )
    with pytest.raises(RunError, match=said):
        latent_space.conditions_of(model, run, None)
    with pytest.raises(RunError, match=said):
        latents.explored(model, latents.Config(run))
    assert latent_space.conditions_of(generators.plain(), run, None) == {}
    assert traverse.codes_of(model) == {}

    def noisy(state, keys, **given):
        return model.gan.sample(state, keys, **given) + random.normal(keys, generators.SHAPE)

    # Neither the condition nor what the generator draws inside changes from image to image.
    for own in (model, dataclasses.replace(model, gan=model.gan._replace(sample=noisy))):
        first, *others = latent_space.space_of(own).show(np.ones((4, 5), np.float32))
        assert all(np.array_equal(first, other) for other in others)


def test_points_and_a_label_of_no_use_are_refused():
    with pytest.raises(RunError, match="somewhere draws points"):
        latents.explored(tiny("vanilla"), latents.Config("somewhere"))
    with pytest.raises(RunError, match="leave --label out"):
        latents.explored(tiny("dcgan"), latents.Config("somewhere", label="1"))
    with pytest.raises(RunError, match="'7' names none, or several, of 0, 1, 2"):
        latents.explored(tiny("conditional"), latents.Config("somewhere", label="7"))


# --- the command ----------------------------------------------------------------------------------


def explored(finished, out, **options):
    """The pictures' bytes by name, and what was said."""
    said: list[str] = []
    small = {"rows": 2, "columns": 3, "samples": 10, **options}
    written = latents.explore(latents.Config(finished, out, **small), say=said.append)
    return {path.name: path.read_bytes() for path in written}, said


def test_a_run_gets_its_pictures_and_is_told_which_one_it_cannot_have(finished, tmp_path):
    pictures, said = explored(finished, tmp_path / "once")
    assert list(pictures) == ["interpolation.png", "walk.png", "noise.png"]
    assert said[0].startswith("left out arithmetic.png: the classifier picks concepts of garments")
    with Image.open(tmp_path / "once" / "walk.png") as picture:
        assert picture.width > 3 * 64
        assert len(picture.getcolors(100_000)) > 10
    again, _ = explored(finished, tmp_path / "again")
    assert again == pictures
    other, _ = explored(finished, tmp_path / "other", seed=1)
    assert all(other[name] != pictures[name] for name in pictures)


def test_what_is_asked_for_and_cannot_be_had_leaves_nothing(finished, tmp_path):
    with pytest.raises(RunError, match="concepts of garments only"):
        explored(finished, tmp_path / "out", pictures=("walk", "arithmetic"))
    with pytest.raises(RunError, match="concepts of garments only"):
        explored(finished, tmp_path / "out", arithmetic=("bag", "-", "shirt"))
    with pytest.raises(RunError, match="no entry 3 of a latent; there are 0 to 2"):
        explored(finished, tmp_path / "out", dimensions=(0, 3))
    assert not (tmp_path / "out").exists()


def test_concepts_of_ones_own_are_added_and_subtracted(finished, tmp_path):
    file = tmp_path / "concepts.npz"
    np.savez(file, bright=[1, 2, 3], dark=np.array([4, 5, 6, 7]))
    options = {"concepts": file, "pictures": ("arithmetic",)}
    pictures, said = explored(finished, tmp_path, arithmetic=("bright", "-", "dark"), **options)
    assert list(pictures) == ["arithmetic.png"]
    assert said[0] == f"arithmetic.png: in {tmp_path}"
    assert said[1].startswith("which directions change something? ") and len(said) == 2
    chosen = latent_concepts.of_file(file, lambda n: np.arange(10 * n).reshape(n, 10))
    np.testing.assert_array_equal(chosen["dark"][:, 0], [40, 50, 60, 70])
    with pytest.raises(RunError, match="say what to add"):
        explored(finished, tmp_path, **options)
    with pytest.raises(RunError, match="'loud' names none, or several, of bright, dark"):
        explored(finished, tmp_path, arithmetic=("loud",), **options)
    np.savez(file, bright=[0.5, 0.1, 0.2])
    with pytest.raises(RunError, match="'bright' is float64 of shape"):
        explored(finished, tmp_path, arithmetic=("bright",), **options)
    file.write_text("no archive")
    with pytest.raises(RunError, match=r"cannot be read as an \.npz file"):
        explored(finished, tmp_path, arithmetic=("bright",), **options)


def undrawn(count):
    raise AssertionError(f"{count} samples were drawn")


@pytest.mark.parametrize("number", [latent_concepts.MOST, 10**12, 2**64 - 1])
def test_numbers_of_samples_that_would_not_be_drawn_are_refused_before_any_is(number, tmp_path):
    file = tmp_path / "concepts.npz"
    np.savez(file, near=[1, 2, 3], far=np.array([1, number], np.uint64))
    with pytest.raises(RunError, match=f"'far' names sample {number}, and all up to it are drawn"):
        latent_concepts.of_file(file, undrawn)
    np.savez(file, near=[latent_concepts.MOST - 1])
    assert latent_concepts.of_file(file, np.arange)["near"].tolist() == [latent_concepts.MOST - 1]


def claiming(file, shape):
    """An archive of 100 bytes whose array claims to have the shape."""
    header = io.BytesIO()
    claimed = {"descr": "<i8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, claimed)
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("smile.npy", header.getvalue())


@pytest.mark.parametrize("shape", [(10**12,), (10**6, 10**6), (2**70,)])
def test_a_file_that_claims_too_many_numbers_is_refused_before_they_are_read(
    shape, tmp_path, monkeypatch
):
    claiming(tmp_path / "concepts.npz", shape)
    monkeypatch.setattr(np, "load", undrawn)
    with pytest.raises(RunError, match=r"smile\.npy has shape .*; expected at most 100000 numbers"):
        latent_concepts.of_file(tmp_path / "concepts.npz", undrawn)


def test_what_is_no_file_of_concepts_is_one_sentence(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    np.save(tmp_path / "single.npy", np.arange(3))
    claiming(tmp_path / "short.npz", (5,))
    (tmp_path / "odd.npz").write_bytes(b"PK\x03\x04 and no more")
    for name in ("pipe", "none.npz", "single.npy", "short.npz", "odd.npz"):
        with pytest.raises(RunError, match=r"cannot be read as an \.npz file"):
            latent_concepts.of_file(tmp_path / name, undrawn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exemplars": 2}, "--exemplars is 2; expected 3 or more"),
        ({"columns": 1}, "--columns is 1; expected 2 or more"),
        ({"noise": -0.1}, "--noise is -0.1; expected a finite number"),
        ({"noise": float("nan")}, "--noise is nan; expected a finite number of 0"),
        ({"samples": 10**12}, "--samples is 1000000000000; expected 100000 or less"),
        ({"rows": 10**9}, "--rows is 1000000000; expected 500 or less"),
        ({"columns": 10**9}, "--columns is 1000000000; expected 500 or less"),
        ({"dimensions": (0,) * 501}, "--dimensions are 501; expected 500 or fewer"),
        ({"seed": 2**63}, "--seed is 9223372036854775808; expected 92233720368547758.. or less"),
    ],
)
def test_numbers_that_make_no_picture_are_refused(options, message, finished, tmp_path):
    with pytest.raises(RunError, match=message):
        explored(finished, tmp_path, **options)


def test_the_command_takes_an_expression_of_words_and_says_what_is_wrong(
    tmp_path, monkeypatch, capsys
):
    assert latents.main([str(tmp_path)]) == 2
    assert "is no run directory" in capsys.readouterr().err
    asked = []
    monkeypatch.setattr(latents, "explore", lambda config, say: asked.append(config))
    words = ["boot", "-", "sneaker", "+", "sandal"]
    assert latents.main(["RUN", "--arithmetic", *words, "--rows", "2"]) == 0
    assert asked[0].arithmetic == tuple(words)
    assert asked[0].rows == 2


def test_pictures_lie_in_the_run_unless_told_otherwise(finished, tmp_path):
    workdir = shutil.copytree(finished, tmp_path / "run")
    explored(workdir, None, pictures=("noise",))
    assert (workdir / "latents" / "noise.png").exists()
