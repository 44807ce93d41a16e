"""The signals of diagnosis, each on arrays made by hand: what it finds, and where it is silent."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.tools.diagnosis import finding, log_signals, overfitting_signal, sample_signals
from jaxgan.tools.diagnosis.finding import Series

ROWS = 40
STEPS = 50 * np.arange(1, ROWS + 1)
NOISE = np.random.default_rng(0).normal(size=ROWS)


def series(values):
    return Series(STEPS, np.broadcast_to(np.asarray(values, float), ROWS))


def from_row(row, before, after):
    """A series that changes from one value to another at a row."""
    return series(np.where(np.arange(ROWS) < row, before, after))


# --- what a state is, and since when --------------------------------------------------------------


def test_a_state_holds_since_the_first_row_of_those_that_last_to_the_end():
    holds = np.arange(ROWS) >= 30
    assert finding.lasting(STEPS, holds) == STEPS[30]
    assert finding.lasting(STEPS, np.ones(ROWS, bool)) == STEPS[0]
    holds[32] = False
    assert finding.lasting(STEPS, holds) == STEPS[33]
    assert finding.lasting(STEPS, np.arange(ROWS) >= ROWS - 4) is None
    assert finding.lasting(STEPS, np.arange(ROWS) < 30) is None
    long = np.arange(1000)
    assert finding.lasting(long, long >= 910) is None  # a tenth of a long log
    assert finding.lasting(long, long >= 890) == 890


def test_smoothing_takes_no_notice_of_an_outlier():
    values = np.ones(9)
    values[4] = 1e9
    np.testing.assert_array_equal(finding.smooth(values), np.ones(9))
    np.testing.assert_array_equal(finding.smooth(np.arange(9.0))[2:7], np.arange(2.0, 7.0))


def test_columns_meet_at_the_steps_that_both_have():
    left, right = Series(STEPS[::2], NOISE[::2]), Series(STEPS[::3], NOISE[::3])
    steps, (a, b) = finding.together(left, right)
    np.testing.assert_array_equal(steps, STEPS[::6])
    np.testing.assert_array_equal(a, NOISE[::6])
    np.testing.assert_array_equal(b, NOISE[::6])


# --- numbers that are not finite ------------------------------------------------------------------


def test_the_first_column_that_is_not_finite_is_named_and_a_loss_before_others():
    broken = {
        "generator/gradient_norm": from_row(20, 1.0, np.nan),
        "generator/loss": from_row(20, 1.0, np.inf),
        "discriminator/loss": from_row(25, 1.0, np.nan),
        "discriminator/real_logit": series(1.0),
    }
    found = log_signals.not_finite(broken)
    assert found is not None and found.kind == "not finite"
    assert (found.since, found.what) == (STEPS[20], "generator/loss is not finite.")
    assert log_signals.not_finite({"a": series(1e300)}) is None


@pytest.mark.parametrize(
    ("last", "saved", "broke"),
    [(500, None, True), (500, 400, True), (500, 500, False), (500, 512, False), (1000, 900, False)],
)
def test_a_run_that_ends_early_without_saving_broke_off(last, saved, broke):
    found = log_signals.broke_off(last, steps=1000, saved=saved)
    assert (found is not None) == broke
    if found is not None:
        assert (found.kind, found.since) == ("not finite", 500)


# --- gradients ------------------------------------------------------------------------------------


def test_a_gradient_that_grows_a_hundredfold_has_exploded():
    growing = series(0.1 * np.exp(0.2 * np.arange(ROWS)))
    found = log_signals.exploded(growing, player="generator")
    assert found is not None and found.kind == "exploded"
    assert "gradient of the generator" in found.what
    # A tenth of the limit, 100 times the median of the first ten rows: after ln(10) / 0.2 rows.
    assert found.since == STEPS[17]
    assert log_signals.exploded(series(np.linspace(1, 90, ROWS)), player="generator") is None
    assert log_signals.exploded(series(0.0), player="generator") is None


def test_a_gradient_may_explode_before_the_first_row_ends():
    found = log_signals.exploded(series(3e6), player="discriminator")
    assert found is not None and found.since == STEPS[0]


def test_one_spike_is_no_explosion():
    assert log_signals.exploded(from_row(ROWS - 1, 1.0, 1e6), player="generator") is None


def test_a_gradient_vanishes_only_where_the_discriminator_is_ahead():
    gone, ahead, level = from_row(25, 2.0, 0.01), series(0.9), series(0.5)
    found = log_signals.vanished(gone, ahead, ahead)
    assert found is not None and (found.kind, found.since) == ("vanished", STEPS[25])
    assert found.evidence == {"gradient norm, early": 2.0, "gradient norm, last": 0.01}
    assert log_signals.vanished(gone, level, level) is None
    assert log_signals.vanished(from_row(25, 2.0, 0.03), ahead, ahead) is None
    assert log_signals.vanished(gone, Series(STEPS[:5], np.ones(5)), ahead) is None


def test_a_loss_saturates_only_where_the_discriminator_is_ahead():
    passed, ahead = from_row(10, 1.0, 0.001), series(5.0)
    found = log_signals.saturated(passed, ahead)
    assert found is not None and (found.kind, found.since) == ("vanished", STEPS[10])
    assert log_signals.saturated(passed, series(-5.0)) is None
    assert log_signals.saturated(series(0.1), ahead) is None


# --- verdicts -------------------------------------------------------------------------------------


def test_a_discriminator_that_is_always_right_has_won():
    found = log_signals.won(from_row(12, 0.8, 0.995), from_row(15, 0.8, 1.0))
    assert found is not None and (found.kind, found.since) == ("won", STEPS[15])
    assert log_signals.won(series(0.93), series(0.88)) is None
    assert log_signals.won(series(1.0), series(0.9)) is None
    assert log_signals.won(from_row(ROWS - 4, 0.8, 1.0), series(1.0)) is None


def test_a_discriminator_that_is_right_half_the_time_is_blind():
    found = log_signals.blind(series(1.0), series(0.1))
    assert found is not None and (found.kind, found.since) == ("blind", STEPS[0])
    assert log_signals.blind(series(0.7), series(0.7)) is None


def test_a_penalty_that_keeps_the_discriminator_from_learning_holds_it_down():
    """As in a run whose discriminator ranked 62 % of pairs right, at a hinge loss of 1.87 of 2."""
    right, gained, penalty = series(0.62), series(1 - 1.87 / 2), series(0.01)
    found = log_signals.held_down(right, right, gained, penalty, series(1.0))
    assert found is not None and (found.kind, found.since) == ("held down", STEPS[0])
    assert found.evidence["gamma"] == 1.0
    assert log_signals.held_down(right, right, gained, series(0.0)) is None
    assert log_signals.held_down(series(0.9), series(0.9), gained, penalty) is None
    assert log_signals.held_down(right, right, series(0.3), penalty) is None


def test_a_discriminator_that_was_ahead_before_it_met_its_match_is_not_held_down():
    late, early = (from_row(row, 0.5, 0.05) for row in (20, 8))
    right, penalty = series(0.6), series(0.01)
    assert log_signals.held_down(right, right, late, penalty) is None
    found = log_signals.held_down(right, right, early, penalty)
    assert found is not None and found.since == STEPS[8]


# --- swings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [6, 10])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_lead_that_returns_is_an_oscillation_with_its_period(period, noise):
    rows = np.arange(100)
    wave = 1.0 + 2.0 * np.sin(2 * np.pi * rows / period)
    wave += noise * np.random.default_rng(1).normal(size=100)
    found = log_signals.oscillating(Series(20 * (rows + 1), wave))
    assert found is not None and found.kind == "oscillating"
    assert found.evidence["period in steps"] == pytest.approx(20 * period, abs=20)
    assert found.since is not None and found.since <= 20 * (period + 2)


def test_an_oscillation_is_dated_by_its_first_full_swing():
    rows = np.arange(200)
    wave = 2.0 + np.where(rows < 60, 0.05, 1.5) * np.sin(2 * np.pi * rows / 12)
    found = log_signals.oscillating(Series(rows, wave))
    assert found is not None and found.since is not None and 60 <= found.since <= 72


@pytest.mark.parametrize("seed", range(20))
def test_noise_a_drift_and_a_wandering_lead_are_no_oscillation(seed):
    draws = np.random.default_rng(seed)
    count = 120
    noise = 2.0 * draws.normal(size=count)
    assert log_signals.oscillating(Series(np.arange(count), noise)) is None
    drift = np.linspace(0, 30, count) + noise
    assert log_signals.oscillating(Series(np.arange(count), drift)) is None
    settling = 5 * np.exp(-np.arange(count) / 10) + 0.1 * noise
    assert log_signals.oscillating(Series(np.arange(count), settling)) is None


def test_swings_too_small_or_too_few_are_none():
    rows = np.arange(100)
    wave = np.sin(2 * np.pi * rows / 8)
    assert log_signals.oscillating(Series(rows, 0.2 * wave)) is None
    assert log_signals.oscillating(Series(rows, 0.2 * wave), least=0.1) is not None
    assert log_signals.oscillating(Series(rows, 10 + 2 * wave)) is None
    assert log_signals.oscillating(Series(rows, 2 * np.sin(2 * np.pi * rows / 25))) is None
    assert log_signals.oscillating(Series(rows[:30], 2 * wave[:30])) is None


# --- samples --------------------------------------------------------------------------------------


def cloud(count, *, scale=1.0, seed=0, size=6):
    return scale * np.random.default_rng(seed).normal(size=(count, size))


def test_samples_less_than_half_as_far_apart_as_real_ones_have_collapsed():
    real = cloud(300)
    found = sample_signals.collapsed(cloud(300, scale=0.4, seed=1), real)
    assert found is not None and found.kind == "collapsed"
    apart = found.evidence["mean distance of two samples"]
    assert apart / found.evidence["of two real examples"] == pytest.approx(0.4, abs=0.02)
    assert sample_signals.collapsed(cloud(300, scale=0.6, seed=1), real) is None


def clusters(modes, seed, count=500):
    """Points in the first of five places, round each of which is a cloud."""
    places = np.random.default_rng(seed).integers(modes, size=count)
    return (20 * np.eye(6))[places] + cloud(count, seed=seed)


def test_samples_that_are_of_four_kinds_of_five_have_lost_modes():
    real = clusters(5, 0)
    found = sample_signals.kinds_lost(clusters(4, 1), real)
    assert found is not None and found.kind == "modes lost"
    fifth = np.mean(real[:, 4] > 10)
    assert found.evidence["real examples that are of them"] == pytest.approx(fifth)
    assert found.evidence["kinds"] == 10  # of fifty examples each
    assert sample_signals.kinds_lost(clusters(5, 1), real) is None
    few = clusters(5, 0, count=sample_signals.EACH)
    assert sample_signals.kinds_lost(clusters(1, 1), few) is None  # too few to have kinds
    twice = np.repeat(clusters(5, 0, count=4), 100, axis=0)
    assert sample_signals.kinds_lost(twice, twice) is None  # fewer different ones than kinds


def test_a_kind_is_lost_below_a_tenth_of_its_share():
    real = clusters(5, 0)
    rest = clusters(4, 1, count=960)
    seldom, often = (20 * np.eye(6)[4] + cloud(n, seed=2) for n in (10, 60))
    assert sample_signals.kinds_lost(np.vstack([rest, seldom]), real) is not None
    assert sample_signals.kinds_lost(np.vstack([rest, often]), real) is None


def test_good_samples_of_part_of_the_data_have_lost_modes():
    real, others = clusters(5, 0), clusters(5, 1)
    part = sample_signals.fidelity(clusters(2, 2), real, others)
    found = sample_signals.uncovered(part)
    assert found is not None and found.kind == "modes lost"
    assert found.evidence["coverage"] == pytest.approx(0.4, abs=0.05)
    assert not part.poor
    assert sample_signals.uncovered(sample_signals.fidelity(clusters(5, 3), real, others)) is None
    far = sample_signals.fidelity(100 + clusters(2, 2), real, others)
    assert far.poor
    assert sample_signals.uncovered(far) is None  # coverage says nothing of what is nowhere


def test_modes_of_a_mixture_are_lost_where_next_to_no_point_is_nearest():
    ring = data.load("ring").train
    assert isinstance(ring, data.Mixture)
    points = ring.batch(seed=0, step=0, size=800)["image"]
    assert sample_signals.modes_lost(points, ring) is None
    left = points[np.argmin(np.linalg.norm(points[:, None] - ring.centers, axis=2), axis=1) < 5]
    found = sample_signals.modes_lost(left, ring)
    assert found is not None and found.what == "The generator has lost 3 of 8 modes."
    assert sample_signals.modes_lost(points + 0.2, ring) is None  # however far
    assert sample_signals.scattered(points + 0.2, ring)
    assert not sample_signals.scattered(points, ring)


def test_the_gravest_fault_of_samples_is_the_one_that_is_told():
    real, others = cloud(200), cloud(200, seed=1)
    sides = sample_signals.Sides(real, others)
    assert sample_signals.failing(cloud(200, seed=2), sides) is None
    alike = sample_signals.failing(cloud(200, scale=0.1), sides)
    assert alike is not None and alike.kind == "collapsed"
    five = sample_signals.Sides(clusters(5, 0), clusters(5, 1))
    part = sample_signals.failing(clusters(4, 2), five)
    assert part is not None and "kinds without samples" in part.evidence
    some = clusters(5, 0)[:40]  # as real as any, and next to few
    variants = sample_signals.failing(np.repeat(some, 12, axis=0), five)
    assert variants is not None and "coverage" in variants.evidence
    assert sample_signals.failing(100 + clusters(2, 2), five) is None  # of no kind
    broken = sample_signals.failing(np.where(real > 2, np.nan, real), sides)
    assert broken is not None and broken.kind == "not finite"
    assert sample_signals.poor(np.where(real > 2, np.nan, real), sides)
    assert sample_signals.numbers(np.where(real > 2, np.nan, real), sides) == {}


@pytest.mark.parametrize("shape", [(16, 16, 1), (5, 12, 3), (28, 20, 4)])
def test_thumbnails_are_means_over_fields_that_tile_the_image(shape):
    height, width, channels = shape
    images = np.random.default_rng(0).uniform(-1, 1, (3, *shape))
    small = sample_signals.thumbnails(images)
    fields = [min(8, side) for side in (height, width)]
    assert small.shape == (3, fields[0] * fields[1] * channels)
    places = [np.arange(f) * side // f for f, side in zip(fields, (height, width), strict=True)]
    ends = [[*p[1:], side] for p, side in zip(places, (height, width), strict=True)]
    top, left = images[1, : ends[0][0], places[1][1] : ends[1][1], 0], small[1]
    assert left.reshape(*fields, channels)[0, 1, 0] == pytest.approx(top.mean(), rel=1e-12)
    np.testing.assert_array_equal(sample_signals.rows(images), small)
    assert sample_signals.rows(cloud(3)).shape == (3, 6)


# --- verdicts on known and unknown images ---------------------------------------------------------


def judged(mean, seed, std=0.3, count=16):
    return mean + std * np.random.default_rng(seed).normal(size=count)


def test_a_discriminator_overfits_where_unknown_images_are_judged_like_fakes():
    known, fake = judged(4.0, 0), judged(-4.0, 1)
    found = overfitting_signal.overfits(known, judged(-2.0, 2), fake)
    assert found is not None and found.kind == "overfits"
    assert found.evidence["r_v"] == pytest.approx(0.75, abs=0.05)
    assert overfitting_signal.overfits(known, judged(2.0, 2), fake) is None
    assert overfitting_signal.overfits(known, judged(4.0, 2), fake) is None


def test_what_may_be_chance_is_no_overfitting():
    wide = {"std": 2.0, "count": 4}
    assert (
        overfitting_signal.overfits(judged(0.5, 0, **wide), judged(0.0, 1, **wide), judged(-0.2, 2))
        is None
    )
    behind = overfitting_signal.overfits(judged(1.0, 0), judged(0.0, 1), judged(2.0, 2))
    assert behind is None  # fakes are judged more real than anything: r_v has no meaning


@pytest.mark.parametrize("silent", range(3))
def test_what_was_not_seen_proves_no_overfitting(silent):
    given = [judged(4.0, 0), judged(-2.0, 2), judged(-4.0, 1)]
    assert overfitting_signal.overfits(*given) is not None
    for nothing in (np.full(16, np.nan), np.zeros(0)):
        given[silent] = nothing
        assert overfitting_signal.overfits(*given) is None


def test_r_t_stands_beside_r_v_in_numbers_and_in_words():
    given = judged(4.0, 0), judged(-2.0, 2), judged(-4.0, 1)
    sure = overfitting_signal.overfits(*given, signs=np.array([0.9, 1.0]))
    assert sure is not None and sure.evidence["r_t"] == pytest.approx(0.95)
    assert (
        "classifies 98% of its training images as real (r_t = 0.95), more than adaptive"
        in sure.what
    )
    unsure = overfitting_signal.overfits(*given, signs=np.array([0.5, 0.3]))
    assert unsure is not None and unsure.evidence["r_t"] == pytest.approx(0.4)
    assert "classifies 70% of its training images as real (r_t = 0.40), no more than" in unsure.what
    silent = overfitting_signal.overfits(*given)
    assert silent is not None and "r_t" not in silent.evidence and "r_t" not in silent.what
    alike = judged(4.0, 2)  # held-out images are judged as training ones: however sure, no fault
    assert overfitting_signal.overfits(given[0], alike, given[2], signs=np.ones(2)) is None
