"""A trained model with controls: what it can be asked for, and the pictures that answer.

What is asked for comes from a page, so everything in it is checked before it is used.
"""

from __future__ import annotations

import base64
import dataclasses
import pathlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxgan import data, random
from jaxgan.data import DataError, arrays, captions, resizing, transforms
from jaxgan.data.readers import common_form, image_file
from jaxgan.games import latent_access
from jaxgan.metrics import perceptual
from jaxgan.plotting import image_grids
from jaxgan.runs.errors import RunError
from jaxgan.runs.trained_model import SEEDS, TrainedModel
from jaxgan.tools import inversion, latent_directions, latent_space, sample, translate, traverse
from jaxgan.tools.latent_directions import Directions

FOUND = 8
"""Number of directions that are found at the start."""

ENTRIES = 512
"""The largest number of entries of the latent that have controls."""

FARTHEST = 10.0
"""The largest step of a control, in standard deviations of the latents."""

LONGEST = 1000
"""The largest number of characters of a caption; the model reads the first of them."""

MOST_NUMBERS = 8
"""The largest number of numbers of a continuous condition that has controls."""

_DRAWS = 512  # latents that deviations are taken of
_COLORS = (1, 3, 4)  # channels of what is drawn on a pad, or projected
_SAMPLES = 64  # arrays that say which value is drawn white
_SEEN = 64  # images of a domain that say whether it is dark
_PROJECTION = {"count": 256, "restarts": 2, "steps": 100}


@dataclasses.dataclass(frozen=True)
class Asked:
    """A picture to draw from noise.

    Attributes:
        seed: The seed.
        latent: A latent to use instead of the seed's, float32 [Z], or None.
        given: The conditions of the model by name, each [1, ...].
        steps: Steps along each direction and each entry, float32 [K], in standard deviations.
        truncation: Factor of the latent.
    """

    seed: int
    latent: np.ndarray | None
    given: dict[str, np.ndarray]
    steps: np.ndarray
    truncation: float


