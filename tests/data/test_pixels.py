"""Levels of 8 bits and floats in [-1, 1]: exact ends, and every level there and back."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data

EVERY = np.arange(256, dtype=np.uint8)


def test_the_ends_are_exact_and_levels_are_evenly_spaced():
    levels = data.to_float(EVERY)
    assert levels.dtype == np.float32
    assert levels[0] == -1.0 and levels[255] == 1.0
    np.testing.assert_allclose(np.diff(levels.astype(np.float64)), 2 / 255, atol=1e-7)


def test_every_level_survives_the_way_there_and_back():
    assert np.array_equal(data.to_uint8(data.to_float(EVERY)), EVERY)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (-1.0, 0),
        (1.0, 255),
        (-7.0, 0),
        (7.0, 255),
        (np.inf, 255),
        (-np.inf, 0),
        (np.nan, 0),
        (2 * 99.49 / 255 - 1, 99),
        (2 * 99.51 / 255 - 1, 100),
    ],
)
def test_floats_are_clipped_and_rounded_to_the_nearest_level(value, level):
    assert data.to_uint8(np.array([value])).tolist() == [level]


def test_only_uint8_has_a_float():
    with pytest.raises(TypeError, match="int64; expected uint8"):
        data.to_float(np.arange(3))
