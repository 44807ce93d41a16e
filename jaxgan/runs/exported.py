"""Exported generators, opened without the run that they come from.

An export is a folder (`jaxgan export`). Its model.json describes the model, and names the files of
one of two forms:

safetensors   generator.safetensors, the weights by path; the shipped experiment that trained them
              builds the network
stablehlo     generator.stablehlo, the program as `jax.export` serializes it, and weights.npz; it
              needs neither the network nor the experiment

A third form, onnx, is opened by other programs: generator.onnx, which holds its weights.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import io
import pathlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors.numpy

from jaxgan import files, random
from jaxgan.games import mutual_information, objectives, stages
from jaxgan.random import Keys
from jaxgan.runs import experiments, extras, run_directory
from jaxgan.runs.config import DataSpec, RunConfig
from jaxgan.runs.errors import RunError
from jaxgan.state import GANState, Player
from jaxgan.types import GAN, Array

FORMAT = 1
"""Format number of model.json; increased if older readers would fail."""

DESCRIPTION = "model.json"
PROGRAM = "generator.stablehlo"
ONNX = "generator.onnx"
WEIGHTS = {"safetensors": "generator.safetensors", "stablehlo": "weights.npz"}
"""The file of weights of each form that is opened here."""

CALLS = frozenset({"shape_assertion", "cu_threefry2x32_ffi", "hip_threefry2x32_ffi"})
"""What a program may call outside of itself: JAX's check of sizes and its random bits on a GPU."""

_MOST_BYTES = 2**34


class Input(NamedTuple):
    """An input of a generator.

    Attributes:
        name: Its name; that of the condition of `sample`, 'latents' or 'noise'.
        kind: 'latents', 'image', 'label', 'condition' (numbers), 'caption' (character codes),
            'text' (embeddings) or 'noise' (the data of a random key).
        shape: Shape of one example.
        dtype: Type of its entries.
        classes: Names of the classes of a label.
        cycled: Whether the default label of example i is i modulo the number of classes.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    classes: tuple[str, ...] = ()
    cycled: bool = False


class Latents(NamedTuple):
    """How latents are drawn: noise from a prior, then InfoGAN's codes, if there are any.

    Attributes:
        size: Number of entries of noise.
        prior: Prior of the noise, see `random.latents`.
        categories: Number of classes of each categorical code, which is one-hot.
        continuous: Number of continuous codes.
    """

    size: int
    prior: str
    categories: tuple[int, ...] = ()
    continuous: int = 0

    @property
    def codes(self) -> mutual_information.Codes:
        """Returns the codes."""
        return mutual_information.Codes(self.categories, self.continuous)

    def draw(self, keys: Keys, **values: Any) -> Array:
        """Returns latents [B, Z].

        Args:
            keys: Per-example keys [B].
            **values: Values [B] of codes by name; the others are drawn.
        """
        noise = random.latents(keys, self.size, prior=self.prior)
        given = {name: jnp.asarray(value) for name, value in values.items()}
        known = {**mutual_information.drawn(self.codes, keys), **given}
        return mutual_information.joined(self.codes, noise, known)


class Parts(NamedTuple):
    """What is exported of a model.

    Attributes:
        files: Contents of the files of weights and program, by name.
        description: Contents of model.json.
        inputs: The inputs of the generator, the latents or images first.
        arrays: The weights by path.
    """

    files: dict[str, bytes]
    description: dict[str, Any]
    inputs: tuple[Input, ...]
    arrays: dict[str, np.ndarray]


# --- weights --------------------------------------------------------------------------------------


def named(state: GANState) -> dict[str, Any]:
    """Returns the arrays of a state that sampling may read, by path.

    The path of a weight is that in its Flax network, after the name of its player:
    'generator/params/Dense_0/kernel'.

    Args:
        state: The state; its averages and optimizers are left out.
    """
    players = {name: {"params": p.params, **p.variables} for name, p in state.players.items()}
    tree = {**players, "step": state.step, "extra": state.extra, "buffers": state.buffers}
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def state_of(template: GANState, arrays: Mapping[str, Any]) -> GANState:
    """Returns the state that holds these arrays and is only sampled from.

    Players without any array are left out. Other leaves without an array are zeros.

    Args:
        template: A state of the model; its leaves are arrays or their shapes.
        arrays: Arrays by path (see `named`).
    """
    found = {
        name: arrays[name] if name in arrays else jnp.zeros(leaf.shape, leaf.dtype)
        for name, leaf in named(template).items()
    }

    def below(prefix: str, tree: Any) -> Any:
        leaves, structure = jax.tree_util.tree_flatten_with_path(tree)
        paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
        return jax.tree.unflatten(structure, [found[f"{prefix}/{path}"] for path in paths])

    players = {
        name: player.replace(
            step=jnp.zeros((), jnp.int32),
            params=below(f"{name}/params", player.params),
            variables=below(name, player.variables),
            opt_state=(),
        )
        for name, player in template.players.items()
        if any(path.startswith(f"{name}/") for path in arrays)
    }
    return GANState(
        step=found["step"],
        rng=jax.random.key(0),
        players=players,
        ema={},
        extra=below("extra", template.extra),
        buffers=below("buffers", template.buffers),
    )


def packed(form: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """Returns the content of a file of weights.

    Args:
        form: 'safetensors' or 'stablehlo'.
        arrays: Arrays by path.
    """
    # safetensors writes the memory in order and ignores strides, so arrays must be contiguous.
    whole = {name: np.array(array, order="C") for name, array in arrays.items()}
    if form == "safetensors":
        return safetensors.numpy.save(whole)
    buffer = io.BytesIO()
    np.savez(buffer, **whole)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpacked(form: str, content: bytes) -> dict[str, np.ndarray]:
    if form == "safetensors":
        return safetensors.numpy.load(content)
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


# --- opening --------------------------------------------------------------------------------------


class Opened(NamedTuple):
    """An export that has been opened; the fields are those of a `TrainedModel`."""

    gan: GAN
    state: GANState
    config: RunConfig
    spec: DataSpec
    step: int


def folder_of(path: pathlib.Path) -> pathlib.Path | None:
    """Returns the folder of the export that the path, or the file at it, belongs to, or None."""
    folder = path.parent if files.is_file(path) else path
    return folder if files.is_file(folder / DESCRIPTION) else None


def open_folder(folder: pathlib.Path, *, experiment: experiments.Named | None = None) -> Opened:
    """Returns the model of an export.

    Args:
        folder: The folder of the export.
        experiment: The experiment that made it, if it is your own and the form is 'safetensors'.

    Raises:
        RunError: If the export is damaged, incomplete or of a newer version.
    """
    described = describe(folder)
    try:
        form, record = described["form"], described["run"]
        if form == "onnx":
            raise RunError(
                f"the export {files.printable(folder)} is an ONNX model, which onnxruntime runs; "
                "to open it here, export the run with --format safetensors or stablehlo"
            )
        arrays = _unpacked(form, _content(folder, WEIGHTS[form], described))
        open_form = _of_network if form == "safetensors" else _of_program
        return open_form(folder, described, record, arrays, experiment)
    except RunError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise RunError(
            f"the export {files.printable(folder)} is damaged: {files.reason(error)}"
        ) from error


def describe(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the contents of the model.json of an export.

    Raises:
        RunError: If it cannot be read, or a newer version of the library wrote it.
    """
    file = folder / DESCRIPTION
    try:
        described = run_directory.parsed(files.read(file).decode())
        found = described["format"]
        known = isinstance(found, int) and isinstance(described["run"]["config"], dict)
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise RunError(f"{files.printable(file)} cannot be read: {files.reason(error)}") from error
    if not known:
        raise RunError(f"{files.printable(file)} does not describe an export of jaxgan")
    if found > FORMAT:
        raise RunError(
            f"{files.printable(file)} was made by a newer jaxgan (format {found}, this one reads "
            f"up to {FORMAT}): update jaxgan"
        )
    return described


