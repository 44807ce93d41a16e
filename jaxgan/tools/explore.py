"""Opens a page on this machine that shows what a run draws while controls are moved.

    jaxgan explore RUN
    jaxgan explore RUN --open

The page has sliders for directions of the latent space, for its entries and for codes, buttons for
classes, truncation where it has an effect, a box for captions, a pad to draw on for models that
translate images, and a place for photographs, which are translated or projected. Directions that
jaxgan directions has found are among them. The page needs Tornado (pip install 'jaxgan[explore]'),
and no network: it answers this machine alone. Ctrl-C ends it.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jaxgan import files
from jaxgan.runs import extras
from jaxgan.runs.errors import Interrupted, RunError
from jaxgan.tools import command

if TYPE_CHECKING:
    from jaxgan.tools.exploring.studio import Studio

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Config(command.OfRun):
    """The run to explore."""

    port: int = 8765
    """The port of the page's address; 0 for any that is free."""
    open: bool = False
    """Open the page in the browser."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the command; an error is one sentence on stderr."""
    return command.answer(
        Config,
        functools.partial(explore, say=functools.partial(print, flush=True)),
        program="jaxgan explore",
        description=__doc__,
        arguments=arguments,
    )


def explore(config: Config, *, say: Say) -> None:
    """Serves the page until the process is asked to stop.

    Args:
        config: The run to explore.
        say: Receives the address of the page.

    Raises:
        RunError: If the run's model has nothing to show, Tornado is missing, or the port is taken.
    """
    import asyncio
    import webbrowser

    require_tornado()
    command.require_ranges(config, {"port": (0, 65535)})
    studio = studio_of(config, say=say)
    from jaxgan.tools.exploring import server

    def ready(port: int) -> None:
        address = f"http://{server.ADDRESS}:{port}/"
        say(f"open {address} in a browser; Ctrl-C ends it")
        if config.open:
            webbrowser.open(address)

    try:
        asyncio.run(server.serve(studio, port=config.port, ready=ready))
    except Interrupted:
        say("the page is closed")
    except OSError as error:
        raise RunError(
            f"port {config.port} cannot be used: {files.reason(error)}; choose another --port, or 0"
        ) from error


def require_tornado() -> None:
    """Checks that Tornado is installed.

    Raises:
        RunError: If it is not.
    """
    extras.require("the page", ("tornado",), extra="explore")


def studio_of(config: Config, *, say: Say) -> Studio:
    """Returns the run's model with its controls, compiled.

    Args:
        config: The run to explore.
        say: Receives what takes time, and which directions are left out.

    Raises:
        RunError: If the run's model has nothing to show.
    """
    from jaxgan.tools import latent_directions, traverse
    from jaxgan.tools.exploring import studio

    model = config.load()
    studio.require_shown(model, config.run)
    found, dark = [], ()
    if studio.sources_of(model):
        try:
            data = command.data_of(config.run, model, None).held_out
            dark = studio.dark_sources(model, data)
        except RunError as error:
            say(f"warning: the pad is white, whatever the data were: {error}")
    else:
        size = studio.latent_size(model)
        for path in traverse.in_run(config.run):
            try:
                found.append(latent_directions.read(path, size=size))
            except RunError as error:
                say(f"warning: left out: {error}")
    say("compiling what the page draws ...")
    start = time.monotonic()
    made = studio.Studio(model, config.run, found, dark=dark)
    made.warm()
    say(f"compiling took {time.monotonic() - start:.0f} seconds")
    return made


if __name__ == "__main__":
    sys.exit(main())
