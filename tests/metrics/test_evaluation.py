"""Numbers of a generator against real images, and the statistics that are kept."""

from __future__ import annotations

import dataclasses
import os
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import arrays, captions
from jaxgan.metrics import (
    evaluation,
    features,
    fid,
    inception,
    kid,
    msssim,
    prdc,
    selection,
    sliced_wasserstein,
    spectrum,
    statistics_cache,
)
from jaxgan.runs import progress
from jaxgan.runs.config import MetricName
from jaxgan.types import GAN


@pytest.fixture(scope="module")
def real():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3)).astype(np.uint8)
    return data.Dataset("noise", pixels)


def brightness(settings=None, count=None):
    """Features of the corners; `count` collects how many images they were computed of."""

    def function(images):
        if count is not None:
            count.append(len(images))
        return images[:, :2, :2].reshape(len(images), -1)

    return features.of_function(function, name="corner", settings=settings)


def sample(key, n):
    return jax.random.uniform(key, (n, 16, 16, 3), minval=-1, maxval=1)


def evaluator(real, metrics, *, extractor=None, cache=None, samples=50, seed=0, **options):
    return evaluation.evaluator(
        metrics,
        real,
        extractor=extractor or brightness(),
        samples=samples,
        seed=seed,
        cache=cache,
        **options,
    )


def test_the_numbers_are_those_of_the_metrics_on_all_images(real, monkeypatch):
    monkeypatch.setattr(evaluation, "PIECE", 20)
    metrics = {"fid": fid.metric(), "kid": kid.metric(size=30), "prdc": prdc.metric()}
    scores = evaluator(real, {**metrics, "ms_ssim": msssim.metric()})(sample)
    key = jax.random.key(0)
    drawn = jnp.concatenate(
        [sample(jax.random.fold_in(key, i), n) for i, n in enumerate((20, 20, 10))]
    )
    corners = data.to_float(data.to_uint8(drawn))[:, :2, :2].reshape(50, -1)
    of_real = real.float_images()[:, :2, :2].reshape(60, -1)
    numbers = scores.numbers
    expected = fid.frechet_distance(fid.moments(corners), fid.moments(of_real))
    assert numbers["corner_fid"] == pytest.approx(expected, rel=1e-6)
    assert numbers["corner_kid"] == pytest.approx(kid.kid(corners, of_real, size=30).mean, rel=1e-4)
    assert numbers["corner_recall"] == prdc.precision_recall(corners, of_real).recall
    assert numbers["ms_ssim_of_real"] == pytest.approx(msssim.between_pairs(real.images))
    assert evaluator(real, {**metrics, "ms_ssim": msssim.metric()})(sample).numbers == numbers


def test_what_draws_from_captions_is_asked_for_those_of_the_data(real, monkeypatch):
    monkeypatch.setattr(evaluation, "PIECE", 20)
    names = [[f"noise number {index}"] for index in range(60)]
    captioned, _ = captions.captioned(real, names)
    codes = captions.encode([name for (name,) in names])
    assert evaluation.images_of(captioned, GAN(None, None, None, ("caption",))) is captioned

    def remembered(key, n, *, caption):
        assert len(caption) == n
        rows = [int(np.flatnonzero((codes == row).all(axis=1))[0]) for row in caption]
        return real.float_images()[rows]

    scores = evaluator(captioned, {"fid": fid.metric()}, samples=60)(remembered)
    assert scores.numbers["corner_fid"] == pytest.approx(0, abs=1e-9)
    assert scores.settings["generated"]["drawn from"] == "latents and caption"
    with pytest.raises(ValueError, match="cannot be measured"):
        evaluation.images_of(captioned, GAN(None, None, None, ()))


@pytest.fixture(scope="module")
def uneven():
    """Dark and bright images, 190 and 10, stored by class."""
    labels = np.repeat([0, 1], [190, 10])
    noise = np.random.default_rng(1).integers(0, 100, (200, 16, 16, 3))
    pixels = (noise + 150 * labels[:, None, None, None]).astype(np.uint8)
    return data.Dataset("uneven", pixels, labels, ("dark", "bright"))


def perfect(real, asked=None):
    """Draws real images of the classes asked for; by default in turn. `asked` collects labels."""

    def sample(key, n, *, label=None):
        label = np.arange(n) % len(real.classes) if label is None else np.asarray(label)
        if asked is not None:
            asked.extend(label.tolist())
        draws = np.random.default_rng(len(label))
        of_class = [np.flatnonzero(real.labels == number) for number in range(len(real.classes))]
        return real.float_images()[[draws.choice(of_class[number]) for number in label]]

    return sample


