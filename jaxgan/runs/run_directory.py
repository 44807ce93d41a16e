"""Layout, locking and clearing of run directories. Imports no JAX.

config.json     the experiment, its configuration, the data and the environment
log.txt         the messages of the run
metrics.jsonl   one line per step that was logged, with metrics averaged over some steps, or with an
                evaluation of samples and its settings; events.out.tfevents.* hold the same numbers
samples/        pictures of fixed latents by step, and real.png with the first training images
checkpoints/    the latest and the best checkpoints, by step
damaged/        damaged checkpoints, lines of the log that could not be read, and logs whose
                checkpoints are missing
profile/        profiler traces
tracking-id.txt the run's name at a service that keeps its logs
report.html     the page of the run
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import difflib
import errno
import itertools
import json
import math
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import filelock

from jaxgan import files
from jaxgan.runs.errors import RunError

FORMAT = 1
"""Format number of config.json; increased if older readers would fail."""

EVENTS = "events.out.tfevents."
"""Beginning of the names of TensorBoard event files."""

TRACKED = "tracking-id.txt"
"""Name of the file with the run's name at a service that keeps its logs."""

PAGE = "report.html"
"""Name of the page of a run."""

PAGE_MARK = '<meta name="generator" content="jaxgan report">'
"""What marks a file as a page, so that the next one may replace it."""

MOST_PAGE_BYTES = 5_000_000
"""The largest size of a page."""

_FOLDERS = ("samples", "checkpoints", "damaged", "profile")
_WRITTEN = re.compile(
    r"log\.txt|metrics\.jsonl|tracking-id\.txt|events\.out\.tfevents\.[^/]*"
    r"|samples/([0-9]{6,}|real)\.png"
    r"|checkpoints/[0-9]+(\.orbax-checkpoint-tmp[^/]*)?/.*"
    r"|damaged/([0-9]+-[0-9]+/.*|metrics-[0-9]+\.jsonl)"
    r"|profile/plugins/profile/[^/]+/[^/]*(\.xplane\.pb|trace\.json\.gz)"
)
"""Matches the paths of all files that a run writes, except config.json."""

# Names of incomplete files of older versions.
_OLD_PARTIAL = re.compile(r"(config\.json|metrics\.jsonl|[0-9]{6,}\.png)\.partial")
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_HEAD = 2000  # bytes in which a page says that it is one
_MOST_SIDE, _MOST_NUMBERS = 2**16, 2**31
_RUNS = pathlib.Path("runs")
"""The default directory of runs."""
_SUGGESTED = 3


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """A run directory that only this process writes to.

    Attributes:
        path: Its path.
    """

    path: pathlib.Path

    @property
    def metrics(self) -> pathlib.Path:
        """Returns the path of the logged metrics."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> pathlib.Path:
        """Returns the path of the messages of the run."""
        return self.path / "log.txt"

    @property
    def checkpoints(self) -> pathlib.Path:
        """Returns the directory of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def damaged(self) -> pathlib.Path:
        """Returns the directory of damaged files."""
        return self.path / "damaged"

    @property
    def samples(self) -> pathlib.Path:
        """Returns the directory of pictures."""
        return self.path / "samples"

    @property
    def profile(self) -> pathlib.Path:
        """Returns the directory of profiler traces."""
        return self.path / "profile"

    def record(self) -> dict[str, Any] | None:
        """Returns the contents of config.json, or None if there is none."""
        return read_record(self.path)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Writes config.json atomically.

        Args:
            record: Its contents, without the format.
        """
        content = json.dumps({"format": FORMAT, **record}, indent=2)
        files.write_whole(self.path / "config.json", content + "\n")

    def clear(self) -> list[str]:
        """Deletes the files of a run, but not files of the user.

        config.json is kept. It marks the directory as a run until the next run replaces it.

        Returns:
            The paths of the user's files, relative to the directory.
        """
        left = []
        for folder, folders, names in os.walk(self.path, topdown=False):
            here = pathlib.Path(folder)
            links = [name for name in folders if (here / name).is_symlink()]
            for path in (here / name for name in [*names, *links]):
                place = path.relative_to(self.path).as_posix()
                if _WRITTEN.fullmatch(place) or (place == PAGE and is_page(path)):
                    path.unlink()
                elif place not in ("config.json", files.RUN_LOCK):
                    left.append(place)
            if here.relative_to(self.path).parts[:1] in {(name,) for name in _FOLDERS}:
                with contextlib.suppress(OSError):  # it holds files of the user
                    here.rmdir()
        return sorted(left)

    def aside(self, stem: str, suffix: str) -> pathlib.Path:
        """Returns a free path in damaged/: STEM-0SUFFIX, STEM-1SUFFIX, ...

        The directory damaged/ is created if needed.

        Args:
            stem: Beginning of the name.
            suffix: End of the name.
        """
        self.damaged.mkdir(exist_ok=True)
        return free(self.damaged, stem, suffix)


def is_page(path: pathlib.Path) -> bool:
    """Returns whether the file is a page on runs, which the next one may replace.

    Args:
        path: The file.
    """
    try:
        return PAGE_MARK.encode() in files.read(path, most=MOST_PAGE_BYTES)[:_HEAD]
    except OSError:  # larger than any page, or a pipe
        return False


def free(folder: pathlib.Path, stem: str, suffix: str = "") -> pathlib.Path:
    """Returns the first path STEM-NUMBERSUFFIX that does not exist.

    Args:
        folder: The directory of the path.
        stem: Beginning of the name.
        suffix: End of the name.
    """
    count = 0
    while os.path.lexists(folder / f"{stem}-{count}{suffix}"):
        count += 1
    return folder / f"{stem}-{count}{suffix}"


def read_record(path: pathlib.Path) -> dict[str, Any] | None:
    """Returns the contents of a run's config.json, or None if `path` is not a run directory.

    Args:
        path: The directory.

    Raises:
        RunError: If the file is damaged.
        Newer: If a newer version of the library wrote it.
    """
    file = path / "config.json"
    try:
        record = parsed(files.read(file).decode())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read: {files.reason(error)}") from error
    if not files.is_run_record(record):
        return None
    require_format(record, file)
    fault = _fault(record)
    if fault:
        raise RunError(f"{file} is damaged: {fault}; bring back a copy of it")
    return record


def parsed(text: str) -> Any:
    """Parses JSON.

    Raises:
        ValueError: If the text is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def require_format(
    record: Mapping[str, Any], source: pathlib.Path, *, newest: int = FORMAT
) -> None:
    """Checks that this version of the library can read a record.

    Args:
        record: The record. Its format is 0 if it has none.
        source: Its file, for messages.
        newest: The newest format that this version can read.

    Raises:
        RunError: If the format is not a number.
        Newer: If the format is newer than that.
    """
    found = record.get("format", 0)
    if not _is_count(found):
        raise RunError(f"{source} is damaged: its format is {_short(found)}; expected a number")
    if found > newest:
        raise Newer(
            f"{source} was made by a newer jaxgan (format {found}, this one reads up to "
            f"{newest}): update jaxgan"
        )


