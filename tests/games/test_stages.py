"""Stages of a run: what one takes over from the last, and where each begins and ends."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import random
from jaxgan.games import stages
from tests import toy_model


def plan_of(*starts: int) -> tuple[stages.Stage, ...]:
    def build(axis_name=None):
        raise AssertionError("nothing is to be built")

    return tuple(stages.Stage(start, 8, build) for start in starts)


def state_of(width: int, *, step: int = 0, seed: int = 0):
    state = toy_model.build(shape=(4, 4, 1), width=width).init(jax.random.key(seed))
    return state.replace(step=jnp.int32(step), extra={"norm": jnp.float32(step)})


def leaves(tree):
    return dict(jax.tree_util.tree_leaves_with_path(tree))


@pytest.mark.parametrize("optimizers", [True, False])
def test_a_state_takes_over_what_has_its_path_and_shape(optimizers):
    old, new = state_of(8, step=5), state_of(16, seed=1)
    old = old.replace(
        players=jax.tree.map(lambda leaf: leaf + jnp.ones((), leaf.dtype), old.players)
    )
    grown = stages.carry_over(old, new, optimizers=optimizers)
    assert int(grown.step) == 5
    assert float(grown.extra["norm"]) == 5
    assert jnp.array_equal(jax.random.key_data(grown.rng), jax.random.key_data(old.rng))
    for name in new.players:
        for kind in ("params", "variables", "opt_state"):
            before, fresh, got = (leaves(getattr(s[name], kind)) for s in (old, new, grown))
            for path, leaf in got.items():
                fits = before[path].shape == leaf.shape
                taken = fits and (kind != "opt_state" or optimizers)
                np.testing.assert_array_equal(leaf, (before if taken else fresh)[path])
    kept, known = leaves(grown.ema), leaves(old.ema)
    assert any(np.array_equal(kept[path], known[path]) for path in kept)
    assert grown["generator"].tx is new["generator"].tx


def test_adams_first_update_of_a_new_layer_is_not_corrected_where_its_counter_goes_on():
    optimizer, gradient = optax.adam(1.0, b1=0.0, b2=0.99), {"new": jnp.ones(3)}
    fresh = optimizer.init(gradient)
    counted = (fresh[0]._replace(count=jnp.int32(10_000)), *fresh[1:])
    found = [-optimizer.update(gradient, state)[0]["new"] for state in (fresh, counted)]
    np.testing.assert_allclose(found, [[1.0] * 3, [10.0] * 3], rtol=1e-4)


def test_a_stage_of_the_same_model_goes_on_as_if_it_had_not_begun():
    old, new = state_of(8, step=5), state_of(8, seed=1)
    jax.tree.map(
        lambda a, b: np.testing.assert_array_equal(*map(_plain, (a, b))),
        jax.tree.leaves(stages.carry_over(old, new)),
        jax.tree.leaves(old),
    )


def _plain(leaf):
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def test_a_state_with_other_layers_still_draws():
    gan = toy_model.build(shape=(4, 4, 1), width=16)
    grown = stages.carry_over(state_of(8, step=5), gan.init(jax.random.key(1)))
    assert gan.sample(grown, random.row_keys(jax.random.key(0), 3)).shape == (3, 4, 4, 1)


@pytest.mark.parametrize(
    ("step", "index"), [(0, 0), (1, 0), (10, 0), (11, 1), (20, 1), (21, 2), (900, 2)]
)
def test_the_end_of_a_stage_is_its_own(step, index):
    assert stages.made_at(plan_of(0, 10, 20), step) == index


def test_spans_follow_one_another_and_cover_the_run():
    plan = plan_of(0, 10, 20)

    def spans(begin, end, per_call=1):
        options = {"begin": begin, "end": end, "per_call": per_call}
        return [list(stages.span(plan, index, **options)) for index in range(3)]

    assert spans(0, 25) == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    assert spans(0, 20, per_call=5) == [[0, 5], [10, 15], []]
    assert spans(12, 15) == [[], [12, 13, 14], []]


@pytest.mark.parametrize(
    ("starts", "per_call", "message"),
    [
        ((), 1, r"begin at steps \[\]"),
        ((5, 10), 1, r"begin at steps \[5, 10\]; expected 0"),
        ((0, 10, 10), 1, r"\[0, 10, 10\]"),
        ((0, 20, 10), 1, r"\[0, 20, 10\]"),
        ((0, 10), 4, "a stage begins at step 10, which is no multiple of the 4 steps"),
    ],
)
def test_stages_that_do_not_follow_one_another_are_refused(starts, per_call, message):
    with pytest.raises(ValueError, match=message):
        stages.check(plan_of(*starts), per_call=per_call)


def test_stages_that_follow_one_another_are_a_plan():
    plan = plan_of(0, 4, 12)
    assert stages.check(list(plan), per_call=4) == plan
