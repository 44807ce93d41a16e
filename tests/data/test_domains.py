"""Images of two domains: how batches are drawn from them, and the embedded ones."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import fashion_domains


def numbered(count: int, start: int = 0) -> np.ndarray:
    """Images 2 x 3 x 1, each of one level: its number."""
    levels = np.arange(start, start + count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, 2, 3, 1)).copy()


def drawn(source, steps: int, size: int = 8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the images of both domains that these steps see."""
    batches = [source.batch(seed=seed, step=step, size=size) for step in range(steps)]
    both = (np.concatenate([batch[role] for batch in batches]) for role in "ab")
    first, second = (data.to_uint8(images[:, 0, 0, 0]) for images in both)
    return first, second


def test_a_batch_holds_both_domains_as_floats_and_the_rows_asked_for_are_those_of_the_whole():
    pairs = data.Pairs(data.Dataset("p", numbered(20)), data.Dataset("p", numbered(20, 100)))
    batch = pairs.batch(seed=1, step=5, size=8)
    assert set(batch) == {"a", "b"}
    assert all(images.shape == (8, 2, 3, 1) for images in batch.values())
    assert all(images.dtype == np.float32 for images in batch.values())
    part = pairs.batch(seed=1, step=5, size=8, rows=[6, 2])
    for role in "ab":
        np.testing.assert_array_equal(part[role], batch[role][[6, 2]])
    again = pairs.batch(seed=1, step=5, size=8)
    np.testing.assert_array_equal(again["a"], batch["a"])


def test_pairs_stay_pairs_and_an_epoch_sees_each_once():
    pairs = data.Pairs(data.Dataset("p", numbered(24)), data.Dataset("p", numbered(24, 100)))
    a, b = drawn(pairs, steps=3)
    np.testing.assert_array_equal(b, a + 100)
    assert sorted(a) == list(range(24))


