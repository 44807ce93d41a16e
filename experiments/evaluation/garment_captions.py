"""Evaluates a run of `experiments.text_to_image` on held-out captions, and draws a page of them.

    python -m experiments.evaluation.garment_captions RUN
    python -m experiments.evaluation.garment_captions RUN --credit "Images: ..."

For the embedded garments it reports three numbers. How often the classifier, which never saw the
model, gives a sample the class that its caption names. How often the sample's shade and shape,
computed as for the captions, are the requested words. How diverse the samples of a class are,
relative to real images. The controls are real images of the same captions, and the generator before
training.

For other data, two networks are trained to match the training images and captions, with other seeds
than the run's own encoders. They rank, for each sample, its caption among other held-out captions.
The controls are the real images, the generator before training, and samples of another caption. The
page shows held-out captions, the real image and samples, and the credit of the data set.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import Any

import numpy as np

from jaxgan.tools import command

from .. import text_to_image


@dataclasses.dataclass(frozen=True)
class Config(command.OfRunAndData):
    """What to evaluate."""

    samples: int = 2000
    """Number of samples of garments."""
    seed: int = 1
    """Seed of the latents."""
    matcher_steps: int = 2000
    """Train steps of the independent networks that match images and captions."""
    among: int = 100
    """Number of captions that are ranked."""
    top: int = 10
    """Highest ranks that count as found."""
    captions: int = 24
    """Number of captions on the page."""
    picture: pathlib.Path | None = None
    """File of the page (default: captions.png in the run directory)."""
    credit: str | None = None
    """Credit and license of the data, at the foot of the page (default: those of the garments)."""


def report(config: Config) -> str:
    """Returns the report on the run, as text, and writes the page.

    Raises:
        ValueError: If the run's model does not draw from captions.
    """
    from jaxgan import data
    from jaxgan.data import fashion_captions

    trained = config.load()
    if not isinstance(trained.config, text_to_image.Config) or not trained.gan.conditions:
        raise ValueError(f"{config.run} is not a run of experiments.text_to_image with a generator")
    if trained.gan.conditions != ("caption",):
        raise ValueError(f"{config.run} draws from embeddings; the evaluation needs captions")
    splits = config.splits(trained)
    train, held_out = splits.train, splits.held_out
    assert isinstance(train, data.Captioned) and isinstance(held_out, data.Captioned)
    garments = held_out.name == fashion_captions.NAME
    lines = [f"{config.run} after {trained.step} steps"]
    if garments:
        lines += of_garments(trained, held_out, config)
    else:
        lines += of_matcher(trained, train, held_out, config)
    credit = config.credit or (fashion_captions.CREDIT if garments else "")
    place = config.picture or config.run / "captions.png"
    page(trained, held_out, config, credit=credit).save(place)
    lines.append(f"{place}: captions, each with its real image and what is drawn from it")
    return "\n".join(lines)


# --- garments -------------------------------------------------------------------------------------


def of_garments(trained: Any, held_out: Any, config: Config) -> list[str]:
    """Returns how well samples show the words of their captions, by word and by class, as lines.

    Args:
        trained: The trained model.
        held_out: The held-out images and captions.
        config: The flags.
    """
    from jaxgan.data import captions, fashion_captions

    batch = held_out.batch(seed=config.seed, step=0, size=config.samples)
    asked = np.array([fashion_captions.asked_by(captions.decode(row)) for row in batch["caption"]])
    untrained = trained.untrained(config.seed)
    judged = {
        "drawn": shown(drawn(trained, batch["caption"], config.seed), asked),
        "real": shown(batch["image"], asked),
        "untrained": shown(drawn(untrained, batch["caption"], config.seed), asked),
    }
    title = f"{config.samples} held-out captions"
    rows = [f"{title:28s}" + "".join(f"{name:>12s}" for name in judged)]
    for place, name in enumerate(("class", "shade", "shape")):
        cells = [np.mean(words[:, place] == asked[:, place]) for words, _ in judged.values()]
        rows.append(f"{f'{name} as asked':28s}" + "".join(f"{cell:12.1%}" for cell in cells))
    variety = {name: varieties(seen, judged["real"], asked) for name, seen in judged.items()}
    means = "".join(f"{np.mean(each):12.2f}" for each in variety.values())
    rows.append(f"{'diversity within class':28s}" + means)
    words, _ = judged["drawn"]
    rows.append(f"{'asked':28s}" + "".join(f"{n:>12s}" for n in ("class", "shade", "diversity")))
    for label in np.unique(asked[:, 0]):
        here = asked[:, 0] == label
        right = [np.mean(words[here, place] == asked[here, place]) for place in (0, 1)]
        cells = "".join(f"{cell:12.1%}" for cell in right) + f"{variety['drawn'][label]:12.2f}"
        rows.append(f"{fashion_captions.THINGS[label]:28s}" + cells)
    return rows


def shown(images: Any, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the words that images of garments show, and the classifier's features.

    Args:
        images: Images [N, H, W, C].
        asked: The requested words, int [N, 3].

    Returns:
        The words [N, 3] and the features [N, F]. The class is the classifier's; the shape is
        relative to those of the requested class.
    """
    from jaxgan import data
    from jaxgan.data import fashion, fashion_captions
    from jaxgan.metrics import garments

    fitted = garments.fitted(images)
    probabilities, features = garments.judge(fitted)
    train = fashion.load().train
    assert isinstance(train, data.Dataset)
    seen = data.Dataset("seen", data.to_uint8(fitted), asked[:, 0], fashion.CLASSES)
    words = fashion_captions.words_of(seen, fashion_captions.usual_covers(train))
    words[:, 0] = np.argmax(probabilities, axis=1)
    return words, features


