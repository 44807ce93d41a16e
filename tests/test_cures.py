"""The table of cures: every row trains, finished rows are kept, and what cannot be is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments import cures, pieces

ROWS = list(pieces.rows(10))
SMALL = {"seeds": 2, "steps": 2, "steps_per_call": 2, "batch_size": 32, "samples": 20}
QUICK = ("packing 3", "unrolled 1")


def in_time(names):
    return [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in names]


@pytest.mark.parametrize("name", in_time(ROWS))
def test_every_row_trains_and_is_measured(name, tmp_path):
    config = cures.Config(rows=(name,), out=tmp_path / "rows.json", **SMALL)
    results = cures.run(config)
    assert list(results) == [name]
    assert all(len(results[name][measure]) == 2 for measure in cures.COLUMNS)
    assert 0 <= np.mean(results[name]["high_quality"]) <= 1
    assert name in cures.report(results)


def test_a_finished_row_is_kept_and_not_run_again(tmp_path, monkeypatch):
    runs = []

    def counted(recipe, config):
        runs.append(recipe)
        values = {measure: [0.5, 0.25] for measure in cures.COLUMNS}
        return {**values, "seconds": [1.0]}

    monkeypatch.setattr(cures, "measured", counted)
    path = tmp_path / "deep" / "rows.json"
    first = cures.run(cures.Config(rows=("GAN",), out=path, **SMALL))
    both = cures.run(cures.Config(rows=("GAN", "packing 2"), out=path, **SMALL))
    assert len(runs) == 2
    assert both["GAN"] == first["GAN"]
    assert set(json.loads(path.read_text())["rows"]) == {"GAN", "packing 2"}
    assert len(cures.run(cures.Config(out=path, **SMALL))) == len(ROWS)
    assert len(runs) == len(ROWS)


def test_a_line_has_the_mean_and_the_deviation_over_seeds():
    result = {
        "captured": [7.0, 8.0],
        "filled": [6.0, 6.0],
        "high_quality": [0.5, 0.6],
        "reverse_kl": [0.25, 0.75],
        "seconds": [12.3],
    }
    text = " ".join(cures.line("GAN", result).split())
    assert text == "GAN 7.5 +- 0.7 6.0 +- 0.0 55.0 +- 7.1 0.500 +- 0.354 12 s"


def test_a_divergence_that_is_infinite_for_a_seed_is_so_for_the_row():
    result = {measure: [1.0, 1.0] for measure in cures.COLUMNS}
    text = cures.line("GAN", {**result, "reverse_kl": [0.5, float("inf")], "seconds": [1.0]})
    assert "inf +- -" in text


def test_results_of_another_protocol_unknown_rows_and_broken_calls_are_refused(
    tmp_path, monkeypatch
):
    values = {**{measure: [0.0] for measure in cures.COLUMNS}, "seconds": [0.0]}
    monkeypatch.setattr(cures, "measured", lambda recipe, config: values)
    path = tmp_path / "rows.json"
    cures.run(cures.Config(rows=("GAN",), out=path, **SMALL))
    with pytest.raises(ValueError, match=r"holds results of .*name another file with --out"):
        cures.run(cures.Config(rows=("GAN",), out=path, **{**SMALL, "steps": 4}))
    with pytest.raises(ValueError, match="there is no row 'sleep'; the rows are GAN, two step"):
        cures.run(cures.Config(rows=("sleep",), out=path, **SMALL))
    with pytest.raises(ValueError, match="3 steps are no whole number of calls of 2"):
        cures.run(cures.Config(out=path, **{**SMALL, "steps": 3}))
