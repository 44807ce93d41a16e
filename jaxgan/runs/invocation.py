"""Commands that the user may type next, as the shell in front of them takes them.

In an environment that is not activated, the shell finds no `jaxgan` and no `python`, or those of
another installation. A command that is printed there names the Python that prints it.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import sys

from jaxgan import files


def python() -> str:
    """Returns what runs this Python: `python`, or its path, from this folder if it is below it."""
    own = pathlib.Path(sys.executable)
    if not sys.executable or _found("python", own.parent):
        return "python"
    below = own.is_relative_to(here := pathlib.Path.cwd()) and own.parent != here
    return shlex.quote(str(own.relative_to(here) if below else own))


def program() -> str:
    """Returns what runs the command `jaxgan` of this Python."""
    own = pathlib.Path(sys.executable).parent
    return "jaxgan" if _found("jaxgan", own) else f"{python()} -m jaxgan"


def called(verb: str, *words: str | os.PathLike[str]) -> str:
    """Returns a whole command of jaxgan.

    Args:
        verb: The name of the command, such as 'sample'.
        words: Its arguments, which are quoted where a shell needs it.
    """
    quoted = (shlex.quote(files.printable(word)) for word in words)
    return " ".join([program(), verb, *quoted])


def _found(name: str, folder: pathlib.Path) -> bool:
    """Returns whether the shell finds the program of this name in the folder."""
    found = shutil.which(name)
    return found is not None and pathlib.Path(found).absolute().parent == folder
