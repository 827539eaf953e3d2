"""Requests of a page that wait until a test lets them go on."""

from time import monotonic

from playwright.sync_api import Page, Route


def hold(page: Page, pattern: str, method: str) -> list[Route]:
    """The requests of that method, which wait until somebody continues them."""
    held = []

    def keep(route: Route) -> None:
        if route.request.method == method:
            held.append(route)
        else:
            route.continue_()

    page.route(pattern, keep)
    return held


def wait_for(page: Page, held: list[Route], count: int) -> None:
    deadline = monotonic() + 20
    while len(held) < count:
        assert monotonic() < deadline, f"{len(held)} of {count} requests"
        # Handlers run while Playwright waits for the browser.
        page.evaluate("0")
