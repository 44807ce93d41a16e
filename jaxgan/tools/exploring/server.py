"""The page of `jaxgan explore`, offered by Tornado to this machine alone.

Addresses are fixed, and no part of a request names a file. Requests of other sites are refused: the
name of the host and the origin must be this server's own, and the page may load only from it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib.resources
import json
from collections.abc import Callable
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web

from jaxgan.tools.exploring.studio import Studio

ADDRESS = "127.0.0.1"

MOST_BYTES = 16_000_000
"""The largest image that is read."""

MOST_WORDS = 200_000
"""The largest JSON that is read, in bytes."""

MOST_WAITING = 16
"""The largest number of pictures that wait for another."""

_PAGES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Worker:
    """One thread for one kind of work, with room for few that wait."""

    def __init__(self, most: int) -> None:
        self._most, self._waiting = most, 0
        self._pool = concurrent.futures.ThreadPoolExecutor(1)

    async def do(self, work: Callable[[], Any]) -> Any:
        """Returns what the work returns.

        Raises:
            tornado.web.HTTPError: 503, if too much is waiting.
        """
        if self._waiting >= self._most:
            raise tornado.web.HTTPError(503, reason="Busy; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


class _Handler(tornado.web.RequestHandler):
    """Refuses what does not come from the page itself, and answers errors in a sentence."""

    def initialize(self, studio: Studio, drawing: Worker, projecting: Worker) -> None:
        self.studio, self.drawing, self.projecting = studio, drawing, projecting

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        port = self.application.settings["port"]
        hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        origin = self.request.headers.get("Origin")
        if self.request.host not in hosts or (
            origin is not None and origin not in {f"http://{host}" for host in hosts}
        ):
            raise tornado.web.HTTPError(403, reason="Only the page of this server may ask")

    def write_error(self, status_code: int, **options: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(self._reason)

    def body(self, most: int) -> bytes:
        """Returns the body. Raises HTTPError if it is too large."""
        if len(self.request.body) > most:
            raise tornado.web.HTTPError(413, reason=f"Expected at most {most:,} bytes")
        return self.request.body

    async def answer(self, worker: Worker, work: Callable[[], Any]) -> None:
        """Sends what the work returns, a PNG file or JSON types; a ValueError is the user's."""
        try:
            found = await worker.do(work)
        except ValueError as error:
            self.set_status(400)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(str(error))
            return
        if isinstance(found, bytes):
            self.set_header("Content-Type", "image/png")
        self.finish(found)


class _Page(_Handler):
    def get(self) -> None:
        name, kind = _PAGES[self.request.path]
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish(resource(name))


class _Controls(_Handler):
    def get(self) -> None:
        self.finish(dict(self.studio.controls))


class _Picture(_Handler):
    async def post(self) -> None:
        body = self.body(MOST_WORDS)
        await self.answer(self.drawing, lambda: self.studio.picture(parsed(body)))


class _Translation(_Handler):
    async def post(self) -> None:
        body, source = self.body(MOST_BYTES), self.get_query_argument("source", "a")
        await self.answer(self.drawing, lambda: self.studio.translation(body, source=source[:20]))


class _Projection(_Handler):
    async def post(self) -> None:
        body, label = self.body(MOST_BYTES), self.get_query_argument("label", "")
        if label and not (label.isascii() and label.isdigit() and len(label) < 9):
            raise tornado.web.HTTPError(400, reason="Expected the number of a class")
        number = int(label) if label else None
        await self.answer(self.projecting, lambda: self.studio.projection(body, label=number))


class _Nothing(_Handler):
    def prepare(self) -> None:
        super().prepare()
        raise tornado.web.HTTPError(404, reason="There is no such page")


def parsed(body: bytes) -> object:
    """Returns the JSON of a body. Raises ValueError if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("expected JSON") from None


def resource(name: str) -> str:
    """Returns a file of the page."""
    return (importlib.resources.files("jaxgan.tools.exploring") / name).read_text(encoding="utf-8")


def application(studio: Studio, *, port: int) -> tornado.web.Application:
    """Returns the application that answers for a model.

    Args:
        studio: The model with its controls.
        port: The port that requests must name.
    """
    # A projection takes long, and the sliders stay alive meanwhile.
    shared = {"studio": studio, "drawing": Worker(MOST_WAITING), "projecting": Worker(1)}
    handlers: dict[str, type[_Handler]] = {
        **dict.fromkeys(_PAGES, _Page),
        "/controls": _Controls,
        "/picture": _Picture,
        "/translation": _Translation,
        "/projection": _Projection,
    }
    return tornado.web.Application(
        [(path, handler, shared) for path, handler in handlers.items()],
        default_handler_class=_Nothing,
        default_handler_args=shared,
        log_function=lambda handler: None,
        port=port,
    )


async def serve(
    studio: Studio, *, port: int, ready: Callable[[int], object], until: asyncio.Event | None = None
) -> None:
    """Serves the page.

    Args:
        studio: The model with its controls.
        port: The port; 0 for any that is free.
        ready: Receives the port, once requests are answered.
        until: Ends the server. Default: it runs until the process ends.

    Raises:
        OSError: If the port is taken.
    """
    sockets = tornado.netutil.bind_sockets(port, ADDRESS)
    bound = sockets[0].getsockname()[1]
    server = tornado.httpserver.HTTPServer(
        application(studio, port=bound),
        max_body_size=MOST_BYTES,
        max_buffer_size=2 * MOST_BYTES,
        max_header_size=2**16,
        body_timeout=60,
        idle_connection_timeout=300,
    )
    server.add_sockets(sockets)
    try:
        ready(bound)
        await (until or asyncio.Event()).wait()
    finally:
        server.stop()
        await server.close_all_connections()
