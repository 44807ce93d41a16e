"""What a report shows of runs.

`run_summary` reads what a run directory holds: settings, log, times. `curves` groups the columns of
the logs in panels, which `charts` draws with Bokeh. `pictures` encodes the sample grids, and says
which are shown together. `page` makes one HTML file of all this, with the template next to it. May
use all other rooms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.tools.reporting import charts, curves, page, pictures, run_summary

__all__ = [
    "charts",
    "curves",
    "page",
    "pictures",
    "run_summary",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
