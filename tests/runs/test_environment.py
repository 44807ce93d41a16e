"""Where a run takes place."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import jax
import pytest

from jaxgan.runs import environment


@pytest.fixture
def no_cache_set():
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_without_a_folder_for_it_the_compilation_cache_is_off_with_a_note(
    no_cache_set, tmp_path, monkeypatch
):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    (note,) = environment.use_compilation_cache()
    assert "are not kept" in note
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.slow
def test_a_kept_program_that_cannot_be_read_is_replaced(tmp_path):
    script = (
        "import jax, sys, warnings\n"
        "from jaxgan.runs import environment\n"
        "warnings.simplefilter('error')\n"
        "with environment.replacing_damaged_programs(report=print):\n"
        "    print(jax.jit(lambda x: x * 3 + 1)(2.0))\n"
    )
    surroundings = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def said():
        done = subprocess.run(
            [sys.executable, "-c", script], env=surroundings, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert said() == ["7.0"]
    (kept,) = tmp_path.glob("*lambda*-cache")
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    damaged, result = said()
    assert damaged.endswith(f" in {tmp_path} is damaged and is compiled again")
    assert result == "7.0"
    (kept,) = tmp_path.glob("*lambda*-cache")
    assert len(kept.read_bytes()) > len(whole) // 2
    assert said() == ["7.0"]


def test_the_revision_is_that_of_the_repository_that_tracks_the_file(tmp_path):
    file = tmp_path / "experiment.py"
    file.write_text("one")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    assert environment.revision(str(file)) is None
    subprocess.run([*git, "init", "-q"], check=True)
    assert environment.revision(str(file)) is None
    subprocess.run([*git, "add", "experiment.py"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    commit = environment.revision(str(file))
    assert len(commit) == 40
    file.write_text("two")
    assert environment.revision(str(file)) == commit + "+changes"


def test_nothing_is_said_of_a_program_that_the_cache_cannot_keep():
    of_onednn = (
        "Error writing persistent compilation cache entry for 'jit_step': "
        "MemoryError: std::bad_alloc"
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with environment.replacing_damaged_programs(report=pytest.fail):
            warnings.warn(of_onednn, stacklevel=1)
            warnings.warn(of_onednn.replace("bad_alloc", "disk full"), stacklevel=1)
    (other,) = said
    assert "disk full" in str(other.message)
