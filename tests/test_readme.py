"""README and docs: every command is understood by its program, and those of README run."""

from __future__ import annotations

import pathlib
import re
import runpy
import shutil
import sys
import tomllib

import numpy as np
import pytest
import tyro

import jaxgan.__main__
from experiments import projected
from jaxgan import data
from jaxgan.runs import experiments, invocation
from tests import documents

ROOT = documents.ROOT
COMMANDS = {
    command.words: command for path in documents.DOCUMENTS for command in documents.commands(path)
}
OF_README = [command for command in documents.commands(documents.README) if not command.inline]
TINY = ["--preset", "smoke", "--resolution", "16", "--steps", "4", "--width", "4"]
PLACEHOLDERS = {"NAME": "dcgan", "FILE": "weights.safetensors", "FILE.py": "mine.py"}
WITHOUT_A_RUN = {
    "data": ("fashion",),
    "sample": (),
    "evaluate": (),
    "diagnose": (),
    "report": (),
    "nearest": (),
    "project": ("photo.png",),
    "latents": (),
    "directions": (),
    "traverse": (),
    "explore": (),
    "interpolate": (),
    "translate": ("--out", "there"),
    "export": ("--out", "there"),
    "extract": (),
}
"""What an inline mention of a tool leaves out, next to the run."""


FEW = {"project": ["--steps", "2", "--samples", "8", "--compared", "2", "--restarts", "1"]}
"""Flags that make a command short."""


class Parsed(BaseException):
    """A command line was parsed; what it asks for is not done."""


@pytest.fixture
def only_parsed(monkeypatch):
    parse = tyro.cli

    def parse_and_stop(*arguments, **options):
        parse(*arguments, **options)
        raise Parsed

    monkeypatch.setattr(tyro, "cli", parse_and_stop)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder as a reader of the documents has it: photographs, and a file of their own."""
    folder = tmp_path_factory.mktemp("reader")
    documents.write_reader(folder, count=16, size=(70, 80))
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def programs(name: str) -> list[str]:
    return documents.programs(ROOT / name)


# --- every command is understood ------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize("command", COMMANDS.values(), ids=str)
def test_a_command_is_understood_by_its_program(command, place, only_parsed, monkeypatch, capsys):
    monkeypatch.chdir(place)
    program, *words = [PLACEHOLDERS.get(word, word) for word in command.words]
    if program == "make":
        assert set(words) <= targets() | {word for word in words if "=" in word}
    elif program == "pip":
        assert words[0] == "install"
        assert extras(words[1:]) <= declared_extras()
    elif program == "python" and words[0] != "-m":
        assert (ROOT / words[0]).is_file()
    else:
        understood(program, words, inline=command.inline, monkeypatch=monkeypatch)


def understood(program: str, words: list[str], *, inline: bool, monkeypatch) -> None:
    """Fails unless the program's own parser takes the words."""
    module = None
    if program == "python":
        module, words = words[1].replace("experiments.NAME", "experiments.dcgan"), words[2:]
        name = module.removeprefix("jaxgan.").removeprefix("experiments.")
        if module == "jaxgan":
            module = None
        elif name in experiments.shipped():
            module, words = None, ["train", name, *words]
    if inline and words[:1] and words[0] in WITHOUT_A_RUN:
        given = [word for word in words[1:] if not word.startswith("-")]
        words += [] if given else ["RUN"]
        words += [] if "--out" in words else WITHOUT_A_RUN[words[0]]
    try:
        if module is None:
            assert jaxgan.__main__.main(words) == 0
        else:
            monkeypatch.setattr(sys, "argv", [module, *words])
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Parsed:
        pass
    except SystemExit as ended:
        assert ended.code in (0, None), f"{program} {words} ended with {ended.code}"


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def extras(words: list[str]) -> set[str]:
    named = re.findall(r"\[([\w,-]+)\]", " ".join(words))
    return {extra for names in named for extra in names.split(",")}


def declared_extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["optional-dependencies"])


