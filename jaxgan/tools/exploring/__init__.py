"""What `jaxgan explore` shows of a trained model.

`studio` says which controls a model has, and answers what is asked with them. `server` offers it on
this machine alone, with the page next to it. May use all other rooms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.tools.exploring import server, studio

__all__ = [
    "server",
    "studio",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
