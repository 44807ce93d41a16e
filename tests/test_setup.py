"""scripts/setup.sh, run in a folder with a space in its name, against Pythons that only record.

The tools it may use are linked into the one folder of its PATH, so no Python of the machine is met.
"""

import pathlib
import shutil
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "setup.sh"
TOOLS = ("sh", "cat", "cmp", "cp", "dirname", "mkdir", "rm")

RECORDING_PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >>"$RECORD"
case "$*" in
    *ensurepip*) exit {unfit} ;;
    *version_info*) printf '%s\\n' "{version}" ;;
    "-m venv --clear"*) rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip install"*) exit "${{PIP_EXIT:-0}}" ;;
esac
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the set-up is a POSIX script")


class Clone:
    """A clone of nothing but the set-up script, and the folder of its PATH."""

    def __init__(self, folder: pathlib.Path):
        self.root = folder / "a clone"
        self.bin = folder / "bin"
        self.record = folder / "record"
        (self.root / "scripts").mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "scripts")
        (self.root / "pyproject.toml").write_text("[project]\n")
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def add_python(self, name: str, *, version: str = "(3, 12)", unfit: int = 0) -> None:
        program = self.bin / name
        program.write_text(RECORDING_PYTHON.format(version=version, unfit=unfit))
        program.chmod(0o755)

    def set_up(self, extra: str = "test", **environment: str) -> subprocess.CompletedProcess[str]:
        self.record.write_text("")
        return subprocess.run(
            [self.bin / "sh", "scripts/setup.sh", extra],
            cwd=self.root,
            env={"PATH": str(self.bin), "RECORD": str(self.record), **environment},
            capture_output=True,
            text=True,
        )

    def installations(self) -> list[str]:
        """Calls of pip in the latest set-up."""
        calls = self.record.read_text().splitlines()
        return [call for call in calls if call.startswith("-m pip install")]

    def version_of_environment(self) -> str:
        return "3, 13" if "(3, 13)" in (self.root / ".venv/bin/python").read_text() else "3, 12"


@pytest.fixture
def clone(tmp_path: pathlib.Path) -> Clone:
    return Clone(tmp_path)


def test_pythons_that_do_not_run_or_are_too_old_are_passed_over(clone):
    clone.add_python("python3.13", version="(3, 13)", unfit=127)
    clone.add_python("python3.12")
    clone.add_python("python3", version="(3, 13)", unfit=1)
    assert clone.set_up().returncode == 0
    assert clone.version_of_environment() == "3, 12"
    (installation,) = clone.installations()
    assert installation.endswith("--editable .[test]")


@pytest.mark.parametrize("chosen", [{}, {"PYTHON": "/no such/python"}])
def test_without_a_fitting_python_one_sentence_says_what_to_do(clone, chosen):
    clone.add_python("python3", unfit=1)
    outcome = clone.set_up(**chosen)
    assert outcome.returncode != 0
    assert "needs Python 3.11 or newer" in outcome.stderr
    assert chosen.get("PYTHON", "python3.12") in outcome.stderr
    assert not (clone.root / ".venv").exists()


def test_a_second_time_nothing_is_set_up(clone):
    clone.add_python("python3.12")
    clone.set_up()
    outcome = clone.set_up()
    assert (outcome.returncode, outcome.stderr, clone.installations()) == (0, "", [])


def test_an_installation_that_failed_is_tried_again(clone):
    clone.add_python("python3.12")
    assert clone.set_up(PIP_EXIT="1").returncode != 0
    assert clone.set_up().returncode == 0
    assert len(clone.installations()) == 1


def test_each_extra_is_installed_once(clone):
    clone.add_python("python3.12")
    counts = []
    for extra in ("test", "dev", "test"):
        clone.set_up(extra)
        counts.append(len(clone.installations()))
    assert counts == [1, 1, 0]


def test_a_changed_declaration_is_installed(clone):
    clone.add_python("python3.12")
    clone.set_up()
    (clone.root / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    clone.set_up()
    assert len(clone.installations()) == 1


def test_a_moved_clone_is_installed_again(clone):
    clone.add_python("python3.12")
    clone.set_up()
    clone.root = clone.root.rename(clone.root.with_name("another place"))
    clone.set_up()
    assert len(clone.installations()) == 1


def test_another_python_asked_for_remakes_the_environment(clone):
    clone.add_python("python3.12")
    clone.add_python("python3.13", version="(3, 13)")
    clone.set_up(PYTHON="python3.12")
    assert clone.version_of_environment() == "3, 12"
    clone.set_up(PYTHON="python3.13")
    assert clone.version_of_environment() == "3, 13"
    assert len(clone.installations()) == 1
    clone.set_up()
    assert clone.version_of_environment() == "3, 13"
