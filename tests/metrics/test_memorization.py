"""Copies of training images are told from independent images by the distances to them."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan.metrics import distances, memorization


@pytest.fixture(scope="module")
def sets():
    """Training, held-out and further examples of one distribution."""
    draws = np.random.default_rng(0).normal(size=(3, 400, 6)).astype(np.float32)
    return draws + 100  # an offset that single precision would pay for


def judged(samples, training, held_out):
    apart = [memorization.neighbors(x, training, count=1)[1][:, 0] for x in (samples, held_out)]
    return memorization.memorization(*apart)


def test_independent_examples_are_as_far_as_held_out_ones(sets):
    training, held_out, further = sets
    found = judged(further, training, held_out)
    assert found.verdict == "independent"
    assert found.nearer == pytest.approx(0.5, abs=0.1)
    assert found.copies < 0.04
    assert found.generated == pytest.approx(found.held_out, rel=0.1)
    assert (found.expected, found.photographs) == (0.01, 400)


def test_copies_with_a_bit_of_noise_are_memorized(sets):
    training, held_out, further = sets
    noise = 0.05 * np.random.default_rng(1).normal(size=training.shape)
    found = judged(training + noise, training, held_out)
    assert found.verdict == "memorizes"
    assert (found.nearer, found.copies) == (1.0, 1.0)
    assert found.generated < 0.2 * found.held_out
    some = np.concatenate([(training + noise)[:40], further[40:]])
    assert judged(some, training, held_out).verdict == "suspicious"


def test_examples_in_the_middle_are_near_and_no_copies():
    apart = memorization.memorization(np.full(100, 2.0), np.linspace(1, 5, 200))
    assert (apart.nearer, apart.copies, apart.verdict) == (1.0, 0.0, "near")


def test_few_photographs_are_no_yardstick(sets):
    training, held_out, _ = sets
    assert judged(training, training, held_out[:19]).verdict == "unknown"
    assert judged(training, training, held_out[:20]).verdict == "memorizes"
    assert judged(training, training, held_out[:20]).expected == 0.05
    with pytest.raises(ValueError, match="2 generated and 0 held-out images"):
        memorization.memorization(np.ones(2), np.ones(0))


def test_the_numbers_of_a_small_set_by_hand():
    found = memorization.memorization(np.array([1.0, 2.0, 5.0, 9.0]), np.array([2.0, 4.0, 6.0]))
    assert (found.generated, found.held_out) == (3.5, 4.0)
    assert (found.nearer, found.copies, found.expected) == (0.5, 0.25, 1 / 3)


def test_neighbors_are_the_nearest_of_all_parts_in_order(sets, monkeypatch):
    training, _, queries = sets
    monkeypatch.setattr(memorization, "_PART", 70)
    indices, apart = memorization.neighbors(queries[:50], training, count=3)
    wide = np.asarray(queries[:50], np.float64)[:, None] - np.asarray(training, np.float64)
    every = np.linalg.norm(wide, axis=2)
    np.testing.assert_array_equal(indices, np.argsort(every, axis=1)[:, :3])
    np.testing.assert_allclose(apart, np.sort(every, axis=1)[:, :3], rtol=1e-6)
    np.testing.assert_array_equal(
        indices[:, 0], distances.nearest(queries[:50] - 100.0, training - 100.0)
    )
    with pytest.raises(ValueError, match=r"401 neighbors .* expected 1 to 400"):
        memorization.neighbors(queries, training, count=401)
