"""Signals in the log: gradients, accuracies, oscillations, numbers that are not finite.

They detect gradients that vanish or explode, a discriminator that wins, is too weak or is held down
by its penalty, players that oscillate, and NaN or infinity. They use columns that a game of any
networks reports. A row of the log is a mean over some steps, so anything faster than a row is
invisible.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxgan.tools.diagnosis.finding import Finding, Series, lasting, smooth, together

LEAST_ROWS = 10
"""Fewer rows than this say nothing about the course of training."""

SURE = 0.98
"""A discriminator with this accuracy, on real and on fake, gives the generator no useful gradient.

The discriminators that Brock et al. 2019 (section 4.2) found to have memorized their data were
above it. While a generator learns, 0.8 to 0.95 is usual.
"""

UNSURE = 0.6
"""A discriminator with at most this accuracy, on average, is hardly better than chance."""

HELD = 0.65
"""A discriminator with at most this accuracy is too weak if samples are far from the data.

Such samples are easy to recognize.
"""

UNSKILLED = 0.1
"""Fraction of its chance-level loss by which a discriminator must improve.

Below it, it hardly distinguishes real from fake, even with a high accuracy: a gradient penalty
keeps its logits close together.
"""

RANKED = 0.75
"""A discriminator with at most this accuracy may be held down by its penalty; with a higher one it
is right, though with small logits, which a generator's optimizer scales up.
"""

FALL = 1 / 100
"""A generator's gradient below this fraction of its early norm has vanished.

Two orders of magnitude are more than learning explains: a discriminator that is ahead keeps its
gradient.
"""

RISE = 100.0
"""A gradient above this multiple of its early norm has exploded."""

ENORMOUS = 1e4
"""A gradient norm that no network with weights of usual size has.

With such a norm in its first row, a run exploded before that row ended.
"""

PASSED_ON = 0.02
"""Fraction of the discriminator's gradient that a saturated loss still passes to the generator.

The minimax loss passes half at an undecided discriminator, and a fiftieth of that at a logit of
-4.6.
"""

SWING = 0.5
"""Standard deviation of the discriminator's lead over its mean, from which on players oscillate.

Below it the lead fluctuates but does not change hands.
"""

LEAST_SWING = 0.25
"""Standard deviation of the lead, in logits, below which oscillations do not matter.

