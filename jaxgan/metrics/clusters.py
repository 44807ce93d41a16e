"""Agreement of clusters, found without labels, with classes."""

from __future__ import annotations

import numpy as np
import scipy.optimize


def contingency(clusters: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts the examples of each class in each cluster, int [clusters, classes].

    Args:
        clusters: Cluster of each example, integers from 0, [N].
        labels: Class of each example, integers from 0, [N].

    Raises:
        ValueError: If there are no examples, or the shapes differ.
    """
    clusters, labels = np.asarray(clusters), np.asarray(labels)
    if clusters.shape != labels.shape or clusters.ndim != 1 or not clusters.size:
        raise ValueError(
            f"the clusters have shape {clusters.shape} and the labels {labels.shape}; "
            "expected one of each for every example, both [N]"
        )
    counts = np.zeros((clusters.max() + 1, labels.max() + 1), np.int64)
    np.add.at(counts, (clusters, labels), 1)
    return counts


def matching(counts: np.ndarray) -> dict[int, int]:
    """Assigns clusters to classes, one to one, with the largest number of matching examples.

    Clusters without a class, or without any example of their class, are left out.

    Args:
        counts: Number of examples, [clusters, classes].

    Returns:
        The class of each cluster.

    References:
        Kuhn 1955, the Hungarian method.
    """
    pairs = np.transpose(scipy.optimize.linear_sum_assignment(counts, maximize=True)).tolist()
    return {cluster: label for cluster, label in pairs if counts[cluster, label] > 0}


def one_to_one_accuracy(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Computes the fraction of examples in the cluster of their class, by the best `matching`.

    Args:
        clusters: Cluster of each example, integers from 0, [N].
        labels: Class of each example, integers from 0, [N].
    """
    counts = contingency(clusters, labels)
    return sum(int(counts[pair]) for pair in matching(counts).items()) / int(counts.sum())


def purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Computes the fraction of examples whose class is the most frequent one of their cluster.

    Several clusters may have the same class. So the purity is never below the one-to-one accuracy,
    and it is 1 if every example is its own cluster.

    Args:
        clusters: Cluster of each example, integers from 0, [N].
        labels: Class of each example, integers from 0, [N].
    """
    counts = contingency(clusters, labels)
    return int(counts.max(axis=1).sum()) / int(counts.sum())