def varieties(seen: Any, real: Any, asked: np.ndarray) -> np.ndarray:
    """Returns the diversity [10] of the samples of each class, relative to real images.

    Args:
        seen: Words and features of the samples, see `shown`.
        real: Words and features of real images of the same captions.
        asked: The requested words, int [N, 3].
    """
    from jaxgan.metrics import garments

    found = np.full(10, np.nan)
    labels = asked[:, 0]
    found[np.unique(labels)] = garments.diversity(seen[1], labels, real[1], labels)
    return found


def drawn(trained: Any, codes: np.ndarray, seed: int) -> np.ndarray:
    """Returns a sample [N, H, W, C] of each caption, by the averaged generator.

    Args:
        trained: The trained model.
        codes: The encoded captions [N, L].
        seed: Seed of the latents.
    """
    return np.asarray(trained.sample(seed, len(codes), caption=codes))


# --- any captions ---------------------------------------------------------------------------------


def of_matcher(trained: Any, train: Any, held_out: Any, config: Config) -> list[str]:
    """Returns how often the caption of a sample is found among others, with controls, as lines.

    Args:
        trained: The trained model.
        train: The training images and captions.
        held_out: The held-out images and captions.
        config: The flags.
    """
    from jaxgan.metrics import retrieval

    first = held_out.texts[held_out.first[:-1]]
    rows = np.unique(first, axis=0, return_index=True)[1]
    codes = first[rows]
    own = drawn(trained, codes, config.seed)
    pictures = {
        "drawn": own,
        "real images": held_out.subset(rows).float_images(),
        "untrained": drawn(trained.untrained(config.seed), codes, config.seed),
        "drawn from another caption": np.roll(own, 1, axis=0),
    }
    state = matcher(trained, train, steps=config.matcher_steps)
    lines = [
        f"{len(rows)} held-out captions, each in the first {config.top} of {config.among} "
        f"(by chance {config.top / config.among:.1%})"
    ]
    for name, images in pictures.items():
        found = retrieval.found_among(
            scores(state, images, codes), of=config.among, top=config.top, seed=config.seed
        )
        lines.append(f"{name:28s}{found:12.1%}")
    return lines


def matcher(trained: Any, train: Any, *, steps: int) -> Any:
    """Returns the state of two independent networks that match images and captions.

    They are of the run's kind, with a seed of their own.

    Args:
        trained: The trained model.
        train: The training images and captions.
        steps: Number of train steps.
    """
    import jax

    from jaxgan import parallel
    from jaxgan.runs.config import DataSpec

    seed = trained.config.seed + 1_000_003
    config = dataclasses.replace(trained.config, matching=steps)
    gan = text_to_image.matched(config, DataSpec.of(train))
    step, state = parallel.compile_step(gan.step), gan.init(jax.random.key(seed))
    for index in range(steps):
        batch = train.batch(seed=seed, step=index, size=config.batch_size)
        state, _ = step(state, batch)
    return state


def scores(state: Any, images: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Returns how well each image and each caption match, [N, N].

    Args:
        state: The two networks.
        images: Images [N, H, W, C].
        codes: Encoded captions [N, L].
    """
    from jaxgan.games import image_text_embedding
    from jaxgan.runs.trained_model import in_pieces

    seen = in_pieces(lambda state, rows: state["image_encoder"](rows), state, images)
    read = in_pieces(lambda state, rows: state["encoder"](rows), state, codes)
    return np.asarray(image_text_embedding.compatibility(seen, read))


# --- the page -------------------------------------------------------------------------------------


def page(trained: Any, held_out: Any, config: Config, *, credit: str, each: int = 5) -> Any:
    """Returns a picture of held-out captions, each above its real image and samples.

    Args:
        trained: The trained model.
        held_out: The held-out images and captions.
        config: The flags.
        credit: Text at the foot of the page.
        each: Samples of each caption.
    """
    from jaxgan.data import captions
    from jaxgan.plotting import caption_pages

    chosen = held_out.take(min(config.captions, len(held_out)))
    # Not always the first caption: those of the garments all have the same form.
    which = chosen.first[:-1] + np.arange(len(chosen)) % np.diff(chosen.first)
    codes = chosen.texts[which]
    made = drawn(trained, np.repeat(codes, each, axis=0), config.seed)
    real = chosen.float_images()[:, None]
    images = np.concatenate([real, made.reshape(-1, each, *made.shape[1:])], axis=1)
    titles = [captions.decode(row) for row in codes]
    return caption_pages.page(titles, images, columns=2, credit=credit)


main = command.printing(
    Config, report, module="experiments.evaluation.garment_captions", description=__doc__
)

if __name__ == "__main__":
    sys.exit(main())
