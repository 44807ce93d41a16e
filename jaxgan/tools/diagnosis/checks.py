"""Applies the signals to a run: to its log, its samples, its discriminator and its Jacobian."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgan import data
from jaxgan.games import stability, stages
from jaxgan.metrics import evaluation
from jaxgan.metrics.garments import mean_pairwise_distance
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import TrainedModel
from jaxgan.tools.diagnosis import jacobian as of_local
from jaxgan.tools.diagnosis import log_signals as of_columns
from jaxgan.tools.diagnosis import overfitting_signal, run_reader, sample_signals, texture
from jaxgan.tools.diagnosis.finding import Finding, Part, Series, merged
from jaxgan.tools.diagnosis.run_reader import Record
from jaxgan.tools.diagnosis.sample_signals import Sides
from jaxgan.tools.diagnosis.texture import Texture

LEAST_STEPS = 200
"""A model with fewer steps has had no time to learn or to fail."""

FEWEST = 10
"""The fewest training and held-out examples that samples are compared with."""

LABELS = "Samples were drawn with the class frequencies of the training images."
SETTLED = 1000
"""Number of steps below which a game may still fail in ways that need more time."""

Columns = Mapping[str, Series]


class Question(NamedTuple):
    """A checkpoint to examine.

    Attributes:
        record: The record of the run.
        trained: The model.
        member: Index of the model, if the run trained several.
        splits: The data.
    """

    record: Record
    trained: TrainedModel
    member: int | None
    splits: data.Splits

    @property
    def rows(self) -> int:
        """Batch size of the checkpoint's stage."""
        plan = self.record.plan
        return plan[stages.made_at(plan, self.trained.step)].rows

    def first_step(self, holds: Callable[[TrainedModel], bool]) -> int:
        """Returns the first checkpoint since which `holds` is true, as it is for this one."""
        return run_reader.first_step(self.record, self.trained, self.member, holds)


# --- the log --------------------------------------------------------------------------------------


def of_log(record: Record, columns: Columns) -> Part:
    """Examines the columns of the log.

    Args:
        record: The record of the run.
        columns: The columns.
    """
    found = [of_columns.not_finite(columns)]
    if found == [None] and not record.running:
        saved = max(record.saved, default=None)
        last = run_reader.last_step(columns)
        reason = run_reader.reason(record.path)
        found.append(
            of_columns.broke_off(last, steps=record.config.steps, saved=saved, reason=reason)
        )
    finite = {name: column.finite() for name, column in columns.items()}
    rows = max((len(column.steps) for column in finite.values()), default=0)
    if rows < of_columns.LEAST_ROWS:
        why = f"the log has {rows} rows, too few to judge; {of_columns.LEAST_ROWS} are needed"
        early = (why,) if run_reader.last_step(columns) < SETTLED else ()
        return Part(_present(found), unexamined={"the course of training": why}, early=early)
    for name, column in finite.items():
        player, _, kind = name.rpartition("/")
        if kind == "gradient_norm" and len(column.steps) >= of_columns.LEAST_ROWS:
            found.append(of_columns.exploded(column, player=player))
    loss = str(getattr(record.config, "loss", ""))
    for judge in run_reader.judges(finite):
        found += _of_judge(finite, judge, loss)
    looked = {
        "the course of training": f"{rows} rows of the log, each the means of some steps: "
        "gradients and logits; anything faster than a row is invisible"
    }
    return Part(_present(found), _last_values(finite), looked=looked)


def _of_judge(columns: Columns, judge: str, loss: str) -> list[Finding | None]:
    """Examines a discriminator's logits and accuracies, and the generators' gradients."""
    right = run_reader.accuracies(columns, judge, loss)
    passed = run_reader.passed_on(columns, judge, loss)
    lead = run_reader.lead(columns, judge)
    gone = None if passed is None else of_columns.saturated(passed, lead)
    # The logits of a critic have their own unit: its swings are relative to its lead.
    least = of_columns.LEAST_SWING if right is not None else 0.0
    swings = of_columns.oscillating(lead, least=least)
    if right is None:
        return [gone, swings]
    for name, gradient in columns.items():
        if gone is None and name.startswith("generator") and name.endswith("/gradient_norm"):
            gone = of_columns.vanished(gradient, *right)
    return [of_columns.won(*right), held(columns, judge, loss), gone, swings]


