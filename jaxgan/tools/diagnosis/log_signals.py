"""Signals of the log: gradients that vanish or explode, a discriminator that wins or knows nothing,
players that circle, numbers that are not finite.

They look at columns that a game of any networks reports. The log's rows are means over some steps,
so what is faster than a row is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from jaxgan.tools.diagnosis.finding import Finding, Series, lasting, smooth, together

LEAST_ROWS = 10
"""Fewer rows than this say nothing of how a run developed."""

SURE = 0.98
"""A discriminator right this often, on real and on fake, leaves the generator no near miss to learn
from; those that Brock et al. 2019 (section 4.2) found to have memorized their data were above it.
Where a generator learns on, 0.8 to 0.95 are usual.
"""

UNSURE = 0.6
"""A discriminator right this often, or less, on average: little better than a coin."""

HELD = 0.65
"""A discriminator right this often, or less, beside samples that are far from the data is held
down: such samples are easily told.
"""

UNSKILLED = 0.1
"""The share of its loss that a discriminator has gained on knowing nothing, below which it hardly
tells real from fake, however often it is right: a penalty on its slope keeps its logits together.
"""

FALL = 1 / 100
"""A generator's gradient below this share of its early norm: two orders of magnitude are more than
learning explains, during which a discriminator that is ahead keeps its slope.
"""

RISE = 100.0
"""A gradient above so many times its early norm."""

ENORMOUS = 1e4
"""A gradient's norm beyond anything that a network with weights of usual size has: such a run has
exploded before its first row ended.
"""

PASSED_ON = 0.02
"""The share of the discriminator's slope that a saturating loss still passes to the generator: of
minimax, half passes at an undecided discriminator and a fiftieth of that at a logit of -4.6.
"""

SWING = 0.5
"""Standard deviation of the discriminator's lead over its mean, from which on the lead changes
hands rather than wavers.
"""

LEAST_SWING = 0.25
"""Standard deviation of the lead, in logits, below which swings are of no consequence: they move a
verdict from 0.50 to 0.56.
"""

RETURN = 0.4
"""Correlation of the lead with itself a period later: of noise in 50 rows it stays below 0.3."""

_CYCLES = 3  # periods that a log must show: two bumps may be chance


def not_finite(columns: Mapping[str, Series]) -> Finding | None:
    """A column that holds a NaN or an infinity; the earliest, if there are several."""
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
    """A log that ends at step `last` of `steps`, later than the last checkpoint, of step `saved`: a
    run that is told to stop saves the step it has reached, and one that met a number that is not
    finite does not, as such a state is never saved.

    `reason` is what the run itself said at its end. Do not ask while it goes on.
    """
    if last >= steps or (saved is not None and saved >= last):
        return None
    inferred = "as it does where a number is not finite, or where it is killed."
    return Finding(
        "not finite",
        f"Training broke off in the steps after {last} of {steps} and saved nothing there, "
        + (f"saying: {reason}" if reason else inferred),
        last,
        {"last row": float(last), **({} if saved is None else {"last checkpoint": float(saved)})},
    )


def exploded(gradient: Series, *, player: str) -> Finding | None:
    """A gradient's norm that has grown enormously: the last rows against the first quarter."""
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
    """A generator's gradient that has all but vanished although the discriminator, by its
    accuracies, is ahead; where it is not, the generator may have arrived.
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
    """A generator's loss that no longer passes the discriminator's slope on, while the
    discriminator is ahead (where it is behind, that is as it should be).

    passed: the size of the loss's derivative by the logit, at the fakes' mean logit, over that at
            an undecided discriminator's.
    lead:   the discriminator's mean real logit less its mean fake logit.
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
    """A discriminator that is right on nearly everything, real and fake, and stays so."""
    steps, (on_real, on_fake) = together(real, fake)
    since = lasting(steps, np.minimum(smooth(on_real), smooth(on_fake)) >= SURE)
    if since is None:
        return None
    return Finding(
        "won",
        "The discriminator has won: what it says no longer tells the generator where to go.",
        since,
        {"accuracy on real": float(on_real[-1]), "accuracy on fake": float(on_fake[-1])},
    )


def blind(real: Series, fake: Series, skill: Series | None = None) -> Finding | None:
    """A discriminator that hardly tells real from fake, by its accuracies or by its `skill`: the
    share of its loss that it has gained on knowing nothing, at most. That is how a game ends well,
    too: it is a fault only where the samples are poor.
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
        "The discriminator is too weak, or held down: it hardly tells real from fake, and yet the "
        "samples are far from the data.",
        found,
        evidence,
    )


def oscillating(lead: Series, *, least: float = LEAST_SWING) -> Finding | None:
    """Players that circle: the discriminator's lead, mean real logit less mean fake logit, returns
    again and again instead of settling.

    Looks at the last half of the log, less its trend. `least` is the standard deviation of the lead
    below which swings are of no consequence, in the logits' unit.
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
        "The players circle: the discriminator's lead swings to and fro instead of settling.",
        _first_swing(lead, float(half.mean()), deviation),
        {
            "period in steps": period * row,
            "correlation a period later": correlation,
            "lead, mean": float(half.mean()),
            "lead, standard deviation": deviation,
        },
    )


def early_and_last(column: Series) -> tuple[float, float]:
    """What was usual in the first quarter of the log, and in its last rows."""
    values = column.values
    return float(np.median(values[: max(3, len(values) // 4)])), float(np.median(values[-3:]))


def _period(swings: np.ndarray) -> tuple[int, float] | None:
    """After how many rows the swings [n] of mean 0 return, and their correlation then; None where
    they do not, or not `_CYCLES` times.
    """
    count, energy = len(swings), float(np.sum(swings**2))
    lags = range(1, count // _CYCLES + 1)
    # Each over the rows that overlap: long lags would look weaker than they are.
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
    """The step at which the lead first went as far above its later mean, and then below it, as it
    does later.
    """
    above = np.flatnonzero(lead.values > mean + deviation)
    below = np.flatnonzero(lead.values < mean - deviation)
    first = max(above[0] if len(above) else 0, below[0] if len(below) else 0)
    return int(lead.steps[first])
