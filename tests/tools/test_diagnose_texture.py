"""What is finer than a thumbnail: a checkerboard, noise and blur are named, real images are not."""

from __future__ import annotations

import types

import numpy as np
import pytest
from scipy import ndimage

from jaxgan import data
from jaxgan.games import stages
from jaxgan.metrics import spectrum
from jaxgan.runs.config import DataSpec
from jaxgan.tools import diagnose
from jaxgan.tools.diagnosis import checks, run_reader, texture
from jaxgan.tools.diagnosis.finding import Series, merged

COUNT = 300
DOWN, ACROSS = np.mgrid[:28, :28]
STEPS = 50 * np.arange(1, 41)


@pytest.fixture(scope="module")
def garments():
    """Garments, and the levels [N, H, W, C] of some that are in neither side of a comparison."""
    splits = data.load("fashion")
    assert isinstance(splits.train, data.Dataset)
    others = splits.train.evenly(2 * COUNT)[1::2]
    return splits, splits.train.images[others].astype(float)


def images(levels):
    return data.to_float(np.clip(levels, 0, 255).round().astype(np.uint8))


def examined(garments, levels, columns=None, *, loss="hinge", step=2000, splits=None):
    """What is found in a run that draws these images, and all that is said of it."""
    made = images(levels)
    gan = types.SimpleNamespace(conditions=())
    trained = types.SimpleNamespace(gan=gan, sample=lambda seed, n: made[:n], step=step)
    record = types.SimpleNamespace(
        spec=DataSpec(made.shape[1:]),
        config=types.SimpleNamespace(loss=loss),
        plan=[stages.Stage(0, 32, lambda: None)],  # type: ignore[arg-type, return-value]
        saved=(step,),
    )
    question = checks.Question(record, trained, None, splits or garments[0])  # type: ignore[arg-type]
    part = checks.of_samples(question, columns or {}, count=COUNT)
    return {found.kind: found for found in part.findings}, part


def said(accuracy, lead):
    """The columns of a discriminator that is right so often, and is ahead by so much."""
    values = {
        "real_accuracy": accuracy,
        "fake_accuracy": accuracy,
        "real_logit": lead / 2,
        "fake_logit": -lead / 2,
    }
    return {f"discriminator/{name}": Series(STEPS, np.full(40, v)) for name, v in values.items()}


# --- what a run draws -----------------------------------------------------------------------------


def test_real_images_have_nothing_wrong_and_it_is_said_through_what_they_were_seen(garments):
    found, part = examined(garments, garments[1], said(0.55, 0.1))
    assert found == {} and part.unexamined == {}
    assert f"{COUNT} samples next to" in part.looked["the samples"]
    assert "thumbnails of 8x8 of their 28x28 pixels" in part.looked["the samples"]
    assert "28x28 pixels" in part.looked["the texture of the samples"]


