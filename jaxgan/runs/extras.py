"""Packages that only some commands need: each comes with an extra."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from jaxgan.runs.errors import RunError


def require(what: str, packages: Iterable[str], *, extra: str) -> None:
    """Checks that packages are installed.

    Args:
        what: What needs them, as the beginning of a sentence.
        packages: The names by which they are imported.
        extra: The extra that brings them.

    Raises:
        RunError: If one is not; the message names it and the extra.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise RunError(f"{what} needs {package}: pip install 'jaxgan[{extra}]'")
