"""Our numbers next to the papers': `python -m experiments.tables` writes docs/results.md.

Each table is a module with a declaration `TABLE` (`experiments.tables.frame`). Imports no JAX.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from . import frame

NAMES = (
    "dirac",
    "ring_grid",
    "pacgan",
    "cures",
    "stacked_mnist",
    "parzen",
    "few_labels",
    "encoders",
    "losses",
    "fine_tuning",
    "precision",
    "photographs",
)
"""The modules, in the order of the page."""


def load() -> Mapping[str, frame.Table]:
    """Returns the tables by the name of their module.

    Raises:
        ValueError: If a declaration contradicts itself.
    """
    found = {name: importlib.import_module(f"{__name__}.{name}").TABLE for name in NAMES}
    for name, table in found.items():
        frame.check(name, table)
    return found
