"""Memory is checked before images are decoded, against what the machine has free."""

from __future__ import annotations

import numpy as np
import pytest

from jaxgan import data
from jaxgan.data import memory


@pytest.mark.parametrize("spec", ["npz", "fashion"])
def test_memory_is_checked_before_images_are_decoded(make_archive, monkeypatch, spec):
    images, labels = np.zeros((200, 1, 1), np.uint8), np.zeros(200, int)  # images may be mapped
    made = {
        "npz": f"npz:{make_archive(images=images, labels=labels)}",
        "fashion": "fashion",
    }[spec]
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(data.DataError, match=r"need .* of memory and 0\.0 MB are free"):
        data.load(made, resolution=30 if spec == "fashion" else None)


def test_the_free_memory_is_a_plausible_number():
    free = memory.available()
    assert free is None or 10**6 < free < 10**15


def test_a_container_may_leave_less_than_the_machine_has(tmp_path, monkeypatch):
    files = {
        "memory.max": "5000\n",
        "memory.current": "3000\n",
        "memory.stat": "inactive_file 500\n",
    }
    for name, contents in files.items():
        (tmp_path / name).write_text(contents)
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available() == 2500
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() != 2500
