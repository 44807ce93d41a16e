"""Films in every format: as many frames as given, of the size and the colors given."""

from __future__ import annotations

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from jaxgan.plotting import films


def test_colors_are_kept():
    draws = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 1), np.uint8)
    red = np.concatenate([draws, 0 * draws, 0 * draws], axis=3)
    for form in ("GIF", "WEBP"):
        film = films.encoded(red, form, 10)
        assert len(film) > 1000
        with Image.open(io.BytesIO(film)) as read:
            assert (read.n_frames, read.size) == (2, (64, 64))


@pytest.mark.parametrize(
    ("name", "said"),
    [("x.avi", "expected a .gif, .webp, .mp4 file"), ("x.MP4", r"pip install 'jaxgan\[video\]'")],
)
def test_what_cannot_be_written_is_one_sentence(name, said, monkeypatch):
    assert films.form_of(pathlib.Path("x.GIF")) == "GIF"
    monkeypatch.setattr(films.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=said):
        films.form_of(pathlib.Path(name))


def decoded(film: bytes) -> tuple[np.ndarray, float]:
    """The frames of an MP4, uint8 [F, H, W, 3], and frames a second."""
    import av

    with av.open(io.BytesIO(film)) as read:
        (stream,) = read.streams.video
        assert stream.codec_context.name == "h264" and stream.pix_fmt == "yuv420p"
        frames = [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]
        return np.stack(frames), float(stream.average_rate)


def test_an_mp4_holds_the_frames():
    pytest.importorskip("av", reason="PyAV, of the extra video, is not installed")
    levels = np.arange(0, 250, 50, dtype=np.uint8)
    gray = np.broadcast_to(levels[:, None, None, None], (5, 9, 7, 1))
    frames, rate = decoded(films.encoded(gray, "MP4", 12))
    assert rate == 12
    assert frames.shape == (5, 64, 50, 3)  # seven times as large, then even
    np.testing.assert_allclose(
        frames, np.broadcast_to(levels[:, None, None, None], frames.shape), atol=3
    )


def test_transparent_frames_of_an_mp4_are_on_white():
    pytest.importorskip("av", reason="PyAV, of the extra video, is not installed")
    clear = np.zeros((2, 64, 64, 4), np.uint8)
    clear[1] = [0, 0, 200, 255]
    frames, _ = decoded(films.encoded(clear, "MP4", 10))
    np.testing.assert_allclose(frames[0], 255, atol=3)
    np.testing.assert_allclose(frames[1].mean(axis=(0, 1)), [0, 0, 200], atol=6)
