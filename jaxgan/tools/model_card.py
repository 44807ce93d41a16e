"""The model card of an export: what it is, how it was trained and measured, how to load it."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxgan import files

if TYPE_CHECKING:
    from jaxgan.runs.exported import Input, Parts
    from jaxgan.runs.trained_model import TrainedModel

CARD, PICTURE = "README.md", "samples.png"

_SHOWN = 64
_SEED = 0


def write(
    out: pathlib.Path, run: pathlib.Path, model: TrainedModel, made: Parts, difference: float
) -> list[pathlib.Path]:
    """Writes the card, and the picture that it shows, and returns their paths.

    Args:
        out: The folder of the export.
        run: The run directory.
        model: The trained model.
        made: What was exported.
        difference: Largest difference of the exported generator's images from the model's.
    """
    shown = picture(run, model, made.inputs)
    text = card(run, model, made, difference=difference, shown=shown is not None)
    contents = {CARD: text.encode(), **({PICTURE: shown} if shown else {})}
    for name, content in contents.items():
        files.write_whole(out / name, content)
    return [out / name for name in contents]


def picture(run: pathlib.Path, model: TrainedModel, inputs: Sequence[Input]) -> bytes | None:
    """Returns a PNG file of samples, or the run's last picture if samples need data, or None.

    Args:
        run: The run directory.
        model: The trained model.
        inputs: The inputs of its generator.
    """
    import numpy as np

    from jaxgan.plotting import image_grids
    from jaxgan.runs import run_directory

    kinds = {one.kind for one in inputs}
    if kinds <= {"latents", "label", "noise"} and len(model.spec.shape) == 3:
        columns = image_grids.columns_for(len(model.spec.classes) if "label" in kinds else 0)
        images = np.asarray(model.sample(_SEED, _SHOWN // columns * columns))
        return image_grids.png(image_grids.grid(images, columns=columns, show=model.show))
    folder = run_directory.RunDirectory(run).samples
    drawn = [path for path in folder.glob("*.png") if path.stem.isdecimal()]
    drawn = sorted(path for path in drawn if int(path.stem) <= model.step)
    return files.read(drawn[-1]) if drawn else None


def card(
    run: pathlib.Path, model: TrainedModel, made: Parts, *, difference: float, shown: bool
) -> str:
    """Returns the text of the card, in Markdown.

    Args:
        run: The run directory.
        model: The trained model.
        made: What was exported.
        difference: Largest difference of the exported generator's images from the model's.
        shown: Whether there is a picture.
    """
    described = made.description
    made_by = described["run"]["experiment"]
    title = (made_by["module"] or pathlib.PurePath(made_by["file"]).stem).rpartition(".")[2]
    count = sum(array.size for array in made.arrays.values())
    parts = [
        f"# A generator trained by `{title}`",
        f"The averaged weights of the generator, {count:,} numbers, after {model.step} train steps "
        f"with seed {model.config.seed}; exported by jaxgan {described['jaxgan']}: "
        f"{alike(difference)}.",
    ]
    parts += [f"![samples]({PICTURE})"] if shown else []
    parts += ["## How to load it", *_loading(made)]
    parts += ["## Inputs and outputs", _table(made)]
    parts += ["## Data", _data(model)]
    parts += ["## Metrics", *_metrics(run, model)]
    parts += ["## Settings", _settings(described["run"]["config"])]
    return "\n\n".join(parts) + "\n"


def alike(difference: float) -> str:
    """Returns how far an export's images are from those of its run, as a clause.

    Args:
        difference: Largest difference of the values, which lie in [-1, 1].
    """
    if difference == 0:
        return "its images equal the run's, bit for bit"
    return f"its images differ from the run's by {difference:.2g} at most, on a scale of -1 to 1"


# --- how to load it -------------------------------------------------------------------------------


def _loading(made: Parts) -> Iterator[str]:
    if made.description["form"] == "onnx":
        yield "onnxruntime runs it (`pip install onnxruntime`), and so do many other programs:"
        yield _code(session(made.inputs, made.description["latents"]))
        return
    given = {one.name: f"{one.name}=..." for one in made.inputs if one.kind in _NEEDED}
    call = ", ".join(["0", "16", *given.values()])
    yield _code(
        "import jaxgan\n\n"
        'model = jaxgan.load("DIR")  # this folder\n'
        f"images = model.sample({call})  # seed, number of images"
    )
    if made.description["form"] == "stablehlo":
        yield "JAX alone runs it too, on a CPU, a GPU or a TPU (`pip install jax flatbuffers`):"
        yield _code(program(made.inputs, made.description["latents"]))


_NEEDED = ("image", "caption", "text")


def program(inputs: Sequence[Input], latents: Mapping[str, Any] | None) -> str:
    """Returns the lines of Python that draw 16 images from an exported program with JAX alone.

    They are run in the folder of the export.

    Args:
        inputs: The inputs of the program.
        latents: How its latents are drawn: the entry of model.json.
    """
    given = "".join(f", {one.name}={_value(one, latents)}" for one in inputs)
    return (
        "import jax, numpy\n\n"
        'program = jax.export.deserialize(bytearray(open("generator.stablehlo", "rb").read()))\n'
        'weights = dict(numpy.load("weights.npz"))\n'
        "key = jax.random.key(0)\n"
        f"images = program.call(weights{given})"
    )


def session(inputs: Sequence[Input], latents: Mapping[str, Any] | None) -> str:
    """Returns the lines of Python that draw 16 images from an ONNX model without JAX.

    They are run in the folder of the export.

    Args:
        inputs: The inputs of the model.
        latents: How its latents are drawn: the entry of model.json.
    """
    given = "".join(f"    {one.name!r}: {_number(one, latents)},\n" for one in inputs)
    return (
        "import numpy, onnxruntime\n\n"
        "draws = numpy.random.default_rng(0)\n"
        'session = onnxruntime.InferenceSession("generator.onnx")\n'
        f"given = {{\n{given}}}\n"
        "images = session.run(None, given)[0]"
    )


def _number(one: Input, latents: Mapping[str, Any] | None) -> str:
    """Returns an expression of NumPy for 16 values of the input."""
    shape = ", ".join(map(str, (16, *one.shape)))
    if one.kind == "label":
        return f'numpy.arange(16, dtype="{one.dtype}") % {max(1, len(one.classes))}'
    if one.kind != "latents":
        return f'numpy.zeros(({shape}{"" if one.shape else ","}), "{one.dtype}")'
    drawn = f"draws.normal(size=({shape}))"
    if latents and latents["prior"] != "normal":
        ends = "3**0.5" if latents["prior"] == "unit_uniform" else "1.0"
        drawn = f"draws.uniform(-{ends}, {ends}, ({shape}))"
    return f'{drawn}.astype("float32")'


def _value(one: Input, latents: Mapping[str, Any] | None) -> str:
    """Returns an expression for 16 values of the input."""
    shape = ", ".join(map(str, (16, *one.shape)))
    if one.kind == "label":
        return f"jax.numpy.arange(16) % {max(1, len(one.classes))}"
    if one.kind == "noise":
        return "jax.random.key_data(jax.random.split(key, 16))"
    if one.kind == "latents" and latents and latents["prior"] == "normal":
        return f"jax.random.normal(key, ({shape}))"
    if one.kind == "latents":
        ends = "3**0.5" if latents and latents["prior"] == "unit_uniform" else "1.0"
        return f"jax.random.uniform(key, ({shape}), minval=-{ends}, maxval={ends})"
    return f'jax.numpy.zeros(({shape}), "{one.dtype}")'


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


# --- what it takes and makes ----------------------------------------------------------------------


_OF_ARRAYS = "in the units of the network, from which `jaxgan.data.transforms.invert` leads back"


def _table(made: Parts) -> str:
    rows = ["| name | shape | type | meaning |", "|---|---|---|---|"]
    for one in made.inputs:
        shape = " x ".join(map(str, ("batch", *one.shape)))
        rows.append(f"| `{one.name}` | {shape} | {one.dtype} | {_meaning(one, made)} |")
    output = made.description["output"]
    shape = " x ".join(map(str, ("batch", *output["shape"])))
    values = f"values {_OF_ARRAYS}" if output["range"] is None else "values in [-1, 1]"
    rows.append(f"| output | {shape} | {output['dtype']} | {values} |")
    return "\n".join(rows)


def _meaning(one: Input, made: Parts) -> str:
    if one.kind == "latents":
        return _drawn(made.description["latents"])
    if one.kind == "label":
        return "number of the class: " + ", ".join(
            f"{number} {name}" for number, name in enumerate(one.classes)
        )
    return {
        "image": "images, values in [-1, 1]",
        "caption": "character codes of `jaxgan.data.captions.encode`, padded with 0",
        "text": "embeddings of captions",
        "condition": f"a condition {_OF_ARRAYS}",
        "noise": "data of one random key per image",
    }[one.kind]


_PRIORS = {
    "normal": "N(0, 1)",
    "uniform": "U(-1, 1)",
    "unit_uniform": "U(-sqrt 3, sqrt 3)",
}


def _drawn(latents: Mapping[str, Any] | None) -> str:
    if latents is None:
        return "drawn in the experiment's own way"
    parts = [f"{latents['size']} entries of {_PRIORS[latents['prior']]}"]
    parts += [f"one of {classes} classes, one-hot" for classes in latents["categories"]]
    if latents["continuous"]:
        parts.append(f"{latents['continuous']} codes of U(-1, 1)")
    return ", then ".join(parts)


# --- how it was made ------------------------------------------------------------------------------


def _data(model: TrainedModel) -> str:
    from jaxgan.data import origins

    name = model.config.data
    known = origins.origin(name)
    if known is None:
        head, colon, place = name.partition(":")
        name = head + colon + pathlib.PurePath(place).name
        known = "whose origin and license this card does not know: state them before you share it"
    return f"`{name}`: {known}."


def _metrics(run: pathlib.Path, model: TrainedModel) -> Iterator[str]:
    """Yields the last evaluation up to the model's step, with its settings."""
    from jaxgan.metrics import evaluation
    from jaxgan.runs import metric_log, run_directory

    logged = metric_log.rows(run_directory.RunDirectory(run).metrics)
    rows = [r for r in logged if metric_log.is_measurement(r) and r["step"] <= model.step]
    if not rows:
        yield "None were evaluated in training (`jaxgan evaluate` measures the run)."
        return
    row = rows[-1]
    numbers = {name: n for name, n in row.items() if name not in metric_log.NO_NUMBERS}
    members = metric_log.members(row)
    what = "members of a sweep" if members and members.settings else "seeds"
    means = f", means of {len(members.seeds)} {what}" if members else ""
    yield f"Evaluated at step {row['step']}{means}:"
    lines = ["| metric | value |", "|---|---|"]
    lines += [f"| {name.rpartition('/')[2]} | {n:.6g} |" for name, n in numbers.items()]
    yield "\n".join(lines)
    measured = row[metric_log.MEASURED]
    for warning in measured["warnings"]:
        yield f"Warning: {warning}."
    listed = [line.strip() for line in evaluation.listed(measured["settings"])]
    yield "\n".join(f"- {files.printable(line)}" for line in listed)


def _settings(config: Mapping[str, Any]) -> str:
    """Returns the settings that the run set itself, as JSON names and values."""
    from jaxgan.runs.config import MAY_CHANGE, RunConfig

    default = {field.name: field.default for field in dataclasses.fields(RunConfig)}
    lines = [
        f"- {name.replace('_', ' ')}: {files.printable(value)}"
        for name, value in config.items()
        if value not in (None, ())
        and (name not in default or name not in MAY_CHANGE or name == "steps")
    ]
    return "\n".join(lines)
