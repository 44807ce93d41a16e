"""Fewer training images: which, and that all else stays."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import limiting


def numbered(count: int, name: str = "numbered") -> data.Dataset:
    images = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1)
    return data.Dataset(name, images, np.arange(count) % 2, ("even", "odd"))


def numbers(source: data.Dataset) -> list[int]:
    return source.images[:, 0, 0, 0].tolist()


def test_fewer_images_are_among_more_in_the_order_of_all():
    whole = numbered(100)
    some, more = (limiting.limited(whole, count) for count in (10, 30))
    assert len(some) == 10
    assert numbers(some) == sorted(numbers(some))
    assert set(numbers(some)) < set(numbers(more)) < set(numbers(whole))
    assert numbers(limiting.limited(whole, 100)) == numbers(whole)
    np.testing.assert_array_equal(some.labels, np.array(numbers(some)) % 2)
    # By chance: neither the first ones nor evenly spread.
    assert len(set(np.diff(numbers(some)))) > 3


def test_garments_are_limited_for_training_alone_and_change_the_digest():
    whole, few = data.load("fashion"), data.load("fashion", limit=1000, flip=True)
    assert len(few.train) == 1000
    assert few.train.flip
    assert np.bincount(few.train.labels).min() > 70
    assert few.held_out.digest == whole.held_out.digest
    assert few.train.digest == data.load("fashion", limit=1000).train.digest
    assert few.train.digest != whole.train.digest


def test_pairs_stay_pairs_and_domains_are_limited_each():
    a, b = numbered(40, "a"), numbered(40, "b")
    pairs = limiting.limited(data.Pairs(a, b), 7)
    assert isinstance(pairs, data.Pairs)
    assert numbers(pairs.a) == numbers(pairs.b)
    assert len(pairs) == 7
    domains = limiting.limited(data.Domains(numbered(40), numbered(9)), 8)
    assert len(domains.a) == len(domains.b) == 8


@pytest.mark.parametrize("count", [0, 101])
def test_as_many_as_there_are_not_are_refused(count):
    with pytest.raises(data.DataError, match=f"limited to {count}; expected 1 to 100, the number"):
        limiting.limited(numbered(100), count)


def test_what_has_no_number_of_images_is_not_limited():
    with pytest.raises(data.DataError, match="ring draws new points at every step: leave --limit"):
        data.load("ring", limit=10)
    with pytest.raises(data.DataError, match="ring is not a finite set of images"):
        limiting.limited(data.load("ring").train, 10)
