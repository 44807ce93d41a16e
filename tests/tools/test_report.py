"""A report shows what a run directory holds, in one page that loads nothing and escapes all."""

from __future__ import annotations

import html.parser
import json
import pathlib
import re
import time

import numpy as np
import pytest
from PIL import Image

from jaxgan.runs import invocation, metric_log, run_directory, sweeps
from jaxgan.runs.errors import RunError
from jaxgan.tools import diagnose, report
from jaxgan.tools.diagnosis.finding import Series
from jaxgan.tools.reporting import charts, curves, page, pictures, run_summary
from tests import toy_runs

ROWS = [
    {"step": 10, "d/loss": 1.5, "g/loss": 0.5, "images_per_second": 0.0, "seconds": 4.0},
    {"step": 20, "d/loss": 1.25, "g/loss": 0.75, "images_per_second": 80.0, "seconds": 5.0},
    {"step": 30, "d/loss": 1.0, "images_per_second": 100.0, "seconds": 7.0},
]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


def made(workdir: pathlib.Path, *, rows=ROWS, grids=(0, 10, 30), side=12, **fields) -> pathlib.Path:
    """A run directory of the toy experiment, with a log and with pictures of noise."""
    toy_runs.recorded(workdir, **fields)
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (workdir / "samples").mkdir()
    pixels = np.random.default_rng(0)
    for step in grids:
        noise = pixels.integers(0, 256, (side, side, 3)).astype(np.uint8)
        Image.fromarray(noise).save(workdir / "samples" / f"{step:06d}.png")
    return workdir


def measured(step, value, *, metric="fid", warnings=(), **settings):
    """An evaluation's row."""
    number = f"evaluation/{metric}"
    aim = {"metric": metric, "number": number, "best": "lowest"}
    settings = {"metrics": {metric: {}}, **settings}
    what = {"aim": aim, "settings": settings, "warnings": list(warnings)}
    return {"step": step, number: value, metric_log.MEASURED: what}


def written(*runs: pathlib.Path, said=None, **fields) -> str:
    """The page of the runs."""
    said = [] if said is None else said
    config = report.Config(runs=runs, **{"diagnosis": False, **fields})
    path = report.report(config, say=said.append)
    return path.read_text(encoding="utf-8")


