"""Table of stacked MNIST: how many of a thousand modes the samples of a GAN cover."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import digits, frame, records, runs

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.types import PyTree

MODES = 1000

BUDGETS: dict[str, dict[str, Any]] = {
    "quick": {
        "gan": {
            "steps": 4,
            "batch_size": 8,
            "seeds": 1,
            "generator_widths": [4, 4, 4, 4],
            "discriminator_widths": [2, 2, 2],
        },
        "samples": 500,
        "classifier": {"steps": 4, "widths": [4, 4, 4, 4]},
    },
    "default": {
        "gan": {"steps": 4000, "batch_size": 128, "seeds": 2},
        "samples": 25_600,
        "classifier": {"steps": 1400, "widths": [16, 32, 32, 64]},
    },
    "full": {
        "gan": {"steps": 500_000, "batch_size": 128, "seeds": 10},
        "samples": 25_600,
        "classifier": {"steps": 1400, "widths": [16, 32, 32, 64]},
    },
}

# By name: what the row is called, its flags, and what the papers print of modes and divergence.
ROWS: dict[str, tuple[str, dict[str, int], tuple[str, str]]] = {
    "dcgan": ("DCGAN", {}, ("487.7 +- 34.59", "2.24 +- 0.15")),
    "pac2": ("PacDCGAN2", {"packing": 2}, ("840.7 +- 15.92", "1.00")),
    "unrolled": ("unrolled by 5", {"unrolled": 5}, ("732.0 +- 44.98", "1.66 +- 0.09")),
}


def parts(budget: str) -> tuple[frame.Part, ...]:
    """Returns the tables of the modes, and of the classifier that counts them."""
    data = {"data": digits.DATA[budget]}
    chosen = {**data, **BUDGETS[budget]}
    chosen["classifier"] = {**data, **chosen["classifier"]}
    pieces = tuple(
        frame.Piece(
            name,
            title,
            {**chosen, "gan": {**chosen["gan"], **flags}},
            measure,
            dict(zip(("modes", "divergence"), printed, strict=True)),
        )
        for name, (title, flags, printed) in ROWS.items()
    )
    control = {name: chosen[name] for name in ("data", "samples", "classifier")}
    modes = frame.Part(
        "modes",
        "Modes of stacked digits, with a discriminator of half the generator's size",
        (
            frame.Column("modes", "modes of 1000", "{:.1f}".format),
            frame.Column("divergence", "reverse KL", "{:.3f}".format),
        ),
        (*pieces, frame.Piece("real", "the data themselves", control, measure_real)),
        source=(
            "The papers': DCGAN and PacDCGAN2 of Lin et al. 2018, table 3 (DCGAN in the "
            "implementation of its authors; 50 trials of PacDCGAN), and the unrolled GAN of Metz "
            "et al. 2017 as quoted there, whose own DCGAN has 628.0 +- 140.9 modes and 2.58 +- "
            "0.75; all after 500,000 steps."
        ),
    )
    counter = frame.Piece("classifier", "classifier", chosen["classifier"], measure_classifier)
    accuracy = frame.Column("accuracy", "accuracy %", "{:.2f}".format, 100.0)
    return modes, frame.Part("digits", "The classifier on test images", (accuracy,), (counter,))


# --- what counts ----------------------------------------------------------------------------------


def classifier(settings: frame.Settings, folder: Path) -> PyTree:
    """Returns the variables of the digit classifier.

    They are read from the folder that the table's pieces share, or trained and written there.

    Args:
        settings: The classifier's settings.
        folder: The piece's folder.
    """
    import numpy as np
    import safetensors.numpy
    from flax import traverse_util

    from jaxgan import files

    file = folder.parent / f"digits-{records.digest(settings)}.safetensors"
    if not file.exists():
        flat = traverse_util.flatten_dict(_fitted(settings), sep="/")
        arrays = {name: np.asarray(value) for name, value in flat.items()}
        files.write_whole(file, safetensors.numpy.save(arrays))
    return traverse_util.unflatten_dict(safetensors.numpy.load_file(file), sep="/")


def _fitted(settings: frame.Settings) -> PyTree:
    import jax
    import jax.numpy as jnp
    import optax

    from jaxgan import parallel, state, steps
    from jaxgan.state import Out

    train: Any = digits.load(settings).train
    network = _network(settings)
    optimizer = optax.adamw(optax.cosine_onecycle_schedule(settings["steps"], 4e-3))

    def objective(state, batch, keys):
        (logits, _), player = state["classifier"].mutate(batch["image"], train=True)
        costs = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return jnp.mean(costs), Out(players={"classifier": player})

    @jax.jit
    def init(key):
        images = jnp.zeros((1, *train.shape))
        player = state.init_player(key, network, optimizer, images, train=True)
        return state.create(key, {"classifier": player})

    step = parallel.compile_step(steps.make_train_step(steps.update("classifier", objective)))
    current = init(jax.random.key(0))
    for index in range(settings["steps"]):
        current, _ = step(current, train.batch(seed=0, step=index, size=128))
    return {"params": current["classifier"].params, **current["classifier"].variables}


def _network(settings: frame.Settings) -> Any:
    from jaxgan.metrics import garments

    return garments.Classifier(widths=tuple(settings["widths"]))


def classify(settings: frame.Settings, variables: PyTree, images: np.ndarray) -> np.ndarray:
    """Returns the most likely digit [N] of images, quantized to 256 levels.

    Args:
        settings: The classifier's settings.
        variables: The classifier's variables.
        images: Images [N, 28, 28, 1] in [-1, 1].
    """
    from jaxgan import data
    from jaxgan.runs.trained_model import in_pieces

    network = _network(settings)

    def likeliest(variables: Any, images: Any) -> Any:
        return network.apply(variables, images)[0].argmax(axis=1)

    return in_pieces(likeliest, variables, data.to_float(data.to_uint8(images)))


def modes_of(settings: frame.Settings, variables: PyTree, images: np.ndarray) -> np.ndarray:
    """Returns the mode [N], from 0 to 999, of stacked images: the digits of the channels.

    Args:
        settings: The classifier's settings.
        variables: The classifier's variables.
        images: Images [N, 28, 28, 3] in [-1, 1].
    """
    hundreds, tens, ones = (
        classify(settings, variables, images[..., channel : channel + 1]) for channel in range(3)
    )
    return 100 * hundreds + 10 * tens + ones


# --- pieces ---------------------------------------------------------------------------------------


def measure(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the modes of samples of the models of all seeds, which train together.

    Args:
        settings: The piece's settings.
        folder: The piece's folder.
    """
    import numpy as np

    digits.load(settings)
    # First: a run of several seeds decides into how many devices a CPU is divided.
    models = runs.trained("stacked", {**settings["gan"], **digits.flags(settings)}, folder)
    variables = classifier(settings["classifier"], folder)
    drawn = (np.asarray(model.sample(1, settings["samples"])) for model in models)
    return _counted(settings, variables, drawn)


