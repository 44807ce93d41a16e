"""Fine-tuning with frozen layers: they keep their weights, and no optimizer has a state for them.

Freezing the first layers of the discriminator, next to the image, keeps what they have learned from
many images when a model is trained on with few (FreezeD).

References:
    Mo et al. 2020, Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax

from jaxgan.state import GANState, Player
from jaxgan.types import GAN, Array, Batch, Metrics, PyTree

_TRAINED = "trained"  # the part of an optimizer that updates what is not frozen

Asked = Mapping[str, tuple[str, ...]]
"""By player, what is frozen: numbers of first layers, or names of layers."""


def parsed(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Returns what is frozen, by player, from texts like 'discriminator:3' or 'generator:Dense_0'.

    Args:
        texts: Texts of a player, a colon, and a number of first layers or the name of a layer.

    Raises:
        ValueError: If a text is not of this form.

    Examples:
        >>> from jaxgan.games import freezing
        >>> freezing.parsed(["discriminator:3", "generator:Dense_0", "generator:Conv_1"])
        {'discriminator': ('3',), 'generator': ('Dense_0', 'Conv_1')}
    """
    asked: dict[str, tuple[str, ...]] = {}
    for text in texts:
        player, colon, layers = text.partition(":")
        if not (player and colon and layers) or layers == "0":
            raise ValueError(
                f"--freeze is {text!r}; expected a player and a number of layers of 1 or more, "
                "like discriminator:3, or a layer's name, like discriminator:Conv_0"
            )
        asked[player] = (*asked.get(player, ()), layers)
    return asked


def layers_of(player: Player) -> dict[str, tuple[str, ...]]:
    """Returns the paths of each layer's modules, by the layer's name, from the network's input on.

    A layer is a module with an array of two axes or more, such as a convolution, together with the
    modules of vectors that follow it, such as a normalization. Its name is the path of the first.

    Args:
        player: A player of `state.init_player`, which notes the order of the modules.
    """
    ranks: dict[str, int] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(player.params):
        module = jax.tree_util.keystr(path[:-1], simple=True, separator="/")
        ranks[module] = max(ranks.get(module, 0), leaf.ndim)
    layers: dict[str, tuple[str, ...]] = {}
    name = ""
    for module in player.modules:
        if not layers or ranks[module] > 1:
            name = module
        layers[name] = (*layers.get(name, ()), module)
    return layers


def chosen(state: GANState, asked: Asked) -> dict[str, frozenset[str]]:
    """Returns the paths of the frozen modules by player.

    Args:
        state: A state of the model; its leaves are arrays or their shapes.
        asked: What is frozen.

    Raises:
        ValueError: If there is no such player or layer, or there are not so many layers.
    """
    found = {}
    for name, wanted in asked.items():
        if name not in state.players:
            raise ValueError(
                f"--freeze names the player {name!r}; the model has {', '.join(state.players)}"
            )
        layers = layers_of(state[name])
        found[name] = frozenset(
            module for one in wanted for module in _modules(one, layers, player=name)
        )
    return found


def _modules(wanted: str, layers: Mapping[str, tuple[str, ...]], *, player: str) -> list[str]:
    """Returns the modules of the first layers, or of the layers at or below a name."""
    if wanted.isdecimal():
        if int(wanted) > len(layers):
            raise ValueError(
                f"--freeze {player}:{wanted}: the {player} has {len(layers)} layers: "
                f"{', '.join(layers)}"
            )
        return [module for one in list(layers)[: int(wanted)] for module in layers[one]]
    below = [one for one in layers if one == wanted or one.startswith(f"{wanted}/")]
    if not below:
        raise ValueError(
            f"--freeze {player}:{wanted}: the {player} has no such layer; it has "
            f"{', '.join(layers)}"
        )
    return [module for one in below for module in layers[one]]


def frozen_paths(state: GANState, asked: Asked) -> list[str]:
    """Returns the paths of the frozen arrays, as in a checkpoint.

    Args:
        state: A state of the model.
        asked: What is frozen.
    """
    return [
        f"players/{name}/params/{jax.tree_util.keystr(path, simple=True, separator='/')}"
        for name, modules in chosen(state, asked).items()
        for path, kept in jax.tree_util.tree_leaves_with_path(_mask(state[name].params, modules))
        if kept
    ]


def frozen(gan: GAN, asked: Asked) -> GAN:
    """Returns the model whose steps leave the weights of some layers as they are, bit for bit.

    Batch statistics of frozen layers still follow the batches.

    Args:
        gan: The model.
        asked: What is frozen.

    Returns:
        The model. Its `init` raises ValueError if there is no such player or layer.
    """

    def init(key: Array) -> GANState:
        state = gan.init(key)
        players = {
            name: _resting(state[name], _mask(state[name].params, modules))
            for name, modules in chosen(state, asked).items()
        }
        return state.replace(players={**state.players, **players})

    def step(state: GANState, batch: Batch) -> tuple[GANState, Metrics]:
        after, metrics = gan.step(state, batch)
        # Also from what is not an optimizer's: the clipping of weights, the way back of lookahead.
        kept = {
            name: jax.tree.map(
                lambda still, old, new: old if still else new,
                _mask(state[name].params, modules),
                state[name].params,
                after[name].params,
            )
            for name, modules in chosen(state, asked).items()
        }
        return after.with_params(kept), metrics

    return gan._replace(init=init, step=step)


def as_frozen(arrays: Mapping[str, Any], player: str) -> dict[str, Any]:
    """Returns a checkpoint's arrays under the paths of a model that freezes layers of a player.

    Args:
        arrays: The arrays by path, of a model that freezes none of the player's.
        player: The player's name.
    """
    plain = f"players/{player}/opt_state/"
    partitioned = f"{plain}inner_states/{_TRAINED}/inner_state/"
    return {
        partitioned + name.removeprefix(plain) if name.startswith(plain) else name: array
        for name, array in arrays.items()
    }


def _mask(params: PyTree, modules: frozenset[str]) -> PyTree:
    """Returns, for each array, whether its module is one of these."""

    def within(path: Any, leaf: Any) -> bool:
        del leaf
        return jax.tree_util.keystr(path[:-1], simple=True, separator="/") in modules

    return jax.tree_util.tree_map_with_path(within, params)


def _resting(player: Player, mask: PyTree) -> Player:
    """Returns the player with a fresh optimizer that has no state for the masked arrays."""
    labels = jax.tree.map(lambda still: "frozen" if still else _TRAINED, mask)
    optimizer = optax.partition({_TRAINED: player.tx, "frozen": optax.set_to_zero()}, labels)
    return player.replace(tx=optimizer, opt_state=optimizer.init(player.params))
