"""The statistics of real images, gathered once: they are kept in files named by a digest of the
data and of every setting that changes them.
"""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxgan import data, files
from jaxgan.metrics import features, streaming
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.streaming import Show, Stream

_FORMAT = 2
"""Of the files: another one wherever a stream of the same name gathers something else."""

_SEAL = "sealed"
"""What a file calls the digest of its own content."""

_MOST_BYTES = 2**30
"""Of a statistic that is kept: what is larger is as soon gathered anew."""


def folder() -> pathlib.Path:
    """Where statistics are kept by default."""
    return files.cache_folder("statistics")


def statistics(
    streams: Iterable[Stream],
    real: data.Dataset,
    *,
    extractor: Extractor,
    piece: int,
    folder: pathlib.Path | None,
    show: Show = streaming.unseen,
) -> dict[str, Any]:
    """The statistic of each stream, by name, of all real images, `piece` of them at a time: that in
    the folder where there is one, and gathered, and kept there, where there is none.

    Images are seen as they are stored, never mirrored, and `show` tells of it. A folder that cannot
    be written to, or None, keeps nothing.
    """
    files = {
        stream.name: (folder or pathlib.Path()) / f"{key(stream, real, extractor)}.npz"
        for stream in streams
    }
    missing, found = [], {}
    for stream in streams:
        state = _read(files[stream.name], stream) if folder else None
        found[stream.name] = state
        if state is None:
            missing.append(stream)
    if not missing:
        return found
    parts = (real.images[at : at + piece] for at in range(0, len(real), piece))
    told = show(parts, len(real), f"looking at {len(real)} images of {real.name}")
    seen = features.pieces(told, extractor, streaming.sights(missing))
    for name, state in streaming.gather(missing, seen).items():
        found[name] = state
        if folder:
            _write(files[name], state)
    return found


def key(stream: Stream, real: data.Dataset, extractor: Extractor) -> str:
    """The sha256, in hex, of all that a statistic of real images depends on."""
    described = {
        "format": _FORMAT,
        "data": real.digest,
        "levels": features.LEVELS,
        "statistic": stream.name,
        "features": None if stream.sees == "images" else dict(extractor.settings),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()


def _read(path: pathlib.Path, stream: Stream) -> Any:
    """The statistic in the file; None where there is none, or it is damaged or not what was kept
    under this name: then it is gathered again.
    """
    kind = type(stream.finish(stream.init()))
    try:
        if not path.is_file() or path.stat().st_size > 2 * _MOST_BYTES:
            return None  # a pipe would never end
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in kind._fields}
            whole = str(file[_SEAL]) == _seal(path.stem, arrays)
        return kind(**arrays) if whole else None
    except Exception:  # whatever such a file makes a reader do
        return None


def _seal(key: str, arrays: Mapping[str, np.ndarray]) -> str:
    """The sha256, in hex, of a statistic and the key that it is kept under: whatever else has got
    into a file of this name has another.
    """
    found = hashlib.sha256(key.encode())
    for name, array in arrays.items():
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _write(path: pathlib.Path, state: Any) -> None:
    arrays = {name: np.asarray(value) for name, value in state._asdict().items()}
    if sum(array.nbytes for array in arrays.values()) > _MOST_BYTES:
        return
    content = io.BytesIO()
    seal = {_SEAL: np.asarray(_seal(path.stem, arrays))}
    np.savez(content, allow_pickle=False, **arrays, **seal)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(path, content.getvalue())
    except OSError:
        return  # nothing is lost but time
