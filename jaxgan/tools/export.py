"""Exports the generator of a run: its weights, or a program that needs no jaxgan.

    jaxgan export RUN --out DIR
    jaxgan export RUN --format stablehlo --out DIR
    jaxgan export RUN --format onnx --out DIR

DIR holds the averaged weights of the generator alone, a description (model.json), a model card
(README.md) and sample images. jaxgan.load(DIR) opens the first two formats.

- safetensors: generator.safetensors, by the paths of the Flax network. The shipped experiment that
  trained the run builds the network.
- stablehlo: generator.stablehlo, a program for CPU, GPU and TPU and any number of images, and
  weights.npz. JAX alone runs it.
- onnx: generator.onnx, a program for any number of images, with its weights. onnxruntime and many
  other programs run it (extra onnx).
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jaxgan import files
from jaxgan.runs.errors import RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    from jaxgan.runs import experiments
    from jaxgan.runs.exported import Input, Latents, Parts
    from jaxgan.runs.trained_model import TrainedModel
    from jaxgan.state import GANState

Say = Callable[[str], None]

PLATFORMS = ("cpu", "cuda", "tpu")
"""The platforms that an exported program runs on."""

CLOSE = 1e-4
"""The largest difference of an exported generator's images from the run's, on a scale of [-1, 1].

