"""The demonstration: a DCGAN learns garments from 10,000 photographs, and a classifier judges it.

make demo
"""

from __future__ import annotations

import importlib
import pathlib

from experiments import judge
from jaxgan import run

RUN = pathlib.Path("runs/demo")


def main() -> None:
    """Trains (or goes on, or finds the finished run), prints the report, and says where the picture
    is.
    """
    dcgan = importlib.import_module("experiments.dcgan")
    config = dcgan.Config(workdir=str(RUN), sample_every=1000)
    code = run.command(dcgan, ["--workdir", str(RUN), "--sample-every", "1000"])
    if code:
        raise SystemExit(code)
    print(judge.report(judge.Config(RUN)))
    picture = sorted((RUN / "samples").glob("*.png"))[-1]
    print(f"samples drawn after {config.steps} steps: {picture.resolve()}")


if __name__ == "__main__":
    main()
