"""A demonstration: a DCGAN trained on 10,000 garments and evaluated.

    make demo

An independent classifier evaluates the samples. A second call finds the finished run, evaluates it
again and trains nothing.
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
    """Trains or resumes the run, prints the classifier's report, and names the picture's file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()  # only --help is accepted
    code = command_line.command(dcgan, ["--workdir", str(RUN), "--sample-every", "1000"])
    if code:
        sys.exit(code)
    print(garment_classes.report(garment_classes.Config(RUN)))
    last = max((RUN / "samples").glob("[0-9]*.png"))
    print(f"picture of its samples: {last.resolve()}")


if __name__ == "__main__":
    main()
