"""Pairs made of single images, which are reduced as files of them would be."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import super_resolution_pairs
from jaxgan.kernels import bicubic


def photos(height: int, width: int) -> data.Dataset:
    images = np.random.default_rng(0).integers(0, 256, (5, height, width, 3), np.uint8)
    return data.Dataset("photos", images, np.arange(5), tuple("abcde"))


@pytest.mark.parametrize(("size", "cut"), [((12, 16), (12, 16)), ((14, 19), (12, 16))])
def test_each_image_is_reduced_and_sides_that_do_not_divide_are_cut(size, cut):
    whole = photos(*size)
    pairs = super_resolution_pairs.pairs(whole, 4)
    np.testing.assert_array_equal(pairs.b.images, whole.images[:, : cut[0], : cut[1]])
    np.testing.assert_array_equal(pairs.a.images, bicubic.smaller(pairs.b.images, 4))
    assert pairs.shape == (*cut, 3) and pairs.inputs == {"a": (cut[0] // 4, cut[1] // 4, 3)}
    assert pairs.take(2).b.labels.tolist() == [0, 2]


@pytest.mark.parametrize("factor", [1, 13])
def test_what_cannot_be_reduced_is_refused(factor):
    with pytest.raises(data.DataError, match=rf"photos: .* cannot be downscaled {factor} times"):
        super_resolution_pairs.pairs(photos(12, 16), factor)
    with pytest.raises(data.DataError, match="not single images; expected single images"):
        super_resolution_pairs.pairs(data.load("ring").train, 2)
