"""What the tables of images compute by themselves, by values; their pieces at their smallest."""

from __future__ import annotations

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import original, stacked
from experiments.networks import original as original_networks
from experiments.networks import stacked as stacked_networks
from experiments.tables import (
    digits,
    encoders,
    few_labels,
    fine_tuning,
    frame,
    losses,
    margins,
    parzen,
    photographs,
    precision,
    runs,
    stacked_mnist,
)
from jaxgan import data, optimizers, random, steps
from jaxgan import losses as adversarial
from jaxgan.games import objectives
from jaxgan.models import dcgan, vanilla
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from tests.building import built

TABLES = {
    module.__name__.rpartition(".")[2]: module.TABLE
    for module in (
        stacked_mnist,
        parzen,
        few_labels,
        encoders,
        losses,
        fine_tuning,
        precision,
        photographs,
    )
}

IN_TIME = {"training-images", "k-means", "noise", "real", "real-images", "coat-photographs"}


def quick_pieces():
    for name, table in TABLES.items():
        for piece, (part, _) in table.pieces("quick").items():
            marks = [] if piece in IN_TIME else [pytest.mark.slow]
            yield pytest.param(
                part, table.pieces("quick")[piece][1], id=f"{name}/{piece}", marks=marks
            )


@pytest.mark.parametrize("name", TABLES)
def test_a_declaration_does_not_contradict_itself(name):
    frame.check(name, TABLES[name])


@pytest.mark.parametrize(("part", "piece"), list(quick_pieces()))
def test_every_piece_measures_its_columns_from_what_the_package_holds(part, piece, tmp_path):
    assert "tfds" not in json.dumps(dict(piece.settings))
    folder = tmp_path / "piece"
    folder.mkdir()
    numbers = piece.measure(piece.settings, folder).numbers
    assert set(numbers) == {column.measure for column in part.columns}
    assert len({len(values) for values in numbers.values()}) == 1


# --- data and runs --------------------------------------------------------------------------------


def test_without_mnist_a_piece_says_so_in_a_sentence(monkeypatch):
    def absent(name, *, data_dir):
        raise data.DataError(f"{name}: it is not in {data_dir}")

    digits._load.cache_clear()
    monkeypatch.setattr(data, "load", absent)
    monkeypatch.setenv(digits.FOLDER, "nowhere")
    with pytest.raises(RunError, match=r"whose folder MNIST_DIR may name: .* not in nowhere"):
        digits.load({"data": digits.MNIST})
    assert digits.flags({"data": "fashion"}) == {"data": "fashion", "data_dir": None}


@pytest.mark.slow
def test_a_run_begins_with_the_untrained_model_and_finished_it_is_read_and_not_run_again(tmp_path):
    flags = {**original.PRESETS["smoke"], "data": "fashion", "hidden": [4, 8]}
    still = {**flags, "steps": 2, "learning_rate": 0.0, "seeds": 2}
    models = runs.trained("original", still, tmp_path)
    log = (tmp_path / "run" / "log.txt").read_text()
    again = runs.trained("original", still, tmp_path)
    assert (tmp_path / "run" / "log.txt").read_text() == log
    assert [model.config.seed for model in again] == [0, 1]
    assert [model.step for model in models] == [2, 2]
    for seed in (0, 1):
        # A rate never falls below 1e-6.
        fresh = runs.untrained("original", flags, seed).state
        for state in (models[seed].state, again[seed].state):
            for name in ("generator", "discriminator"):
                gaps = jax.tree.map(jnp.subtract, fresh[name].params, state[name].params)
                assert max(float(jnp.abs(gap).max()) for gap in jax.tree.leaves(gaps)) < 1e-6


# --- stacked digits -------------------------------------------------------------------------------


def test_three_images_of_the_batch_become_the_channels_of_one():
    images = jnp.arange(12.0).reshape(6, 1, 2, 1)
    seen = {}

    def inner(state, batch, keys):
        seen.update(batch, keys=keys)
        return state, {}

    keys = random.row_keys(jax.random.key(0), 6)
    stacked.on_stacks(inner)(None, {"image": images, "label": jnp.zeros(6)}, keys)
    assert seen["image"].tolist() == [[[[0, 2, 4], [1, 3, 5]]], [[[6, 8, 10], [7, 9, 11]]]]
    assert len(seen["keys"]) == 2 and "label" not in seen


