"""The notebooks are executed, small, and run as they stand."""

from __future__ import annotations

import json
import pathlib
import re
import tempfile

import pytest

from tests import documents
from tests.test_public_surface import fault, uses

NOTEBOOKS = sorted((documents.ROOT / "docs" / "notebooks").glob("*.ipynb"))
MOST_BYTES = 300_000
STEPS = re.compile(r"^STEPS = \d+$", re.MULTILINE)


def cells(path: pathlib.Path) -> list[dict]:
    """The cells of code."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def program(path: pathlib.Path) -> str:
    """The code of the notebook."""
    return "\n\n".join("".join(cell["source"]) for cell in cells(path))


def test_there_are_notebooks_and_the_site_lists_each():
    listed = re.findall(r"notebooks/(\w+)\.md$", (documents.ROOT / "mkdocs.yml").read_text(), re.M)
    assert sorted(listed) == [path.stem for path in NOTEBOOKS] and NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=documents.named)
def test_a_notebook_is_small_and_holds_the_outputs_of_one_execution(path):
    assert path.stat().st_size < MOST_BYTES
    found = cells(path)
    assert [cell["execution_count"] for cell in found] == list(range(1, len(found) + 1))
    outputs = [output for cell in found for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not re.search(r"/(?:tmp|home|root|work)/", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=documents.named)
def test_a_notebook_uses_what_is_public(path):
    found = uses(program(path))
    assert "jaxgan.data" in found
    assert [wrong for name in sorted(found) if (wrong := fault(name))] == []
    assert max(map(len, program(path).splitlines())) <= 100


@pytest.mark.parametrize("path", NOTEBOOKS, ids=documents.named)
def test_the_links_of_a_notebook_lead_somewhere(path):
    text = "".join(
        "".join(cell["source"])
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "markdown"
    )
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = link.partition("#")
        target = path.parent / place
        assert target.is_file(), link
        assert not anchor or anchor in documents.anchors(target), link


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=documents.named)
def test_the_code_of_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    short, count = STEPS.subn("STEPS = 2", program(path))
    assert count == 1
    exec(compile(short, path.name, "exec"), {"__name__": path.stem})
