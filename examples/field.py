r"""Gaussian random fields of a known power spectrum, conditioned on their amplitude.

    python examples/field.py write fields.npz
    jaxgan train examples/field.py --data arrays:fields.npz --steps 1600 --workdir runs/field \
        --transform image=standardize,condition_amplitude=standardize
    python examples/field.py measure runs/field

The last command compares samples with held-out fields of the same amplitudes: the power in each
band of wave numbers that holds 1 % or more of it, and the amplitudes.
"""

import pathlib
import sys
from functools import partial

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

import jaxgan
from jaxgan import losses, nn, optimizers, random
from jaxgan.data import transforms
from jaxgan.games import penalization, training, two_player
from jaxgan.nn import resampling
from jaxgan.runs import trained_model
from jaxgan.runs.config import RunConfig

SIDE, WIDTH, COUNT = 32, 8, 1_600  # of a field, of the networks, of fields to measure
WAVES = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)) * SIDE  # wave numbers
BANDS = np.rint(WAVES).astype(int)
POWER = np.where(WAVES > 0, np.maximum(WAVES, 1.0) ** -3.0, 0.0)
POWER *= SIDE**2 / POWER.sum()  # of amplitude 1: fields of variance 1
LEAKY, CONV = partial(jax.nn.leaky_relu, negative_slope=0.2), partial(nn.Conv, padding="CIRCULAR")


def fields(amplitudes, seed=0):
    """Returns fields [N, SIDE, SIDE, 1] of these amplitudes [N]."""
    white = np.random.default_rng(seed).normal(size=(len(amplitudes), SIDE, SIDE))
    waves = np.fft.fft2(white) * np.sqrt(POWER) * np.asarray(amplitudes)[:, None, None]
    return np.fft.ifft2(waves).real[..., None].astype(np.float32)


def power(fields):
    """Returns the power of each wave, [N, SIDE, SIDE]."""
    return np.square(np.abs(np.fft.fft2(fields[..., 0]))) / SIDE**2


class Generator(linen.Module):
    """Filters noise of every resolution, with gains that follow the amplitude [B, 1]."""

    @linen.compact
    def __call__(self, latents, amplitude, *, keys, train=False):
        """Returns fields [B, SIDE, SIDE, 1]; the keys draw the noise, in sampling, too."""

        def gained(x):
            return x * (1 + linen.Dense(x.shape[-1])(amplitude)[:, None, None])

        x = linen.Dense(4 * 4 * 2 * WIDTH)(latents).reshape(-1, 4, 4, 2 * WIDTH)
        total = jnp.zeros((1, 4, 4, 1))
        for side in (4, 8, 16, SIDE):
            if side > 4:
                x, total = resampling.double(x), resampling.double(total)
            noise = random.normal(random.fold(keys, f"noise of {side}"), (side, side, 4))
            x = jnp.concatenate([x, noise], axis=-1)
            if side < SIDE:  # the finest waves hold little: filtered noise is enough
                x = LEAKY(gained(CONV(WIDTH if side == 16 else 2 * WIDTH, (3, 3))(x)))
                x = jnp.concatenate([x, noise], axis=-1)
            total += CONV(1, (5, 5) if side < SIDE else (7, 7))(gained(x))
        return total