def test_the_small_networks_have_the_maps_of_the_paper():
    generator, discriminator = stacked_networks.Generator(), stacked_networks.Discriminator()

    def kernels(module, *inputs):
        shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=True))
        return {layer["kernel"].shape for layer in shapes["params"].values() if "kernel" in layer}

    assert kernels(generator, jnp.zeros((1, 256))) == {
        (256, 1024), (3, 3, 64, 32), (3, 3, 32, 16), (3, 3, 16, 8), (3, 3, 8, 3)
    }  # fmt: skip
    assert kernels(discriminator, jnp.zeros((1, 28, 28, 3))) == {
        (3, 3, 3, 4), (3, 3, 4, 8), (3, 3, 8, 16), (256, 1)
    }  # fmt: skip
    assert jax.eval_shape(
        lambda: generator.init_with_output(jax.random.key(0), jnp.zeros((2, 256)))[0]
    ).shape == (2, 28, 28, 3)


def test_what_cannot_be_stacked_is_refused():
    with pytest.raises(ValueError, match=r"shape \(28, 28, 3\); expected \(28, 28, 1\)"):
        stacked.build(stacked.Config(), DataSpec((28, 28, 3)))


def test_one_draw_of_fakes_gives_the_gradient_of_the_unrolled_objective():
    loss, latents = adversarial.non_saturating(), functools.partial(random.latents, size=2)
    gan = built(
        vanilla.build,
        shape=(2,),
        generator=vanilla.Generator((2,), (3,)),
        discriminator=vanilla.Discriminator((3,), dropout=0.0),
        loss=loss,
        optimizers={name: stacked.adam(0.1) for name in ("generator", "discriminator")},
        latent_size=2,
    )
    state = gan.init(jax.random.key(0))
    batch = {"image": jax.random.normal(jax.random.key(1), (5, 2))}
    keys = random.row_keys(jax.random.key(2), 5)
    draw = objectives.fakes(latents)
    judge = objectives.discriminator_objective(loss, draw)
    plain = steps.unrolled(
        objectives.generator_objective(loss, draw), {"discriminator": judge}, count=2
    )

    @jax.jit
    def slopes(params):
        def value(params, objective):
            return objective(state.with_params({"generator": params}), batch, keys)[0]

        once = stacked.foreseeing(loss, latents, count=2)
        return [jax.value_and_grad(value)(params, one) for one in (plain, once)]

    expected, found = slopes(state["generator"].params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), expected, found
    )


def test_a_mode_is_the_number_of_its_three_digits(monkeypatch):
    monkeypatch.setattr(
        stacked_mnist, "classify", lambda settings, variables, images: images[:, 0, 0, 0]
    )
    chosen = np.array([[0, 0, 0], [1, 2, 3], [9, 9, 9]])
    images = np.broadcast_to(chosen[:, None, None, :], (3, 28, 28, 3))
    assert stacked_mnist.modes_of({}, {}, images).tolist() == [0, 123, 999]
    every = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)), axis=1)
    all_modes = np.broadcast_to(every[:, None, None, :], (1000, 28, 28, 3))
    numbers = stacked_mnist._counted({"classifier": {}}, {}, [all_modes, images]).numbers
    assert numbers["modes"] == [1000, 3]
    np.testing.assert_allclose(numbers["divergence"], [0, np.log(1000 / 3)], atol=1e-12)


# --- the GANs of 2014, and windows ----------------------------------------------------------------


@pytest.mark.parametrize("labels", [False, True])
def test_the_generator_of_2014_begins_with_each_pixels_mean(labels):
    config = original.Config(hidden=(4, 8), labels=labels)
    gan = original.build(config, DataSpec((4, 4, 1), ("a", "b")))
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 1), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = 0, 255
    state = original.begin(gan.init(jax.random.key(0)), data.Dataset("noise", images))
    bias = state["generator"].params[original_networks.LAST]["bias"]
    means = np.float64(images).mean(axis=0).ravel() / 255
    np.testing.assert_allclose(jax.nn.sigmoid(bias), means, atol=2e-7)
    assert np.isfinite(bias).all()
    drawn = gan.sample(state, random.row_keys(jax.random.key(1), 500))
    np.testing.assert_allclose((drawn.mean(axis=0).ravel() + 1) / 2, means, atol=0.01)


def test_the_latents_of_2014_are_uniform_and_have_unit_variance():
    latents = original_networks.latents(random.row_keys(jax.random.key(0), 400))
    assert latents.shape == (400, 100)
    assert np.abs(latents).max() < np.sqrt(3)
    np.testing.assert_allclose(np.var(latents), 1.0, atol=0.02)
    np.testing.assert_allclose(np.quantile(latents, 0.75), np.sqrt(3) / 2, atol=0.03)


