"""Text to image: the reader of captions, how it learns, the game's objectives, and its use."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

import jaxgan
from experiments import text_to_image as experiment
from experiments.evaluation import garment_captions
from jaxgan import data, losses, random
from jaxgan.data import captions
from jaxgan.games import builder, image_text_embedding
from jaxgan.games.training import Training
from jaxgan.models import text_to_image
from jaxgan.nn import text_encoder
from jaxgan.plotting import caption_pages
from jaxgan.runs import command_line, metric_log
from jaxgan.runs.config import DataSpec
from jaxgan.runs.errors import RunError
from jaxgan.state import GANState
from jaxgan.tools import caption_to_image, translate
from jaxgan.types import GAN
from tests import toy_runs
from tests.building import built

SHAPE, WORDS = (16, 16, 1), ["a dark bag", "light", "this coat is wide and gray"]
LOSS = losses.non_saturating()
READER = text_encoder.CharacterEncoder(captions.CODES, 5, 3, 4)


def noise(*shape: int, seed: int = 0) -> jax.Array:
    draws = np.random.default_rng(seed)
    return jnp.asarray(draws.uniform(-1, 1, shape).astype(np.float32))


def build(**changes):
    options = {
        "shape": SHAPE,
        "text_size": 5,
        "latent_size": 3,
        "networks": text_to_image.Networks(width=2, discriminator_width=2, compressed=4),
        "optimizers": {name: optax.sgd(0.01) for name in ("generator", "discriminator")},
    }
    return built(text_to_image.build, **{**options, **changes})


def embedded(rows: int = 4) -> dict[str, jax.Array]:
    return {
        "image": noise(rows, *SHAPE),
        "text": noise(rows, 5, seed=1),
        "mismatched": noise(rows, 5, seed=2),
    }


def same(left, right) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(left), jax.tree.leaves(right)))


# --- the reader -----------------------------------------------------------------------------------


def test_what_fills_a_caption_up_does_not_change_its_embedding():
    network = text_encoder.CharacterEncoder(captions.CODES, 5, 4, 6)
    codes = jnp.asarray(captions.encode(WORDS))
    variables = jax.jit(network.init)(jax.random.key(0), codes)
    # Any bias: a zero one would hide what leaks from beyond the end.
    variables = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    read = jax.jit(network.apply)
    found = read(variables, codes)
    assert found.shape == (3, 5)
    longer = jnp.pad(codes, ((0, 0), (0, 7)))
    np.testing.assert_allclose(read(variables, longer), found, atol=1e-6)
    alone = jnp.asarray(captions.encode(WORDS[1:2]))
    np.testing.assert_allclose(read(variables, alone)[0], found[1], atol=1e-6)
    assert np.isfinite(read(variables, 0 * codes)).all()
    assert not np.allclose(found[0], found[1])


def test_the_recurrence_is_that_of_gated_units():
    x = noise(2, 7, 3)
    network = text_encoder.GatedRecurrence(4)
    params = jax.jit(network.init)(jax.random.key(0), x)["params"]
    inputs, kernels = params["Dense_0"], np.split(params["kernel"], 3, axis=1)
    cell = {}
    for place, gate in enumerate("rzn"):
        part = slice(4 * place, 4 * place + 4)
        bias = noise(12, seed=3)[part]
        cell[f"i{gate}"] = {"kernel": inputs["kernel"][:, part], "bias": bias}
        cell[f"h{gate}"] = {"kernel": kernels[place]}
    cell["hn"]["bias"] = jnp.zeros(4)
    params["Dense_0"]["bias"] = noise(12, seed=3)
    reference = jax.jit(linen.RNN(linen.GRUCell(4)).apply)({"params": {"cell": cell}}, x)
    found = jax.jit(network.apply)({"params": params}, x)
    np.testing.assert_allclose(found, reference, atol=1e-6)


# --- matching -------------------------------------------------------------------------------------


def test_the_structured_loss_is_the_hinge_of_every_wrong_pair_both_ways():
    scores, alike = noise(5, 5), np.eye(5, dtype=bool)
    alike[1, 3] = alike[3, 1] = True
    expected = np.zeros(5)
    for row in range(5):
        wrong = [column for column in range(5) if not alike[row, column]]
        for column in wrong:
            by_image = max(0, 0.3 + scores[row, column] - scores[row, row])
            by_text = max(0, 0.3 + scores[column, row] - scores[row, row])
            expected[row] += (by_image + by_text) / len(wrong)
    found = image_text_embedding.structured_loss(scores, jnp.asarray(alike), margin=0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    nothing_wrong = image_text_embedding.structured_loss(scores, jnp.ones((5, 5), bool))
    np.testing.assert_array_equal(nothing_wrong, 0)


def test_compatibility_is_the_scaled_cosine():
    images, texts = noise(3, 4), noise(2, 4, seed=1)
    lengths = np.linalg.norm(images, axis=1)[:, None] * np.linalg.norm(texts, axis=1)
    expected = 2 * np.asarray(images @ texts.T) / lengths
    np.testing.assert_allclose(
        image_text_embedding.compatibility(images, texts), expected, rtol=1e-4
    )
    assert np.isfinite(image_text_embedding.compatibility(0 * images, texts)).all()


@pytest.mark.slow
def test_readers_and_seers_learn_what_belongs_together():
    names = ["black", "white", "left is white", "right is white"]
    images = np.full((4, *SHAPE), -1, np.float32)
    images[1], images[2, :, :8], images[3, :, 8:] = 1, 1, 1
    gan = image_text_embedding.build(
        text_encoder.CharacterEncoder(captions.CODES, 8, 8, 8),
        image_text_embedding.ImageEncoder(8, 4),
        shape=SHAPE,
        training=Training(dict.fromkeys(image_text_embedding.PLAYERS, optax.adam(1e-2))),
    )
    step, state = jax.jit(gan.step), gan.init(jax.random.key(0))
    codes = captions.encode(names).astype(np.int32)
    batch = {"image": np.tile(images, (3, 1, 1, 1)), "caption": np.tile(codes, (3, 1))}
    losses_seen = []
    for _ in range(30):
        state, metrics = step(state, batch)
        losses_seen.append(float(metrics["matching/loss"].value))
    assert losses_seen[-1] < 0.3 * losses_seen[0]
    assert float(metrics["matching/matched"].value) == 1
    with pytest.raises(ValueError, match="generates no images"):
        gan.sample(state, random.row_keys(jax.random.key(0), 1))


# --- networks -------------------------------------------------------------------------------------


class Played(NamedTuple):
    """A small game whose players move at once, its first state, and its functions, compiled."""

    gan: GAN
    state: GANState
    step: Callable[..., Any]
    sample: Callable[..., Any]


@functools.cache
def game(**changes: Any) -> Played:
    gan = build(schedule=builder.simultaneously, **changes)
    return Played(gan, gan.init(jax.random.key(0)), jax.jit(gan.step), jax.jit(gan.sample))


@jax.jit
def judged(state, images, *texts):
    return state["discriminator"](images, *texts, train=True)


@functools.partial(jax.jit, static_argnames="between")
def drawn(state, batch, between):
    """What the generator draws in the first step."""
    keys = random.example_keys(state.rng, 0, jnp.arange(4))
    latents = functools.partial(random.latents, size=3)
    return text_to_image.pass_of(latents, between=between)(state, batch, keys)[0]


def test_the_discriminator_judges_several_texts_of_an_image_as_one_by_one():
    state, batch = game().state, embedded()
    both = judged(state, batch["image"], batch["text"], batch["mismatched"])
    for found, text in zip(both, (batch["text"], batch["mismatched"]), strict=True):
        np.testing.assert_allclose(found, judged(state, batch["image"], text), atol=1e-6)
    assert not np.allclose(*both)


def test_the_scale_of_embeddings_says_nothing():
    _, state, _, sample = game()
    keys, text = random.row_keys(jax.random.key(0), 3), noise(3, 5)
    images = sample(state, keys, text=text)
    np.testing.assert_allclose(sample(state, keys, text=100 * text), images, atol=1e-4)
    assert not np.allclose(sample(state, keys, text=text[::-1]), images, atol=1e-4)


def test_64_pixels_are_made_and_judged_from_a_base_of_4():
    gan = build(shape=(64, 64, 3), networks=text_to_image.Networks(width=128))
    state = jax.eval_shape(gan.init, jax.random.key(0))
    judge = state["discriminator"].params
    assert judge["Conv_3"]["kernel"].shape == (4, 4, 256, 512)
    assert judge["Conv_4"]["kernel"].shape == (1, 1, 512, 512)
    assert state["generator"].params["network"]["Dense_0"]["kernel"].shape == (131, 16 * 1024)


# --- objectives -----------------------------------------------------------------------------------


def test_mismatched_and_generated_pairs_weigh_a_half_each_and_captions_as_what_is_between_them():
    _, state, step, _ = game()
    batch, soft = embedded(), jax.nn.softplus
    _, metrics = step(state, batch)
    found = {name: float(mean.value) for name, mean in metrics.items()}
    images = drawn(state, batch, 0.5)
    assert images.shape == (6, *SHAPE)
    assert not np.allclose(images[0], images[4], atol=1e-3)
    matched, wrong = judged(state, batch["image"], batch["text"], batch["mismatched"])
    fake = judged(state, images[:4], batch["text"])
    expected = soft(-matched) + (soft(fake) + soft(wrong)) / 2
    assert found["discriminator/loss"] == pytest.approx(float(expected.mean()), rel=1e-5)
    assert found["discriminator/mismatched_logit"] == pytest.approx(float(wrong.mean()), rel=1e-5)
    midway = (batch["text"][::2] + batch["mismatched"][::2]) / 2
    logits = judged(state, images, jnp.concatenate([batch["text"], midway]))
    assert found["generator/loss"] == pytest.approx(float(soft(-logits).mean()), rel=1e-5)
    assert found["generator/between_logit"] == pytest.approx(float(logits[4:].mean()), rel=1e-5)
    np.testing.assert_allclose(text_to_image.asked(batch, 1.0)[4:], batch["text"][::2])


@pytest.mark.slow
def test_without_interpolation_and_mismatches_it_is_the_conditional_game():
    _, state, step, _ = game(mismatched=0.0, between=None)
    batch = embedded()
    _, metrics = step(state, batch)
    images = drawn(state, batch, None)
    fake = judged(state, images, batch["text"])
    expected = LOSS.discriminator(judged(state, batch["image"], batch["text"]), fake)
    loss = float(metrics["discriminator/loss"].value)
    assert loss == pytest.approx(float(expected.mean()), rel=1e-4)
    loss = float(metrics["generator/loss"].value)
    assert loss == pytest.approx(float(LOSS.generator(fake).mean()), rel=1e-4)


@pytest.mark.slow
def test_captions_are_read_before_the_round_and_before_a_sample_is_drawn():
    gan, seen = build(encoder=READER), {}
    state, plain = jax.jit(gan.init)(jax.random.key(0)), game()
    codes = jnp.asarray(captions.encode([*WORDS, "a bag"]).astype(np.int32))
    text = jax.jit(state["encoder"].__call__)(codes)

    def record(state, batch, keys):
        seen.update(batch)
        return state, {}

    keys = random.row_keys(jax.random.key(0), 4)
    batch = {"image": noise(4, *SHAPE), "caption": codes, "mismatched": codes[::-1]}
    text_to_image.reading(record)(state, batch, keys)
    np.testing.assert_allclose(seen["text"], text, atol=1e-6)
    np.testing.assert_allclose(seen["mismatched"], text[::-1], atol=1e-6)
    players = {name: state[name] for name in ("generator", "discriminator")}
    leaves = jax.tree.leaves(state.replace(players=players))
    alone = jax.tree.unflatten(jax.tree.structure(plain.state), leaves)
    images = jax.jit(gan.sample)(state, keys, caption=codes)
    np.testing.assert_allclose(images, plain.sample(alone, keys, text=text), atol=1e-5)
    assert gan.conditions == ("caption",) and plain.gan.conditions == ("text",)


def test_variety_is_asked_of_two_images_of_one_caption():
    gan = build(variety=2.0, schedule=lambda d, g: g)
    _, metrics = jax.eval_shape(gan.step, jax.eval_shape(gan.init, jax.random.key(0)), embedded())
    assert "generator/sameness" in metrics


def test_what_cannot_be_built_or_drawn_is_refused():
    for changes, sentence in (
        ({"shape": (30, 30, 1)}, "cannot make images of 30x30"),
        ({"mismatched": 1.5}, "the fraction of mismatched pairs is 1.5; expected 0 to 1"),
        ({"between": -0.1}, "the fraction between captions is -0.1"),
        ({"loss": losses.relativistic_paired()}, "the loss is relativistic"),
        ({"prior": "cauchy"}, "the prior is 'cauchy'"),
    ):
        with pytest.raises(ValueError, match=sentence):
            build(**changes)
    _, state, _, _ = game()
    with pytest.raises(ValueError, match="takes no condition 'caption'; it takes text"):
        game().gan.sample(state, random.row_keys(jax.random.key(0), 1), caption=1)


# --- the experiment -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two steps of matching and two of the game, measured after each two."""
    path = tmp_path_factory.mktemp("runs") / "words"
    flags = ["--preset", "smoke", "--matching", "2", "--workdir", str(path), "--no-cache"]
    measured = ["--evaluate-every", "2", "--evaluate", "swd", "--evaluate-samples", "20"]
    assert command_line.command(experiment, [*flags, *measured]) == 0
    return path


