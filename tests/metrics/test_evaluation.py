"""Numbers of a generator against real images, and the statistics that are kept."""

from __future__ import annotations

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import captions
from jaxgan.metrics import evaluation, features, fid, kid, msssim, prdc, statistics_cache
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


def evaluator(real, metrics, *, extractor=None, cache=None, samples=50, seed=0):
    return evaluation.evaluator(
        metrics,
        real,
        extractor=extractor or brightness(),
        samples=samples,
        seed=seed,
        cache=cache,
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


def test_settings_and_warnings_stand_beside_the_numbers(real):
    scores = evaluator(real, {"kid": kid.metric(), "fid": fid.metric()}, seed=3)(sample)
    settings = scores.settings
    assert settings["real"] == {"data": "noise", "digest": real.digest, "images": 60}
    assert settings["generated"]["images"] == 50
    assert settings["generated"]["seed"] == 3
    assert settings["features"] == {"network": "corner"}
    assert settings["metrics"]["kid"]["subsets"] == 100
    assert [text.split(" images")[0][-12:] for text in scores.warnings] == [
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


@pytest.mark.parametrize("metric", sorted(set(evaluation.METRICS) - {"fid_infinity"}))
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
    metrics = {metric: evaluation.METRICS[metric]()}
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


def test_a_folder_that_cannot_be_written_to_keeps_nothing(real, tmp_path):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "folder"
    assert evaluator(real, {"fid": fid.metric()}, cache=place)(sample).numbers


def test_the_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert statistics_cache.folder() == tmp_path / "jaxgan" / "statistics"


def test_the_command_names_every_metric():
    assert set(typing.get_args(MetricName)) == set(evaluation.METRICS)


def test_nothing_to_measure_is_refused(real):
    with pytest.raises(ValueError, match="0 samples and 1 metrics"):
        evaluator(real, {"fid": fid.metric()}, samples=0)
    with pytest.raises(ValueError, match="no class probabilities"):
        evaluator(real, {"is": evaluation.METRICS["inception_score"]()})


def test_what_a_metric_cannot_be_had_of_is_refused_before_a_sample_is_drawn(real):
    with pytest.raises(ValueError, match="fid_infinity needs 10000 samples or more; 50 were"):
        evaluator(real, evaluation.chosen(["fid", "fid_infinity"]))
    with pytest.raises(ValueError, match="noise have 3 channels, and the proxy features are of 1"):
        evaluator(real, evaluation.chosen(["kid"]), extractor=features.proxy())
    assert evaluator(real, evaluation.chosen(["ms_ssim"]), extractor=features.proxy())
    with pytest.raises(ValueError, match="ms_ssim does not say which of two generators is better"):
        evaluation.aim(evaluation.chosen(["ms_ssim", "fid"]), brightness())


def test_color_is_seen_by_lite0_if_it_is_installed_and_gray_by_the_proxy(monkeypatch):
    lite0, given = brightness(), []
    monkeypatch.setattr(
        features, "of_efficientnet", lambda path, **options: given.append(path) or lite0
    )
    assert evaluation.extractor_of(None, channels=1).label == "proxy"
    assert not given
    assert evaluation.extractor_of(None, channels=3) is lite0
    assert evaluation.extractor_of(None, efficientnet="w.pth", channels=1) is lite0
    assert given == [None, "w.pth"]
    monkeypatch.setattr(features, "of_efficientnet", lambda path, **options: None)
    assert evaluation.extractor_of(None, channels=3).label == "proxy"
    with pytest.raises(ValueError, match=r"both a.pth and b.pth were given; give the weights of"):
        evaluation.extractor_of("a.pth", efficientnet="b.pth")


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
