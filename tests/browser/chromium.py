"""A headless Chromium, driven over W3C WebDriver: a few JSON requests, for which no library is necessary."""

import base64
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

__all__ = ["Chromium", "missing"]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_PATIENCE = 15.0
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": "\ue00d", "Home": "\ue011", "End": "\ue010", "Shift": "\ue008"}


def missing() -> str | None:
    """Return what has to be installed before a Chromium can be driven, or None."""
    if shutil.which("chromedriver") and any(map(shutil.which, _BROWSERS)):
        return None
    return "These tests drive a real Chromium, and there is none: apt-get install chromium chromium-driver"


class Chromium:
    """One browser window, new and without a profile, for as long as the `with` block lasts."""

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        # The profile goes into a home of its own, as Chromium keeps crash reports and caches outside of it.
        environ = os.environ | {"HOME": self._profile.name, "XDG_CONFIG_HOME": self._profile.name}
        self._process = subprocess.Popen(
            [shutil.which("chromedriver") or "", f"--port={port}", "--silent"],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        try:
            self.until("the driver answers", self._ready)
            self._session = ""
            self._session = f"/session/{self._ask('POST', '/session', self._wanted())['sessionId']}"
            self.open("about:blank")
            self.requested()  # the browser's own first page is none of ours
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if getattr(self, "_session", ""):
            self._ask("DELETE", "")
        self._http.close()
        self._process.terminate()
        self._process.wait(10)
        self._profile.cleanup()

    def open(self, url: str) -> None:
        """Go to an address; return when the page has loaded."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what the body of a function returns in the page, waited for if it is a promise."""
        body = f"return (async (...given) => {{ {script} }})(...arguments);"
        return self._ask("POST", "/execute/sync", {"script": body, "args": list(arguments)})

    def press(self, *keys: str) -> None:
        """Press keys, one after the other, wherever the focus is; names such as Tab or Shift+Tab."""
        actions: list[dict[str, str]] = []
        for key in keys:
            *held, last = (KEYS.get(part, part) for part in key.split("+"))
            actions += [{"type": "keyDown", "value": each} for each in (*held, last)]
            actions += [{"type": "keyUp", "value": each} for each in (last, *reversed(held))]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector: str) -> None:
        """Click an element, where it is and can be seen."""
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"/element/{found[_ELEMENT]}/click", {})

    def focused(self) -> str:
        """Return the id or text of the element that has the focus."""
        return str(self.run("const has = document.activeElement; return has.id || has.textContent;"))

    def text(self, selector: str = "body") -> str:
        """Return the text that can be seen."""
        return str(self.run("return document.querySelector(given[0])?.innerText ?? '';", selector))

    def until(self, what: str, check: Callable[[], object]) -> None:
        """Wait until something is so.

        Raises:
            AssertionError: it never was.
        """
        end = time.monotonic() + _PATIENCE
        while not check():
            assert time.monotonic() < end, f"It never came to pass that {what}."
            time.sleep(0.05)

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """Let the window be of a size, and the user prefer dark or light colours."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def screenshot(self, path: Path) -> None:
        """Keep a picture of the whole page, as PNG."""
        taken = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """Return what the browser has said of errors since the last call, violations of the page's policy included."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def requested(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        entries = self._ask("POST", "/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]

    def command(self, name: str, **parameters: object) -> Any:
        """Give a command of the DevTools protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def _wanted(self) -> Mapping[str, object]:
        browser = next(found for name in _BROWSERS if (found := shutil.which(name)))
        arguments = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--lang=en"]
        arguments += ["--disable-background-networking", f"--user-data-dir={self._profile.name}/profile"]
        arguments += ["--host-resolver-rules=MAP elsewhere.example 127.0.0.1"]  # as who controls a name's DNS can do
        if getattr(os, "geteuid", lambda: 1)() == 0:
            arguments.append("--no-sandbox")  # Chromium's own cannot be had as root
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        return {"capabilities": {"alwaysMatch": wanted}}

    def _ready(self) -> bool:
        try:
            return bool(self._ask("GET", "/status", session="")["ready"])
        except httpx.TransportError:
            return False

    def _ask(self, method: str, path: str, body: object = None, *, session: str | None = None) -> Any:
        prefix = self._session if session is None else session
        answer = self._http.request(method, prefix + path, json=body if method == "POST" else None)
        value = answer.json()["value"]
        assert answer.is_success, f"{method} {path}: {value.get('message')}"
        return value
