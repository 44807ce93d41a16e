"""The one error type of this package: data that cannot be used as requested."""

from __future__ import annotations

from jaxgan import files


class DataError(ValueError):
    """Error for data that cannot be used; one sentence says what was found and what to do.

    Names of files in the sentence are made printable here, so callers need not do it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(files.printable(sentence))


def reason(error: Exception) -> str:
    """Returns the message of another library's exception in one short line, or else its type."""
    said = str(error).strip().splitlines()
    return said[0][:120].rstrip(".") if said else type(error).__name__


def refuse(name: str, why: str, **options: object) -> None:
    """Raises DataError if an option was given that does not apply to the data.

    Args:
        name: the name of the data, for the message.
        why: the reason, as a clause that follows the name, such as 'has no labels'.
        **options: the options by name; None and False count as not given.

    Raises:
        DataError: for the first option that was given.
    """
    for option, value in options.items():
        if value is not None and value is not False:
            flag = option.replace("_", "-")
            raise DataError(f"{name} {why}: leave --{flag} out (it is {value!r})")
