"""Metrics that several devices compute together are those of one device."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxgan import data, parallel
from jaxgan.metrics import fid, garments, kid, prdc, products, selection, streaming


@pytest.fixture(scope="module")
def mesh():
    return parallel.data_mesh(jax.devices()[:4])


def rows(count, seed, size=5):
    """Features far from zero, as networks give them."""
    return 3.0 + np.random.default_rng(seed).normal(size=(count, size))


@pytest.mark.parametrize("count", [1, 7, 8])
def test_a_product_that_devices_share_is_numpys(mesh, count):
    left, right = rows(count, 0), rows(6, 1)
    product = products.by(right, mesh=mesh)(left)
    assert product.dtype == np.float64
    np.testing.assert_allclose(product, left @ right.T, rtol=1e-14)
    product += 1.0  # it belongs to the caller


NUMBERS = {
    "frechet": lambda generated, real, mesh: fid.frechet_distance(
        fid.moments(generated, mesh=mesh), fid.moments(real, mesh=mesh)
    ),
    "frechet_infinity": lambda generated, real, mesh: fid.frechet_infinity(
        generated, fid.moments(real, mesh=mesh), smallest=10, points=2, mesh=mesh
    ),
    "kid": lambda generated, real, mesh: kid.kid(generated, real, subsets=2, size=11, mesh=mesh),
    "manifolds": lambda generated, real, mesh: prdc.precision_recall(generated, real, mesh=mesh),
    "density": lambda generated, real, mesh: prdc.density_coverage(generated, real, mesh=mesh),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_of_several_devices_are_those_of_one(mesh, name):
    generated, real = rows(21, 2), rows(25, 3)
    one, several = (NUMBERS[name](generated, real, place) for place in (None, mesh))
    np.testing.assert_allclose(several, one, rtol=1e-10)


def test_the_classifier_sees_on_several_devices_what_it_sees_on_one(mesh):
    images = data.load("fashion").held_out.float_images()[:30]
    for several, one in zip(garments.judge(images, mesh=mesh), garments.judge(images), strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("count", "size", "batches"),
    [(3, 3, [4]), (9, 3, [12]), (13, 3, [12, 12]), (1100, 500, [1000, 1000]), (2, 500, [500])],
)
def test_batches_of_several_devices_are_larger_and_divided(mesh, count, size, batches):
    seen = []

    def see(piece):
        assert len(piece.sharding.device_set) == 4
        seen.append(len(piece))
        return [np.asarray(piece)]

    pixels = (np.arange(count) % 251).astype(np.uint8)[:, None]
    (found,) = streaming.in_batches(see, pixels, size=size, mesh=mesh)
    np.testing.assert_array_equal(found, pixels)
    assert seen == batches


def test_the_mesh_reaches_what_an_evaluation_is_made_of(mesh, monkeypatch):
    reached = []
    monkeypatch.setattr(
        garments, "judge", lambda images, *, mesh: reached.append(mesh) or (images, images)
    )
    monkeypatch.setattr(
        products, "by", lambda right, *, mesh: reached.append(mesh) or (lambda left: left @ right.T)
    )
    selection.extractor_of(None, mesh=mesh).see(np.zeros((2, 28, 28, 1), np.uint8))
    few = streaming.Rows(rows(8, 0))
    with pytest.warns(kid.SmallSubsets):
        for metric in selection.chosen(["kid", "prdc"], mesh=mesh).values():
            metric.compute(few, few)
    stream = selection.chosen(["fid"], mesh=mesh)["fid"].stream
    stream.update(stream.init(), few.rows)
    assert set(reached) == {mesh}
