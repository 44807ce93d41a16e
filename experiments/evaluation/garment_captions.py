"""What captions that were held out say of a run of `experiments.text_to_image`, and a page of them.

    python -m experiments.evaluation.garment_captions RUN
    python -m experiments.evaluation.garment_captions RUN --credit "Images: ..."

Of the embedded garments: how often the classifier, which never saw the model, gives a picture the
class that its caption names; how often its shade and its shape are the words asked for, computed as
those of the captions were; and how diverse pictures of a class are beside real images. Controls are
real images of the same captions, and the generator before training.

Of other data: two networks learn to match the training images and captions, by other seeds than the
run's own reader, and rank for each picture the caption that it was drawn from among others that
were held out. Controls are the real images, the generator before training, and pictures drawn from
another caption. The page shows held-out captions, the real image and what is drawn, and the credit
of the data set.
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
class Config(command.OfRun):
    """What to judge."""

    samples: int = 2000
    """How many pictures of garments to draw."""
    seed: int = 1
    """Of the latents."""
    matcher_steps: int = 2000
    """Steps in which the independent networks learn to match images and captions."""
    among: int = 100
    """Captions among which they look for the right one."""
    top: int = 10
    """Best places that count as found."""
    captions: int = 24
    """Captions on the page."""
    picture: pathlib.Path | None = None
    """Where the page goes (default: captions.png in the run directory)."""
    credit: str | None = None
    """Credit and license of the data, for the foot of the page (default: that of the garments)."""


def report(config: Config) -> str:
    """The report on the run, as text; ValueError where it does not draw from captions."""
    from jaxgan import data
    from jaxgan.data import fashion_captions
    from jaxgan.runs.trained_model import data_of

    trained = config.load()
    if not isinstance(trained.config, text_to_image.Config) or not trained.gan.conditions:
        raise ValueError(f"{config.run} is no run of experiments.text_to_image that draws")
    if trained.gan.conditions != ("caption",):
        raise ValueError(f"{config.run} draws from embeddings; captions are needed to judge by")
    splits = data_of(config.run, trained.config)
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
    """Tables of how well pictures show the words of their captions, by what and by class."""
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
    """The words [N, 3] that images of garments show: the class by the classifier, and the shape
    beside those of the class that was asked for; and the classifier's features [N, F].
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
    """The diversity [10] of what was drawn of each class beside that of the real images of the same
    captions.
    """
    from jaxgan.metrics import garments

    found = np.full(10, np.nan)
    labels = asked[:, 0]
    found[np.unique(labels)] = garments.diversity(seen[1], labels, real[1], labels)
    return found


def drawn(trained: Any, codes: np.ndarray, seed: int) -> np.ndarray:
    """A picture [N, H, W, C] of each caption, by the averaged generator."""
    return np.asarray(trained.sample(seed, len(codes), caption=codes))


# --- any captions ---------------------------------------------------------------------------------


def of_matcher(trained: Any, train: Any, held_out: Any, config: Config) -> list[str]:
    """How often the caption of a picture is found among others, beside controls."""
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
    """The state of the two networks of the run's kind, trained on the training images and captions
    by a seed of their own.
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
    """How well each image and each caption match, [N, N]."""
    from jaxgan.games import image_text_embedding
    from jaxgan.runs.trained_model import in_pieces

    seen = in_pieces(lambda state, rows: state["image_encoder"](rows), state, images)
    read = in_pieces(lambda state, rows: state["encoder"](rows), state, codes)
    return np.asarray(image_text_embedding.compatibility(seen, read))


# --- the page -------------------------------------------------------------------------------------


def page(trained: Any, held_out: Any, config: Config, *, credit: str, each: int = 5) -> Any:
    """Some of the held-out captions, each above its real image and `each` pictures drawn."""
    from jaxgan.data import captions
    from jaxgan.plotting import caption_pages

    chosen = held_out.take(min(config.captions, len(held_out)))
    # Not the first caption of each: those of garments differ in nothing but their words.
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
