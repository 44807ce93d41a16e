"""The files that documents tell a reader to submit: their commands are understood."""

from __future__ import annotations

import pathlib
import re
import shlex

import pytest

from jaxgan.runs import experiments, flags
from tests import documents

RECIPES = sorted((documents.ROOT / "docs" / "recipes").iterdir())
COMMAND = re.compile(r"jaxgan train (\w+)((?:\s+--[a-z-]+(?:\s+(?!--)\S+)?)+)")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_trains_with_flags_that_exist(path: pathlib.Path):
    (found,) = COMMAND.findall(path.read_text())
    closed = found[1] if found[1].count('"') % 2 == 0 else found[1].rstrip('"')
    words = shlex.split(closed)
    config_class = experiments.named(found[0]).config_class
    flags.require_known(words, flags.offered(config_class))
    by_hand = {"--coordinator", "--processes", "--process"}
    assert "--distributed" in words or by_hand <= set(words)


def test_the_pods_are_counted_alike_in_all_places():
    text = (documents.ROOT / "docs" / "recipes" / "jobset.yaml").read_text()
    counts = re.findall(r"(?:parallelism:|completions:|--processes) (\d+)", text)
    assert len(counts) == 3
    assert len(set(counts)) == 1
