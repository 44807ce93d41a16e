"""The suite's surroundings: simulated CPU devices, no settings from outside, strict broadcasting.

Subprocesses that tests start inherit all of it.
"""

import atexit
import gc
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
from importlib import metadata

import pytest

DEVICES = 8
IN_ORDER = "xla_cpu_enable_concurrency_optimized_scheduler=false"
QUICK_COMPILATION = (
    "xla_backend_optimization_level=0",
    "xla_cpu_use_fusion_emitters=false",
    "xla_cpu_parallel_codegen_split_count=1",
)


def known(flag: str) -> bool:
    """Whether the installed XLA has the flag; one that it does not know ends the process."""
    start = "from jaxlib import xla_client; xla_client.make_cpu_client()"
    surroundings = {**os.environ, "XLA_FLAGS": f"--{flag}"}
    ended = subprocess.run([sys.executable, "-c", start], env=surroundings, capture_output=True)
    return ended.returncode == 0


assert "jax" not in sys.modules, "jax was imported before tests/conftest.py could configure it"

# A developer's own settings (x64, a compilation cache, another platform) must not decide a test.
for setting in [name for name in os.environ if name.startswith(("JAX_", "XLA_"))]:
    del os.environ[setting]

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
# Most of the suite's time is XLA's: plain code, made in one piece and without its emitters of fused
# loops, takes it less than half as long. The slow target runs what users run.
if "JAXGAN_TESTS_OPTIMIZED" not in os.environ:
    os.environ["XLA_FLAGS"] += "".join(f" --{flag}" for flag in QUICK_COMPILATION if known(flag))
elif known(IN_ORDER):
    # Optimized, XLA may start two collectives in one order on one simulated device and in the other
    # order on the next, and both wait for ever: those of CycleGAN's replay pools did.
    os.environ["XLA_FLAGS"] += f" --{IN_ORDER}"
# Tests compile many programs that other tests, workers and subprocesses have compiled before. The
# folder is the session's own: what an earlier version of the code compiled decides nothing.
if "JAXGAN_TESTS_PROGRAMS" not in os.environ:
    os.environ["JAXGAN_TESTS_PROGRAMS"] = tempfile.mkdtemp(prefix="jaxgan-tests-")
    atexit.register(shutil.rmtree, os.environ["JAXGAN_TESTS_PROGRAMS"], ignore_errors=True)
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["JAXGAN_TESTS_PROGRAMS"]
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
# [B] against [B, 1] broadcasts to [B, B] without a word: the classic silent fault of GAN losses.
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ["MPLBACKEND"] = "Agg"

import hypothesis  # noqa: E402  (a test library that may import jax comes after the settings)

# The same examples on every machine, none remembered, and no time limit on a busy one.
hypothesis.settings.register_profile("jaxgan", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("jaxgan")


def pytest_report_header(config: pytest.Config) -> str:
    """Returns the versions that decide whether a result can be repeated."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jax", "flax", "numpy"))
    return f"{versions}, {DEVICES} simulated devices"


MAPPINGS = pathlib.Path("/proc/self/maps")
MOST_MAPPINGS = 45_000
TESTS_BETWEEN_COUNTS = 30  # the file has as many lines, and takes time to read
_tests_done = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def draws_of_a_run() -> None:
    """Compiles draws as a run does, whichever test comes first: without JAX's loop."""
    from jaxgan.kernels import threefry  # imports JAX

    threefry.install()


def pytest_collection_finish() -> None:
    """Keeps the garbage collector from visiting what stays: modules, and the tests themselves."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def room_for_programs():
    """Lets go of compiled programs in time: each takes mapped regions of memory, and Linux gives a
    process 65,530 of them; where they run out, the compiler crashes.
    """
    yield
    if next(_tests_done) % TESTS_BETWEEN_COUNTS or not MAPPINGS.exists():
        return
    if MAPPINGS.read_bytes().count(b"\n") > MOST_MAPPINGS:
        import jax

        jax.clear_caches()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The `--data` of an archive of tiny labeled images, for runs of the toy experiment."""
    from tests import toy_runs  # imports JAX

    return toy_runs.images(tmp_path_factory.mktemp("data") / "images.npz")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, data: str) -> pathlib.Path:
    """A finished run of the toy experiment, not to be written to."""
    from tests import toy_runs  # imports JAX

    return toy_runs.train(tmp_path_factory.mktemp("runs") / "finished", data=data)


@pytest.fixture
def hangup():
    """The signal of a terminal that closes, as a terminal starts a process."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the suite may run under nohup
    yield signal.SIGHUP
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def without_feature_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hides the weights of EfficientNet-Lite0, if the extra `features` is installed."""
    from jaxgan.nn import pretrained_weights  # imports JAX

    monkeypatch.setattr(pretrained_weights, "of_distribution", lambda *_: None)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory):
    """A browser without a window; the test is skipped, with the reason, where there is none."""
    from tests import browser

    lacking = browser.missing()
    if lacking:
        pytest.skip(f"the page is not opened in a browser: {lacking}")
    with browser.opened(tmp_path_factory.mktemp("profile")) as opened:
        yield opened