def test_a_model_told_its_class_is_asked_for_classes_as_the_data_have_them(uneven, monkeypatch):
    monkeypatch.setattr(evaluation, "PIECE", 70)
    metrics, found = {"fid": fid.metric(), "swd": sliced_wasserstein.metric()}, []
    scores = evaluator(uneven, metrics, samples=200, conditions=("label",))(perfect(uneven, found))
    assert np.bincount(found).tolist() == [190, 10]
    generated = scores.settings["generated"]
    assert generated["drawn from"] == "latents and label"
    assert generated["labels"] == "those of the real images, each image's once before any again"
    in_turn = evaluator(uneven, metrics, samples=200)(perfect(uneven))
    assert "labels" not in in_turn.settings["generated"]
    assert scores.numbers["corner_fid"] < 0.1
    assert in_turn.numbers["corner_fid"] > 1
    assert in_turn.numbers["swd"] > 2 * scores.numbers["swd"]


def test_the_label_of_a_sample_depends_on_the_seed_and_its_place_alone(uneven, monkeypatch):
    def labels(seed=0, samples=450):
        found = []
        options = {"seed": seed, "samples": samples, "conditions": ("label",)}
        evaluator(uneven, {"fid": fid.metric()}, **options)(perfect(uneven, found))
        return found

    whole = labels()
    assert labels(samples=120) == whole[:120]
    monkeypatch.setattr(evaluation, "PIECE", 64)
    assert labels() == whole
    assert labels(seed=1) != whole
    assert [np.mean(whole[at : at + 200]) for at in (0, 200)] == [0.05, 0.05]


def test_where_the_data_have_no_labels_the_models_own_are_said_to_be_drawn(real):
    scores = evaluator(real, {"fid": fid.metric()}, conditions=("label",))(sample)
    assert scores.settings["generated"]["labels"] == "the model's default"


def test_settings_and_warnings_stand_beside_the_numbers(real):
    scores = evaluator(real, {"kid": kid.metric(), "fid": fid.metric()}, seed=3)(sample)
    settings = scores.settings
    assert settings["real"] == {"data": "noise", "digest": real.digest, "images": 60}
    assert settings["generated"]["images"] == 50
    assert settings["generated"]["seed"] == 3
    assert settings["features"] == {"network": "corner"}
    assert settings["metrics"]["kid"]["subsets"] == 100
    assert [text.split(" images")[0][-12:] for text in scores.warnings] == [
        "ubsets of 25",
        "50 generated",
        "e of 60 real",
    ]
    images = evaluator(real, {"ms_ssim": msssim.metric()})(sample)
    assert images.settings["features"] is None
    assert not images.warnings


def test_the_same_generator_scores_alike_and_another_seed_otherwise(real):
    metrics = {"fid": fid.metric()}
    first = evaluator(real, metrics)
    assert first(sample) == first(sample)
    assert first(sample).numbers != evaluator(real, metrics, seed=1)(sample).numbers
    worse = first(lambda key, n: 0.3 * sample(key, n)).numbers["corner_fid"]
    assert worse > 2 * first(sample).numbers["corner_fid"]


@pytest.mark.parametrize("metric", sorted(set(selection.METRICS) - {"fid_infinity"}))
def test_kept_statistics_give_the_same_numbers_and_the_network_sees_no_real_image(
    metric, real, tmp_path
):
    seen = []
    inner = brightness(count=seen)

    def see(pixels):
        corners, _ = inner.see(pixels)
        odds = np.exp(corners[:, :3])
        return corners, odds / odds.sum(axis=1, keepdims=True)

    extractor = features.Extractor("corner", see, inner.settings)
    metrics = {metric: selection.METRICS[metric]()}
    fresh = evaluator(real, metrics, extractor=extractor)(sample).numbers
    gathered = evaluator(real, metrics, extractor=extractor, cache=tmp_path)(sample).numbers
    assert len(list(tmp_path.iterdir())) == 1
    seen.clear()
    kept = evaluator(real, metrics, extractor=extractor, cache=tmp_path)
    assert not seen
    assert fresh == gathered == kept(sample).numbers
    if metric != "ms_ssim":  # it says nothing of quality
        assert evaluation.aim(metrics, extractor).number in fresh


