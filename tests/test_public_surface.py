"""What is public is named by every package, and the documents and examples use nothing else.

A name is public if every package on the way to it lists the next part in its `__all__`; in a module
that is no package, if it has no leading underscore and is the module's own.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import re
import subprocess
import sys
import typing

import pytest

from tests import documents

ROOT = documents.ROOT
DOCUMENTS = [documents.README, *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "jaxgan").rglob("__init__.py")
)


def fault(name: str) -> str | None:
    """What is wrong with the use of a dotted name of jaxgan, or None if it is public."""
    found: typing.Any = importlib.import_module("jaxgan")
    at = "jaxgan"
    for part in name.split(".")[1:]:
        if part.startswith("_"):
            return f"{name}: {at}.{part} has a leading underscore"
        if inspect.ismodule(found) and hasattr(found, "__path__"):
            if part not in found.__all__:
                return f"{name}: {at} does not list {part!r} in __all__"
        elif inspect.ismodule(found):
            if not hasattr(found, part) or not is_own(found, part):
                return f"{name}: {at} has no {part!r} of its own"
        elif inspect.isclass(found):
            if not hasattr(found, part) and part not in fields(found):
                return f"{name}: {at} has no {part!r}"
        else:
            return None  # an object: what it has is not known
        found, at = getattr(found, part, None), f"{at}.{part}"
    return None


def is_own(module: typing.Any, name: str) -> bool:
    """Whether the module defines the name, and does not only import it."""
    tree = ast.parse(inspect.getsource(module))
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return name not in imported


def fields(of: type) -> set[str]:
    return {name for base in of.__mro__ for name in inspect.get_annotations(base)}


def uses(program: str) -> set[str]:
    """The dotted names of jaxgan that a program imports, and those that it reaches from them."""
    tree = ast.parse(program)
    known, found = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "jaxgan":
                    found.add(alias.name)
                    known[alias.asname or "jaxgan"] = alias.name if alias.asname else "jaxgan"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jaxgan":
            for alias in node.names:
                known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                found.add(f"{node.module}.{alias.name}")
    bound = {
        argument.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arguments)
        for argument in (*node.args, *node.kwonlyargs)
    }
    for node in ast.walk(tree):
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if parts and isinstance(node, ast.Name) and node.id in known and node.id not in bound:
            found.add(".".join([known[node.id], *reversed(parts)]))
    return found


def mentions(path: pathlib.Path) -> set[str]:
    """The dotted names of jaxgan that a document mentions outside of its programs."""
    text = " ".join(documents.codes(path.read_text(encoding="utf-8")))
    return {name.rstrip(".") for name in re.findall(r"(?<![\w/.-])jaxgan(?:\.\w+)+", text)}


# --- the surface ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_says_what_it_is_and_names_what_is_public(name):
    package = importlib.import_module(name)
    assert package.__doc__
    assert len(set(package.__all__)) == len(package.__all__)
    for public in package.__all__:
        assert not public.startswith("_")
        assert getattr(package, public) is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_what_a_package_does_not_name_it_does_not_have(name):
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module(name).no_such_name  # noqa: B018 - the attribute is asked for


SURFACE = """
import sys
import jaxgan

assert "jax" not in sys.modules, "importing jaxgan imports jax"
assert not [name for name in sys.modules if name.startswith("jaxgan.")]
for name in jaxgan.__all__:
    assert getattr(jaxgan, name) is not None, name
assert "losses" in dir(jaxgan)
jaxgan.losses.hinge, jaxgan.penalties.r1, jaxgan.steps.update, jaxgan.models.dcgan.build
jaxgan.games.two_player.build, jaxgan.metrics.fid, jaxgan.data.readers.npz, jaxgan.nn.minibatch
jaxgan.tools.diagnosis.remedies, jaxgan.runs.config.RunConfig, jaxgan.plotting.image_grids
"""


def test_the_surface_is_imported_when_it_is_used():
    subprocess.run([sys.executable, "-c", SURFACE], cwd=ROOT, check=True)


def test_packages_without_arrays_import_no_jax():
    """`--help` is instant, and data are read without JAX."""
    asked = (
        "import sys, jaxgan.data, jaxgan.data.readers, jaxgan.runs, jaxgan.tools, jaxgan.kernels, "
        "jaxgan.games, jaxgan.models, jaxgan.metrics, jaxgan.plotting, jaxgan.tools.diagnosis; "
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", asked], cwd=ROOT, check=True)


# --- who uses it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=documents.named)
def test_examples_use_what_is_public(path):
    found = uses(path.read_text(encoding="utf-8"))
    assert [wrong for name in sorted(found) if (wrong := fault(name))] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=documents.named)
def test_documents_use_what_is_public(path):
    found = mentions(path).union(*map(uses, documents.programs(path)))
    assert [wrong for name in sorted(found) if (wrong := fault(name))] == []


def test_the_examples_are_seen_to_use_it():
    assert {"jaxgan.steps.update", "jaxgan.data.mixtures.ring"} <= uses(
        (ROOT / "examples" / "new_gan.py").read_text()
    )
    assert uses("import jaxgan\nimport jaxgan.nn as layers\njaxgan.load; layers.conv.no") == {
        "jaxgan",
        "jaxgan.load",
        "jaxgan.nn",
        "jaxgan.nn.conv",
        "jaxgan.nn.conv.no",
    }


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("jaxgan.load", None),
        ("jaxgan.nn.Conv", None),
        ("jaxgan.state.GANState.averaged", None),
        ("jaxgan.games.training.Training.ema_half_life", None),
        ("jaxgan.runs.training_run.run", "jaxgan.runs does not list 'training_run'"),
        ("jaxgan.kernels.convolution", "jaxgan does not list 'kernels'"),
        ("jaxgan.losses._pair", "leading underscore"),
        ("jaxgan.losses.jnp", "no 'jnp' of its own"),
        ("jaxgan.losses.no_such_loss", "no 'no_such_loss' of its own"),
        ("jaxgan.games.training.Training.no", "has no 'no'"),
    ],
)
def test_what_is_not_public_is_seen(name, wrong):
    found = fault(name)
    assert found is None if wrong is None else found is not None and wrong in found
