"""The page of a report: one HTML file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan.runs import estimate, run_directory
from jaxgan.tools import diagnose
from jaxgan.tools.reporting import charts, pictures, run_summary
from jaxgan.tools.reporting.charts import Charts
from jaxgan.tools.reporting.curves import Line, Panel
from jaxgan.tools.reporting.pictures import Album
from jaxgan.tools.reporting.run_summary import Summary


def rendered(
    runs: Sequence[Summary],
    panels: Sequence[Panel],
    drawn: Charts | None,
    albums: Sequence[Album],
    diagnoses: Sequence[Mapping[str, Any] | str],
) -> str:
    """Returns the HTML of the page.

    Everything that comes from a run is escaped. The page's content security policy allows only the
    scripts that it holds, by their hashes, and no request.

    Args:
        runs: The runs.
        panels: The panels of their curves.
        drawn: The charts of these panels; None if there are none.
        albums: The pictures of each run.
        diagnoses: For each run the report of `jaxgan diagnose` with the model's `seed`, or a
            sentence why there is none; empty if they are left out.
    """
    import jinja2
    from markupsafe import Markup

    scripts = [_resource("page.js")] if drawn is None else [drawn.script, _resource("page.js")]
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.policies["json.dumps_kwargs"] = {}  # unsorted: BokehJS reads models in their order
    environment.filters |= {
        "duration": estimate.duration,
        "heading": diagnose.heading,
        "number": diagnose.written,
    }
    return environment.from_string(_resource("page.html")).render(
        mark=Markup(run_directory.PAGE_MARK),
        policy=_policy(scripts),
        style=Markup(_resource("page.css")),
        scripts=[Markup(script) for script in scripts],
        title=" and ".join(run.name for run in runs),
        runs=list(zip(runs, albums, _each(diagnoses, len(runs)), strict=True)),
        abouts=list(dict.fromkeys(f"{run.title}: {run.about}".rstrip(": ") for run in runs)),
        facts=[pair for pair in run_summary.facts_of(runs) if pair[0] != "environment"],
        differing=run_summary.differing(runs),
        warnings=_warnings(runs),
        measured=[(run.name, json.dumps(run.measured, indent=2)) for run in runs if run.measured],
        panels=_panels(panels, drawn, runs=len(runs)),
        averaged=max((panel.rows_per_point for panel in panels), default=1),
        data=_data(drawn, albums),
    )


def _resource(name: str) -> str:
    return (importlib.resources.files("jaxgan.tools.reporting") / name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    hashes = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    ]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # Bokeh adds its style sheets as elements, and its icons as data.
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
    )


def _each(diagnoses: Sequence[Any], count: int) -> list[Any]:
    return list(diagnoses) if diagnoses else [None] * count


def _warnings(runs: Sequence[Summary]) -> list[str]:
    """Returns the warnings of the evaluations, and whether those of the runs compare."""
    measured = [run.measured for run in runs if run.measured]
    found = [text for each in measured for text in each.get("warnings", ())]
    if len({json.dumps(each["settings"], sort_keys=True) for each in measured}) > 1:
        found.append(
            "the runs were evaluated with different settings, so that their numbers do not compare"
        )
    return list(dict.fromkeys(map(str, found)))


def _panels(panels: Sequence[Panel], drawn: Charts | None, *, runs: int) -> list[dict[str, Any]]:
    if drawn is None:
        return []
    return [
        {
            "title": panel.title,
            "logarithmic": panel.logarithmic,
            "element": element,
            "lines": [_line(panel, line, runs=runs) for line in panel.main],
            "seeds": len(panel.main) < len(panel.lines),
        }
        for panel, element in zip(panels, drawn.elements, strict=True)
    ]


def _line(panel: Panel, line: Line, *, runs: int) -> dict[str, Any]:
    """Returns what the legend and the table say of a line."""
    color, dash = charts.style(panel, line, runs=runs)
    steps, values = line.series.finite()
    found = {
        "label": line.label,
        "run": line.run,
        "name": charts.line_name(line),
        "color": color,
        "dash": dash,
    }
    if not len(values):
        return {**found, "last": None, "lowest": None, "highest": None}
    low, high = int(np.argmin(values)), int(np.argmax(values))
    return {
        **found,
        "last": (float(values[-1]), int(steps[-1])),
        "lowest": (float(values[low]), int(steps[low])),
        "highest": (float(values[high]), int(steps[high])),
    }


def _data(drawn: Charts | None, albums: Sequence[Album]) -> dict[str, Any]:
    """Returns what the page's script works with, as JSON types."""
    return {
        "charts": drawn and {"documents": drawn.documents, "items": drawn.items},
        "marks": {"shown": charts.SHOWN, "pointed": charts.POINTED},
        "grids": [[grid.step for grid in album.grids] for album in albums],
        "stops": {
            "step": [stop._asdict() for stop in pictures.by_step(albums)],
            "time": [stop._asdict() for stop in pictures.by_time(albums)],
        },
    }
