"""Precision, recall, density and coverage against their definitions written out in loops."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan.metrics import distances, prdc, streaming


def features(count, size=5, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(count, size)) + shift


def radius(rows, index, neighbors):
    """The distance of a row to its k-th nearest other row."""
    apart = sorted(
        np.sqrt(np.sum((rows[index] - other) ** 2)) for at, other in enumerate(rows) if at != index
    )
    return apart[neighbors - 1]


def shares(points, balls, neighbors):
    """For each ball of `balls`, which points it holds."""
    return np.array(
        [
            [
                np.sqrt(np.sum((ball - point) ** 2)) <= radius(balls, at, neighbors)
                for point in points
            ]
            for at, ball in enumerate(balls)
        ]
    )


@pytest.mark.parametrize(("n", "m", "k"), [(30, 23, 3), (17, 40, 1), (12, 9, 5)])
def test_all_four_are_their_definitions(n, m, k, monkeypatch):
    generated, real = features(n, shift=0.6), features(m, seed=1)
    in_real, in_generated = shares(generated, real, k), shares(real, generated, k)
    original = distances.blocks
    monkeypatch.setattr(distances, "blocks", lambda a, b, **_: original(a, b, size=7))
    found = prdc.precision_recall(generated, real, neighbors=k)
    assert found.precision == pytest.approx(np.mean(np.any(in_real, axis=0)), rel=1e-6)
    assert found.recall == pytest.approx(np.mean(np.any(in_generated, axis=0)), rel=1e-6)
    second = prdc.density_coverage(generated, real, neighbors=k)
    assert second.density == pytest.approx(np.sum(in_real) / (k * n), rel=1e-6)
    assert second.coverage == pytest.approx(np.mean(np.any(in_real, axis=1)), rel=1e-6)


def test_a_set_has_one_of_each_against_itself():
    rows = features(600)  # more than a block
    assert prdc.precision_recall(rows, rows) == (1.0, 1.0)
    assert prdc.density_coverage(rows, rows) == (1.0, 1.0)


def test_sets_far_apart_have_none():
    generated, real = features(50), features(40, seed=1, shift=100)
    assert prdc.precision_recall(generated, real) == (0.0, 0.0)
    assert prdc.density_coverage(generated, real) == (0.0, 0.0)


def test_by_hand_on_a_line():
    real = np.array([[0.0], [1.0], [3.0]])  # radii with one neighbor: 1, 1, 2
    generated = np.array([[0.5], [0.6], [10.0], [10.0]])  # radii: 0.1, 0.1, 0, 0
    # 0.5 and 0.6 lie in the balls of 0 and 1 alone; no generated ball holds a real row.
    assert prdc.precision_recall(generated, real, neighbors=1) == (0.5, 0.0)
    assert prdc.density_coverage(generated, real, neighbors=1) == (4 / 4, 2 / 3)


def test_a_ball_holds_its_surface_for_precision_and_not_for_density():
    real = np.array([[0.0], [1.0], [9.0]])
    generated = np.array([[-1.0], [50.0]])
    assert prdc.precision_recall(generated, real, neighbors=1).precision == 0.5
    assert prdc.density_coverage(generated, real, neighbors=1).density == 0.0


def test_collapse_keeps_precision_and_loses_recall_and_coverage():
    real = features(300)
    collapsed = np.repeat(real[:1], 300, axis=0) + 1e-9 * features(300, seed=2)
    assert prdc.precision_recall(collapsed, real).precision == 1
    assert prdc.precision_recall(collapsed, real).recall < 0.02
    assert prdc.density_coverage(collapsed, real).coverage < 0.05


def test_an_offset_common_to_all_changes_nothing():
    generated, real = features(60, shift=0.4), features(50, seed=1)
    moved = prdc.precision_recall(generated + 1e6, real + 1e6)
    assert moved == prdc.precision_recall(generated, real)


def test_the_metric_names_all_four():
    generated, real = features(30, shift=0.5), features(30, seed=1)
    metric = prdc.metric(manifold=2, density=4)
    numbers = metric.compute(streaming.Rows(generated), streaming.Rows(real))
    assert numbers == {
        **prdc.precision_recall(generated, real, neighbors=2)._asdict(),
        **prdc.density_coverage(generated, real, neighbors=4)._asdict(),
    }


def test_sets_without_enough_neighbors_are_refused():
    with pytest.raises(ValueError, match="3 rows of generated features; expected 4 or more"):
        prdc.precision_recall(features(3), features(9))
    with pytest.raises(ValueError, match="5 rows of real features; expected 6 or more"):
        prdc.density_coverage(features(3), features(5))
    with pytest.raises(ValueError, match="neighbors is 0"):
        prdc.precision_recall(features(9), features(9), neighbors=0)


def test_the_nearest_row_is_found_across_blocks_and_of_equals_the_first():
    rows, others = features(1200), features(30, seed=1)
    apart = np.sum(np.square(rows[:, None] - others), axis=2)
    np.testing.assert_array_equal(distances.nearest(rows, others), np.argmin(apart, axis=1))
    twice = np.concatenate([others, others])
    np.testing.assert_array_equal(distances.nearest(others, twice), np.arange(30))