@pytest.mark.slow
def test_a_run_learns_to_read_first_and_then_plays(finished):
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    rows = [row for row in lines if metric_log.MEASURED not in row]
    assert [row["step"] for row in rows] == [2, 4]
    assert "matching/loss" in rows[0] and "generator/loss" not in rows[0]
    assert "generator/loss" in rows[1] and "matching/loss" not in rows[1]
    first, last = (jaxgan.load(finished, checkpoint=step) for step in (2, 4))
    assert set(first.state.players) == {"encoder", "image_encoder"}
    assert set(last.state.players) == {"encoder", "generator", "discriminator"}
    assert same(first.state["encoder"].params, last.state["encoder"].params)
    fresh = experiment.reader(last.config).init(jax.random.key(0), jnp.zeros((1, 8)))
    assert not same(fresh["params"], last.state["encoder"].params)


@pytest.mark.slow
def test_what_draws_nothing_yet_is_not_measured_and_the_game_is(finished):
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in lines if metric_log.MEASURED in row] == [4]
    assert "step 2 could not be evaluated: " in (finished / "log.txt").read_text()


def test_a_run_whose_steps_all_go_into_the_matching_is_refused():
    spec = DataSpec((28, 28, 1), (), {"caption": (40,)})
    with pytest.raises(ValueError, match="--steps 8 leaves none for the GAN after the 8 of"):
        experiment.plan(experiment.Config(steps=8, matching=8), spec)


