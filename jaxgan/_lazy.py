"""Submodules that a package imports when they are first used. Imports no JAX."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from types import ModuleType


def submodule(package: str, names: Collection[str], name: str) -> ModuleType:
    """Returns the submodule of a package; for the package's `__getattr__`.

    Args:
        package: The dotted name of the package.
        names: Its public names; those that are not attributes of it yet are submodules.
        name: The attribute that was asked for.

    Raises:
        AttributeError: If the name is not public.
    """
    if name not in names:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return importlib.import_module(f"{package}.{name}")
