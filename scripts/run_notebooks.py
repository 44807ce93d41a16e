"""Executes the notebooks of docs/notebooks and keeps their outputs in them: `make notebooks`."""

from __future__ import annotations

import pathlib
import tempfile
import time

import nbformat
from nbclient import NotebookClient

KEPT = ("image/png", "text/plain")


def execute(path: pathlib.Path) -> None:
    """Executes a notebook in a folder of its own, and writes it without what differs by machine."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources=resources, coalesce_streams=True
        ).execute()
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            output["data"] = {
                kind: data for kind, data in output.get("data", {}).items() if kind in KEPT
            }
            if not output["data"]:
                del output["data"]
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for path in sorted(pathlib.Path("docs/notebooks").glob("*.ipynb")):
        begin = time.monotonic()
        execute(path)
        print(f"{path}: {time.monotonic() - begin:.0f} s", flush=True)
