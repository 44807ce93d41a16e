"""Rows are means over the steps since the last row, whatever the calls and the interruptions."""

from __future__ import annotations

import json
import resource

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.runs import metric_log, progress
from jaxgan.runs.errors import NotFinite, RunStopped
from jaxgan.state import Mean


def metrics(*values, count=2.0):
    """What a call reports whose steps had these losses: scalars of one step, stacked of more."""
    totals, counts = count * np.float32(values), np.full(len(values), np.float32(count))
    if len(values) == 1:
        totals, counts = totals[0], counts[0]
    return {
        "d/loss": Mean(jnp.asarray(totals), jnp.asarray(counts)),
        "g/rare": Mean(jnp.zeros_like(totals), jnp.zeros_like(counts)),
    }


def recorder(every, *, sinks=(), notes=None, **options):
    return metric_log.Recorder(
        every=every, rows_per_step=8, sinks=sinks, notes=notes or {}, **options
    )


def losses(rows):
    return [(row["step"], row["d/loss"]) for row in rows]


@pytest.mark.parametrize("per_call", [1, 2, 3, 6])
def test_rows_are_means_of_every_so_many_steps_however_many_a_call(per_call):
    rows = []
    record = recorder(2, sinks=[rows.append])
    values = [1.0, 3.0, 5.0, 9.0, 2.0, 4.0]
    for start in range(0, 6, per_call):
        record.add(start, metrics(*values[start : start + per_call]))
    record.settle()
    assert losses(rows) == [(2, 2.0), (4, 7.0), (6, 3.0)]


def test_means_are_weighted_by_what_was_seen():
    rows = []
    record = recorder(2, sinks=[rows.append])
    record.add(0, metrics(1.0, count=3.0))
    record.add(1, metrics(5.0, count=1.0))
    record.settle()
    assert losses(rows) == [(2, 2.0)]


def test_a_metric_that_no_step_has_seen_is_left_out():
    rows = []
    record = recorder(1, sinks=[rows.append])
    record.add(0, metrics(1.0))
    record.settle()
    assert rows[0].keys() == {"step", "d/loss", *metric_log.TIMES}
    assert 50e6 < rows[0]["peak_memory"] < 1e12  # bytes


def test_metrics_are_fetched_late_but_for_the_first_unless_asked_for():
    ticks = []
    record = recorder(100, ahead=4, tick=ticks.append)
    for step in range(10):
        record.add(step, metrics(1.0))
        assert len(ticks) == max(1, step + 1 - 4)
    record.settle()
    assert ticks == list(range(1, 11))


@pytest.mark.parametrize("stop", range(1, 7))
def test_a_recorder_that_goes_on_from_notes_writes_the_rows_of_one_that_never_stopped(stop):
    rows = []
    record = recorder(3, sinks=[rows.append])
    for step in range(7):
        if step == stop:
            record.settle()
            notes = json.loads(json.dumps(record.notes))
            record.write_rest()  # as a finished run does; to be cut
            rows = [row for row in rows if row["step"] <= notes["logged"]]
            record = recorder(3, sinks=[rows.append], notes=notes)
        record.add(step, metrics(0.1 * step))
    record.settle()
    record.write_rest()
    straight = []
    record = recorder(3, sinks=[straight.append])
    for step in range(7):
        record.add(step, metrics(0.1 * step))
    record.settle()
    record.write_rest()
    assert losses(rows) == losses(straight)  # exactly
    assert [row["step"] for row in rows] == [3, 6, 7]


