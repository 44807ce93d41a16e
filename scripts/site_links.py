"""Turns links to files of the repository into their names. Run by MkDocs.

Links to notebooks become links to their pages.
"""

from __future__ import annotations

import pathlib
import re
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)\s#]+)(#[^)\s]*)?\)")
_NOTEBOOK = re.compile(r"(\]\([^)\s:]+)\.ipynb\)")


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Returns the page, whose links lead to no place outside of the site."""
    docs = pathlib.Path(config["docs_dir"]).resolve()
    here = (docs / page.file.src_uri).parent

    def inside(link: re.Match[str]) -> str:
        target = (here / link[2]).resolve()
        if target.is_relative_to(docs):
            return link[0]
        return f"{link[1]} (`{target.relative_to(docs.parent).as_posix()}`)"

    return _LINK.sub(inside, _NOTEBOOK.sub(r"\1.md)", markdown))
