"""The way from seed to seed, as frames and as a file."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import data
from jaxgan.runs import invocation
from jaxgan.runs.errors import RunError
from jaxgan.tools import interpolate, latent_space


def test_the_way_passes_every_end_on_the_sphere_and_returns():
    ends = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0]], np.float32)
    latents = interpolate.way(ends[:2], 4, loop=True)
    assert latents.shape == (8, 2)
    np.testing.assert_array_equal(latents[[0, 4]], ends[:2])
    np.testing.assert_allclose(np.linalg.norm(latents, axis=1), 2, rtol=1e-6)
    np.testing.assert_allclose(latents[[2, 6]], [[2**0.5, 2**0.5]] * 2, rtol=1e-6)
    there = interpolate.way(ends, 2, loop=False)
    assert there.shape == (5, 2)
    np.testing.assert_array_equal(there[[0, 2, 4]], ends)


def test_the_straight_way_is_shorter_in_the_middle():
    ends = np.array([[2.0, 0.0], [0.0, 2.0]], np.float32)
    latents = interpolate.way(ends, 2, loop=False, linear=True)
    np.testing.assert_array_equal(latents, [[2, 0], [1, 1], [0, 2]])


@pytest.mark.slow
def test_the_frames_of_a_run_show_the_images_of_its_seeds(finished, tmp_path):
    model = jaxgan.load(finished)
    images = latent_space.space_of(model).show(latent_space.of_seeds(model, [9, 4]))
    expected = np.asarray(model.sample_seeds([9, 4]))
    np.testing.assert_allclose(images, expected, atol=1e-6)
    said: list[str] = []
    config = interpolate.Config(finished, tmp_path / "x.webp", seeds="9,4", frames=3)
    path = interpolate.interpolate(config, say=said.append)
    assert said[0] == f"6 frames, 0.3 seconds, are in {path}"
    project = invocation.called("project", config.run)
    assert said[1:] == [f"can it draw photographs that it never saw? {project}"]
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (6, (64, 64), 0)
    other = interpolate.Config(finished, tmp_path / "x.gif", seeds="9,4", frames=3, loop=False)
    with Image.open(interpolate.interpolate(other, say=said.append)) as film:
        assert (film.n_frames, film.info["duration"]) == (4, 50)
        first = np.asarray(film.convert("L"))[8::16, 8::16]
    np.testing.assert_allclose(first, data.to_uint8(expected[0])[:, :, 0], atol=1)
    with pytest.raises(RunError, match=r"x.webp exists; .*--overwrite"):
        interpolate.interpolate(config, say=said.append)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"out": "x.avi"}, "--out is x.avi; expected a .gif, .webp, .mp4 file"),
        ({"seeds": "5"}, "--seeds is 5; expected two or more"),
        ({"seeds": "0-999"}, "20000 frames were asked for; expected 5000 or fewer"),
        ({"frames": 0}, "--frames is 0; expected 1 or more"),
        ({"label": "boot"}, "takes no class: leave --label out"),
    ],
)
def test_what_is_no_film_is_one_sentence(options, said, finished, tmp_path, capsys):
    given = {"out": tmp_path / "x.gif", **options}
    flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    assert interpolate.main([str(finished), *flags]) == 2
    assert said in capsys.readouterr().err