def test_metrics_that_share_a_statistic_keep_it_once(real, tmp_path):
    evaluator(real, {"kid": kid.metric(size=9), "prdc": prdc.metric()}, cache=tmp_path)
    evaluator(real, {"kid": kid.metric(size=8)}, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_statistics_of_other_settings_or_data_are_gathered_anew(real, tmp_path, monkeypatch):
    metrics, seen = {"fid": fid.metric()}, []
    for settings in (None, {"layer": 1}, {"layer": 2}):
        evaluator(real, metrics, extractor=brightness(settings, seen), cache=tmp_path)
    splits = real.subset(np.arange(0, 60, 2)), real.subset(np.arange(1, 60, 2))
    for other in (real.take(59), *splits):
        evaluator(other, metrics, extractor=brightness(None, seen), cache=tmp_path)
    assert sum(seen) == 3 * 60 + 59 + 60
    assert len(list(tmp_path.iterdir())) == 6
    monkeypatch.setattr(features, "LEVELS", 16)
    evaluator(real, metrics, extractor=brightness(None, seen), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 7


def test_a_damaged_file_is_gathered_anew(real, tmp_path):
    metrics = {"fid": fid.metric()}
    expected = evaluator(real, metrics, cache=tmp_path)(sample)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    assert evaluator(real, metrics, cache=tmp_path)(sample) == expected
    assert kept.read_bytes() == whole


def test_what_got_into_a_file_from_elsewhere_is_gathered_anew(real, tmp_path):
    """Other arrays of the right names, another statistic under this name, no file at all."""
    metrics = {"fid": fid.metric()}
    expected = evaluator(real, metrics, cache=tmp_path)(sample)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    evaluator(real.take(50), metrics, cache=tmp_path / "other")
    (other,) = (tmp_path / "other").iterdir()
    with np.load(kept) as file:
        arrays = dict(file)
    moved, missing = {**arrays, "mean": arrays["mean"][:3]}, {"count": arrays["count"]}
    words = {**arrays, "scatter": np.array(["no", "numbers"])}
    contents = [other.read_bytes(), b"", b"PK\x03\x04 no archive", b"[1, 2]"]
    for foreign in (moved, missing, words):
        np.savez(tmp_path / "foreign.npz", **foreign)
        contents.append((tmp_path / "foreign.npz").read_bytes())
    for content in contents:
        kept.write_bytes(content)
        assert evaluator(real, metrics, cache=tmp_path)(sample) == expected
        assert kept.read_bytes() == whole
    kept.unlink()
    kept.mkdir()
    assert evaluator(real, metrics, cache=tmp_path)(sample) == expected
    kept.rmdir()
    os.mkfifo(kept)
    assert evaluator(real, metrics, cache=tmp_path)(sample) == expected


def test_a_folder_that_cannot_be_written_to_keeps_nothing(real, tmp_path):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "folder"
    assert evaluator(real, {"fid": fid.metric()}, cache=place)(sample).numbers


def test_the_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert statistics_cache.folder() == tmp_path / "jaxgan" / "statistics"


def test_the_command_names_every_metric():
    assert set(typing.get_args(MetricName)) == set(selection.METRICS)


def test_nothing_to_measure_is_refused(real):
    with pytest.raises(ValueError, match="0 samples and 1 metrics"):
        evaluator(real, {"fid": fid.metric()}, samples=0)
    with pytest.raises(ValueError, match="no class probabilities"):
        evaluator(real, {"is": selection.METRICS["inception_score"]()})


def test_what_a_metric_cannot_be_had_of_is_refused_before_a_sample_is_drawn(real):
    with pytest.raises(ValueError, match="fid_infinity needs 10000 samples or more; 50 were"):
        evaluator(real, selection.chosen(["fid", "fid_infinity"]))
    with pytest.raises(ValueError, match="noise have 3 channels, and the proxy features are of 1"):
        evaluator(real, selection.chosen(["kid"]), extractor=features.proxy())
    assert evaluator(real, selection.chosen(["ms_ssim"]), extractor=features.proxy())
    for name, side in (("swd", 7), ("ms_ssim", 16)):
        small = data.Dataset("small", np.zeros((9, 40, side - 1, 1), np.uint8))
        with pytest.raises(ValueError, match=f"{name} needs images with sides of {side} pixels or"):
            evaluator(small, selection.chosen([name]))
    with pytest.raises(ValueError, match="ms_ssim does not say which of two generators is better"):
        evaluation.aim(selection.chosen(["ms_ssim", "fid"]), brightness())


def test_inceptions_weights_are_named_where_they_are_needed(real):
    with pytest.raises(ValueError, match=r"with --inception FILE \(pt_inception-2015") as said:
        evaluator(real, selection.chosen(["fid"]), extractor=features.proxy())
    sentence = str(said.value)
    assert "6726825d.pth, 91.2 MB, its sha256 beginning with 6726825d, from https://" in sentence
    assert inception.SHA256.startswith("6726825d")


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((28, 28, 1), 1, ("fid", "kid", "prdc")),
        ((28, 28, 3), None, ("fid", "kid", "prdc")),
        ((28, 28, 3), 1, ("swd", "ms_ssim")),
        ((40, 15, 3), 1, ("swd",)),
        ((6, 6, 3), 1, ("fid", "kid", "prdc")),  # refused in the sentence that says what helps
    ],
)
def test_what_is_measured_by_default_can_be_had_of_the_images(shape, channels, expected):
    images = data.Dataset("images", np.zeros((9, *shape), np.uint8))
    extractor = features.Extractor("some", None, {}, channels=channels)
    assert selection.usual(images, extractor) == expected


