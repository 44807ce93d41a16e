"""Pairs made of single images: pieces and the same reduced, a pure function of seed and step."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import bicubic, lowered

DRAWS = np.random.default_rng(0)


def photos(count: int = 5, height: int = 12, width: int = 16, **options) -> data.Dataset:
    images = DRAWS.integers(0, 256, (count, height, width, 3), np.uint8)
    return data.Dataset("photos", images, **options)


def places_of(piece: np.ndarray, images: np.ndarray) -> list[tuple[int, int, int]]:
    """Where a piece was cut from: image, row and column."""
    height, width = piece.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(images, (height, width), (1, 2))
    return [
        tuple(map(int, place))
        for place in np.argwhere((np.moveaxis(windows, 3, -1) == piece).all((3, 4, 5)))
    ]


def test_a_batch_holds_pieces_of_the_images_and_the_same_reduced():
    source = photos()
    batch = lowered.Lowered(source, 4, (8, 8)).batch(seed=0, step=3, size=6)
    large, small = data.to_uint8(batch["b"]), data.to_uint8(batch["a"])
    assert large.shape == (6, 8, 8, 3) and small.shape == (6, 2, 2, 3)
    np.testing.assert_array_equal(small, bicubic.smaller(large, 4))
    assert all(len(places_of(piece, source.images)) == 1 for piece in large)
    assert batch["a"].dtype == batch["b"].dtype == np.float32


def test_all_places_are_cut_out_and_every_image_once_an_epoch():
    source = photos(count=4)
    pairs = lowered.Lowered(source, 2, (10, 14))
    seen = data.to_uint8(pairs.batch(seed=1, step=0, size=200)["b"])
    places = [places_of(piece, source.images)[0] for piece in seen]
    assert {place[1:] for place in places} == {(row, col) for row in range(3) for col in range(3)}
    images = np.array([place[0] for place in places]).reshape(-1, 4)
    assert (np.sort(images, axis=1) == np.arange(4)).all()


def test_batches_are_a_function_of_seed_and_step_and_rows_are_rows_of_them():
    pairs = lowered.Lowered(photos(flip=True), 2, (6, 6))
    full = pairs.batch(seed=2, step=5, size=9)
    again = lowered.Lowered(pairs.images, 2, (6, 6)).batch(seed=2, step=5, size=9, rows=[7, 0])
    other = pairs.batch(seed=3, step=5, size=9)
    for role in ("a", "b"):
        assert np.array_equal(again[role], full[role][[7, 0]])
        assert not np.array_equal(other[role], full[role])


def test_both_of_a_pair_are_mirrored():
    plain, flipped = (
        lowered.Lowered(photos, 2, (8, 8)).batch(seed=0, step=0, size=40)
        for photos in (FIXED, FIXED.augmented(flip=True, jitter=0))
    )
    turned = [not np.array_equal(*pair) for pair in zip(plain["b"], flipped["b"], strict=True)]
    assert 10 < sum(turned) < 30
    for role in ("a", "b"):
        expected = np.where(np.reshape(turned, (-1, 1, 1, 1)), plain[role][:, :, ::-1], plain[role])
        np.testing.assert_allclose(flipped[role], expected, atol=1.01 / 127.5)


FIXED = photos(count=3)


def test_a_run_trains_on_pieces_and_holds_out_whole_pairs():
    whole = data.Splits(photos(), photos(count=2), ("first",))
    splits = lowered.splits(whole, factor=4, crop="8x12")
    assert splits.train.shape == (8, 12, 3) and splits.train.inputs == {"a": (2, 3, 3)}
    assert isinstance(splits.held_out, data.Pairs)
    np.testing.assert_array_equal(splits.held_out.b.images, whole.held_out.images)
    np.testing.assert_array_equal(
        splits.held_out.a.images, bicubic.smaller(whole.held_out.images, 4)
    )
    assert splits.notes == ("first",)
    larger = lowered.splits(whole, factor=4, crop=96)
    assert larger.train.shape == (12, 16, 3)
    assert lowered.splits(whole, factor=4).train.digest == larger.train.digest
    assert len({splits.train.digest, larger.train.digest}) == 2


def test_sides_that_the_factor_does_not_divide_are_cut_and_said_so():
    whole = data.Splits(photos(height=13, width=17), photos(height=13, width=17))
    splits = lowered.splits(whole, factor=3, crop=6)
    assert splits.held_out.shape == (12, 15, 3)
    assert splits.notes == ("Images of 13x17 pixels are cut to 12x15, multiples of 3.",)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"factor": 4, "crop": "10"}, "photos: pieces of 10x10 pixels cannot be made 4 times"),
        ({"factor": 1}, "cannot be made 1 times smaller; give a factor of 2 or more"),
        ({"factor": 13}, "12x16 pixels cannot be made 13 times smaller"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, sentence):
    whole = data.Splits(photos(), photos())
    with pytest.raises(data.DataError, match=sentence):
        lowered.splits(whole, **changes)
    ring = data.load("ring")
    with pytest.raises(data.DataError, match="no single images; only those can be reduced"):
        lowered.splits(ring, factor=2)
