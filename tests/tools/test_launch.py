"""`jaxgan launch`: what it starts, when it starts again, and that it leaves nothing running."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from jaxgan.tools import launch


def process(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", "-c", script], stdout=subprocess.PIPE)


SLEEPS = "import time; time.sleep(600)"


def test_the_death_of_one_ends_all_and_is_the_only_reason(monkeypatch):
    monkeypatch.setattr(launch, "_LAST_WORDS", 0.2)
    both = [process(SLEEPS), process("import os; os.kill(os.getpid(), 9)")]
    assert launch._attended(both, []) == {1: -9}
    assert both[0].returncode == -signal.SIGKILL


def test_a_signal_is_handed_on_once_and_ends_what_does_not_heed_it(monkeypatch):
    monkeypatch.setattr(launch, "_GRACE", 2.0)  # of a busy machine
    heeds = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); print()"
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print()"
    both = [process(f"{heeds}; sys.stdout.flush(); time.sleep(600)")]
    both.append(process(f"{deaf}; __import__('sys').stdout.flush(); time.sleep(600)"))
    for one in both:
        assert one.stdout is not None
        one.stdout.readline()  # it has its handler
    assert launch._attended(both, [signal.SIGTERM]) == {0: 143}
    assert both[1].returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("statuses", "received", "code", "reason"),
    [
        ({0: 0, 1: 0}, [], 0, None),
        ({1: -9, 0: 1}, [], 1, "process 1 was ended by SIGKILL, process 0 ended with exit code 1"),
        ({0: -6}, [], 1, "process 0 was ended by SIGABRT"),
        ({0: 2, 1: 1}, [], 2, None),
        ({0: 143, 1: 143}, [], 143, None),
        ({0: 143, 1: -9}, [signal.SIGINT, signal.SIGTERM], 130, None),
    ],
    ids=str,
)
def test_a_death_is_a_reason_to_start_again_and_an_error_of_the_command_is_none(
    statuses, received, code, reason
):
    assert launch._verdict(statuses, received) == (code, reason)


def test_a_run_without_a_directory_gets_one_that_a_restart_finds(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    training = launch._training(["train", "dcgan", "--preset", "smoke"])
    assert training.workdir.parent == pathlib.Path("runs")
    assert training.words[-2:] == ("--workdir", str(training.workdir))
    given = ("train", "dcgan", "--workdir", "there")
    assert launch._training(given).words == given


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected -- train EXPERIMENT"),
        (["sample", "runs/mine"], "expected -- train EXPERIMENT"),
        (["train", "dcgn"], "dcgan"),
        (["train", "dcgan", "--batchsize", "8"], "no flag --batchsize"),
        (["train", "dcgan", "--distributed"], "leave out --distributed"),
    ],
    ids=str,
)
def test_what_cannot_be_launched_is_refused_before_anything_starts(words, said, capsys):
    assert launch.main(["-n", "2", "--", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line


class Recorded:
    """Starts nothing; each attempt ends as the next of the rounds says."""

    def __init__(self, monkeypatch, *rounds):
        self.begun, self._rounds = [], iter(rounds)
        monkeypatch.setattr(launch._Training, "start", self._start)
        monkeypatch.setattr(launch, "_attended", lambda started, received: next(self._rounds))

    def _start(self, count, *, begun):
        self.begun.append(begun)
        return []


def test_restarts_are_bounded_and_each_says_why(monkeypatch, tmp_path, capsys):
    started = Recorded(monkeypatch, {0: 1}, {1: -11}, {0: 1})
    words = ["--restarts", "2", "--", "train", "dcgan", "--workdir", str(tmp_path / "run")]
    assert launch.main(words) == 1
    assert started.begun == [False] * 3
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "launch: process 0 ended with exit code 1; starting all again from the last checkpoint "
        "(restart 1 of 2)",
        "launch: process 1 was ended by SIGSEGV; starting all again from the last checkpoint "
        "(restart 2 of 2)",
    ]
    assert err == "error: process 0 ended with exit code 1; gave up after 2 restarts\n"


def test_a_restart_does_not_overwrite_what_the_run_has_saved(monkeypatch, tmp_path):
    path, started, ended = tmp_path / "run", [], process("")
    monkeypatch.setattr(
        launch.subprocess, "Popen", lambda words, **_: started.append(words) or ended
    )
    training = launch._Training(("train", "dcgan", "--overwrite"), path)
    for begun in (False, True):
        training.start(1, begun=begun)
    assert ["--overwrite" in words for words in started] == [True, False]


def test_output_is_told_apart_by_process(capsys):
    both = [process("print('a'); print('b')"), process("import os; os.write(1, b'\\xff')")]
    with launch._printed(both):
        assert launch._attended(both, []) == {0: 0, 1: 0}
    assert sorted(capsys.readouterr().out.splitlines()) == ["[0] a", "[0] b", "[1] \\xff"]


def test_handlers_of_signals_are_those_of_before():
    before = signal.getsignal(signal.SIGTERM)
    with launch._signals() as received:
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before