def held(columns: Columns, judge: str, loss: str) -> Finding | None:
    """Returns the finding that a penalty holds a discriminator down, if it does.

    Args:
        columns: The columns of the log.
        judge: Name of the discriminator.
        loss: Name of the loss.
    """
    right = run_reader.accuracies(columns, judge, loss)
    gained = run_reader.skill(columns, judge, loss)
    penalty = columns.get(f"{judge}/penalty")
    if right is None or gained is None or penalty is None:
        return None
    return of_columns.held_down(*right, gained, penalty, columns.get(f"{judge}/gamma"))


def _last_values(columns: Columns) -> dict[str, float]:
    """Returns the accuracies and gradient norms of the last rows."""
    kinds = ("real_accuracy", "fake_accuracy", "ranking_rate", "real_sign", "gradient_norm")
    return {
        name: float(column.values[-1])
        for name, column in columns.items()
        if name.rpartition("/")[2] in kinds and len(column.values)
    }


def _present(found: Iterable[Finding | None]) -> tuple[Finding, ...]:
    return tuple(finding for finding in found if finding is not None)


# --- the checkpoint -------------------------------------------------------------------------------


def of_checkpoint(
    record: Record,
    columns: Columns,
    *,
    which: str | int,
    member: int | None,
    count: int,
    batches: int,
    jacobian: bool,
) -> Part:
    """Examines the model of a checkpoint: its samples, its logits and its Jacobian.

    Args:
        record: The record of the run.
        columns: The columns of the log.
        which: The checkpoint: 'latest', 'best' or a step.
        member: Index of the model, if the run trained several.
        count: Number of samples and of real examples.
        batches: Number of batches of training and of held-out examples for the logits; 0: none.
        jacobian: Whether the Jacobian is examined.
    """
    subject = "what was learned"
    if not record.saved:
        return Part(unexamined={subject: "there is no checkpoint"})
    trained = run_reader.load(record, which, member)
    if trained.step < LEAST_STEPS:
        why = f"{trained.step} steps are too few to judge; {LEAST_STEPS} are needed"
        return Part(unexamined={subject: why}, early=(why,))
    try:
        question = Question(record, trained, member, run_reader.splits(record))
    except RunError as error:
        return Part(unexamined={subject: str(error)})
    parts = [Part(early=too_early(question)), of_samples(question, columns, count=count)]
    if batches:
        parts.append(of_verdicts(question, batches=batches))
    if jacobian:
        parts.append(of_local_game(question))
    return merged(parts)


def too_early(question: Question) -> tuple[str, ...]:
    """Returns why it is too early to report that nothing is wrong, one sentence per reason."""
    step, source = question.trained.step, question.splits.train
    found = []
    if step < SETTLED:
        found.append(f"{step} steps are few; a game needs {SETTLED} or more to show its problems")
    if isinstance(source, data.Dataset) and step * question.rows < len(source):
        seen = step * question.rows / len(source)
        found.append(f"only {seen:.0%} of the training examples were seen")
    return tuple(found)


class Drawn(NamedTuple):
    """Samples as they are examined.

    Attributes:
        rows: Their `sample_signals.rows`.
        texture: Their texture; None if it is not examined.
    """

    rows: np.ndarray
    texture: Texture | None


