"""The semi-supervised GAN: its losses by hand, its networks, its first step, and its runs."""

from __future__ import annotations

import itertools
import math
import shutil

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxgan
from experiments import semisupervised as experiment
from experiments.evaluation import semisupervised_error
from jaxgan import parallel, random
from jaxgan.games import ensemble
from jaxgan.models import semisupervised
from jaxgan.nn import weight_norm
from jaxgan.runs import checkpoint, command_line
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from tests import toy_runs
from tests.building import built

SHAPE, CLASSES, ROWS = (4, 4, 1), 3, 8


def game(**changes):
    options = {
        "shape": SHAPE,
        "classes": CLASSES,
        "latent_size": 5,
        "hidden": (12, 6),
        "generator_hidden": (7,),
        "optimizers": {name: optax.sgd(0.01) for name in ("generator", "discriminator")},
    }
    return built(semisupervised.build, **{**options, **changes})


@pytest.fixture(scope="module")
def played():
    """The model with an average, its first state, and its state after one step."""
    gan = game(ema_half_life=1e6)
    before = gan.init(jax.random.key(0))
    return gan, before, jax.jit(gan.step)(before, batch())


def batch(seed: int = 0):
    draws = np.random.default_rng(seed)
    names = ("image", "unlabeled", "reference")
    images = {n: draws.uniform(-1, 1, (ROWS, *SHAPE)).astype(np.float32) for n in names}
    return {**images, "label": np.arange(ROWS, dtype=np.int32) % CLASSES}


def keys(seed: int = 1):
    return random.row_keys(jax.random.key(seed), ROWS)


# --- the losses -----------------------------------------------------------------------------------


def test_the_losses_of_two_logits_by_hand():
    # exp: 1 and 3, so Z = 4, the label's share 3 / 4 of the real classes, and D = 4 / 5.
    logits = jnp.array([[0.0, math.log(3.0)]])
    of_label = semisupervised.label_loss(logits, jnp.array([1], jnp.int32))
    assert float(of_label[0]) == pytest.approx(math.log(4 / 3))
    realness = semisupervised.realness(logits)
    assert float(jax.nn.sigmoid(realness)[0]) == pytest.approx(4 / 5)
    half = semisupervised.ADVERSARIAL.discriminator(realness, realness) / 2
    assert float(half[0]) == pytest.approx(-0.5 * math.log(4 / 5) - 0.5 * math.log(1 / 5))


def test_a_fake_class_with_logit_0_makes_it_the_cross_entropy_of_one_class_more():
    logits = jnp.asarray(np.random.default_rng(0).normal(0, 3, (6, 4)).astype(np.float32))
    fake_class = jax.nn.softmax(jnp.pad(logits, ((0, 0), (0, 1))), axis=1)[:, -1]
    realness = semisupervised.realness(logits)
    loss = semisupervised.ADVERSARIAL.discriminator(realness, jnp.zeros(6))
    np.testing.assert_allclose(loss, -jnp.log1p(-fake_class) + math.log(2), rtol=1e-4, atol=1e-6)
    loss = semisupervised.ADVERSARIAL.discriminator(jnp.zeros(6), realness)
    np.testing.assert_allclose(loss, -jnp.log(fake_class) + math.log(2), rtol=1e-4)


def known(kind, logits):
    """A player whose logits at an image are those at the image's first pixel, as a number."""

    def apply(variables, images, *, keys, train, mutable):
        at = images.reshape(len(images), -1)[:, 0].astype(jnp.int32)
        return semisupervised.Judgment(logits[at], logits[at]), {}

    return kind.replace(apply_fn=apply)


def test_the_discriminator_sees_labeled_unlabeled_and_generated_images_by_their_own_terms(played):
    _, before, _ = played
    table = jnp.log(jnp.array([[1.0, 1.0, 2.0], [2.0, 5.0, 1.0], [1.0, 3.0, 4.0]]))
    state = before.replace(
        players={**before.players, "discriminator": known(before["discriminator"], table)}
    )
    of = {name: jnp.full((2, *SHAPE), value) for value, name in enumerate(["image", "unlabeled"])}
    labels = jnp.array([2, 0], jnp.int32)

    def draw(state, batch, keys):
        return jnp.full((2, *SHAPE), 2.0), {}

    expected = (math.log(4 / 2) + math.log(4 / 1)) / 2
    of_kinds = (-math.log(8 / 9) - math.log(1 / 9)) / 2
    for weight in (1.0, 0.25):
        objective = semisupervised.discriminator_objective(draw, unlabeled=weight)
        loss, out = objective(state, {**of, "label": labels}, keys())
        assert float(loss) == pytest.approx(expected + weight * of_kinds)
        assert float(out.metrics["labeled_accuracy"].value) == 0.5
        assert float(out.metrics["unlabeled_loss"].value) == pytest.approx(of_kinds)


