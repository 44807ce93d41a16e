"""The page of `jaxgan explore`: what it answers, whom it answers, and how it works in a browser."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import io
import json
import pathlib
import re
import threading
import time
import urllib.error
import urllib.request

import generators
import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import captions, transforms, value_files
from jaxgan.runs.errors import RunError
from jaxgan.tools import explore, latent_directions, latent_space
from jaxgan.tools.exploring import studio
from tests import toy_runs

RUN = pathlib.Path("somewhere")


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image).astype(int)


def png(levels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def drawn(images) -> np.ndarray:
    return data.to_uint8(np.asarray(images))[0, :, :, 0].astype(int)


BAGS = latent_directions.Directions(
    "concepts", np.eye(1, 5, dtype=np.float32), np.ones(1, np.float32), ("bags",), np.ones(1)
)
"""A direction that was found before."""


@pytest.fixture(scope="module")
def plain():
    return studio.Studio(generators.plain(), RUN, [BAGS])


@pytest.fixture(scope="module")
def labeled():
    return studio.Studio(generators.labeled(), RUN)


@pytest.fixture(scope="module")
def of_arrays():
    return studio.Studio(generators.of_arrays(), RUN)


@pytest.fixture(scope="module")
def captioned():
    return studio.Studio(generators.captioned(), RUN)


@pytest.fixture(scope="module")
def coded():
    return studio.Studio(generators.coded(), RUN)


@pytest.fixture(scope="module")
def translating():
    return studio.Studio(generators.translating(), RUN)


# --- what is drawn --------------------------------------------------------------------------------


def test_the_controls_are_those_of_the_model(plain, labeled, captioned, translating):
    assert plain.controls["classes"] == [] and plain.controls["codes"] == {}
    assert plain.controls["directions"] == [
        {"method": "sefa", "names": [f"sefa-{number}" for number in range(5)]},
        {"method": "concepts", "names": ["bags"]},
    ]
    assert plain.controls["truncation"] and plain.controls["projection"]
    assert labeled.controls["classes"] == ["ant", "bee", "cat"]
    assert captioned.controls["caption"] and not captioned.controls["projection"]
    assert translating.controls["sources"] == {
        "a": {"height": 4, "width": 4, "channels": 1, "dark": False}
    }
    for one in (plain, labeled, captioned, translating):
        json.dumps(one.controls)


def test_a_picture_is_that_of_its_seed_and_class(plain, labeled):
    model = generators.plain()
    assert np.array_equal(pixels(plain.picture({"seed": 3})), drawn(model.sample_seeds([3])))
    half = drawn(model.sample_seeds([3], truncation=0.5))
    assert np.array_equal(pixels(plain.picture({"seed": 3, "truncation": 0.5})), half)
    bee = drawn(generators.labeled().sample_seeds([3], label="bee"))
    assert np.array_equal(pixels(labeled.picture({"seed": 3, "label": 1})), bee)


def test_codes_are_those_of_the_seed_until_they_are_chosen(coded):
    model, made = generators.coded(), coded
    assert made.controls["codes"] == {"c1": 4, "c2": None} and not made.controls["truncation"]
    for codes in ({}, {"c1": 3, "c2": -1.5}):
        expected = drawn(model.sample_seeds([3], **codes))
        assert np.array_equal(pixels(made.picture({"seed": 3, "codes": codes})), expected)
    latent = [0.5, -0.5, 0.1, 0.2, 0.3]  # of a photograph; the codes are the first two entries
    space = latent_space.space_of(generators.plain())
    answered = pixels(made.picture({"latent": latent, "codes": {"c1": 3}}))
    expected = drawn(space.show(np.asarray([[3, *latent[1:]]], np.float32)))
    assert np.abs(answered - expected).max() <= 1
    for codes, said in (({"c1": 4}, "c1 is no whole number from 0 to 3"), ({"c3": 0}, "c1, c2")):
        with pytest.raises(ValueError, match=said):
            made.parsed({"codes": codes})


def test_a_condition_is_that_of_the_seed_until_it_is_chosen(of_arrays):
    model, units = generators.of_arrays(), generators.of_arrays().spec.transforms
    ends = np.expm1([2 * -1.0 + 3, 2 * 1.5 + 3])  # typical ones, back through both steps
    assert list(of_arrays.controls["conditions"]) == ["mass"]
    np.testing.assert_allclose(of_arrays.controls["conditions"]["mass"], [ends], rtol=1e-6)
    white = np.quantile(np.abs(model.sample(0, 64)), 0.99)
    assert of_arrays.controls["white"] == pytest.approx(white) and white > 1.5
    assert not of_arrays.controls["projection"]
    typical = model.sample_seeds([5], condition_mass=[[1.5]])  # 5 mod 3 is the last one
    assert np.array_equal(pixels(of_arrays.picture({"seed": 5})), drawn(typical / white))
    mass = transforms.apply(units["condition_mass"], [[7.0]]).astype(np.float32)
    chosen = drawn(model.sample_seeds([5], condition_mass=mass) / white)
    asked = {"seed": 5, "conditions": {"mass": {"0": 7.0}}}
    assert np.array_equal(pixels(of_arrays.picture(asked)), chosen)


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"weight": {}}, "the conditions are mass"),
        ({"mass": 3}, "expected the numbers of the condition mass by their place"),
        ({"mass": {"1": 7}}, "the places of the condition mass are 0 to 0"),
        ({"mass": {"0": 1e6}}, "a number of the condition mass is no number from 1.71828 to"),
    ],
)
def test_what_is_no_condition_is_one_sentence(conditions, said, of_arrays):
    with pytest.raises(ValueError, match=re.escape(said)):
        of_arrays.parsed({"conditions": conditions})


def test_a_step_moves_the_latent_by_a_deviation_along_the_direction(plain):
    model = generators.plain()
    space = latent_space.space_of(model)
    prior = space.draw(0, 512)
    sefa = latent_directions.closed_form(model, prior, count=8)
    latent = latent_space.of_seeds(model, [3])
    latent = sefa.along(latent, 1, np.array([1.5]))
    latent = BAGS.along(latent, 0, np.array([2.0]))
    latent = latent_directions.of_entries(prior).along(latent, 2, np.array([-1.0]))
    answered = pixels(plain.picture({"seed": 3, "steps": {"1": 1.5, "5": 2, "8": -1}}))
    assert np.abs(answered - drawn(space.show(latent))).max() <= 1


def test_a_caption_is_drawn_as_it_is_translated(captioned):
    model = generators.captioned()
    width = captions.LONGEST
    codes = np.zeros((1, width), np.uint8)
    codes[:, :8] = captions.encode(["a red bird"])[:, :8]
    codes[:, :16] = captions.encode(["a red bird"])
    expected = drawn(model.sample_seeds([2], caption=codes))
    answered = pixels(captioned.picture({"seed": 2, "caption": "A red bird"}))
    assert np.abs(answered - expected).max() <= 1


def test_an_image_is_translated_and_resized(translating):
    ramp = np.arange(16).reshape(4, 4) * 15
    answered = pixels(translating.translation(png(ramp), source="a"))
    np.testing.assert_allclose(answered, 255 - ramp, atol=1)
    large = pixels(translating.translation(png(np.full((90, 60), 200)), source="a"))
    np.testing.assert_allclose(large, np.full((4, 4), 55), atol=1)


def test_a_run_of_16_bits_shows_8_bits_of_its_range():
    most = 4095  # 12 bits, in 16
    values = data.ValueRange(0, most, "uint16", "found")
    model = generators.translating()
    deep = studio.Studio(
        dataclasses.replace(model, spec=model.spec._replace(ranges={"image": values})), RUN
    )
    deep.warm()
    ramp = np.linspace(0, most, 16).reshape(4, 4, 1).astype(np.uint16)
    eight = np.rint(ramp[..., 0] * (255 / most))
    for image in (value_files.encoded(ramp), png(eight)):  # a file, and what the page shows of it
        answered = pixels(deep.translation(image, source="a"))
        np.testing.assert_allclose(answered, 255 - eight, atol=1)
    shown = studio.Studio(
        dataclasses.replace(generators.plain(), spec=model.spec._replace(ranges={"image": values})),
        RUN,
    )
    with Image.open(io.BytesIO(shown.picture({"seed": 3}))) as image:
        assert image.mode == "L"
        levels = np.asarray(image).astype(int)
    np.testing.assert_allclose(levels, drawn(generators.plain().sample_seeds([3])), atol=1)


@pytest.mark.slow  # what finds the latent is tested with `jaxgan project`
def test_a_photograph_is_projected_to_a_latent_that_draws_it(labeled, monkeypatch):
    monkeypatch.setattr(studio, "_PROJECTION", {"count": 64, "restarts": 1, "steps": 40})
    monkeypatch.setattr(studio.perceptual, "of_channels", lambda _: studio.perceptual.of_pixels())
    photo = drawn(generators.labeled().sample_seeds([5], label=2))
    found = labeled.projection(png(photo), label=None)
    asked = {"latent": found["latent"], "label": found["label"]}
    apart = np.abs(pixels(labeled.picture(asked)) - photo).mean()
    assert apart < np.abs(pixels(labeled.picture({"seed": 0})) - photo).mean() / 2
    seen = base64.b64decode(found["photograph"].partition(",")[2])
    np.testing.assert_allclose(pixels(seen), photo, atol=1)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "expected a JSON object"),
        ({"file": "/etc/passwd"}, "'file' is unknown; expected seed, latent"),
        ({"seed": 2**32}, "the seed is no whole number from 0 to 4294967295"),
        ({"seed": 1.5}, "the seed is no whole number"),
        ({"seed": True}, "the seed is no whole number"),
        ({"latent": [0.0] * 4}, "a latent has 5 numbers"),
        ({"latent": [0, 0, 0, 0, 1e9]}, "an entry of the latent is no number"),
        ({"latent": [0, 0, 0, 0, "x"]}, "an entry of the latent is no number"),
        ({"truncation": 2}, "the truncation is no number from 0 to 1"),
        ({"truncation": float("nan")}, "the truncation is no number from 0 to 1"),
        ({"label": 0}, "the model takes no class"),
        ({"caption": "a bird"}, "the model takes no caption"),
        ({"codes": {"c1": 0}}, "the codes are none"),
        ({"steps": [1]}, "expected the steps of up to 11 directions and entries"),
        ({"steps": {"11": 1}}, "the number of a direction is no whole number from 0 to 10"),
        ({"steps": {"-1": 1}}, "expected steps by the number of a direction, 0 to 10"),
        ({"steps": {"0": 10**400}}, "a step is no number from -10 to 10"),
        ({"steps": {"0": 11}}, "a step is no number from -10 to 10"),
        ({"steps": dict.fromkeys(map(str, range(12)), 0)}, "expected the steps of up to 11"),
    ],
)
def test_what_is_no_picture_is_one_sentence(asked, said, plain):
    with pytest.raises(ValueError, match=re.escape(said)):
        plain.parsed(asked)


def test_what_a_model_does_not_draw_is_one_sentence(plain, captioned, translating):
    with pytest.raises(ValueError, match="does not translate images of 'a': it takes no images"):
        plain.translation(b"", source="a")
    with pytest.raises(ValueError, match="the image cannot be read"):
        translating.translation(b"no image", source="a")
    with pytest.raises(ValueError, match="the model draws from other images"):
        translating.parsed({})
    with pytest.raises(ValueError, match="projected only onto what is drawn from noise"):
        translating.projection(png(np.zeros((4, 4))), label=None)
    with pytest.raises(ValueError, match="the caption is empty"):
        captioned.parsed({"caption": " "})
    with pytest.raises(ValueError, match="a caption of at most 1000 characters"):
        captioned.parsed({"caption": "a" * 1001})


def test_a_model_that_no_page_shows_is_refused():
    points = generators.of(generators.Pixels(), generators.weights(5), size=5, shape=(16,))
    with pytest.raises(RunError, match="somewhere is one of points, which no page shows"):
        studio.require_shown(points, RUN)
    videos = generators.of(generators.Pixels(), {}, size=5, shape=(1, 4, 4, 1))
    with pytest.raises(RunError, match="somewhere is one of videos, which no page shows"):
        studio.require_shown(videos, RUN)
    wide = generators.translating()
    wide = dataclasses.replace(wide, spec=wide.spec._replace(shape=(4, 4, 5)))
    with pytest.raises(RunError, match="takes images of 5 channels, which no page has a pad for"):
        studio.require_shown(wide, RUN)


def test_images_of_many_channels_are_shown_by_some_of_them():
    bands = generators.of(generators.Pixels(), generators.weights(5), size=5, shape=(1, 2, 8))
    made = studio.Studio(bands, RUN)
    first = data.to_uint8(np.asarray(bands.sample_seeds([3])))[0, :, :, :3]
    assert np.array_equal(pixels(made.picture({"seed": 3})), first)
    assert not made.controls["projection"]


# --- whom it answers ------------------------------------------------------------------------------


@contextlib.contextmanager
def served(of: studio.Studio):
    """The page of a model on a free port, as its address."""
    server = pytest.importorskip(
        "jaxgan.tools.exploring.server", reason="tornado, of the extra explore, is not installed"
    )
    port: list[int] = []
    bound = threading.Event()
    ends: list = []

    def run() -> None:
        async def main() -> None:
            until = asyncio.Event()
            ends.append((asyncio.get_running_loop(), until))
            ready = lambda found: (port.append(found), bound.set())  # noqa: E731
            await server.serve(of, port=0, ready=ready, until=until)

        asyncio.run(main())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert bound.wait(60)
    try:
        yield f"http://127.0.0.1:{port[0]}"
    finally:
        loop, until = ends[0]
        loop.call_soon_threadsafe(until.set)
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def address(plain):
    with served(plain) as found:
        yield found


def ask(url: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict]:
    """The status, the body and the headers of the answer."""
    request = urllib.request.Request(
        url, body, {k.replace("_", "-"): v for k, v in headers.items()}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def test_the_page_and_its_answers_come_from_one_place(address, plain):
    for path, words in (
        ("/", b"<!doctype html>"),
        ("/page.js", b"use strict"),
        ("/page.css", b"--page"),
    ):
        status, body, headers = ask(address + path)
        assert status == 200 and words in body
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert headers["X-Content-Type-Options"] == "nosniff"
    status, body, _ = ask(f"{address}/controls")
    assert json.loads(body) == plain.controls
    status, body, headers = ask(f"{address}/picture", b'{"seed": 3}')
    assert (status, headers["Content-Type"], body) == (200, "image/png", plain.picture({"seed": 3}))


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "said"),
    [
        ("/picture", b'{"seed": -1}', {}, 400, "the seed is no whole number"),
        ("/picture", b"{", {}, 400, "expected JSON"),
        ("/picture", b"[" * 150_000, {}, 400, "expected JSON"),
        ("/picture", b" " * 200_001, {}, 413, "Expected at most 200,000 bytes"),
        ("/projection?label=x", b"", {}, 400, "Expected the number of a class"),
        ("/translation", b"", {}, 400, "does not translate images of 'a'"),
        ("/../../etc/passwd", None, {}, 404, "There is no such page"),
        ("/%2e%2e/%2e%2e/etc/passwd", None, {}, 404, "There is no such page"),
        ("/page.html", None, {}, 404, "There is no such page"),
        ("/controls", None, {"Host": "evil.example"}, 403, "Only the page of this server"),
        ("/picture", b"{}", {"Origin": "http://evil.example"}, 403, "Only the page of this"),
        ("/picture", b"{}", {"Origin": "null"}, 403, "Only the page of this server"),
        ("/picture", None, {}, 405, "Method Not Allowed"),
    ],
)
def test_other_requests_are_refused_in_one_sentence(address, path, body, headers, status, said):
    found, answer, _ = ask(address + path, body, **headers)
    assert found == status
    assert said in answer.decode() and len(answer) < 200


def test_it_listens_on_this_machine_alone_and_a_taken_port_is_one_sentence(
    address, plain, monkeypatch
):
    port = int(address.rpartition(":")[2])
    monkeypatch.setattr(explore, "studio_of", lambda config, say: plain)
    with pytest.raises(
        RunError, match=f"port {port} cannot be used: .*choose another --port, or 0"
    ):
        explore.explore(explore.Config(RUN, port=port), say=lambda _: None)


def test_too_many_pictures_at_a_time_are_refused():
    server = pytest.importorskip(
        "jaxgan.tools.exploring.server", reason="tornado, of the extra explore, is not installed"
    )

    async def ask_thrice() -> list:
        worker = server.Worker(2)
        slow = [worker.do(lambda: time.sleep(0.05)) for _ in range(3)]
        return await asyncio.gather(*slow, return_exceptions=True)

    done = asyncio.run(ask_thrice())
    assert done[:2] == [None, None] and done[2].status_code == 503


def test_without_tornado_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"needs tornado: pip install 'jaxgan\[explore\]'"):
        explore.explore(explore.Config(RUN), say=lambda _: None)


# --- in a browser ---------------------------------------------------------------------------------


SHOWN = "return document.getElementById('picture').src"
STATUS = "return document.getElementById('status').textContent"
LEVELS = """
const picture = document.getElementById('picture');
if (!picture.complete || !picture.naturalWidth) return null;  // the next one is being decoded
const canvas = document.createElement('canvas');
[canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
const pen = canvas.getContext('2d');
pen.drawImage(picture, 0, 0);
return [...pen.getImageData(0, 0, canvas.width, canvas.height).data].filter((_, i) => i % 4 === 0);
"""


def within(seconds: float, condition) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def shown(chromium) -> np.ndarray:
    found = []
    within(20, lambda: found.append(chromium.run(LEVELS)) or found[-1] is not None)
    return np.asarray(found[-1]).reshape(4, 4)


def test_a_slider_and_a_class_change_the_picture(labeled, chromium):
    with served(labeled) as address:
        chromium.look(width=1280)
        chromium.open(f"{address}/")
        assert np.array_equal(shown(chromium), pixels(labeled.picture({})))
        chromium.run("document.querySelector('#directions input').focus()")
        for _ in range(3):
            chromium.press("ArrowRight")
        within(
            20,
            lambda: (
                chromium.run("return document.querySelector('#directions output').textContent")
                == "0.15"
            ),
        )
        moved = pixels(labeled.picture({"steps": {"0": 0.15}}))
        within(20, lambda: np.array_equal(shown(chromium), moved))
        chromium.run("document.querySelectorAll('input[name=class]')[2].click()")
        cat = pixels(labeled.picture({"steps": {"0": 0.15}, "label": 2}))
        within(20, lambda: np.array_equal(shown(chromium), cat))
        assert chromium.run(STATUS).startswith("seed 0, cat, in ")
        chromium.run("document.getElementById('reset').click()")
        within(20, lambda: np.array_equal(shown(chromium), pixels(labeled.picture({"label": 2}))))
        assert chromium.console() == []
        assert {url.startswith((address, "blob:")) for url in chromium.requested()} == {True}


def test_what_is_drawn_is_translated(translating, chromium):
    with served(translating) as address:
        chromium.look(width=1280)
        chromium.open(f"{address}/")
        assert "Draw something" in chromium.run("return document.querySelector('figure').innerText")
        chromium.drag(*chromium.run(PAD))
        within(20, lambda: chromium.run(SHOWN).startswith("blob:"))
        within(20, lambda: shown(chromium).max() > 150)  # a black stroke, as its negative
        assert shown(chromium).min() < 40
        chromium.run("document.getElementById('clear').click()")
        within(20, lambda: shown(chromium).max() < 20)
        assert chromium.console() == []


def test_what_is_drawn_on_dark_images_is_light(chromium):
    lines = np.zeros((3, 4, 4, 1), np.uint8)
    lines[:, 1] = 255
    dark = studio.dark_sources(
        generators.translating(), data.Pairs(data.Dataset("lines", lines), data.Dataset("b", lines))
    )
    assert dark == ("a",)
    with served(studio.Studio(generators.translating(), RUN, dark=dark)) as address:
        chromium.look(width=1280)
        chromium.open(f"{address}/")
        chromium.drag(*chromium.run(PAD))
        within(20, lambda: chromium.run(SHOWN).startswith("blob:"))
        within(20, lambda: shown(chromium).min() < 100)  # a white stroke, as its negative
        assert shown(chromium).max() > 215
        assert chromium.run("return document.getElementById('dark').checked")


def test_a_caption_is_drawn_while_it_is_written(captioned, chromium):
    with served(captioned) as address:
        chromium.look(width=1280)
        chromium.open(f"{address}/")
        assert chromium.run(STATUS) == "Write a caption to draw."
        chromium.run("document.getElementById('caption').focus()")
        chromium.protocol("Input.insertText", text="a red bird")
        words = {"caption": "a red bird"}
        within(20, lambda: chromium.run(SHOWN).startswith("blob:"))
        within(20, lambda: np.array_equal(shown(chromium), pixels(captioned.picture(words))))
        chromium.run("document.getElementById('after').click()")
        within(
            20,
            lambda: np.array_equal(
                shown(chromium), pixels(captioned.picture({**words, "seed": 1}))
            ),
        )
        assert chromium.console() == []


def test_codes_change_the_picture(coded, chromium):
    with served(coded) as address:
        chromium.look(width=1280)
        chromium.open(f"{address}/")
        chromium.run("document.querySelectorAll('input[name=code-c1]')[3].click()")
        of_class = pixels(coded.picture({"codes": {"c1": 2}}))
        within(20, lambda: np.array_equal(shown(chromium), of_class))
        chromium.run("document.querySelector('#codes input[type=range]').focus()")
        chromium.press("ArrowLeft")
        both = pixels(coded.picture({"codes": {"c1": 2, "c2": -0.05}}))
        within(20, lambda: np.array_equal(shown(chromium), both))
        chromium.run("document.getElementById('reset').click()")
        within(20, lambda: np.array_equal(shown(chromium), pixels(coded.picture({}))))
        assert chromium.console() == []


def test_a_condition_changes_the_picture(of_arrays, chromium):
    with served(of_arrays) as address:
        chromium.look(width=1280)
        chromium.open(f"{address}/")
        assert np.array_equal(shown(chromium), pixels(of_arrays.picture({})))
        chromium.run("document.querySelector('#conditions input').focus()")
        chromium.press("End")
        most = of_arrays.controls["conditions"]["mass"][0][1]
        largest = pixels(of_arrays.picture({"conditions": {"mass": {"0": most}}}))
        within(20, lambda: np.array_equal(shown(chromium), largest))
        assert chromium.run("return document.querySelector('#conditions output').textContent") == (
            f"{most:.4g}"
        )
        assert "White is" in chromium.run("return document.getElementById('range').innerText")
        chromium.run("document.getElementById('reset').click()")
        within(20, lambda: np.array_equal(shown(chromium), pixels(of_arrays.picture({}))))
        assert chromium.console() == []


UNNAMED = """
return [...document.querySelectorAll('input, select, textarea')]
    .filter((one) => !one.labels.length && !one.ariaLabel).map((one) => one.id);
"""
PAD = """
const pad = document.getElementById('pad');
pad.scrollIntoView({block: 'center'});
document.getElementById('pen').value = 12;
const place = pad.getBoundingClientRect();
const y = place.y + place.height * 3 / 8;  // the middle of a row of pixels
return [place.x + 10, y, place.right - 10, y];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_keeps_the_picture_in_sight(labeled, chromium, scheme):
    with served(labeled) as address:
        chromium.look(width=390, scheme=scheme)
        chromium.open(f"{address}/")
        assert chromium.run("return document.documentElement.scrollWidth") == 390
        chromium.run("window.scrollTo(0, document.body.scrollHeight)")
        top = "return document.getElementById('picture').getBoundingClientRect().top"
        within(20, lambda: 0 <= chromium.run(top) < 400)
        assert chromium.run(UNNAMED) == []


def test_the_packages_of_the_page_and_of_films_are_in_the_extras():
    import tomllib

    extras = tomllib.loads((toy_runs.ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert [re.split("[>=]", text)[0] for text in extras["explore"]] == ["tornado"]
    assert [re.split("[>=]", text)[0] for text in extras["video"]] == ["av"]