PATTERNS = {
    "every pixel": ((-1.0) ** (DOWN + ACROSS), 8, 2),
    "columns": ((-1.0) ** ACROSS, 10, 2),
    "squares of 2": ((-1.0) ** (DOWN // 2 + ACROSS // 2), 10, 4),
    "blotches": ((-1.0) ** (DOWN + ACROSS) * (np.hypot(DOWN - 12, ACROSS - 16) < 8), 16, 2),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_a_checkerboard_of_moderate_amplitude_is_named(name, garments):
    pattern, amplitude, period = PATTERNS[name]
    found, part = examined(garments, garments[1] + amplitude * pattern[..., None])
    assert list(found) == ["checkered"]
    assert f"repeats every {period} pixels" in found["checkered"].what
    assert found["checkered"].since == 2000
    assert abs(part.numbers["precision"]) > 0.7  # to thumbnails they are as real as any


@pytest.mark.parametrize("amplitude", [0, 1])
def test_a_pattern_that_nobody_sees_is_none(amplitude, garments):
    pattern = amplitude * PATTERNS["every pixel"][0][..., None]
    assert examined(garments, garments[1] + pattern)[0] == {}


def test_spots_are_noise_and_a_discriminator_that_does_not_see_them_is_held_down(garments):
    spots = 12 * np.random.default_rng(0).normal(size=garments[1].shape)
    noisy = garments[1] + spots
    found, part = examined(garments, noisy, said(0.62, 0.3))
    assert list(found) == ["noisy", "blind"]
    assert "have more noise in quiet parts than real images" in found["noisy"].what
    assert found["noisy"].evidence["power over that of real images"] > 5
    assert found["blind"].evidence["accuracy on real"] == 0.62
    assert abs(part.numbers["precision"]) > 0.7
    assert list(examined(garments, noisy, said(0.8, 1.5))[0]) == ["noisy"]
    # Right nearly always, and by next to nothing: 2 - 0.1 of the hinge loss's 2 are left.
    held, _ = examined(garments, noisy, said(0.97, 0.1))
    seen = held["blind"].evidence["share of its loss gained on knowing nothing"]
    assert seen == pytest.approx(0.05)


def test_what_lacks_the_detail_of_real_images_is_blurred(garments):
    soft = ndimage.gaussian_filter(garments[1], (0, 1, 1, 0))
    found, _ = examined(garments, soft)
    assert list(found) == ["blurred"] and "have less structure of up to 4" in found["blurred"].what


def test_samples_where_no_data_are_are_no_clean_bill(garments):
    far, part = examined(garments, np.roll(garments[1], (9, 9), axis=(1, 2)), said(0.8, 1.5))
    assert far["far"].evidence == {
        name: part.numbers[name] for name in ("precision", "real_precision")
    }


def test_images_without_a_spectrum_are_said_to_be_so(garments):
    part = garments[0].train.images[:2000, 8:20, 8:20]
    small = data.Splits(data.Dataset("s", part[:1000]), data.Dataset("s", part[1000:]))
    _, seen = examined(garments, part[:COUNT].astype(float), splits=small)
    why = "images of 12x12 pixels are too small for a spectrum"
    assert seen.unexamined == {"the texture of the samples": why}
    assert texture.why_not((64, 64, 2)) == "images of 2 channels have no brightness"
    assert texture.why_not((64, 64, 3)) is None
    tiny = part[:, 4:12, 4:12]
    small = data.Splits(data.Dataset("s", tiny[:1000]), data.Dataset("s", tiny[1000:]))
    _, seen = examined(garments, tiny[:COUNT].astype(float), splits=small)
    assert seen.unexamined == {} and seen.looked["the samples"].endswith("pixel by pixel")


# --- by value -------------------------------------------------------------------------------------


def test_a_pattern_has_the_power_of_its_gain_and_the_floor_where_it_is():
    power = spectrum.power((100 + 3 * (-1.0) ** (DOWN + ACROSS))[None])[0]
    assert power[14, 14] == pytest.approx(9 * spectrum.gain(28, 28) + 1 / 12)
    assert power[7, 7] == pytest.approx(1 / 12)
    # Of a Hann window the mean is 1/2 and the mean square 3/8, each way.
    assert spectrum.gain(28, 28) == pytest.approx(28 * 28 * (0.5**4) / (3 / 8) ** 2)


@pytest.mark.parametrize(("period", "amplitude"), [(2, 4.0), (4, 6.0), (8, 8.0)])
def test_the_levels_and_the_period_of_a_pattern_are_found(period, amplitude):
    draws = np.random.default_rng(0)
    real, base = (128 + 20 * draws.normal(size=(100, 64, 64, 1)) for _ in range(2))
    at = np.arange(64)
    wave = np.cos(2 * np.pi * at / period)
    pattern = amplitude * (wave[:, None] * wave if period == 2 else wave + 0 * at[:, None])
    found = texture._pattern(
        texture.of(images(base + pattern[..., None])).power, texture.of(images(real)).power
    )
    assert found[2] == period
    # A cosine of a longer period has half its power in each of two frequencies.
    expected = amplitude if period == 2 else amplitude / 2
    assert found[1] == pytest.approx(expected, rel=0.1)
    clean = texture._pattern(texture.of(images(base)).power, texture.of(images(real)).power)
    assert clean[0] < 2


def test_slopes_and_straight_edges_are_quiet_and_noise_is_not():
    slope = np.broadcast_to(3.0 * np.arange(33), (1, 33, 33))
    edge = np.where(slope > 40, 255.0, 0.0)
    np.testing.assert_allclose(texture.quiet(np.concatenate([slope, edge])), 4.0)
    noise = 10 * np.random.default_rng(0).normal(size=(20, 129, 129))
    # The mixed difference over 2 of independent draws has their variance; a quarter lies below.
    assert 40 < texture.quiet(noise).mean() - 4 < 100


# --- the verdict ----------------------------------------------------------------------------------


def verdict(**part):
    return diagnose._verdict(merged([checks.Part(**part)]))


def test_too_early_and_not_to_be_judged_come_before_any_all_clear():
    early, unseen = "200 steps are few", {"the samples": "the model generates images from images"}
    clear = {"verdict": "nothing wrong was found", "because": []}
    assert verdict() == clear
    assert verdict(unexamined={"the game's Jacobian": "too large"}) == clear
    cannot = ["the samples: the model generates images from images"]
    assert verdict(unexamined=unseen) == {"verdict": "cannot be judged by this", "because": cannot}
    assert verdict(unexamined=unseen, early=(early, early)) == {
        "verdict": "too early to judge",
        "because": [early],
    }
    found = checks.Finding("far", "Far.", None, {})
    assert verdict(findings=(found,), early=(early,)) == {"verdict": "findings", "because": [early]}


@pytest.mark.parametrize(("step", "rows", "count"), [(200, 32, 2), (1000, 8, 1), (1000, 10, 0)])
def test_few_steps_and_less_than_an_epoch_are_early(step, rows, count, garments):
    question = types.SimpleNamespace(
        trained=types.SimpleNamespace(step=step), splits=garments[0], rows=rows
    )
    assert len(checks.too_early(question)) == count  # type: ignore[arg-type]


def test_what_a_judge_gains_on_knowing_nothing_by_hand():
    steps = np.arange(3)
    real, fake = np.array([0.0, 0.5, 3.0]), np.array([0.0, -0.5, -3.0])
    given = {"d/real_logit": Series(steps, real), "d/fake_logit": Series(steps, fake)}
    for loss, expected in (
        ("hinge", [0.0, 0.5, 1.0]),
        ("non_saturating", 1 - np.log1p(np.exp(-real)) / np.log(2)),
        ("relativistic_paired", 1 - np.log1p(np.exp(fake - real)) / np.log(2)),
    ):
        found = run_reader.skill(given, "d", loss)
        assert found is not None
        np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert run_reader.skill(given, "d", "wasserstein") is None
    assert run_reader.skill(given, "d", "another") is None
