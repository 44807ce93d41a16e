"""The one value, `Training`, that says how the players of any game are trained."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from functools import partial

import optax
import pytest

from jaxgan import games, losses, models, random, steps
from jaxgan.games import builder, two_player
from jaxgan.games.training import Training
from jaxgan.models import bigan, cyclegan, infogan, vanilla

MOST_PARAMETERS = 12
DESCENT = {name: optax.sgd(0.1) for name in ("generator", "discriminator")}


def builds():
    """Every `build` of the models and of the games, by its module's name."""
    for package in (models, games):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(found.name)
            if hasattr(module, "build"):
                yield pytest.param(module.build, id=found.name)


@pytest.mark.parametrize("build", list(builds()))
def test_every_build_takes_the_training_as_one_value_and_few_arguments_with_it(build):
    parameters = inspect.signature(build).parameters
    assert parameters["training"].annotation == "Training"
    assert len(parameters) <= MOST_PARAMETERS
    assert not parameters.keys() & Training.__annotations__.keys()


def test_what_a_model_does_by_default_gives_way_to_what_it_is_given():
    def own(discriminator, generator):
        return discriminator

    left_open = Training(DESCENT).otherwise(schedule=own, shared_noise=True)
    assert (left_open.schedule, left_open.shared_noise) == (own, True)
    given = Training(DESCENT, schedule=steps.alternate, shared_noise=False)
    assert given.otherwise(schedule=own, shared_noise=True) == given


def test_no_pass_is_shared_by_default_where_a_batch_is_sliced():
    assert not Training(DESCENT, accumulate=2).otherwise(shared_noise=True).shared_noise
    asked = Training(DESCENT, accumulate=2, shared_noise=True)
    assert asked.otherwise(shared_noise=False).shared_noise


def test_a_schedule_is_wrapped_and_is_alternation_where_there_is_none():
    wrapped = []

    def around(schedule):
        wrapped.append(schedule)
        return partial(schedule, n_critic=2)

    assert Training(DESCENT).with_schedule(around).schedule.keywords == {"n_critic": 2}
    Training(DESCENT, schedule=builder.simultaneously).with_schedule(around)
    assert wrapped == [steps.alternate, builder.simultaneously]


def test_a_models_own_schedule_is_the_one_it_has_when_none_is_given(monkeypatch):
    met = []
    alternate = steps.alternate
    monkeypatch.setattr(
        steps, "alternate", lambda *sides, **options: met.append(options) or alternate(*sides)
    )

    def build(**fields):
        met.clear()
        two_player.build(
            vanilla.Generator((2,), (2,)),
            vanilla.Discriminator((2,)),
            shape=(2,),
            loss=losses.non_saturating(),
            latents=partial(random.latents, size=1),
            training=Training(DESCENT, **fields),
        )
        return [set(options) for options in met]

    assert build() == [set()]
    assert build(shared_noise=True) == [{"shared_noise"}]
    assert build(schedule=builder.simultaneously) == []


@pytest.mark.parametrize(
    ("schedule", "groups"),
    [
        (builder.simultaneously, ["discriminator", "generator"]),
        (infogan.simultaneously, [("discriminator", "q"), "generator"]),
        (bigan.bidirectional.simultaneously, ["discriminator", ("generator", "encoder")]),
        (
            cyclegan.domain_translation.simultaneously,
            [("discriminator_a", "discriminator_b"), ("generator_ab", "generator_ba")],
        ),
    ],
)
def test_simultaneous_sides_are_those_of_the_game(schedule, groups, monkeypatch):
    monkeypatch.setattr(steps, "simultaneous", lambda sides, **options: (sides, options))
    sides, options = schedule("judging", "generating", shared_noise="pass")
    assert sides == dict(zip(groups, ["judging", "generating"], strict=True))
    assert options == {"shared_noise": "pass"}


def test_a_first_refinement_comes_before_the_own_one():
    def naming(name):
        return lambda d, g: ((*d, name), (*g, name))

    training = Training(DESCENT, refine=naming("own")).refined(naming("first"))
    assert training.refine((), ()) == (("first", "own"), ("first", "own"))
