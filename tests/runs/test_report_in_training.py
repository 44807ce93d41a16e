"""A run renews its page while it trains, and a page that fails costs it nothing."""

from __future__ import annotations

import sys

import pytest

from jaxgan.runs import experiments, report_in_training, run_directory
from jaxgan.runs.errors import RunError
from tests import toy_experiment, toy_runs

LISTS = """
import os, sys
names = sorted(os.listdir(f"{sys.argv[1]}/samples"))
with open(f"{sys.argv[1]}/part", "w") as file:
    file.write(" ".join(names))
os.replace(f"{sys.argv[1]}/part", f"{sys.argv[1]}/report.html")
"""
FAILS = "import sys; sys.stderr.write('a line\\nerror: the disk is full\\n'); sys.exit(2)"


def instead(monkeypatch, program: str) -> None:
    """Makes runs call a quick program instead of `jaxgan report`."""

    def command(experiment, path):
        return [sys.executable, "-S", "-c", program, str(path)]

    monkeypatch.setattr(report_in_training, "command", command)


def test_the_command_writes_the_page_of_a_run_that_trains(tmp_path):
    run = toy_runs.recorded(tmp_path / "run", steps=60, width=16)
    (run / "samples").mkdir()
    before, said = toy_runs.snapshot(run), []
    words = report_in_training.command(experiments.of(toy_experiment), run)
    pages = report_in_training.Pages(words, said.append)
    pages.finish()
    pages.close()
    text = (run / "report.html").read_text(encoding="utf-8")
    assert said == [] and run_directory.is_page(run / "report.html")
    assert "--width" in text and "is not known" not in text  # its own experiment was named
    after = toy_runs.snapshot(run)
    assert {path: after[path] for path in before} == before
    assert {path.name for path in after.keys() - before} == {"report.html"}


def test_each_picture_renews_the_page_and_a_resumed_run_renews_it(
    data, finished, tmp_path, monkeypatch
):
    instead(monkeypatch, LISTS)
    begun = []
    renew = report_in_training.Pages.renew
    monkeypatch.setattr(
        report_in_training.Pages, "renew", lambda self: (begun.append(1), renew(self))
    )
    run, page = tmp_path / "run", tmp_path / "run" / "report.html"
    toy_runs.train(run, data=data, steps=8, sample_every=4, report=True)
    assert page.read_text() == "000000.png 000004.png 000008.png real.png"
    assert len(begun) == 3 + 1  # and once the log is whole
    toy_runs.train(run, data=data, report=True)
    assert page.read_text() == "000000.png 000004.png 000008.png 000024.png real.png"
    toy_runs.assert_same(finished, run)


def test_a_page_that_fails_is_said_once_and_the_run_is_what_it_would_have_been(
    data, finished, tmp_path, monkeypatch
):
    instead(monkeypatch, FAILS)
    run = toy_runs.train(tmp_path / "run", data=data, sample_every=8, report=True)
    toy_runs.assert_same(finished, run)
    said = (run / "log.txt").read_text()
    words = "warning: report.html could not be written, and training goes on: the disk is full"
    assert said.count(words) == said.count("report.html") == 1


@pytest.mark.parametrize(
    "words, reason",
    [
        (["/nowhere/at/all"], "no such file or directory"),
        ([sys.executable, "-S", "-c", "raise SystemExit(3)"], "exit code 3"),
    ],
)
def test_a_command_that_cannot_run_or_says_nothing_is_a_sentence(words, reason):
    said = []
    pages = report_in_training.Pages(words, said.append)
    pages.finish()
    pages.close()
    (sentence,) = said
    assert sentence.endswith(f": {reason}")


def test_a_run_that_stops_ends_the_page_that_is_being_written():
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
    pages = report_in_training.Pages(sleep, print)
    pages.renew()
    process = pages._process
    pages.renew()
    assert pages._process is process  # one at a time
    pages.close()
    assert process.returncode < 0


def test_a_page_without_its_libraries_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"^a report needs bokeh: pip install 'jaxgan\[report\]'$"):
        toy_runs.train(tmp_path / "run", data="npz:/nowhere.npz", report=True)


def test_overwriting_a_run_deletes_its_page_and_no_other(tmp_path):
    directory = run_directory.RunDirectory(tmp_path)
    page = tmp_path / "report.html"
    page.write_text("a page of mine")
    assert directory.clear() == ["report.html"]
    page.write_text(f"<html>{run_directory.PAGE_MARK}</html>")
    assert directory.clear() == [] and not page.exists()
