"""Reports what is wrong with a run, since which step, and what the literature recommends.

    jaxgan diagnose RUN

It reads the log and, if there is one, a checkpoint. It detects vanishing and exploding gradients.
It detects a discriminator that wins, that has memorized its training images, or that is too weak,
and players that oscillate. It detects samples that have collapsed, that miss modes, that are far
from the data, or that show a checkerboard, noise or blur. Each finding comes with its numbers and
with remedies: flags of the run's experiment, the alternatives that the experiment names, and
functions of the library, each with the paper. The report says what was examined and how.

"Nothing wrong was found" requires a run that is long enough, and a log and samples that could be
examined. It does not prove that the samples are good.
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
"""The largest number of samples and of batches: all distances among as many take minutes."""


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The run and how to examine it."""

    samples: int = 1000
    """Number of samples and of real examples to compare."""
    batches: int = 16
    """Number of batches of training and of held-out examples for the discriminator's logits; 0:
    none.
    """
    jacobian: bool = False
    """Also compute the eigenvalues of the game's Jacobian at the checkpoint; for small models only.
    """
    data: str | None = None
    """New location of the run's data, in the syntax of the training flag --data (default: as
    recorded).
    """
    json: bool = False
    """Print the report as JSON."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""

    def tell(config: Config) -> None:
        report = diagnose(config)
        print(json.dumps(report, indent=2) if config.json else text(report))

    return command.answer(
        Config, tell, program="jaxgan diagnose", description=__doc__, arguments=arguments
    )


def diagnose(config: Config) -> dict[str, Any]:
    """Examines the run and returns the report, as JSON types.

    Args:
        config: The run and how to examine it.

    Returns:
        `findings`, each with `kind`, `what`, `since`, `evidence` and `advice`; the measured
        `numbers` (complex ones as [real, imaginary]) and `remarks` on them; what was 'looked at'
        and how; what was 'not examined' and why. The `verdict` is 'findings', 'too early to judge',
        'cannot be judged by this' or 'nothing wrong was found'. `because` has the reasons of the
        second and third, also if there are findings.

    Raises:
        RunError: If there is no such run, checkpoint or member, or a number is out of range.
    """
    from jaxgan.runs.seeds import Seeds
    from jaxgan.tools.diagnosis import checks, finding, run_reader

    command.require_ranges(config, {"samples": (checks.FEWEST, MOST), "batches": (0, MOST)})
    if config.batches == 1:
        raise RunError("--batches is 1; expected 0, or 2 or more")
    record = run_reader.record(config.run, given=config.experiment)
    if config.data is not None:
        moved = dataclasses.replace(record.config, data=config.data)
        record = dataclasses.replace(record, config=moved)
    seeds = Seeds.of(record.config)
    chosen = command.index_of_model(seeds, config.model_seed, config.member, path=record.path)
    member = None if seeds.single else chosen  # the log of one model has no columns by member
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
        **_verdict(found),
        "findings": [_advised(one, record) for one in found.findings],
        "numbers": {name: _in_json(value) for name, value in found.numbers.items()},
        "remarks": list(found.remarks),
        "looked at": dict(found.looked),
        "not examined": dict(found.unexamined),
    }


ESSENTIAL = ("the course of training", "what was learned", "the samples")
"""What must have been examined before the verdict can be that nothing is wrong."""


def _verdict(found: Part) -> dict[str, Any]:
    """Returns the report's `verdict` and `because`; that nothing is wrong is the last resort."""
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


def written(value: float | list[float]) -> str:
    """Returns a number of a report with three digits; a complex one is [real, imaginary]."""
    if isinstance(value, list):
        return f"{complex(*value):.3g}".replace("j", "i")
    return f"{value:.3g}"


def _advised(found: Finding, record: Record) -> dict[str, Any]:
    """Returns the finding with its remedies, as JSON types."""
    from jaxgan.tools.diagnosis import remedies

    seen = {**found.evidence, remedies.CHECKPOINTS: len(record.saved)}
    advice = [
        {"do": remedy.do, "why": remedy.why, "source": remedy.source}
        for remedy in remedies.against(
            found.kind, record.config, seen, record.experiment.alternatives
        )
    ]
    return {**found._asdict(), "evidence": dict(found.evidence), "advice": advice}


def heading(report: Mapping[str, Any]) -> list[str]:
    """Returns the first lines of the report: the verdict, and what else cannot be excluded."""
    findings, because = report["findings"], "; ".join(report["because"])
    verdict = report["verdict"]
    if findings:
        verdict = "one finding" if len(findings) == 1 else f"{len(findings)} findings"
    elif because:
        verdict += f": {because}"
    else:
        verdict += " in what was examined"
    lines = [f"{report['run']} after {report['step']} of {report['steps']} steps: {verdict}"]
    if findings and because:
        lines.append(f"other problems cannot be excluded: {because}")
    return lines


def text(report: Mapping[str, Any]) -> str:
    """Returns the report as text: findings with numbers and remedies, then what is not known."""
    lines = heading(report)
    for number, found in enumerate(report["findings"], start=1):
        lines += ["", f"{number}. {found['what']}"]
        if found["since"] is not None:
            lines.append(f"   since step {found['since']} at the latest")
        lines += [f"   {name}: {value:.3g}" for name, value in found["evidence"].items()]
        lines += [
            f"   try {remedy['do']}: {remedy['why']} ({remedy['source']})"
            for remedy in found["advice"]
        ]
    if report["numbers"]:
        lines += ["", "measured:"]
        lines += [f"   {name}: {written(value)}" for name, value in report["numbers"].items()]
        lines += [f"   {remark}" for remark in report["remarks"]]
    if report["looked at"]:
        lines += ["", "examined:"]
        lines += [f"   {name}: {how}" for name, how in report["looked at"].items()]
        lines.append("   (jaxgan evaluate measures the quality of the samples)")
    if report["not examined"]:
        lines += ["", "not examined:"]
        lines += [f"   {name}: {why}" for name, why in report["not examined"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
