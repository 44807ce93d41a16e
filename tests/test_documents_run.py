"""The commands of the documents run, one after another, with their sizes made small.

A reader's folder has photographs and an experiment of the reader's own. Flags that say how long or
how large are replaced; all others stay as they are written.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import runpy
import sys

import numpy as np
import pytest

import jaxgan.__main__
from jaxgan.runs import experiments
from tests import documents

ROOT = documents.ROOT
PAGES = [path for path in documents.DOCUMENTS if path.parent.name in ("docs", "course")]

SMALL = {
    "--preset": "smoke",
    "--steps": "4",
    "--steps-per-call": "2",
    "--batch-size": "8",
    "--width": "4",
    "--resolution": "16",
    "--load": "20",
    "--crop": "16",
    "--limit-images": "48",
    "--evaluate-every": "4",
    "--samples": "128",
    "--n": "16",
}
"""What a flag is given instead of what the document gives it."""

LARGER = {"experiments.srgan": {"--resolution": "32"}}
"""What a command needs larger: SSIM sees no image of 16 pixels without its frame."""

HERE = {
    "tfds:mnist": "fashion",
    "npz:openmoji.npz": "paired:photos/cats::photos/dogs",
    "unpaired:horse2zebra": "unpaired:photos/cats::photos/dogs",
    "npz:noise.npz": "npz:archive.npz",
    "folder:flowers": "folder:photos",
    "folder:roses": "folder:photos",
    "folder:many": "folder:photos",
    "folder:coats": "npz:archive.npz",
    "folder:others": "npz:archive.npz",
    "photos/horses": "photos/cats",
    "/data/zebras": "photos/dogs",
    "photos/": "photos",
    "scans": "photos",
    "cat.jpg": "photo.png",
    "dog.jpg": "photo.png",
}
"""What stands for data that the reader has, or that are downloaded."""

FEW = {
    "sample": [],
    "evaluate": ["--samples", "64", "--metrics", "swd"],
    "diagnose": ["--samples", "16"],
    "report": ["--no-diagnosis"],
    "nearest": ["--samples", "16", "--features", "pixels"],
    "project": ["--steps", "2", "--samples", "8", "--compared", "1", "--restarts", "1"],
    "latents": ["--samples", "64", "--rows", "2", "--columns", "3"],
    "directions": ["--count", "2"],
    "interpolate": ["--frames", "2"],
    "traverse": ["--frames", "4", "--columns", "3"],
    "encodings": ["--examples", "64"],
    "garment_classes": ["--samples", "64"],
    "infogan_codes": ["--samples", "64"],
    "semisupervised_error": ["--control-steps", "2"],
    "garment_captions": ["--samples", "64", "--matcher-steps", "2"],
}
"""Flags added to a command, unless it has them."""

ELSEWHERE = {
    "explore": "serves until it is ended: test_explore",
    "launch": "test_launch",
    "experiments.tables": "make tables-quick",
    "benchmarks.speed": "test_speed_benchmark",
    "benchmarks.scaling": "tests/benchmarks",
    "tests.parity": "hours: test_laws",
    "examples": "test_examples",
    "examples/field.py": "test_examples",
    "--inception": "weights that are downloaded: test_inception",
    "concepts": "garments that the classifier recognizes: test_directions",
    "onnx": "an extra that the suite does not install: test_onnx_graph",
}
"""Words of commands that are not run here, and where they are."""

MODELS = {
    "encodings": "bigan",
    "infogan_codes": "infogan",
    "super_resolution": "srgan",
    "semisupervised_error": "semisupervised",
    "garment_translations": "pix2pix",
    "garment_captions": "text_to_image",
    "translate": "cyclegan",
    "runs/conditional": "conditional",
    "runs/digits": "semisupervised",
}
"""The model of a run that a page uses without having trained it; others are DCGANs."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("without_feature_network"),
    pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning"),
]


@pytest.fixture
def reader(tmp_path, monkeypatch) -> pathlib.Path:
    """A folder with photographs, an archive of images and an experiment of the reader's own."""
    monkeypatch.chdir(tmp_path)
    documents.write_reader(tmp_path, count=40, size=(24, 30))
    pixels = np.random.default_rng(0)
    np.savez(tmp_path / "archive.npz", images=pixels.integers(0, 256, (64, 16, 16, 1), np.uint8))
    return tmp_path


