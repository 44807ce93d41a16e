"""Commands that use a finished run, such as sample, evaluate and latents.

Each command is a module with a `Config` and a `main`; `data` and `launch` need no run. `command` is
the command line that they share; `latent_space`, `latent_concepts`, `latent_directions`,
`inversion`, `onnx_graph` and `tiling` are for programs that do the same by themselves. `diagnosis`
has the signals of `diagnose`, `reporting` the parts of `report`, `exploring` those of `explore`.
May use all other rooms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.tools import (
        command,
        data,
        diagnose,
        diagnosis,
        directions,
        evaluate,
        explore,
        exploring,
        export,
        extract,
        interpolate,
        inversion,
        latent_concepts,
        latent_directions,
        latent_space,
        latents,
        launch,
        model_card,
        nearest,
        onnx_graph,
        project,
        report,
        reporting,
        sample,
        tiling,
        translate,
        traverse,
    )

__all__ = [
    "command",
    "data",
    "diagnose",
    "diagnosis",
    "directions",
    "evaluate",
    "explore",
    "exploring",
    "export",
    "extract",
    "interpolate",
    "inversion",
    "latent_concepts",
    "latent_directions",
    "latent_space",
    "latents",
    "launch",
    "model_card",
    "nearest",
    "onnx_graph",
    "project",
    "report",
    "reporting",
    "sample",
    "tiling",
    "translate",
    "traverse",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