They move a probability from 0.50 to 0.56.
"""

RETURN = 0.4
"""Correlation of the lead with itself one period later; for noise in 50 rows it is below 0.3."""

_CYCLES = 3  # periods that a log must show, as two may be chance


def not_finite(columns: Mapping[str, Series]) -> Finding | None:
    """Detects a column with a NaN or an infinity; the earliest, if there are several."""
    firsts = {}
    for name, column in columns.items():
        broken = np.flatnonzero(~np.isfinite(column.values))
        if len(broken):
            firsts[name] = int(column.steps[broken[0]])
    if not firsts:
        return None
    name = min(firsts, key=lambda name: (firsts[name], not name.endswith("loss"), name))
    return Finding(
        "not finite",
        f"{name} is not finite.",
        firsts[name],
        {"columns that are not finite": float(len(firsts))},
    )


def broke_off(
    last: int, *, steps: int, saved: int | None, reason: str | None = None
) -> Finding | None:
    """Detects a run that ended early without a checkpoint of its last step.

    A run that is stopped by a signal saves its current step. A run that meets a number that is not
    finite does not, as such a state is never saved. Do not call this while the run is active.

    Args:
        last: The last step in the log.
        steps: The number of steps of the run.
        saved: The step of the last checkpoint; None if there is none.
        reason: What the run logged at its end; None if nothing.
    """
    if last >= steps or (saved is not None and saved >= last):
        return None
    inferred = "as happens if a number is not finite or the process is killed."
    return Finding(
        "not finite",
        f"Training broke off after step {last} of {steps} without saving a checkpoint there, "
        + (f"with the message: {reason}" if reason else inferred),
        last,
        {"last row": float(last), **({} if saved is None else {"last checkpoint": float(saved)})},
    )


def exploded(gradient: Series, *, player: str) -> Finding | None:
    """Detects a gradient norm in the last rows far above that in the first quarter of the log.

    Args:
        gradient: The gradient norm.
        player: Name of the player.
    """
    early, last = early_and_last(gradient)
    limit = min(RISE * early, ENORMOUS) if early > 0 else ENORMOUS
    if not last >= limit:
        return None
    low = np.flatnonzero(gradient.values < limit / 10)
    first = min(int(low[-1]) + 1 if len(low) else 0, len(gradient.values) - 1)
    return Finding(
        "exploded",
        f"The gradient of the {player} has exploded.",
        int(gradient.steps[first]),
        {"gradient norm, early": early, "gradient norm, last": last},
    )


def vanished(gradient: Series, real: Series, fake: Series) -> Finding | None:
    """Detects a generator's gradient that has vanished although the discriminator is ahead.

    If the discriminator is not ahead, the generator may have converged.

    Args:
        gradient: The generator's gradient norm.
        real: The discriminator's accuracy on real images.
        fake: The discriminator's accuracy on fakes.
    """
    steps, (norms, on_real, on_fake) = together(gradient, real, fake)
    if len(steps) < LEAST_ROWS:
        return None
    early, last = early_and_last(Series(steps, norms))
    ahead = smooth((on_real + on_fake) / 2) > UNSURE
    since = lasting(steps, (smooth(norms) <= FALL * early) & ahead)
    if since is None:
        return None
    return Finding(
        "vanished",
        "The generator's gradient has vanished while the discriminator is ahead.",
        since,
        {"gradient norm, early": early, "gradient norm, last": last},
    )


def saturated(passed: Series, lead: Series) -> Finding | None:
    """Detects a generator's loss that no longer passes on the discriminator's gradient.

    The discriminator must be ahead; if it is behind, a saturated loss is expected.

    Args:
        passed: Size of the loss's derivative at the fakes' mean logit, over that at logit 0.
        lead: The discriminator's mean real logit minus its mean fake logit.
    """
    steps, (share, ahead) = together(passed, lead)
    since = lasting(steps, (smooth(share) <= PASSED_ON) & (smooth(ahead) > 0))
    if since is None:
        return None
    return Finding(
        "vanished",
        "The generator's loss is saturated: its gradient has vanished because the discriminator "
        "recognizes the fakes.",
        since,
        {"share of the gradient that the loss passes on": float(smooth(share)[-1])},
    )


def won(real: Series, fake: Series) -> Finding | None:
    """Detects a discriminator that is right on nearly all images, real and fake, until the end.

    Args:
        real: Its accuracy on real images.
        fake: Its accuracy on fakes.
    """
    steps, (on_real, on_fake) = together(real, fake)
    since = lasting(steps, np.minimum(smooth(on_real), smooth(on_fake)) >= SURE)
    if since is None:
        return None
    return Finding(
        "won",
        "The discriminator has won: its output no longer gives the generator a useful gradient.",
        since,
        {"accuracy on real": float(on_real[-1]), "accuracy on fake": float(on_fake[-1])},
    )


def blind(real: Series, fake: Series, skill: Series | None = None) -> Finding | None:
    """Detects a discriminator that hardly distinguishes real from fake, by accuracy or skill.

    Successful training also ends like this: it is a problem only if the samples are poor.

    Args:
        real: Its accuracy on real images.
        fake: Its accuracy on fakes.
        skill: Upper bound of the fraction by which its loss is below the chance-level loss.
    """
    steps, (on_real, on_fake) = together(real, fake)
    found = lasting(steps, smooth((on_real + on_fake) / 2) <= HELD)
    evidence = {"accuracy on real": float(on_real[-1]), "accuracy on fake": float(on_fake[-1])}
    if skill is not None and len(skill.steps):
        unskilled = lasting(skill.steps, smooth(skill.values) <= UNSKILLED)
        found = min((since for since in (found, unskilled) if since is not None), default=None)
        evidence["share of its loss gained on knowing nothing"] = float(skill.values[-1])
    if found is None:
        return None
    return Finding(
        "blind",
        "The discriminator is too weak or too strongly regularized: it hardly distinguishes real "
        "from fake, although the samples are far from the data.",
        found,
        evidence,
    )


def held_down(
    real: Series, fake: Series, skill: Series, penalty: Series, gamma: Series | None = None
) -> Finding | None:
    """Detects a penalty that keeps the discriminator from telling real from fake.

    It hardly does so from the first quarter of the log on, when samples are still easy to
    recognize. A discriminator that ends there after it was ahead is no reason for alarm.

    Args:
        real: Its accuracy on real images.
        fake: Its accuracy on fakes.
        skill: Upper bound of the fraction by which its loss is below the chance-level loss.
        penalty: The penalty on its gradient.
        gamma: The penalty's weight, if it is reported.
    """
    # A lazy penalty has no row in some logs; it matters only that there is one.
    if not np.any(penalty.values > 0):
        return None
    steps, (on_real, on_fake, gained) = together(real, fake, skill)
    if len(steps) < LEAST_ROWS:
        return None
    weak = (smooth((on_real + on_fake) / 2) <= RANKED) & (smooth(gained) <= UNSKILLED)
    since = lasting(steps, weak)
    if since is None or since > steps[len(steps) // 4]:
        return None
    weight = {} if gamma is None or not len(gamma.values) else {"gamma": float(gamma.values[-1])}
    return Finding(
        "held down",
        "The penalty holds the discriminator down: from the start, it hardly distinguishes real "
        "from fake.",
        since,
        {
            "accuracy on real": float(on_real[-1]),
            "accuracy on fake": float(on_fake[-1]),
            "share of its loss gained on knowing nothing": float(gained[-1]),
            "penalty": float(penalty.values[-1]),
            **weight,
        },
    )


def oscillating(lead: Series, *, least: float = LEAST_SWING) -> Finding | None:
    """Detects players that oscillate: the discriminator's lead returns instead of converging.

    It uses the last half of the log, minus its linear trend.

    Args:
        lead: The discriminator's mean real logit minus its mean fake logit.
        least: The smallest standard deviation of the lead that matters, in the unit of the logits.
    """
    half = lead.values[len(lead.values) // 2 :]
    if len(half) < 2 * LEAST_ROWS:
        return None
    places = np.arange(len(half))
    swings = half - np.polyval(np.polyfit(places, half, 1), places)
    deviation = float(swings.std())
    if deviation < max(least, SWING * abs(float(half.mean()))):
        return None
    found = _period(swings)
    if found is None:
        return None
    period, correlation = found
    row = float(np.median(np.diff(lead.steps)))
    return Finding(
        "oscillating",
        "The players oscillate: the discriminator's lead swings back and forth instead of "
        "converging.",
        _first_swing(lead, float(half.mean()), deviation),
        {
            "period in steps": period * row,
            "correlation a period later": correlation,
            "lead, mean": float(half.mean()),
            "lead, standard deviation": deviation,
        },
    )


def early_and_last(column: Series) -> tuple[float, float]:
    """Returns the median of the first quarter of the log, and that of its last three rows."""
    values = column.values
    return float(np.median(values[: max(3, len(values) // 4)])), float(np.median(values[-3:]))


def _period(swings: np.ndarray) -> tuple[int, float] | None:
    """Returns the period of the swings [n], in rows, and their autocorrelation after one period.

    It is None if they do not return, or fewer than `_CYCLES` times.
    """
    count, energy = len(swings), float(np.sum(swings**2))
    lags = range(1, count // _CYCLES + 1)
    # Each is divided by the number of overlapping rows: long lags would look too weak otherwise.
    correlation = np.array(
        [np.sum(swings[:-lag] * swings[lag:]) / energy * count / (count - lag) for lag in lags]
    )
    troughs = np.flatnonzero(correlation < -RETURN / 2)
    if not len(troughs):
        return None
    after = int(troughs[0])
    best = after + int(np.argmax(correlation[after:]))
    if correlation[best] < RETURN:
        return None
    return best + 1, float(correlation[best])


def _first_swing(lead: Series, mean: float, deviation: float) -> int:
    """Returns the step since when the lead has been as far above and below its mean as later."""
    above = np.flatnonzero(lead.values > mean + deviation)
    below = np.flatnonzero(lead.values < mean - deviation)
    first = max(above[0] if len(above) else 0, below[0] if len(below) else 0)
    return int(lead.steps[first])