def test_the_generator_matches_the_means_of_the_last_hidden_layer_before_its_noise(played):
    _, _, (state, _) = played
    rows, of = keys(), batch()

    def draw(state, batch, keys):
        return jnp.asarray(of["image"]), {}

    loss, _ = semisupervised.generator_objective(draw)(state, of, rows)
    features = {}
    for kind, images in (("fake", of["image"]), ("reference", of["reference"])):
        judgment = state["discriminator"](images, keys=random.fold(rows, kind))
        features[kind] = np.asarray(judgment.features, np.float64)
        assert features[kind].shape == (ROWS, 6) and features[kind].min() == 0  # after a ReLU
    gap = features["fake"].mean(axis=0) - features["reference"].mean(axis=0)
    assert float(loss) == pytest.approx(np.mean(gap**2), rel=1e-4)


# --- the networks ---------------------------------------------------------------------------------


def test_the_networks_of_the_paper_have_their_layers():
    config = experiment.Config(**{"preset": "paper", **experiment.PRESETS["paper"]})
    gan = experiment.build(config, DataSpec((28, 28, 1), tuple("0123456789")))
    state = jax.eval_shape(gan.init, jax.random.key(0))
    shapes = jax.tree.map(jnp.shape, {n: p.params for n, p in state.players.items()})
    sizes = (784, 1000, 500, 250, 250, 250, 10)
    expected = {
        f"FittedDense_{i}": {"directions": (a, b), "bias": (b,)}
        for i, (a, b) in enumerate(itertools.pairwise(sizes))
    }
    expected["FittedDense_5"]["gain"] = (10,)
    assert shapes["discriminator"] == expected
    assert shapes["generator"] == {
        "Dense_0": {"kernel": (100, 500)},
        "BatchNorm_0": {"bias": (500,)},
        "Dense_1": {"kernel": (500, 500)},
        "BatchNorm_1": {"bias": (500,)},
        "WeightNormDense_0": {"directions": (500, 784), "gain": (784,), "bias": (784,)},
    }
    assert config.steps * config.batch_size == 300 * 60_000
    assert set(state.ema) == {"discriminator"}


def test_noise_of_the_stated_deviations_is_added_before_every_layer_and_none_without_keys(played):
    _, _, (state, _) = played
    many = random.row_keys(jax.random.key(3), 500)
    images = jnp.full((500, *SHAPE), 0.5)
    deviations = []

    def keep(call, args, kwargs, context):
        output = call(*args, **kwargs)
        if type(context.module).__name__ == "GaussianNoise":
            deviations.append(float(jnp.std(output - args[0])))
        return output

    with linen.intercept_methods(keep):
        noisy = state["discriminator"](images, keys=many).logits
        assert deviations == pytest.approx([0.3, 0.5, 0.5], rel=0.05)
        clean = state["discriminator"](images).logits
        assert deviations[3:] == [0.0, 0.0, 0.0]
    assert np.ptp(clean, axis=0).max() < 1e-5 < np.ptp(noisy, axis=0).min()


def test_the_perceptron_takes_the_images_in_the_unit_range_that_its_noise_is_measured_in(played):
    _, _, (state, _) = played
    params = state["discriminator"].params["FittedDense_0"]
    first = state["discriminator"].variables[weight_norm.COLLECTION]["FittedDense_0"]
    images = batch()["image"]
    seen = []

    def keep(call, args, kwargs, context):
        seen.append((context.module.name, args))
        return call(*args, **kwargs)

    with linen.intercept_methods(keep):
        state["discriminator"](images)
    x = next(args[0] for name, args in seen if name == "FittedDense_0")
    np.testing.assert_allclose(x, (images.reshape(ROWS, -1) + 1) / 2, rtol=1e-6)
    assert set(first) == {"mean", "scale"} and set(params) == {"directions", "bias"}


