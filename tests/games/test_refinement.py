"""What refines the objectives of one model refines those of every other."""

from __future__ import annotations

import jax
import laws
import pytest

from jaxgan import random
from jaxgan.games import input_transforms

# How often each side shows the discriminator images.
SHOWN = {
    "vanilla": (2, 1),
    "conditional-perceptron": (2, 1),
    "infogan": (2, 1),
    "semisupervised": (3, 2),
    "ali": (2, 2),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in ("semisupervised", "ali")))
        for name in SHOWN
    ],
)
def test_a_view_changes_both_objectives_of_every_model(name):
    case, objectives, shown = laws.BY_NAME[name], [], []

    def shrinking(side):
        def view(state, images, keys):
            shown.append(side)
            return images / 2

        return view

    def refine(*both):
        objectives.extend(both)
        return both

    state = case.build(refine=refine, extra={"entry": 1.0}).init(jax.random.key(7))
    assert state.extra["entry"] == 1.0

    @jax.jit
    def losses(*given):
        return [
            [objective(*given)[0], input_transforms.through(objective, shrinking(side))(*given)[0]]
            for side, objective in enumerate(objectives)
        ]

    found = losses(state, laws.batch_of(case), random.row_keys(jax.random.key(1), case.rows))
    assert all(plain != viewed for plain, viewed in found)
    assert [shown.count(side) for side in (0, 1)] == list(SHOWN[name])


@pytest.mark.parametrize("name", SHOWN)
def test_the_steps_take_the_refined_objectives(name):
    case, traced = laws.BY_NAME[name], []

    def refine(*both):
        def noted(side):
            def objective(*given):
                traced.append(side)
                return both[side](*given)

            return objective

        return noted(0), noted(1)

    gan = case.build(refine=refine)
    jax.eval_shape(gan.step, jax.eval_shape(gan.init, jax.random.key(7)), laws.batch_of(case))
    assert set(traced) == {0, 1}