def test_what_is_not_understood_is_seen(place, only_parsed, monkeypatch):
    monkeypatch.chdir(place)
    for words in (["train", "dcgan", "--no-such-flag", "1"], ["train", "dcgann"], ["evaluate"]):
        with pytest.raises((AssertionError, SystemExit)):
            understood("jaxgan", words, inline=False, monkeypatch=monkeypatch)
    with pytest.raises(ImportError):
        understood("python", ["-m", "experiments.no"], inline=False, monkeypatch=monkeypatch)


@pytest.mark.parametrize("path", documents.DOCUMENTS, ids=documents.named)
def test_flags_that_sentences_name_exist(path):
    known = flags()
    named = re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", " ".join(documents.codes(path.read_text())))
    assert [flag for flag in named if flag not in known] == []


OF_BENCHMARKS = {"--against", "--compile", "--weak"}
"""Flags of programs of `benchmarks`, which commands of the documents try."""


def flags() -> set[str]:
    """Every flag of the experiments, the tools and the tables."""
    from experiments.tables.__main__ import Config

    configs = [experiments.named(name).config_class for name in experiments.shipped()]
    for name in jaxgan.__main__.TOOLS:
        configs.append(getattr(getattr(jaxgan.tools, name), "Config"))  # noqa: B009
    fields = {field for config in (*configs, Config) for field in config.__dataclass_fields__}
    names = {f"--{field.replace('_', '-')}" for field in fields}
    names |= {name.replace("--", "--no-", 1) for name in names}
    names |= set(jaxgan.tools.command.CLASS.aliases)
    return names | {"--help", "--completion", "--version", "--xla"} | OF_BENCHMARKS


