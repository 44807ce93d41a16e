"""A demonstration: a projected GAN learns to draw flowers from 2,934 photographs.

    make demo

A second call finds the finished run and trains nothing.
"""

from __future__ import annotations

import argparse
import pathlib
import sys

from jaxgan.runs import command_line, invocation

from . import projected

RUN = pathlib.Path("runs/flowers")
STEPS = 1400
"""Of 16 images: nine minutes on 2 CPU cores with AVX512-BF16, twelve on others, with the set-up."""


def main() -> None:
    """Trains or resumes the run and names the file of its samples."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()  # only --help is accepted
    flags = ["--workdir", str(RUN), "--steps", str(STEPS), "--sample-every", "100"]
    code = command_line.command(projected, flags)
    if code:
        sys.exit(code)
    last = max((RUN / "samples").glob("[0-9]*.png"))
    print(f"picture of its samples: {last.resolve()}")
    better = invocation.called("train", "projected", "--workdir", RUN, "--steps", "3000")
    print(f"better ones, in a quarter of an hour: {better}")


if __name__ == "__main__":
    main()
