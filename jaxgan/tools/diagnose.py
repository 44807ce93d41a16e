"""Says in words what is wrong with a run, since when, and what the literature recommends.

    jaxgan diagnose RUN

It reads the log and, where there is one, a checkpoint: whether gradients vanish or explode, whether
the discriminator wins, knows its images by heart or knows nothing, whether the players circle, and
whether the samples are alike, leave part of the data out, are far from them or show a checkerboard,
noise or blur. Each finding has its numbers, and what helps is named as flags of the run's own
experiment, as the alternatives that it names, and as pieces of the library, with the paper. It says
what it looked at and through what. That nothing wrong was found is said only of a run that is long
enough to judge and whose log and samples could be looked at; it is no proof that the samples are
good.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    from jaxgan.tools.diagnosis.finding import Finding, Part
    from jaxgan.tools.diagnosis.run_reader import Record


MOST = 50_000
"""Samples, and batches: all distances among as many still end within minutes."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """What to examine."""

    samples: int = 1000
    """How many samples and real examples to compare."""
    batches: int = 16
    """Batches of known and of unknown examples that the discriminator is to judge; 0: none."""
    jacobian: bool = False
    """Also the eigenvalues of the game's Jacobian at the checkpoint: of small models only."""
    data: str | None = None
    """Where the run's data are now, in the words of training (default: as recorded)."""
    json: bool = False
    """Print the report as JSON."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the command; what went wrong is one sentence on stderr."""

    def tell(config: Config) -> None:
        report = diagnose(config)
        print(json.dumps(report, indent=2) if config.json else text(report))

    return command.answer(
        Config, tell, program="jaxgan diagnose", description=__doc__, arguments=arguments
    )


def diagnose(config: Config) -> dict[str, Any]:
    """The report on the run, in JSON's types: its findings, each with `kind`, `what`, `since`,
    `evidence` and `advice`, the numbers seen (complex ones as [real, imaginary]), `remarks` on
    them, what was looked at and through what, what was not examined and why, and the `verdict`:
    'findings', 'too early to judge', 'cannot be judged by this' or 'nothing wrong was found', with
    what is `because` of the second and third, also where there are findings.

    Raises RunError where there is no such run, checkpoint or seed, and on numbers out of range.
    """
    from jaxgan.tools.diagnosis import checks, finding, run_reader

    if config.samples < 10 or config.batches < 0 or config.batches == 1:
        raise RunError("expected --samples of 10 or more, and --batches of 0, or of 2 or more")
    command.require_ranges(config, {"samples": (10, MOST), "batches": (0, MOST)})
    record = run_reader.record(config.run, given=config.experiment)
    if config.data is not None:
        moved = dataclasses.replace(record.config, data=config.data)
        record = dataclasses.replace(record, config=moved)
    model_seed = _chosen_seed(record, config.model_seed)
    columns = run_reader.columns(record.path, model_seed=model_seed)
    found = finding.merged(
        [
            checks.of_log(record, columns),
            checks.of_checkpoint(
                record,
                columns,
                which=config.checkpoint,
                model_seed=model_seed,
                count=config.samples,
                batches=config.batches,
                jacobian=config.jacobian,
            ),
        ]
    )
    return {
        "run": str(config.run),
        "step": max([run_reader.last_step(columns), *record.saved]),
        "steps": record.config.steps,
        **_verdict(found),
        "findings": [_advised(one, record) for one in found.findings],
        "numbers": {name: _in_json(value) for name, value in found.numbers.items()},
        "remarks": list(found.remarks),
        "looked at": dict(found.looked),
        "not examined": dict(found.unexamined),
    }


ESSENTIAL = ("the course of training", "what was learned", "the samples")
"""What must have been looked at before nothing can be said to be wrong."""


def _verdict(found: Part) -> dict[str, Any]:
    """The report's `verdict` and `because`; that nothing is wrong comes last."""
    lacking = [
        f"{name}: {found.unexamined[name]}" for name in ESSENTIAL if name in found.unexamined
    ]
    early = list(dict.fromkeys(found.early))
    if found.findings:
        return {"verdict": "findings", "because": early or lacking}
    if early:
        return {"verdict": "too early to judge", "because": early}
    if lacking:
        return {"verdict": "cannot be judged by this", "because": lacking}
    return {"verdict": "nothing wrong was found", "because": []}


def _in_json(value: float | complex) -> float | list[float]:
    return [value.real, value.imag] if isinstance(value, complex) else value


def _written(value: float | list[float]) -> str:
    """A number of a report in three digits."""
    if isinstance(value, list):
        return f"{complex(*value):.3g}".replace("j", "i")
    return f"{value:.3g}"


def _chosen_seed(record: Record, asked: int | None) -> int | None:
    """The seed whose columns to read, None of a single model; RunError where one must be chosen."""
    seeds = record.config.model_seeds
    if len(seeds) == 1 and asked in (None, *seeds):
        return None
    if asked not in seeds:
        have = ", ".join(map(str, seeds))
        raise RunError(
            f"{record.path} holds models of the seeds {have}: say which with --model-seed"
        )
    return asked


def _advised(found: Finding, record: Record) -> dict[str, Any]:
    """The finding with what helps against it, in JSON's types."""
    from jaxgan.tools.diagnosis import remedies

    seen = {**found.evidence, remedies.CHECKPOINTS: len(record.saved)}
    advice = [
        {"do": remedy.do, "why": remedy.why, "source": remedy.source}
        for remedy in remedies.against(
            found.kind, record.config, seen, record.experiment.alternatives
        )
    ]
    return {**found._asdict(), "evidence": dict(found.evidence), "advice": advice}


def text(report: Mapping[str, Any]) -> str:
    """The report for reading: what is wrong, each with its numbers and remedies, then what is not
    known.
    """
    findings, because = report["findings"], "; ".join(report["because"])
    verdict = report["verdict"]
    if findings:
        verdict = "one finding" if len(findings) == 1 else f"{len(findings)} findings"
    elif because:
        verdict += f": {because}"
    else:
        verdict += " in what was looked at"
    lines = [f"{report['run']} after {report['step']} of {report['steps']} steps: {verdict}"]
    if findings and because:
        lines.append(f"what else there may be is not known: {because}")
    for number, found in enumerate(findings, start=1):
        lines += ["", f"{number}. {found['what']}"]
        if found["since"] is not None:
            lines.append(f"   since step {found['since']}, at the latest")
        lines += [f"   {name}: {value:.3g}" for name, value in found["evidence"].items()]
        lines += [
            f"   try {remedy['do']}: {remedy['why']} ({remedy['source']})"
            for remedy in found["advice"]
        ]
    if report["numbers"]:
        lines += ["", "seen:"]
        lines += [f"   {name}: {_written(value)}" for name, value in report["numbers"].items()]
        lines += [f"   {remark}" for remark in report["remarks"]]
    if report["looked at"]:
        lines += ["", "looked at:"]
        lines += [f"   {name}: {how}" for name, how in report["looked at"].items()]
        lines.append("   (jaxgan evaluate measures how good the samples are)")
    if report["not examined"]:
        lines += ["", "not examined:"]
        lines += [f"   {name}: {why}" for name, why in report["not examined"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
