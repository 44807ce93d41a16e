"""How often a thing is found among others."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan.metrics import retrieval


def test_what_matches_best_is_always_found_and_what_matches_worst_never():
    scores = np.random.default_rng(0).uniform(size=(50, 50))
    assert retrieval.found_among(scores + 2 * np.eye(50), of=20, top=1) == 1
    assert retrieval.found_among(scores - 2 * np.eye(50), of=20, top=19) == 0


def test_by_chance_as_many_are_found_as_there_are_places():
    scores = np.random.default_rng(0).normal(size=(400, 400))
    assert retrieval.found_among(scores, of=100, top=10) == pytest.approx(0.1, abs=0.045)
    assert retrieval.found_among(scores, of=20, top=10) == pytest.approx(0.5, abs=0.075)


def test_of_equal_scores_the_own_one_is_the_last():
    assert retrieval.found_among(np.zeros((30, 30)), of=20, top=10) == 0


def test_the_place_among_all_others_is_the_rank():
    scores = np.tile(np.arange(10.0), (10, 1))  # row i is beaten by the 9 - i columns above it
    assert retrieval.found_among(scores, of=10, top=3) == 0.3


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match=r"shape \(5, 5\); expected as many columns as rows, 100"):
        retrieval.found_among(np.zeros((5, 5)))
    with pytest.raises(ValueError, match="the best 5 among 5 were requested"):
        retrieval.found_among(np.zeros((5, 5)), of=5, top=5)
