"""Who may know whom: a room of jaxgan imports from those above it alone, and experiments are known
by nothing but tables, benchmarks and tests.
"""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = [
    "kernels",
    "steps",
    "nn",
    "games",
    "models",
    "data",
    "metrics",
    "plotting",
    "runs",
    "tools",
]
SOURCES = sorted((ROOT / "jaxgan").rglob("*.py"))
SURFACE = [ROOT / "jaxgan" / name for name in ("__init__.py", "__main__.py")]
"""What a user imports or calls: it imports any room when asked."""
EXPERIMENTS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "experiments").rglob("*.py"))
}


def imports_of(path: pathlib.Path, *, types: bool = True) -> list[str]:
    """The full names of what the file imports, anywhere in it, also for types alone unless not
    `types`.
    """
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    tree, names = ast.parse(path.read_text()), []
    if not types:
        tree.body = [node for node in tree.body if not for_types_alone(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = list(package[: len(package) - node.level + 1]) if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names += [f"{origin}.{alias.name}" for alias in node.names]
    return names


def for_types_alone(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def floor_of(name: str) -> int:
    """How far down the list the module's room is; 0 of the ground."""
    parts = name.split(".")
    if parts[0] == "experiments":
        return len(ROOMS) + 1
    return ROOMS.index(parts[1]) + 1 if parts[1:] and parts[1] in ROOMS else 0


def named(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_a_room_imports_only_from_those_above_it(path):
    if path in SURFACE:
        return
    own = floor_of(".".join(path.relative_to(ROOT).parts))
    ours = [n for n in imports_of(path) if n.split(".")[0] in ("jaxgan", "experiments")]
    assert [name for name in ours if floor_of(name) > own] == []


@pytest.mark.parametrize("path", SOURCES, ids=named)
def test_the_library_names_no_experiment(path):
    """Nor in a message or a docstring: who adds an experiment changes nothing here."""
    text = path.read_text()
    stems = "|".join(re.escape(name.split(".")[1]) for name in EXPERIMENTS if "." in name)
    assert re.findall(rf"\bexperiments[./](?:{stems})\b", text) == []
    if "models" not in path.relative_to(ROOT).parts and path not in SURFACE:
        assert [name for name in imports_of(path) if name.startswith("jaxgan.models")] == []
        assert re.findall(r"\bjaxgan[./]models[./]\w+", text) == []


@pytest.mark.parametrize(
    "name, path", [(n, p) for n, p in EXPERIMENTS.items() if not n.startswith("experiments.tables")]
)
def test_only_tables_import_tables(name, path):
    assert [known for known in imports_of(path) if known.startswith("experiments.tables")] == []


def test_the_ground_files_that_types_names_do_not_import_it():
    files = [ROOT / "jaxgan" / f"{name}.py" for name in ("random", "state", "collectives")]
    files += sorted((ROOT / "jaxgan" / "kernels").glob("*.py"))
    for path in files:
        assert [name for name in imports_of(path) if name.startswith("jaxgan.types")] == [], path


def circles(graph: dict[str, set[str]]) -> list[str]:
    """The modules that import themselves by way of others."""
    return [start for start in graph if start in reached(graph, start)]


def reached(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += graph[name]
    return found


def test_no_module_imports_itself_by_way_of_others():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in SOURCES
        if path != ROOT / "jaxgan" / "__init__.py"
    }
    graph = {}
    for name, path in modules.items():
        # A package lists its modules for type checkers, and imports them when they are first used.
        imported = imports_of(path, types=path.name != "__init__.py")
        known = {n if n in modules else n.rpartition(".")[0] for n in imported}
        graph[name] = (known & modules.keys()) - {name}
    assert circles(graph) == []


def test_every_file_of_tests_says_what_it_is_about():
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert [named(path) for path in files if not path.read_text().startswith(('"""', 'r"""'))] == []
