"""The command that measures a finished run."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import jaxgan
from experiments import projected
from jaxgan.metrics import evaluation, features, fid, selection
from jaxgan.tools import evaluate
from tests import toy_experiment, toy_runs


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "jaxgan" / "statistics"


def printed(capsys, *arguments):
    capsys.readouterr()  # what a training printed before
    code = evaluate.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_report_has_the_numbers_of_the_library_with_their_settings(finished, capsys, cache):
    before = toy_runs.snapshot(finished)
    code, out, _ = printed(
        capsys, finished, "--metrics", "fid", "kid", "--samples", "130", "--seed", "5", "--json"
    )
    assert code == 0
    report = json.loads(out)
    trained = jaxgan.load(finished)
    real = evaluate.images(evaluate.Config(finished), trained)
    expected = evaluation.evaluator(
        {name: selection.METRICS[name]() for name in ("fid", "kid")},
        real,
        extractor=features.proxy(),
        samples=130,
        seed=5,
    )(trained.sample)
    assert report["numbers"] == pytest.approx(expected.numbers, rel=1e-6, abs=1e-9)
    assert set(report["numbers"]) == {"proxy_fid", "proxy_kid", "proxy_kid_deviation"}
    assert (report["step"], report["settings"]["split"]) == (24, "train")
    assert report["settings"]["features"] == features.proxy().settings
    assert report["settings"]["generated"]["seed"] == 5
    assert "says little" in report["warnings"][0]
    assert toy_runs.snapshot(finished) == before
    assert len(list(cache.iterdir())) == 2


def test_the_network_that_judges_is_the_one_that_the_experiment_names(finished, monkeypatch):
    asked = []
    real = selection.extractor_for

    def recorded(*arguments, judge, **options):
        asked.append(judge)
        return real(*arguments, judge=judge, **options)

    monkeypatch.setattr(selection, "extractor_for", recorded)
    for judge in ("lite0", "lite1"):
        monkeypatch.setattr(toy_experiment.Config, "JUDGE", judge)
        assert evaluate.main([str(finished), "--samples", "20", "--metrics", "fid"]) == 0
    assert asked == ["lite0", "lite1"]
    assert projected.Config.JUDGE == "lite1"


def test_the_text_names_what_was_measured_and_calls_a_proxy_a_proxy(finished, capsys, cache):
    code, out, _ = printed(
        capsys, finished, "--samples", "20", "--split", "held_out", "--metrics", "fid",
        "--checkpoint", "8", "--no-cache",
    )  # fmt: skip
    held_out = 44 - len(evaluate.images(evaluate.Config(finished), jaxgan.load(finished)))
    assert code == 0
    assert f"20 samples of {finished} after 8 steps, against {held_out} images" in out
    assert "\n  proxy fid " in out
    assert "\n  fid " not in out
    assert "warning: a Frechet distance of 20 generated images" in out
    assert "features / sha256 of its weights: " in out
    assert not cache.exists()


def test_what_a_run_measured_is_what_the_command_finds_of_its_best_state(
    data, tmp_path, capsys, cache
):
    workdir = toy_runs.train(
        tmp_path / "run", data=data, steps=8, evaluate_every=4, evaluate_samples=130
    )
    rows = [row for row in toy_runs.rows(workdir) if "measured" in row]
    lowest = min(rows, key=lambda row: row["evaluation/proxy_fid"])
    code, out, _ = printed(
        capsys, workdir, "--checkpoint", "best", "--metrics", "fid", "--samples", "130", "--json"
    )
    assert code == 0
    report = json.loads(out)
    assert report["step"] == lowest["step"]
    assert report["settings"] == lowest["measured"]["settings"]
    assert report["warnings"] == lowest["measured"]["warnings"]
    expected = lowest["evaluation/proxy_fid"]
    assert report["numbers"] == {"proxy_fid": pytest.approx(expected, rel=1e-3)}
    log = (workdir / "log.txt").read_text()
    assert f"step {lowest['step']}: proxy fid {expected:.5g}, the best so far" in log
    assert "warning: a Frechet distance of 130 generated images" in log


@pytest.mark.usefixtures("without_feature_network")
def test_colors_are_measured_by_what_can_be_had_of_them(tmp_path, capsys):
    archive = tmp_path / "colors.npz"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3)).astype(np.uint8)
    np.savez(archive, images=pixels)
    workdir = toy_runs.train(
        tmp_path / "run", data=f"npz:{archive}", steps=8, evaluate_every=8, evaluate_samples=20
    )
    (row,) = [row for row in toy_runs.rows(workdir) if "measured" in row]
    assert row["measured"]["aim"]["number"] == "evaluation/swd"
    code, out, err = printed(capsys, workdir, "--samples", "20")
    assert code == 0
    assert "\n  swd " in out and "\n  ms ssim " in out
    assert err.splitlines()[0].startswith("statistics of ")
    assert err.splitlines()[-1] == "computing swd, ms_ssim: 1 of 2"
    code, out, err = printed(capsys, workdir, "--samples", "20", "--metrics", "fid")
    assert (code, out) == (2, "")
    (said,) = err.splitlines()
    assert "--inception FILE (pt_inception-2015-12-05-6726825d.pth, 91.2 MB, " in said


def test_a_brought_network_measures_without_the_proxy(finished, monkeypatch, capsys):
    own = features.of_function(lambda x: x.reshape(len(x), -1), name="pixels")
    asked = []
    monkeypatch.setattr(
        features, "of_inception", lambda path, sha256, **_: asked.append((path, sha256)) or own
    )
    code, out, _ = printed(
        capsys, finished, "--inception", "w.pth", "--sha256", "6726825d", "--samples", "64",
        "--metrics", "fid", "--json",
    )  # fmt: skip
    assert code == 0
    ((path, digest),) = asked
    assert (str(path), digest) == ("w.pth", "6726825d")
    trained = jaxgan.load(finished)
    source = evaluate.images(evaluate.Config(finished), trained)
    real = source.float_images().reshape(-1, 16)
    drawn = evaluation._drawn(trained.sample, 64, 0, source)
    (pixels,) = (piece["features"] for piece in features.pieces(drawn, own, ["features"]))
    expected = fid.frechet_distance(fid.moments(pixels), fid.moments(real))
    assert json.loads(out)["numbers"] == {"pixels_fid": pytest.approx(expected)}


def test_help_needs_no_jax():
    code = "import sys, jaxgan.tools.evaluate; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=toy_runs.ROOT, timeout=60)


def test_what_cannot_be_measured_is_one_sentence(finished, tmp_path, capsys):
    for arguments, sentence in [
        ([tmp_path], "is no run directory"),
        ([finished, "--checkpoint", "9"], "has no checkpoint 9"),
        ([finished, "--checkpoint", "best"], "has no best checkpoint"),
        ([finished, "--inception", tmp_path / "none.pth"], "cannot be read"),
        (
            [finished, "--metrics", "swd"],
            "swd needs images with sides of 7 pixels or more",
        ),
        (
            [toy_runs.train(tmp_path / "points", steps=8)],
            "generates them from latents, labels or captions alone",
        ),
    ]:
        code, out, err = printed(capsys, *arguments, "--samples", "8")
        assert (code, out) == (2, "")
        assert sentence in err
        assert err.count("\n") == 1


def test_data_that_have_changed_since_are_refused(tmp_path, capsys):
    archive = tmp_path / "images.npz"
    workdir = toy_runs.train(tmp_path / "run", data=toy_runs.images(archive), steps=8)
    toy_runs.images(archive, seed=1)
    code, _, err = printed(capsys, workdir, "--samples", "8")
    assert code == 2
    assert "have changed since it was trained" in err


def test_a_member_of_several_seeds_is_measured_by_its_own(tmp_path, data, capsys):
    workdir = toy_runs.train(tmp_path / "run", data=data, steps=8, seeds=2)
    found = {}
    for seed in (0, 1):
        _, out, _ = printed(
            capsys, workdir, "--model-seed", seed, "--samples", "30", "--metrics", "kid", "--json"
        )
        found[seed] = json.loads(out)
        assert found[seed]["model's seed"] == seed
    assert not np.isclose(found[0]["numbers"]["proxy_kid"], found[1]["numbers"]["proxy_kid"])


def test_what_was_not_held_out_cannot_be_measured_against(data, tmp_path, capsys):
    run = toy_runs.train(tmp_path / "run", data=data, steps=2, holdout=0)
    flags = ["--samples", "20", "--metrics", "fid", "--no-cache", "--split", "held_out"]
    assert evaluate.main([str(run), *flags]) == 2
    said = capsys.readouterr().err
    assert "the run held nothing out (--holdout 0); measure with --split train" in said
