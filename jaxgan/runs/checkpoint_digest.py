"""The digest of a checkpoint, of whole arrays or of parts that several processes hash.

An array that is split over the devices of several processes is hashed in parts, each by the process
that writes it. The digest of the checkpoint is that of the digests of all parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.runs import saved_state
from jaxgan.runs.saved_state import Arrays


class Layout(NamedTuple):
    """An array of a checkpoint, and how it was split.

    Attributes:
        dtype: Name of its type.
        shape: Its shape.
        axis: The axis along which it was split.
        parts: The number of its parts, which are of the same size; 1 if it was whole.
    """

    dtype: str
    shape: Sequence[int]
    axis: int
    parts: int

    @classmethod
    def of(cls, leaf: jax.Array) -> Layout:
        """Returns the layout of an array that is split along one axis at most."""
        part = leaf.sharding.shard_shape(leaf.shape)
        split = [axis for axis, size in enumerate(leaf.shape) if size != part[axis]]
        axis, parts = (split[0], leaf.shape[split[0]] // part[split[0]]) if split else (0, 1)
        return cls(str(leaf.dtype), leaf.shape, axis, parts)


def hashed(leaves: Mapping[str, jax.Array]) -> dict[str, Any]:
    """Returns, of the parts that this process is to write, their digests and what is broken.

    Returns:
        'digests': those of parts by path and number of the part; 'broken': the paths of arrays with
        a part that is not finite.
    """
    digests: dict[str, dict[str, str]] = {}
    broken = []
    for name, leaf in leaves.items():
        layout = Layout.of(leaf)
        for shard in leaf.addressable_shards:
            if shard.replica_id:
                continue
            part = np.asarray(shard.data)
            number = (shard.index[layout.axis].start or 0) if layout.parts > 1 else 0
            number = number * layout.parts // layout.shape[layout.axis] if number else 0
            digests.setdefault(name, {})[str(number)] = _sha256(part)
            if not saved_state.is_finite(part):
                broken.append(name)
    return {"digests": digests, "broken": sorted(set(broken))}


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def of_whole_in_parts(arrays: Arrays, layout: Mapping[str, Layout], meta: Mapping[str, Any]) -> str:
    """Returns the digest of whole arrays that were written in parts."""
    digests = {}
    for name, (_, _, axis, parts) in layout.items():
        pieces = np.split(arrays[name], parts, axis) if parts > 1 else [arrays[name]]
        digests[name] = {str(number): _sha256(piece) for number, piece in enumerate(pieces)}
    return of_parts(digests, meta)


def of_parts(digests: Mapping[str, Mapping[str, str]], meta: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a checkpoint in parts, in hex digits.

    Args:
        digests: Those of the parts, by path and number of the part.
        meta: The JSON object that is stored next to the arrays, without its digest. It holds their
            types and shapes.
    """
    return hashlib.sha256(json.dumps([meta, digests], sort_keys=True).encode()).hexdigest()


def templates(layout: Mapping[str, Layout]) -> dict[str, np.ndarray] | None:
    """Returns arrays in whose place Orbax reads whole ones, whatever devices there were and are."""
    return {
        name: np.broadcast_to(np.zeros((), jnp.dtype(dtype)), shape)
        for name, (dtype, shape, _, _) in layout.items()
    } or None


def of_whole(arrays: Arrays, meta: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a checkpoint, in hex digits.

    Args:
        arrays: Arrays by path. Path, dtype, shape and bytes of each are hashed; empty arrays are
            not.
        meta: The JSON object that is stored next to the arrays, without its digest.
    """
    contents = hashlib.sha256(json.dumps(meta, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        if array.size:
            contents.update(f"{name} {array.dtype} {array.shape}".encode())
            contents.update(np.ascontiguousarray(array).tobytes())
    return contents.hexdigest()