def test_a_rest_is_written_once_and_only_where_there_is_one():
    rows = []
    record = recorder(2, sinks=[rows.append])
    record.write_rest()
    record.add(0, metrics(1.0, 1.0))
    record.settle()
    record.write_rest()
    assert [row["step"] for row in rows] == [2]
    record.add(2, metrics(1.0))
    record.settle()
    record.write_rest()
    record.write_rest()
    assert [row["step"] for row in rows] == [2, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_step_that_is_not_finite_is_named_inside_a_call_too(value):
    rows = []
    record = recorder(1, ahead=4, sinks=[rows.append])
    record.add(8, metrics(1.0, 2.0))
    record.add(10, metrics(3.0, value, value, 1.0))
    with pytest.raises(NotFinite, match=f"^d/loss is {value} at step 12$"):
        record.settle()
    assert [row["step"] for row in rows] == [9, 10, 11]


def test_a_loss_is_named_before_what_it_has_spoilt():
    broken = metrics(np.nan)
    with pytest.raises(NotFinite, match=r"^d/loss is nan at step 1 \(and with it a/gradient_norm"):
        recorder(1).add(0, {"a/gradient_norm": broken["d/loss"], "d/loss": broken["d/loss"]})


def of_members(*losses):
    """What a call reports of two members: scalars [S] of one step, stacked [K, S] of more."""
    totals = np.float32(losses) if len(losses) > 1 else np.float32(losses[0])
    return {"d/loss": Mean(jnp.asarray(totals), jnp.ones_like(totals))}


@pytest.mark.parametrize("per_call", [1, 2])
def test_rows_of_a_population_hold_the_mean_and_every_member(per_call):
    rows = []
    record = recorder(2, sinks=[rows.append], seeds=[5, 6])
    values = [(1.0, 3.0), (2.0, 5.0), (0.0, 8.0), (2.0, 0.0)]
    for start in range(0, 4, per_call):
        record.add(start, of_members(*values[start : start + per_call]))
    record.settle()
    assert losses(rows) == [(2, 2.75), (4, 2.5)]
    members = [row["members"] for row in rows]
    assert members == [
        {"seed": [5, 6], "d/loss": [1.5, 4.0]},
        {"seed": [5, 6], "d/loss": [1.0, 4.0]},
    ]


def test_a_population_goes_on_from_notes():
    rows = []
    record = recorder(2, sinks=[rows.append], seeds=[5, 6])
    record.add(0, of_members((1.0, 3.0)))
    record.settle()
    notes = json.loads(json.dumps(record.notes))
    record = recorder(2, sinks=[rows.append], seeds=[5, 6], notes=notes)
    record.add(1, of_members((2.0, 5.0)))
    record.settle()
    assert rows[0]["members"]["d/loss"] == [1.5, 4.0]


def test_the_member_that_is_not_finite_is_named():
    record = recorder(1, seeds=[5, 6])
    with pytest.raises(NotFinite, match=r"^d/loss is nan at step 10 of seed 6$"):
        record.add(8, of_members((1.0, 2.0), (3.0, np.nan), (np.nan, 1.0)))


def test_steps_that_are_not_finite_are_noticed_a_few_calls_later_at_most():
    record = recorder(10_000)
    with pytest.raises(NotFinite, match="at step 3"):
        for step in range(20):
            record.add(step, metrics(np.nan if step == 2 else 1.0))


def test_the_rate_leaves_out_the_call_that_compiled(monkeypatch):
    clock = iter([0.0, 100.0, 100.0, 100.5, 100.5, 100.5, 101.0, 101.0, 101.0, 101.0])
    monkeypatch.setattr(metric_log.time, "monotonic", lambda: next(clock))
    rows = []
    record = recorder(1, sinks=[rows.append])
    for step in range(3):
        record.add(step, metrics(1.0))
    record.settle()
    rates = [row["images_per_second"] for row in rows]
    assert rates[0] == 0.0  # unknown
    assert rates[1] == pytest.approx(8 / 0.5)


def test_time_that_is_not_training_counts_neither_for_the_rate_nor_for_the_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(metric_log.time, "monotonic", lambda: now[0])
    rows = []
    record = recorder(2, sinks=[rows.append])
    for step in range(2):
        record.add(step, metrics(1.0))
    with record.paused():
        now[0] += 100.0
    for step in range(2, 4):
        now[0] += 0.5
        record.add(step, metrics(1.0))
    assert rows[1]["images_per_second"] == pytest.approx(2 * 8 / 1.0)
    assert rows[1]["seconds"] == 1.0


def test_the_wait_for_data_is_a_fraction_of_the_time_since_the_last_row(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(metric_log.time, "monotonic", lambda: now[0])
    rows = []
    record = recorder(2, sinks=[rows.append])
    record.waited(9.0)  # while the first call compiles
    record.add(0, metrics(1.0))
    for step in range(1, 6):
        now[0] += 0.5
        record.waited(0.125 if step < 4 else 0.0)
        record.add(step, metrics(1.0))
    assert [row["data_wait"] for row in rows] == [0.25, 0.25, 0.0]


def test_lines_are_cut_back_to_a_step_and_a_torn_last_line_goes(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write = metric_log.json_lines(path)
    for step in (2, 4, 6):
        write({"step": step, "loss": 0.5})
    with path.open("a") as file:
        file.write('{"step": 8, "lo')
    metric_log.cut(path, after=6, measured=0)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [2, 4, 6]
    metric_log.cut(path, after=5, measured=0)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [2, 4]
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]
    metric_log.cut(tmp_path / "absent", after=5, measured=0)


def measurement(step, **entries):
    aim = {"metric": "fid", "number": "evaluation/fid", "best": "lowest"}
    measured = {"aim": aim, "settings": {"metrics": {"fid": {}}}, "warnings": []}
    return {"step": step, "evaluation/fid": 9.0, metric_log.MEASURED: measured, **entries}


def test_measurements_are_cut_back_by_themselves(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write = metric_log.json_lines(path)
    for row in ({"step": 2}, measurement(3), {"step": 4}, measurement(4), measurement(5)):
        write(row)
    kept = metric_log.cut(path, after=2, measured=4)
    assert kept == [{"step": 2}, measurement(3), measurement(4)]
    assert metric_log.rows(path) == kept
    assert metric_log.rows(tmp_path / "absent") == []


def test_a_full_disk_is_said_in_one_sentence(tmp_path):
    write = metric_log.json_lines(tmp_path / "metrics.jsonl")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        with pytest.raises(RunStopped, match=r"metrics.jsonl cannot be written to: file too large"):
            write({"step": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


ROW = {
    "step": 20,
    "discriminator/real_accuracy": 0.91,
    "discriminator/fake_accuracy": 0.88,
    "discriminator/real_sign": 0.82,
    "discriminator/gradient_norm": 1.25,
    "generator/gradient_norm": 0.5,
    "images_per_second": 1234.0,
    "seconds": 3.0,
}


SHOWN = "accuracy 0.91/0.88, real sign 0.82, gradient norm 1.25/0.5"
LEGEND = (
    "the numbers below are accuracy: discriminator real/discriminator fake (fraction of images "
    "that are classified correctly); real sign: discriminator (mean sign of the logits of real "
    "images, ADA's r_t: near 1 the discriminator overfits); gradient norm: "
    "discriminator/generator (mean)"
)


def test_the_signals_of_a_game_stand_side_by_side():
    assert progress.signals(ROW) == SHOWN
    assert progress.signals({"step": 3}) == ""


def test_the_legend_names_the_numbers_in_the_order_of_the_line():
    assert progress.legend(ROW) == LEGEND
    assert progress.legend({"step": 3}) == ""
    logits = {"a/fake_logit": 1.0, "a/real_logit": 2.0, "generator/fake_logit": 3.0}
    assert progress.signals(logits) == "logit 2/1/3"
    expected = "the numbers below are logit: a real/a fake/generator fake (mean)"
    assert progress.legend(logits) == expected


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00:00"), (59.6, "0:01:00"), (3723, "1:02:03"), (4e5, "111:06:40")]
)
def test_clock_shows_hours_minutes_and_seconds(seconds, shown):
    assert progress.clock(seconds) == shown


def show(tmp_path):
    shown = progress.Progress(
        title="toy", start=10, total=30, rows_per_step=617, log=tmp_path / "log.txt"
    )
    shown.tick(20)
    shown.show(ROW)
    shown.say("a note")
    shown.close()


def test_without_a_terminal_there_are_plain_lines(tmp_path, capsys):
    show(tmp_path)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines() == [
        LEGEND,
        f"step 20/30, 1,234 images/s, 0:00:05 left, {SHOWN}",
        "a note",
    ]
    assert (tmp_path / "log.txt").read_text() == f"{LEGEND}\na note\n"


@pytest.mark.parametrize(("wait", "shown"), [(0.0499, ""), (0.05, "5%"), (0.618, "62%")])
def test_a_noticeable_wait_for_data_is_shown(tmp_path, capsys, monkeypatch, wait, shown):
    monkeypatch.setitem(ROW, "data_wait", wait)
    show(tmp_path)
    said = f", {shown} of the time waiting for data" if shown else ""
    assert f"1,234 images/s{said}, 0:00:05 left" in capsys.readouterr().out


def test_on_a_terminal_there_is_a_bar(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    show(tmp_path)
    captured = capsys.readouterr()
    assert captured.out == f"{LEGEND}\na note\n"
    assert "20/30" in captured.err
    assert "1,234 images/s, accuracy 0.91/0.88" in captured.err