@pytest.mark.slow
def test_data_that_have_changed_are_refused(finished, tmp_path, capsys):
    toy_runs.assert_refuses_other_data(garment_captions, finished, tmp_path / "copy", capsys)


@pytest.mark.slow
def test_the_judge_reports_garments_beside_their_controls_and_draws_a_page(finished):
    config = garment_captions.Config(finished, samples=150, captions=4)
    lines = garment_captions.report(config).splitlines()
    assert lines[1].split()[-3:] == ["drawn", "real", "untrained"]
    rows = {line[:28].strip(): line[28:].split() for line in lines[2:6]}
    assert list(rows) == [
        "class as asked",
        "shade as asked",
        "shape as asked",
        "diversity within class",
    ]
    assert float(rows["class as asked"][1].rstrip("%")) > 85
    assert rows["shade as asked"][1] == rows["shape as asked"][1] == "100.0%"
    assert float(rows["diversity within class"][1]) == 1
    assert len(lines) == 2 + 4 + 1 + 10 + 1
    with Image.open(finished / "captions.png") as picture:
        assert min(picture.size) > 100


@pytest.mark.slow
def test_an_independent_matcher_ranks_the_captions_of_any_data(finished):
    trained = jaxgan.load(finished)
    splits = data.load("fashion-captions", kind="captions")
    config = garment_captions.Config(finished, matcher_steps=400, among=8, top=2)
    lines = garment_captions.of_matcher(trained, splits.train, splits.held_out, config)
    assert lines[0] == "10 held-out captions, each in the first 2 of 8 (by chance 25.0%)"
    found = {line[:28].strip(): float(line[28:].rstrip("%")) for line in lines[1:]}
    assert list(found) == ["drawn", "real images", "untrained", "drawn from another caption"]
    assert found["real images"] >= 50 > found["drawn from another caption"]


