"""Writes the pages of the API reference: one a module, from its docstrings. Run by MkDocs."""

from __future__ import annotations

import itertools
import pathlib

import mkdocs_gen_files

ROOT = pathlib.Path("jaxgan")
ROOMS = (
    *("kernels", "steps", "nn", "games", "models"),
    *("data", "metrics", "plotting", "runs", "tools"),
)
START = """# Reference

Every module, from its docstrings. Images are float32 `[B, H, W, C]` in [-1, 1]; discriminators
return logits.
"""


def modules() -> list[tuple[str, str]]:
    """Returns the room ('' for the ground) and the dotted name of each module, room by room."""
    found = [("", path) for path in sorted(ROOT.glob("[!_]*.py"))]
    found += [(room, path) for room in ROOMS for path in sorted((ROOT / room).rglob("[!_]*.py"))]
    return [(room, ".".join(path.with_suffix("").parts)) for room, path in found]


def write(name: str, content: str) -> None:
    """Writes a page of the reference."""
    with mkdocs_gen_files.open(f"reference/{name}.md", "w") as page:
        page.write(content)


contents = ["- [Overview](index.md)"]
for room, names in itertools.groupby(modules(), key=lambda pair: pair[0]):
    contents += [f"- {room}"] if room else []
    for _, name in names:
        short = name.removeprefix("jaxgan.")
        write(name, f"# {short}\n\n::: {name}\n")
        contents.append(f"{'    ' if room else ''}- [{short}]({name}.md)")
write("index", START)
write("SUMMARY", "\n".join(contents) + "\n")