def digest(content: bytes) -> str:
    """Returns the SHA-256 of a file's content, in hex digits."""
    return hashlib.sha256(content).hexdigest()


def _content(folder: pathlib.Path, name: str, described: Mapping[str, Any]) -> bytes:
    """Returns the content of a file of the export, after checking its digest."""
    content = files.read(folder / name, most=_MOST_BYTES)
    if digest(content) != described["files"][name]:
        raise ValueError(f"{name} is not the file that was exported")
    return content


def _of_network(
    folder: pathlib.Path,
    described: Mapping[str, Any],
    record: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    experiment: experiments.Named | None,
) -> Opened:
    """Returns the model whose network the experiment builds."""
    made_by = experiments.recorded(record["experiment"], given=experiment)
    config = made_by.config_from(record["config"], source=folder / DESCRIPTION)
    spec, step = DataSpec.recorded(record["data"]), int(described["step"])
    plan = made_by.plan(config, spec, saved=True)
    gan = plan[stages.made_at(plan, step)].build()
    template = jax.eval_shape(gan.init, jax.random.key(0))
    shapes = named(template)
    for name, array in arrays.items():
        leaf = shapes.get(name)
        if leaf is None or (leaf.shape, leaf.dtype) != (array.shape, array.dtype):
            raise ValueError(f"its {name} does not fit the network")
    state = jax.device_put(state_of(template, arrays))
    return Opened(gan, state, config, spec, step)


def _of_program(
    folder: pathlib.Path,
    described: Mapping[str, Any],
    record: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    experiment: experiments.Named | None,
) -> Opened:
    """Returns the model whose generator is the exported program."""
    require_flatbuffers()
    program = jax.export.deserialize(bytearray(_content(folder, PROGRAM, described)))
    _require_closed(program)
    inputs = [Input(**_with_tuples(entry)) for entry in described["inputs"]]
    drawn = described["latents"] and Latents(**_with_tuples(described["latents"]))
    values = {name: record["config"][name] for name in ("seed", "data")}
    spec = DataSpec.recorded(record["data"])
    state = GANState(
        step=jnp.asarray(described["step"], jnp.int32),
        rng=jax.random.key(0),
        players={"generator": _player(program, inputs[0].name, arrays)},
        ema={},
        extra={},
        buffers={},
    )
    gan = _gan(inputs, drawn)
    return Opened(gan, jax.device_put(state), RunConfig(**values), spec, int(described["step"]))