def test_the_judge_of_2014_sees_ink():
    gan = original.build(original.Config(hidden=(4, 8)), DataSpec((4, 4, 1), ("a", "b")))
    state = gan.init(jax.random.key(0))
    layer = state["discriminator"].params["network"]["Maxout_0"]["Dense_0"]
    assert layer["kernel"].shape == (16, 1200)
    blank = state["discriminator"](-jnp.ones((1, 4, 4, 1)))
    np.testing.assert_array_equal(blank, 0.0)  # nothing but biases, which begin at zero


def test_only_data_with_classes_have_labels_to_see():
    with pytest.raises(ValueError, match="no labels of two or more classes; leave --labels out"):
        original.build(original.Config(labels=True), DataSpec((4, 4, 1)))


def test_the_images_that_choose_the_width_are_those_that_no_model_saw():
    settings = {"data": "fashion", "seen": 8000}
    seen, others = parzen._split(settings)
    assert (len(seen), len(others)) == (8000, 2000)
    names = [{image.tobytes() for image in part.images} for part in (seen, others)]
    assert not names[0] & names[1]


def test_centers_are_the_means_of_clusters_and_one_without_rows_stays():
    rows = np.array([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0], [10.0, 2.0]], np.float32)
    np.testing.assert_allclose(parzen.centers(rows, 2), [[0.0, 1.0], [10.0, 1.0]])
    twice = np.array([[0.0], [0.0], [4.0]], np.float32)
    np.testing.assert_allclose(parzen.centers(twice, 3), [[0.0], [0.0], [4.0]])


# --- ranks and machines ---------------------------------------------------------------------------


def test_the_share_of_pairs_ranked_right_counts_ties_by_half():
    assert losses.ranked_right(np.array([1.0, 2.0]), np.array([0.0, 0.5])) == 1.0
    assert losses.ranked_right(np.array([0.0]), np.array([1.0, 0.0])) == 0.25
    assert losses.ranked_right(np.zeros(3), np.zeros(5)) == 0.5


def test_a_machine_on_two_points_has_the_weights_of_its_closed_form():
    cost = 0.25
    weights = margins.machines(np.array([[1.0], [-1.0]]), np.array([0, 1]), cost=cost)
    slope = 4 * cost / (1 + 4 * cost)  # the minimum of w^2 / 2 + 2 cost (1 - w)^2
    np.testing.assert_allclose(weights, [[slope, -slope], [0, 0]], atol=1e-5)


def test_machines_tell_blobs_apart_whatever_the_units_of_the_features():
    draws = np.random.default_rng(0)
    labels = np.arange(90) % 3
    rows = np.eye(3)[labels] * 6 + draws.normal(size=(90, 3))
    rows = np.hstack([rows, np.ones((90, 1))]) * [1.0, 1e3, 1e-3, 1.0]
    found = margins.classify(rows[:60], labels[:60], rows[60:], [1e-3, 1.0])
    assert np.mean(found == labels[60:]) > 0.9


@pytest.mark.parametrize("size", [4, 50])
def test_machines_of_coordinates_are_those_of_the_rows(size):
    draws = np.random.default_rng(0)
    rows, labels = draws.normal(size=(20, size)), np.arange(20) % 3
    rows[1] = rows[0]  # a span smaller than there are rows
    coordinates, basis = margins.in_their_span(rows)
    assert coordinates.shape == (20, min(20, size))
    np.testing.assert_allclose(coordinates @ basis.T, rows, atol=1e-12)
    direct = margins.machines(rows, labels, cost=0.1)
    few = margins.machines(coordinates, labels, cost=0.1)
    np.testing.assert_allclose(basis @ few[:-1], direct[:-1], atol=1e-4)
    np.testing.assert_allclose(few[-1], direct[-1], atol=1e-4)


def test_features_are_the_largest_values_of_every_layer():
    gan = built(
        dcgan.build,
        shape=(28, 28, 1),
        width=2,
        loss=adversarial.non_saturating(),
        optimizers={name: optimizers.adam() for name in ("generator", "discriminator")},
    )
    state = jax.jit(gan.init)(jax.random.key(0))
    images = jax.random.normal(jax.random.key(1), (3, 28, 28, 1))
    found = margins.pooled_layers(state, images)
    assert found.shape == (3, 4 * 4 * (2 + 4))
    layer = state["discriminator"].params["Conv_0"]
    maps = jax.lax.conv_general_dilated(
        images, layer["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    maps = jax.nn.leaky_relu(maps + layer["bias"][None, None, None], 0.2)
    corner = jnp.max(maps[:, 3:7, 3:7], axis=(1, 2))  # 14 pixels are padded by one, in windows of 4
    np.testing.assert_allclose(
        found[:, : 4 * 4 * 2].reshape(3, 4, 4, 2)[:, 1, 1], corner, rtol=1e-5
    )