class Examined(NamedTuple):
    """What samples are compared with.

    Attributes:
        question: The checkpoint.
        sides: Real examples that the generator was trained on, and others.
        textures: The textures of these; None if they are not examined.
    """

    question: Question
    sides: Sides
    textures: tuple[Texture, Texture] | None

    def drawn(self, trained: TrainedModel) -> Drawn:
        """Returns as many samples of the model as there are real examples."""
        count = len(self.sides.known)
        made = np.asarray(trained.sample(0, count, **told(self.question, trained, count)))
        comparable = self.textures is not None and made.shape[1:3] == self.textures[0].power.shape
        seen = texture.of(made) if comparable and np.isfinite(made).all() else None
        return Drawn(sample_signals.rows(made), seen)

    def compared(self, drawn: Drawn) -> texture.Compared | None:
        """Returns the comparison of the samples' texture with that of real images."""
        if drawn.texture is None or self.textures is None:
            return None
        rows = (drawn.rows, self.sides.known, self.sides.unknown)
        return texture.compared(drawn.texture, *self.textures, rows=rows)

    def failing(self, drawn: Drawn) -> Finding | None:
        """Returns what is wrong with the samples: as thumbnails, or else in their texture."""
        found = sample_signals.failing(drawn.rows, self.sides)
        fine = None if found is not None else self.compared(drawn)
        return found if fine is None else texture.failing(fine)


def of_samples(question: Question, columns: Columns, *, count: int) -> Part:
    """Examines samples next to real examples.

    Args:
        question: The checkpoint.
        columns: The columns of the log.
        count: Number of samples and of real examples.
    """
    record, trained = question.record, question.trained
    if record.spec.inputs:
        source = "images" if "a" in record.spec.inputs else "captions"
        return Part(unexamined={"the samples": f"the model generates images from {source}"})
    have = [len(part) for part in question.splits[:2] if isinstance(part, data.Dataset)]
    if min(have, default=FEWEST) < FEWEST:
        why = f"there are {min(have)} training or held-out examples; {FEWEST} of each are needed"
        return Part(unexamined={"the samples": why})
    sides = run_reader.sides(question.splits, count)
    examined = Examined(question, sides, run_reader.textures(question.splits, count))

    def fails(kind: str) -> Callable[[TrainedModel], bool]:
        def holds(earlier: TrainedModel) -> bool:
            found = examined.failing(examined.drawn(earlier))
            return found is not None and found.kind == kind

        return holds

    drawn = examined.drawn(trained)
    fine, now = examined.compared(drawn), drawn.rows
    found = examined.failing(drawn)
    if found is not None:
        since = question.first_step(fails(found.kind))
        if found.kind == "collapsed":
            since = min(since, alike_since(record, sides, until=trained.step) or since)
        found = found._replace(since=since)
    unsure = []
    if sample_signals.far(now, sides) or (fine is not None and texture.failing(fine) is not None):
        unsure = _unsure(record, columns)
    if found is None and not unsure and sample_signals.poor(now, sides):
        found = sample_signals.astray(now, sides)
    seen = {**sample_signals.numbers(now, sides), **({} if fine is None else texture.numbers(fine))}
    looked, unseen = _seen_of(record.spec.shape, len(sides.known), fine)
    remarks = (LABELS,) if told(question, trained, 1) else ()
    return Part(_present([found, *unsure]), seen, remarks, unexamined=unseen, looked=looked)


def told(question: Question, trained: TrainedModel, count: int) -> dict[str, Any]:
    """Returns the conditions of the samples, with labels distributed as in the training images.

    Args:
        question: The checkpoint.
        trained: The model.
        count: Number of samples.
    """
    train = question.splits.train
    if not isinstance(train, data.Dataset):
        return {}
    roles = evaluation.asked_for(train, trained.gan.conditions)
    return evaluation.asked(train, roles, seed=0, start=0, count=count)


def _unsure(record: Record, columns: Columns) -> list[Finding]:
    """Returns the findings of discriminators that hardly distinguish real from fake.

    They count only if the samples are easy to recognize.
    """
    loss, found = str(getattr(record.config, "loss", "")), []
    for judge in run_reader.judges(columns):
        right = run_reader.accuracies(columns, judge, loss)
        if right is not None and held(columns, judge, loss) is None:  # said by the log's part
            found.append(of_columns.blind(*right, run_reader.skill(columns, judge, loss)))
    return [finding for finding in found if finding is not None]


