"""A source tree's side of `benchmarks.data`: it makes batches and puts them on the device.

python -m benchmarks.side_by_side.data_side TREE BATCH_SIZE FLIP
"""

from __future__ import annotations

import hashlib
import itertools
import pathlib
import sys

from benchmarks.side_by_side import protocol


def main(tree: str, batch_size: int, flip: bool) -> None:
    """Serves turns of steps with the package that lies in a source tree.

    Args:
        tree: The folder of the source tree.
        batch_size: Images in a batch.
        flip: Whether images are mirrored at random.
    """
    sys.path.insert(0, tree)
    import jaxgan

    if pathlib.Path(jaxgan.__file__).resolve().parents[1] != pathlib.Path(tree):
        sys.exit(f"error: there is no jaxgan in {tree}")
    import jax

    from jaxgan import data

    train, steps = data.load("flowers", flip=flip).train, itertools.count()

    def put(count: int) -> None:
        for step in itertools.islice(steps, count):
            batch = train.batch(seed=0, step=step, size=batch_size)
            jax.block_until_ready(jax.device_put(batch))

    first = train.batch(seed=0, step=0, size=batch_size)
    digest = hashlib.sha256(b"".join(first[name].tobytes() for name in sorted(first))).hexdigest()
    put(1)
    protocol.serve({"per_call": 1, "batch": digest}, put)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")
