"""`jaxgan directions` and `jaxgan traverse`: what is written, and what is refused."""

from __future__ import annotations

import shutil

import generators
import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import data
from jaxgan.plotting import image_grids
from jaxgan.runs import invocation
from jaxgan.runs.errors import RunError
from jaxgan.tools import directions, latent_directions, latents, traverse


@pytest.fixture(scope="module")
def run(finished, tmp_path_factory):
    """A run with directions."""
    copy = shutil.copytree(finished, tmp_path_factory.mktemp("runs") / "run")
    said: list[str] = []
    directions.directions(directions.Config(copy, count=2, columns=3), say=said.append)
    return copy, said


def test_the_directions_of_a_run_are_a_file_and_a_sheet(run):
    path, said = run
    found = latent_directions.read(path / "directions" / "sefa.npz", size=3)
    assert found.vectors.shape == (2, 3)
    with Image.open(path / "directions" / "sefa.png") as sheet:
        assert sheet.width > 3 * 64 and sheet.height > 2 * 64
    assert said[0].startswith("sefa-0: ") and "of the first layer's squared weight" in said[0]
    along = invocation.called("traverse", path, "--direction", "sefa-0")
    assert said[-1] == f"go along one: {along}"
    with pytest.raises(RunError, match=r"sefa\.npz exists; .*--overwrite"):
        directions.directions(directions.Config(path), say=said.append)


