"""The tables: what is finished is kept and not run again, what is not goes on, and the page is what
the files say.
"""

from __future__ import annotations

import itertools
import json
import math
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from experiments import tables
from experiments.tables import __main__ as command
from experiments.tables import frame, page, records, running
from jaxgan.runs.errors import RunError, RunStopped

NUMBERS = {"score": [1.0, 2.0, 3.0], "error": [math.inf, 0.5, 0.5]}
COLUMNS = (frame.Column("score", "score"), frame.Column("error", "error %", "{:.0f}".format, 100.0))


def quietly(settings, folder):
    return frame.Measured(NUMBERS)


def with_a_picture(settings, folder):
    return frame.Measured(NUMBERS, Image.new("L", (20, 10), 128))


def make_table(measure=quietly, size=2, **settings):
    """A table of `size` pieces a, b, ... under one heading."""

    def parts(budget):
        pieces = [
            frame.Piece(name, f"row {name}", {"steps": 5, **settings}, measure, {"score": "2.5"})
            for name in "abcd"[:size]
        ]
        return (frame.Part("part", "A part", COLUMNS, tuple(pieces), figure=("begin", "end")),)

    return frame.Table("A table", "A paper.", "A protocol.", {"default": "All of it."}, parts)


@pytest.fixture
def places(tmp_path):
    return running.Places(tmp_path / "docs" / "results", tmp_path / "work")


@pytest.fixture
def play(places, monkeypatch):
    """Runs a table as the only one there is; returns what was said."""

    def run(table, **options):
        monkeypatch.setattr(tables, "load", lambda: {"toy": table})
        said = []
        options.setdefault("only", ())
        failed = running.run("toy", table, "default", places=places, say=said.append, **options)
        return failed, said

    return run


def page_of(places):
    return places.results.with_suffix(".md").read_text()


# --- what is run ----------------------------------------------------------------------------------


def test_what_is_finished_is_not_run_again(play):
    runs = []
    table = make_table(lambda settings, folder: runs.append(folder.name) or quietly(0, folder))
    play(table, only=["b"])
    play(table)
    assert [name[0] for name in runs] == ["b", "a"]
    failed, said = play(table)
    assert (failed, said, len(runs)) == ([], ["toy: 0 of 2 pieces to measure"], 2)


def test_a_piece_goes_on_in_its_folder_and_its_time_is_that_of_all_sittings(
    play, places, monkeypatch
):
    monkeypatch.setattr(running.time, "monotonic", itertools.count(0.0, 10.0).__next__)

    def measure(settings, folder):
        half = folder / "half"
        if not half.exists():
            half.touch()
            raise KeyboardInterrupt
        return quietly(settings, folder)

    table = make_table(measure, size=1)
    with pytest.raises(KeyboardInterrupt):
        play(table)
    assert not list(places.results.rglob("*.json"))
    play(table)
    kept = records.read(records.path(places.results, "toy", "a", budget="default"))
    assert kept is not None
    assert kept.seconds == 20.0
    assert kept.command == "python -m experiments.tables toy/a"
    assert {"versions", "device", "revision", "cores"} <= set(kept.environment)


def test_what_was_finished_before_the_end_stays_on_the_page(play, places):
    def measure(settings, folder):
        if folder.name.startswith("b"):
            raise ZeroDivisionError
        return quietly(settings, folder)

    with pytest.raises(ZeroDivisionError):
        play(make_table(measure))
    rows = [line for line in page_of(places).splitlines() if line.startswith("| row")]
    assert rows[0].startswith("| row a | 2.5 | 2.00 +- 0.58 | inf | 3 |")
    assert rows[1] == "| row b | 2.5 | not run yet |  |  |  |"


def test_a_piece_that_cannot_be_measured_is_passed_over_and_named(play, places):
    def measure(settings, folder):
        if folder.name.startswith("a"):
            raise RunStopped("the loss was NaN")
        return quietly(settings, folder)

    failed, said = play(make_table(measure))
    assert failed == ["toy/a"]
    assert "toy/a: the loss was NaN" in said
    assert "row b | 2.5 | 2.00" in page_of(places)


