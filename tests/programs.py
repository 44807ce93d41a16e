"""What a traced program is made of."""

from __future__ import annotations

import jax.extend


def equations(jaxpr):
    """All equations of a program, those within other equations too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            yield from equations(inner)