def rms_by_band(x):
    """Returns the root mean square of each band's waves, the finer ones enlarged, [B, SIDE / 2]."""
    bands = np.arange(1, SIDE // 2 + 1)
    within = BANDS[..., None] == bands
    weights = within / within.sum(axis=(0, 1)) * bands**3 / 16 / SIDE**2
    waves = jnp.fft.fft2(x[..., 0])
    squares = jnp.square(waves.real) + jnp.square(waves.imag)
    return jnp.sqrt(jnp.einsum("bhw,hwk->bk", squares, weights.astype("f4")) + 1e-4)  # smooth at 0


class Discriminator(linen.Module):
    """A convolutional network with a projection of the amplitude, and one that sees the spectrum.

    Filters of a few pixels hardly see the power of a band; the spectrum is a second view, as in
    SSD-GAN (Chen et al. 2021).
    """

    @linen.compact
    def __call__(self, seen, amplitude, *, keys=None, train=False):
        """Returns logits [B] of fields and amplitudes [B, 1]."""
        slopes = [3 * (seen - jnp.roll(seen, 1, axis)) for axis in (1, 2)]  # of a flatter spectrum
        x = jnp.concatenate([seen, *slopes], axis=-1)
        for width in (WIDTH, 2 * WIDTH, 4 * WIDTH):
            x = LEAKY(CONV(width, (4, 4), strides=2)(x))
        x = LEAKY(linen.Dense(64)(jnp.mean(LEAKY(CONV(4 * WIDTH, (3, 3))(x)), axis=(1, 2))))
        embedding = linen.Dense(64)(LEAKY(linen.Dense(64)(amplitude)))
        logits = linen.Dense(1)(x)[:, 0] + jnp.mean(embedding * x, axis=-1)
        spectrum = jnp.concatenate([rms_by_band(seen), amplitude], axis=-1)
        for _ in range(2):
            spectrum = LEAKY(linen.Dense(64)(spectrum))
        return logits + linen.Dense(1)(spectrum)[:, 0]


class Config(RunConfig):
    """The usual flags."""

    falls_to_the_end = property(lambda config: True)  # of the learning rates


def build(config, spec, *, axis_name=None):
    """Returns the model."""
    # An average of weights that still move far draws too little power: the rates fall early, and
    # the average is short.
    adam = optimizers.adam(optimizers.falling_from(2e-3, 0.4, steps=config.steps), 0.0, 0.99)
    adams = {"generator": adam, "discriminator": adam}
    options = {"shape": spec.shape, "latents": partial(random.latents, size=32)}
    options["training"] = training.Training(adams, ema_half_life=5_000.0, axis_name=axis_name)
    options |= {"loss": losses.relativistic_paired(), "penalty": penalization.ZeroCentered(0.05)}
    options |= two_player.conditioned(spec.typical)
    return two_player.build(Generator(), Discriminator(), **options)


def measure(run):
    """Prints and returns how samples compare with held-out fields of the same amplitudes."""
    model = jaxgan.load(run, experiment=__file__)
    held, units = trained_model.data_of(run, model.config).held_out, model.spec.transforms
    batch = held.batch(seed=0, step=0, size=COUNT)
    made = model.sample(0, COUNT, condition_amplitude=batch["condition_amplitude"])
    made, real = (power(transforms.invert(units["image"], x)) for x in (made, batch["image"]))
    asked = transforms.invert(units["condition_amplitude"], batch["condition_amplitude"])[:, 0]
    bands = [band == BANDS for band in range(1, BANDS.max() + 1)]
    bands = [here for here in bands if real[:, here].sum() >= 0.01 * real.sum()]
    ratios = np.array([made[:, here].sum() / real[:, here].sum() for here in bands])
    print("power of bands 1, 2, ... over that of the data:", ratios.round(3))
    waves, correlations = np.any(bands, axis=0), []
    for name, of in (("samples", made), ("held-out fields", real)):
        found = np.sqrt(np.mean(of[:, waves] / POWER[waves], axis=1))
        correlations.append(np.corrcoef(found, asked)[0, 1])
        print(f"correlation of {name}: {correlations[-1]:.4f}")
    return ratios, correlations[0]


if __name__ == "__main__" and sys.argv[1] == "write":
    amplitudes = np.exp(np.random.default_rng(1).uniform(np.log(0.5), np.log(2), 16_384))
    np.savez(sys.argv[2], image=fields(amplitudes), condition_amplitude=amplitudes.astype("f4"))
elif __name__ == "__main__":
    measure(pathlib.Path(sys.argv[2]))
