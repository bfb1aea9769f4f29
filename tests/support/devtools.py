"""A real browser that is driven as a person does it: pages are opened, fields filled, buttons
pressed.

The browser's own protocol (https://chromedevtools.github.io/devtools-protocol/) over a pipe.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.browser import CHROMIUM

SECONDS = 60


class Tab:
    """One tab of a browser; owns nothing, `browser` ends it."""

    def __init__(self, write: int, read: int) -> None:
        self.write, self.read = write, read
        self.number, self.rest = 0, b""
        self.events: list[dict[str, Any]] = []
        self.session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.send("Page.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if "method" in answer:
                self.events.append(answer)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            data = os.read(self.read, 2**16)
            assert data, "the browser ended"
            self.rest += data
        message, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def size(self, width: int, *, height: int = 800) -> None:
        """Take a screen of a size, as a phone's at 390."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def open(self, address: str) -> None:
        """Open a page, and wait until it is there."""
        self.send("Page.navigate", url=address)
        self.ready()

    def ready(self) -> None:
        """Wait until the page is loaded."""
        until = time.monotonic() + SECONDS
        while self.ask("document.readyState") != "complete" or self.ask("location.href") == (
            "about:blank"
        ):
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.05)

    def ask(self, script: str) -> Any:
        """Return what a JavaScript expression is on the page."""
        found = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def press(self, selector: str) -> None:
        """Press a button that loads another page, and wait for it."""
        self.ask(f"window.old = true; document.querySelector({json.dumps(selector)}).click()")
        until = time.monotonic() + SECONDS
        while self.ask("window.old === true"):
            assert time.monotonic() < until, "no other page came"
            time.sleep(0.05)
        self.ready()

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since `watch`, the opened page's among them."""
        self.ask("0")  # events of before come before its answer
        sent = [
            one["params"] for one in self.events if one["method"] == "Network.requestWillBeSent"
        ]
        return [one["request"]["url"] for one in sent]

    def watch(self, downloads: Path) -> None:
        """Note every request from now on; put what the page saves into a folder."""
        self.send("Network.enable")
        self.send("Page.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def saved(self, downloads: Path) -> Path:
        """Return the one file that the page saved, when it is all there."""
        until = time.monotonic() + SECONDS
        while not (found := [one for one in downloads.glob("*") if one.suffix != ".crdownload"]):
            assert time.monotonic() < until, "no file was saved"
            time.sleep(0.05)
        [file] = found
        return file

    def picture(self, file: Path) -> None:
        """Write what the page looks like, all of it, as PNG."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """Start a browser without a screen and yield its tab; its profile lies in `folder`."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    def give_pipes() -> None:
        os.dup2(to_read, 3)
        os.dup2(from_write, 4)

    process = subprocess.Popen(
        [
            str(CHROMIUM),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
            f"--user-data-dir={folder / 'profile'}",
        ],
        pass_fds=(3, 4),
        preexec_fn=give_pipes,  # noqa: PLW1509, no other thread runs at this point
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        yield Tab(to_write, from_read)
    finally:
        process.kill()
        process.wait()
        os.close(to_write)
        os.close(from_read)
