"""What the generator receives: normal draws are told from uniform ones and from codes."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan.games import latent_access


def draws(kind: str) -> np.ndarray:
    generator = np.random.default_rng(0)
    normal = generator.normal(size=(512, 100))
    if kind == "normal":
        return normal
    if kind == "uniform":
        return generator.uniform(-1, 1, (512, 100))
    if kind == "one uniform code":
        return np.concatenate([normal, generator.uniform(-1, 1, (512, 1))], axis=1)
    return np.concatenate([normal, np.eye(10)[generator.integers(0, 10, 512)]], axis=1)


@pytest.mark.parametrize("kind", ["normal", "uniform", "one uniform code", "a one-hot code"])
def test_only_draws_of_a_normal_distribution_are_normal(kind):
    assert latent_access.are_normal(draws(kind)) == (kind == "normal")
    assert latent_access.are_normal(0.1 * draws(kind)) == (kind == "normal")