def _seen_of(
    shape: tuple[int, ...], count: int, fine: texture.Compared | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns how samples of this shape were examined, and what could not be examined."""
    beside = f"{count} samples next to as many training and held-out examples"
    if len(shape) != 3:
        return {"the samples": f"{beside}, point by point"}, {}
    height, width = (min(sample_signals.SIDE, side) for side in shape[:2])
    size = f"{shape[0]}x{shape[1]}"
    if (height, width) == shape[:2]:
        return {"the samples": f"{beside}, pixel by pixel"}, {}
    looked = {
        "the samples": f"{beside}, as thumbnails of {height}x{width} of their {size} pixels: "
        "whether they are alike, miss kinds of examples, or are far from the data"
    }
    if fine is None:
        why = texture.why_not(shape) or "the samples are not finite, or of another size"
        return looked, {"the texture of the samples": why}
    looked["the texture of the samples"] = (
        f"the brightness of the same at {size} pixels: checkerboards, noise and blur; not whether "
        "objects have the right shape"
    )
    return looked, {}


def alike_since(record: Record, sides: Sides, *, until: int) -> int | None:
    """Returns the step of the first sample image file since which the samples are alike.

    Args:
        record: The record of the run.
        sides: The real examples.
        until: The last step to consider.

    Returns:
        The step; None if there are no such files, or the last ones are not alike.
    """
    limit = sample_signals.LIKENESS * mean_pairwise_distance(sides.known)
    shown = ((s, images) for s, images in run_reader.pictured(record) if s <= until)
    apart = ((s, mean_pairwise_distance(sample_signals.rows(images))) for s, images in shown)
    alike = itertools.takewhile(lambda pair: pair[1] < limit, apart)
    return min((step for step, _ in alike), default=None)


def of_verdicts(question: Question, *, batches: int) -> Part:
    """Examines the discriminators' logits of training examples and of held-out ones.

    Args:
        question: The checkpoint.
        batches: Number of batches of each.
    """
    splits, rows = question.splits, question.rows
    one = [set(part.batch(seed=0, step=0, size=1)) for part in splits[:2]]
    if one[0] != one[1]:
        why = f"held-out examples lack {', '.join(sorted(one[0] - one[1]))}"
        return Part(unexamined={"whether the discriminator overfits": why})

    def said(trained: TrainedModel) -> list[dict[str, np.ndarray]]:
        return run_reader.said(trained, splits[:2], rows=rows, batches=batches)

    known, unknown = said(question.trained)
    judges = [judge for judge in run_reader.judges(known) if judge in run_reader.judges(unknown)]
    if not judges:
        why = f"no discriminator is evaluated in the steps after {question.trained.step}"
        return Part(unexamined={"whether the discriminator overfits": why})
    found, seen = [], {}
    for judge in judges:
        real, fake = f"{judge}/real_logit", f"{judge}/fake_logit"
        sign = f"{judge}/real_sign"

        def verdict(
            said: list[dict[str, np.ndarray]], real=real, fake=fake, sign=sign
        ) -> Finding | None:
            known, unknown = said
            if not {real, fake} <= known.keys() or real not in unknown:
                return None  # before its first turn
            return overfitting_signal.overfits(
                known[real], unknown[real], known[fake], signs=known.get(sign)
            )

        seen[f"{real}, known"] = float(known[real].mean())
        seen[f"{real}, unknown"] = float(unknown[real].mean())
        seen[fake] = float(known[fake].mean())
        if sign in known:
            seen[f"{sign}, known"] = float(known[sign].mean())
        finding = verdict([known, unknown])
        if finding is not None:
            since = question.first_step(lambda t, verdict=verdict: verdict(said(t)) is not None)
            found.append(finding._replace(since=since))
    looked = {
        "whether the discriminator overfits": f"logits of {batches} batches of training and of "
        "held-out examples"
    }
    return Part(tuple(found), seen, looked=looked)


def of_local_game(question: Question) -> Part:
    """Examines the game's Jacobian on one batch; no finding is based on it."""
    record, trained = question.record, question.trained
    source, rows = question.splits.train, question.rows
    batch = source.batch(seed=trained.config.seed, step=trained.step, size=rows)
    gan = run_reader.without_shared_noise(record, trained.step)
    field, params = stability.field(gan, trained.state, batch)
    try:
        local = stability.jacobian(field, params)
    except ValueError as error:
        return Part(unexamined={"the game's Jacobian": str(error)})
    return of_local.examined(local, of_local.play(record.config, list(params)))
