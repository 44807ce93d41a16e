"""The Inception score by hand and at its two ends."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan.metrics import inception_score, streaming


def probabilities(count, classes=7, seed=0):
    draws = np.random.default_rng(seed).exponential(size=(count, classes))
    return draws / draws.sum(axis=1, keepdims=True)


def test_sure_and_evenly_spread_images_score_the_number_of_classes():
    assert inception_score.score(np.tile(np.eye(10), (5, 1))) == pytest.approx(10)


def test_images_that_are_all_alike_score_one():
    assert inception_score.score(np.tile(probabilities(1), (20, 1))) == pytest.approx(1)
    assert inception_score.score(np.tile([[0.0, 1.0, 0.0]], (4, 1))) == pytest.approx(1)


def test_two_images_by_hand():
    # p(y) = (3/4, 1/4); the divergences are ln(4/3) and (ln(2/3) + ln 2) / 2.
    expected = np.exp((np.log(4 / 3) + (np.log(2 / 3) + np.log(2)) / 2) / 2)
    found = inception_score.score(np.array([[1.0, 0.0], [0.5, 0.5]]))
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_score_is_the_mean_over_random_splits():
    stored = probabilities(23)
    rows = stored[np.random.default_rng(4).permutation(23)]
    marginals = [part.mean(axis=0) for part in (rows[:7], rows[7:15], rows[15:])]
    parts = [rows[:7], rows[7:15], rows[15:]]
    expected = [
        np.exp(np.mean([np.sum(p * np.log(p / marginal)) for p in part]))
        for part, marginal in zip(parts, marginals, strict=True)
    ]
    found = inception_score.inception_score(stored, splits=3, seed=4)
    assert found.mean == pytest.approx(np.mean(expected), rel=1e-6)
    assert found.deviation == pytest.approx(np.std(expected), rel=1e-6)


def test_images_that_are_stored_by_class_score_as_in_any_other_order():
    """Sure of one of 10 classes, 1000 images of each: a split in stored order would score 1."""
    by_class = np.repeat(np.eye(10), 1000, axis=0)
    found = inception_score.inception_score(by_class)
    assert found.mean == pytest.approx(10, rel=0.01)
    rows = streaming.Rows(by_class)
    numbers = inception_score.metric().compute(rows, rows)
    assert numbers["inception_score"] == numbers["inception_score_of_real"] == found.mean


def test_the_metric_scores_the_real_images_beside_the_generated():
    rows, real = probabilities(40), np.tile(np.eye(7), (10, 1))
    numbers = inception_score.metric(splits=2).compute(streaming.Rows(rows), streaming.Rows(real))
    assert numbers["inception_score"] == inception_score.inception_score(rows, splits=2).mean
    of_real = inception_score.inception_score(real, splits=2).mean
    assert numbers["inception_score_of_real"] == of_real == pytest.approx(7, rel=0.05)


def test_what_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match="do not sum to 1"):
        inception_score.score(np.full((3, 4), 0.5))
    with pytest.raises(ValueError, match="not positive"):
        inception_score.score(np.array([[1.5, -0.5]]))
    with pytest.raises(ValueError, match="3 images in 10 splits"):
        inception_score.inception_score(probabilities(3))
