"""Commands that the user may type next: they call the Python that prints them."""

from __future__ import annotations

import sys

import pytest

from jaxgan.runs import experiments, invocation


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A virtual environment with a console script, in a folder with a space, not activated."""
    programs = tmp_path / "my clone" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "jaxgan"):
        (programs / name).write_text("")
        (programs / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    return programs


def test_in_an_active_environment_the_names_do(environment, monkeypatch):
    monkeypatch.setenv("PATH", str(environment))
    assert invocation.python() == "python"
    assert invocation.called("sample", "runs/mine") == "jaxgan sample runs/mine"


def test_in_another_one_the_path_of_this_python_is_named(environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invocation.program() == "'my clone/.venv/bin/python' -m jaxgan"
    monkeypatch.chdir(tmp_path / "my clone")
    assert invocation.called("sample", "a run") == ".venv/bin/python -m jaxgan sample 'a run'"
    monkeypatch.chdir(environment)  # where a shell takes a bare name for one on its path
    assert invocation.python() == f"'{environment}/python'"
    monkeypatch.setattr(sys, "executable", "/opt/other/python")
    assert invocation.python() == "/opt/other/python"


def test_programs_of_another_installation_are_not_taken(environment, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(environment))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.chdir("/usr")
    assert invocation.program() == f"{tmp_path}/python -m jaxgan"


def test_a_run_is_continued_by_this_python(environment, monkeypatch):
    monkeypatch.chdir(environment.parents[1])
    found = experiments.named("dcgan")
    assert found.command_line == "jaxgan train dcgan"
    again = ".venv/bin/python -m jaxgan train dcgan --workdir runs/x"
    assert found.continuing("runs/x") == again