def test_other_settings_make_a_result_stale_until_it_is_measured_again(play, places):
    play(make_table())
    old, new = make_table(), make_table(steps=7)
    assert "stale" not in page.text({"toy": old}, places.results)
    assert page.text({"toy": new}, places.results).count("(stale: of other settings)") == 2
    _, said = play(new, only=["a"])
    assert said[1] == "toy/a: stale, steps was 5 and is 7"
    assert page_of(places).count("(stale: of other settings)") == 1


def test_the_digest_is_of_the_settings_alone_in_any_order():
    assert records.digest({"a": 1, "b": [2]}) == records.digest({"b": [2], "a": 1})
    assert records.digest({"a": 1}) != records.digest({"a": 2})


# --- what is kept ---------------------------------------------------------------------------------


def test_a_killed_writer_leaves_no_half_of_a_result(play, places, monkeypatch):
    def die(path, content):
        path.with_name(path.name + ".partial").write_bytes(b'{"settings"')
        raise KeyboardInterrupt

    monkeypatch.setattr(records.files, "write_whole", die)
    with pytest.raises(KeyboardInterrupt):
        play(make_table(size=1))
    monkeypatch.undo()
    assert not list(places.results.rglob("*.json"))
    _, said = play(make_table(size=1))
    assert said[0] == "toy: 1 of 1 pieces to measure"
    assert json.loads((places.results / "toy" / "a.json").read_text())["numbers"]["error"] == [
        "inf",
        0.5,
        0.5,
    ]


def test_a_result_reads_as_it_was_written(play, places):
    play(make_table(size=1))
    kept = records.read(places.results / "toy" / "a.json")
    assert kept is not None
    assert kept.numbers == NUMBERS
    assert kept.settings == {"steps": 5}


def test_a_damaged_result_is_refused_in_a_sentence(play, places):
    play(make_table(size=1))
    (places.results / "toy" / "a.json").write_text("[]")
    with pytest.raises(RunError, match=r"a\.json is no result of a table.*delete it to measure"):
        play(make_table(size=1))


def test_what_measured_stands_beside_the_numbers(play, places):
    network = {"network": "a classifier", "sha256": "00"}
    play(make_table(lambda settings, folder: frame.Measured(NUMBERS, by=network), size=1))
    file = places.results / "toy" / "a.json"
    assert json.loads(file.read_text())["by"] == network
    kept = records.read(file)
    assert kept is not None and kept.by == network


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"score": [1.0]}, "did not measure 'error'"),
        ({"score": [1.0], "error": []}, "expected one for each seed"),
    ],
)
def test_a_piece_must_measure_every_column_for_every_seed(numbers, message, play):
    with pytest.raises(ValueError, match=message):
        play(make_table(lambda settings, folder: frame.Measured(numbers)))


# --- the page -------------------------------------------------------------------------------------


def test_the_page_and_its_figures_are_a_function_of_the_files(play, places, tmp_path, monkeypatch):
    table = make_table(with_a_picture)
    play(table, only=["b"])
    play(table)
    copy = tmp_path / "elsewhere" / "results"
    shutil.copytree(places.results, copy)
    (copy / "toy-part.png").unlink()
    assert page.write(copy).read_bytes() == places.results.with_suffix(".md").read_bytes()
    assert (copy / "toy-part.png").read_bytes() == (places.results / "toy-part.png").read_bytes()
    assert "(results/toy-part.png)" in page_of(places)
    with Image.open(copy / "toy-part.png") as figure:
        assert np.asarray(figure)[-20:, -20:].min() == 128


def test_nothing_run_is_said_so(places):
    text = page.text({"toy": make_table()}, places.results)
    assert text.count(page.MISSING) == 2
    full = make_table()._replace(scope={"default": "A cut.", "full": "Whole."})
    assert "The full protocol: not run yet." in page.text({"toy": full}, places.results)