def test_samples_lie_in_the_range_and_take_no_condition(played):
    gan, _, (state, _) = played
    images = np.asarray(gan.sample(state, keys()))
    assert images.shape == (ROWS, *SHAPE) and np.abs(images).max() <= 1
    with pytest.raises(ValueError, match="takes no condition 'label'"):
        gan.sample(state, keys(), label=jnp.zeros(ROWS))
    with pytest.raises(ValueError, match="the data have 1 classes"):
        game(classes=1)


# --- the first step -------------------------------------------------------------------------------


def statistics(state):
    return state["discriminator"].variables[weight_norm.COLLECTION]


def test_the_first_step_fits_the_layers_to_unlabeled_images_and_later_ones_leave_them(played):
    _, before, (after, _) = played
    fit = semisupervised.fit_once("unlabeled")
    fitted, _ = fit(before, batch(), keys())
    # The projection of a first layer under its noise, which has mean 0 on the images it was fit to.
    rows, of = keys(), batch()
    noise = random.fold(rows, "fit")
    outputs = []

    def keep(call, args, kwargs, context):
        output = call(*args, **kwargs)
        if type(context.module).__name__ == "FittedDense":
            outputs.append(np.asarray(output))
        return output

    with linen.intercept_methods(keep):
        fitted["discriminator"](of["unlabeled"], keys=noise)
    assert len(outputs) == 3
    for output in outputs:
        np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(output.std(axis=0), 1, rtol=1e-3)
    assert not bool(statistics(before)["fitted"]) and bool(statistics(after)["fitted"])
    again, _ = fit(after, batch(seed=9), keys())
    assert jax.tree.all(jax.tree.map(np.array_equal, statistics(after), statistics(again)))


def first_outputs(state, images, rows):
    """The first layer's features of the images, under the noise of these keys."""
    found = []

    def keep(call, args, kwargs, context):
        output = call(*args, **kwargs)
        if type(context.module).__name__ == "FittedDense":
            found.append(np.asarray(output))
        return output

    with linen.intercept_methods(keep):
        state["discriminator"](images, keys=rows)
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("axis_name", [None, parallel.AXIS])
def test_a_state_is_fitted_to_all_the_images_given_whatever_the_batch(axis_name):
    """Mean 0 and variance 1 over 600 images; a batch of one row leaves it as it is."""
    gan = game(fitted=True, ema_half_life=1e6, axis_name=axis_name)
    images = np.random.default_rng(5).uniform(-1, 1, (600, *SHAPE)).astype(np.float32)
    fresh = gan.init(jax.random.key(0))
    state = semisupervised.fit(fresh, images)
    rows = random.fold(random.example_keys(state.rng, state.step, jnp.arange(600)), "fit")
    output = first_outputs(state, images, rows)
    np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(output.std(axis=0), 1, rtol=1e-3)
    assert bool(statistics(state)["fitted"]) and not bool(statistics(fresh)["fitted"])
    kept = state.ema["discriminator"][weight_norm.COLLECTION]
    assert jax.tree.all(jax.tree.map(np.array_equal, kept, statistics(state)))
    if axis_name is None:
        after, _ = jax.jit(gan.step)(state, jax.tree.map(lambda leaf: leaf[:1], batch()))
        assert jax.tree.all(jax.tree.map(np.array_equal, statistics(state), statistics(after)))
    with pytest.raises(ValueError, match="fitted to 1 example"):
        semisupervised.fit(fresh, images[:1])


def test_a_batch_of_one_image_that_would_fix_the_scales_is_refused(played):
    gan, before, _ = played
    with pytest.raises(ValueError, match="fitted to 1 example"):
        gan.step(before, jax.tree.map(lambda leaf: leaf[:1], batch()))


@pytest.mark.parametrize(("count", "used"), [(1200, 500), (40, 40)])
def test_a_run_begins_fitted_to_500_training_images_or_all_of_fewer(count, used, monkeypatch):
    seen = []
    monkeypatch.setattr(semisupervised, "fit", lambda state, images: seen.append(images) or state)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1)).astype(np.uint8)
    labels = np.arange(count, dtype=np.int32) % CLASSES
    train = jaxgan.data.Dataset("some", pixels, labels, ("a", "b", "c"))
    assert experiment.begin("state", train) == "state"
    (images,) = seen
    assert images.shape == (used, 4, 4, 1)
    assert len(np.unique(images.reshape(used, -1), axis=0)) == used