def require_flatbuffers() -> None:
    """Checks that programs can be written and read.

    Raises:
        RunError: If the package that `jax.export` serializes with is not installed.
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise RunError(
            "StableHLO programs need the package flatbuffers: run pip install 'jaxgan[export]', or "
            "export with --format safetensors"
        )


def require_onnx() -> None:
    """Checks that ONNX models can be written and run.

    Raises:
        RunError: If a package that this needs is not installed.
    """
    extras.require("an ONNX export", ("onnx", "onnxruntime"), extra="onnx")


def _require_closed(program: jax.export.Exported) -> None:
    """Raises ValueError if the program calls anything outside of itself that may not be known."""
    called = re.findall(r"custom_call\s*@\"?([\w.$-]+)", program.mlir_module())
    strange = sorted(set(called) - CALLS)
    if strange:
        raise ValueError(f"its program calls {strange[0]}, which no generator needs")


def _player(program: jax.export.Exported, main: str, arrays: Mapping[str, Any]) -> Player:
    def apply(
        variables: Any, first: Array, *, mutable: object = False, **given: Array
    ) -> tuple[Array, dict]:
        return program.call(variables["params"], **{main: first}, **given), {}

    player = Player.create(apply_fn=apply, params=dict(arrays), tx=optax.identity(), variables={})
    return player.replace(step=jnp.zeros((), jnp.int32))


def _gan(inputs: list[Input], latents: Latents | None) -> GAN:
    """Returns the GAN that can only sample, with the conditions of the run's own."""
    main, *rest = inputs
    codes = latents.codes if latents else mutual_information.Codes((), 0)
    conditions = [one for one in (rest if latents else inputs) if one.kind != "noise"]
    names = (*(one.name for one in conditions), *codes.names)

    def sample(state: GANState, keys: Keys, **given: Any) -> Array:
        objectives.require_known(given, names)
        values = {one.name: _value(one, given.get(one.name), keys) for one in inputs[1:]}
        if latents is None:
            return state["generator"](_value(main, given.get(main.name), keys), **values)
        of_codes = {name: given[name] for name in codes.names if name in given}
        return state["generator"](latents.draw(keys, **of_codes), **values)

    return GAN(
        init=_untrainable,
        step=_untrainable,
        sample=sample,
        conditions=names,
        defaults=tuple(
            (one.name, functools.partial(_cycled, len(one.classes))) for one in rest if one.cycled
        ),
        categories=tuple(zip(codes.categorical_names, codes.categories, strict=True)),
    )


def _value(one: Input, given: Any, keys: Keys) -> Array:
    """Returns the values [B, ...] of an input, in its shape and type; zeros if none are given."""
    if one.kind == "noise":
        return jax.random.key_data(keys.base)
    if given is None and one.kind == "label":
        raise ValueError(f"the model needs the condition {one.name!r}: give {one.name}=...")
    if given is None:
        return jnp.zeros((len(keys), *one.shape), one.dtype)
    value = jnp.asarray(given).astype(one.dtype)
    if one.kind == "caption" and value.shape[1:] < one.shape:  # code 0 ends a caption
        value = jnp.pad(value, ((0, 0), (0, one.shape[0] - value.shape[1])))
    if value.shape[1:] != one.shape:
        raise ValueError(
            f"the condition {one.name!r} has the shape {value.shape[1:]}; this export takes "
            f"{one.shape}"
        )
    return value


def _cycled(classes: int, count: int) -> Array:
    return jnp.arange(count, dtype=jnp.int32) % classes


def _untrainable(*_: Any) -> Any:
    raise ValueError("an exported program can only be sampled from; train the run that it is of")


def _with_tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}


# --- describing -----------------------------------------------------------------------------------

_OF_THIS_MACHINE = ("workdir", "data_dir", "overwrite", "inception", "evaluate_features")
"""Settings of the machine that trained, which an export leaves out."""


def run_record(record: Mapping[str, Any], config: RunConfig, spec: DataSpec) -> dict[str, Any]:
    """Returns the entry 'run' of model.json: what builds the network, without paths.

    Args:
        record: The entry 'experiment' of the run's config.json.
        config: The configuration of the model, with its seed.
        spec: The shapes and classes of the data.
    """
    settings = dataclasses.asdict(config)
    kept = {
        name: _without_folders(value) if isinstance(value, str) else value
        for name, value in settings.items()
        if name not in _OF_THIS_MACHINE
    }
    file = record.get("file")
    made_by = {"module": record.get("module"), "file": file and pathlib.PurePath(file).name}
    return {"experiment": made_by, "config": kept, "data": spec.record()}


def _without_folders(value: str) -> str:
    """Returns a setting without the folders of its path: folder:/my/photos is folder:photos."""
    head, colon, place = value.partition(":") if ":" in value[2:] else ("", "", value)
    return head + colon + pathlib.PurePath(place).name if place else value
