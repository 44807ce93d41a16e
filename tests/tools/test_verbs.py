"""Which model can be used by which command; the others are refused in one sentence."""

from __future__ import annotations

import pathlib

import jax
import laws
import pytest

from jaxgan.runs import trained_model
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import latent_space, traverse
from jaxgan.tools.exploring import studio

RUN = pathlib.Path("somewhere")

NOISE = ("directions", "traverse", "interpolate", "explore")
"""What is done with a model that draws images from noise."""

ABLE = {
    "vanilla": (),  # points
    "vanilla-scheduled": NOISE,
    "dcgan": NOISE,
    "conditional": NOISE,
    "progressive": NOISE,
    "projected": NOISE,
    "fastgan": NOISE,
    "r3gan": NOISE,
    "infogan": (*NOISE, "codes"),
    "semisupervised": NOISE,
    "bigan": NOISE,
    "ali": NOISE,
    "pix2pix": (),  # images of two channels, which no file holds
    "cyclegan": ("explore",),
    "discogan": ("explore",),
    "srgan": ("explore",),
    "text-to-image": ("explore",),
}


def model_of(name):
    """A model of the laws, with an abstract state: nothing is computed."""
    case = laws.BY_NAME[name]
    gan = case.build()
    state = jax.eval_shape(gan.init, jax.random.key(0))
    classes = tuple(map(str, range(case.classes)))
    inputs = {"a": case.images["a"]} if "a" in case.images else {}
    shape = case.images.get("b", case.shape)
    return trained_model.TrainedModel(gan, state, None, DataSpec(shape, classes, inputs), 0)


def in_latents(model):
    given = latent_space.conditions_of(model, RUN, None)
    return latent_space.space_of_run(model, RUN, **given)


def along_code(model):
    if not traverse.codes_of(model):
        raise RunError("somewhere has no codes")


CHECKS = {
    ("directions", "traverse", "interpolate"): in_latents,
    ("explore",): lambda model: studio.require_shown(model, RUN),
    ("codes",): along_code,
}
"""What commands ask before they compute anything."""

SLOW = ("vanilla-scheduled", "projected", "fastgan", "r3gan", "progressive", "ali", "discogan")
"""Their networks take long to trace, and other cases are treated alike."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in ABLE],
)
def test_a_command_takes_the_models_that_it_makes_sense_for(name):
    model = model_of(name)
    able: list[str] = []
    for verbs, check in CHECKS.items():
        try:
            check(model)
            able += verbs
        except RunError as refused:
            said = str(refused)
            assert "somewhere" in said and "\n" not in said and len(said) < 200
    assert sorted(able) == sorted(ABLE[name])


def test_every_kind_of_model_is_in_the_table():
    left = {case.name for case in laws.CASES} - ABLE.keys() - set(laws.VARIANTS)
    known = ("vanilla-", "conditional-perceptron", "cyclegan-pool")
    assert {name for name in left if not name.startswith(known)} == set()
