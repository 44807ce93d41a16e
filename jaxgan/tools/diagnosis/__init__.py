"""What can be wrong with a game between a generator and a discriminator.

A signal is a pure function of arrays to a finding, or None if nothing is wrong. `checks` computes
the signals of a run: of its log, its samples, their texture, its discriminator and the Jacobian of
its game. `remedies` has what the literature recommends, in the terms of this library's flags; a
`remedy` of its own can be declared by an experiment. `run_reader` reads what a run directory holds
of all this. May use all other rooms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxgan import _submodule

if TYPE_CHECKING:
    from jaxgan.tools.diagnosis import checks, finding, remedies, remedy, run_reader

__all__ = [
    "checks",
    "finding",
    "remedies",
    "remedy",
    "run_reader",
]


def __getattr__(name: str) -> Any:
    return _submodule(__name__, __all__, name)