Programs are compiled anew, so their sums may be rounded in another order.
"""

CLOSE_ONNX = 1e-5
"""The same of the images that onnxruntime draws, before anything is written."""

_OWN = (
    "generator.safetensors",
    "generator.stablehlo",
    "generator.onnx",
    "weights.npz",
    "README.md",
    "samples.png",
)
"""The files of an export, apart from its description."""

_COMPARED = 2  # images


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The run to export, and the folder of the export."""

    out: pathlib.Path
    """Output folder."""
    format: Literal["safetensors", "stablehlo", "onnx"] = "safetensors"
    """safetensors: the weights; stablehlo: the weights and a program that JAX runs without jaxgan;
    onnx: a program that onnxruntime runs without JAX.
    """
    source: Literal["a", "b"] = "a"
    """Domain of the inputs; b for the other direction of a model that translates both ways."""
    resolution: str | None = None
    """Size of the input images of a program, like 64 or 64x96 (height x width). Default: as in
    training.
    """
    overwrite: bool = False
    """Replace the export in the output folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(export, say=print),
        program="jaxgan export",
        description=__doc__,
        arguments=arguments,
    )


def export(config: Config, *, say: Say) -> list[pathlib.Path]:
    """Exports the run and returns the paths of the files written.

    Args:
        config: The run to export, and the folder of the export.
        say: Receives a sentence about what was written.

    Raises:
        RunError: If there is no such run, the folder holds something else, or the model cannot be
            exported in this format. Nothing is written then.
    """
    from jaxgan.runs import experiments, exported, run_directory
    from jaxgan.tools import model_card

    if config.resolution is not None and config.format == "safetensors":
        raise RunError("--resolution does nothing without --format stablehlo or onnx: leave it out")
    if config.format == "stablehlo":
        exported.require_flatbuffers()
    if config.format == "onnx":
        exported.require_onnx()
    require_free(config.out, overwrite=config.overwrite)
    model = config.load()
    record = run_directory.required_record(config.run)
    asked = Asked(config.format, config.source, config.resolution)
    made = parts_of(model, record["experiment"], asked)
    if config.format == "onnx":
        difference = checked_onnx(model, made)
        written = write(config.out, made, overwrite=config.overwrite)
    else:
        written = write(config.out, made, overwrite=config.overwrite)
        made_by = experiments.recorded(record["experiment"], given=config.experiment).module
        difference = checked(config.out, model, made, experiment=made_by)
    written += model_card.write(config.out, config.run, model, made, difference)
    say(
        f"the generator after {model.step} steps is in {files.printable(config.out)}; "
        f"{model_card.alike(difference)}"
    )
    return written


def require_free(out: pathlib.Path, *, overwrite: bool) -> None:
    """Checks that an export may be written to a folder.

    Args:
        out: The folder.
        overwrite: Whether an export in it is replaced.

    Raises:
        RunError: If the folder holds files that would be lost.
    """
    from jaxgan.runs import exported

    name = files.printable(out)
    if files.exists(out) and not files.is_folder(out):
        raise RunError(f"--out {name} is no folder; choose another")
    if files.exists(out / "config.json"):
        raise RunError(f"--out {name} holds a run; choose another folder, such as {name}/export")
    if files.exists(out / exported.DESCRIPTION):
        exported.describe(out)  # a model.json of something else is refused
        if not overwrite:
            raise RunError(
                f"--out {name} holds an export; choose another folder, or replace it with "
                "--overwrite"
            )
        return
    lost = [own for own in _OWN if files.exists(out / own)]
    if lost:
        raise RunError(f"--out {name} holds {lost[0]}, which is not of an export; choose another")


# --- what is exported -----------------------------------------------------------------------------


class Asked(NamedTuple):
    """How a model is exported; see `Config`."""

    form: str
    source: str = "a"
    resolution: str | None = None


def parts_of(model: TrainedModel, experiment: Mapping[str, Any], asked: Asked) -> Parts:
    """Returns what is exported of a model.

    Args:
        model: The trained model.
        experiment: The entry 'experiment' of the run's config.json.
        asked: How it is exported.

    Raises:
        RunError: If the model cannot be exported so.
    """
    import jax

    import jaxgan
    from jaxgan.runs import exported

    inputs, latents = inputs_of(model, asked)
    arrays, inputs, made = _read_by(model, inputs)
    held = jax.device_get(arrays)
    contents = {}
    if asked.form == "onnx":
        contents[exported.ONNX] = onnx_of(model, inputs, held)
    else:
        contents[exported.WEIGHTS[asked.form]] = exported.packed(asked.form, held)
    if asked.form == "stablehlo":
        if latents is None and inputs[0].kind == "latents":
            raise RunError(
                "the latents of this model are drawn in a way of its own, which a program does not "
                "know; use --format safetensors"
            )
        contents[exported.PROGRAM] = program_of(model, inputs, arrays)
    description = {
        "format": exported.FORMAT,
        "jaxgan": jaxgan.__version__,
        "form": asked.form,
        "step": model.step,
        "inputs": [one._asdict() for one in inputs],
        "latents": latents and latents._asdict(),
        "output": {
            "shape": list(made.shape[1:]),
            "dtype": str(made.dtype),
            "range": None if model.spec.transforms else [-1, 1],
        },
        "classes": list(model.spec.classes),
        "files": {name: exported.digest(content) for name, content in contents.items()},
        "run": exported.run_record(experiment, model.config, model.spec),
    }
    return exported.Parts(contents, description, inputs, held)


def inputs_of(model: TrainedModel, asked: Asked) -> tuple[tuple[Input, ...], Latents | None]:
    """Returns the inputs of a model's generator, and how its latents are drawn, if that is known.

    Args:
        model: The trained model.
        asked: How it is exported.

    Raises:
        RunError: If the model takes inputs that cannot be described.
    """
    from jaxgan.runs.exported import Input

    gan, spec = model.gan, model.spec
    found = _latents_of(model)
    if found is None:
        if asked.source not in gan.conditions:
            takes = ", ".join(gan.conditions) or "nothing"
            raise RunError(f"the model takes no images of {asked.source}, it takes {takes}")
        image = Input(asked.source, "image", _image_shape(model, asked))
        return (image, Input("noise", "noise", (2,), "uint32")), None
    if asked.resolution is not None or asked.source != "a":
        flag = "source" if asked.resolution is None else "resolution"
        raise RunError(f"the model draws from latents, so --{flag} does nothing: leave it out")
    size, latents = found
    inputs = [Input("latents", "latents", (size,))]
    if "label" in gan.conditions:
        inputs.append(Input("label", "label", (), "int32", spec.classes, _is_cycled(model)))
    for name in spec.typical:
        if name in gan.conditions:
            inputs.append(Input(name, "condition", tuple(spec.inputs[name])))
    for name, dtype in (("caption", "int32"), ("text", "float32")):
        if name in gan.conditions:
            inputs.append(Input(name, name, tuple(spec.inputs[name]), dtype))
    return (*inputs, Input("noise", "noise", (2,), "uint32")), latents


def _latents_of(model: TrainedModel) -> tuple[int, Latents | None] | None:
    """Returns the size of a model's latents and how they are drawn, or None without latents.

    How they are drawn is found by drawing: the known ways are compared with the model's own.
    """
    import jax
    import numpy as np

    from jaxgan import random
    from jaxgan.games import latent_access
    from jaxgan.runs.exported import Latents

    if "generator" not in model.state.players or "a" in model.gan.conditions:
        return None
    keys, sample = random.row_keys(jax.random.key(0), 8), model.gan.sample

    def draw(state: GANState) -> Any:
        return latent_access.read(state, lambda state: sample(state, keys))

    averaged, codes = model.state.averaged(), _codes_of(model)
    size = jax.eval_shape(draw, averaged).shape[1]
    ways = [Latents(size, prior) for prior in random.PRIORS]
    if codes.size:
        ways += [Latents(size - codes.size, prior, *codes) for prior in random.PRIORS]

    @jax.jit
    def drawn(state: GANState) -> tuple[Any, list[Any]]:
        return draw(state), [way.draw(keys) for way in ways]

    own, known = drawn(averaged)
    same = [way for way, latents in zip(ways, known, strict=True) if np.array_equal(own, latents)]
    return size, same[0] if same else None


def _codes_of(model: TrainedModel) -> Any:
    """Returns InfoGAN's codes that the conditions of the model may be."""
    from jaxgan.games.mutual_information import Codes

    categories = tuple(count for _, count in model.gan.categories)
    codes = Codes(categories, max(0, len(model.gan.conditions) - len(categories)))
    return codes if codes.names == model.gan.conditions else Codes((), 0)


