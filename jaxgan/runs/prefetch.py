"""Makes the next batches in a thread while the devices train, and measures the waits for them."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator

from jaxgan.types import Batch

AHEAD = 2
"""Batches that are made ahead: one may take longer than a step if the next takes less."""

Next = Callable[[], tuple[Batch, float]]


@contextlib.contextmanager
def batches(make: Callable[[int], Batch], span: range) -> Iterator[Next]:
    """Yields a function that returns the next batch, and the seconds that it waited for it.

    A batch is a pure function of its step, so those that are made and not used change nothing. What
    a batch raises is raised when it is asked for.

    Args:
        make: `make(t)`, the batch of the call that begins at step t. It is called in one thread.
        span: The steps at which the calls begin.
    """
    with contextlib.ExitStack() as stack:
        pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="batches")
        stack.callback(pool.shutdown, cancel_futures=True)
        steps = iter(span)
        made = collections.deque(pool.submit(make, step) for step in itertools.islice(steps, AHEAD))

        def following() -> tuple[Batch, float]:
            began = time.monotonic()
            batch = made.popleft().result()
            waited = time.monotonic() - began
            made.extend(pool.submit(make, step) for step in itertools.islice(steps, 1))
            return batch, waited

        yield following
