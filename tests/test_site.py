"""The site has every page, and builds without a warning."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests import documents

COURSE = documents.ROOT / "docs" / "course"


def test_the_course_lists_every_page_once():
    listed = re.findall(r"\]\((\w+\.md)\)", (COURSE / "SUMMARY.md").read_text())
    pages = {path.name for path in COURSE.glob("*.md")} - {"SUMMARY.md"}
    assert sorted(listed) == sorted(pages)


def test_the_site_lists_every_document():
    listed = re.findall(r": (\w+)\.md$", (documents.ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert {f"{name}.md" for name in listed} >= {p.name for p in COURSE.parent.glob("*.md")}


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install 'jaxgan[docs]'")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(build, cwd=documents.ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference" / "jaxgan.losses" / "index.html").is_file()