class Studio:
    """A trained model with its controls.

    Args:
        model: The trained model.
        run: Its run directory, for messages.
        directions: Directions of its latents that were found before.
        dark: The domains that are drawn on in white, see `dark_sources`.

    Raises:
        RunError: If nothing of the model can be shown.
    """

    def __init__(
        self,
        model: TrainedModel,
        run: pathlib.Path,
        directions: Sequence[Directions] = (),
        *,
        dark: Collection[str] = (),
    ) -> None:
        require_shown(model, run)
        self._model, self._state = model, jax.jit(lambda state: state.averaged())(model.state)
        self._shapes = translate.shapes_of(model)
        self.sources = sources_of(model)
        """The domains of images that the model translates, such as 'a'."""
        self._ways = np.zeros((0, 0), np.float32)
        self._entries: dict[str, np.ndarray] = {}  # which of the latent hold a code, by its name
        self._white = _white(model)
        self._controls: dict[str, Any] = {"sources": {}, "name": run.name, "noise": False}
        if self.sources:
            self._translate = _translation(model)
            for name in self.sources:
                height, width, channels = self._shapes[name]
                size = {"height": height, "width": width, "channels": channels}
                self._controls["sources"][name] = {**size, "dark": name in dark}
        else:
            self._draw, self._show = _drawing(model)
            self._of_noise(directions)
        height, width, _ = model.spec.shape
        self._controls |= {"height": height, "width": width, "white": self._white}

    def _of_noise(self, directions: Sequence[Directions]) -> None:
        """Sets the controls of a model that draws from noise."""
        model = self._model
        latents = latent_space.space_of(model).draw(0, _DRAWS)
        every = [*directions]
        if "sefa" not in [found.method for found in every]:
            every.insert(0, latent_directions.closed_form(model, latents, count=FOUND))
        entries = latent_directions.of_entries(latents)
        self._ways = np.concatenate(
            [found.deviations[:, None] * found.vectors for found in [*every, entries]]
        )[: sum(len(found.names) for found in every) + ENTRIES]
        self._size = latents.shape[1]
        codes = traverse.codes_of(model)
        self._entries = {name: self._entries_of(name, number) for name, number in codes.items()}
        labeled = "label" in model.gan.conditions
        self._controls |= {
            "noise": True,
            "seeds": SEEDS,
            "size": self._size,
            "classes": list(model.spec.classes) if labeled else [],
            "codes": codes,
            "conditions": _conditions(model),
            "caption": LONGEST if "caption" in model.gan.conditions else 0,
            "truncation": _truncates(model),
            "directions": [{"method": found.method, "names": list(found.names)} for found in every],
            "entries": min(self._size, ENTRIES),
            "projection": _projects(model),
        }

    def _entries_of(self, code: str, classes: int | None) -> np.ndarray:
        """Returns which entries of the latent hold a code, bool [Z]: those that its values move."""
        given = {name: np.asarray(default(1)) for name, default in self._model.gan.defaults}
        values = np.arange(classes) if classes else np.asarray([-1.0, 1.0], np.float32)
        seed = np.zeros(1, np.uint32)
        held = [self._draw(self._state, seed, {**given, code: np.asarray([v])}) for v in values]
        return np.ptp(np.concatenate(held), axis=0) > 0

    @property
    def controls(self) -> Mapping[str, Any]:
        """Returns the controls of the model, as JSON types."""
        return self._controls

    def warm(self) -> None:
        """Compiles what the page asks for, so that the first answer is as quick as the others."""
        for source in self.sources:
            blank = image_grids.png(image_grids.image_of(np.zeros(self._shapes[source], np.uint8)))
            self.translation(blank, source=source)
        if self._controls["noise"]:
            self.picture({"caption": "anything"} if self._controls["caption"] else {})

    # --- from noise -------------------------------------------------------------------------------

    def picture(self, asked: object) -> bytes:
        """Returns the picture that is asked for, as a PNG file.

        Args:
            asked: What the page sent, of JSON types; see `parsed`.

        Raises:
            ValueError: If there is no such picture; the message says what was expected.
        """
        what = self.parsed(asked)
        words = np.asarray([what.seed], np.uint32)
        codes = {k: v for k, v in what.given.items() if k in self._entries}
        given = {k: v for k, v in what.given.items() if k not in codes}
        latents = what.latent
        if latents is None:
            latents = self._draw(self._state, words, given)
        # Codes are entries of the latent, of a seed's and of a photograph's alike.
        for name, value in codes.items():
            chosen = self._draw(self._state, words, {**given, name: value})
            latents = np.where(self._entries[name], chosen, latents)
        shifts = what.steps @ self._ways
        latents = np.float32(what.truncation) * np.asarray(latents).reshape(1, -1) + shifts[None]
        return self._png(self._show(self._state, words, latents, given))

    def parsed(self, asked: object) -> Asked:
        """Returns what is asked for, checked.

        Args:
            asked: A mapping: seed, and if they are not as usual latent, label, codes, conditions
                (numbers in the units of the data, by name and place), caption, truncation, and
                steps by the number of the direction or entry.

        Raises:
            ValueError: If a value is none.
        """
        if not self._controls["noise"]:
            raise ValueError("the model draws from other images")
        if not isinstance(asked, dict):
            raise ValueError("expected a JSON object")
        names = ("seed", "latent", "label", "codes", "conditions", "caption", "truncation", "steps")
        unknown = [name for name in asked if name not in names]
        if unknown:
            raise ValueError(f"{str(unknown[0])[:40]!r} is unknown; expected {', '.join(names)}")
        latent = asked.get("latent")
        if latent is not None:
            if not isinstance(latent, list) or len(latent) != self._size:
                raise ValueError(f"a latent has {self._size} numbers")
            values = [_number(value, "an entry of the latent", -1e6, 1e6) for value in latent]
            latent = np.asarray(values, np.float32)
        truncation = _number(asked.get("truncation", 1.0), "the truncation", 0, 1)
        if truncation != 1 and not self._controls["truncation"]:
            raise ValueError("truncation has no effect on this model")
        seed = _whole(asked.get("seed", 0), "the seed", SEEDS)
        return Asked(
            seed=seed,
            latent=latent,
            given=self._given(asked) | self._continuous(asked.get("conditions", {}), seed),
            steps=self._steps(asked.get("steps", {})),
            truncation=truncation,
        )

    def _given(self, asked: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns the conditions of the model, each for one image."""
        controls = self._controls
        given = {name: np.asarray(default(1)) for name, default in self._model.gan.defaults}
        if asked.get("label") is not None:
            if not controls["classes"]:
                raise ValueError("the model takes no class")
            number = _whole(asked["label"], "the class", len(controls["classes"]) - 1)
            given["label"] = np.asarray([number], np.int32)
        elif controls["classes"]:
            given["label"] = np.zeros(1, np.int32)
        codes = asked.get("codes", {})
        if not isinstance(codes, dict) or any(name not in controls["codes"] for name in codes):
            raise ValueError(f"the codes are {', '.join(controls['codes']) or 'none'}")
        for name, value in codes.items():
            classes = controls["codes"][name]
            if classes is not None:
                given[name] = np.asarray([_whole(value, f"the code {name}", classes - 1)])
            else:
                code = _number(value, f"the code {name}", -FARTHEST, FARTHEST)
                given[name] = np.asarray([code], np.float32)
        if controls["caption"]:
            given["caption"] = _codes_of(asked.get("caption"))
        elif asked.get("caption") is not None:
            raise ValueError("the model takes no caption")
        return given

    def _continuous(self, asked: object, seed: int) -> dict[str, np.ndarray]:
        """Returns the continuous conditions, those of the seed where no other number is asked for.

        They are those of `jaxgan sample`, each [1, ...] in the model's units.
        """
        ends, spec = self._controls["conditions"], self._model.spec
        found = sample.of_conditions(self._model, np.asarray([seed]))
        if not isinstance(asked, dict) or any(name not in ends for name in asked):
            raise ValueError(f"the conditions are {', '.join(ends) or 'none'}")
        for name, numbers in asked.items():
            what, count = f"a number of the condition {name}", len(ends[name])
            if not isinstance(numbers, dict):
                raise ValueError(f"expected the numbers of the condition {name} by their place")
            entry = sample.entry_of(name, found)
            values = transforms.invert(spec.transforms[entry], found[entry])
            for place, number in numbers.items():
                if place not in map(str, range(count)):
                    raise ValueError(f"the places of the condition {name} are 0 to {count - 1}")
                values.flat[int(place)] = _number(number, what, *ends[name][int(place)])
            found[entry] = transforms.apply(spec.transforms[entry], values).astype(np.float32)
        return found

    def _steps(self, steps: object) -> np.ndarray:
        """Returns the step along each direction and entry, [K]."""
        count = len(self._ways)
        if not isinstance(steps, dict) or len(steps) > count:
            raise ValueError(f"expected the steps of up to {count} directions and entries")
        found = np.zeros(count, np.float32)
        for name, value in steps.items():
            if not (isinstance(name, str) and name.isascii() and name.isdigit() and len(name) < 9):
                raise ValueError(f"expected steps by the number of a direction, 0 to {count - 1}")
            place = _whole(int(name), "the number of a direction", count - 1)
            found[place] = _number(value, "a step", -FARTHEST, FARTHEST)
        return found

    def _png(self, images: Any) -> bytes:
        """Returns the first of images [N, H, W, C] in [-1, 1] as a PNG file."""
        first = np.asarray(images)[0] / self._white
        show = data.bands.fitting(getattr(self._model.config, "show", None), first.shape[-1])
        return image_grids.png(image_grids.image_of(data.to_uint8(data.bands.shown(first, show))))

    # --- from images ------------------------------------------------------------------------------

    def translation(self, image: bytes, *, source: str) -> bytes:
        """Returns the translation of an image, as a PNG file.

        Args:
            image: The encoded image, which is cropped and resized to the model's size.
            source: Its domain, one of `sources`.

        Raises:
            ValueError: If there is no such domain, or the image cannot be read.
        """
        if source not in self.sources:
            takes = ", ".join(self.sources) or "no images"
            raise ValueError(f"the model does not translate images of {source!r}: it takes {takes}")
        pixels = _decoded(image, self._shapes[source], self._model.spec.range_of(source))
        return self._png(self._translate[source](self._state, pixels[None]))

    def projection(self, image: bytes, *, label: int | None) -> dict[str, Any]:
        """Returns the latent whose image is nearest to a photograph, and that image.

        Args:
            image: The encoded photograph.
            label: The class of the image; None for the best of all.

        Returns:
            JSON types: `latent` (Z numbers), `label` if the model takes one, `distance`, and
            `photograph` as the model sees it, as a data URI.

        Raises:
            ValueError: If the photograph cannot be read, or the model has no latents of its own.
        """
        if not self._controls.get("projection"):
            raise ValueError("photographs are projected only onto what is drawn from noise")
        if label is not None:
            label = _whole(label, "the class", len(self._controls["classes"]) - 1)
        spec = self._model.spec
        photo = _decoded(image, spec.shape, spec.range_of("image"))[None]
        measure = perceptual.of_channels(photo.shape[3])
        prior = inversion.drawn(
            self._model, photo, measure, count=_PROJECTION["count"], seed=0, label=label
        )
        found = inversion.invert(
            self._model,
            photo,
            measure,
            prior,
            restarts=_PROJECTION["restarts"],
            steps=_PROJECTION["steps"],
            seed=0,
        )
        seen = base64.b64encode(self._png(photo)).decode()
        answer = {
            "latent": found.latents[0].tolist(),
            "distance": float(found.distances[0]),
            "photograph": f"data:image/png;base64,{seen}",
        }
        return answer if found.labels is None else {**answer, "label": int(found.labels[0])}


# --- which models ---------------------------------------------------------------------------------


def sources_of(model: TrainedModel) -> tuple[str, ...]:
    """Returns the domains of images, of 'a' and 'b', that a model translates."""
    return tuple(name for name in ("a", "b") if name in model.gan.conditions)


def dark_sources(model: TrainedModel, source: Any) -> tuple[str, ...]:
    """Returns the domains that a model translates whose images are mostly dark.

    Drawings in white on black are: whoever draws on their pad begins with a black one.

    Args:
        model: The trained model.
        source: The run's data; a domain that they do not hold as images counts as light.
    """
    found = []
    for name in sources_of(model):
        images = getattr(source, name, None)
        if isinstance(images, data.Dataset):
            seen = images.float_images(images.evenly(min(len(images), _SEEN)))
            found += [name] if np.median(seen) < 0 else []
    return tuple(found)


def require_shown(model: TrainedModel, run: pathlib.Path) -> None:
    """Checks that a model draws images from noise, classes, codes, captions or other images.

    Args:
        model: The trained model.
        run: The run directory, for messages.

    Raises:
        RunError: If not.
    """
    shapes = translate.shapes_of(model)
    if len(shapes["b"]) != 3:
        what = sample.kind_of(shapes["b"])
        raise RunError(f"the model of {run} is one of {what}, which no page shows")
    for name in sources_of(model):
        if shapes[name][2] not in _COLORS:
            what = f"images of {shapes[name][2]} channels"
            raise RunError(f"the model of {run} takes {what}, which no page has a pad for")
    if "text" in model.gan.conditions:
        raise RunError(
            f"the model of {run} draws from embeddings of captions, which cannot be typed; use "
            "jaxgan.load and arrays"
        )
    if not sources_of(model):
        latent_space.space_of_run(model, run)


def latent_size(model: TrainedModel) -> int:
    """Returns the number of entries of the model's latents."""
    keys = random.row_keys(jax.random.key(0), 1)

    def read(state: Any) -> Any:
        return latent_access.read(state, lambda state: model.gan.sample(state, keys))

    return jax.eval_shape(read, model.state).shape[1]


def _drawing(model: TrainedModel) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns compiled functions: from a seed to its latent, and from a latent to its image."""
    sample = model.gan.sample

    @jax.jit
    def draw(state: Any, seeds: Any, given: Any) -> Any:
        keys = random.seed_keys(seeds)
        return latent_access.read(state, lambda state: sample(state, keys, **given))

    @jax.jit
    def show(state: Any, seeds: Any, latents: Any, given: Any) -> Any:
        keys = random.seed_keys(seeds)
        return sample(latent_access.changed(state, lambda _: latents), keys, **given)

    return draw, show


def _translation(model: TrainedModel) -> dict[str, Callable[..., Any]]:
    """Returns for each domain the compiled translation of one image."""
    keys = random.row_keys(jax.random.key(0), 1)

    def of(source: str) -> Callable[..., Any]:
        return jax.jit(lambda state, image: model.gan.sample(state, keys, **{source: image}))

    return {source: of(source) for source in sources_of(model)}


def _projects(model: TrainedModel) -> bool:
    """Returns whether photographs are projected: onto images, but neither captions nor arrays."""
    spec = model.spec
    return (
        "caption" not in model.gan.conditions and not spec.transforms and spec.shape[2] in _COLORS
    )


def _white(model: TrainedModel) -> float:
    """Returns the value that is drawn white, and its negative black: of arrays that of samples."""
    if not model.spec.transforms:
        return 1.0
    return arrays.reach(np.asarray(model.sample(0, _SAMPLES)))


def _conditions(model: TrainedModel) -> dict[str, list[tuple[float, float]]]:
    """Returns the least and the largest typical value of each number of continuous conditions.

    They are in the units of the data, by the short name of the condition. Left out are conditions
    of more than `MOST_NUMBERS` numbers, and those that are always the same.
    """
    found, spec = {}, model.spec
    for name in spec.typical:
        typical = transforms.invert(spec.transforms[name], np.asarray(spec.typical[name]))
        numbers = typical.reshape(len(typical), -1)
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        if name in model.gan.conditions and len(low) <= MOST_NUMBERS and (low < high).all():
            found[sample.short_of(name)] = list(zip(low.tolist(), high.tolist(), strict=True))
    return found


def _truncates(model: TrainedModel) -> bool:
    """Returns whether truncation has an effect on the model."""
    try:
        model.sample(0, 1, truncation=0.5)
    except ValueError:
        return False
    return True


# --- what is checked ------------------------------------------------------------------------------


def _number(value: object, what: str, least: float, most: float) -> float:
    """Returns a number of JSON in a range. Raises ValueError if it is none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return float(value)
    raise ValueError(f"{what} is no number from {least:g} to {most:g}")


def _whole(value: object, what: str, most: int) -> int:
    """Returns a whole number from 0 on. Raises ValueError if it is none."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{what} is no whole number from 0 to {most}")
    return value


def _codes_of(caption: object) -> np.ndarray:
    """Returns the character codes of a caption, of one length so that one program draws all."""
    if not isinstance(caption, str) or len(caption) > LONGEST:
        raise ValueError(f"expected a caption of at most {LONGEST} characters")
    try:
        codes = captions.encode([caption])
    except DataError:
        raise ValueError("the caption is empty; say what the image should show") from None
    width = -(-captions.LONGEST // captions.STRIDE) * captions.STRIDE
    return np.pad(codes, [(0, 0), (0, width - codes.shape[1])])


def _decoded(image: bytes, shape: Sequence[int], values: data.ValueRange) -> np.ndarray:
    """Returns an encoded image in the shape (H, W, C), in [-1, 1].

    An image of the type of the model's data has their range. Others are pictures of them, of 8
    bits, as the page shows and sends them.
    """
    height, width, channels = shape
    try:
        header = image_file.inspect(image)
        if header.dtype != values.dtype:
            values = data.value_range.BYTES
        unsuited = common_form.unsuited(header, channels, values)
        if unsuited is None:
            target = common_form.leveled(
                resizing.Target((height, width), "crop", channels), [header]
            )
            return values.to_float(image_file.decode(image, target._replace(dtype=values.dtype)))
    except Exception as error:  # PIL's decoders raise exceptions of any type
        raise ValueError(f"the image cannot be read: {image_file.damage(error)}") from error
    raise ValueError(f"the image {unsuited}")
