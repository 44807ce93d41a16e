"""The demonstration: a DCGAN learns clothes from 10,000 photographs, and a classifier judges it.

    make demo

A second call finds the finished run, judges it again and trains nothing.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from jaxgan.runs import command_line

from . import dcgan
from .evaluation import garment_classes

RUN = pathlib.Path("runs/demo")


def main() -> None:
    """Trains or goes on, prints the classifier's report, and says where the picture is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()  # --help is help, and any other flag is refused
    code = command_line.command(dcgan, ["--workdir", str(RUN), "--sample-every", "1000"])
    if code:
        sys.exit(code)
    print(garment_classes.report(garment_classes.Config(RUN)))
    last = max((RUN / "samples").glob("[0-9]*.png"))
    print(f"the picture of its samples: {last.resolve()}")


if __name__ == "__main__":
    main()
