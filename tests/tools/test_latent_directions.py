"""Directions are those that the closed forms name, and their files are read with care."""

from __future__ import annotations

import flax.linen as linen
import generators
import numpy as np
import pytest

from jaxgan.nn import equalized
from jaxgan.runs.errors import RunError
from jaxgan.tools import latent_directions


def normal(count, size, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


def assert_along(found, expected, *, least=1 - 1e-5):
    """Each direction lies along the expected one, to one side or the other."""
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(np.sum(found * unit, axis=1)).min() >= least
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


# --- without labels -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model", [generators.plain(), generators.labeled()], ids=["plain", "labeled"]
)
def test_the_closed_form_is_the_eigenvectors_of_the_first_layers_weight(model):
    """An embedding of the class before the layer is no layer of the latents, and not their part."""
    kernel = model.state["generator"].params["Dense_0"]["kernel"][-5:].astype(np.float64)
    values, vectors = np.linalg.eigh(kernel @ kernel.T)
    found = latent_directions.closed_form(model, normal(200, 5), count=3)
    assert_along(found.vectors, vectors.T[:1:-1])
    np.testing.assert_allclose(found.strengths, values[:1:-1] / values.sum(), rtol=1e-4)
    assert found.names == ("sefa-0", "sefa-1", "sefa-2")
    assert (found.vectors.max(axis=1) == np.abs(found.vectors).max(axis=1)).all()


class Normalizing(linen.Module):
    @linen.compact
    def __call__(self, latents):
        return linen.Dense(16, use_bias=False)(equalized.pixel_norm(latents))


def test_latents_that_are_normalized_first_have_nearly_the_directions_of_the_weight():
    kernel = normal(6, 16) * np.array([9, 3, 1, 0.3, 0.1, 0.1])[:, None]
    model = generators.of(Normalizing(), {"Dense_0": {"kernel": kernel}}, size=6)
    found = latent_directions.closed_form(model, normal(200, 6), count=1)
    left = np.linalg.svd(kernel)[0]
    assert_along(found.vectors, left.T[:1], least=0.9)


class Linear(linen.Module):
    @linen.compact
    def __call__(self, latents):
        x = linen.Dense(5, use_bias=False)(latents)
        return linen.Dense(16, use_bias=False)(x)


def test_principal_components_of_linear_features_are_singular_vectors_of_both_layers():
    scales = np.array([8, 4, 2, 1, 0.5])
    turned = np.linalg.qr(normal(5, 5))[0]
    kernels = {"Dense_0": {"kernel": turned * scales}, "Dense_1": {"kernel": np.eye(5, 16)}}
    model = generators.of(Linear(), kernels, size=5)
    found = latent_directions.principal(model, normal(1000, 5), count=3)
    assert_along(found.vectors, turned.T[:3], least=0.98)
    expected = scales**2 / np.sum(scales**2)
    np.testing.assert_allclose(found.strengths, expected[:3], atol=0.03)


def test_a_generator_of_one_layer_has_principal_components_too():
    model = generators.of(Normalizing(), {"Dense_0": {"kernel": normal(6, 16)}}, size=6)
    assert latent_directions.principal(model, normal(70, 6), count=2).vectors.shape == (2, 6)


# --- by labels ------------------------------------------------------------------------------------


def test_a_direction_separates_a_concept_from_the_others():
    latents, way = normal(2000, 6), normal(1, 6, seed=9)
    scores = latents @ way[0] / np.linalg.norm(way)
    concepts = {"far": latents[scores > 0], "near": latents[scores <= 0], "few": latents[:3]}
    found = latent_directions.separating(concepts, latents)
    assert found.names == ("far", "near")
    assert_along(found.vectors, np.concatenate([way, -way]), least=0.98)
    assert found.vectors[0] @ way[0] > 0 > found.vectors[1] @ way[0]
    assert found.strengths.min() > 0.98


def test_a_concept_that_the_latents_do_not_hold_is_ordered_by_chance():
    latents = normal(2000, 6)
    chosen = np.random.default_rng(1).permutation(2000)
    found = latent_directions.separating(
        {"x": latents[chosen[:999]], "y": latents[chosen[999:]]}, latents
    )
    assert np.abs(found.strengths - 0.5).max() < 0.1


def test_two_concepts_are_needed():
    with pytest.raises(
        RunError, match="two concepts of 20 samples or more, and there are: x 30, y 2"
    ):
        latent_directions.separating({"x": normal(30, 4), "y": normal(2, 4)}, normal(99, 4))


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order():
    area = latent_directions._area(np.array([1.0, 2, 3, 4]), np.array([False, True, False, True]))
    assert area == 3 / 4
    assert latent_directions._area(np.ones(4), np.array([True, False, True, False])) == 1 / 2


# --- moving and files -----------------------------------------------------------------------------


def directions(size=3):
    return latent_directions.Directions(
        "pca",
        np.eye(2, size, dtype=np.float32),
        np.array([1, 2], np.float32),
        ("pca-0", "pca-1"),
        np.array([0.75, 0.25], np.float32),
    )


def test_a_step_is_a_standard_deviation():
    latents = np.zeros((2, 3), np.float32)
    latents[1] = 1
    moved = directions().along(latents, 1, np.array([-1.0, 0.0, 0.5]))
    np.testing.assert_array_equal(moved[:3], [[0, -2, 0], [0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(moved[3:], [[1, -1, 1], [1, 1, 1], [1, 2, 1]])
    uniform = np.random.default_rng(0).uniform(-1, 1, (4000, 2)).astype(np.float32)
    np.testing.assert_allclose(latent_directions.of_entries(uniform).deviations, 3**-0.5, rtol=0.05)


def test_a_file_holds_what_was_found(tmp_path):
    path = tmp_path / "pca.npz"
    np.savez(path, **latent_directions.arrays_of(directions()))
    read = latent_directions.read(path, size=3)
    assert (read.method, read.names) == ("pca", ("pca-0", "pca-1"))
    for name in ("vectors", "deviations", "strengths"):
        np.testing.assert_array_equal(getattr(read, name), getattr(directions(), name))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"vectors": np.ones((2, 4), np.float32)},
            "of 4 entries, and the latents of this model have 3",
        ),
        ({"vectors": np.ones(3, np.float32)}, "holds no directions; make them with"),
        ({"names": np.array(["one"])}, "is damaged; make it again"),
        ({"names": np.array([1, 2])}, "is damaged; make it again"),
        ({"deviations": np.array([1, np.nan], np.float32)}, "is damaged; make it again"),
        ({"names": np.array(["pca-0", {}], object)}, "cannot be read as an .npz file"),
        ({"more": np.zeros((600, 4096), np.float32)}, r"more\.npy has shape \(600, 4096\)"),
        ({"names": np.array(["x" * 9_000_000, "y"])}, r"names\.npy has shape \(2,\)"),
    ],
)
def test_a_file_of_something_else_is_one_sentence(changes, said, tmp_path):
    path = tmp_path / "odd.npz"
    np.savez(path, **{**latent_directions.arrays_of(directions()), **changes})
    with pytest.raises(RunError, match=said):
        latent_directions.read(path, size=3)
