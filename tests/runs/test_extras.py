"""A package that is not installed is named with the extra that brings it."""

from __future__ import annotations

import pytest

from jaxgan.runs import extras
from jaxgan.runs.errors import RunError


def test_the_first_missing_package_is_named_with_its_extra():
    extras.require("a page", ("json", "numpy"), extra="pages")
    sentence = r"^a page needs no_such_package: pip install 'jaxgan\[pages\]'$"
    with pytest.raises(RunError, match=sentence):
        extras.require("a page", ("json", "no_such_package"), extra="pages")
