"""The pool of earlier fakes: what it stores, and what the discriminator sees of it."""

from __future__ import annotations

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from jaxgan import parallel, random
from jaxgan.games import replay_pool

CAPACITY = 5
exchange = jax.jit(replay_pool.exchange)


def numbered(*numbers: int) -> jax.Array:
    """Images of two pixels, all of the given number."""
    return jnp.broadcast_to(jnp.asarray(numbers, jnp.float32)[:, None], (len(numbers), 2))


def keys(seed: int, count: int) -> random.Keys:
    return random.row_keys(jax.random.key(seed), count)


def full() -> replay_pool.Pool:
    """A pool with the images 0 ... CAPACITY - 1 in their places."""
    return exchange(
        replay_pool.pool(CAPACITY, (2,)), numbered(*range(CAPACITY)), keys(0, CAPACITY)
    )[1]


def test_while_there_is_room_images_are_stored_in_turn_and_passed_on():
    pool = replay_pool.pool(CAPACITY, (2,))
    for start, count in ((0, 1), (1, 2), (3, 2)):
        images = numbered(*range(start, start + count))
        passed, pool = exchange(pool, images, keys(start, count))
        np.testing.assert_array_equal(passed, images)
        np.testing.assert_array_equal(pool.taken, np.arange(CAPACITY) < start + count)
    np.testing.assert_array_equal(pool.images, numbered(*range(CAPACITY)))


def test_once_full_it_stores_only_when_it_gives_an_old_image_away():
    pool, returned, places = full(), 0, []
    for seed in range(200):
        new = 100 + seed
        passed, after = exchange(pool, numbered(new), keys(seed, 1))
        before_images, after_images = np.asarray(pool.images), np.asarray(after.images)
        changed = np.flatnonzero(np.any(before_images != after_images, axis=1))
        if passed[0, 0] == new:
            assert changed.size == 0
        else:
            (place,) = changed
            np.testing.assert_array_equal(passed[0], before_images[place])
            np.testing.assert_array_equal(after_images[place], numbered(new)[0])
            returned += 1
            places.append(place)
        assert np.all(after.taken)
        pool = after
    assert abs(returned - 100) < 4 * np.sqrt(200 / 4)
    assert set(places) == set(range(CAPACITY))


def test_the_images_of_a_batch_come_one_after_another():
    rows = keys(3, 12)
    images = numbered(*range(100, 112))
    passed, together = exchange(full(), images, rows)
    pool, alone = full(), []
    for index in range(12):
        row = rows.replace(base=rows.base[index : index + 1])
        shown, pool = exchange(pool, images[index : index + 1], row)
        alone.append(shown)
    np.testing.assert_array_equal(passed, np.concatenate(alone))
    jax.tree.map(np.testing.assert_array_equal, together, pool)


def test_a_batch_larger_than_the_room_left_fills_it_first():
    pool = replay_pool.pool(2, (2,))
    passed, pool = exchange(pool, numbered(*range(6)), keys(0, 6))
    np.testing.assert_array_equal(passed[:2], numbered(0, 1))
    assert np.all(pool.taken)
    # Every image is passed on once, or is in the pool: none is lost but by not being stored.
    assert set(np.asarray(passed)[:, 0]) | set(np.asarray(pool.images)[:, 0]) == set(range(6))


def test_no_gradient_flows_through_the_pool():
    gradient = jax.grad(lambda x: jnp.sum(replay_pool.exchange(full(), x, keys(0, 3))[0]))
    np.testing.assert_array_equal(gradient(numbered(7, 8, 9)), 0.0)


def test_two_names_of_the_keys_give_two_draws():
    images = numbered(*range(100, 130))
    shown = [
        exchange(full(), images, random.fold(keys(0, 30), name))[0] for name in ("one", "other")
    ]
    assert not np.array_equal(*shown)


def test_under_shard_map_each_shard_has_its_own_part():
    mesh = parallel.data_mesh(jax.devices()[:2])
    split = PartitionSpec(parallel.AXIS)
    mapped = jax.jit(
        jax.shard_map(
            replay_pool.exchange,
            mesh=mesh,
            in_specs=(split, split, split),
            out_specs=(split, split),
        )
    )
    pool, seen = replay_pool.pool(4, (2,)), []
    for seed in range(6):
        images = numbered(10 + seed, 20 + seed)
        passed, pool = mapped(pool, images, keys(seed, 2))
        seen.append(np.asarray(passed)[:, 0] // 10)
    np.testing.assert_array_equal(np.stack(seen), [[1, 2]] * 6)
    np.testing.assert_array_equal(np.asarray(pool.images)[:, 0] // 10, [1, 1, 2, 2])


def test_a_batch_split_by_its_sharding_alone_sees_the_whole_pool():
    mesh = parallel.data_mesh(jax.devices()[:2])
    pool = replay_pool.Pool(numbered(0, 1, 2, 3), jnp.ones(4, bool))
    images, rows = numbered(*range(100, 108)), keys(1, 8)
    expected = exchange(pool, images, rows)
    split = partial(parallel.shard, mesh=mesh)
    sharded = split(pool), split(images), split(rows)
    jax.tree.map(np.testing.assert_array_equal, exchange(*sharded), expected)
    # The devices send their images to each other once, not once an image.
    program = exchange.lower(*sharded).compile().as_text()
    assert 1 <= len(re.findall(r"f32\[[\d,]+\]\S* all-gather\(", program)) <= 2
    assert " while(" not in program


def test_a_pool_without_room_is_refused():
    with pytest.raises(ValueError, match="the pool holds 0 images; expected 1 or more"):
        replay_pool.pool(0, (2,))
