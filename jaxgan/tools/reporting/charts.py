"""The charts of a report, drawn by Bokeh: panels over one common axis of steps."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.runs.errors import RunError
from jaxgan.tools.reporting.curves import Line, Panel

COLORS = ("#2f7fd6", "#d9480f", "#2b9348", "#b14cc4", "#b7791f", "#0c8599", "#e03177", "#7c7f86")
"""The colors of lines, which have a contrast of 3 or more to a white and to a black page."""

DASHES = ("solid", "dashed", "dotted", "dotdash")
MARKED = 20
"""Lines of at most so many points have markers, so that a single point is seen."""

SHOWN = "shown"
"""Name of the vertical line at the step whose pictures are shown."""

_MOST_TOLD = 12  # lines that a tooltip lists with those of single seeds
_NUMBER = "{%.4g}"


class Charts(NamedTuple):
    """Charts as the page embeds them.

    Attributes:
        script: The source of BokehJS.
        documents: The documents by id, as JSON types.
        items: Which element of the page shows which chart, as JSON types.
        elements: The ids of these elements, in the order of the panels.
    """

    script: str
    documents: dict[str, Any]
    items: list[dict[str, Any]]
    elements: tuple[str, ...]


def require_bokeh() -> None:
    """Checks that the libraries that make a report are installed.

    Raises:
        RunError: If they are not; the message names the extra.
    """
    for module in ("bokeh", "jinja2"):
        if importlib.util.find_spec(module) is None:
            raise RunError(f"a report needs {module}: pip install 'jaxgan[report]'")


def style(panel: Panel, line: Line, *, runs: int) -> tuple[str, str]:
    """Returns the color and the dash pattern of a line.

    With one run, colors tell metrics apart. With several, colors tell runs apart and dash patterns
    metrics.

    Args:
        panel: The panel.
        line: One of its lines.
        runs: The number of runs.
    """
    metrics = list(dict.fromkeys(each.metric for each in panel.lines))
    number = metrics.index(line.metric)
    if runs == 1:
        return COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
    return COLORS[line.run % len(COLORS)], DASHES[number % len(DASHES)]


def drawn(panels: Sequence[Panel], *, runs: int) -> Charts:
    """Draws the panels.

    Args:
        panels: The panels, at least one.
        runs: The number of runs that they compare.
    """
    from bokeh.document import Document
    from bokeh.embed.util import standalone_docs_json_and_render_items
    from bokeh.models import Range1d, Span
    from bokeh.resources import Resources

    last = max(int(line.series.steps[-1]) for panel in panels for line in panel.lines)
    steps = Range1d(0, last, bounds=(0, last))
    cursor = Span(dimension="height", line_dash="dotted", line_color="#888888")
    shown = Span(name=SHOWN, dimension="height", location=last, line_color="#888888")
    document = Document()
    for panel in panels:
        document.add_root(_figure(panel, steps, cursor, shown, runs=runs))
    documents, items = standalone_docs_json_and_render_items(document)
    item = items[0].to_json()
    script = Resources(mode="inline", components=["bokeh"]).js_raw[0]
    script = script.replace("\r\n", "\n")  # as a browser reads it, whose hash is compared
    return Charts(script, dict(documents), [item], tuple(item["roots"].values()))


def _figure(panel: Panel, steps: Any, cursor: Any, shown: Any, *, runs: int) -> Any:
    """Draws a panel; the axis of steps, the cursor and the line of the step shown are common."""
    from bokeh.models import BasicTickFormatter, ColumnDataSource, CrosshairTool
    from bokeh.plotting import figure

    chart = figure(
        height=240,
        sizing_mode="stretch_width",
        x_range=steps,
        y_axis_type="log" if panel.logarithmic else "linear",
        tools="xbox_zoom,xpan,reset,save",
        active_drag=None,  # a finger on the chart scrolls the page
        toolbar_location="above",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_alpha=0,
        min_border_right=16,
    )
    chart.toolbar.logo = None
    chart.xaxis.axis_label = "step"
    chart.xaxis.formatter = BasicTickFormatter(use_scientific=False)
    table = _table(panel)
    source = ColumnDataSource(table)
    for number, line in enumerate(panel.lines):
        color, dash = style(panel, line, runs=runs)
        _draw(chart, source, number, line, color=color, dash=dash)
    told = _told(panel)
    carrier = chart.line("step", "at", source=source, line_alpha=0)
    if len(table["step"]) == 1:
        carrier = chart.scatter("step", "at", source=source, size=12, fill_alpha=0, line_alpha=0)
    chart.add_tools(_hover(panel, told, carrier), CrosshairTool(overlay=cursor))
    chart.add_layout(shown)
    return chart


def _table(panel: Panel) -> dict[str, np.ndarray]:
    """Returns the columns of the panel's source: steps, the value of each line, one to point at."""
    steps = np.unique(np.concatenate([line.series.steps for line in panel.lines]))
    values = np.full((len(panel.lines), len(steps)), np.nan)
    for row, line in zip(values, panel.lines, strict=True):
        row[np.searchsorted(steps, line.series.steps)] = line.series.values
    first = np.argmax(np.isfinite(values), axis=0)
    columns = {_column(number): row for number, row in enumerate(values)}
    return {"step": steps, **columns, "at": values[first, np.arange(len(steps))]}


def _column(number: int) -> str:
    return f"line{number}"


def _draw(
    chart: Any, source: Any, number: int, line: Line, *, color: str, dash: str
) -> None:
    """Draws a line. The panel's source serves if the line has a value at each of its steps.

    A line that has fewer steps than others between its first and last one has its own source, as
    gaps would break it.
    """
    present = np.flatnonzero(np.isfinite(source.data[_column(number)]))
    if len(present) and present[-1] - present[0] + 1 > len(present):
        place = {"x": line.series.steps, "y": line.series.values}
    else:
        place = {"x": "step", "y": _column(number), "source": source}
    name = line_name(line)
    weight: dict[str, Any] = {"line_width": 2} if line.main else {"line_alpha": 0.4}
    chart.line(**place, name=name, line_color=color, line_dash=dash, **weight)
    if line.main and len(line.series.steps) <= MARKED:
        chart.scatter(**place, name=name, color=color, size=5)


def line_name(line: Line) -> str:
    """Returns the name by which the page finds what draws a line and its seeds."""
    return f"{line.run}/{line.metric}"


def _told(panel: Panel) -> list[tuple[int, Line]]:
    """Returns the lines that a tooltip lists, with their numbers."""
    lines = list(enumerate(panel.lines))
    return lines if len(lines) <= _MOST_TOLD else [pair for pair in lines if pair[1].main]


def _hover(panel: Panel, told: Sequence[tuple[int, Line]], carrier: Any) -> Any:
    """Returns the tool that shows the values of all lines at the step under the pointer."""
    from bokeh.models import HoverTool

    columns = [_column(number) for number, _ in told]
    return HoverTool(
        renderers=[carrier],
        mode="vline",
        line_policy="nearest",
        point_policy="snap_to_data",
        tooltips=[
            ("step", "@step{0}"),
            *((line.label, f"@{_column(number)}{_NUMBER}") for number, line in told),
        ],
        formatters={f"@{column}": "printf" for column in columns},
    )
