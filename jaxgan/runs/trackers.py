"""Services that keep the logs of many runs: Weights & Biases and MLflow.

A tracker takes the rows of the metric log and the sample pictures. Where it sends them, and as
whom, is the service's own configuration (WANDB_MODE, WANDB_PROJECT, MLFLOW_TRACKING_URI, ...). A
tracker that fails is left out for the rest of the run, which goes on.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from jaxgan import files
from jaxgan.runs import metric_log, run_directory
from jaxgan.runs.errors import RunError

PROJECT = "jaxgan"
"""The name of the project or experiment, where the service's own configuration names none."""


class Tracker(Protocol):
    """What a service offers to a run.

    A new one is a class with these methods, and a line in `TRACKERS`.
    """

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Sends the metrics of a step."""

    def picture(self, step: int, path: pathlib.Path) -> None:
        """Sends the sample picture of a step."""

    def close(self) -> None:
        """Sends what is left, and ends the run's session with the service."""


class WeightsAndBiases:
    """Sends a run to Weights & Biases; a continued run is continued there.

    Args:
        path: The run directory.
        settings: The flags of the run.
    """

    def __init__(self, path: pathlib.Path, settings: Mapping[str, Any]) -> None:
        import wandb  # type: ignore[import-not-found]

        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=path.name,
            id=identity(path, lambda: uuid.uuid4().hex),
            config=dict(settings),
            resume="allow",
        )

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Sends the metrics of a step."""
        self._run.log(dict(numbers), step=step)

    def picture(self, step: int, path: pathlib.Path) -> None:
        """Sends the sample picture of a step."""
        self._run.log({"samples": self._wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        """Sends what is left, and ends the session."""
        self._run.finish()


class MLflow:
    """Sends a run to MLflow; a continued run is continued there.

    Args:
        path: The run directory.
        settings: The flags of the run.
    """

    def __init__(self, path: pathlib.Path, settings: Mapping[str, Any]) -> None:
        import mlflow  # type: ignore[import-not-found]

        self._client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)

        def begin() -> str:
            known = self._client.get_experiment_by_name(name)
            into = known.experiment_id if known else self._client.create_experiment(name)
            run = self._client.create_run(into, run_name=path.name).info.run_id
            for flag, value in settings.items():
                self._client.log_param(run, flag, value)
            return run

        self._run = identity(path, begin)
        self._client.update_run(self._run, status="RUNNING")

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Sends the metrics of a step."""
        for name, number in numbers.items():
            self._client.log_metric(self._run, name, number, step=step)

    def picture(self, step: int, path: pathlib.Path) -> None:
        """Sends the sample picture of a step."""
        self._client.log_artifact(self._run, str(path), "samples")

    def close(self) -> None:
        """Ends the session."""
        self._client.set_terminated(self._run)


TRACKERS: dict[str, Callable[[pathlib.Path, Mapping[str, Any]], Tracker]] = {
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
"""Trackers by the name of their package."""


def identity(path: pathlib.Path, begin: Callable[[], str]) -> str:
    """Returns the name of the run at the service, from its directory or, the first time, new.

    Args:
        path: The run directory.
        begin: Returns a new name.
    """
    kept = path / run_directory.TRACKED
    if not kept.is_file():
        files.write_whole(kept, begin() + "\n")
    return kept.read_text().strip()


def require_installed(name: str | None) -> None:
    """Raises RunError if the package of the tracker is not installed."""
    if name is not None and importlib.util.find_spec(name) is None:
        raise RunError(
            f"--tracker {name} needs the package {name}, which is not installed: "
            "pip install 'jaxgan[loggers]'"
        )


class Tracking:
    """A sink of the metric log that sends its rows to a tracker, until that fails.

    Args:
        tracker: The tracker.
        say: Told once, in a sentence, that the tracker has failed.
    """

    def __init__(self, tracker: Tracker, say: Callable[[str], None]) -> None:
        self._tracker: Tracker | None = tracker
        self._say = say

    def __call__(self, row: metric_log.Row) -> None:
        """Sends the row."""
        self._try(lambda tracker: tracker.log(row["step"], metric_log.scalars(row)))

    def picture(self, step: int, path: pathlib.Path) -> None:
        """Sends the sample picture of a step."""
        self._try(lambda tracker: tracker.picture(step, path))

    def close(self) -> None:
        """Ends the session."""
        self._try(lambda tracker: tracker.close())

    def _try(self, send: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            send(self._tracker)
        except Exception as error:  # of a service, of any kind
            self._tracker = None
            self._say(f"warning: the tracker failed and is left out from here on: {error}")


@contextlib.contextmanager
def opened(
    name: str | None,
    path: pathlib.Path,
    settings: Mapping[str, Any],
    *,
    say: Callable[[str], None],
) -> Iterator[Tracking | None]:
    """Opens the tracker for the run until the block ends; None if there is none.

    Args:
        name: The tracker in `TRACKERS`, or None.
        path: The run directory.
        settings: The flags of the run.
        say: Told once, in a sentence, that the tracker has failed.

    Raises:
        RunError: If the service cannot be reached at the start.
    """
    if name is None:
        yield None
        return
    try:
        tracking = Tracking(TRACKERS[name](path, settings), say)
    except Exception as error:
        raise RunError(f"--tracker {name} cannot be opened: {error}") from error
    try:
        yield tracking
    finally:
        tracking.close()
