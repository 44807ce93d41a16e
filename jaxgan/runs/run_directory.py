"""The run directory: what lies in it, who writes to it, what may be deleted. Imports no JAX.

config.json     the experiment, its configuration, the data and the environment
log.txt         what the run said
metrics.jsonl   a line for the means of some steps, or for a measurement of samples with all that it
                depends on, by step; events.out.tfevents.* hold the same numbers
samples/        pictures of the same latents, by step
checkpoints/    the latest and the best, by step; damaged/ holds those that failed their check
profile/        traces
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import difflib
import itertools
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from jaxgan import files
from jaxgan.runs.errors import RunError

try:
    import fcntl
except ImportError:  # pragma: no cover - no such locks on Windows
    fcntl = None

LOCK = ".jaxgan.lock"
_FILES = ("config.json", "log.txt", "metrics.jsonl", "events.out.tfevents.*", "samples/*.png")
_FOLDERS = ("checkpoints", "damaged", "profile")
_RUNS = pathlib.Path("runs")
"""Where runs lie whose directory nobody named."""
_SUGGESTED = 3


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A directory that this process alone writes a run to."""

    path: pathlib.Path

    @property
    def metrics(self) -> pathlib.Path:
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> pathlib.Path:
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> pathlib.Path:
        return self.path / "checkpoints"

    @property
    def damaged(self) -> pathlib.Path:
        return self.path / "damaged"

    @property
    def samples(self) -> pathlib.Path:
        return self.path / "samples"

    @property
    def profile(self) -> pathlib.Path:
        return self.path / "profile"

    def record(self) -> dict[str, Any] | None:
        """What config.json says of the run; None where there is none."""
        return read_record(self.path)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Writes config.json, whole or not at all."""
        files.write_whole(self.path / "config.json", json.dumps(record, indent=2) + "\n")

    def clear(self) -> None:
        """Deletes what a run made and nothing else; config.json, which marks the run, goes last."""
        for name in _FOLDERS:
            if (self.path / name).exists():
                shutil.rmtree(self.path / name)
        for pattern in reversed(_FILES):
            for file in self.path.glob(pattern):
                file.unlink()
        with contextlib.suppress(OSError):  # something of the user's may be left in it
            self.samples.rmdir()


def read_record(path: pathlib.Path) -> dict[str, Any] | None:
    """What the config.json of the run directory `path` says; None where it is no run directory.

    Raises RunError where the file is damaged.
    """
    try:
        record = json.loads((path / "config.json").read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{path / 'config.json'} cannot be read: {error}") from error
    if not isinstance(record, dict) or not {"experiment", "config", "data"} <= record.keys():
        return None
    return record


def required_record(path: pathlib.Path) -> dict[str, Any]:
    """What `read_record` gives; RunError, with the run that may be meant, where `path` is no run
    directory.
    """
    record = read_record(path)
    if record is not None:
        return record
    name = files.printable(path)
    if path.exists():
        raise RunError(
            f"{name} is no run directory: it has no config.json of a run{suggestion(path)}"
        )
    raise RunError(f"no run directory at {name}{suggestion(path)}")


def suggestion(path: pathlib.Path) -> str:
    """'; did you mean runs/flowers?' where `path`, which is no run, is nearly the name of some, and
    nothing where it is not.
    """
    meant = [files.printable(run) for run in _meant(path)]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def _meant(path: pathlib.Path) -> list[pathlib.Path]:
    """The run around the path, or a few in it, or of nearly its name: there, or in runs/."""
    around = [above for above in path.parents if _holds_run(above)]
    if around:
        return around[:1]
    inside = list(itertools.islice(filter(_holds_run, _entries(path)), _SUGGESTED))
    return inside or _alike(path) or _alike(_RUNS / path.name)


def _alike(path: pathlib.Path) -> list[pathlib.Path]:
    """The runs of nearly this path, of which no name may be right."""
    if path.parent == path:
        return []
    here = [path.parent] if path.parent.is_dir() else _near(path.parent)
    return [run for folder in here for run in _near(folder / path.name) if _holds_run(run)]


def _near(path: pathlib.Path) -> list[pathlib.Path]:
    """The folders next to the path whose names are the most like its own, whatever the case, or
    else begin with it.
    """
    asked = path.name.casefold()
    there = {entry.name.casefold(): entry for entry in _entries(path.parent)}
    close = difflib.get_close_matches(asked, there, n=_SUGGESTED)
    longer = [name for name in there if asked and name.startswith(asked)]
    return [there[name] for name in close or longer[-_SUGGESTED:]]


def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
    """The folders in the folder, sorted; none where they cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []


def _holds_run(path: pathlib.Path) -> bool:
    try:
        return (path / "config.json").is_file() and read_record(path) is not None
    except RunError:  # damaged, but meant
        return True


def default_path(title: str) -> pathlib.Path:
    """A directory runs/TITLE-DATE that does not exist yet."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path = pathlib.Path("runs") / f"{title}-{stamp}"
    count = 1
    while path.exists():
        count += 1
        path = path.with_name(f"{title}-{stamp}-{count}")
    return path


@contextlib.contextmanager
def claim(path: pathlib.Path) -> Iterator[RunDirectory]:
    """The directory, made if need be, locked until the block ends, removed again if still empty.

    Raises RunError where it cannot be written to, where another process runs in it, or where it
    holds something that is no run.
    """
    made = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        _require_run_or_nothing(path)
        lock = (path / LOCK).open("w")
    except OSError as error:
        raise RunError(
            f"the run directory {path} cannot be written to: {files.reason(error)}; "
            "choose another --workdir"
        ) from error
    with lock:
        _lock(lock, path)
        try:
            yield RunDirectory(path)
        finally:
            (path / LOCK).unlink(missing_ok=True)
            if made:
                with contextlib.suppress(OSError):  # not empty: a run was started
                    path.rmdir()


def _lock(lock: Any, path: pathlib.Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"another process is running in {path}; stop it, or choose another --workdir"
        ) from None
    except OSError:  # a file system without locks
        return


def is_claimed(path: pathlib.Path) -> bool:
    """Whether a process runs in the directory now (see `claim`): a lock that a killed one left
    behind is nobody's. Where the system cannot tell, any lock counts.
    """
    try:
        lock = (path / LOCK).open()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # another user's
        return True
    with lock:
        if fcntl is None:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:  # held, or a file system without locks
            return True
    return False


def _require_run_or_nothing(path: pathlib.Path) -> None:
    others = [entry.name for entry in path.iterdir() if entry.name != LOCK]
    if others and read_record(path) is None:
        raise RunError(
            f"{path} is no run directory but holds {sorted(others)[0]!r}; choose another --workdir"
        )
