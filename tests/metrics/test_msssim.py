"""MS-SSIM against its definition by scipy's filters, and what it says of variety."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from jaxgan.data import counter_rng
from jaxgan.metrics import msssim


def images(count, size=48, seed=0):
    draws = np.random.default_rng(seed).normal(128, 40, (count, size, size, 2))
    smooth = sum(np.roll(draws, (i, j), (1, 2)) for i in range(4) for j in range(4)) / 4
    return np.clip(smooth - smooth.mean() + 128, 0, 255)


def by_definition(first, second):
    """Of one pair of images [H, W, C] (Wang et al. 2003), scale by scale."""
    terms = []
    for _ in range(5):
        size = min(11, *first.shape[:2])
        at = np.arange(size) - (size - 1) / 2
        line = np.exp(-(at**2) / (2 * (1.5 * size / 11) ** 2))
        window = (np.outer(line, line) / np.sum(np.outer(line, line)))[..., None]

        def mean(x, window=window):
            return scipy.signal.convolve(x, window, mode="valid", method="direct")

        m1, m2 = mean(first), mean(second)
        v1, v2 = mean(first**2) - m1**2, mean(second**2) - m2**2
        covariance = mean(first * second) - m1 * m2
        structure = (2 * covariance + 58.5225) / (v1 + v2 + 58.5225)
        luminance = (2 * m1 * m2 + 6.5025) / (m1**2 + m2**2 + 6.5025)
        terms.append((np.mean(structure), np.mean(luminance * structure)))
        first, second = (
            (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4 for x in (first, second)
        )
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    structures = [max(term[0], 0) ** w for term, w in zip(terms[:-1], weights[:-1], strict=True)]
    return np.prod(structures) * max(terms[-1][1], 0) ** weights[-1]


def test_the_similarity_is_its_definition_at_five_scales():
    first, second = images(3), 0.7 * images(3) + 0.3 * images(3, seed=1)
    expected = [by_definition(a, b) for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(msssim.ms_ssim(first, second), expected, rtol=1e-6)
    assert 0.05 < min(expected) < max(expected) < 0.95


def test_equal_images_have_one_and_the_order_does_not_matter():
    first, second = images(4, size=28), images(4, size=28, seed=1)
    np.testing.assert_allclose(msssim.ms_ssim(first, first), 1, rtol=1e-12)
    np.testing.assert_allclose(msssim.ms_ssim(first, second), msssim.ms_ssim(second, first))


def test_images_of_opposite_structure_have_none_and_no_nan():
    first = images(2)
    np.testing.assert_array_equal(msssim.ms_ssim(first, 255 - first), 0)


def test_odd_sides_pair_their_last_pixels_with_themselves():
    image = np.arange(9.0).reshape(1, 3, 3, 1)
    np.testing.assert_allclose(msssim._halved(image)[0, :, :, 0], [[2, 3.5], [6.5, 8]])


def test_pairs_of_a_collapsed_set_are_alike():
    varied = images(9)
    order = np.argsort(counter_rng.bits(3, "pairs", np.arange(9)))
    pairs = [by_definition(varied[order[i]], varied[order[i + 1]]) for i in (0, 2, 4, 6)]
    assert msssim.between_pairs(varied, seed=3) == pytest.approx(np.mean(pairs), rel=1e-6)
    first = msssim.between_pairs(varied, pairs=1, seed=3)
    assert first == pytest.approx(pairs[0], rel=1e-6)
    assert msssim.between_pairs(np.repeat(varied[:1], 4, axis=0)) == pytest.approx(1)


@pytest.mark.parametrize("pairs", [1, 2, 4, 5000])
def test_the_metric_pairs_across_pieces_as_within_them(pairs):
    metric, varied = msssim.metric(pairs=pairs), images(9).astype(np.uint8)
    stream = metric.stream
    state = stream.init()
    for piece in (varied[:1], varied[1:4], varied[4:]):
        state = stream.update(state, piece)
        assert len(state.images) <= 2 * pairs
    two = stream.finish(stream.update(stream.init(), varied[:2]))
    numbers = metric.compute(stream.finish(state), two)
    expected = msssim.between_pairs(varied, pairs=pairs)
    assert numbers["ms_ssim"] == pytest.approx(expected, rel=1e-12)
    assert numbers["ms_ssim_of_real"] == pytest.approx(msssim.ms_ssim(varied[:1], varied[1:2])[0])


def test_images_that_are_stored_by_class_are_paired_across_classes():
    """Of two classes, each of equal images, a random pair is of one class in about half the cases:
    the mean lies half-way between 1 and the similarity of the classes.
    """
    two = images(2, size=16)
    apart = float(msssim.ms_ssim(two[:1], two[1:])[0])
    by_class = np.repeat(two, 200, axis=0)
    expected = (1 + apart) / 2
    error = 3 * (1 - apart) / 2 / np.sqrt(200)
    assert apart < 0.5
    assert msssim.between_pairs(by_class) == pytest.approx(expected, abs=error)
    in_turn = np.tile(two, (200, 1, 1, 1))
    assert msssim.between_pairs(in_turn) == pytest.approx(expected, abs=error)


def test_what_has_no_five_scales_or_no_pair_is_refused():
    with pytest.raises(ValueError, match="8x8 have no 5 scales"):
        msssim.ms_ssim(images(1, size=8), images(1, size=8))
    with pytest.raises(ValueError, match="at least 2 images"):
        msssim.between_pairs(images(1))
    with pytest.raises(ValueError, match="expected one"):
        msssim.ms_ssim(images(1), images(2))