def test_concepts_of_ones_own_have_directions(run, tmp_path):
    path, _ = run
    np.savez(tmp_path / "mine.npz", even=np.arange(0, 80, 2), odd=np.arange(1, 80, 2))
    said: list[str] = []
    config = directions.Config(
        path, tmp_path, method="concepts", concepts=tmp_path / "mine.npz", columns=3
    )
    directions.directions(config, say=said.append)
    assert said[0].startswith("even: orders ") and said[1].startswith("odd: orders ")
    found = latent_directions.read(tmp_path / "concepts.npz", size=3)
    np.testing.assert_allclose(found.vectors[0], -found.vectors[1], atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--samples", "500"], "--samples does nothing with --method sefa"),
        (["--method", "concepts", "--count", "3"], "--count does nothing with --method concepts"),
        (["--method", "concepts"], "the classifier picks concepts of garments only"),
        (["--count", "0"], "--count is 0; expected 1 or more"),
        (["--reach", "0"], "--reach is 0.0; expected more than 0"),
        (["--label", "1"], "takes no class: leave --label out"),
    ],
)
def test_directions_that_cannot_be_found_are_one_sentence(
    options, said, finished, tmp_path, capsys
):
    assert directions.main([str(finished), "--out", str(tmp_path / "out"), *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# --- going along ----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", [{"direction": "sefa-1"}, {"entry": 2}])
def test_a_sheet_has_the_images_of_the_seeds_in_the_middle(what, run, tmp_path):
    said: list[str] = []
    out = tmp_path / "sheet.png"
    config = traverse.Config(run[0], out, seeds="7,4", columns=3, **what)
    assert traverse.traverse(config, say=said.append) == out
    name = what.get("direction", "entry 2")
    explore = invocation.called("explore", run[0])
    assert said == [
        f"{name}, of 2 seeds, is in {out}",
        f"move along several, by sliders: {explore}",
    ]
    with Image.open(out) as sheet:
        pixels = np.asarray(sheet.convert("L")).astype(int)
    images = data.to_uint8(np.asarray(jaxgan.load(run[0]).sample_seeds([7, 4])))
    for image in images.repeat(16, axis=1).repeat(16, axis=2)[..., 0]:
        places = np.argwhere(np.abs(pixels[:, :] - image[8, 8]) <= 1)
        assert any(
            np.abs(pixels[y - 8 : y + 56, x - 8 : x + 56] - image).max() <= 1
            for y, x in places
            if 8 <= y <= len(pixels) - 56 and 8 <= x <= pixels.shape[1] - 56
        )


def test_a_film_goes_there_and_back(run, tmp_path):
    out = tmp_path / "film.gif"
    config = traverse.Config(run[0], out, direction="sefa-0", seeds="1,2", frames=8, fps=10)
    traverse.traverse(config, say=lambda _: None)
    with Image.open(out) as film:
        assert film.info["duration"] % 100 == 0 and film.n_frames >= 5
        frames = []
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("L")).astype(int))
    assert (
        np.abs(frames[1] - frames[-1]).max() <= 4
    )  # the first step and the last one of the way back


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "none of --direction, --entry and --code was given; give one of them"),
        (["--entry", "1", "--code", "c1"], "2 of --direction, --entry and --code"),
        (["--entry", "3"], "there is no entry 3 of a latent; there are 0 to 2"),
        (
            ["--direction", "sefa-0"],
            f"has no directions yet; find some with {invocation.program()} directions",
        ),
        (["--code", "c1"], "has no codes; give --entry or --direction"),
        (
            ["--entry", "0", "--directions", "x.npz"],
            "--directions does nothing without --direction",
        ),
        (["--entry", "0", "--out", "x.avi"], "--out is x.avi; expected a .gif, .webp, .mp4 file"),
        (["--entry", "0", "--seeds", "0-200"], "201 seeds were asked for; expected 100 or fewer"),
    ],
)
def test_what_cannot_be_gone_along_is_one_sentence(options, said, finished, tmp_path, capsys):
    out = [] if "--out" in options else ["--out", str(tmp_path / "x.png")]
    assert traverse.main([str(finished), *out, *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_code_takes_its_classes_or_values_and_all_else_stays(monkeypatch, tmp_path):
    model = generators.coded()
    monkeypatch.setattr(traverse.Config, "load", lambda config: model)
    for code, values in (("c1", np.arange(4)), ("c2", np.array([-1.5, 0, 1.5], np.float32))):
        options = {"reach": 1.5} if code == "c2" else {}
        config = traverse.Config(
            tmp_path, tmp_path / f"{code}.png", code=code, seeds="3,5", columns=3, **options
        )
        traverse.traverse(config, say=lambda _: None)
        every = {code: np.tile(values, 2)}
        images = np.asarray(model.sample_seeds(np.repeat([3, 5], len(values)), **every))
        rows = {"seed 3": images[: len(values)], "seed 5": images[len(values) :]}
        assert (tmp_path / f"{code}.png").read_bytes() == image_grids.png(
            image_grids.named_rows(rows)
        )
    config = traverse.Config(tmp_path, tmp_path / "x.png", code="c1", reach=1.0)
    with pytest.raises(RunError, match="--reach does nothing for c1, whose values are 4 classes"):
        traverse.traverse(config, say=lambda _: None)


def test_a_direction_of_no_such_name_lists_those_there_are(run, tmp_path):
    config = traverse.Config(run[0], tmp_path / "x.png", direction="pca-0")
    with pytest.raises(RunError, match="'pca-0' names none, or several, of sefa-0, sefa-1"):
        traverse.traverse(config, say=lambda _: None)


# --- arithmetic of seeds --------------------------------------------------------------------------


def test_seeds_are_added_and_subtracted_by_the_mean_of_their_latents(finished):
    from jaxgan.tools import latent_space

    model = jaxgan.load(finished)
    space = latent_space.space_of(model)
    config = latents.Config(finished, arithmetic=("3,7,42", "-", "5", "+", "1-2"), columns=3)
    rows = latents.arithmetic(space, model, config)
    assert next(iter(rows)) == "+ seeds 3,7,42: 3 samples, and at the end their mean"
    seeds = [1, 2, 3, 5, 7, 42]
    of = dict(zip(seeds, latent_space.of_seeds(model, seeds), strict=True))
    expected = (of[3] + of[7] + of[42]) / 3 - of[5] + (of[1] + of[2]) / 2
    np.testing.assert_allclose(list(rows.values())[-1][0], expected, atol=1e-6)
