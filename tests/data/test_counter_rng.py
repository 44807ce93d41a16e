"""Random numbers of the data by their counter: reference values, independence, and pinned draws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from jaxgan.data import counter_rng


def test_the_bits_are_those_of_splitmix64():
    """Against the published recurrence, in Python's own integers."""
    start, mask = counter_rng._start(7, "stream"), 2**64 - 1
    expected = []
    for step in range(1, 6):
        z = (start + step * 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        expected.append(z ^ (z >> 31))
    assert counter_rng.bits(7, "stream", np.arange(5)).tolist() == expected


def test_the_mixing_gives_the_reference_draws_of_seed_1234567(monkeypatch):
    """The first outputs of the reference implementation of SplitMix64 for that seed."""
    monkeypatch.setattr(counter_rng, "_start", lambda seed, stream: seed)
    draws = counter_rng.bits(1234567, "", np.arange(3)).tolist()
    assert draws == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_draw_depends_on_its_counter_alone():
    counters = np.array([[9, 0], [5, 2**40]])
    singly = [[counter_rng.bits(1, "s", np.array([c]))[0] for c in row] for row in counters]
    assert counter_rng.bits(1, "s", counters).tolist() == singly


@pytest.mark.parametrize(("seed", "stream"), [(1, "a"), (0, "b"), (-1, "a"), (2**70, "a")])
def test_another_seed_or_stream_gives_other_draws(seed, stream):
    counters = np.arange(1000)
    assert not np.any(
        counter_rng.bits(0, "a", counters) == counter_rng.bits(seed, stream, counters)
    )


def test_uniform_draws_are_uniform_and_normal_draws_are_normal():
    counters = np.arange(50_000)
    uniform, normal = counter_rng.uniform(3, "u", counters), counter_rng.normal(3, "n", counters)
    assert uniform.min() >= 0.0 and uniform.max() < 1.0
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 0.01
    assert scipy.stats.kstest(normal, "norm").pvalue > 0.01
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.02


def test_a_permutation_holds_each_index_once_and_differs_between_epochs():
    orders = [counter_rng.permutation(5, epoch, 101) for epoch in range(4)]
    for order in orders:
        assert sorted(order) == list(range(101))
    assert len({order.tobytes() for order in orders}) == 4
    with pytest.raises(ValueError, match="read-only"):
        orders[0][0] = 1


def test_streams_of_few_examples_do_not_push_out_the_orders_of_many():
    held = [counter_rng.permutation(seed, 0, 301) for seed in range(40)]
    for epoch in range(40):
        counter_rng.permutation(0, epoch, 7, "few ")
    for seed, order in enumerate(held):
        assert counter_rng.permutation(seed, 0, 301) is order


def test_draws_are_pinned_so_that_no_release_reorders_a_run_that_is_resumed():
    assert counter_rng.permutation(0, 0, 8).tolist() == [6, 4, 0, 1, 7, 3, 5, 2]
    expected = [-0.6145776608882443, -0.41418105169017233, -1.16873889383972]
    np.testing.assert_allclose(counter_rng.normal(0, "pinned", np.arange(3)), expected, rtol=1e-12)
