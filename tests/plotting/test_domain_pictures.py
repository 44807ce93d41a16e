"""The sample picture of a model between two domains: input, output and truth in columns."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.plotting import image_grids
from jaxgan.runs.config import DataSpec
from tests import toy_translation

COUNT = 30


class State:
    def averaged(self):
        return {}


def domain(channels: int, *, count: int = COUNT, start: int = 0) -> data.Dataset:
    """Images of one level each: their number."""
    levels = (start + np.arange(count)).astype(np.uint8)[:, None, None, None]
    return data.Dataset("d", np.broadcast_to(levels, (count, 64, 64, channels)).copy())


def cells(held_out: data.Domains, **changes) -> np.ndarray:
    """The level in the middle of every cell of the picture."""
    spec = DataSpec((64, 64, 1), (), {"a": (64, 64, 1)})
    gan = toy_translation.build(toy_translation.Config(), spec)._replace(**changes)
    splits = data.Splits(held_out.unpaired(), held_out)
    draw = image_grids.picture_of(gan, splits, seed=0, say=pytest.fail, rows=3, batch_size=4)
    picture = np.asarray(draw(State()))
    return picture[2 + 32 :: 66, 2 + 32 :: 66]


def test_pairs_show_input_output_and_truth_both_ways():
    pairs = data.Pairs(domain(1), domain(1, start=100))
    found = cells(pairs)
    assert found.shape == (3, 12)  # two of three columns each way
    rows = np.arange(6) * COUNT // 6
    forth, back = found[:, :6].reshape(6, 3), found[:, 6:].reshape(6, 3)
    np.testing.assert_array_equal(forth, np.stack([rows, 255 - rows, rows + 100], 1))
    np.testing.assert_array_equal(back, np.stack([rows + 100, 155 - rows, rows], 1))


def test_domains_that_are_not_paired_have_no_truth_and_one_way_has_all_the_room():
    domains = data.Domains(domain(1), domain(1, count=20))
    assert cells(domains).shape == (3, 8)
    assert cells(domains, conditions=("a",)).shape == (3, 8)
    few = data.Domains(domain(1, count=2), domain(1))
    assert cells(few).shape == (2, 4)


def test_gray_beside_color_is_shown_in_color():
    pairs = data.Pairs(domain(1), domain(3, start=100))
    found = cells(pairs, conditions=("a",))
    assert found.shape == (3, 12, 3)
    assert (found == found[..., :1]).all()
