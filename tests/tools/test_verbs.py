"""Which model can be used by which command; the others are refused in one sentence."""

from __future__ import annotations

import pathlib

import jax
import laws
import numpy as np
import pytest

import jaxgan.__main__
from jaxgan import data
from jaxgan.metrics import evaluation
from jaxgan.runs import trained_model
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.tools import (
    caption_to_image,
    latent_space,
    latents,
    project,
    sample,
    translate,
    traverse,
)
from jaxgan.tools.exploring import studio

RUN = pathlib.Path("somewhere")

LATENTS = ("latents", "directions", "traverse", "interpolate")
NOISE = ("sample", "nearest", "project", *LATENTS, "explore", "evaluate")
"""What is done with a model that draws images from noise."""

ABLE = {
    "vanilla": ("sample",),  # points
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
    "pix2pix": ("translate",),  # images of two channels, which no page shows
    "cyclegan": ("translate", "explore"),
    "discogan": ("translate", "explore"),
    "srgan": ("translate", "explore"),
    "text-to-image": ("translate", "explore", "evaluate"),
}
"""By model, the commands that use it."""

EVERY = {"export", "diagnose", "report", "extract"}
"""Commands that use a run of every model; test_export and test_onnx_graph export all of them."""

NO_RUN = {"data", "launch"}


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


def translated(model):
    if "caption" in model.gan.conditions:
        return caption_to_image.require_captions(model)
    return translate.channels_of(model, translate.Config(RUN, (), out=RUN))


def measured(model):
    shape = model.spec.shape
    if len(shape) != 3:
        return evaluation.images_of(data.mixtures.ring(), model.gan)
    images = data.Dataset("data of somewhere", np.zeros((2, *shape), np.uint8))
    return evaluation.images_of(images, model.gan)


CHECKS = {
    ("sample",): lambda model: sample.require_noise(model, RUN),
    ("nearest",): lambda model: sample.require_images(model, RUN),
    ("project",): lambda model: project.label_of(model, project.Config(RUN)),
    ("latents",): lambda model: latents.explored(model, latents.Config(RUN)),
    ("directions", "traverse", "interpolate"): in_latents,
    ("codes",): along_code,
    ("explore",): lambda model: studio.require_shown(model, RUN),
    ("translate",): translated,
    ("evaluate",): measured,
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
        except (RunError, ValueError) as refused:
            said = str(refused)
            assert "\n" not in said and len(said) < 250
            assert "somewhere" in said or "model of ring" in said
    assert sorted(able) == sorted(ABLE[name])


def test_every_kind_of_model_is_in_the_table():
    left = {case.name for case in laws.CASES} - ABLE.keys() - set(laws.VARIANTS)
    known = ("vanilla-", "conditional-perceptron", "cyclegan-pool")
    assert {name for name in left if not name.startswith(known)} == set()


def test_every_command_is_in_the_table():
    named = {verb for verbs in CHECKS for verb in verbs} - {"codes"}  # a flag of traverse
    assert named | EVERY | NO_RUN == set(jaxgan.__main__.TOOLS)