@pytest.mark.slow
def test_each_of_several_models_is_fitted_as_a_single_one():
    gan = game(fitted=True)
    images = np.random.default_rng(5).uniform(-1, 1, (20, *SHAPE)).astype(np.float32)
    several = ensemble.of(gan).init(ensemble.keys((0, 1)))
    fitted = ensemble.for_each(lambda state: semisupervised.fit(state, images))(several)
    for index in range(2):
        single = semisupervised.fit(gan.init(jax.random.key(index)), images)
        found = statistics(ensemble.select(fitted, index))
        for one, other in zip(*map(jax.tree.leaves, (found, statistics(single))), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_average_forgets_the_initial_weights_at_once(played):
    """Weights of an average without bias: after one step it is what the step reached."""
    _, before, (after, _) = played
    average = after.averaged()["discriminator"]
    now, then = after["discriminator"].params, before["discriminator"].params
    for a, b, old in zip(*map(jax.tree.leaves, (average.params, now, then)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert not np.allclose(b, old, rtol=1e-5, atol=1e-6)
    fitted = average.variables[weight_norm.COLLECTION]["FittedDense_0"]["scale"]
    expected = statistics(after)["FittedDense_0"]["scale"]
    np.testing.assert_allclose(fitted, expected, rtol=1e-4)


def test_adam_damps_gradients_below_a_ten_thousandth():
    optimizer = semisupervised.adam(1.0)
    gradient = jnp.array([1.0, 1e-4, 1e-6])
    move, _ = optimizer.update(gradient, optimizer.init(gradient), gradient)
    np.testing.assert_allclose(move, [-1.0, -math.sqrt(0.5), -0.01], rtol=1e-3)


# --- runs -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return smoke(tmp_path_factory.mktemp("runs") / "semisupervised")


def smoke(path, *flags):
    arguments = ["--preset", "smoke", "--workdir", str(path), "--no-cache", "--decay-from", "1"]
    assert command_line.command(experiment, [*arguments, *flags]) == 0
    return path


@pytest.mark.slow
def test_a_run_that_goes_on_from_a_checkpoint_is_the_run_that_never_stopped(trained, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(trained, path)
    shutil.rmtree(next(path.glob("checkpoints/*4")))
    assert checkpoint.steps_in(path / "checkpoints") == [2]
    smoke(path)
    toy_runs.assert_same(trained, path, step=4)


def test_points_are_refused(tmp_path, capsys):
    flags = ["--preset", "smoke", "--workdir", str(tmp_path / "run"), "--data", "ring"]
    assert command_line.command(experiment, flags) == 2
    assert "ring has no labels" in capsys.readouterr().err


@pytest.mark.slow
def test_the_score_tells_the_error_of_the_average_the_last_weights_and_the_control(trained):
    config = semisupervised_error.Config(trained, control_steps=2)
    lines = semisupervised_error.report(config).splitlines()
    assert lines[0] == "error on 2000 held-out images after 4 steps with 100 labels"
    names = ["averaged discriminator", "its last weights", "the network by the labeled images"]
    assert len(lines) == 4
    for line, name in zip(lines[1:], names, strict=True):
        share, count = line.rsplit("%", 1)[0].split()[-1], line.rsplit("(", 1)[1].rstrip(")")
        assert line.startswith(name) and float(share) == pytest.approx(int(count) / 20, abs=0.006)


@pytest.mark.slow
def test_data_that_have_changed_are_refused(trained, tmp_path, capsys):
    toy_runs.assert_refuses_other_data(semisupervised_error, trained, tmp_path / "copy", capsys)


@pytest.mark.slow
def test_mistakes_are_counted_against_the_labels(trained):
    model = jaxgan.load(trained)
    held_out = jaxgan.data.load("fashion").held_out.take(30)
    found = np.asarray(semisupervised.classify(model.state, held_out.float_images()))
    right = jaxgan.data.Dataset("right", held_out.images, found, held_out.classes)
    assert semisupervised_error.mistakes(model.state, right, batch=7) == 0
    wrong = np.where(np.arange(30) < 4, (found + 1) % 10, found)
    wrong = jaxgan.data.Dataset("wrong", held_out.images, wrong, held_out.classes)
    assert semisupervised_error.mistakes(model.state, wrong, batch=7) == 4


def test_the_score_refuses_a_run_of_another_experiment(finished):
    with pytest.raises(RunError, match="is not a run of the experiment semisupervised"):
        semisupervised_error.report(semisupervised_error.Config(finished))
