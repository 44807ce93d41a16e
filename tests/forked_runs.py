"""Runs the toy experiment in several processes on one machine, without importing JAX for each.

    python -m tests.forked_runs COUNT PORT [flags of the experiment]

prints `NUMBER PID` of every process, and at its end `NUMBER ended STATUS` (negative: by a signal).
"""

from __future__ import annotations

import os
import sys

from jaxgan.runs import command_line
from tests import toy_experiment


def main() -> None:
    count, port, *arguments = sys.argv[1:]
    import tests.toy_model  # noqa: F401 - before the fork, as is the next one
    from jaxgan.runs import session  # noqa: F401

    numbers = {}
    for index in range(int(count)):
        process = os.fork()
        if process == 0:
            joining = ["--coordinator", f"127.0.0.1:{port}", "--processes", count]
            joining += ["--process", str(index)]
            sys.exit(command_line.command(toy_experiment, [*arguments, *joining]))
        numbers[process] = index
        print(index, process, flush=True)
    while numbers:
        process, status = os.wait()
        print(numbers.pop(process), "ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
