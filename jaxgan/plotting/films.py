"""Films: frames as a GIF, WebP or MP4 file."""

from __future__ import annotations

import importlib.util
import io
import pathlib

import numpy as np

from jaxgan.plotting import image_grids

FORMATS = {".gif": "GIF", ".webp": "WEBP", ".mp4": "MP4"}
"""The file formats by their suffixes."""

_QUALITY = "18"  # constant rate factor of H.264: no loss that one sees


def form_of(path: pathlib.Path) -> str:
    """Returns the format that a file's suffix names, after checking that it can be written.

    Args:
        path: The file.

    Raises:
        ValueError: If the suffix names no format of a film, or its encoder is not installed.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"expected a {', '.join(FORMATS)} file")
    if form == "MP4" and importlib.util.find_spec("av") is None:
        raise ValueError("an MP4 file needs PyAV: pip install 'jaxgan[video]'")
    return form


def encoded(pixels: np.ndarray, form: str, fps: int) -> bytes:
    """Returns the film as a file; small images are enlarged.

    A GIF or WebP repeats forever. How an MP4 repeats is left to what shows it; it has no
    transparency (white is put behind), and sides of an even number of pixels.

    Args:
        pixels: Frames, uint8 [F, H, W, C].
        form: 'GIF', 'WEBP' or 'MP4'.
        fps: Frames a second.
    """
    factor = image_grids.enlargement(*pixels.shape[1:3])
    large = pixels.repeat(factor, axis=1).repeat(factor, axis=2)
    return _mp4(large, fps) if form == "MP4" else _animated(large, form, fps)


def _animated(pixels: np.ndarray, form: str, fps: int) -> bytes:
    images = [image_grids.image_of(frame) for frame in pixels]
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        format=form,
        save_all=True,
        append_images=images[1:],
        duration=round(1000 / fps),
        loop=0,
    )
    return buffer.getvalue()


def _mp4(pixels: np.ndarray, fps: int) -> bytes:
    """Returns the frames as H.264 with halved colors, which every browser plays."""
    import av  # an extra

    height, width = pixels.shape[1:3]
    even = [(0, 0), (0, height % 2), (0, width % 2), (0, 0)]
    frames = np.pad(_opaque(pixels), even, mode="edge")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=fps, options={"crf": _QUALITY})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        film.mux(stream.encode(None))
    return buffer.getvalue()


def _opaque(pixels: np.ndarray) -> np.ndarray:
    """Returns frames of 1, 3 or 4 channels in RGB, transparent ones on white."""
    if pixels.shape[-1] == 4:
        share = pixels[..., 3:] / 255
        return np.round(share * pixels[..., :3] + 255 * (1 - share)).astype(np.uint8)
    return np.broadcast_to(pixels, (*pixels.shape[:-1], 3))