class Newer(RunError):
    """Raised if a newer version of the library wrote what is read."""


def _fault(record: Mapping[str, Any]) -> str | None:
    """Returns what is wrong with the contents of config.json, or None if they are valid."""
    experiment, config, learned = record["experiment"], record["config"], record["data"]
    if not isinstance(experiment, dict) or not all(
        isinstance(experiment.get(name), str | None) for name in ("module", "file")
    ):
        return f"its experiment is {_short(experiment)}; expected the name of a module and a file"
    if {"module", "file"} - experiment.keys():
        return "its experiment lacks the name of a module or the file"
    if not isinstance(config, dict):
        return f"its config is {_short(config)}; expected settings by name"
    if not isinstance(learned, dict):
        return f"its data are {_short(learned)}; expected their shape, classes and digest"
    if not _is_shape(learned.get("shape")):
        return f"the shape of its data is {_short(learned.get('shape'))}; expected axis sizes"
    classes, inputs = learned.get("classes"), learned.get("inputs", {})
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return f"the classes of its data are {_short(classes)}; expected a list of names"
    if not isinstance(inputs, dict) or not all(map(_is_shape, inputs.values())):
        return f"the inputs of its data are {_short(inputs)}; expected shapes by name"
    by_entry = learned.get("transforms", {})
    if not isinstance(by_entry, dict) or not all(map(_is_transform, by_entry.values())):
        return f"the transforms of its data are {_short(by_entry)}; expected steps by name"
    if not isinstance(learned.get("typical", {}), dict):
        return f"its typical conditions are {_short(learned['typical'])}; expected numbers by name"
    if not isinstance(learned.get("digest"), str):
        return f"the digest of its data is {_short(learned.get('digest'))}; expected hex digits"
    return None


def _is_shape(value: Any) -> bool:
    if not isinstance(value, list) or not all(map(_is_count, value)):
        return False
    return max(value, default=0) <= _MOST_SIDE and math.prod(value) <= _MOST_NUMBERS


