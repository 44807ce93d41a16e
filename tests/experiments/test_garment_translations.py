"""The score of models between two domains, on a model whose translations are known."""

from __future__ import annotations

import re

import numpy as np
import pytest

from experiments.evaluation import garment_translations
from jaxgan import data
from jaxgan.runs import command_line
from tests import toy_runs, toy_translation


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A function of a folder, an embedded set and settings: a run of the toy on the set."""
    root = tmp_path_factory.mktemp("judged")

    def make(name: str, folder: str = ".", **fields):
        path = root / folder / name
        config = toy_translation.Config(
            workdir=str(path), data=name, cache=False, batch_size=40, sample_every=0, **fields
        )
        if not path.exists():
            command_line.train(toy_translation, config)
        return path

    return make


def rows_of(text: str) -> list[tuple[str, list[str]]]:
    """Name and cells of every row of the tables."""
    tables = text.partition("\n\n")[2]
    split = (re.split(r"\s{2,}", line) for line in tables.splitlines() if line)
    return [(name or cells[0], cells) for name, *cells in split]


def value(rows, name: str, column: int, occurrence: int = 0) -> float:
    found = [cells for row, cells in rows if row == name]
    return float(found[occurrence][column].rstrip("%"))


@pytest.mark.slow
def test_held_out_pairs_say_how_near_the_truth_is(runs):
    rows = rows_of(garment_translations.report(garment_translations.Config(runs("fashion-halves"))))
    held_out = data.load("fashion-halves", kind="domains").held_out
    drawings, garments = held_out.a.float_images(), held_out.b.float_images()
    assert rows[0][0] == "2000 images, a to b"
    assert value(rows, "L1", 0) == pytest.approx(np.abs(-drawings - garments).mean(), abs=1e-4)
    assert value(rows, "L1", 1) == pytest.approx(np.abs(drawings - garments).mean(), abs=1e-4)
    assert value(rows, "L1", 2) == 0 == value(rows, "edges apart", 2)
    assert value(rows, "class kept", 2) == pytest.approx(90.8, abs=0.1)
    # There and back is the identity, from either side; only garments have classes.
    assert value(rows, "L1", 0, occurrence=1) == 0
    kept = [cells for name, cells in rows if name == "class kept"]
    assert len(kept) == 2 and kept[1] == ["90.8%", "90.8%"]


@pytest.mark.slow
def test_two_runs_of_one_name_are_told_apart(runs):
    one, other = runs("shoes-bags"), runs("shoes-bags", "other", of_batch=True)
    text = garment_translations.report(garment_translations.Config(one, beside=other))
    assert text.splitlines()[:3] == [
        "evaluated on the held-out data of shoes-bags",
        f"run: {one} after 1 steps",
        f"beside: {other} after 1 steps",
    ]
    rows = rows_of(text)
    # There and back is the identity, but not where the batch's mean is taken away.
    assert value(rows, "L1", 0) == 0 < value(rows, "L1", 1)
    headings = [cells for name, cells in rows if " to " in name]
    assert {tuple(cells[:3]) for cells in headings} == {("run", "beside", "input")}


@pytest.mark.slow
def test_without_pairs_the_classes_of_the_target_domain_and_their_diversity_count(runs):
    rows = rows_of(garment_translations.report(garment_translations.Config(runs("shoes-bags"))))
    assert dict(rows)["600 images, a to b"] == ["run", "input", "real"]
    assert value(rows, "in the target domain", 1) < 5
    assert value(rows, "in the target domain", 2) > 95
    shares = [value(rows, name, 2) for name in ("Sandal", "Sneaker", "Ankle boot")]
    assert sum(shares) == pytest.approx(value(rows, "in the target domain", 2, 1), abs=0.2)
    assert value(rows, "diversity within class", 2) == pytest.approx(1, abs=0.03)


def test_a_run_that_does_not_translate_is_refused(finished):
    with pytest.raises(ValueError, match="does not translate between two domains"):
        garment_translations.report(garment_translations.Config(finished))


@pytest.mark.slow
def test_data_that_have_changed_are_refused(runs, tmp_path, capsys):
    toy_runs.assert_refuses_other_data(
        garment_translations, runs("shoes-bags"), tmp_path / "copy", capsys
    )
