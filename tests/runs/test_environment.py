"""Where a run takes place."""

from __future__ import annotations

import subprocess

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
    for home in ("", str(tmp_path / "file")):
        monkeypatch.setenv("HOME", home)
        (note,) = environment.use_compilation_cache()
        assert "are not kept" in note
        assert jax.config.jax_compilation_cache_dir is None


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
