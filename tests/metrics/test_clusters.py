"""Agreement of clusters with classes, against counts made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jaxgan.metrics import clusters


def examples(counts):
    """Cluster and label of each example of a table [clusters, classes], in a random order."""
    pairs = [(i, j) for (i, j), n in np.ndenumerate(np.asarray(counts)) for _ in range(n)]
    found, labels = np.random.default_rng(0).permutation(pairs).T
    return found, labels


def test_a_table_counts_the_classes_of_each_cluster():
    table = [[3, 0, 1], [0, 2, 2]]
    np.testing.assert_array_equal(clusters.contingency(*examples(table)), table)


@pytest.mark.parametrize(
    ("table", "matched", "accuracy", "purity"),
    [
        ([[0, 5], [7, 0]], {0: 1, 1: 0}, 1.0, 1.0),
        # Both clusters like class 0; giving it to the second costs least: (4 + 5) of 20.
        ([[6, 4], [5, 5]], {0: 0, 1: 1}, 11 / 20, 11 / 20),
        # The greedy choice (10, then 0) is not the best: (9 + 8).
        ([[10, 9], [8, 0]], {0: 1, 1: 0}, 17 / 27, 18 / 27),
        # Two clusters of one class: one-to-one counts the larger alone.
        ([[4, 0], [3, 0], [0, 3]], {0: 0, 2: 1}, 7 / 10, 1.0),
        # An empty cluster has no class.
        ([[4, 0], [0, 0], [0, 1]], {0: 0, 2: 1}, 1.0, 1.0),
        # Fewer clusters than classes: a class is left out.
        ([[4, 1, 0], [0, 1, 4]], {0: 0, 1: 2}, 8 / 10, 8 / 10),
    ],
)
def test_agreement_is_what_a_hand_counts(table, matched, accuracy, purity):
    assert clusters.matching(np.asarray(table)) == matched
    assert clusters.one_to_one_accuracy(*examples(table)) == pytest.approx(accuracy, abs=1e-12)
    assert clusters.purity(*examples(table)) == pytest.approx(purity, abs=1e-12)


def test_the_matching_is_the_best_of_all_permutations():
    draws = np.random.default_rng(1)
    for _ in range(20):
        table = draws.integers(0, 9, (4, 4))
        best = max(
            sum(table[i, j] for i, j in enumerate(order))
            for order in itertools.permutations(range(4))
        )
        found = clusters.one_to_one_accuracy(*examples(table))
        assert found == pytest.approx(best / table.sum(), abs=1e-12)


def test_names_of_clusters_do_not_matter_and_chance_is_a_class_in_ten():
    draws = np.random.default_rng(2)
    labels, found = draws.integers(0, 10, 20_000), draws.integers(0, 10, 20_000)
    renamed = draws.permutation(10)[labels]
    assert clusters.one_to_one_accuracy(renamed, labels) == 1
    assert clusters.purity(renamed, labels) == 1
    assert 0.1 < clusters.one_to_one_accuracy(found, labels) < 0.12
    assert clusters.purity(np.arange(50), labels[:50]) == 1


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\) and the labels \(2,\)"):
        clusters.contingency(np.zeros(3, int), np.zeros(2, int))
    with pytest.raises(ValueError, match=r"expected one of each for every example"):
        clusters.purity(np.zeros(0, int), np.zeros(0, int))
