"""Writes the pages of the notebooks: their text, code and outputs. Run by MkDocs.

Nothing is executed: `make notebooks` does that.
"""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import mkdocs_gen_files

NOTEBOOKS = pathlib.Path("docs/notebooks")


def text(lines: str | list[str]) -> str:
    """Returns the text of a field of a notebook."""
    return lines if isinstance(lines, str) else "".join(lines)


def shown(output: dict[str, Any], name: str) -> str:
    """Returns an output in Markdown, after writing its picture, if it is one, under a name."""
    data = output.get("data", {})
    if "image/png" in data:
        with mkdocs_gen_files.open(f"notebooks/{name}.png", "wb") as picture:
            picture.write(base64.b64decode(text(data["image/png"])))
        return f"![output]({name}.png)"
    said = text(output.get("text") or data.get("text/plain", "")).strip()
    return f"```text\n{said}\n```"


def parts(path: pathlib.Path) -> Iterator[str]:
    """Yields the cells of a notebook in Markdown."""
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        source = text(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
            continue
        yield f"```python\n{source}\n```"
        for place, output in enumerate(cell["outputs"]):
            yield shown(output, f"{path.stem}-{number}-{place}")


for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
    with mkdocs_gen_files.open(f"notebooks/{notebook.stem}.md", "w") as page:
        to_keep = f'<a href="../{notebook.name}" download>This notebook as a file</a>\n'
        page.write("\n\n".join([*parts(notebook), to_keep]))
