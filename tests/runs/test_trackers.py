"""Trackers get what the run's own log gets, and cost no run its training."""

from __future__ import annotations

import json

import pytest

from jaxgan.runs import metric_log, trackers
from jaxgan.runs.errors import RunError
from tests import toy_runs


class Kept:
    """A service in memory, which may break down."""

    def __init__(self, breaks: bool = False) -> None:
        self.sessions, self.logged, self.pictures, self.closed = [], [], [], 0
        self._breaks = breaks

    def __call__(self, path, settings):
        self.sessions.append(
            (trackers.identity(path, lambda: f"run-{len(self.sessions)}"), settings)
        )
        return self

    def log(self, step, numbers):
        if self._breaks:
            raise ConnectionError("nobody answers")
        self.logged.append((step, dict(numbers)))

    def picture(self, step, path):
        assert path.is_file()
        self.pictures.append(step)

    def close(self):
        self.closed += 1


def tracked(service, workdir, data, monkeypatch, **fields):
    monkeypatch.setitem(trackers.TRACKERS, "wandb", service)
    monkeypatch.setattr(trackers, "require_installed", lambda name: None)
    return toy_runs.train(workdir, data=data, tracker="wandb", **fields)


def test_a_tracker_gets_every_row_and_picture_and_is_told_that_the_run_goes_on(
    data, tmp_path, monkeypatch
):
    service = Kept()
    path = tracked(service, tmp_path / "run", data, monkeypatch, steps=4, log_every=2)
    tracked(service, path, data, monkeypatch, steps=6, log_every=2)
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert service.logged == [(row["step"], metric_log.scalars(row)) for row in rows]
    pictures = [int(file.stem) for file in sorted((path / "samples").glob("[0-9]*.png"))]
    assert service.pictures == pictures
    assert [name for name, _ in service.sessions] == ["run-0", "run-0"]
    assert service.sessions[0][1]["log_every"] == 2
    assert service.closed == 2


def test_a_tracker_that_fails_is_left_out_and_the_run_is_what_it_would_have_been(
    data, tmp_path, monkeypatch, capsys
):
    plain = toy_runs.train(tmp_path / "plain", data=data, steps=4)
    path = tracked(Kept(breaks=True), tmp_path / "run", data, monkeypatch, steps=4)
    toy_runs.assert_same(plain, path)
    said = (path / "log.txt").read_text()
    assert said.count("the tracker failed and is left out from here on: nobody answers") == 1


def test_a_run_that_is_overwritten_is_another_one_at_the_service(data, tmp_path, monkeypatch):
    service = Kept()
    path = tracked(service, tmp_path / "run", data, monkeypatch, steps=1)
    tracked(service, path, data, monkeypatch, steps=1, overwrite=True)
    assert [name for name, _ in service.sessions] == ["run-0", "run-1"]


def test_a_tracker_that_is_not_installed_is_refused_before_the_data_are_read(monkeypatch):
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        RunError, match=r"needs the package mlflow, .* pip install 'jaxgan\[loggers\]'"
    ):
        trackers.require_installed("mlflow")
    trackers.require_installed(None)


def test_the_numbers_of_seeds_have_tags_of_their_own():
    members = {"seed": [3, 4], "loss": [1.0, 2.0]}
    row = {"step": 1, "loss": 1.5, "seconds": 0.1, "members": members}
    numbers = {"loss": 1.5, "seconds": 0.1, "loss/seed_3": 1.0, "loss/seed_4": 2.0}
    assert metric_log.scalars(row) == numbers


@pytest.mark.slow
def test_mlflow_keeps_a_run_and_its_continuation_as_one(data, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # its default needs a database
    path = toy_runs.train(tmp_path / "run", data=data, tracker="mlflow", steps=4, log_every=2)
    toy_runs.train(path, data=data, tracker="mlflow", steps=6, log_every=2)
    client = mlflow.MlflowClient()
    kept = client.get_experiment_by_name(trackers.PROJECT)
    (run,) = client.search_runs([kept.experiment_id])
    history = client.get_metric_history(run.info.run_id, "generator/loss")
    assert [point.step for point in history] == [2, 4, 6]
    assert run.info.status == "FINISHED"
    assert run.data.params["log_every"] == "2"
    assert client.list_artifacts(run.info.run_id, "samples")


@pytest.mark.slow
def test_weights_and_biases_takes_a_run_without_a_network(data, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    path = toy_runs.train(tmp_path / "run", data=data, tracker="wandb", steps=4, log_every=2)
    assert list(
        (tmp_path / "wandb").glob(f"offline-run-*-{(path / 'tracking-id.txt').read_text().strip()}")
    )
