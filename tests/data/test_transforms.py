"""Transforms of arrays: their closed forms, the numbers they are fitted to, and their inverses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import transforms

# Both signs, ten orders of magnitude, zero; two channels of other scales, and one that is constant.
DRAWS = np.random.default_rng(0).normal(size=(50, 4, 3))
VALUES = np.sign(DRAWS) * 10.0 ** np.linspace(-5, 5, 50)[:, None, None] * [1.0, 1e3, 0.0]
VALUES[..., 2] = 0.1
VALUES[0, :, :2] = 0.0


def fitted(text: str, values: np.ndarray = VALUES) -> transforms.Transform:
    """Fits to pieces of 7 examples."""
    kinds = transforms.parsed(f"image={text}", ["image"])["image"]
    return transforms.fit(kinds, lambda: iter(values[i : i + 7] for i in range(0, len(values), 7)))


@pytest.mark.parametrize(
    "text", ["none", "standardize", "symlog", "minmax", "symlog+standardize", "symlog+minmax"]
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_inverse_gives_every_number_back(text, kind):
    values = VALUES.astype(kind)
    transform = fitted(text, values)
    back = transforms.invert(transform, transforms.apply(transform, values))
    scale = np.maximum(np.abs(values), 1e-12 if "standardize" not in text else 1e-5)
    assert np.max(np.abs(back - values) / scale) < 1e-6
    same = transforms.Transform.recorded(json.loads(json.dumps(transform.record())))
    assert same == transform and transforms.described(transform) == text


def test_each_step_is_its_closed_form():
    pairs = np.array([[0.0, -3.0], [4.0, 5.0]])
    by_hand = {
        "none": pairs,
        "symlog": [[0.0, -np.log(4)], [np.log(5), np.log(6)]],
        "standardize": [[-1.0, -1.0], [1.0, 1.0]],
        "minmax": [[-1.0, -1.0], [1.0, 1.0]],
    }
    for text, expected in by_hand.items():
        assert transforms.apply(fitted(text, pairs), pairs) == pytest.approx(np.array(expected))
    logs = transforms.apply(fitted("log1p", np.abs(pairs)), np.abs(pairs))
    assert logs == pytest.approx(np.log(1 + np.abs(pairs)))


def test_mean_and_deviation_are_those_of_each_channel_over_all_pieces():
    standardized = transforms.apply(fitted("standardize"), VALUES)
    assert standardized.mean(axis=(0, 1)) == pytest.approx(0, abs=1e-6)
    assert standardized.std(axis=(0, 1)) == pytest.approx([1, 1, 0], abs=1e-6)
    limits = transforms.apply(fitted("symlog+minmax"), VALUES)
    assert limits.min(axis=(0, 1)) == pytest.approx(-1)
    assert limits.max(axis=(0, 1)) == pytest.approx([1, 1, -1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image=sqrt", "has the transform 'sqrt'; expected ENTRY=TRANSFORM, of none, log1p"),
        ("symlog", "has 'symlog'; expected ENTRY=TRANSFORM"),
        ("picture=symlog", "names the entry 'picture', but the data have image, condition;"),
        ("image=symlog,image=none", "names the entry 'image', which it gives twice;"),
    ],
)
def test_what_is_no_transform_is_refused(text, said):
    with pytest.raises(data.DataError, match=said):
        transforms.parsed(text, ["image", "condition"])


def test_a_logarithm_of_what_has_none_is_refused():
    with pytest.raises(data.DataError, match=r"value is -1, and log1p takes .*symlog"):
        fitted("log1p", np.array([[0.0], [-1.0]]))


def test_entries_that_are_not_named_stay_as_they_are():
    assert transforms.parsed(None, ["image"]) == {"image": ()}
    assert transforms.parsed(" image = log1p+minmax ", ["image", "condition"]) == {
        "image": ("log1p", "minmax"),
        "condition": (),
    }
