"""What a discriminator is shown: transformations by hand, and their strength by its recursion."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import re
from functools import partial

import jax
import jax.numpy as jnp
import laws
import numpy as np
import optax
import pytest

import jaxgan
from experiments import dcgan
from experiments import vanilla as vanilla_experiment
from jaxgan import data, losses, parallel, random, steps
from jaxgan.games import augmentation, input_transforms, objectives
from jaxgan.games.augmentation import pipeline
from jaxgan.models import text_to_image, vanilla
from jaxgan.runs import checkpoint, command_line, experiments, run_directory, saved_state
from jaxgan.runs.config import DataSpec
from jaxgan.state import Mean
from tests import toy_players, toy_runs
from tests.building import built

MODELS = dict.fromkeys(("lsgan", "sngan", "wgan", "wgan_gp"), "dcgan")
"""The models of the experiments of another name."""

AUGMENTED = (
    *("bigan", "conditional", "cyclegan", "dcgan", "discogan", "fastgan", "infogan", "lsgan"),
    *("pix2pix", "progressive", "projected", "semisupervised", "sngan", "srgan", "text_to_image"),
    *("vanilla", "wgan", "wgan_gp"),
)

LATENTS = partial(random.latents, size=3, prior="uniform")


def keys_of(count, seed=0):
    return random.row_keys(jax.random.key(seed), count)


def pictures(count=200, shape=(8, 6, 3), seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (count, *shape)), jnp.float32)


# --- views ----------------------------------------------------------------------------------------


def test_an_objective_looks_through_its_view_alone():
    """Twice the images is what a player of twice the weight sees; nothing else changes."""
    state = toy_players.state_of(
        {"generator": toy_players.scale(0.5), "discriminator": toy_players.scale(3.0)}
    )
    twice = state.with_params({"discriminator": {"weight": jnp.asarray(6.0)}})
    batch, keys = {"image": jnp.arange(4.0)[:, None]}, toy_players.keys_of(4)
    draw = objectives.fakes(partial(random.latents, size=1))
    loss = losses.wasserstein()
    for make in (objectives.discriminator_objective, objectives.generator_objective):
        objective = make(loss, draw)
        seen, _ = input_transforms.through(objective, lambda state, images, keys: 2 * images)(
            state, batch, keys
        )
        assert float(seen) == pytest.approx(float(objective(twice, batch, keys)[0]), rel=1e-6)


def test_both_objectives_of_a_game_look_through_one_view():
    state = toy_players.state_of(
        {"generator": toy_players.scale(0.5), "discriminator": toy_players.scale(3.0)}
    )
    given = state, {"image": jnp.arange(4.0)[:, None]}, toy_players.keys_of(4)
    draw, loss = objectives.fakes(partial(random.latents, size=1)), losses.wasserstein()
    makers = objectives.discriminator_objective, objectives.generator_objective
    made = [make(loss, draw) for make in makers]

    def view(state, images, keys):
        return images + random.uniform(keys, (1,))

    for plain, refined in zip(made, input_transforms.for_both(view)(*made), strict=True):
        assert refined(*given)[0] == input_transforms.through(plain, view)(*given)[0]
        assert refined(*given)[0] != plain(*given)[0]


def test_the_images_of_a_pair_change_alike_if_that_is_asked_for():
    def judged(state, batch, keys):
        image, other = state["discriminator"](batch["b"], batch["a"], keys=keys)
        return image, other

    def view(state, images, keys):
        return images + random.uniform(keys, (1, 1, 1))

    network = toy_players.scale(1.0).replace(
        apply_fn=lambda variables, image, other, *, keys, mutable, **_: ((image, other), {})
    )
    state, keys = toy_players.state_of({"discriminator": network}), keys_of(5)
    batch = {"a": pictures(5, (4, 4, 1)), "b": pictures(5, (4, 4, 3), seed=1)}
    for alike in (False, True):
        image, other = input_transforms.through(judged, view, alike=alike)(state, batch, keys)
        moved, too = (x - batch[name] for x, name in ((image, "b"), (other, "a")))
        assert (abs(moved) > 0).all()
        expected = moved[:, :1, :1, :1] if alike else 0
        np.testing.assert_allclose(too, jnp.broadcast_to(expected, too.shape), atol=1e-6)


def test_real_and_generated_images_are_transformed_independently():
    shown = []

    def view(state, images, keys):
        shown.append(random.uniform(keys, ()))
        return images

    state = toy_players.state_of(
        {"generator": toy_players.scale(0.5), "discriminator": toy_players.scale(3.0)}
    )
    draw = objectives.fakes(partial(random.latents, size=1))
    objective = objectives.discriminator_objective(losses.wasserstein(), draw)
    input_transforms.through(objective, view)(
        state, {"image": jnp.ones((4, 1))}, toy_players.keys_of(4)
    )
    real, fake = shown
    assert not np.intersect1d(real, fake).size


def test_instance_noise_has_the_deviation_of_the_step():
    view = input_transforms.instance_noise(optax.linear_schedule(0.5, 0.0, 10))
    state = toy_players.state_of({})
    for step, std in ((0, 0.5), (5, 0.25), (10, 0.0), (20, 0.0)):
        shown = view(state.replace(step=jnp.asarray(step)), jnp.ones((4000, 2)), keys_of(4000))
        assert np.mean(shown) == pytest.approx(1.0, abs=0.02)
        assert np.std(shown) == pytest.approx(std, rel=0.03, abs=1e-7)


def test_a_fading_blur_has_the_deviation_of_the_step_and_ends():
    view = input_transforms.fading_blur(optax.linear_schedule(2.0, 0.0, 10))
    state, point = toy_players.state_of({}), jnp.zeros((1, 31, 33, 2)).at[:, 15, 16].set(1.0)
    for step, deviation in ((0, 2.0), (5, 1.0)):
        shown = view(state.replace(step=jnp.asarray(step)), point, keys_of(1))[0, :, :, 1]
        apart = np.arange(31) - 15
        assert np.sum(shown) == pytest.approx(1.0, abs=1e-5)
        assert np.sum(apart**2 @ shown) == pytest.approx(deviation**2, rel=1e-3)
    images = pictures(2)
    for step in (10, 11):
        shown = view(state.replace(step=jnp.asarray(step)), images, keys_of(2))
        np.testing.assert_array_equal(shown, images)


def test_a_blur_keeps_even_images_up_to_their_edges_and_its_deviation_may_be_traced():
    even = jnp.full((2, 7, 5, 3), 0.25)
    shown = jax.jit(input_transforms.gaussian_blur)(even, 3.0)
    np.testing.assert_allclose(shown, even, atol=1e-6)


# --- transformations ------------------------------------------------------------------------------

EVERY = (
    augmentation.color,
    augmentation.cutout,
    augmentation.translation,
)
every_transformation = pytest.mark.parametrize("transform", EVERY, ids=lambda f: f.__name__)


@every_transformation
def test_a_transformation_keeps_shape_and_draws_by_each_examples_key(transform):
    images, keys = pictures(6), keys_of(6)
    whole = transform(images, keys)
    assert whole.shape == images.shape
    assert whole.dtype == images.dtype
    last = transform(images[4:], keys.replace(base=keys.base[4:]))
    np.testing.assert_allclose(last, whole[4:], atol=1e-6)
    assert np.abs(transform(images, keys_of(6, seed=1)) - whole).max() > 0.05


@every_transformation
def test_the_gradient_passes_through_a_transformation(transform):
    images = pictures(6)
    gradient = jax.grad(lambda x: jnp.sum(jnp.square(transform(x, keys_of(6)))))(images)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0.1


def test_colors_change_what_they_name_and_leave_the_rest():
    images, keys = pictures(), keys_of(200)
    shift = augmentation.brightness(images, keys) - images
    assert np.ptp(shift, axis=(1, 2, 3)).max() < 1e-5
    assert -0.5 <= shift.min() < -0.45
    assert 0.45 < shift.max() < 0.5
    colored = augmentation.saturation(images, keys)
    np.testing.assert_allclose(colored.mean(axis=3), images.mean(axis=3), atol=1e-5)
    factors = colored.std(axis=3) / images.std(axis=3)
    assert factors.min() < 0.05
    assert 1.95 < factors.max() < 2.001
    contrasted = augmentation.contrast(images, keys)
    np.testing.assert_allclose(
        contrasted.mean(axis=(1, 2, 3)), images.mean(axis=(1, 2, 3)), atol=1e-5
    )
    factors = contrasted.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert 0.5 <= factors.min() < 0.55
    assert 1.45 < factors.max() <= 1.5001


def test_colors_leave_transparency_as_it_is():
    images, keys = pictures(6, (8, 6, 4)), keys_of(6)
    colored = augmentation.color(images, keys)
    np.testing.assert_array_equal(colored[..., 3], images[..., 3])
    np.testing.assert_array_equal(colored[..., :3], augmentation.color(images[..., :3], keys))


def test_translations_are_whole_pixels_of_every_size_and_bring_in_zeros():
    images = pictures(300, (16, 8, 1))
    found, seen = np.asarray(augmentation.translation(images, keys_of(300))), set()
    for before, after in zip(np.asarray(images), found, strict=True):
        padded = np.pad(before, ((2, 2), (1, 1), (0, 0)))
        moves = [(y, x) for y in range(5) for x in range(3)]
        (move,) = [(y, x) for y, x in moves if np.array_equal(padded[y : y + 16, x : x + 8], after)]
        seen.add(move)
    assert len(seen) == 15


@pytest.mark.parametrize(
    "transform", [augmentation.translation, partial(pipeline.pipeline(), probability=0.5)]
)
def test_moved_pixels_keep_every_digit_on_every_device(transform):
    """A GPU rounds products to TF32 by default: a moved pixel, and its gradient, must not be."""

    def total(images):
        return jnp.sum(jnp.square(transform(images, keys_of(4))))

    program = jax.jit(jax.value_and_grad(total)).lower(pictures(4)).as_text()
    products = re.findall(r".*stablehlo\.dot_general\b.*", program)
    assert len(products) >= 4
    assert all(line.count("HIGHEST") == 2 for line in products)


def test_a_cutout_is_a_rectangle_of_zeros_of_half_the_sides_that_may_lie_partly_outside():
    holes = np.asarray(augmentation.cutout(jnp.ones((400, 8, 12, 1)), keys_of(400)))[..., 0] == 0
    lines, columns = holes.any(axis=2), holes.any(axis=1)
    np.testing.assert_array_equal(holes, lines[:, :, None] & columns[:, None, :])
    assert set(lines.sum(axis=1)) == {2, 3, 4}
    assert set(columns.sum(axis=1)) == {3, 4, 5, 6}


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="the policy is 'hue'; expected color, translation, cut"):
        augmentation.diff_augment(["color", "hue"])


# --- adaptive strength ----------------------------------------------------------------------------


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_the_probability_is_the_share_of_images_that_are_transformed(probability):
    images = pictures(2000, (2, 2, 1))
    some = augmentation.sometimes(augmentation.brightness, jnp.asarray(probability))
    changed = np.any(some(images, keys_of(2000)) != images, axis=(1, 2, 3))
    assert changed.mean() == pytest.approx(probability, abs=0.04)


def strengths(signs, *, period, images, rows=10, start=0.0):
    """The probability after each step of an inner step that reports these means of the sign."""

    def inner(state, batch, keys):
        mean = jnp.asarray(signs)[state.step]
        return state, {"discriminator/real_sign": Mean(mean * rows, jnp.asarray(float(rows)))}

    step = augmentation.adapt(inner, period=period, images=images)
    state = toy_players.state_of({}, extra=augmentation.initial(start))
    found = []
    for _ in signs:
        state, metrics = step(state, {}, toy_players.keys_of(rows))
        state = state.replace(step=state.step + 1)
        found.append(float(state.extra["augmentation"]["probability"]))
    return found, metrics


def test_the_strength_moves_by_the_mean_sign_of_a_period_at_the_given_speed():
    # Means of two: 0.65, above the target of 0.6; then 0.5; then 0.6, at it; then 1.
    signs = [0.9, 0.4, 0.2, 0.8, 0.6, 0.6, 1.0, 1.0]
    found, metrics = strengths(signs, period=2, images=100)
    np.testing.assert_allclose(found, [0, 0.2, 0.2, 0, 0, 0, 0, 0.2], atol=1e-6)
    assert float(metrics["augmentation/probability"].value) == 0.0


def test_the_signs_of_several_discriminators_count_alike():
    def step(state, batch, keys):
        return state, {"a": Mean(jnp.float32(6), jnp.float32(10)), "b": Mean.of(jnp.ones(30))}

    entry = augmentation.initial()["augmentation"] | {"images": 0.0}
    for target, moved in ((0.89, 0.1), (0.91, 0.0)):  # the mean sign is 36 / 40
        adapted = augmentation.adapt(step, signal=("a", "b"), target=target, images=100, period=1)
        state = toy_players.state_of({}, extra={"augmentation": entry})
        state, _ = adapted(state, {}, toy_players.keys_of(10))
        assert float(state.extra["augmentation"]["probability"]) == pytest.approx(moved)


def test_the_strength_stays_a_probability():
    up, _ = strengths([1.0] * 6, period=1, images=40)
    np.testing.assert_allclose(up, [0.25, 0.5, 0.75, 1, 1, 1])
    down, _ = strengths([-1.0] * 3, period=1, images=40, start=0.4)
    np.testing.assert_allclose(down, [0.15, 0, 0], atol=1e-6)


def test_a_step_without_the_signal_is_refused():
    state = toy_players.state_of({}, extra=augmentation.initial())
    step = augmentation.adapt(lambda state, batch, keys: (state, {}))
    with pytest.raises(ValueError, match="reports no 'discriminator/real_sign'"):
        step(state, {}, toy_players.keys_of(2))


@pytest.mark.parametrize("options", [{"target": 1.5}, {"images": 0}, {"period": 0}])
def test_numbers_that_adapt_nothing_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        augmentation.adapt(lambda state, batch, keys: (state, {}), **options)


def test_a_scheduled_probability_rises_with_the_images_and_stays():
    def probabilities(count, start, **options):
        step = augmentation.ramp(lambda state, batch, keys: (state, {}), **options)
        state, found = toy_players.state_of({}, extra=augmentation.initial(start)), []
        for _ in range(count):
            state, metrics = step(state, {}, toy_players.keys_of(10))
            found.append(float(metrics["augmentation/probability"].value))
        return found

    rising = probabilities(6, 0.0, probability=0.6, images=40)
    np.testing.assert_allclose(rising, [0, 0.15, 0.3, 0.45, 0.6, 0.6], atol=1e-6)
    constant = probabilities(3, 0.6, probability=0.6, images=0)
    np.testing.assert_allclose(constant, [0.6] * 3, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"probability": 1.5, "images": 1}, {"probability": 0.5, "images": -1}]
)
def test_a_schedule_that_is_none_is_refused(options):
    with pytest.raises(ValueError, match="expected"):
        augmentation.ramp(lambda state, batch, keys: (state, {}), **options)


def adaptive_game(*, axis_name=None, target=-1.0, n_critic=1):
    """Small perceptrons on pictures, under adaptive augmentation."""
    return built(
        vanilla.build,
        shape=(4, 4, 1),
        latent_size=3,
        generator=vanilla.Generator((4, 4, 1), (8,)),
        discriminator=vanilla.Discriminator((8,), dropout=0.0),
        loss=losses.non_saturating(),
        optimizers=laws.descent(),
        refine=input_transforms.for_both(augmentation.adaptive(["brightness"])),
        extra=augmentation.initial(),
        schedule=augmentation.adapting(
            partial(steps.alternate, n_critic=n_critic),
            period=2,
            images=100,
            target=target,
            axis_name=axis_name,
        ),
        axis_name=axis_name,
    )


def played(gan, count, *, mode="jit", devices=1, rows=8):
    """What a new game carries and reports of the strength after each of `count` steps."""
    mesh = parallel.data_mesh(jax.devices()[:devices])
    step = parallel.compile_step(gan.step, mode=mode, mesh=mesh)
    state, found = parallel.place_state(gan.init(jax.random.key(0)), mesh), []
    for index in range(count):
        batch = {"image": pictures(rows, (4, 4, 1), seed=index)}
        state, metrics = step(state, parallel.shard(batch, mesh))
        carried = {name: float(value) for name, value in state.extra["augmentation"].items()}
        found.append({**carried, "reported": float(metrics["augmentation/probability"].value)})
    return found


@functools.cache
def played_alone():
    return played(adaptive_game(target=0.0), 5)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["shard_map", "pmap"])
def test_the_strength_follows_the_images_of_all_devices(mode):
    assert played_alone()[-1]["count"] == played_alone()[-1]["images"] == 8
    assert any(one["probability"] > 0 for one in played_alone())
    gan = adaptive_game(target=0.0, axis_name=parallel.axis_for(mode))
    together = played(gan, 5, mode=mode, devices=4)
    for one, other in zip(played_alone(), together, strict=True):
        assert other == pytest.approx(one, abs=1e-6)


@pytest.mark.slow
def test_a_round_of_several_discriminator_steps_moves_the_strength_once():
    _, second, third = played(adaptive_game(n_critic=3), 3, rows=24)
    assert second["probability"] == third["probability"] == pytest.approx(0.48)
    assert (second["count"], third["count"]) == (0, 24)


def test_the_strength_is_saved_and_resumed_exactly(tmp_path):
    gan = adaptive_game()
    step = jax.jit(gan.step)

    def run(state, count):
        for _ in range(count):
            batch = {"image": pictures(8, (4, 4, 1), seed=int(state.step))}
            state, _ = step(state, batch)
        return state

    half = run(gan.init(jax.random.key(0)), 3)
    assert 0 < float(half.extra["augmentation"]["probability"]) < 1
    assert float(half.extra["augmentation"]["count"]) > 0
    with contextlib.closing(checkpoint.Checkpoints(tmp_path / "saved", keep=1)) as checkpoints:
        checkpoints.save(3, half, {})
        checkpoints.wait()
    saved = checkpoint.latest(tmp_path / "saved", report=pytest.fail)
    restored = saved_state.to_tree(gan.init(jax.random.key(5)), saved)
    whole, again = (run(state, 3) for state in (half, restored))
    for left, right in zip(
        jax.tree.leaves((whole.players, whole.extra)),
        jax.tree.leaves((again.players, again.extra)),
        strict=True,
    ):
        np.testing.assert_array_equal(left, right)


# --- the flags ------------------------------------------------------------------------------------


def few_images(folder, **options):
    """A configuration of the smallest run on 24 of 60 images."""
    draws = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1)).astype(np.uint8)
    np.savez(folder / "images.npz", images=draws)
    settings = {**dcgan.PRESETS["smoke"], "augment": "ada", "ada_images": 64.0}
    settings |= {"data": f"npz:{folder / 'images.npz'}", "limit_images": 24, "cache": False}
    return dcgan.Config(**{**settings, **options})


@pytest.mark.slow
def test_a_run_with_few_images_records_which_and_the_strength(tmp_path):
    config = few_images(tmp_path, workdir=str(tmp_path / "run"), ada_target=-1.0)
    path = command_line.train(dcgan, config)
    assert [row["augmentation/probability"] for row in toy_runs.rows(path)] == [0.0, 0.0]
    model = jaxgan.load(path)
    # Four steps of 8 images, half of the 64 in which it goes from 0 to 1.
    assert float(model.state.extra["augmentation"]["probability"]) == 0.5
    assert model.config.limit_images == 24
    few = data.load(config.data, limit=24).train
    assert len(few) == 24
    record = run_directory.read_record(path)
    assert record["data"]["digest"] == few.digest != data.load(config.data).train.digest


@pytest.mark.slow
def test_an_adaptive_run_in_pieces_equals_the_whole(tmp_path):
    config = few_images(tmp_path, workdir=str(tmp_path / "whole"), steps=9)
    whole = command_line.train(dcgan, config)
    for count in (3, 9):
        pieces = dataclasses.replace(config, workdir=str(tmp_path / "pieces"), steps=count)
        command_line.train(dcgan, pieces)
    toy_runs.assert_same(whole, tmp_path / "pieces")


def test_the_flags_choose_what_both_players_see():
    spec = DataSpec((16, 16, 1))
    entry = {"augmentation"}
    for name, extra in (("none", set()), ("diff", set()), ("ada", entry), ("scheduled", entry)):
        gan = dcgan.build(dcgan.Config(augment=name, width=2), spec)
        state = jax.eval_shape(gan.init, jax.random.key(0))
        assert set(state.extra) == extra
        reported = jax.eval_shape(gan.step, state, {"image": jnp.zeros((8, 16, 16, 1))})[1]
        assert ("augmentation/probability" in reported) == bool(extra)


class Built(Exception):
    """The training options that a model was built with."""


@pytest.mark.parametrize("name", AUGMENTED)
def test_every_experiment_trains_as_its_flags_say(name, monkeypatch):
    experiment = importlib.import_module(f"experiments.{name}")
    model = importlib.import_module(f"jaxgan.models.{MODELS.get(name, name)}")

    def build(*networks, training, **options):
        raise Built(training, options)

    monkeypatch.setattr(model, "build", build)
    inputs = {"text": (4,)} if name == "text_to_image" else {}
    inputs = {"a": (32, 32, 1)} if name in ("cyclegan", "discogan", "pix2pix") else inputs
    spec = DataSpec((32, 32, 1), ("a", "b", "c"), inputs)

    def training_of(**flags):
        alternating = {"order": "alternate"} if hasattr(experiment.Config, "order") else {}
        config = experiment.Config(**{**experiment.PRESETS["smoke"], **alternating, **flags})
        with pytest.raises(Built) as found:
            experiment.build(config, spec)
        return *found.value.args, config.rows_per_step

    plain, *_ = training_of(augment="none")
    changed, options, _ = training_of(augment="diff")
    assert changed.refine is not plain.refine
    assert not options.get("policy")  # the model has no augmentation of its own
    assert "augmentation" not in (changed.extra or {})
    changed, _, rows = training_of(augment="scheduled", augment_probability=0.2, augment_images=0.0)
    assert changed.refine is not plain.refine
    assert changed.extra["augmentation"]["probability"] == 0.2
    step = changed.schedule(reporting, reporting)
    players = ("discriminator_a", "discriminator_b", "generator_ab", "generator_ba")
    state = toy_players.state_of(
        {player: toy_players.scale(1.0) for player in players}, extra=changed.extra
    )
    _, metrics = step(state, {"image": jnp.zeros((rows, 1))}, toy_players.keys_of(rows))
    assert float(metrics["augmentation/probability"].value) == pytest.approx(0.2)


def reporting(state, batch, keys):
    return state, {}


def test_every_experiment_with_a_discriminator_of_images_is_among_these():
    others = {"cures", "pacgan", "demo"}  # points, or no training
    others |= {"original", "stacked"}  # the protocols of their papers
    others |= {"r3gan"}  # its own probability, on the schedule of the paper
    assert set(experiments.shipped()) - others == set(AUGMENTED)


def test_the_views_of_text_to_image_are_those_of_real_and_generated_images():
    seen = []

    def view(state, images, keys):
        assert len(images) == len(keys)
        seen.append(len(images))
        return images

    case = laws.BY_NAME["text-to-image"]
    gan = case.build(refine=input_transforms.for_both(view))
    state = jax.eval_shape(gan.init, jax.random.key(0))
    jax.eval_shape(gan.step, state, laws.batch_of(case))
    assert sorted(set(seen)) == [16, 24]  # the generator's also between captions
    keys = text_to_image.keys_asked(keys_of(4), 0.5)
    assert len(np.unique(np.asarray(random.uniform(keys, ())))) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augment": "ada", "loss": "wasserstein"}, "use --augment diff or scheduled"),
        ({"augment": "ada", "loss": "relativistic_paired"}, "use --augment diff or scheduled"),
        ({"augment": "ada", "ada_target": 2.0}, "the target of the mean sign is 2.0"),
        ({"augment": "diff", "augment_policy": ("hue",)}, "the policy is 'hue'"),
        ({"augment": "ada", "augment_policy": ("blur",)}, "the augmentation is 'blur'"),
        ({"augment_policy": ("hue",)}, "give --augment diff, ada or scheduled"),
    ],
)
def test_augmentation_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        dcgan.build(dcgan.Config(**options), DataSpec((16, 16, 1)))


def test_points_are_not_augmented():
    with pytest.raises(ValueError, match="--augment diff changes images, and the data are points"):
        vanilla_experiment.build(vanilla_experiment.Config(augment="diff"), DataSpec((2,)))


def test_a_scheduled_probability_follows_the_step_times_the_multiplier():
    view = augmentation.by_step(lambda step: step / 4, {"brightness": 0.5})
    images, keys = jnp.zeros((2000, 1, 1, 1)), random.row_keys(jax.random.key(0), 2000)
    state = toy_players.state_of({})
    for step, share in ((0, 0.0), (2, 0.25), (4, 0.5)):
        seen = np.asarray(view(state.replace(step=jnp.asarray(step)), images, keys)).ravel()
        assert np.mean(seen != 0) == pytest.approx(share, abs=0.04)
