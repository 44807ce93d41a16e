"""Trains the garment classifier, a small network, only on the embedded training images.

python -m experiments.evaluation.train_classifier --out garments.safetensors
"""

from __future__ import annotations

import dataclasses
import pathlib
import time


@dataclasses.dataclass(frozen=True)
class Config:
    """Flags of the training."""

    out: pathlib.Path = pathlib.Path("garments.safetensors")
    """File of the weights."""
    epochs: int = 30
    """Epochs over the 10,000 training images."""
    batch_size: int = 128
    """Images in each update."""
    learning_rate: float = 4e-3
    """Peak learning rate of the one-cycle schedule."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW."""
    smoothing: float = 0.0
    """Label smoothing; 0 keeps the confidences calibrated, on which the evaluation relies."""
    shift: int = 2
    """Largest random shift of a training image, in pixels; half of the images are also mirrored."""
    seed: int = 0
    """Seed of initial weights, data order and augmentation."""


def augment(images, keys, shift: int):
    """Returns images mirrored at random and shifted over the black background (-1).

    Args:
        images: Images [B, H, W, C].
        keys: Keys of the augmentation.
        shift: Largest shift, in pixels.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan import random

    pad = ((shift, shift), (shift, shift), (0, 0))
    mirrored = random.bernoulli(random.fold(keys, "mirror"), (), probability=0.5)
    at = random.draw(
        random.fold(keys, "shift"), lambda key: jax.random.randint(key, (2,), 0, 2 * shift + 1)
    )

    def one(image, flip, corner):
        image = jnp.where(flip, image[:, ::-1], image)
        padded = jnp.pad(image, pad, constant_values=-1.0)
        return jax.lax.dynamic_slice(padded, (corner[0], corner[1], 0), image.shape)

    return jax.vmap(one)(images, mirrored, at)


def objective(config: Config):
    """Returns the cross-entropy with smoothed labels on augmented images, as an objective."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxgan.state import Mean, Out

    def loss(state, batch, keys):
        images = augment(batch["image"], keys, config.shift)
        (logits, _), player = state["classifier"].mutate(images, train=True)
        targets = optax.smooth_labels(jax.nn.one_hot(batch["label"], 10), config.smoothing)
        costs = optax.softmax_cross_entropy(logits, targets)
        right = jnp.argmax(logits, axis=1) == batch["label"]
        return jnp.mean(costs), Out({"accuracy": Mean.of(right)}, players={"classifier": player})

    return loss


def fit(config: Config, train):
    """Returns the classifier's variables after training.

    Args:
        config: The flags.
        train: The training images, with labels.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from jaxgan import parallel, state, steps
    from jaxgan.metrics import garments

    total = config.epochs * len(train) // config.batch_size
    schedule = optax.cosine_onecycle_schedule(total, config.learning_rate)
    optimizer = optax.adamw(schedule, weight_decay=config.weight_decay)

    @jax.jit
    def init(key):
        images = jnp.zeros((1, *garments.SHAPE))
        player = state.init_player(key, garments.Classifier(), optimizer, images, train=True)
        return state.create(key, {"classifier": player})

    step = parallel.compile_step(
        steps.make_train_step(steps.update("classifier", objective(config), prefix=""))
    )
    current = init(jax.random.key(config.seed))
    begun, seen = time.perf_counter(), None
    for index in range(total):
        batch = train.batch(seed=config.seed, step=index, size=config.batch_size)
        current, metrics = step(current, batch)
        seen = metrics if seen is None else state.add_metrics(seen, metrics)
        if (index + 1) % 200 == 0 or index + 1 == total:
            means = ", ".join(f"{name} {float(mean.value):.3f}" for name, mean in seen.items())
            print(f"step {index + 1} of {total}, {time.perf_counter() - begun:.0f} s: {means}")
            seen = None
    player = current["classifier"]
    return {"params": player.params, **player.variables}


def main(config: Config) -> None:
    """Trains the classifier, writes its weights, and prints its accuracy on held-out images."""
    import numpy as np
    import safetensors.numpy
    from flax import traverse_util

    from jaxgan import data
    from jaxgan.metrics import garments

    splits = data.load("fashion")
    variables = fit(config, splits.train)
    flat = {k: np.asarray(v) for k, v in traverse_util.flatten_dict(variables, sep="/").items()}
    safetensors.numpy.save_file(flat, config.out)
    held_out = splits.held_out
    assert isinstance(held_out, data.Dataset) and held_out.labels is not None
    probabilities, _ = garments.judge(held_out.float_images(), variables=variables)
    right = np.argmax(probabilities, axis=1) == held_out.labels
    print(f"held-out accuracy {right.mean():.4f} on {len(held_out)} images")
    for label, name in enumerate(held_out.classes):
        print(f"  {name:12s} {right[held_out.labels == label].mean():.3f}")
    size = config.out.stat().st_size
    print(f"weights: {config.out}, {sum(v.size for v in flat.values())} numbers, {size} bytes")


if __name__ == "__main__":
    import tyro

    main(tyro.cli(Config, description=__doc__))
