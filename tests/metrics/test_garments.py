"""The judge of garments and what is computed from its verdicts."""

from __future__ import annotations

import re

import numpy as np
import pytest

from jaxgan import data
from jaxgan.metrics import garments


@pytest.fixture(scope="module")
def held_out():
    return data.load("fashion").held_out


@pytest.fixture(scope="module")
def verdicts(held_out):
    return garments.judge(held_out.float_images())


def test_the_embedded_classifier_is_right_on_88_percent_of_held_out_images(held_out, verdicts):
    probabilities, features = verdicts
    assert probabilities.shape == (len(held_out), 10)
    assert features.shape == (len(held_out), 128)
    assert garments.class_agreement(probabilities, held_out.labels) >= 0.88


def test_its_confidence_is_its_accuracy(held_out, verdicts):
    probabilities, _ = verdicts
    accuracy = garments.class_agreement(probabilities, held_out.labels)
    assert probabilities.max(axis=1).mean() == pytest.approx(accuracy, abs=0.02)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_a_verdict_depends_on_its_image_alone(held_out, verdicts):
    images = held_out.float_images()
    alone, _ = garments.judge(images[700:701])
    np.testing.assert_allclose(alone[0], verdicts[0][700], atol=1e-5)


def test_it_judges_in_full_precision_on_every_device(held_out, monkeypatch):
    programs, judged = [], garments._judge

    def lowered(variables, images):
        programs.append(judged.lower(variables, images).as_text())
        return judged(variables, images)

    monkeypatch.setattr(garments, "_judge", lowered)
    garments.judge(held_out.take(3).float_images())
    (program,) = programs
    products = re.findall(r".*stablehlo\.(?:convolution|dot_general)\b.*", program)
    assert len(products) == 5
    assert all(line.count("HIGHEST") == 2 for line in products)


def test_other_images_than_garments_are_refused():
    with pytest.raises(ValueError, match=r"28x28x1, not images of \(32, 32, 3\)"):
        garments.judge(np.zeros((2, 32, 32, 3), np.float32))


def test_shares_count_only_confident_images():
    probabilities = np.array([[0.95, 0.05], [0.6, 0.4], [0.1, 0.9], [0.02, 0.98]])
    assert garments.confident_shares(probabilities).tolist() == [0.25, 0.5]


def test_mean_pairwise_distance_by_hand():
    features = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]])
    assert garments.mean_pairwise_distance(features) == pytest.approx((5 + 8 + 5) / 3, rel=1e-12)
    assert garments.mean_pairwise_distance(features + 1e6) == pytest.approx(6.0, rel=1e-6)
    with pytest.raises(ValueError, match="at least 2 images"):
        garments.mean_pairwise_distance(features[:1])


def test_one_image_a_class_has_no_diversity_and_real_images_have_one(held_out, verdicts):
    labels, features = held_out.labels, verdicts[1]
    first = np.array([np.flatnonzero(labels == label)[0] for label in range(10)])
    collapsed = features[first][labels]
    assert garments.diversity(collapsed, labels, features, labels) == pytest.approx(0, abs=1e-6)
    assert garments.diversity(features, labels, features, labels) == pytest.approx(1)
