"""The charts of a report, drawn by Bokeh: panels over one common axis of steps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.tools.reporting.curves import Line, Panel

COLORS = ("#2f7fd6", "#d9480f", "#2b9348", "#b14cc4", "#b7791f", "#0c8599", "#e03177", "#7c7f86")
"""The colors of lines, which have a contrast of 3 or more to a white and to a black page."""

DASHES = ("solid", "dashed", "dotted", "dotdash")
MARKED = 20
"""Lines of at most so many points have markers, so that a single point is seen."""

SHOWN = "shown"
"""Name of the vertical line at the step whose pictures are shown."""

POINTED = "pointed"
"""Name of the vertical line at the step under the pointer."""


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

    @property
    def size(self) -> int:
        """Returns the number of characters that the charts take in the page, without the script."""
        return len(json.dumps(self.documents))


def style(panel: Panel, line: Line, *, runs: int) -> tuple[str, str]:
    """Returns the color and the dash pattern of a line.

    With one run, colors tell metrics apart. With several, or settings of a sweep, colors tell those
    apart and dash patterns metrics.

    Args:
        panel: The panel.
        line: One of its lines.
        runs: The number of runs.
    """
    metrics = list(dict.fromkeys(each.metric for each in panel.lines))
    number = metrics.index(line.metric)
    sources = list(dict.fromkeys((each.run, each.setting) for each in panel.lines))
    if all(setting is None for _, setting in sources):
        if runs == 1:
            return COLORS[number % len(COLORS)], DASHES[number // len(COLORS) % len(DASHES)]
        return COLORS[line.run % len(COLORS)], DASHES[number % len(DASHES)]
    source = sources.index((line.run, line.setting))
    return COLORS[source % len(COLORS)], DASHES[number % len(DASHES)]


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
    steps = Range1d(start=0, end=last, bounds=(0, last))
    marks = [
        Span(name=SHOWN, dimension="height", line_color="#888888"),
        Span(name=POINTED, dimension="height", line_color="#888888", line_dash="dotted"),
    ]
    document = Document()
    for panel in panels:
        document.add_root(_figure(panel, steps, marks, runs=runs))
    documents, items = standalone_docs_json_and_render_items(document)
    item = items[0].to_json()
    script = Resources(mode="inline", components=["bokeh"]).js_raw[0]
    script = script.replace("\r\n", "\n")  # as a browser reads it, whose hash is compared
    return Charts(script, {**documents}, [item], tuple(item["roots"].values()))


def _figure(panel: Panel, steps: Any, marks: Sequence[Any], *, runs: int) -> Any:
    """Draws a panel; all panels have the axis of steps and the marks in common."""
    from bokeh.models import BasicTickFormatter
    from bokeh.plotting import figure

    chart = figure(
        height=240,
        sizing_mode="stretch_width",
        x_range=steps,
        y_axis_type="log" if panel.logarithmic else "linear",
        tools="xbox_zoom,xpan,reset,save",
        active_drag=None,  # a finger on the chart scrolls the page
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_alpha=0,
        min_border_right=16,
    )
    chart.toolbar.logo = None
    chart.xaxis.axis_label = "step"
    chart.xaxis.formatter = BasicTickFormatter(use_scientific=False)
    for line in panel.lines:
        _draw(chart, line, style(panel, line, runs=runs))
    for mark in marks:
        chart.add_layout(mark)
    return chart


def _draw(chart: Any, line: Line, style: tuple[str, str]) -> None:
    color, dash = style
    steps, values = line.series.steps.astype(np.int32), line.series.values
    weight: dict[str, Any] = {"line_width": 2} if line.main else {"line_alpha": 0.4}
    name = line_name(line)
    chart.line(steps, values, name=name, line_color=color, line_dash=dash, **weight)
    if line.main and len(steps) <= MARKED:
        chart.scatter(steps, values, name=name, color=color, size=5)


def line_name(line: Line) -> str:
    """Returns the name by which the page finds what draws a line and its seeds.

    Args:
        line: The line.
    """
    setting = "" if line.setting is None else f"/{line.setting}"
    return f"{line.run}/{line.metric}{setting}"