def test_how_far_it_has_come_is_told(real, monkeypatch, capsys):
    monkeypatch.setattr(evaluation, "PIECE", 20)
    metrics = {"fid": fid.metric(), "ms_ssim": msssim.metric()}
    evaluator(real, metrics, show=progress.counted)(sample)
    out, err = capsys.readouterr()
    assert not out
    assert err.splitlines() == [
        "statistics of 60 images of noise ...",
        "statistics of 60 images of noise: 20 of 60",
        "statistics of 60 images of noise: 40 of 60",
        "drawing 50 samples ...",
        "drawing 50 samples: 20 of 50",
        "drawing 50 samples: 40 of 50",
        "computing fid, ms_ssim ...",
        "computing fid, ms_ssim: 1 of 2",
    ]


def test_color_is_seen_by_lite0_if_it_is_installed_and_gray_by_the_proxy(monkeypatch):
    lite0, given = brightness(), []
    monkeypatch.setattr(
        features, "of_efficientnet", lambda path, **options: given.append(path) or lite0
    )
    assert selection.extractor_of(None, channels=1).label == "proxy"
    assert not given
    assert selection.extractor_of(None, channels=3) is lite0
    assert selection.extractor_of(None, efficientnet="w.pth", channels=1) is lite0
    assert given == [None, "w.pth"]
    for present, asked in ((True, "lite1"), (False, None)):
        monkeypatch.setattr(selection, "installed", lambda variant, present=present: present)
        assert selection.extractor_of(None, judge="lite1", channels=3) is lite0
        assert given.pop() == asked
    monkeypatch.setattr(features, "of_efficientnet", lambda path, **options: None)
    assert selection.extractor_of(None, channels=3).label == "proxy"
    with pytest.raises(ValueError, match=r"both a.pth and b.pth were given; give the weights of"):
        selection.extractor_of("a.pth", efficientnet="b.pth")


def test_only_models_that_draw_single_images_by_themselves_are_measured(real):
    def drawing(*conditions):
        return GAN(None, None, None, conditions)

    assert evaluation.images_of(real, drawing("label", "image")) is real
    for source, gan in (
        (real, drawing("a")),
        (data.Pairs(real, real), drawing()),
        (data.load("ring").train, drawing()),
    ):
        with pytest.raises(ValueError, match="cannot be measured"):
            evaluation.images_of(source, gan)


@pytest.fixture(scope="module")
def fields():
    """Fields of five channels in units of their own, with a condition."""
    draws = np.random.default_rng(1)
    entries = {
        "image": draws.lognormal(2, 1, (60, 8, 10, 5)).astype(np.float32),
        "condition_mass": draws.uniform(10, 30, (60, 1)),
    }
    whole = data.Arrays("arrays:fields", entries, {}, np.arange(60))
    fitted = arrays.fitted(whole, "image=log1p+standardize,condition_mass=minmax")
    return dataclasses.replace(whole, transforms=fitted, rows=np.arange(40))