def elsewhere(command: documents.Command) -> bool:
    words = " ".join(command.words).replace("examples/", "examples ").split()
    return command.words[0] in ("pip", "make") or any(word in ELSEWHERE for word in words)


def smaller(words: list[str]) -> list[str]:
    """The words with small sizes, data that are here, and a place for the run."""
    words = [HERE.get(word, word) for word in words]
    small = SMALL | next((LARGER[word] for word in words if word in LARGER), {})
    for place, word in enumerate(words[:-1]):
        words[place + 1] = small.get(word, words[place + 1])
    return words


def added(words: list[str], flags: list[str]) -> list[str]:
    """The words with flags that they lack."""
    pairs = zip(flags[::2], [*flags[1::2], None], strict=False)
    for flag, value in pairs:
        if flag not in words:
            words = [*words, flag, *([] if value is None else [value])]
    return words


def train(words: list[str]) -> pathlib.Path:
    """Trains, or continues, and returns the run directory."""
    known = {"--preset": "smoke", "--sample-every": "0"}
    if not words[0].endswith(".py"):
        words = added(words, [part for pair in known.items() for part in pair])
    if "--workdir" not in words:
        runs = pathlib.Path("runs")
        words = [*words, "--workdir", f"runs/{words[0]}-{len(list(runs.glob('*')))}"]
    run = pathlib.Path(words[words.index("--workdir") + 1])
    if "--evaluate-every" in words:
        words = added(words, ["--evaluate-samples", "64"])
    if run.exists() and "--steps" in words:  # it goes on
        words[words.index("--steps") + 1] = "8"
    assert jaxgan.__main__.main(["train", *words]) == 0
    assert (run / "config.json").is_file()
    return run


def needed(words: list[str]) -> pathlib.Path | None:
    """The run that a command opens, if the page has not trained it yet."""
    made = ("--workdir", "--out")
    named = [
        pathlib.Path(word)
        for before, word in itertools.pairwise(words)
        if before not in made and (word == "RUN" or word.startswith("runs/"))
    ]
    return next((path for path in named if not path.exists()), None)


def is_of(run: pathlib.Path, model: str | None) -> bool:
    """Whether the run is of the model; any will do for None."""
    made_by = json.loads((run / "config.json").read_text())["experiment"]["module"]
    return model is None or (made_by or "").endswith(f".{model}")


def call(words: list[str]) -> None:
    """Runs a command that trains nothing."""
    if words[0] != "python":
        assert jaxgan.__main__.main(words[1:]) == 0
        return
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", words[2:])
        try:
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            assert ended.code in (0, None)


@pytest.mark.parametrize("page", PAGES, ids=documents.named)
def test_the_commands_of_a_page_run_in_a_row(page, reader):
    last = None  # the run that RUN means
    done = set()
    for command in documents.commands(page):
        if command.inline or elsewhere(command) or command.words in done:
            continue
        done.add(command.words)
        words = smaller(list(command.words))
        name = words[2] if words[:2] == ["python", "-m"] else words[1]
        name = name.removeprefix("experiments.").removeprefix("evaluation.")
        if words[:3] == ["python", "-m", "jaxgan"]:
            words = ["jaxgan", *words[3:]]
            name = words[1]
        if name == "train" or name in experiments.shipped():
            base = needed(words)
            if base is not None:
                train(
                    ["dcgan", "--workdir", str(base), "--data", "folder:photos", "--resolution=16"]
                )
            last = train(words[2:] if name == "train" else [name, *words[3:]])
            continue
        if last is not None and is_of(last, MODELS.get(name)):
            words = [str(last) if word == "RUN" else word for word in words]
        base = needed(words)
        if base is not None:
            model = MODELS.get(str(base), MODELS.get(name, "dcgan"))
            last = train([model, "--workdir", str(base)])
        call(added(words, FEW.get(name, [])))


def test_what_is_run_elsewhere_is_tested_there():
    named = {name for why in ELSEWHERE.values() for name in why.split() if name.startswith("test_")}
    found = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert named <= found