# --- what README says runs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(place: pathlib.Path) -> pathlib.Path:
    """The folder, after every command of README that trains, at a tiny size."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        for command in OF_README:
            if command.words[:2] == ("jaxgan", "train"):
                assert jaxgan.__main__.main([*command.words[1:], *TINY]) == 0
    return place


def test_readme_trains_the_run_that_it_opens(trained):
    assert (trained / "runs" / "mine" / "config.json").is_file()


@pytest.mark.parametrize(
    "command",
    [c for c in OF_README if c.words[0] == "jaxgan" and "runs/mine" in c.words[2:3]],
    ids=str,
)
@pytest.mark.usefixtures("without_feature_network")  # to look through it has tests of its own
def test_the_tools_look_at_that_run(command, trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    few = {
        "sample": ["--n", "3"],
        "interpolate": ["--frames", "3"],
        "report": ["--no-diagnosis"],
        "export": [],
        "nearest": ["--samples", "16", "--features", "pixels"],
        "directions": ["--count", "2"],
        **FEW,
    }.get(command.words[1], ["--samples", "16"])
    if command.words[1] == "evaluate":
        few += ["--metrics", "swd"]
    if command.words[1] == "latents":
        few += ["--rows", "2", "--columns", "3"]
    assert jaxgan.__main__.main([*command.words[1:], *few]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("number", range(len(programs("README.md"))))
def test_every_program_of_readme_runs(number, trained, monkeypatch):
    monkeypatch.chdir(trained)
    names: dict = {"__name__": "readme"}
    exec(compile(programs("README.md")[number], f"README.md, program {number}", "exec"), names)
    if "images" in names:
        assert names["images"].shape == (64, 16, 16, 3)
    if "points" in names:
        assert names["points"].shape == (100, 2)
        assert np.isfinite(names["metrics"]["generator/loss"].value)


def test_the_loop_for_those_who_come_from_pytorch_runs(capsys):
    (loop,) = programs("docs/course/from_pytorch.md")
    exec(loop, {})
    assert "generator/loss" in capsys.readouterr().out


@pytest.mark.parametrize("number", range(len(programs("docs/trained_models.md"))))
def test_every_program_about_trained_models_runs(number, trained, monkeypatch):
    monkeypatch.chdir(trained)
    names: dict = {}
    exec(programs("docs/trained_models.md")[number], names)
    assert names["images"].shape[1:] == (16, 16, 3)


def test_an_experiment_of_ones_own_trains_and_is_opened_by_its_file(trained, monkeypatch):
    monkeypatch.chdir(trained)
    size = ["--steps", "2", "--batch-size", "8", "--width", "4", "--sample-every", "0"]
    assert jaxgan.__main__.main(["train", "mine.py", *size, "--workdir", "runs/own"]) == 0
    model = jaxgan.load("runs/own", experiment="mine.py")
    assert model.sample(0, 2).shape == (2, 28, 28, 1)


def test_the_programs_about_data_run_one_after_another(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for program in programs("docs/data.md"):
        exec(compile(program, "docs/data.md", "exec"), names)
    assert names["batch"]["image"].shape == (64, 16, 16, 3)
    assert names["images"].dtype == np.float32


def test_the_program_about_fine_tuning_writes_two_folders(tmp_path, monkeypatch):
    train, held_out, _ = data.fashion.load()
    few = data.Splits(train.take(40), held_out.take(40))
    monkeypatch.setattr(data, "load", lambda name: few)
    monkeypatch.chdir(tmp_path)
    (program,) = programs("docs/fine_tuning.md")
    exec(program, {})
    for part, garments in (("train", few.train), ("test", few.held_out)):
        coats = int(garments.class_counts()[garments.classes.index("Coat")])
        found = [len(list((tmp_path / name / part).iterdir())) for name in ("coats", "others")]
        assert found == [coats, 40 - coats]


@pytest.mark.slow
@pytest.mark.usefixtures("without_feature_network")
def test_the_demonstration_leads_in_six_commands_to_an_export(tmp_path, monkeypatch, capsys):
    from experiments import demo

    six = [c for c in documents.commands(ROOT / "docs" / "index.md") if not c.inline][:6]
    assert [c.words[:4][-1] for c in six] == [
        "demo",
        "report",
        "interpolate",
        "project",
        "export",
        "sample",
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["demo"])
    monkeypatch.setitem(projected.PRESETS, "quick", projected.PRESETS["smoke"])
    monkeypatch.setattr(demo, "STEPS", 4)
    demo.main()
    said = capsys.readouterr().out
    assert "picture of its samples: " in said
    few = {"report": ["--no-diagnosis"], "interpolate": ["--frames", "2"], **FEW}
    for command in six[1:]:  # as the one before has printed it
        words = command.words[3:]
        assert f" {invocation.called(*words)}\n" in said
        assert jaxgan.__main__.main([*words, *few.get(words[0], [])]) == 0
        said = capsys.readouterr().out
    made = {path.name for path in (tmp_path / "runs" / "flowers").rglob("*")}
    assert {"report.html", "interpolation.gif", "pairs.png", "model.json", "000063.png"} <= made
    shutil.rmtree(tmp_path / "runs")


# --- what is named is there -----------------------------------------------------------------------


def test_the_tables_of_readme_name_every_experiment():
    text = documents.README.read_text()
    section = text[text.index("## Experiments") : text.index("## Write a new GAN")]
    named = set(re.findall(r"`([a-z_0-9]+)`", section))
    assert named >= set(experiments.shipped())
    rows = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert set(rows) <= set(experiments.shipped())


def test_readme_is_short():
    assert len(documents.README.read_text().splitlines()) <= 200


@pytest.mark.parametrize("path", documents.DOCUMENTS, ids=documents.named)
def test_links_lead_somewhere(path):
    for link in documents.links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in documents.anchors(target), f"{link}: there is no such heading"


@pytest.mark.parametrize("path", documents.DOCUMENTS, ids=documents.named)
def test_files_that_are_named_exist(path):
    text = " ".join(documents.codes(path.read_text()))
    tops = "jaxgan|experiments|benchmarks|examples|tests|docs|scripts"
    named = re.findall(rf"(?<![\w/.:-])(?:{tops})/[\w/.-]*\w(?:\.\w+)?", text)
    assert [n for n in named if "NAME" not in n and not (ROOT / n).exists()] == []
