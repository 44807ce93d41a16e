"""The docstrings of the library name the parameters of its public functions and classes.

python tests/test_docstrings.py        prints the percentage of each module
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST = 0.95
"""The fraction of parameters that must be named."""
WORST = 15
FIELDS_OF = ("NamedTuple", "Module", "PyTreeNode", "TrainState", "TypedDict")
"""Base classes whose annotated attributes are the parameters of the class."""

Found = tuple[str, list[str], list[str]]
"""A function or class, its parameters, and those that its docstring does not name."""


def found_in(source: str) -> list[Found]:
    """The public functions and classes of a source file that have more than one parameter."""
    return [found for found in _found(ast.parse(source), inside="") if len(found[1]) > 1]


def _found(tree: ast.Module | ast.ClassDef, inside: str) -> Iterator[Found]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield _of_class(node, inside + node.name)
            yield from _found(node, f"{inside}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
            if not any(name.endswith(("overload", ".setter")) for name in decorators):
                names = parameters(node, bound=bool(inside) and "staticmethod" not in decorators)
                yield inside + node.name, names, unnamed(names, ast.get_docstring(node) or "")


def parameters(node: ast.FunctionDef, *, bound: bool) -> list[str]:
    """The names of the parameters, without the first of a method."""
    given = node.args
    positional = [*given.posonlyargs, *given.args][int(bound) :]
    rest = [argument for argument in (given.vararg, given.kwarg) if argument is not None]
    names = [argument.arg for argument in (*positional, *given.kwonlyargs, *rest)]
    return [name for name in names if not name.startswith("_")]


def _of_class(node: ast.ClassDef, name: str) -> Found:
    """A class, whose parameters are its fields or those of its `__init__`."""
    docstring = ast.get_docstring(node) or ""
    for member in node.body:
        if isinstance(member, ast.FunctionDef) and member.name == "__init__":
            names = parameters(member, bound=True)
            docstring += "\n" + (ast.get_docstring(member) or "")
            return name, names, unnamed(names, docstring)
    if not has_fields(node):
        return name, [], []
    names, explained = [], set()
    for member, following in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(member, ast.AnnAssign) or not isinstance(member.target, ast.Name):
            continue
        field = member.target.id
        if field.startswith("_") or "ClassVar" in ast.unparse(member.annotation):
            continue
        names.append(field)
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            explained.add(field)
    return name, names, [field for field in unnamed(names, docstring) if field not in explained]


def has_fields(node: ast.ClassDef) -> bool:
    decorated = any("dataclass" in ast.unparse(item) for item in node.decorator_list)
    bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    return decorated or any(base.endswith(FIELDS_OF) for base in bases)


def unnamed(names: list[str], docstring: str) -> list[str]:
    """The names without an entry `name: ...`, or `one, other: ...`, in the docstring."""
    entry = re.compile(r"^[ \t]*((?:\*{0,2}\w+(?: \([^)]*\))?(?:, )?)+):(?:\s|$)", re.MULTILINE)
    entries = [re.findall(r"\w+", found) for found in entry.findall(docstring)]
    named = {name for line in entries for name in line}
    return [name for name in names if name not in named]


def by_module() -> dict[str, list[Found]]:
    """What is found in the public modules of the library, by path."""
    paths = sorted((ROOT / "jaxgan").rglob("*.py"))
    return {
        path.relative_to(ROOT).as_posix(): found_in(path.read_text(encoding="utf-8"))
        for path in paths
        if not path.name.startswith("_")
    }


def fraction(found: list[Found]) -> float:
    total = sum(len(names) for _, names, _ in found)
    return 1 - sum(len(missing) for *_, missing in found) / total if total else 1.0


def report(modules: dict[str, list[Found]], most: int | None = None) -> str:
    """The modules by how many of their parameters are not named, those with the most first."""
    missing = {path: sum(len(left) for *_, left in found) for path, found in modules.items()}
    worst = sorted(modules, key=lambda path: (-missing[path], path))[:most]
    lines = []
    for path in worst:
        lacking = [f"{name}({', '.join(left)})" for name, _, left in modules[path] if left]
        lines.append(f"{fraction(modules[path]):6.1%}  {path}  {' '.join(lacking)}".rstrip())
    every = [found for module in modules.values() for found in module]
    return "\n".join([*lines, f"{fraction(every):6.1%}  of all parameters are named"])


def test_docstrings_name_the_parameters():
    modules = by_module()
    every = [found for module in modules.values() for found in module]
    assert len(every) > 200
    assert fraction(every) >= LEAST, "\n" + report(modules, WORST)


EXAMPLE = '''
@dataclasses.dataclass
class Both:
    """Two fields.

    Attributes:
        first: One.
    """
    first: int
    second: int
    """The other."""
    third: int
    KIND: ClassVar[str] = ""

    def method(self, a, b):
        """Says nothing."""

def function(a, *, b, **rest):
    """Names a and b.

    Args:
        a, b: Two numbers [B].
    """

def alone(a): ...
def _private(a, b): ...
'''


def test_entries_are_found_and_nothing_else():
    assert found_in(EXAMPLE) == [
        ("Both", ["first", "second", "third"], ["third"]),
        ("Both.method", ["a", "b"], ["a", "b"]),
        ("function", ["a", "b", "rest"], ["rest"]),
    ]


if __name__ == "__main__":
    print(report(by_module()))
    sys.exit(fraction([found for module in by_module().values() for found in module]) < LEAST)
