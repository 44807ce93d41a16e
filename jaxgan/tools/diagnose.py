"""Says in words what is wrong with a run, since when, and what the literature recommends.

    jaxgan diagnose RUN

It reads the log and, where there is one, a checkpoint: whether gradients vanish or explode, whether
the discriminator wins, knows its images by heart or knows nothing, whether the players circle, and
whether the samples are alike or leave part of the data out. Each finding has its numbers, and what
helps is named as flags of the run's own experiment, as the alternatives that it names, and as
pieces of the library, with the paper. A run that is too short to judge is told so; where nothing is
wrong, nothing is found.
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
    from jaxgan.tools.diagnosis.finding import Finding
    from jaxgan.tools.diagnosis.run_reader import Record


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
    them, and what was not examined and why.

    Raises RunError where there is no such run, checkpoint or seed, and on numbers out of range.
    """
    from jaxgan.tools.diagnosis import checks, finding, run_reader

    if config.samples < 10 or config.batches in (-1, 1):
        raise RunError("expected --samples of 10 or more, and --batches of 0, or of 2 or more")
    record = run_reader.record(config.run, given=config.experiment)
    if config.data is not None:
        moved = dataclasses.replace(record.config, data=config.data)
        record = dataclasses.replace(record, config=moved)
    member = _member(record, config.member)
    columns = run_reader.columns(record.path, member=member)
    found = finding.merged(
        [
            checks.of_log(record, columns),
            checks.of_checkpoint(
                record,
                columns,
                which=config.checkpoint,
                member=member,
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
        "findings": [_advised(one, record) for one in found.findings],
        "numbers": {name: _in_json(value) for name, value in found.numbers.items()},
        "remarks": list(found.remarks),
        "not examined": dict(found.unexamined),
    }


def _in_json(value: float | complex) -> float | list[float]:
    return [value.real, value.imag] if isinstance(value, complex) else value


def _written(value: float | list[float]) -> str:
    """A number of a report in three digits."""
    if isinstance(value, list):
        return f"{complex(*value):.3g}".replace("j", "i")
    return f"{value:.3g}"


def _member(record: Record, asked: int | None) -> int | None:
    """The seed whose columns to read, None of a single model; RunError where one must be chosen."""
    seeds = record.config.member_seeds
    if len(seeds) == 1 and asked in (None, *seeds):
        return None
    if asked not in seeds:
        have = ", ".join(map(str, seeds))
        raise RunError(f"{record.path} holds models of the seeds {have}: say which with --member")
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
    findings = report["findings"]
    count = {0: "nothing wrong was found", 1: "one finding"}.get(
        len(findings), f"{len(findings)} findings"
    )
    lines = [f"{report['run']} after {report['step']} of {report['steps']} steps: {count}"]
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
    if report["not examined"]:
        lines += ["", "not examined:"]
        lines += [f"   {name}: {why}" for name, why in report["not examined"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