def test_fields_are_compared_as_floats_under_conditions_of_the_data(fields):
    given = []

    def drawn(key, n, condition_mass):
        given.append(condition_mass)
        return 3 * jax.random.normal(key, (n, 8, 10, 5))  # far beyond [-1, 1]

    extractor = selection.extractor_for(fields)
    names = selection.usual(fields, extractor)
    assert names == selection.OF_VALUES
    scores = evaluator(
        fields,
        selection.chosen(names),
        extractor=extractor,
        samples=40,
        conditions=("condition_mass", "condition_wind"),
    )(drawn)
    real = fields.float_images()
    assert real.dtype == np.float32 and np.abs(real).max() > 2
    made = np.asarray(drawn(jax.random.fold_in(jax.random.key(0), 0), 40, None))
    flat = [side.reshape(40, -1) for side in (made, real)]
    numbers = scores.numbers
    assert numbers["values_recall"] == prdc.precision_recall(*flat).recall
    assert numbers["values_kernel"] == pytest.approx(kid.kid(*flat, size=20).mean, rel=1e-4)
    assert numbers["swd"] == pytest.approx(
        np.mean(sliced_wasserstein.sliced_wasserstein(made, real).distances)
    )
    assert 8 < numbers["spectrum"] < 11  # three times the deviation is 9.5 dB
    np.testing.assert_array_equal(given[0], fields.batch(seed=0, step=0, size=40)["condition_mass"])
    settings = scores.settings
    assert settings["generated"]["drawn from"] == "latents and condition_mass"
    assert settings["both"] == {
        "shape": [8, 10, 5],
        "values": "floats in the units of the model",
        "transform": "log1p+standardize",
    }


def test_kept_statistics_of_fields_depend_on_their_transform(fields):
    stream, extractor = spectrum.metric().stream, features.of_values()
    others = dataclasses.replace(fields, transforms=arrays.fitted(fields, "image=symlog"))
    assert others.digest == fields.digest
    keys = {statistics_cache.key(stream, each, extractor) for each in (fields, others)}
    assert len(keys) == 2


def test_what_compares_levels_or_pictures_is_refused_for_arrays(fields):
    ours, metrics = features.of_values(), selection.chosen
    works = "the metrics swd, spectrum, kid and prdc work for them"
    for name in ("fid", "fid_infinity", "inception_score", "ms_ssim"):
        with pytest.raises(ValueError, match=f"^{name} compares images of 256 levels.*{works}$"):
            evaluator(fields, metrics([name]), extractor=ours)
    vectors = data.Arrays("vectors", {"image": np.ones((9, 4))}, {}, np.arange(9))
    assert selection.usual(vectors, ours) == ("kid", "prdc")
    with pytest.raises(ValueError, match=r"swd compares images \[H, W, C\].*kid and prdc work"):
        evaluator(vectors, metrics(["swd"]), extractor=ours)
    with pytest.raises(ValueError, match=r"network of w\.pth sees images .*: leave it out; the"):
        selection.extractor_for(fields, "w.pth")
    with pytest.raises(ValueError, match=r"the corner features see images of 256 levels: use"):
        evaluator(fields, metrics(["swd"]))


def test_images_have_no_features_of_values(real):
    with pytest.raises(ValueError, match=r"values features see values of any range: make them"):
        evaluator(real, selection.chosen(["kid"]), extractor=features.of_values())


def test_own_features_see_fields_as_they_are(fields):
    own = features.of_function(lambda x: x.mean(axis=(1, 2)), name="mean", rounded=False)
    scores = evaluator(fields, selection.chosen(["prdc"]), extractor=own, samples=40)

    def same(key, n):
        return fields.float_images(slice(n))

    assert scores(same).numbers["mean_precision"] == 1.0


def test_too_few_real_fields_are_refused_before_anything_is_drawn(fields):
    few = fields.subset([0, 1])
    with pytest.raises(ValueError, match=r"prdc needs 4 real examples or more.* are 2: hold out"):
        evaluator(few, selection.chosen(["prdc"]), extractor=features.of_values())


def test_what_does_not_fit_into_memory_is_refused(fields, monkeypatch):
    monkeypatch.setattr(data.memory, "available", lambda: 1000)
    with pytest.raises(data.DataError, match="the values of 50 samples and 40 examples need"):
        evaluator(fields, selection.chosen(["kid"]), extractor=features.of_values())