def _is_transform(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(step, dict)
        and isinstance(step.get("kind"), str)
        and all(
            isinstance(step.get(name), list) and all(map(_is_number, step[name]))
            for name in ("center", "scale")
        )
        for step in value
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _short(value: Any) -> str:
    """Returns the value as JSON, truncated to 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def required_record(path: pathlib.Path) -> dict[str, Any]:
    """Returns the contents of a run's config.json.

    Args:
        path: The run directory.

    Raises:
        RunError: If `path` is not a run directory. The message suggests similar paths.
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
    """Returns a suggestion such as '; did you mean runs/flowers?', or '' if no path is similar.

    Args:
        path: A path that is not a run directory.
    """
    meant = [files.printable(run) for run in _meant(path)]
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def _meant(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the run around the path, else up to three inside it, or runs of a similar name."""
    around = [above for above in path.parents if _holds_run(above)]
    if around:
        return around[:1]
    inside = list(itertools.islice(filter(_holds_run, _entries(path)), _SUGGESTED))
    return inside or _alike(path) or _alike(_RUNS / path.name)


def _alike(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the runs of a similar path; each name in the path may be misspelled."""
    if path.parent == path:
        return []
    here = [path.parent] if path.parent.is_dir() else _near(path.parent)
    return [run for folder in here for run in _near(folder / path.name) if _holds_run(run)]


def _near(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the directories next to the path with similar names, else those that begin with it.

    Upper and lower case are equal.
    """
    asked = path.name.casefold()
    there = {entry.name.casefold(): entry for entry in _entries(path.parent)}
    close = difflib.get_close_matches(asked, there, n=_SUGGESTED)
    longer = [name for name in there if asked and name.startswith(asked)]
    return [there[name] for name in close or longer[-_SUGGESTED:]]


def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the subdirectories, sorted, or nothing if they cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []


def _holds_run(path: pathlib.Path) -> bool:
    try:
        return (path / "config.json").is_file() and read_record(path) is not None
    except RunError:  # damaged, but a run
        return True


def default_path(title: str) -> pathlib.Path:
    """Returns a path runs/TITLE-DATE that does not exist yet.

    Args:
        title: Name of the experiment.
    """
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path = pathlib.Path("runs") / f"{title}-{stamp}"
    count = 1
    while path.exists():
        count += 1
        path = path.with_name(f"{title}-{stamp}-{count}")
    return path


@contextlib.contextmanager
def claim(path: pathlib.Path) -> Iterator[RunDirectory]:
    """Locks a run directory until the block ends.

    The directory is created if needed, and removed at the end if it was created and is still empty.
    Incomplete files of a killed process are deleted.

    Args:
        path: The directory.

    Yields:
        The run directory.

    Raises:
        RunError: If it cannot be written to, if another process runs in it, if it holds files but
            no run, or if a symbolic link in it would redirect the files of a run.
    """
    made = not path.exists()
    lock = filelock.FileLock(path / files.RUN_LOCK, blocking=False)
    try:
        path.mkdir(parents=True, exist_ok=True)
        _require_run_or_nothing(path)
        _require_no_links(path)
        _lock(lock, path)
        for left in _leftovers(path):
            left.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(
            f"the run directory {path} cannot be written to: {files.reason(error)}; "
            "choose another --workdir"
        ) from error
    try:
        yield RunDirectory(path)
    finally:
        with contextlib.suppress(OSError):  # Windows does not delete open files
            (path / files.RUN_LOCK).unlink()
        lock.release()
        if made:
            with contextlib.suppress(OSError):  # not empty: a run was started
                path.rmdir()


def _lock(lock: filelock.BaseFileLock, path: pathlib.Path) -> None:
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(
            f"another process is running in {path}; stop it, or choose another --workdir"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:  # a file system without locks
            raise


def is_claimed(path: pathlib.Path) -> bool:
    """Returns whether a process runs in the directory now (see `claim`).

    A lock file that a killed process left does not count, nor does a symbolic link. If the system
    cannot check locks, any lock file counts.

    Args:
        path: The run directory.
    """
    held = path / files.RUN_LOCK
    lock = filelock.FileLock(held, blocking=False)
    try:
        if held.is_symlink() or not held.exists():
            return False
        lock.acquire()
    except (filelock.Timeout, OSError):  # held, another user's, or a file system without locks
        return True
    lock.release()
    return False


def _require_run_or_nothing(path: pathlib.Path) -> None:
    own = {files.RUN_LOCK, *(left.name for left in _leftovers(path))}
    others = [entry.name for entry in path.iterdir() if entry.name not in own]
    if others and read_record(path) is None:
        raise RunError(
            f"{path} is no run directory but holds {sorted(others)[0]!r}; choose another --workdir"
        )


def _require_no_links(path: pathlib.Path) -> None:
    """Raises RunError if a file or directory that a run writes to is a symbolic link."""
    for entry in path.iterdir():
        name = entry.name
        if name in ("config.json", files.RUN_LOCK, *_FOLDERS) or _WRITTEN.fullmatch(name):
            require_no_link(entry)
    for folder in ("checkpoints", "damaged", "profile"):
        for inner, folders, _ in os.walk(path / folder):
            for name in folders:
                require_no_link(pathlib.Path(inner) / name)


def require_no_link(path: pathlib.Path) -> None:
    """Checks that a path is not a symbolic link: a run writes only to its own directory.

    Raises:
        RunError: If the path is a symbolic link.
    """
    if path.is_symlink():
        raise RunError(
            f"{path} is a symbolic link, so that files would be written elsewhere; delete it, or "
            "move its target into its place"
        )


def _leftovers(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the incomplete files that a killed process left in the run directory."""
    folders = [path, *(path / name for name in ("samples", "damaged"))]
    entries = (entry for folder in folders if folder.is_dir() for entry in folder.iterdir())
    return [
        entry
        for entry in entries
        if files.is_partial(entry.name) or _OLD_PARTIAL.fullmatch(entry.name)
    ]
