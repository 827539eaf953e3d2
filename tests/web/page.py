"""The page at / as a browser shows it: it renders, its links answer, and the
console stays empty.

Usage: page.py URL, with Chromium on the machine.
"""

import html.parser
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

BROWSER = ["chromium", "chromium-browser", "google-chrome"]
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-quic",
    "--enable-logging=stderr", "--virtual-time-budget=5000",
]


class Page(html.parser.HTMLParser):
    """What of a page is looked at: its elements, links and headings."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.links, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "a":
            self.links.append(dict(attributes)["href"])

    def handle_data(self, data):
        self.text += data


def render(url):
    """The document of `url` after rendering, and what the browser logged."""
    browser = next(filter(None, map(shutil.which, BROWSER)), None)
    assert browser, "no Chromium; on Debian: apt-get install chromium"
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *OPTIONS, f"--user-data-dir={profile}", "--dump-dom", url]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def main(url):
    document, log = render(url)
    console = [line for line in log.splitlines() if "CONSOLE" in line]
    assert not console, console
    page = Page(document)
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == 1 and tags.count("main") == 1 and "title" in tags, tags
    assert dict(page.elements)["html"].get("lang") == "en"
    for tag, attributes in page.elements:
        address = attributes.get("src") or attributes.get("href") or ""
        external = urllib.parse.urlparse(urllib.parse.urljoin(url, address)).netloc
        assert address.startswith("data:") or external == urllib.parse.urlparse(url).netloc, address
        assert tag not in ("script", "iframe", "img"), tag
    assert "Cinema 3" in page.text and "To-Do Manager" in page.text
    assert "/openapi.json" in page.links and len(page.links) >= 19, page.links
    for link in page.links:
        with urllib.request.urlopen(urllib.parse.urljoin(url, link)) as response:
            assert response.status == 200, link
    print(f"the page renders, its {len(page.links)} links answer, the console is empty")


main(sys.argv[1])
