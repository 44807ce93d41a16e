"""Several steps in a call, or several models in a program, change numbers by rounding alone."""

from __future__ import annotations

import functools

import jax
import laws
import numpy as np
import pytest

from jaxgan import parallel
from jaxgan.games import ensemble
from jaxgan.runs import training_loop
from jaxgan.runs.seeds import Seeds

STEPS = 10
SEEDS = (4, 5, 6)
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}

every_precision = pytest.mark.parametrize("precision", ["float32", "float64"])
some_cases = pytest.mark.parametrize("name", ["vanilla", "dcgan"])


@functools.cache
def model(name):
    return laws.BY_NAME[name].build()


@functools.cache
def compiled(gan, per_call):
    """The call on the first device, and the mesh of it."""
    mesh = parallel.data_mesh(jax.devices()[:1])
    return training_loop.compile_call(gan.step, per_call=per_call, mode="jit", mesh=mesh), mesh


class Data:
    """Batches that are a function of seed and step, like those of a dataset."""

    def __init__(self, name, dtype):
        self._case, self._dtype = laws.BY_NAME[name], dtype

    def batch(self, *, seed, step, size):
        batch = laws.batch_of(self._case, seed=1000 * seed + step, dtype=self._dtype)
        return {name: np.asarray(values[:size]) for name, values in batch.items()}


def losses_of(gan, state, *, name, seeds, per_call, precision):
    """The losses by name of each of the first steps on the first device, [STEPS, ...]."""
    call, mesh = compiled(gan, per_call)
    batches = training_loop.batches_of(
        Data(name, np.dtype(precision)),
        seeds=Seeds(tuple(seeds)),
        size=laws.BY_NAME[name].rows,
        per_call=per_call,
        mesh=mesh,
    )
    if precision == "float64":
        state = laws.at_double_precision(state)
    reports = []
    for step in range(0, STEPS, per_call):
        state, metrics = call(state, batches(step))
        values = {n: np.asarray(m.value) for n, m in metrics.items() if n.endswith("loss")}
        reports.append({n: v if per_call > 1 else v[None] for n, v in values.items()})
    return {n: np.concatenate([report[n] for report in reports]) for n in reports[0]}


@functools.cache
def single(name, seed, precision):
    """The losses [STEPS] of the run of one seed, one step a call."""
    gan = model(name)
    state = gan.init(jax.random.key(seed))
    return losses_of(gan, state, name=name, seeds=[seed], per_call=1, precision=precision)


@pytest.mark.slow
@some_cases
@every_precision
def test_several_steps_a_call_have_the_losses_of_one(name, precision):
    with jax.enable_x64(precision == "float64"):
        gan = model(name)
        state = gan.init(jax.random.key(SEEDS[0]))
        together = losses_of(
            gan, state, name=name, seeds=SEEDS[:1], per_call=5, precision=precision
        )
        alone = single(name, SEEDS[0], precision)
    for loss, values in alone.items():
        np.testing.assert_allclose(together[loss], values, rtol=0, atol=TOLERANCE[precision])


@pytest.mark.slow
@some_cases
@every_precision
def test_a_member_of_a_population_has_the_losses_of_its_single_run(name, precision):
    with jax.enable_x64(precision == "float64"):
        gan = ensemble.of(model(name))
        state = jax.jit(gan.init)(ensemble.keys(SEEDS))
        together = losses_of(gan, state, name=name, seeds=SEEDS, per_call=5, precision=precision)
        everyone = [single(name, seed, precision) for seed in SEEDS]
    for index, alone in enumerate(everyone):
        for loss, values in alone.items():
            member = together[loss][:, index]
            np.testing.assert_allclose(member, values, rtol=0, atol=TOLERANCE[precision])
    assert np.ptp(together["generator/loss"][0]) > 0
