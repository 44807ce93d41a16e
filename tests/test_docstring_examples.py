"""Every example in a docstring of jaxgan runs, and prints the output it shows."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib

import pytest

import jaxgan
from jaxgan import losses, optimizers, penalties, random, steps

ROOT = pathlib.Path(jaxgan.__file__).parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def module_of(path: pathlib.Path) -> str:
    names = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


MODULES = sorted(
    module_of(path) for path in ROOT.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8")
)

# What a researcher meets first.
FIRST = [
    *losses.LOSSES.values(),
    losses.by_name,
    losses.flip_labels,
    *(
        function
        for module in (optimizers, penalties, random)
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
    ),
    *(getattr(steps, name) for name in steps.__all__),
    jaxgan.state.Mean.of,
    jaxgan.state.Out,
    jaxgan.state.create,
    jaxgan.state.init_player,
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_run(module):
    found = doctest.testmod(importlib.import_module(module), optionflags=OPTIONS)
    assert found.attempted
    assert not found.failed


def test_what_is_met_first_shows_an_example():
    functions = {getattr(entry, "func", entry) for entry in FIRST if callable(entry)}
    functions -= {random.known_prior}
    without = [f.__qualname__ for f in functions if ">>> " not in (inspect.getdoc(f) or "")]
    assert not without