@pytest.mark.parametrize("counts", [(24, 24), (24, 16)])
def test_domains_are_drawn_independently_each_in_epochs_of_its_own(counts):
    pair = [data.Dataset("p", numbered(count)) for count in counts]
    domains = data.Domains(*pair)
    assert len(domains) == 24
    a, b = drawn(domains, steps=6)
    for seen, count in zip((a, b), counts, strict=True):
        for epoch in range(48 // count):
            part = seen[epoch * count : (epoch + 1) * count]
            assert sorted(part) == list(range(count))
    # Forty-eight draws of one order on two domains would meet every time.
    assert np.mean(a == b) < 0.25


def test_pairs_are_mirrored_and_cut_out_alike_and_domains_each_by_itself():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    same = [data.Dataset("p", images) for _ in range(2)]
    cut = data.Pairs(*same).of_each(lambda side: side.cut_at_random((5, 5)))
    paired = cut.augmented(flip=True).batch(seed=0, step=0, size=40)
    np.testing.assert_array_equal(paired["a"], paired["b"])
    apart = data.Domains(cut.a, cut.b).batch(seed=0, step=0, size=40)
    assert not np.array_equal(np.sort(apart["a"], axis=None), np.sort(apart["b"], axis=None))
    levels = {image.tobytes() for image in images}
    mirrored = data.Domains(*same).augmented(flip=True).batch(seed=0, step=0, size=40)
    kept = [
        np.mean([image.tobytes() in levels for image in data.to_uint8(mirrored[role])])
        for role in "ab"
    ]
    assert min(kept) > 0.2 and max(kept) < 0.8 and kept[0] != kept[1]


def test_a_swap_exchanges_the_domains(make_archive):
    spec = f"npz:{make_archive(a=numbered(20), b=numbered(20, 100))}"
    there, back = (data.load(spec, kind="pairs", direction=d) for d in ("AtoB", "BtoA"))
    np.testing.assert_array_equal(there.train.a.images, back.train.b.images)
    np.testing.assert_array_equal(there.held_out.b.images, back.held_out.a.images)
    assert there.train.digest != back.train.digest
    with pytest.raises(data.DataError, match="'BtoC'; expected AtoB or BtoA"):
        data.load(spec, kind="pairs", direction="BtoC")


def test_pairs_serve_as_domains_and_what_is_held_out_stays_paired(make_archive):
    spec = f"npz:{make_archive(a=numbered(20), b=numbered(20, 100))}"
    splits = data.load("fashion-edges", kind="domains")
    assert type(splits.train) is data.Domains and type(splits.held_out) is data.Pairs
    unpaired = data.load(spec, kind="domains")
    assert type(unpaired.train) is data.Domains and type(unpaired.held_out) is data.Domains
    assert type(data.load(spec, kind="pairs").train) is data.Pairs


def test_the_digest_tells_pairs_from_domains_and_one_order_from_the_other():
    one, other = (data.Dataset("p", numbered(9, start)) for start in (0, 50))
    known = [data.Pairs(one, other), data.Domains(one, other), data.Domains(other, one)]
    assert len({source.digest for source in known}) == 3
    assert data.Pairs(one, other).digest == known[0].digest


def test_a_model_is_told_both_shapes(make_archive):
    spec = f"npz:{make_archive(a=numbered(20), b=np.zeros((20, 2, 3, 3), np.uint8))}"
    train = data.load(spec, kind="pairs").train
    assert train.shape == (2, 3, 3) and train.inputs == {"a": (2, 3, 1)} and train.classes == ()


# --- embedded -------------------------------------------------------------------------------------


def test_a_drawing_shows_where_it_is_bright_beside_the_dark_and_nothing_on_even_ground():
    image = np.zeros((1, 9, 9, 1), np.uint8)
    assert not fashion_domains.drawing(image).any()
    image[:, 3:6, 3:6] = 200
    lines = fashion_domains.drawing(image)[0, :, :, 0]
    assert set(np.unique(lines)) == {0, 255}
    assert lines[3, 3] == lines[5, 5] == 255 and not lines[0].any() and not lines[:, 8].any()
    np.testing.assert_array_equal(lines, lines.T)
    even = fashion_domains.drawing(np.full((1, 21, 21, 1), 200, np.uint8))[0, :, :, 0]
    assert even[0, 10] == 255 and not even[8:13, 8:13].any()


def test_the_drawings_are_the_same_on_every_machine():
    splits = data.load("fashion-edges", kind="pairs")
    assert (len(splits.train), len(splits.held_out)) == (10_000, 2_000)
    assert splits.train.digest.startswith("62e0e9a15e9235bb")
    share = np.mean(splits.train.a.images == 255)
    assert 0.15 < share < 0.25
    assert splits.held_out.a.labels is None and splits.held_out.b.labels is not None


def test_the_halves_share_no_garment_and_held_out_pairs_are_those_of_the_drawings():
    splits = data.load("fashion-halves", kind="domains")
    pairs = data.load("fashion-edges", kind="pairs")
    assert len(splits.train.a) == len(splits.train.b) == 5_000
    drawings = {image.tobytes() for image in splits.train.a.images}
    of_photographs = fashion_domains.drawing(splits.train.b.images)
    shared = sum(image.tobytes() in drawings for image in of_photographs)
    assert shared <= 3  # of the embedded garments a few are stored twice
    np.testing.assert_array_equal(splits.held_out.a.images, pairs.held_out.a.images)
    assert np.bincount(splits.train.b.labels).min() > 400


def test_shoes_and_bags_are_those_of_the_classes():
    splits = data.load("shoes-bags", kind="domains")
    sizes = [len(part) for side in splits[:2] for part in (side.a, side.b)]
    assert sizes == [3_000, 1_000, 600, 200]
    names = [
        {part.classes[label] for label in part.labels} for part in (splits.train.a, splits.train.b)
    ]
    assert names == [set(fashion_domains.SHOES), {"Bag"}]


def test_an_embedded_set_comes_in_the_size_and_channels_asked_for():
    splits = data.load("fashion-edges", kind="pairs", resolution=32, channels=3)
    assert splits.train.shape == splits.held_out.inputs["a"] == (32, 32, 3)