@pytest.mark.slow
def test_captions_become_pictures_of_their_names(finished, tmp_path, capsys):
    flags = ["--captions", "a dark slim dress", "A light bag!", "--each", "2"]
    assert translate.main([str(finished), *flags, "--out", str(tmp_path)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    dress, bag = "a-dark-slim-dress", "a-light-bag"
    assert names == sorted(f"{name}{end}.png" for name in (dress, bag) for end in ("", "-2"))
    with Image.open(tmp_path / f"{dress}.png") as first:
        assert first.size == (28, 28) and first.mode == "L"
        expected = jaxgan.load(finished).sample(
            0, 1, caption=captions.encode(["a dark slim dress"])
        )
        shade = np.asarray(first, int) - data.to_uint8(np.asarray(expected))[0, :, :, 0]
        assert np.abs(shade).max() <= 1
    for wrong in (["x.png", "--captions", "a bag"], ["--captions", " "]):
        assert translate.main([str(finished), *wrong, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "images and captions were given; give either" in said and "caption 0 is empty" in said
    with pytest.raises(RunError, match="the model draws nothing from captions; it takes text"):
        model = jaxgan.load(finished)
        gan = model.gan._replace(conditions=("text",))
        list(caption_to_image.pictures(type(model)(gan, *_rest(model)), ["a bag"]))


def _rest(model):
    return model.state, model.config, model.spec, model.step


def test_data_that_bring_embeddings_need_no_first_stage():
    spec = DataSpec((28, 28, 1), (), {"text": (7,)})
    config = experiment.Config()
    assert [stage.start for stage in experiment.plan(config, spec)] == [0]
    assert experiment.build(config, spec).conditions == ("text",)
    spec = spec._replace(inputs={"caption": (40,)})
    assert [stage.start for stage in experiment.plan(config, spec)] == [0, config.matching]


def test_step_sizes_fall_linearly_or_are_halved():
    config = experiment.Config(generator_learning_rate=1.0, decay_from=0.5, beta1=0.0)
    halved = dataclasses.replace(config, decay_from=1.0, halve_every=3)
    for settings, expected in (
        (config, [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
        (halved, [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]),
    ):
        optimizer = experiment.optimizers(settings, 8)["generator"]
        state, moves = optimizer.init(np.ones(1, np.float32)), []
        for _ in expected:
            move, state = optimizer.update(np.ones(1, np.float32), state)
            moves.append(-float(move[0]))
        np.testing.assert_allclose(moves, expected, rtol=1e-3)
    with pytest.raises(ValueError, match="leave --decay-from at 1"):
        experiment.optimizers(experiment.Config(halve_every=3), 8)


# --- pages ----------------------------------------------------------------------------------------


def test_a_page_shows_each_caption_above_its_pictures_and_the_credit():
    images = np.asarray(noise(3, 4, 8, 8, 1))
    plain = caption_pages.page(WORDS, images)
    credited = caption_pages.page(WORDS, images, credit="Images: nobody, no license")
    two = caption_pages.page(WORDS, images, columns=2)
    assert plain.width == credited.width < two.width and two.height < plain.height
    assert credited.height == plain.height + caption_pages.LINE
    foot = np.asarray(credited.convert("L"))[-caption_pages.LINE :]
    assert foot.min() < 128
    long = caption_pages.page(["word " * 60, "b", "c"], images)
    assert long.height > plain.height + 3 * caption_pages.LINE
