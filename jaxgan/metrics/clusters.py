"""How well clusters that were found without labels agree with classes."""

from __future__ import annotations

import numpy as np
import scipy.optimize


def contingency(clusters: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many examples of each class lie in each cluster, int [clusters, classes], from cluster
    and label [N] of each example, integers from 0.

    Raises ValueError where there are no examples, or as many of one as not of the other.
    """
    clusters, labels = np.asarray(clusters), np.asarray(labels)
    if clusters.shape != labels.shape or clusters.ndim != 1 or not clusters.size:
        raise ValueError(
            f"the clusters have shape {clusters.shape} and the labels {labels.shape}; "
            "expected one of each for every example, [N]"
        )
    counts = np.zeros((clusters.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    return counts


def matching(counts: np.ndarray) -> dict[int, int]:
    """The class of each cluster, no class given twice, for which most examples of `counts`
    [clusters, classes] lie in their class's cluster (Kuhn 1955, the Hungarian method).

    Clusters that are left without a class, or share no example with theirs, are left out.
    """
    pairs = np.transpose(scipy.optimize.linear_sum_assignment(counts, maximize=True)).tolist()
    return {cluster: label for cluster, label in pairs if counts[cluster, label] > 0}


def one_to_one_accuracy(clusters: np.ndarray, labels: np.ndarray) -> float:
    """The share of examples in the cluster of their class, by the best `matching`."""
    counts = contingency(clusters, labels)
    return sum(int(counts[pair]) for pair in matching(counts).items()) / int(counts.sum())


def purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    """The share of examples that are of the commonest class of their cluster.

    Several clusters may have one class: never below the one-to-one accuracy, and 1 where every
    example is a cluster of its own.
    """
    counts = contingency(clusters, labels)
    return int(counts.max(axis=1).sum()) / int(counts.sum())
