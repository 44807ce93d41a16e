"""The run directory: what lies in it, who writes to it, what may be deleted. Imports no JAX.

config.json     the experiment, its configuration, the data and the environment
log.txt         what the run said
metrics.jsonl   a line for the means of some steps, or for a measurement of samples with all that it
                depends on, by step; events.out.tfevents.* hold the same numbers
samples/        pictures of the same latents, by step, and real.png, the first training images
checkpoints/    the latest and the best, by step
damaged/        checkpoints that failed their check, lines of the log that could not be read, and
                logs whose checkpoints are gone
profile/        traces
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
"""Of config.json and of a checkpoint's notes: another one wherever older readers would err."""

EVENTS = "events.out.tfevents."
"""What the names of TensorBoard's files begin with."""

_FOLDERS = ("samples", "checkpoints", "damaged", "profile")
_WRITTEN = re.compile(
    r"log\.txt|metrics\.jsonl|events\.out\.tfevents\.[^/]*"
    r"|samples/([0-9]{6,}|real)\.png"
    r"|checkpoints/[0-9]+(\.orbax-checkpoint-tmp[^/]*)?/.*"
    r"|damaged/([0-9]+-[0-9]+/.*|metrics-[0-9]+\.jsonl)"
    r"|profile/plugins/profile/[^/]+/[^/]*(\.xplane\.pb|trace\.json\.gz)"
)
"""The paths of what a run writes, all but config.json, and of nothing else."""

# Of versions that named what they were writing after what it was to be.
_OLD_PARTIAL = re.compile(r"(config\.json|metrics\.jsonl|[0-9]{6,}\.png)\.partial")
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_MOST_SIDE, _MOST_NUMBERS = 2**16, 2**31
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
        content = json.dumps({"format": FORMAT, **record}, indent=2)
        files.write_whole(self.path / "config.json", content + "\n")

    def clear(self) -> list[str]:
        """Deletes what a run wrote, but for config.json, which marks the run until the next one
        replaces it; the paths of what is left: the user's own.
        """
        left = []
        for folder, folders, names in os.walk(self.path, topdown=False):
            here = pathlib.Path(folder)
            links = [name for name in folders if (here / name).is_symlink()]
            for path in (here / name for name in [*names, *links]):
                place = path.relative_to(self.path).as_posix()
                if _WRITTEN.fullmatch(place):
                    path.unlink()
                elif place not in ("config.json", files.RUN_LOCK):
                    left.append(place)
            if here.relative_to(self.path).parts[:1] in {(name,) for name in _FOLDERS}:
                with contextlib.suppress(OSError):  # something of the user's is in it
                    here.rmdir()
        return sorted(left)

    def aside(self, stem: str, suffix: str) -> pathlib.Path:
        """A path in damaged/, which is made, that is not taken: STEM-0SUFFIX, STEM-1SUFFIX, ..."""
        self.damaged.mkdir(exist_ok=True)
        return free(self.damaged, stem, suffix)


def free(folder: pathlib.Path, stem: str, suffix: str = "") -> pathlib.Path:
    """The first path STEM-NUMBERSUFFIX in the folder that is not taken."""
    count = 0
    while os.path.lexists(folder / f"{stem}-{count}{suffix}"):
        count += 1
    return folder / f"{stem}-{count}{suffix}"


def read_record(path: pathlib.Path) -> dict[str, Any] | None:
    """What the config.json of the run directory `path` says; None where it is no run directory.

    Raises RunError where the file is damaged, or of a newer format.
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
    """What the JSON says. Raises ValueError where it is none, however it is not."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def require_format(record: Mapping[str, Any], source: pathlib.Path) -> None:
    """Raises RunError where the record is of a newer format than is known here; one that says none
    is of format 0.
    """
    found = record.get("format", 0)
    if not _is_count(found):
        raise RunError(f"{source} is damaged: its format is {_short(found)}; expected a number")
    if found > FORMAT:
        raise Newer(
            f"{source} was made by a newer jaxgan (format {found}, this one reads up to "
            f"{FORMAT}): update jaxgan"
        )


class Newer(RunError):
    """What a newer version of the library wrote, and this one cannot read."""


def _fault(record: Mapping[str, Any]) -> str | None:
    """What is wrong with what config.json says, in words; None where nothing is."""
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
        return f"the shape of its data is {_short(learned.get('shape'))}; expected sides of images"
    classes, inputs = learned.get("classes"), learned.get("inputs", {})
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return f"the classes of its data are {_short(classes)}; expected a list of names"
    if not isinstance(inputs, dict) or not all(map(_is_shape, inputs.values())):
        return f"the inputs of its data are {_short(inputs)}; expected shapes by name"
    if not isinstance(learned.get("digest"), str):
        return f"the digest of its data is {_short(learned.get('digest'))}; expected hex digits"
    return None


def _is_shape(value: Any) -> bool:
    if not isinstance(value, list) or not all(map(_is_count, value)):
        return False
    return max(value, default=0) <= _MOST_SIDE and math.prod(value) <= _MOST_NUMBERS


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _short(value: Any) -> str:
    """The value in words that fit into a sentence."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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

    What a killed process left half written in it is deleted. Raises RunError where it cannot be
    written to, where another process runs in it, where it holds something that is no run, or where
    a link in it would lead what a run writes elsewhere.
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
        with contextlib.suppress(OSError):  # Windows deletes nothing that is open
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
    """Whether a process runs in the directory now (see `claim`): a lock that a killed one left
    behind is nobody's, and neither is a link. Where the system cannot tell, any lock counts.
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
    """Raises RunError where what a run writes, or the folder of it, is a link."""
    for entry in path.iterdir():
        name = entry.name
        if name in ("config.json", files.RUN_LOCK, *_FOLDERS) or _WRITTEN.fullmatch(name):
            require_no_link(entry)
    for folder in ("checkpoints", "damaged", "profile"):
        for inner, folders, _ in os.walk(path / folder):
            for name in folders:
                require_no_link(pathlib.Path(inner) / name)


def require_no_link(path: pathlib.Path) -> None:
    """Raises RunError where the path is a link: a run writes to no place but its own."""
    if path.is_symlink():
        raise RunError(
            f"{path} is a link, which would lead what is written elsewhere; delete it, or move "
            "what it leads to into its place"
        )


def _leftovers(path: pathlib.Path) -> list[pathlib.Path]:
    """What a killed process left half written in the run directory."""
    folders = [path, *(path / name for name in ("samples", "damaged"))]
    entries = (entry for folder in folders if folder.is_dir() for entry in folder.iterdir())
    return [
        entry
        for entry in entries
        if files.is_partial(entry.name) or _OLD_PARTIAL.fullmatch(entry.name)
    ]
