"""Pictures show what is there."""

from __future__ import annotations

import importlib.util
import io
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from PIL import Image

from jaxgan import data
from jaxgan.data import mixtures
from jaxgan.games import ensemble
from jaxgan.plotting import image_grids, toy_densities
from jaxgan.runs.seeds import Seeds
from tests import toy_model


def flat(count, height, width, channels):
    """Images each of one brightness, from -1 to 1."""
    levels = np.linspace(-1, 1, count)[:, None, None, None]
    return np.broadcast_to(levels, (count, height, width, channels)).astype(np.float32)


@pytest.mark.parametrize(
    ("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA"), (2, "L"), (5, "RGB")]
)
def test_a_grid_shows_every_image_in_its_place(channels, mode):
    picture = image_grids.grid(flat(6, 40, 64, channels), columns=3)
    assert picture.mode == mode
    assert picture.size == (3 * 66 + 2, 2 * 42 + 2)
    pixels = np.asarray(picture).reshape(86, 200, -1)[:, :, 0]
    for index in range(6):
        top, left = 2 + index // 3 * 42, 2 + index % 3 * 66
        assert (pixels[top : top + 40, left : left + 64] == round(index * 51)).all()
        assert (pixels[top - 1, left : left + 64] == 255).all()


def test_a_grid_that_is_not_full_leaves_the_rest_blank():
    pixels = np.asarray(image_grids.grid(flat(4, 64, 64, 1), columns=3))
    assert pixels.shape == (2 * 66 + 2, 3 * 66 + 2)
    assert (pixels[68:, 68:] == 255).all()


def test_small_images_are_enlarged_by_whole_factors():
    small = image_grids.grid(flat(2, 28, 20, 1), columns=2)
    assert small.size == (2 * (2 * 22 + 2), 2 * (30 + 2))
    np.testing.assert_array_equal(np.asarray(small)[::2], np.asarray(small)[1::2])


@pytest.mark.parametrize(
    ("classes", "columns"), [(0, 10), (1, 10), (2, 10), (3, 9), (10, 10), (12, 12), (100, 10)]
)
def test_columns_are_classes_where_they_fit(classes, columns):
    assert image_grids.columns_for(classes) == columns


def test_png_holds_the_picture():
    picture = image_grids.grid(flat(4, 8, 8, 3), columns=2)
    read = Image.open(io.BytesIO(image_grids.png(picture)))
    assert read.format == "PNG"
    np.testing.assert_array_equal(np.asarray(read), np.asarray(picture))


@pytest.mark.parametrize(("size", "columns"), [((40, 30), 4), ((100, 20), 1)])
def test_panels_hold_every_picture_under_its_name(size, columns):
    pictures = {f"seed {i}": Image.new("L", size, 40 * i) for i in range(5)}
    sheet = np.asarray(image_grids.panels(pictures, gap=8, strip=16))
    width, height = size
    for index in range(5):
        left = 8 + index % columns * (width + 8)
        top = 8 + index // columns * (height + 24) + 16
        assert (sheet[top : top + height, left : left + width] == 40 * index).all()
        name = sheet[top - 16 : top, left : left + width]
        assert (name != 255).any()


def test_the_picture_of_a_population_draws_its_members():
    many = ensemble.of(toy_model.build(shape=(2,), width=8))
    state = jax.jit(many.init)(ensemble.keys([0, 1]))

    def picture(state):
        kernel = np.asarray(state["generator"].params["Dense_0"]["kernel"])
        return Image.new("L", (40, 40), int(1000 * abs(kernel[0, 0])) % 256)

    sheet = np.asarray(Seeds((0, 1)).picture(picture)(state))
    kernels = state["generator"].params["Dense_0"]["kernel"]
    shades = [int(1000 * abs(float(kernels[index, 0, 0]))) % 256 for index in range(2)]
    assert [sheet[30, 20, 0], sheet[30, 70, 0]] == shades
    assert shades[0] != shades[1]


def splits_of(train):
    return data.Splits(train, train)


@pytest.fixture(scope="module")
def images():
    return data.Dataset(
        "noise",
        np.zeros((6, 4, 4, 1), np.uint8),
        np.arange(6) % 3,
        classes=("a", "b", "c"),
    )


@pytest.fixture(scope="module")
def points():
    gan = toy_model.build(shape=(2,), width=8)
    return gan, jax.jit(gan.init)(jax.random.key(0))


