"""Probes of features, against values that are computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from jaxgan.metrics import probes


def blobs(count, seed=0):
    """Rows [count, 2] around three centers, and which of them each is around."""
    draws = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centers = np.array([[0.0, 4.0], [4.0, 0.0], [-4.0, -4.0]])
    return centers[labels] + draws.normal(size=(count, 2)), labels


def test_the_nearest_row_lends_its_label_and_the_first_of_several():
    train, labels = [[0.0], [10.0], [10.0]], [3, 1, 2]
    found = probes.nearest_neighbor(train, labels, [[4.9], [5.1], [5.0], [99.0]])
    assert found.tolist() == [3, 1, 3, 1]


def test_the_nearest_of_rows_far_from_the_origin_is_found():
    train = np.float32(2000) + np.array([[0.0, 0.0], [0.25, 0.0]], np.float32)
    asked = np.float32(2000) + np.array([[0.125 - 2**-10, 0.0], [0.125 + 2**-10, 0.0]], np.float32)
    assert probes.nearest_neighbor(train, [0, 1], asked).tolist() == [0, 1]


def test_neighbors_found_in_pieces_are_those_found_at_once():
    train, labels = blobs(40)
    asked = blobs(23, seed=1)[0]
    whole = probes.nearest_neighbor(train, labels, asked)
    np.testing.assert_array_equal(probes.nearest_neighbor(train, labels, asked, piece=7), whole)
    apart = np.linalg.norm(asked[:, None] - train[None], axis=2)
    np.testing.assert_array_equal(whole, labels[np.argmin(apart, axis=1)])


@pytest.mark.parametrize("strength", [1e-3, 0.1, 2.0])
def test_two_examples_have_the_weights_of_the_closed_form(strength):
    weights = probes.logistic_weights(
        np.array([[1.0], [-1.0]]), np.array([0, 1]), strength=strength
    )
    (first, second), biases = weights
    # The slope of log(1 + exp(-2 w)) + strength w^2 vanishes.
    assert second == pytest.approx(-first, abs=1e-6)
    assert first * strength == pytest.approx(scipy.special.expit(-2 * first), abs=1e-4)
    np.testing.assert_allclose(biases, 0, atol=1e-6)


def test_biases_are_not_penalized_and_give_the_classes_their_shares():
    labels = np.repeat([0, 1], [3, 1])
    weights = probes.logistic_weights(np.zeros((4, 2)), labels, strength=1.0)
    np.testing.assert_allclose(weights[:-1], 0)
    np.testing.assert_allclose(scipy.special.softmax(weights[-1]), [0.75, 0.25], atol=1e-4)


def test_the_linear_probe_finds_linear_classes_and_no_others():
    train, labels = blobs(60)
    asked, truth = blobs(30, seed=1)
    assert np.mean(probes.linear_probe(train, labels, asked) == truth) == 1
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    either_or = np.array([0, 1, 1, 0])
    assert np.mean(probes.linear_probe(corners, either_or, corners) == either_or) < 1
    assert np.mean(probes.nearest_neighbor(corners, either_or, corners) == either_or) == 1


def test_the_linear_probe_sees_no_units_and_no_constants():
    train, labels = blobs(60)
    asked = blobs(30, seed=1)[0]
    expected = probes.linear_probe(train, labels, asked)

    def others(rows):
        return np.concatenate([rows * [1e-4, 50.0] + [3.0, -7.0], np.full((len(rows), 1), 5.0)], 1)

    np.testing.assert_array_equal(
        probes.linear_probe(others(train), labels, others(asked)), expected
    )


@pytest.mark.parametrize("probe", [probes.nearest_neighbor, probes.linear_probe])
def test_what_does_not_fit_is_refused(probe):
    with pytest.raises(ValueError, match=r"shape \(3, 2\) and the features \(1, 3\)"):
        probe(np.zeros((3, 2)), [0, 1, 2], np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) for 3 training rows"):
        probe(np.zeros((3, 2)), [0, 1], np.zeros((1, 2)))


def test_a_strength_that_leaves_no_minimum_is_refused():
    with pytest.raises(ValueError, match="strength of the penalty is 0; expected a positive"):
        probes.linear_probe(np.zeros((1, 1)), [0], np.zeros((1, 1)), strength=0)
