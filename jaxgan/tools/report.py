"""Writes a page that shows a run, or compares several: curves, samples, settings, a diagnosis.

    jaxgan report RUN
    jaxgan report RUN1 RUN2

The page is one HTML file. It needs no server and no network, and has at most 5 MB. It is written
into the (first) run directory as report.html, or for several runs as comparison.html. The run may
still be training. The page needs Bokeh (pip install 'jaxgan[report]').
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from jaxgan import files
from jaxgan.runs import report_in_training, run_directory
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    from jaxgan.tools import diagnose
    from jaxgan.tools.reporting.run_summary import Summary

Say = Callable[[str], None]

_ROOM = 100_000  # characters for settings and words, in a page and for each run


@dataclasses.dataclass(frozen=True)
class Config(command.Choice):
    """The runs, and what the page has."""

    runs: Annotated[tuple[pathlib.Path, ...], tyro.conf.Positional]
    """The run directories; several are compared."""
    out: pathlib.Path | None = None
    """The file to write. Default: report.html or comparison.html in the (first) run directory."""
    diagnosis: bool = True
    """Diagnose the runs, as `jaxgan diagnose` does, which takes most of the time, and draw of a
    single run the ways between latents and the training images nearest to samples. Of several
    models it is the first, or the one of --model-seed or --member.
    """
    data: str | None = None
    """New location of the data that the diagnosis reads, in the syntax of the training flag --data
    (default: as recorded). Of several runs, all must have the same data.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(report, say=print),
        program="jaxgan report",
        description=__doc__,
        arguments=arguments,
    )


def report(config: Config, *, say: Say) -> pathlib.Path:
    """Writes the page and returns its path.

    Args:
        config: The runs, and what the page has.
        say: Receives sentences about what was written.

    Raises:
        RunError: If there is no such run, a library is missing, or the file that would be replaced
            is no report. Nothing is written then.
    """
    from jaxgan.tools.reporting import charts, curves, page, pictures, run_summary

    if not config.runs:
        raise RunError("no run is named; expected jaxgan report RUN")
    if config.data is not None and not config.diagnosis:
        raise RunError(
            "--data does nothing with --no-diagnosis, which alone reads data: leave it out"
        )
    runs = run_summary.summaries(config.runs, given=config.experiment)
    report_in_training.require_installed()
    path = _place(config)
    _require_replaceable(path)
    for run in runs:
        for remark in run.remarks:
            say(f"warning: {run.path}: {remark}")
    panels = curves.panels(runs)
    drawn = charts.drawn(panels, runs=len(runs)) if panels else None
    taken = _ROOM * (1 + len(runs)) + (len(drawn.script) + drawn.size if drawn else 0)
    diagnoses = [_diagnosed(config, run, say) for run in runs] if config.diagnosis else ()
    with tempfile.TemporaryDirectory() as folder:
        alone = config.diagnosis and len(runs) == 1
        drawn_now = _drawn(_of_run(config, runs[0]), pathlib.Path(folder)) if alone else {}
        budget = run_directory.MOST_PAGE_BYTES - taken
        albums = pictures.albums(runs, budget=budget, drawn=drawn_now)
    text = page.rendered(runs, panels, drawn, albums, diagnoses)
    content = text.encode(errors="backslashreplace")  # names that are not UTF-8
    most = run_directory.MOST_PAGE_BYTES
    if len(content) > most:
        raise RunError(
            f"the page would have {len(content):,} bytes, more than {most:,}; name fewer runs"
        )
    command.write(path, content)
    say(f"{path}: {len(content) / 1e6:.1f} MB; a browser opens it")
    if len(runs) == 1:
        _suggest(_of_run(config, runs[0]), say)
    return path


def _place(config: Config) -> pathlib.Path:
    name = run_directory.PAGE if len(config.runs) == 1 else "comparison.html"
    return config.out or config.runs[0] / name


def _require_replaceable(path: pathlib.Path) -> None:
    """Raises RunError if the path holds anything but an earlier report."""
    if files.is_folder(path):
        raise RunError(f"{path} is a folder; expected --out FILE.html")
    if files.exists(path) and not run_directory.is_page(path):
        raise RunError(f"{path} is no report, so it is not replaced; choose another --out")


def _diagnosed(config: Config, run: Summary, say: Say) -> Mapping[str, Any] | str:
    """Returns the report of `jaxgan diagnose`, or the sentence why there is none."""
    from jaxgan.tools import diagnose

    asked = _of_run(config, run)
    say(f"diagnosing {run.path} (--no-diagnosis leaves it out) ...")
    try:
        of = _diagnosed_model(run, asked.model_seed, asked.member)
        return {**diagnose.diagnose(asked), "of": of}
    except (RunError, ValueError) as error:
        return str(error)
    except OSError as error:
        return files.reason(error)


def _of_run(config: Config, run: Summary) -> diagnose.Config:
    """Returns the diagnosis to make of a run: of several models, that of the first."""
    from jaxgan.tools import diagnose

    seed, member = config.model_seed, config.member
    if run.members is not None and seed is None and member is None:
        seed = None if run.members.settings else run.members.seeds[0]
        member = "0" if run.members.settings else None
    return diagnose.Config(
        run=run.path,
        checkpoint=config.checkpoint,
        model_seed=seed,
        member=member,
        experiment=config.experiment,
        data=config.data,
    )


def _suggest(config: command.OfRun, say: Say) -> None:
    """Says what to do next with what the model draws; nothing if it has no checkpoint yet."""
    from jaxgan.tools import sample

    try:
        model = config.load()
    except (RunError, ValueError, OSError):
        return
    if words := sample.translated(model):
        config.suggest(say, "give it something to draw from:", "translate", *words)
    elif len(model.spec.shape) == 3:
        config.suggest(say, "film its images:", "interpolate")
    else:
        config.suggest_export(say)


def _drawn(asked: diagnose.Config, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Draws into the folder what the model makes of its latents; nothing if it has none.

    Returns the pictures by what they show.
    """
    from jaxgan.tools import latents, nearest

    names = [field.name for field in dataclasses.fields(command.OfRun)]
    of_run: dict[str, Any] = {name: getattr(asked, name) for name in names}
    ways = latents.Config(**of_run, out=folder, pictures=("interpolation",))
    picture = folder / "nearest.png"
    near = nearest.Config(
        **of_run,
        out=picture,
        data=asked.data,
        samples=256,
        features="pixels",
        rows=6,
    )
    found: dict[str, pathlib.Path] = {}
    with contextlib.suppress(RunError, ValueError, OSError):
        found["between latents"] = latents.explore(ways, say=_unsaid)[0]
    with contextlib.suppress(RunError, ValueError, OSError):
        nearest.nearest(near, say=_unsaid)
        found["samples, each followed by the training images nearest in pixels"] = picture
    return found


def _unsaid(sentence: str) -> None:
    """Leaves a sentence of another command out."""


def _diagnosed_model(run: Summary, seed: int | None, member: str | None) -> str | None:
    """Returns what names the diagnosed model, if the run has several."""
    from jaxgan.runs import sweeps

    if run.members is None or member is None:
        return None if seed is None else f"seed {seed}"
    index = sweeps.named(member, run.members.seeds, run.members.settings)
    return run.members.labels[index]


if __name__ == "__main__":
    sys.exit(main())
