"""The benchmark of batches: it runs each tree's own package, and compares equal work only."""

from __future__ import annotations

import json
import shutil

import pytest

from benchmarks import data
from benchmarks.side_by_side import measuring, protocol


def simulated(milliseconds: float, batch: str = "same") -> protocol.Side:
    hello = {"per_call": 1, "batch": batch}
    return protocol.Side(hello, lambda n: {"seconds": n * milliseconds / 1000, "peak_mb": 1.0})


def test_the_ratio_is_that_of_the_medians(monkeypatch, tmp_path, capsys):
    sides = iter([simulated(10), simulated(20)])

    class Started:
        def __init__(self, arguments, environment):
            self.tree = arguments[2]

        def __enter__(self):
            return next(sides)

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(protocol, "started", Started)
    file = tmp_path / "speed.json"
    config = data.Config(against=tmp_path, batch_size=64, repeats=3, json=file)
    assert data.main(config) == 0
    found = json.loads(file.read_text())
    assert found["images_per_second"] == {"this": pytest.approx(6400), "other": pytest.approx(3200)}
    assert found["ratio"] == pytest.approx(2)
    assert capsys.readouterr().out.splitlines()[-1].strip() == "2.000 ratio"


def test_trees_of_different_batches_are_not_compared():
    with pytest.raises(protocol.SideFailed, match="make different batches"):
        data.require_equal_batches({"this": simulated(1), "other": simulated(1, "another")})


def test_each_side_is_of_its_own_tree(tmp_path, capsys):
    (tmp_path / "jaxgan").mkdir()
    (tmp_path / "jaxgan" / "__init__.py").write_text("raise SystemExit('the other tree')\n")
    assert data.main(data.Config(tree=tmp_path)) == 1
    assert "ended with code 1" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "jaxgan")
    assert data.main(data.Config(tree=tmp_path)) == 1  # jaxgan of this tree is not taken


@pytest.mark.slow
def test_it_measures_this_tree_against_itself(monkeypatch):
    monkeypatch.setattr(measuring, "TURN_S", 0.05)
    found = data.measure(data.Config(against=protocol.ROOT, repeats=1, batch_size=8))
    assert min(found["images_per_second"].values()) > 0 and found["ratio"] > 0