def _is_cycled(model: TrainedModel) -> bool:
    """Returns whether the default label of example i is i modulo the number of classes."""
    import numpy as np

    classes = len(model.spec.classes)
    default = dict(model.gan.defaults).get("label")
    if default is None or not classes:
        return False
    count = 2 * classes + 1
    return np.array_equal(default(count), np.arange(count) % classes)


def _image_shape(model: TrainedModel, asked: Asked) -> tuple[int, ...]:
    """Returns the shape of the input images: that asked for, or that of training.

    The inputs of a model that enlarges single images are as much smaller than the images.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan import data, random

    spec, source = model.spec, asked.source
    shape = tuple(spec.shape if source == "b" else spec.inputs.get("a", spec.shape))

    def sample(state: GANState, image: Any) -> Any:
        keys = random.row_keys(jax.random.key(0), 1)
        return model.gan.sample(state, keys, **{source: image})

    if asked.resolution is not None:
        return (*data.parse_resolution(asked.resolution), shape[2])
    if "a" in spec.inputs:
        return shape
    made = jax.eval_shape(sample, model.state.averaged(), jnp.zeros((1, *shape)))
    factors = [out // side for out, side in zip(made.shape[1:3], shape[:2], strict=True)]
    return (*(side // max(1, by) for side, by in zip(shape[:2], factors, strict=True)), shape[2])


# --- the generator alone --------------------------------------------------------------------------


def _drawn(model: TrainedModel, arrays: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """Returns the images [B, ...] of inputs [B, ...] by name, from weights by path."""
    import jax
    import jax.numpy as jnp

    from jaxgan.games import latent_access
    from jaxgan.random import Keys
    from jaxgan.runs import exported

    count = next(iter(inputs.values())).shape[0]
    noise = inputs["noise"] if "noise" in inputs else jnp.zeros((count, 2), jnp.uint32)
    state = exported.state_of(model.state, arrays)
    if "latents" in inputs:
        state = latent_access.changed(state, lambda _: inputs["latents"])
    given = {name: v for name, v in inputs.items() if name not in ("latents", "noise")}
    return model.gan.sample(state, Keys(jax.random.wrap_key_data(noise)), **given)


def _examples(inputs: Sequence[Input], count: Any) -> dict[str, Any]:
    """Returns the shapes of `count` examples of each input, by name."""
    import jax

    return {one.name: jax.ShapeDtypeStruct((count, *one.shape), one.dtype) for one in inputs}


def _read_by(
    model: TrainedModel, inputs: tuple[Input, ...]
) -> tuple[dict[str, Any], tuple[Input, ...], Any]:
    """Returns the weights that sampling reads, by path, the inputs that it reads, and their images.

    Of the images it returns the shape and type.

    They are all arrays of the players that it reads an array of: the generator, and the encoder of
    captions, but no discriminator; and those of the rest of the state that it reads, such as the
    progress of a fade.
    """
    import jax

    from jaxgan.runs import exported

    averaged = model.state.averaged()
    everything = exported.named(averaged)
    examples = _examples(inputs, 2)
    names = [*sorted(everything), *sorted(examples)]
    trace = jax.make_jaxpr(functools.partial(_drawn, model), return_shape=True)
    traced, made = trace(everything, examples)
    read = {name for name, live in zip(names, _live(traced.jaxpr), strict=True) if live}
    players = {name.partition("/")[0] for name in read} & averaged.players.keys()
    arrays = {
        name: array
        for name, array in everything.items()
        if name in read or name.partition("/")[0] in players
    }
    main, *rest = inputs
    return arrays, (main, *(one for one in rest if one.name in read)), made


def _live(jaxpr: Any) -> list[bool]:
    """Returns, for each input of the program, whether its outputs may depend on it."""
    from jax.extend import core

    live = {v for v in jaxpr.outvars if isinstance(v, core.Var)}
    for equation in reversed(jaxpr.eqns):
        if equation.effects or not live.isdisjoint(equation.outvars):
            live |= {v for v in equation.invars if isinstance(v, core.Var)}
    return [v in live for v in jaxpr.invars]


def program_of(model: TrainedModel, inputs: Sequence[Input], arrays: Mapping[str, Any]) -> bytes:
    """Returns the serialized program `call(weights, **inputs) -> images`, for any batch size.

    Args:
        model: The trained model.
        inputs: The inputs of its generator.
        arrays: Its weights by path; the program takes them as its first argument.

    Raises:
        RunError: If the model cannot be traced for a variable batch size.
    """
    import jax

    def generate(weights: Mapping[str, Any], **given: Any) -> Any:
        return _drawn(model, weights, given)

    shapes = {name: jax.ShapeDtypeStruct(a.shape, a.dtype) for name, a in arrays.items()}
    (batch,) = jax.export.symbolic_shape("batch")
    examples = _examples(inputs, batch)
    try:
        program = jax.export.export(jax.jit(generate), platforms=PLATFORMS)(shapes, **examples)
        return bytes(program.serialize())
    except Exception as error:  # a model of your own may do anything while it is traced
        raise RunError(
            "the model's sampler cannot be compiled for every batch size and platform: "
            f"{files.reason(error)}; use --format safetensors"
        ) from error


def onnx_of(model: TrainedModel, inputs: Sequence[Input], arrays: Mapping[str, Any]) -> bytes:
    """Returns the ONNX model `(**inputs) -> images`, for any batch size, with its weights.

    Args:
        model: The trained model.
        inputs: The inputs of its generator.
        arrays: Its weights by path.

    Raises:
        RunError: If the generator needs what ONNX does not have.
    """
    from jaxgan.tools import onnx_graph

    if any(one.kind == "noise" for one in inputs):
        raise RunError(
            "the generator draws noise of its own, by random bits of JAX that ONNX does not have; "
            "use --format stablehlo"
        )
    shapes = {one.name: (tuple(one.shape), one.dtype) for one in inputs}
    try:
        return onnx_graph.model_of(functools.partial(_drawn, model), arrays, shapes)
    except RunError:
        raise
    except onnx_graph.Unsupported as error:
        raise RunError(
            f"the generator needs {error}, which the export to ONNX does not know; use --format "
            "stablehlo"
        ) from error
    except Exception as error:  # a model of your own may do anything while it is traced
        raise RunError(
            f"the model's sampler cannot be an ONNX model: {files.reason(error)}; use --format "
            "stablehlo"
        ) from error


# --- writing --------------------------------------------------------------------------------------


def write(out: pathlib.Path, made: Parts, *, overwrite: bool) -> list[pathlib.Path]:
    """Writes the weights, the program and the description, which comes last.

    Args:
        out: The folder.
        made: What is exported.
        overwrite: Whether an export in the folder is replaced.

    Returns:
        The paths of the files.
    """
    import json

    from jaxgan.runs import exported

    out.mkdir(parents=True, exist_ok=True)
    if overwrite:
        for name in (exported.DESCRIPTION, *_OWN):
            (out / name).unlink(missing_ok=True)
    contents = {**made.files, exported.DESCRIPTION: json.dumps(made.description, indent=2) + "\n"}
    for name, content in contents.items():
        files.write_whole(out / name, content)
    return [out / name for name in contents]


def checked(
    out: pathlib.Path,
    model: TrainedModel,
    made: Parts,
    *,
    experiment: experiments.Named | None = None,
) -> float:
    """Opens the export and returns the largest difference of its images from the run's.

    Args:
        out: The folder of the export.
        model: The trained model.
        made: What was exported.
        experiment: The experiment that made the model; a program needs none.

    Raises:
        RunError: If the images differ by more than `CLOSE`. The export is marked as incomplete.
    """
    import jax
    import numpy as np

    from jaxgan import random
    from jaxgan.runs import exported

    opened = exported.open_folder(out, experiment=experiment)
    keys = random.row_keys(jax.random.key(0), _COMPARED)
    given = _typical(made.inputs)

    def images(gan: Any, state: GANState) -> Any:
        return jax.jit(lambda state: gan.sample(state, keys, **given))(state)

    ours, theirs = images(model.gan, model.state.averaged()), images(opened.gan, opened.state)
    difference = float(np.max(np.abs(np.asarray(ours) - np.asarray(theirs))))
    if not difference <= CLOSE:
        (out / exported.DESCRIPTION).unlink()
        raise RunError(
            f"the exported generator's images differ from the run's by {difference:.2g}; expected "
            f"{CLOSE:g} at most, so the export in {files.printable(out)} is not usable"
        )
    return difference


def checked_onnx(model: TrainedModel, made: Parts) -> float:
    """Runs an ONNX model, in two batch sizes, and returns the largest difference of its images.

    Args:
        model: The trained model.
        made: What is to be exported of it.

    Raises:
        RunError: If the images differ from the model's by more than `CLOSE_ONNX`, or onnxruntime
            cannot run the model.
    """
    import jax
    import numpy as np
    import onnxruntime  # type: ignore[import-not-found]

    from jaxgan.runs import exported

    given = _typical(made.inputs)
    if made.inputs[0].kind == "latents":
        shape = (_COMPARED, *made.inputs[0].shape)
        given["latents"] = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with jax.default_matmul_precision("highest"):
        ours = np.asarray(jax.jit(functools.partial(_drawn, model))(made.arrays, given))
    try:
        session = onnxruntime.InferenceSession(
            made.files[exported.ONNX], providers=["CPUExecutionProvider"]
        )
        theirs = [
            session.run(None, {name: array[:count] for name, array in given.items()})[0]
            for count in (_COMPARED, 1)
        ]
    except Exception as error:  # of onnxruntime, of any kind
        raise RunError(
            f"onnxruntime cannot run the exported generator: {files.reason(error)}; use --format "
            "stablehlo"
        ) from error
    difference = max(float(np.max(np.abs(ours[: len(made)] - made))) for made in theirs)
    if not difference <= CLOSE_ONNX:
        raise RunError(
            f"the images of the ONNX model differ from the run's by {difference:.2g}; expected "
            f"{CLOSE_ONNX:g} at most, so nothing was written; use --format stablehlo"
        )
    return difference


def _typical(inputs: Sequence[Input]) -> dict[str, Any]:
    """Returns conditions for a few images: noise for images and embeddings, else small numbers."""
    import numpy as np

    draws, given = np.random.default_rng(0), {}
    for one in inputs:
        shape = (_COMPARED, *one.shape)
        if one.kind in ("image", "text", "condition"):
            given[one.name] = draws.uniform(-1, 1, shape).astype(np.float32)
        elif one.kind in ("label", "caption"):
            given[one.name] = np.ones(shape, np.int32) * (len(one.classes) != 1)
    return given


if __name__ == "__main__":
    sys.exit(main())
