"""The one error of this package: data that cannot be used as asked."""

from __future__ import annotations

from jaxgan import files


class DataError(ValueError):
    """Data that cannot be used: one sentence that says what was found and what to do about it.

    Names of files in it become printable here, so that nobody who raises it need think of them.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(files.printable(sentence))


def reason(error: Exception) -> str:
    """What an exception of another library says, in one short line; else its kind."""
    said = str(error).strip().splitlines()
    return said[0][:120].rstrip(".") if said else type(error).__name__


def refuse(name: str, why: str, **options: object) -> None:
    """Raises DataError where an option was given that `name` has no use for, and says why."""
    for option, value in options.items():
        if value is not None and value is not False:
            flag = option.replace("_", "-")
            raise DataError(f"{name} {why}: leave --{flag} out (it is {value!r})")
