"""The advice of diagnosis names nothing that does not exist, and nothing that a run has already."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import experiments
from experiments import cures, dcgan, sngan, vanilla, wgan_gp
from jaxgan.runs import command_line, flags
from jaxgan.runs import experiments as found_experiments
from jaxgan.runs.config import RunConfig
from jaxgan.tools import diagnosis
from jaxgan.tools.diagnosis import remedies
from jaxgan.tools.diagnosis.remedy import Remedy, has

NAMES = [entry.name for entry in pkgutil.iter_modules(experiments.__path__) if not entry.ispkg]
MODULES = {name: importlib.import_module(f"experiments.{name}") for name in NAMES}
ALTERNATIVES = {name: getattr(module, "ALTERNATIVES", {}) for name, module in MODULES.items()}
EVERY = [remedies.REMEDIES, *ALTERNATIVES.values()]
ALL = [remedy for known in EVERY for some in known.values() for remedy in some]


def every_config():
    """The defaults of every experiment that trains."""
    for name, module in MODULES.items():
        config = getattr(module, "Config", None)
        if config is not None and issubclass(config, RunConfig):
            yield name, config()


CONFIGS = dict(every_config())


def does(kind, config, **seen):
    """What is recommended to a run of the configuration's own experiment."""
    module = importlib.import_module(type(config).__module__)
    known = found_experiments.of(module).alternatives
    return [remedy.do for remedy in remedies.against(kind, config, seen, known)]


DISTINCT = list(dict.fromkeys(ALL))


@pytest.mark.parametrize("remedy", DISTINCT, ids=lambda remedy: remedy.do)
def test_what_is_recommended_exists(remedy):
    if remedy.do.startswith("python -m "):
        assert remedy.do.removeprefix("python -m experiments.") in CONFIGS
    elif remedy.do.startswith("--"):
        field = remedies.flag_of(remedy)
        having = [name for name, config in CONFIGS.items() if field in flags.offered(type(config))]
        assert having
        if " " in remedy.do:
            module = importlib.import_module(f"experiments.{having[0]}")
            parsed = command_line.parse(found_experiments.of(module), remedy.do.split())
            assert str(getattr(parsed, field)) == str(
                type(getattr(parsed, field))(remedy.do.split()[1])
            )
    else:
        module, _, name = remedy.do.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_run_gets_advice_in_its_own_flags_and_numbers(name):
    config = CONFIGS[name]
    fields = flags.offered(type(config))
    for kind in remedies.REMEDIES:
        advice = remedies.against(kind, config, {}, ALTERNATIVES[name])
        assert advice
        for remedy in advice:
            assert "{" not in remedy.why
            if remedy.do.startswith("--"):
                assert remedies.flag_of(remedy) in fields


def test_every_kind_of_finding_has_remedies():
    kinds = {"collapsed", "modes lost", "won", "overfits", "vanished", "exploded"}
    of_samples = {"far", "checkered", "noisy", "blurred"}
    assert set(remedies.REMEDIES) == kinds | of_samples | {"not finite", "blind", "oscillating"}
    for named in ALTERNATIVES.values():
        assert set(named) <= set(remedies.REMEDIES)
    assert diagnosis.__doc__


def test_what_a_run_has_already_is_not_recommended():
    assert "--real-label 0.9" in does("won", dcgan.Config())
    assert "--real-label 0.9" not in does("won", dcgan.Config(real_label=0.9))
    assert "--real-label 0.9" not in does("won", dcgan.Config(loss="hinge"))
    assert "--augment ada" in does("overfits", dcgan.Config())
    assert "--augment ada" not in does("overfits", dcgan.Config(augment="diff"))
    assert "--augment ada" not in does("overfits", cures.Config())
    assert "--augment ada" in does("overfits", vanilla.Config())
    for loss in ("wasserstein", "relativistic_paired", "relativistic_average"):
        assert "--augment ada" not in does("overfits", dcgan.Config(loss=loss))
        assert "--augment scheduled" in does("overfits", dcgan.Config(loss=loss))
    assert "--loss non_saturating" in does("vanished", vanilla.Config(loss="minimax"))
    assert "--loss non_saturating" not in does("vanished", vanilla.Config())
    assert "--order alternate" in does("oscillating", vanilla.Config(order="simultaneous"))
    assert "--order alternate" not in does("oscillating", vanilla.Config())


def test_a_run_is_to_go_on_from_its_last_checkpoint_only_where_it_has_one():
    assert "--init-from" in does("not finite", dcgan.Config(), checkpoints=2)
    assert "--init-from" not in does("not finite", dcgan.Config(), checkpoints=0)


def test_adaptive_augmentation_is_recommended_only_where_it_would_act():
    assert "--augment ada" in does("overfits", dcgan.Config(), r_t=0.9)
    assert "--augment ada" not in does("overfits", dcgan.Config(), r_t=0.5)
    assert "--augment diff" in does("overfits", dcgan.Config(), r_t=0.5)


def test_a_penalty_that_holds_the_discriminator_down_is_to_be_weaker_and_a_kernel_even():
    assert does("blind", wgan_gp.Config())[0] == "--penalty-weight"
    assert "--penalty-weight" not in does("blind", wgan_gp.Config(penalty_weight=0.0))
    assert does("checkered", dcgan.Config(kernel=5))[0] == "--kernel 4"
    assert "--kernel 4" not in does("checkered", dcgan.Config())


def test_another_experiment_is_recommended_only_where_it_can_take_the_data():
    command = "python -m experiments.wgan_gp"
    assert command in does("won", dcgan.Config())
    assert command not in does("won", vanilla.Config(data="ring"))
    assert command not in does("collapsed", wgan_gp.Config())


def test_an_experiment_names_its_own_alternatives():
    """Between its flags, which cost less, and what asks for a model of one's own."""
    won = does("won", dcgan.Config())
    spectral, penalty = "python -m experiments.sngan", "python -m experiments.wgan_gp"
    at = won.index(spectral)
    assert won[at + 1] == penalty
    assert all(do.startswith("--") for do in won[:at])
    assert all(do.startswith("jaxgan.") for do in won[at + 2 :])
    assert spectral not in does("won", sngan.Config())
    assert penalty in does("won", sngan.Config())
    assert penalty in does("exploded", dcgan.Config(loss="wasserstein"))
    assert penalty not in does("exploded", dcgan.Config())


def test_the_library_knows_no_experiment():
    bare = remedies.against("won", dcgan.Config(), {})
    own = Remedy("python mine.py --norm spectral", "what I found", "me", has("width", 64))
    assert not any(known.do.startswith("python") for known in bare)
    mine = {"won": (own,)}
    assert own.do in [known.do for known in remedies.against("won", dcgan.Config(), {}, mine)]
    assert own.do not in [
        known.do for known in remedies.against("won", dcgan.Config(width=32), {}, mine)
    ]


def test_step_sizes_are_recommended_by_which_player_is_slower():
    slow = vanilla.Config(generator_learning_rate=1e-5, discriminator_learning_rate=1e-3)
    assert "--generator-learning-rate" in does("won", slow)
    assert "--generator-learning-rate" not in does("collapsed", slow)
    fast = vanilla.Config(generator_learning_rate=1e-2)
    assert "--generator-learning-rate" not in does("won", fast)
    (told,) = [r for r in remedies.against("collapsed", fast, {}) if r.do.startswith("--generator")]
    assert told.why == "lower it from 0.01, below the discriminator's"
