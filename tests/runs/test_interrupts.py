"""Whoever asks a process to stop is answered within seconds, whatever the process is doing."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from jaxgan.runs import checkpoint, command_line, interrupts
from jaxgan.tools import command
from tests import staged_experiment, toy_runs

# Minutes in one call of C, in which no handler of Python's runs: as in the compiler.
COMPILE = "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"


def start(script: str) -> subprocess.Popen:
    """A process of the script, once it has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=toy_runs.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    while line := process.stdout.readline():
        if line == "ready\n":
            return process
    raise AssertionError("it ended before it was ready")


def compiling(block: str) -> str:
    return (
        "import hashlib, sys\n"
        "from jaxgan.runs import errors, interrupts\n"
        "def act():\n"
        "    with interrupts.requests('it saves first') as request:\n"
        f"        with {block}:\n"
        "            print('ready', flush=True)\n"
        f"            {COMPILE}\n"
        "sys.exit(errors.exit_code(act, interrupted=''))\n"
    )


def test_a_state_at_rest_is_saved_by_another_thread_while_the_interpreter_does_not_run():
    process = start(compiling("request.at_rest(lambda: print('saving', flush=True) or 'saved')"))
    code, said = toy_runs.end(process, signal.SIGTERM)
    assert code == 143
    assert said.splitlines() == [
        "SIGTERM: it saves first; a second one ends at once",
        "saving",
        "saved",
    ]


def test_where_there_is_nothing_to_save_the_process_ends_in_one_line():
    code, said = toy_runs.end(start(compiling("request.droppable('nothing yet')")), signal.SIGINT)
    assert (code, said) == (130, "nothing yet\n")


def test_a_second_signal_ends_the_process_at_once_and_says_so():
    process = start(compiling("request.at_rest(lambda: 'saved')"))
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("SIGINT: it saves first")
    code, said = toy_runs.end(process, signal.SIGINT)
    assert (code, said) == (130, "SIGINT again: ending at once, nothing more is saved\n")


def test_what_can_be_dropped_ends_by_an_exception_where_the_interpreter_runs():
    with (
        pytest.raises(interrupts.Interrupted, match="nothing yet") as caught,
        interrupts.requests() as request,
        request.droppable("nothing yet"),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143
    with interrupts.requests() as request:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(interrupts.Interrupted), request.droppable("nothing yet"):
            pytest.fail("it was asked before")


@dataclasses.dataclass(frozen=True)
class Config:
    """A tool that is asked nothing."""


@pytest.mark.parametrize(
    ("act", "code", "said"),
    [
        (lambda asked: signal.raise_signal(signal.SIGINT), 130, "interrupted; what was written"),
        (lambda asked: signal.raise_signal(signal.SIGTERM), 143, "interrupted; what was written"),
        (lambda asked: os.stat("/nowhere/file"), 2, "error: /nowhere/file: no such file"),
    ],
)
def test_a_tool_ends_in_one_line(act, code, said, capsys):
    ended = command.answer(Config, act, program="tool", description=None, arguments=[])
    assert ended == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)


def test_handlers_and_wakeup_are_those_of_before():
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    old = signal.set_wakeup_fd(writing)
    try:
        with interrupts.requests() as request, request.at_rest(lambda: "left"):
            assert request() is False
            assert [signal.getsignal(n) for n in interrupts.SIGNALS] != before
        assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before
    finally:
        assert signal.set_wakeup_fd(old) == writing
        os.close(reading), os.close(writing)


def test_a_terminal_that_closes_asks_to_stop(hangup):
    with interrupts.requests() as request:
        signal.raise_signal(hangup)
        assert request()
        assert request.code == 129


def test_a_process_that_is_to_ignore_its_terminal_does(hangup):
    signal.signal(hangup, signal.SIG_IGN)  # as nohup starts a process
    with interrupts.requests() as request:
        signal.raise_signal(hangup)
        assert not request()


def run_compiling(module: str, *arguments: str, at: int = 1) -> str:
    """The script of a run that compiles for minutes, the `at`th time that it does."""
    return (
        "import hashlib, itertools, sys\n"
        "from jaxgan.runs import command_line, training_loop\n"
        f"from tests import {module} as experiment\n"
        "whole, count = training_loop.compile_ahead, itertools.count(1)\n"
        "def compile_ahead(*given):\n"
        f"    if next(count) < {at}:\n"
        "        return whole(*given)\n"
        "    print('ready', flush=True)\n"
        f"    {COMPILE}\n"
        "training_loop.compile_ahead = compile_ahead\n"
        f"sys.exit(command_line.command(experiment, {arguments!r}))\n"
    )


@pytest.mark.slow
def test_a_run_that_compiles_ends_whole_and_says_how_to_go_on(data, tmp_path):
    path = tmp_path / "run"
    flags = ("--workdir", str(path), "--data", data, "--no-cache")
    process = start(run_compiling("toy_experiment", *flags))
    code, said = toy_runs.end(process, signal.SIGTERM)
    assert code == 143
    last = said.splitlines()[-1]
    assert last.startswith("stopped before the first step: nothing to save; this starts again: ")
    assert (path / "log.txt").read_text().splitlines()[-1] == last
    toy_runs.train(path, data=data, steps=8)
    before = toy_runs.arrays(path)
    process = start(run_compiling("toy_experiment", "--workdir", str(path), "--steps", "24"))
    code, said = toy_runs.end(process, signal.SIGTERM)
    assert code == 143
    assert "SIGTERM: the run saves and ends as soon as it can; a second one ends at once" in said
    last = said.splitlines()[-1]
    assert last.startswith("stopped and saved at step 8; this continues: ")
    assert (path / "log.txt").read_text().splitlines()[-1] == last
    assert checkpoint.steps_in(path / "checkpoints") == [8]
    after = toy_runs.arrays(path)
    assert all(after[name].tobytes() == array.tobytes() for name, array in before.items())


@pytest.mark.slow
def test_what_a_stage_has_trained_is_saved_while_the_next_one_compiles(data, tmp_path):
    flags = ("--workdir", str(tmp_path / "run"), "--data", data, "--no-cache")
    process = start(
        run_compiling("staged_experiment", *flags, "--checkpoint-every", "0", "--keep", "9", at=2)
    )
    code, said = toy_runs.end(process, signal.SIGTERM)
    assert code == 143
    assert "stopped and saved at step 8; this continues: " in said.splitlines()[-1]
    assert checkpoint.steps_in(tmp_path / "run" / "checkpoints") == [8]
    fields = {"data": data, "checkpoint_every": 0, "keep": 9, "cache": False}
    for name in ("run", "whole"):
        config = staged_experiment.Config(workdir=str(tmp_path / name), **fields)
        command_line.train(staged_experiment, config)
    toy_runs.assert_same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
def test_a_run_goes_on_where_nobody_reads_any_more_what_it_says(data, tmp_path):
    process = toy_runs.start(tmp_path / "run", tmp_path / "cache", "--data", data)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()  # as `| head -1` does
    assert process.wait(timeout=120) == 0
    assert checkpoint.steps_in(tmp_path / "run" / "checkpoints") == [8, 16, 24]
    log = (tmp_path / "run" / "log.txt").read_text()
    assert log.splitlines()[-1].startswith("finished at step 24")