def measure_real(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the modes of the same number of stacks of training images.

    Args:
        settings: The piece's settings.
        folder: The piece's folder.
    """
    import numpy as np

    from jaxgan.nn import packing

    train: Any = digits.load(settings).train
    variables = classifier(settings["classifier"], folder)
    images = train.batch(seed=0, step=0, size=3 * settings["samples"])["image"]
    return _counted(settings, variables, [np.asarray(packing.pack(images, 3))])


def measure_classifier(settings: frame.Settings, folder: Path) -> frame.Measured:
    """Measures the accuracy of the classifier on test images.

    Args:
        settings: The classifier's settings.
        folder: The piece's folder.
    """
    import numpy as np

    held_out: Any = digits.load(settings).held_out
    found = classify(settings, classifier(settings, folder), held_out.float_images())
    return frame.Measured({"accuracy": [float(np.mean(found == held_out.labels))]})


def _counted(
    settings: frame.Settings, variables: PyTree, drawn: Iterable[np.ndarray]
) -> frame.Measured:
    import numpy as np

    from jaxgan.metrics import modes

    found = []
    for images in drawn:
        at = modes_of(settings["classifier"], variables, images)
        found.append(modes.Coverage(np.bincount(at, minlength=MODES), len(images)))
    return frame.Measured(
        {
            "modes": [coverage.captured for coverage in found],
            "divergence": [coverage.reverse_kl for coverage in found],
        }
    )


TABLE = frame.Table(
    title="Stacked MNIST",
    paper=(
        "Metz et al. 2017 (Unrolled generative adversarial networks), section 3.3.1, as repeated "
        "by Lin et al. 2018 (PacGAN)."
    ),
    protocol=(
        "`python -m experiments.stacked --data tfds:mnist`: images of three channels, each a digit "
        "drawn by itself, fresh in every batch; the papers' small networks, whose discriminator "
        "has half the generator's channels; latents of 256; Adam with beta1 0.5, learning rates "
        "1e-4 (generator) and 2e-4; batches of 128 images, or packs. 25,600 samples; a digit "
        "classifier labels each channel, and a mode is a combination of three digits. "
        "Real images cover all modes, and their divergence is that of the same number of draws and "
        "of MNIST's own unequal classes."
    ),
    scope={
        "default": (
            "A cut: 4000 steps instead of 500,000, 2 seeds. So early the modes say how far a GAN "
            "has come, rather than where it ends."
        ),
        "full": "The papers' 500,000 steps, with 10 seeds instead of up to 50.",
    },
    parts=parts,
)