def test_the_picture_of_images_draws_the_same_latents_by_the_averaged_generator(images):
    gan = toy_model.build(shape=(4, 4, 1), width=8)
    state = jax.jit(gan.init)(jax.random.key(0))
    picture = image_grids.picture_of(gan, splits_of(images), seed=0, say=pytest.fail)
    other_seed = image_grids.picture_of(gan, splits_of(images), seed=1, say=pytest.fail)
    sized = image_grids.picture_of(
        gan, splits_of(images), seed=0, say=pytest.fail, rows=2, columns=5
    )
    assert np.asarray(sized(state)).shape == ((2 * 6 + 2) * 16, (5 * 6 + 2) * 16)
    first = np.asarray(picture(state))
    assert first.shape[1] == (9 * 6 + 2) * 16  # three columns for each of three classes
    np.testing.assert_array_equal(np.asarray(picture(state)), first)
    assert (np.asarray(other_seed(state)) != first).any()
    moved = jax.tree.map(lambda x: 2 * x, state["generator"].params)
    np.testing.assert_array_equal(
        np.asarray(picture(state.with_params({"generator": moved}))), first
    )
    averaged = jax.tree.map(lambda x: 2 * x + 1, state.ema)
    assert (np.asarray(picture(state.replace(ema=averaged))) != first).any()


def test_points_without_matplotlib_are_told_how_to_get_it(points, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    said = []
    splits = splits_of(mixtures.ring())
    assert image_grids.picture_of(points[0], splits, seed=0, say=said.append) is None
    assert len(said) == 1
    assert "jaxgan[plots]" in said[0]


@pytest.mark.parametrize("name", ["ring", "grid"])
def test_the_picture_of_a_plane_has_data_samples_and_the_field_in_it(points, name):
    gan, state = points
    splits = splits_of(mixtures.MIXTURES[name]())
    picture = image_grids.picture_of(gan, splits, seed=0, say=pytest.fail)
    before = np.asarray(picture(state).convert("RGB"), np.int32)
    moved = jax.tree.map(lambda x: x + 1, state.ema)
    samples = np.asarray(picture(state.replace(ema=moved)).convert("RGB"), np.int32)
    assert (samples != before).any()
    judge = jax.tree.map(lambda x: x + 1, state["discriminator"].params)
    judged = state.with_params({"discriminator": judge})
    field = np.asarray(picture(judged).convert("RGB"), np.int32)
    assert (field != before).any(axis=2).mean() > 0.2  # the background
    alone = state.replace(players={"generator": state["generator"]})
    assert np.asarray(picture(alone).convert("RGB")).std() > 1


def test_the_picture_of_a_line_follows_the_discriminator():
    gan = toy_model.build(shape=(1,), width=8)
    state = jax.jit(gan.init)(jax.random.key(0))
    picture = toy_densities.picture_of(mixtures.gauss1d(), lambda state: np.zeros((64, 1)))
    before = np.asarray(picture(state).convert("RGB"), np.int32)
    judge = jax.tree.map(lambda x: x + 1, state["discriminator"].params)
    after = np.asarray(picture(state.with_params({"discriminator": judge})).convert("RGB"))
    assert (after != before).any()


def test_points_of_three_dimensions_are_refused():
    solid = data.Mixture("solid", np.zeros((1, 3)), 1.0)
    with pytest.raises(ValueError, match="3 dimensions"):
        toy_densities.picture_of(solid, lambda state: np.zeros((4, 3)))


def test_the_kernel_density_is_scipys():
    points = np.random.default_rng(0).normal(1.0, 2.0, 500)
    x = np.linspace(-6, 8, 50)
    factor = 1.06 * points.std() * len(points) ** -0.2 / points.std(ddof=1)
    expected = scipy.stats.gaussian_kde(points, bw_method=factor)(x)
    np.testing.assert_allclose(toy_densities.kernel_density(points, x), expected, rtol=1e-10)


def test_the_kernel_density_of_a_collapsed_generator_is_finite_and_has_mass_one():
    x = np.linspace(-1, 1, 20_001)
    density = toy_densities.kernel_density(np.full(100, 0.25), x)
    assert np.isfinite(density).all()
    assert density.sum() * (x[1] - x[0]) == pytest.approx(1.0, rel=1e-3)


def test_judge_of_gives_the_discriminators_logits(points):
    _, state = points
    at = np.random.default_rng(0).normal(size=(5, 2))
    judge = toy_densities.judge_of(state)
    expected = state["discriminator"](jnp.asarray(at, jnp.float32), train=False)
    np.testing.assert_allclose(judge(at), expected, rtol=1e-6)
    assert toy_densities.judge_of(SimpleNamespace(players={"critic": None})) is None


def test_arrays_of_any_units_are_drawn_as_wide_as_they_reach():
    levels = np.linspace(-300, 300, 200, dtype=np.float32)
    entries = {"image": np.broadcast_to(levels[:, None, None, None], (200, 4, 4, 1))}
    source = data.Arrays("arrays", entries, {"image": data.transforms.Transform()}, np.arange(200))
    assert source.reach == pytest.approx(300 * 0.99, rel=0.02)
    sheet = image_grids.of_real(source, seed=0, rows=20, columns=10)
    assert sheet is not None
    shown = np.unique(np.asarray(sheet))
    assert shown[0] == 0 and shown[-1] == 255 and len(shown) > 150
    videos = data.Arrays("arrays", {"image": np.zeros((2, 3, 4, 4, 1))}, {}, np.arange(2))
    assert image_grids.of_real(videos, seed=0) is None
