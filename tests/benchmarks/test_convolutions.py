"""Layers of the benchmark of convolutions run in every form."""

from __future__ import annotations

import pytest

from benchmarks import convolutions

SMALL = [layer for layer in convolutions.LAYERS if layer.size < 8 or layer.axes == 1]


@pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.name)
def test_a_layer_and_its_gradients_have_their_shapes(layer):
    output, (by_input, by_kernel) = convolutions.task(layer, 2, "fast")()
    size = layer.size * layer.stride if layer.transposed else -(-layer.size // layer.stride)
    assert output.shape == (2, *[size] * layer.axes, layer.outputs)
    assert by_input.shape == (2, *[layer.size] * layer.axes, layer.inputs)
    assert by_kernel.shape[-1] == layer.outputs
