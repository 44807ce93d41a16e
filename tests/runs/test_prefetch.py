"""Batches that are made ahead: the same ones in order, the waits for them, and errors."""

from __future__ import annotations

import threading

import pytest

from jaxgan.runs import prefetch


def test_every_batch_comes_once_and_in_order_and_all_from_one_thread():
    made: list[tuple[int, str]] = []

    def make(step):
        made.append((step, threading.current_thread().name))
        return {"image": step}

    span = range(3, 40, 4)
    with prefetch.batches(make, span) as following:
        assert [following()[0]["image"] for _ in span] == list(span)
    assert [step for step, _ in made] == list(span)
    assert len({name for _, name in made}) == 1 and made[0][1] != threading.current_thread().name


def test_only_a_few_are_made_ahead_and_none_after_the_end():
    begun = threading.Semaphore(0)
    made = []

    def make(step):
        made.append(step)
        begun.release()
        return step

    with prefetch.batches(make, range(10**12)) as following:
        for _ in range(prefetch.AHEAD):
            begun.acquire()
        assert following()[0] == 0
        begun.acquire()
    assert made == list(range(prefetch.AHEAD + 1))


def test_what_a_batch_raises_is_raised_when_it_is_asked_for():
    def make(step):
        if step == 1:
            raise OSError("the file is gone")
        return step

    with prefetch.batches(make, range(3)) as following:
        assert following()[0] == 0
        with pytest.raises(OSError, match="the file is gone"):
            following()
