"""The bits are JAX's own, and once it is installed their program has no loop."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import random
from jaxgan.kernels import threefry

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# Known answers of Threefry-2x32 with 20 rounds: key, counter, result (Random123's test vectors).
ANSWERS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize("key, counter, expected", ANSWERS)
def test_the_known_answers_of_the_generator(key, counter, expected):
    words = [jnp.uint32(word) for word in (*key, *counter)]
    assert tuple(int(word) for word in threefry.threefry2x32(*words)) == expected


@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (2, 1025)])
def test_draws_are_those_of_jax_on_any_platform(shape):
    """The published bits of a key, as JAX's own definition gives them."""
    draws = jax.random.bits(jax.random.key(42), shape)
    k0, k1 = (jnp.uint32(word) for word in np.asarray(jax.random.key_data(jax.random.key(42))))
    count = jnp.arange(max(1, int(np.prod(shape))), dtype=jnp.uint32)
    same = jnp.zeros_like(count)
    high, low = threefry.threefry2x32(k0 + same, k1 + same, same, count)
    np.testing.assert_array_equal(np.asarray(draws).ravel(), np.asarray(high ^ low))


def _draws_by_pixel(seed):
    """Whether a loop over the pixels of images computes the rounds of a draw per image."""
    keys = random.row_keys(jax.random.key(seed), 4)

    def brightened(base, images):
        change = random.uniform(random.fold(random.Keys(base), "brightness"), (1, 1, 1))
        return (images + change).transpose(1, 2, 0, 3)

    program = jax.jit(brightened).lower(keys.base, jnp.zeros((4, 16, 8, 3))).compile().as_text()
    assert program.count(" xor(") > 20, (
        "the draw is not in the program: what is tested says nothing"
    )
    loops = [part for part in program.split("\n\n") if "f32[4,16,8,3]" in part]
    return any(loop.count(" xor(") > 1 for loop in loops)  # JAX joins both words by one


def test_a_number_of_each_image_is_drawn_once_and_not_for_each_pixel(monkeypatch):
    threefry.install()
    assert not _draws_by_pixel(0)
    monkeypatch.setattr(threefry, "_FEW", 0)
    jax.clear_caches()
    assert _draws_by_pixel(1), "XLA no longer fuses the draw: the loop of its own is not needed"


IMPORTED = """
import importlib, pkgutil
import jax
from jax import monitoring
import jaxgan

def loops():
    draw = jax.jit(lambda key: jax.random.normal(key, (64,)))
    return " while(" in draw.lower(jax.random.key(0)).compile().as_text()

assert loops(), "JAX's own draws have no loop: what is compared says nothing"
jax.clear_caches()
before, listeners = dict(jax.config.values), []
monitoring.register_event_duration_secs_listener = listeners.append
for module in pkgutil.walk_packages(jaxgan.__path__, "jaxgan."):
    if module.name != "jaxgan.__main__":
        importlib.import_module(module.name)
assert loops(), "importing a module replaced the lowering of JAX's random bits"
assert dict(jax.config.values) == before
assert not listeners

from jaxgan.kernels import threefry

before = jax.random.normal(jax.random.key(7), (3, 5))
jax.clear_caches()
threefry.install()
threefry.install()
assert not loops(), "the draws of a run are compiled with a loop"
assert (jax.random.normal(jax.random.key(7), (3, 5)) == before).all()
"""


@pytest.mark.slow
def test_only_installing_changes_how_jax_compiles_its_draws_and_never_what_they_are():
    subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, check=True)