def test_of_a_full_protocol_that_has_begun_the_other_parts_are_one_line(places):
    table = make_table()

    def parts(budget):
        (part,) = table.parts(budget)
        later = [
            part._replace(name=f"part-{i}", title=f"After {i}", pieces=(piece._replace(name=i),))
            for i, piece in zip("xyz", part.pieces * 2, strict=False)
        ]
        return tuple(later) if budget == "full" else (part,)

    whole = table._replace(scope={"default": "A cut.", "full": "Whole."}, parts=parts)
    only = ["x"]
    running.run("toy", whole, "full", places=places, say=lambda line: None, only=only)
    text = page.text({"toy": whole}, places.results)
    assert "### After x" in text and "### After y" not in text
    assert "After y, After z: not run yet." in text


def test_a_cell_is_the_mean_and_its_standard_error():
    plain, percent = COLUMNS
    assert page.cell([1.0, 2.0, 3.0], plain) == "2.00 +- 0.58"
    assert page.cell([0.25], percent) == "25"
    assert page.cell([0.5, math.inf], percent) == "inf"


# --- declarations and commands --------------------------------------------------------------------


def test_declarations_that_contradict_themselves_are_refused():
    twice = make_table()._replace(parts=lambda budget: make_table().parts(budget) * 2)
    with pytest.raises(ValueError, match="two pieces are called 'a'"):
        frame.check("toy", twice)
    with pytest.raises(ValueError, match="expected 'default'"):
        frame.check("toy", make_table()._replace(scope={"full": "x"}))
    (part,) = make_table().parts("default")
    for change, message in (
        ({"name": "A b"}, "the name 'A b' is no file's"),
        ({"paper": {"speed": "1"}}, "the paper's 'speed' has no column"),
    ):
        wrong = part._replace(pieces=(part.pieces[0]._replace(**change),))
        with pytest.raises(ValueError, match=message):
            frame.check("toy", make_table()._replace(parts=lambda budget, wrong=wrong: (wrong,)))


def test_every_declared_pieces_settings_have_a_digest():
    for table in tables.load().values():
        for budget in ("quick", *table.scope):
            for _, piece in table.pieces(budget).values():
                assert records.digest(json.loads(json.dumps(piece.settings))) == records.digest(
                    piece.settings
                )


def test_names_choose_tables_and_pieces_in_the_order_of_the_page():
    assert list(command.chosen(())) == list(tables.NAMES)
    assert command.chosen(["ring_grid/ring-gan", "dirac"]) == {
        "dirac": [],
        "ring_grid": ["ring-gan"],
    }
    with pytest.raises(RunError, match="there is no table 'sleep'; there are dirac"):
        command.chosen(["sleep"])


def test_unknown_pieces_and_two_budgets_are_refused(play, capsys):
    with pytest.raises(RunError, match="toy has no piece 'z'; it has a, b"):
        play(make_table(), only=["z"])
    assert command.main(["dirac", "--quick", "--full"]) == 2
    assert "two budgets" in capsys.readouterr().err


def test_help_and_the_page_need_no_jax(tmp_path):
    flags = ["--page-only", "--results", str(tmp_path / "results")]
    program = [sys.executable, "-X", "importtime", "-m", "experiments.tables", *flags]
    root = pathlib.Path(tables.__file__).parents[2]
    done = subprocess.run(program, cwd=root, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "jax" not in imported
    assert page.MISSING in (tmp_path / "results.md").read_text()


# --- the tables -----------------------------------------------------------------------------------


def quick(names, folder):
    """The numbers by piece of the tables' quick budget."""
    places = ["--results", str(folder / "results"), "--work", str(folder / "work")]
    assert command.main([*names, "--quick", "--no-cache", *places]) == 0
    return {path.stem: records.read(path) for path in (folder / "results").rglob("*.json")}


def test_a_quick_piece_is_measured_and_stands_on_its_page(tmp_path):
    results = quick(["dirac/gan-r1-weak"], tmp_path)
    assert list(results) == ["gan-r1-weak"]
    assert "| GAN, R1 of 0.3 | 2.643e-6 |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "results" / "dirac-games.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", tables.NAMES)
def test_every_table_runs(name, tmp_path):
    declared = tables.load()[name].pieces("quick")
    assert set(quick([name], tmp_path)) == set(declared)
