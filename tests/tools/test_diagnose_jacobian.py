"""What diagnosis says of the game near a checkpoint, on Jacobians made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import discogan, semisupervised, vanilla, wgan
from jaxgan.games.stability import Jacobian
from jaxgan.tools.diagnosis import jacobian

PLAYERS = ("discriminator", "generator")
ROWS = {"discriminator": slice(0, 1), "generator": slice(1, 2)}

# Eigenvalues -1 +- 2i: at once, steps below 2 * 1 / 5 are stable. In turn, a round of size h has
# the determinant (1 - h)^2 and the trace 2 - 2h - 4h^2, and is stable while 4 - 4h - 3h^2 > 0.
SPIRAL = Jacobian(np.array([[-1.0, 2.0], [-2.0, -1.0]]), ROWS)


def played(order=None, **sizes):
    return jacobian.Play(sizes or None, order)


def test_the_leading_eigenvalues_are_listed_and_the_stable_steps_named():
    part = jacobian.examined(SPIRAL, played())
    assert part.numbers["Jacobian: eigenvalue 1"] == pytest.approx(-1 - 2j)
    assert part.numbers["Jacobian: eigenvalue 2"] == pytest.approx(-1 + 2j)
    assert part.numbers["Jacobian: largest stable step, at once"] == pytest.approx(0.4)
    assert part.numbers["Jacobian: largest stable step, in turn"] == pytest.approx(2 / 3)
    (said,) = part.remarks
    assert "stable below a learning rate of 0.667 if players alternate" in said
    assert "below a learning rate of 0.4 if they move at once" in said
    many = Jacobian(-np.diag(np.arange(1.0, 10.0)), {"a": slice(0, 9)})
    listed = jacobian.examined(many, played()).numbers
    values = [listed[f"Jacobian: eigenvalue {n}"] for n in range(1, jacobian.LEADING + 1)]
    np.testing.assert_allclose(values, -np.arange(1, jacobian.LEADING + 1))
    assert f"Jacobian: eigenvalue {jacobian.LEADING + 1}" not in listed


@pytest.mark.parametrize(("size", "stable"), [(0.39, True), (0.41, False)])
def test_the_runs_own_steps_are_judged(size, stable):
    (said,) = jacobian.of_run(SPIRAL, played(discriminator=size, generator=size))
    assert f"(discriminator {size}, generator {size}; at once)" in said
    assert said.endswith("are stable.") == stable
    assert said.endswith("are not stable.") != stable
    assert jacobian.of_run(SPIRAL, played()) == []


def test_an_eigenvalue_that_is_not_negative_leaves_no_stable_step():
    circle = Jacobian(np.array([[0.0, 1.0], [-1.0, 0.0]]), ROWS)
    said = jacobian.examined(circle, played(discriminator=1e-6, generator=1e-6)).remarks
    assert "no learning rate" in said[0]
    assert said[1].endswith("are not stable.")


def test_a_run_plays_as_its_configuration_says():
    rates = {"generator_learning_rate": 0.1, "discriminator_learning_rate": 0.2}
    sizes = {"generator": 0.1, "discriminator": 0.2}
    game = vanilla.Config(**rates)
    assert jacobian.play(game, PLAYERS) == (sizes, ["discriminator", "generator"])
    assert jacobian.play(vanilla.Config(**rates, order="simultaneous"), PLAYERS) == (sizes, None)
    turns = jacobian.play(wgan.Config(n_critic=3), PLAYERS).turns
    assert turns == [*["discriminator"] * 3, "generator"]
    pairs = ["generator_ab", "discriminator_a", "generator_ba", "discriminator_b"]
    found = jacobian.play(discogan.Config(), pairs)
    assert found.step_sizes is not None and set(found.step_sizes) == set(pairs)
    assert found.turns == ["discriminator_a", "discriminator_b", "generator_ab", "generator_ba"]
    assert jacobian.play(semisupervised.Config(learning_rate=0.3), PLAYERS).step_sizes == {
        "generator": 0.3,
        "discriminator": 0.3,
    }
    assert jacobian.play(game, [*PLAYERS, "encoder"]).step_sizes is None
