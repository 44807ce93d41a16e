"""A headless Chromium, driven by chromedriver's plain HTTP protocol (W3C WebDriver)."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def missing() -> str | None:
    """Why there is no browser, or None if there is one."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} not installed" if lacking else None


class Browser:
    """A session of the browser."""

    def __init__(self, address: str, session: str) -> None:
        self._address, self._session = address, session

    def ask(self, command: str, **values: Any) -> Any:
        """What the session answers to a POST, or without values to a GET."""
        return _ask(f"{self._address}/session/{self._session}/{command}", values)

    def open(self, page: pathlib.Path | str) -> None:
        """Opens the file, or the page of an address, and waits until its script has run."""
        self.ask("url", url=page if isinstance(page, str) else page.resolve().as_uri())
        ready = "return document.documentElement.dataset.ready === 'yes'"
        deadline = time.monotonic() + 60
        while not self.run(ready):
            assert time.monotonic() < deadline, self.console()
            time.sleep(0.05)

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.ask("execute/sync", script=script, args=list(arguments))

    def protocol(self, method: str, **values: Any) -> Any:
        """What the DevTools protocol answers."""
        return self.ask("goog/cdp/execute", cmd=method, params=values)

    def look(self, *, width: int, height: int = 844, scheme: str = "light") -> None:
        """Changes the size of the window and the preferred colors."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.protocol("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.protocol("Emulation.setEmulatedMedia", features=features)

    def press(self, key: str) -> None:
        """Presses a key, such as 'ArrowLeft'."""
        for kind in ("keyDown", "keyUp"):
            code = {"End": 35, "ArrowLeft": 37, "ArrowRight": 39}[key]
            self.protocol(
                "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code
            )

    def point(self, x: float, y: float) -> None:
        """Moves the pointer to a place of the window."""
        self.protocol("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def drag(self, x: float, y: float, to_x: float, to_y: float) -> None:
        """Moves the pressed pointer from one place of the window to another."""
        at = {"button": "left", "buttons": 1, "clickCount": 1}
        self.protocol("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **at)
        self.protocol("Input.dispatchMouseEvent", type="mouseMoved", x=to_x, y=to_y, **at)
        self.protocol("Input.dispatchMouseEvent", type="mouseReleased", x=to_x, y=to_y, **at)

    def tap(self, x: float, y: float) -> None:
        """Taps a place of the window with a finger."""
        self.protocol("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=1)
        for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
            self.protocol("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.protocol("Emulation.setTouchEmulationEnabled", enabled=False)

    def console(self) -> list[str]:
        """What was logged since the last call."""
        return [entry["message"] for entry in self.ask("se/log", type="browser")]

    def requested(self) -> list[str]:
        """The addresses requested since the last call, without data that the page itself holds."""
        events = [
            json.loads(entry["message"])["message"]
            for entry in self.ask("se/log", type="performance")
        ]
        sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
        found = [event["params"]["request"]["url"] for event in sent]
        return [address for address in found if not address.startswith("data:")]

    def screenshot(self, path: pathlib.Path, *, whole: bool = True) -> None:
        """Writes a picture of the window, or of the whole page."""
        shot = self.protocol("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextlib.contextmanager
def opened(profile: pathlib.Path) -> Iterator[Browser]:
    """A browser, with an empty folder for its profile."""
    port = _free_port()
    driver = subprocess.Popen(
        ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    chosen = {
        "browserName": "chrome",
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        "goog:chromeOptions": {
            "binary": shutil.which("chromium"),
            "args": [*FLAGS, f"--user-data-dir={profile}"],
        },
    }
    try:
        _wait(address)
        made = _ask(f"{address}/session", {"capabilities": {"alwaysMatch": chosen}})
        browser = Browser(address, made["sessionId"])
        browser.ask("url", url="about:blank")
        browser.requested(), browser.console()  # those of the browser's own first page
        try:
            yield browser
        finally:
            _ask(f"{address}/session/{made['sessionId']}", {}, method="DELETE")
    finally:
        driver.terminate()
        driver.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait(address: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _ask(f"{address}/status", {}, method="GET")
            return
        except OSError:
            assert time.monotonic() < deadline, "chromedriver does not answer"
            time.sleep(0.05)


def _ask(address: str, values: dict[str, Any], *, method: str = "POST") -> Any:
    content = json.dumps(values).encode() if method == "POST" else None
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, content, headers, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
