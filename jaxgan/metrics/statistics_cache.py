"""A cache of the statistics of real images.

Each file is named by a digest of the data and of every setting that changes the statistic.
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
"""Format number of the files. Increase it when a stream of the same name gathers something else."""

_SEAL = "sealed"
"""Name of the array in a file that holds the digest of the file's content."""

_MOST_BYTES = 2**30
"""The largest statistic that is kept. Larger ones are recomputed as fast as they are read."""


def folder() -> pathlib.Path:
    """Returns the default cache folder."""
    return files.cache_folder("statistics")


def statistics(
    streams: Iterable[Stream],
    real: data.Dataset | data.Arrays,
    *,
    extractor: Extractor,
    piece: int,
    folder: pathlib.Path | None,
    show: Show = streaming.unseen,
) -> dict[str, Any]:
    """Returns the statistic of all real images for each stream, by the stream's name.

    Statistics are read from the cache where it has them. The others are computed and then cached.
    Images are used as they are stored, without mirroring, and arrays as they are transformed.

    Args:
        streams: The statistics to return.
        real: The real images.
        extractor: The network that gives features and probabilities.
        piece: Number of images processed at a time.
        folder: The cache folder. If None, or if it is not writable, nothing is cached.
        show: Reports progress.
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
    shown = real.pictures if isinstance(real, data.Dataset) else real.float_images
    parts = (shown(slice(at, at + piece)) for at in range(0, len(real), piece))
    told = show(parts, len(real), f"statistics of {len(real)} images of {real.name}")
    seen = features.pieces(told, extractor, streaming.sights(missing))
    for name, state in streaming.gather(missing, seen).items():
        found[name] = state
        if folder:
            _write(files[name], state)
    return found


def key(stream: Stream, real: data.Dataset | data.Arrays, extractor: Extractor) -> str:
    """Returns the sha256, in hex, of everything that a statistic of real images depends on.

    Args:
        stream: The statistic.
        real: The real images.
        extractor: The network; ignored if the stream sees only pixels.
    """
    described = {
        "format": _FORMAT,
        "data": real.digest,
        "levels": features.LEVELS if extractor.rounded else None,
        "statistic": stream.name,
        "features": None if stream.sees == "images" else dict(extractor.settings),
    }
    if isinstance(real, data.Arrays):  # whose digest is that of the values before
        described["transform"] = real.transforms["image"]
    return hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()


def _read(path: pathlib.Path, stream: Stream) -> Any:
    """Returns the cached statistic; None if the file is absent, damaged or of other content."""
    kind = type(stream.finish(stream.init()))
    try:
        if not path.is_file() or path.stat().st_size > 2 * _MOST_BYTES:
            return None  # not a pipe: reading one may never end
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in kind._fields}
            whole = str(file[_SEAL]) == _seal(path.stem, arrays)
        return kind(**arrays) if whole else None
    except Exception:  # a damaged file may raise anything in the reader
        return None


def _seal(key: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Returns the sha256, in hex, of a statistic and its key, to detect foreign or damaged data."""
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
        return  # the statistic is computed again next time