class Read(html.parser.HTMLParser):
    """What a browser makes of a page: its elements, the text it shows, the data of its script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text, self.data = "", {}
        self._within = ""
        self.feed(text)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self._within = tag
        self.text += " "
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within == "script" and self.elements[-1][1].get("id") == "report":
            self.data = json.loads(data)
        elif self._within not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def drawn(text: str) -> dict[str, list[tuple[list[int], list[float]]]]:
    """The steps and values of all lines of a page by name, as Bokeh reads its data."""
    from bokeh.document import Document
    from bokeh.models import GlyphRenderer

    found: dict[str, list[tuple[list[int], list[float]]]] = {}
    for content in Read(text).data["charts"]["documents"].values():
        for each in Document.from_json(content).select({"type": GlyphRenderer}):
            if each.glyph.__class__.__name__ == "Line":
                column = each.data_source.data
                found.setdefault(each.name, []).append((list(column["x"]), list(column["y"])))
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> pathlib.Path:
    """A run directory, not to be written to except by reports."""
    return made(tmp_path_factory.mktemp("runs") / "plain", steps=60, width=16)


@pytest.fixture(scope="module")
def of_plain(plain) -> str:
    """The page of this run."""
    return written(plain)


# --- the page -------------------------------------------------------------------------------------


def test_the_page_loads_nothing_and_is_small(plain, of_plain):
    text = of_plain
    assert (
        (plain / "report.html").stat().st_size == len(text.encode()) < run_directory.MOST_PAGE_BYTES
    )
    read = Read(text)
    for _, attributes in read.elements:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert {"link", "iframe", "object", "base"}.isdisjoint(tag for tag, _ in read.elements)
    (policy,) = (m["content"] for m in read.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy and "unsafe-eval" not in policy


def test_the_numbers_of_the_log_are_in_the_page(of_plain):
    found = drawn(of_plain)
    assert found["0/d/loss"] == [([10, 20, 30], [1.5, 1.25, 1.0])]
    assert found["0/g/loss"] == [([10, 20], [0.5, 0.75])]
    assert found["0/images_per_second"] == [([20, 30], [80.0, 100.0])]  # the first row compiled
    assert found.keys() == {"0/d/loss", "0/g/loss", "0/images_per_second"}


def test_settings_that_the_user_changed_come_first_with_their_defaults(plain, of_plain):
    (run,) = run_summary.summaries([plain])
    assert run.settings[:2] == (
        run_summary.Setting("--steps", "60", "24"),
        run_summary.Setting("--width", "16", "8"),
    )
    assert not any(setting.changed for setting in run.settings[2:])
    text = Read(of_plain).text
    assert "Changed from the preset: flag value preset --steps 60 24 --width 16 8 As in" in text


def test_facts_are_those_of_the_log(plain):
    (run,) = run_summary.summaries([plain])
    assert run.facts["steps"] == "30 of 60"
    assert run.facts["training time"] == "7 seconds"
    assert "peak memory" not in run.facts  # a log of before it was logged
    assert run.facts["images per second"] == "90 (median)"
    assert run.facts["data"] == "ring, 2 numbers"


def test_the_time_of_a_step_is_interpolated_between_rows(plain):
    (run,) = run_summary.summaries([plain])
    assert [run.seconds_at(step) for step in (0, 5, 10, 15, 30, 99)] == [0, 2, 4, 4.5, 7, 7]


def test_the_command_continues_a_run_and_lengthens_a_finished_one(tmp_path):
    paths = [made(tmp_path / "a b", steps=60), made(tmp_path / "done", steps=30)]
    unfinished, finished = (run.continuing for run in run_summary.summaries(paths))
    python = invocation.python()
    assert unfinished == f"{python} -m tests.toy_experiment --workdir '{tmp_path / 'a b'}'"
    assert finished.endswith("done --steps 60")


def test_nothing_of_a_run_is_read_as_html(tmp_path):
    rows = [{"step": 1, HOSTILE: 1.0, "seconds": 1.0}, measured(2, 3.0, warnings=[HOSTILE])]
    run = made(tmp_path / "<b>&amp;", rows=rows, data=HOSTILE)
    text = written(run, diagnosis=True)  # it cannot be diagnosed, and says why
    assert HOSTILE not in text
    read = Read(text)
    assert [one.get("id") for one in read.all("script")] == ["report", None, None]
    assert not any(one.get("src") == "x" for one in read.all("img")) and not read.all("b")
    assert read.text.count(HOSTILE) >= 3  # data, metric, warning: all shown as they are
    assert "<b>&amp; - jaxgan report" in read.text


def test_a_run_that_has_logged_and_drawn_nothing_has_a_page(tmp_path):
    run = toy_runs.recorded(tmp_path / "new\udcff")  # a name that is not UTF-8
    text = written(run)
    assert len(text) < 100_000  # without Bokeh
    assert "Nothing has been logged yet" in text and "No samples have been drawn yet" in text


def test_an_experiment_that_is_not_named_is_reported_without_its_defaults(tmp_path):
    run = made(tmp_path / "own")
    (run / "mine.py").write_text("raise SystemExit('this code must not be run')")
    record = json.loads((run / "config.json").read_text())
    record["experiment"] = {"module": None, "file": str(run / "mine.py"), "sha256": "0"}
    (run / "config.json").write_text(json.dumps(record))
    said: list[str] = []
    text = Read(written(run, said=said)).text
    assert "which settings are defaults is not known" in said[0] and "--experiment FILE" in said[0]
    assert said[0] in text.replace("warning: own:", f"warning: {run}:")
    assert "--width 8 -" in text and text.startswith("own - jaxgan report own mine warning")


def test_a_damaged_line_of_the_log_is_left_out_and_said(tmp_path):
    run = made(tmp_path / "damaged")
    with open(run / "metrics.jsonl", "a") as log:
        log.write('{"step": 40, "d/loss": "high"}\n')
    said: list[str] = []
    text = written(run, said=said)
    assert said[0].startswith(f"warning: {run}: a damaged line of metrics.jsonl is left out")
    assert "warning: damaged: a damaged line of metrics.jsonl is left out" in Read(text).text
    assert drawn(text)["0/d/loss"] == [([10, 20, 30], [1.5, 1.25, 1.0])]


# --- what is refused ------------------------------------------------------------------------------


def refused(capsys, *arguments: object) -> str:
    assert report.main([*map(str, arguments), "--no-diagnosis"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    return said


def test_what_cannot_be_reported_is_refused_in_one_sentence(plain, tmp_path, capsys, monkeypatch):
    assert refused(capsys) == "error: no run is named; expected jaxgan report RUN"
    missing = refused(capsys, plain, tmp_path / "none")
    assert missing == f"error: no run directory at {tmp_path / 'none'}"
    own = tmp_path / "mine.html"
    own.write_text("my own page")
    assert "is no report, so it is not replaced" in refused(capsys, plain, "--out", own)
    assert own.read_text() == "my own page"
    assert "is a folder; expected --out FILE.html" in refused(capsys, plain, "--out", tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refused(capsys, plain) == "error: a report needs bokeh: pip install 'jaxgan[report]'"


def test_an_earlier_report_is_replaced(plain, tmp_path):
    out = tmp_path / "pages" / "one.html"
    first = written(plain, out=out)
    assert written(plain, out=out).count("<h2") == first.count("<h2")


def test_a_report_leaves_the_run_as_it_was(tmp_path):
    run = made(tmp_path / "run")
    before = toy_runs.snapshot(run)
    written(run)
    after = toy_runs.snapshot(run)
    assert after.pop(pathlib.Path("report.html"))
    assert after == before


# --- curves ---------------------------------------------------------------------------------------


def test_metrics_are_grouped_in_panels(tmp_path):
    names = (
        "discriminator/loss",
        "generator/loss",
        "discriminator/real_accuracy",
        "discriminator/real_logit",
        "discriminator/real_sign",
        "augmentation/probability",
        "generator/gradient_norm",
        "discriminator/penalty",
    )
    evaluated = {f"evaluation/proxy_{name}": 0.5 for name in ("fid", "precision", "recall")}
    rows = [{"step": 1, **dict.fromkeys(names, 1.0), "images_per_second": 9.0}, {"step": 2}]
    rows[1] |= {**measured(2, 1.0), **evaluated}
    found = curves.panels(run_summary.summaries([made(tmp_path / "run", rows=rows)]))
    assert {panel.title: [line.metric for line in panel.lines] for panel in found} == {
        "evaluation: fid": ["evaluation/fid"],
        "evaluation: proxy fid": ["evaluation/proxy_fid"],
        "evaluation: proxy precision, recall, density, coverage": [
            "evaluation/proxy_precision",
            "evaluation/proxy_recall",
        ],
        "losses": ["discriminator/loss", "generator/loss"],
        "accuracies of the discriminator": ["discriminator/real_accuracy"],
        "mean logits": ["discriminator/real_logit"],
        "overfitting: mean sign of real logits (r_t), probability of augmentation (p)": [
            "discriminator/real_sign",
            "augmentation/probability",
        ],
        "gradient norms": ["generator/gradient_norm"],
        "discriminator: penalty": ["discriminator/penalty"],
        "images per second": ["images_per_second"],
    }
    assert found[0].title.startswith("evaluation") and found[-1].title == curves.SPEED


def of_seeds(count: int) -> list[dict]:
    values = [float(seed) for seed in range(count)]
    members = {"seed": list(range(count)), "g/loss": values}
    return [{"step": 5, "g/loss": sum(values) / count, "members": members}]


def test_every_seed_has_a_line_next_to_their_mean(tmp_path):
    run = made(tmp_path / "run", rows=of_seeds(3), seeds=3)
    found = drawn(written(run))["0/g/loss"]  # in any order
    assert sorted(found) == [([5], [value]) for value in (0.0, 1.0, 1.0, 2.0)]
    (panel,) = curves.panels(run_summary.summaries([run]))
    assert [line.label for line in panel.lines] == [
        "g/loss, mean of seeds",
        *(f"g/loss, seed {seed}" for seed in range(3)),
    ]


def test_of_many_seeds_the_lowest_and_the_highest_are_drawn(tmp_path):
    run = made(tmp_path / "run", rows=of_seeds(9), seeds=9)
    (panel,) = curves.panels(run_summary.summaries([run]))
    assert [(line.label, line.series.values[0]) for line in panel.lines] == [
        ("g/loss, mean of seeds", 4.0),
        ("g/loss, lowest of 9 seeds", 0.0),
        ("g/loss, highest of 9 seeds", 8.0),
    ]


def of_settings(rates: tuple[float, ...], seeds: int) -> list[dict]:
    """A row whose loss is ten times the rate, and the seed more."""
    each = [(rate, seed) for rate in rates for seed in range(seeds)]
    members = {
        "seed": [seed for _, seed in each],
        "settings": {"rate": [rate for rate, _ in each]},
        "g/loss": [10 * rate + seed for rate, seed in each],
    }
    return [{"step": 5, "g/loss": 0.0, "members": members}]


def test_every_setting_of_a_sweep_has_a_line_and_a_color(tmp_path):
    run = made(tmp_path / "run", rows=of_settings((1.0, 2.0), 2), seeds=2)
    (panel,) = curves.panels(run_summary.summaries([run]))
    assert [(line.label, line.series.values[0], line.main) for line in panel.lines] == [
        ("g/loss, rate=1.0, mean of seeds", 10.5, True),
        ("g/loss, rate=1.0, seed 0", 10.0, False),
        ("g/loss, rate=1.0, seed 1", 11.0, False),
        ("g/loss, rate=2.0, mean of seeds", 20.5, True),
        ("g/loss, rate=2.0, seed 0", 20.0, False),
        ("g/loss, rate=2.0, seed 1", 21.0, False),
    ]
    colors = [charts.style(panel, line, runs=1)[0] for line in panel.lines]
    assert colors == [charts.COLORS[0]] * 3 + [charts.COLORS[1]] * 3
    text = Read(written(run)).text
    assert "0 (rate=1.0, seed 0), 1 (rate=1.0, seed 1)" in text
    assert sorted(drawn(written(run))) == ["0/g/loss/0", "0/g/loss/1"]


def test_of_many_settings_the_lowest_and_the_highest_are_drawn(tmp_path):
    rates = tuple(map(float, range(sweeps.MOST_SETTINGS + 1)))
    run = made(tmp_path / "run", rows=of_settings(rates, 1))
    (panel,) = curves.panels(run_summary.summaries([run]))
    assert [line.label for line in panel.lines] == [
        "g/loss, mean of members",
        "g/loss, lowest of 17 members",
        "g/loss, highest of 17 members",
    ]


def test_of_a_sweep_the_first_member_is_diagnosed_or_the_one_that_is_named(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(diagnose, "diagnose", lambda config: asked.append(config) or DIAGNOSED)
    run = made(tmp_path / "run", rows=of_settings((1.0, 2.0), 1))
    written(run, diagnosis=True)
    text = Read(written(run, diagnosis=True, member="rate=2")).text
    assert [(config.model_seed, config.member) for config in asked] == [
        (None, "0"),
        (None, "rate=2"),
    ]
    assert "This is the model of rate=2.0." in text


def test_long_logs_are_averaged_over_rows():
    line = curves.Line(0, "g/loss", "g/loss", Series(np.arange(1, 6), np.array([1, 3, 5, 7, 8.0])))
    thin = curves.thinned(curves.Panel("losses", (line,)), most=3)
    assert thin.rows_per_point == 2
    assert thin.lines[0].series.steps.tolist() == [2, 4, 5]
    assert thin.lines[0].series.values.tolist() == [2, 6, 8]
    assert curves.thinned(thin, most=3) == curves.Panel("losses", thin.lines, 1)


@pytest.mark.parametrize(
    ("values", "logarithmic"), [((1.0, 1000.0), True), ((1.0, 9.0), False), ((0.0, 1e6), False)]
)
def test_only_positive_values_of_wide_range_have_a_logarithmic_axis(values, logarithmic):
    series = Series(np.arange(2), np.array(values))
    line = curves.Line(0, "g/gradient_norm", "g/gradient_norm", series)
    assert curves.Panel("gradient norms", (line,)).logarithmic == logarithmic


def test_colors_of_lines_are_seen_on_light_and_on_dark_pages():
    """WCAG 2.1, 1.4.11: a contrast of at least 3."""

    def luminance(color: str) -> float:
        parts = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    style = (pathlib.Path(page.__file__).parent / "page.css").read_text()
    cards = re.findall(r"--card: (#[0-9a-f]{6})", style)
    assert len(cards) == 2
    for card in map(luminance, cards):
        for color in map(luminance, charts.COLORS):
            assert (max(card, color) + 0.05) / (min(card, color) + 0.05) >= 3


# --- pictures -------------------------------------------------------------------------------------


def test_chosen_grids_are_evenly_spaced_with_the_first_and_the_last():
    assert pictures.evenly([0, 10, 20], 3) == [0, 10, 20]
    assert pictures.evenly(list(range(0, 101, 10)), 3) == [0, 50, 100]
    assert pictures.evenly([3, 5, 7, 9], 2) == [3, 9]


def test_grids_that_do_not_fit_are_thinned_and_said(tmp_path):
    run = made(tmp_path / "run", grids=range(0, 600, 10), side=40)
    (whole,) = pictures.albums(run_summary.summaries([run]), budget=10**6)
    assert len(whole.grids) == 60 and not whole.remarks
    size = sum(len(grid.picture.uri) for grid in whole.grids)
    (album,) = pictures.albums(run_summary.summaries([run]), budget=size - 1)
    assert len(album.grids) == 40
    assert (album.grids[0].step, album.grids[-1].step) == (0, 590)
    assert album.remarks == (
        "40 of 60 sample grids are shown, evenly spaced, to keep the page small",
    )
    with pytest.raises(RunError, match="do not fit into a page of 100 characters"):
        pictures.albums(run_summary.summaries([run]), budget=100)


def test_a_picture_that_cannot_be_read_is_left_out_and_said(tmp_path):
    run = made(tmp_path / "run")
    (run / "samples" / "000010.png").write_bytes(b"no picture")
    (album,) = pictures.albums(run_summary.summaries([run]), budget=10**6)
    assert [grid.step for grid in album.grids] == [0, 30]
    assert album.remarks[0].startswith("000010.png is left out: ")
    assert "000010.png is left out" in written(run)


def test_what_other_commands_have_drawn_is_next_to_the_samples(tmp_path):
    run = made(tmp_path / "run")
    for folder in ("latents", "projected"):
        (run / folder).mkdir()
    for name in ("samples/real", "latents/walk", "nearest", "projected/pairs"):
        Image.new("L", (6, 4), 200).save(run / f"{name}.png")
    texts = [image["alt"] for image in Read(written(run)).all("img")]
    assert texts == [
        *(f"samples of run at step {step}" for step in (0, 10, 30)),
        "training images",
        "nearest training images, next to samples of run",
        "photographs, their projections, the nearest samples of run",
        "latents: walk of run",
    ]


def test_a_diagnosed_run_shows_its_latents_and_the_nearest_training_images(
    finished, tmp_path, monkeypatch
):
    monkeypatch.setattr(diagnose, "diagnose", lambda config: DIAGNOSED)
    before, said = toy_runs.snapshot(finished), []
    page = Read(written(finished, diagnosis=True, out=tmp_path / "page.html", said=said))
    drawn = {image["alt"] for image in page.all("img")}
    near = "samples, each followed by the training images nearest in pixels of finished"
    assert {"between latents of finished", near} <= drawn
    assert said[-1] == f"film its images: {invocation.called('interpolate', finished)}"
    assert toy_runs.snapshot(finished) == before


def test_runs_are_shown_at_equal_steps_and_at_equal_times():
    tiny = pictures.Picture("data:,", 1, 1)

    def album(*pairs: tuple[int, float]) -> pictures.Album:
        grids = tuple(pictures.Grid(step, seconds, tiny) for step, seconds in pairs)
        return pictures.Album(grids, None, {}, ())

    both = [album((0, 0.0), (10, 1.0), (20, 2.0)), album((5, 0.5), (10, 3.0)), album()]
    assert pictures.by_step(both) == [
        (0, (0, 0, None)),
        (5, (0, 0, None)),
        (10, (1, 1, None)),
        (20, (2, 1, None)),
    ]
    assert pictures.by_time(both) == [
        (0, (0, 0, None)),
        (0.5, (0, 0, None)),
        (1, (1, 0, None)),
        (2, (2, 0, None)),
        (3, (2, 1, None)),
    ]


# --- several runs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(tmp_path_factory, plain) -> pathlib.Path:
    """A run with other settings than `plain`, which evaluated and whose metrics look like TeX."""
    folder = tmp_path_factory.mktemp("runs")
    rows = [{**row, "$$d$$/loss": 1e-3 * row["step"]} for row in ROWS]
    rows = [{**row, "seconds": 3 * row["seconds"]} for row in rows]
    rows += [measured(30, 12.5, samples=100)]
    return made(folder / "wide", rows=rows, grids=(0, 15, 30, 45), width=32, steps=60, seed=1)


def test_only_settings_that_differ_are_compared(plain, compared):
    written(plain)
    runs = run_summary.summaries([plain, compared])
    assert run_summary.differing(runs) == [("--width", ["16", "32"]), ("--seed", ["0", "1"])]
    assert (
        "flag plain wide --width 16 32 --seed 0 1 Settings of plain"
        in Read(written(plain, compared)).text
    )
    assert not (plain / "comparison.html").samefile(plain / "report.html")


def test_lines_of_several_runs_are_in_one_panel(plain, compared):
    found = drawn(written(plain, compared))
    assert found["0/d/loss"] == found["1/d/loss"] == [([10, 20, 30], [1.5, 1.25, 1.0])]
    assert found["1/evaluation/fid"] == [([30], [12.5])]


def test_the_best_evaluation_is_the_one_that_ranks_checkpoints(tmp_path):
    rows = [measured(10, 3.0), measured(20, 2.0), measured(30, 2.5)]
    (run,) = run_summary.summaries([made(tmp_path / "run", rows=rows)])
    assert run.facts["best evaluation"] == "evaluation/fid 2 (lowest) at step 20"


def test_numbers_that_do_not_compare_are_said(tmp_path):
    runs = [
        made(tmp_path / name, rows=[measured(10, 3.0, samples=samples)])
        for name, samples in (("a", 10), ("b", 10), ("c", 20))
    ]
    warning = "evaluated with different settings, so that their numbers do not compare"
    assert warning not in written(*runs[:2])
    assert warning in written(*runs[1:])


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    paths = [made(tmp_path / folder / "run") for folder in ("one", "two")]
    assert [run.name for run in run_summary.summaries(paths)] == [str(path) for path in paths]


# --- the diagnosis --------------------------------------------------------------------------------

DIAGNOSED = {
    "run": "RUN",
    "step": 30,
    "steps": 60,
    "verdict": "findings",
    "because": [],
    "findings": [
        {
            "kind": "collapse",
            "what": "The samples have collapsed.",
            "since": 20,
            "evidence": {"distance": 0.123456},
            "advice": [{"do": "--augment ada", "why": "it helps", "source": "Somebody 2020"}],
        }
    ],
    "numbers": {"eigenvalue": [1.0, -2.0]},
    "remarks": ["a remark"],
    "looked at": {"the samples": "1000 of them"},
    "not examined": {"the Jacobian": "it was not asked for"},
}


def test_the_diagnosis_is_that_of_the_command(plain, monkeypatch):
    asked = []
    monkeypatch.setattr(diagnose, "diagnose", lambda config: asked.append(config) or DIAGNOSED)
    text = Read(written(plain, diagnosis=True, checkpoint="20")).text
    assert (asked[0].run, asked[0].checkpoint, asked[0].model_seed) == (plain, "20", None)
    assert "RUN after 30 of 60 steps: one finding" in text
    assert "The samples have collapsed. since step 20 at the latest distance: 0.123" in text
    assert "try --augment ada: it helps (Somebody 2020)" in text
    assert "eigenvalue 1-2i" in text and "the Jacobian it was not asked for" in text


def test_a_run_that_cannot_be_diagnosed_is_reported_with_the_reason(plain, of_plain, monkeypatch):
    def fail(config):
        raise RunError("there is no checkpoint")

    monkeypatch.setattr(diagnose, "diagnose", fail)
    text = Read(written(plain, diagnosis=True)).text
    assert "The run could not be diagnosed: there is no checkpoint" in text
    assert "diagnosed" not in Read(of_plain).text


def test_of_several_seeds_the_first_is_diagnosed_or_the_one_that_is_named(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(diagnose, "diagnose", lambda config: asked.append(config) or DIAGNOSED)
    run = made(tmp_path / "run", rows=of_seeds(3), seeds=3)
    written(run, diagnosis=True)
    written(run, diagnosis=True, model_seed=2)
    assert [config.model_seed for config in asked] == [0, 2]


# --- in a browser ---------------------------------------------------------------------------------


SHOWN = "return [...document.querySelectorAll('figure:not([hidden]) img')].map((one) => one.alt)"
VALUES = """
return Object.fromEntries([...document.querySelectorAll('.value')].map(
    (one) => [one.dataset.line, one.textContent]))
