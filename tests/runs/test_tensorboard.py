"""TensorBoard's event files: what they hold, at once and after a run is continued."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto import event_pb2, plugin_hparams_pb2

from jaxgan.runs import tensorboard
from tests import toy_runs
from tests.runs.test_metric_log import measurement


def events(path):
    """The events of a TensorBoard file: records of length, checksum, event, checksum."""
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack("<Q", content[at : at + 8])
        yield event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
        at += 16 + length


def of_kind(path, kind):
    """Of the one event file, (step, tag, what it holds) of the values of a kind, in order."""
    (file,) = path.glob("events.out.tfevents.*")
    values = ((event.step, value) for event in events(file) for value in event.summary.value)
    return [(s, v.tag, getattr(v, kind)) for s, v in values if v.WhichOneof("value") == kind]


def scalars(path):
    """The one event file's points, in order."""
    return of_kind(path, "simple_value")


def test_event_files_hold_each_row_at_once_and_none_twice(tmp_path):
    def row(step):
        return {"step": step, "d/loss": 0.5 * step, "seconds": 2.0 * step}

    def points(*steps):
        return [p for s in steps for p in ((s, "d/loss", 0.5 * s), (s, "seconds", 2.0 * s))]

    board = tensorboard.Events(tmp_path)
    for step in (2, 4, 6):
        board(row(step))
        assert scalars(tmp_path)[-2:] == points(step)  # whatever happens next
    (first,) = tmp_path.iterdir()
    assert not any(event.HasField("session_log") for event in events(first))
    board = tensorboard.Events(tmp_path, [row(2), row(4)])  # what the log was cut back to
    board(row(6))
    board(row(8))
    assert scalars(tmp_path) == points(2, 4, 6, 8)
    (second,) = tmp_path.iterdir()
    assert second.name > first.name  # the order in which TensorBoard reads
    version, void, *rest = events(second)
    assert version.file_version == "brain.Event:2"
    assert void.session_log.status == event_pb2.SessionLog.START and void.step == 0
    times = [event.wall_time for event in rest]
    assert times[1] - times[0] == pytest.approx(4.0) and times == sorted(times)


def test_event_files_hold_a_tag_for_each_member(tmp_path):
    board = tensorboard.Events(tmp_path)
    board({"step": 4, "d/loss": 1.5, "members": {"seed": [5, 6], "d/loss": [1.0, 2.0]}})
    (file,) = tmp_path.iterdir()
    scalars = {v.tag: v.simple_value for e in events(file) for v in e.summary.value}
    assert scalars == {"d/loss": 1.5, "d/loss/seed_5": 1.0, "d/loss/seed_6": 2.0}


def test_event_files_hold_the_numbers_of_a_measurement(tmp_path):
    board = tensorboard.Events(tmp_path)
    board(measurement(4, members={"seed": [5], "evaluation/fid": [8.0]}))
    (file,) = tmp_path.iterdir()
    scalars = {v.tag: v.simple_value for e in events(file) for v in e.summary.value}
    assert scalars == {"evaluation/fid": 9.0, "evaluation/fid/seed_5": 8.0}


def painted(path, gray):
    Image.new("L", (3, 2), gray).save(path)
    return path


def test_a_picture_is_the_file_itself(tmp_path):
    board = tensorboard.Events(tmp_path / "run")
    file = painted(tmp_path / "a.png", 7)
    board.picture(5, file)
    ((step, tag, image),) = of_kind(tmp_path / "run", "image")
    assert (step, tag, image.height, image.width) == (5, "samples", 2, 3)
    assert image.encoded_image_string == file.read_bytes()


def test_a_histogram_counts_every_value(tmp_path):
    board = tensorboard.Events(tmp_path)
    board.histograms(
        4, {"d/real_logit": np.array([[-1.0, 0.0], [0.5, 3.0]]), "d/fake_logit": [2.0]}
    )
    found = of_kind(tmp_path, "histo")
    assert [(step, tag) for step, tag, _ in found] == [
        (4, "d/real_logit/steps"),
        (4, "d/fake_logit/steps"),
    ]
    histogram = found[0][2]
    assert (histogram.min, histogram.max, histogram.num) == (-1, 3, 4)
    assert sum(histogram.bucket) == 4 and histogram.sum == pytest.approx(2.5)


@pytest.mark.parametrize(
    "values",
    [[3e30, np.nextafter(3e30, 4e30)], [-3.4e38, 3.4e38], [2.0] * 3, [3e30] * 2, [0.0, 5e-324]],
    ids=str,
)
def test_a_histogram_of_any_finite_numbers_counts_them(values, tmp_path):
    tensorboard.Events(tmp_path).histograms(1, {"d/real_logit": np.array(values)})
    ((_, _, found),) = of_kind(tmp_path, "histo")
    assert sum(found.bucket) == len(values)


def test_the_flags_are_in_the_tab_of_hyper_parameters(tmp_path):
    flags = {"batch_size": 8, "flip": True, "data": "ring", "grid": None, "freeze": ("a", "b")}
    tensorboard.Events(tmp_path, settings=flags)
    (file,) = tmp_path.iterdir()
    (value,) = [v for e in events(file) for v in e.summary.value]
    assert value.metadata.plugin_data.plugin_name == "hparams"
    content = plugin_hparams_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    found = content.session_start_info.hparams
    assert found["batch_size"].number_value == 8 and found["flip"].bool_value
    assert [found[name].string_value for name in ("data", "freeze")] == ["ring", "('a', 'b')"]
    assert "grid" not in found


def test_a_continued_run_keeps_pictures_and_histograms_up_to_its_step(tmp_path):
    board = tensorboard.Events(tmp_path / "run")
    for step in (2, 4, 6):
        board.picture(step, painted(tmp_path / "a.png", step))
        board.histograms(step, {"d/real_logit": np.arange(step)})
    (file,) = (tmp_path / "run").iterdir()
    with file.open("ab") as torn:
        torn.write(file.read_bytes()[:30])  # killed while it wrote
        torn.write(b"\x09")
    tensorboard.Events(tmp_path / "run", step=4)
    assert [step for step, _, _ in of_kind(tmp_path / "run", "image")] == [2, 4]
    assert [found.num for _, _, found in of_kind(tmp_path / "run", "histo")] == [2, 4]
    for step, _, image in of_kind(tmp_path / "run", "image"):
        kept = painted(tmp_path / "b.png", step).read_bytes()
        assert image.encoded_image_string == kept


def test_a_run_writes_curves_pictures_logits_and_flags(data, tmp_path):
    run = toy_runs.train(tmp_path / "run", data=data, steps=10, sample_every=5, log_every=5)
    assert [step for step, _, _ in of_kind(run, "image")] == [0, 5, 10]
    names = {"discriminator/real_logit", "discriminator/fake_logit", "generator/fake_logit"}
    rows = {row["step"]: row for row in toy_runs.rows(run)}
    for step, tag, histogram in of_kind(run, "histo"):
        assert tag.removesuffix("/steps") in names and histogram.num == 5
        mean = rows[step][tag.removesuffix("/steps")]
        assert histogram.sum / 5 == pytest.approx(mean, rel=1e-5)
    assert len(of_kind(run, "histo")) == 6
    (file,) = run.glob("events.out.tfevents.*")
    flags = [v.tag for e in events(file) for v in e.summary.value if v.metadata.plugin_data.content]
    assert flags == ["_hparams_/session_start_info"]
