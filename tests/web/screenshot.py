"""Makes the README's picture of the front page:

    target/venv/bin/python tests/web/screenshot.py
"""

from pathlib import Path

from conftest import CHROMIUM, OPTIONS, ROOT, serving
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("screenshot.png")
# Without movement, so that nothing is caught in the middle of it.
VIEW = {"viewport": {"width": 1440, "height": 1400}, "reduced_motion": "reduce"}


def main() -> None:
    with serving(ROOT) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        page = browser.new_page(**VIEW)
        page.goto(f"{server.url}/#dwight_schrute&date=20151201&todo=saurabh_badhwar")
        page.wait_for_load_state("networkidle")
        # So that only the way of the booking is lit.
        page.wait_for_timeout(1500)
        page.get_by_role("button", name="Book The Good Dinosaur").click()
        page.get_by_role("button", name="Cancel The Good Dinosaur").first.wait_for()
        page.wait_for_load_state("networkidle")
        page.mouse.move(0, 0)
        page.screenshot(path=PICTURE)
        browser.close()


main()
