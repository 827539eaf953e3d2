"""The application in Chromium: what the tests of the front page share.

    target/venv/bin/pytest tests/web

Each test has servers, databases and browser contexts of its own. `WEB_SERVER` is the
command that serves the application, for example `spin up`.
"""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
# The components are those that `cargo run` or a test has built.
SERVER = shlex.split(os.environ.get("WEB_SERVER", "cargo run --quiet -- --no-build"))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# So that the browser does not try to reach the internet.
OPTIONS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
    --disable-background-networking --disable-component-update""".split()
AXE = ROOT / "target/web/node_modules/axe-core/axe.min.js"
# What Chromium itself says of an error that the page expects.
EXPECTED = re.compile(
    "Failed to load resource: (the server responded with a status of [45]|net::ERR_CONNECTION_)"
)


@dataclass
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Server]:
    """The application in `folder` on a free port, with a new database."""
    with tempfile.TemporaryDirectory() as state:
        command = [*SERVER, "--quiet", "--from", folder]
        if "--listen" not in options:
            command += ["--listen", "127.0.0.1:0"]
        process = subprocess.Popen(
            [*command, "--state-dir", f"{state}/state", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        server = Server("", process)
        try:
            lines = (re.search(r"http://127[0-9.:]+", line) for line in process.stdout)
            server.url = next(filter(None, lines))[0]
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "no Chromium; on Debian: apt-get install chromium"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts a server, until the test ends: `serve(*options, folder=…)`."""
    with ExitStack() as stack:

        def start(*options: str, folder: Path = ROOT) -> Server:
            return stack.enter_context(serving(folder, *options))

        yield start


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the application, to change its data or its manifest."""
    for name in ("data", "components/home/site"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("spin.toml", "components/home/openapi.json"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "target").symlink_to(ROOT / "target")
    return tmp_path


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page in a tab with a session of its own: `visit(url, **options)`. In the
    end, no page may have said anything on the console."""
    said: list[str] = []
    contexts = []

    def listen(message: ConsoleMessage) -> None:
        if not EXPECTED.match(message.text):
            said.append(f"{message.type}: {message.text}")

    def visit(url: str, **options) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        if options.get("java_script_enabled", True):
            page.on("console", listen)
        page.on("pageerror", lambda error: said.append(f"exception: {error}"))
        page.goto(url)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not said, said


@pytest.fixture
def check_accessibility() -> Callable[[Page], None]:
    """Fails if axe-core finds fault with what a page shows."""

    def check(page: Page) -> None:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run()")["violations"]
        faults = [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in found]
        assert not faults, faults

    return check
