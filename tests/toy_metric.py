"""Metrics that take no time, for the tests of runs that are measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from jaxgan.metrics import selection, streaming

FLAGS = {"evaluate_every": 4, "evaluate": ("swd",), "evaluate_samples": 30}
"""Of a run that is measured by the metric put in place."""


def put_in_place(
    patch: pytest.MonkeyPatch, values: Sequence[float] | None = None, *, better: str = "lowest"
) -> None:
    """Has 'swd' be the mean level of the generated images, or these values one after another."""
    left = iter(values or ())

    def compute(generated, real):
        return {"swd": next(left) if values else float(np.mean(generated.rows))}

    def metric():
        stream, aim = streaming.rows("pixels", "images"), streaming.Aim("swd", better)
        return streaming.Metric(stream, compute, {"subsets": 1}, aim=aim)

    patch.setitem(selection.METRICS, "swd", metric)
