"""Compares two revisions byte for byte, by the smoke run of every experiment.

    python scripts/same_results.py record TREE FILE             # run every experiment of a checkout
    python scripts/same_results.py record TREE FILE dcgan ...   # or these
    python scripts/same_results.py compare FILE FILE            # exit 1 and name what differs

Record both revisions on the same machine, in the same environment. A record has, for each
experiment, the sha256 of its metrics (without times), of its last sample picture, and of its final
arrays.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

TIMES = ("images_per_second", "seconds", "data_wait")
ENTRY = ("run.main(__name__)", "command_line.main(__name__)")


def experiments(tree: pathlib.Path) -> list[str]:
    """Returns the names of the modules in `tree`/experiments that train a model."""
    files = sorted((tree / "experiments").glob("*.py"))
    return [file.stem for file in files if any(entry in file.read_text() for entry in ENTRY)]


def digest(content: bytes) -> str:
    """Returns the sha256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def metrics(run: pathlib.Path) -> str:
    """Returns the digest of the run's metrics without what depends on the machine."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [{name: value for name, value in row.items() if name not in TIMES} for row in rows]
    return digest(json.dumps(kept).encode())


def arrays(run: pathlib.Path) -> str:
    """Returns the digest of every array in the run's last checkpoint, by path."""
    import numpy as np
    import orbax.checkpoint as ocp

    last = max((run / "checkpoints").iterdir(), key=lambda entry: int(entry.name))
    item = ocp.args.Composite(state=ocp.args.StandardRestore())
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as reader:
        found = reader.restore(last.absolute(), args=item)["state"]
    contents = hashlib.sha256()
    for name, value in sorted(found.items()):
        array = np.ascontiguousarray(value)
        contents.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return contents.hexdigest()


def record(tree: pathlib.Path, names: list[str]) -> dict[str, dict[str, str]]:
    """Returns, by experiment, the digests of its smoke run.

    Args:
        tree: The checkout.
        names: The experiments to run; all of them if empty.
    """
    found = {}
    for name in names or experiments(tree):
        with tempfile.TemporaryDirectory() as folder:
            run = pathlib.Path(folder) / "run"
            arguments = ["-m", f"experiments.{name}", "--preset", "smoke", "--workdir", str(run)]
            ended = subprocess.run(
                [sys.executable, *arguments],
                cwd=tree,
                env={**os.environ, "PYTHONPATH": str(tree), "JAX_PLATFORMS": "cpu"},
                capture_output=True,
                text=True,
            )
            if ended.returncode:
                found[name] = {"error": ended.stderr[-2000:]}
                continue
            pictures = sorted((run / "samples").glob("[0-9]*.png"))
            found[name] = {
                "metrics": metrics(run),
                "picture": digest(pictures[-1].read_bytes()),
                "arrays": arrays(run),
            }
        print(name, found[name], flush=True)
    return found


def differences(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> list[str]:
    """Returns one line for each experiment and part in which the records differ.

    Args:
        old: The digests by part, by experiment.
        new: The same of the other revision.
    """
    return [
        f"{name}: {part} differs"
        for name in sorted(old.keys() & new.keys())
        for part in sorted(old.get(name, {}).keys() | new.get(name, {}).keys())
        if old.get(name, {}).get(part) != new.get(name, {}).get(part) or part == "error"
    ]


def main() -> int:
    """Runs the command; returns 1 if `compare` finds a difference, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("record", "compare"))
    parser.add_argument("paths", nargs=2, type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    if given.command == "record":
        tree, file = given.paths
        file.write_text(json.dumps(record(tree.resolve(), given.names), indent=2) + "\n")
        return 0
    old, new = (json.loads(path.read_text()) for path in given.paths)
    found = differences(old, new)
    same = f"{len(old.keys() & new.keys())} experiments computed the same, byte for byte"
    print("\n".join(found) or same)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