"""
AT = "return document.querySelector('.at').textContent"
CENTER = """
const chart = document.querySelector(arguments[0]);
chart.scrollIntoView({block: 'center'});
const place = chart.getBoundingClientRect();
return [place.x + place.width / 2, place.y + place.height / 2];
"""


def within(seconds: float, condition) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_page_works_in_a_browser(plain, compared, chromium):
    written(plain, compared)
    chromium.look(width=1280)
    chromium.open(plain / "comparison.html")
    assert chromium.run(SHOWN) == ["samples of plain at step 30", "samples of wide at step 45"]
    assert chromium.run(VALUES)["0/d/loss"] == "1"

    for _ in range(3):  # 45, 30, 15, 10
        chromium.press("ArrowLeft")
    assert chromium.run("return document.getElementById('at').textContent") == "step 10"
    spoken = "return document.getElementById('time').getAttribute('aria-valuetext')"
    assert chromium.run(spoken) == "step 10"
    assert chromium.run(SHOWN) == ["samples of plain at step 10", "samples of wide at step 0"]
    assert chromium.run(VALUES)["0/d/loss"] == "1.5"
    chromium.run("document.querySelector('input[value=time]').click()")
    for _ in range(2):  # the grids of `wide` are at 0, 13.5, 21, 21 s, those of `plain` at 0, 4, 7
        chromium.press("ArrowLeft")
    assert chromium.run(SHOWN) == ["samples of plain at step 30", "samples of wide at step 0"]

    chromium.point(*chromium.run(CENTER, ".chart"))
    within(10, lambda: "at step" in chromium.run(AT))
    assert 10 <= int(chromium.run(AT).split()[-1]) < 20
    assert chromium.run(VALUES)["1/$$d$$/loss"] == "0.01"  # the row of step 10

    assert not [line for line in chromium.console() if "[bokeh" not in line]
    assert chromium.requested() == [(plain / "comparison.html").resolve().as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_in_either_scheme(plain, compared, chromium, scheme):
    written(plain, compared)
    chromium.look(width=390, scheme=scheme)
    chromium.open(plain / "comparison.html")
    assert chromium.run("return document.documentElement.scrollWidth") == 390
    ink = chromium.run("return Bokeh.documents[0].roots()[0].below[0].major_label_text_color")
    assert ink == {"light": "#5c6068", "dark": "#a2a8b2"}[scheme]
    chromium.tap(*chromium.run(CENTER, ".chart"))
    within(10, lambda: chromium.run(AT) != "at step 45")
    assert 10 <= int(chromium.run(AT).split()[-1]) < 20
    labels = "return [...document.querySelectorAll('input')].map((one) => one.labels.length)"
    assert set(chromium.run(labels)) == {1}


def test_the_packages_of_the_page_are_in_the_extra():
    import tomllib

    project = tomllib.loads((toy_runs.ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split("[>=]", text)[0] for text in project["optional-dependencies"]["report"]]
    assert names == ["bokeh", "jinja2"]
