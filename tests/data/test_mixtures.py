"""Mixtures of Gaussians by their moments and densities; draws as a function of seed and step."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from jaxgan import data
from jaxgan.data import mixtures

NAMES = ("ring", "grid", "gauss1d")


def draws(mixture: data.Mixture, count: int = 20_000, seed: int = 0) -> np.ndarray:
    return mixture.batch(seed=seed, step=0, size=count)["image"].astype(np.float64)


def nearest(points: np.ndarray, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mode that each point is nearest to, and the point's offset from it."""
    index = np.linalg.norm(points[:, None] - centers, axis=2).argmin(axis=1)
    return index, points - centers[index]


@pytest.mark.parametrize(
    ("name", "modes", "axes"), [("ring", 8, 2), ("grid", 25, 2), ("gauss1d", 1, 1)]
)
def test_the_modes_are_distinct_and_as_many_as_stated(name, modes, axes):
    mixture = data.load(name).train
    assert mixture.centers.shape == (modes, axes) and mixture.shape == (axes,)
    assert len(np.unique(mixture.centers.round(6), axis=0)) == modes
    assert mixture.classes == ()


def test_the_centers_lie_where_they_are_said_to():
    ring, grid = mixtures.ring().centers, mixtures.grid().centers
    angles = 2 * np.pi * np.arange(8) / 8
    np.testing.assert_allclose(ring, np.stack([np.cos(angles), np.sin(angles)], 1), atol=1e-15)
    assert {tuple(center) for center in grid} == {
        (x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)
    }


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_moments_of_the_mixture(name):
    mixture = data.load(name).train
    modes, offsets = nearest(draws(mixture), mixture.centers)
    counts = np.bincount(modes, minlength=len(mixture.centers))
    expected = len(modes) / len(mixture.centers)
    assert np.abs(counts - expected).max() < 5.0 * np.sqrt(expected)
    for axis in range(*mixture.shape):
        scaled = offsets[:, axis] / mixture.std
        assert scipy.stats.kstest(scaled, "norm").pvalue > 0.001
    if mixture.shape == (2,):
        assert abs(np.corrcoef(offsets.T)[0, 1]) < 0.03


@pytest.mark.parametrize("name", NAMES)
def test_the_density_is_scipys(name):
    mixture = data.load(name).train
    points = np.concatenate(
        [draws(mixture, 50), np.random.default_rng(0).normal(size=(50, *mixture.shape))]
    )
    parts = [
        scipy.stats.multivariate_normal(center, mixture.std**2).pdf(points)
        for center in mixture.centers
    ]
    np.testing.assert_allclose(mixture.density(points), np.mean(parts, axis=0), rtol=1e-9)


@pytest.mark.parametrize(("name", "side"), [("ring", 1.2), ("grid", 4.5)])
def test_the_density_integrates_to_one_on_the_plane(name, side):
    mixture = data.load(name).train
    axis = np.arange(-side, side, mixture.std / 2)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    area = (mixture.std / 2) ** 2
    total = sum(mixture.density(part).sum() for part in np.array_split(points, 20)) * area
    assert total == pytest.approx(1.0, abs=1e-6)


def test_the_density_integrates_to_one_on_the_line():
    mixture = mixtures.gauss1d()
    total, _ = scipy.integrate.quad(lambda x: mixture.density(np.array([[x]]))[0], -2.0, 10.0)
    assert total == pytest.approx(1.0, abs=1e-9)


def test_the_log_density_is_finite_where_the_density_is_zero():
    mixture = mixtures.ring()
    far = np.array([[1e3, 1e3]])
    assert mixture.density(far) == 0.0
    assert np.isfinite(mixture.log_density(far)).all()


def test_a_batch_is_pure_and_its_rows_are_those_of_the_full_batch():
    mixture = mixtures.grid()
    full = mixture.batch(seed=4, step=7, size=32)["image"]
    assert full.dtype == np.float32 and full.shape == (32, 2)
    assert np.array_equal(full, mixtures.grid().batch(seed=4, step=7, size=32)["image"])
    for rows in (slice(8, 16), [3, 30]):
        part = mixture.batch(seed=4, step=7, size=32, rows=rows)["image"]
        assert np.array_equal(part, full[rows])


@pytest.mark.parametrize("name", NAMES)
def test_steps_seeds_and_the_held_out_stream_draw_afresh(name):
    train, held_out, _ = data.load(name)
    batches = [
        train.batch(seed=0, step=0, size=64),
        train.batch(seed=0, step=1, size=64),
        train.batch(seed=1, step=0, size=64),
        held_out.batch(seed=0, step=0, size=64),
    ]
    points = np.concatenate([batch["image"] for batch in batches])
    assert len(np.unique(points, axis=0)) == len(points)
    assert train.digest != held_out.digest
    assert np.array_equal(train.density(points), held_out.density(points))


def test_the_digest_tells_densities_apart():
    digests = {data.load(name).train.digest for name in NAMES}
    assert len(digests) == 3 and data.load("ring").train.digest in digests


@pytest.mark.parametrize(("centers", "std"), [(np.zeros(3), 1.0), (np.zeros((2, 2)), 0.0)])
def test_a_mixture_needs_centers_and_a_width(centers, std):
    with pytest.raises(data.DataError, match="expected centers of shape"):
        data.Mixture("bad", centers, std)
