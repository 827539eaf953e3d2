"""The front page as a whole: what it loads, shows, and says when something fails."""

import json
from collections.abc import Callable
from time import monotonic
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Page, expect

PARTS = ("Who are you", "Now showing", "Your bookings", "You might like", "To-do")
MARKUP = "<img src=x onerror=alert(1)>"
VIEWS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 320, "height": 700}},
    "wide": {"viewport": {"width": 2560, "height": 1440}},
}


def expect_loaded(page: Page) -> None:
    for name in PARTS[1:]:
        expect(page.get_by_role("region", name=name).get_by_role("listitem").first).to_be_visible()


def loaded(serve: Callable, visit: Callable, *options: str, **view) -> Page:
    page = visit(f"{serve(*options).url}/#dwight_schrute&date=20151201&todo=saurabh_badhwar", **view)
    expect_loaded(page)
    return page


def widths(page: Page) -> tuple[int, int]:
    return tuple(page.evaluate("[document.documentElement.scrollWidth, innerWidth]"))


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_has_a_fault_that_axe_finds_or_scrolls_sideways(
    serve, visit, check_accessibility, view
):
    page = loaded(serve, visit, **VIEWS[view])
    check_accessibility(page)
    width, available = widths(page)
    assert width <= available
    page.get_by_role("button", name="Rename home").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check_accessibility(page)


@pytest.mark.parametrize("view", ["light", "dark"])
def test_the_page_of_the_api_is_accessible_and_links_back(serve, visit, check_accessibility, view):
    page = loaded(serve, visit, **VIEWS[view])
    page.get_by_role("link", name="Every route").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("API")
    check_accessibility(page)
    page.get_by_role("link", name="/", exact=True).first.click()
    expect_loaded(page)


def test_the_first_view_takes_three_rounds_of_requests(serve, visit):
    page = loaded(serve, visit)
    page.wait_for_load_state("networkidle")
    entries = page.evaluate(
        """performance.getEntriesByType("resource").map(({ name, startTime, responseEnd }) =>
            ({ path: new URL(name).pathname, start: startTime, end: responseEnd }))"""
    )
    paths = [entry["path"] for entry in entries]
    assert len(paths) == len(set(paths)), "something is loaded twice"
    files = [entry for entry in entries if entry["path"].startswith("/site/")]
    data = [entry for entry in entries if not entry["path"].startswith("/site/")]
    html = page.evaluate("document.documentElement.outerHTML")
    for file in files:
        assert f'"{file["path"]}"' in html, "the page does not name the file itself"
    preloaded = [entry for entry in data if f'as="fetch" crossorigin="" href="{entry["path"]}"' in html]
    assert {entry["path"] for entry in preloaded} == {"/users", "/showtimes", "/movies", "/todo/users"}
    # What depends on these does not depend on each other: all of it is sent, unanswered.
    rest = {entry["path"] for entry in data if entry not in preloaded}
    held = []
    page.route(lambda url: urlparse(url).path in rest, lambda route: held.append(route))
    page.reload()
    deadline = monotonic() + 20
    while len(held) < len(rest):
        assert monotonic() < deadline, f"only {len(held)} of {rest} are sent"
        # Handlers run while Playwright waits for the browser.
        page.evaluate("0")
    for route in held:
        route.continue_()
    expect_loaded(page)


def test_what_just_happened_has_the_last_20_requests_and_who_answered(serve, visit):
    page = loaded(serve, visit)
    happened = page.get_by_role("region", name="What just happened")
    row = happened.get_by_role("listitem").filter(has_text="/users/dwight_schrute/suggested").first
    for text in ("GET", "200", "users", "bookings", "movies"):
        expect(row).to_contain_text(text)
    page.get_by_role("button", name="Book The Good Dinosaur").click()
    booked = happened.get_by_role("listitem").filter(has_text="PUT").first
    for text in ("201", "bookings", "users", "showtimes"):
        expect(booked).to_contain_text(text)
    suggestions = page.get_by_role("region", name="You might like")
    for number in range(8):
        username = ("michael_scott", "chris_rivers")[number % 2]
        with page.expect_response(f"**/users/{username}/suggested"):
            page.get_by_label("User", exact=True).select_option(username)
        expect(suggestions.get_by_role("listitem").first).to_be_visible()
    expect(happened.locator("li.record")).to_have_count(20)


def test_a_service_that_is_down_takes_only_the_parts_that_need_it(serve, visit, copy, check_accessibility):
    (copy / "data/cinema/movies.json").write_text("no movies today", encoding="utf-8")
    page = visit(f"{serve(folder=copy).url}/#chris_rivers&date=20151201&todo=saurabh_badhwar")
    shows = page.get_by_role("region", name="Now showing")
    expect(shows).to_contain_text("The service failed; its log says why.")
    suggestions = page.get_by_role("region", name="You might like")
    expect(suggestions).to_contain_text("The service `movies` is not available; try again later.")
    expect(page.get_by_role("region", name="To-do").get_by_role("article")).to_have_count(2)
    check_accessibility(page)
    # A show has its id, and can be booked all the same.
    id = "7daf7208-be4d-4944-a3ae-c1c2f516f3e6"
    shows.get_by_role("button", name=f"Book {id}").click()
    expect(shows.get_by_role("button", name=f"Cancel {id}")).to_be_visible()


def test_what_failed_can_be_tried_again(serve, visit):
    page = loaded(serve, visit)
    page.route("**/users/chris_rivers/suggested", lambda route: route.fulfill(status=503, body=""))
    page.get_by_label("User", exact=True).select_option("chris_rivers")
    suggestions = page.get_by_role("region", name="You might like")
    expect(suggestions).to_contain_text("503")
    page.unroute("**/users/chris_rivers/suggested")
    suggestions.get_by_role("button", name="Try again").click()
    expect(suggestions.get_by_role("listitem").first).to_be_visible()


def test_a_server_that_is_gone_is_an_error_where_something_was_tried(serve, visit):
    server = serve()
    page = visit(f"{server.url}/#dwight_schrute&date=20151201&todo=saurabh_badhwar")
    expect_loaded(page)
    server.stop()
    page.get_by_role("button", name="Book The Good Dinosaur").click()
    expect(page.get_by_role("region", name="Now showing")).to_contain_text("can’t be reached")


def test_the_token_is_asked_for_once_and_kept_for_the_tab(serve, visit, check_accessibility):
    page = loaded(serve, visit, "--variable", "write_token=secret")
    shows = page.get_by_role("region", name="Now showing")
    book = shows.get_by_role("button", name="Book The Good Dinosaur")
    book.click()
    dialog = page.get_by_role("dialog")
    check_accessibility(page)
    dialog.get_by_role("button", name="Cancel").click()
    expect(shows).to_contain_text("A write needs the token of this application")
    expect(book).to_be_focused()
    book.click()
    for token in ("wrong", "secret"):
        dialog.get_by_role("textbox").fill(token)
        dialog.get_by_role("button", name="OK").click()
        if token == "wrong":
            expect(dialog).to_contain_text("wrong")
    expect(shows.get_by_role("button", name="Cancel The Good Dinosaur")).to_be_visible()
    page.reload()
    page.get_by_role("article", name="home").get_by_role("checkbox").first.click()
    expect(page.get_by_role("article", name="home").get_by_role("checkbox")).to_have_count(2)
    expect(dialog).to_have_count(0)
    assert "secret" not in page.content()


def test_all_can_be_done_with_the_keyboard_and_the_focus_is_never_lost(serve, visit):
    page = visit(f"{serve().url}/#michael_scott&date=20151201&todo=saurabh_badhwar")
    expect(page.get_by_role("button", name="Book Creed", exact=True)).to_be_visible()
    expect(page.get_by_role("article", name="home")).to_be_visible()

    def reach(wanted: str) -> None:
        for _ in range(150):
            page.keyboard.press("Tab")
            if page.evaluate(
                "document.activeElement.ariaLabel || document.activeElement.closest('label')?.innerText || ''"
            ).strip() == wanted:
                return
        raise AssertionError(f"no Tab reaches {wanted!r}")

    def expect_focus() -> None:
        assert page.evaluate("document.activeElement !== document.body"), "the focus is lost"

    reach("Book Creed")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", "the focus is not visible"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel Creed", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Book Creed", exact=True)).to_be_focused()
    home = page.get_by_role("article", name="home")
    for left in (2, 1, 0):
        if left == 2:
            reach("Buy milk")
        page.keyboard.press("Space")
        expect(home.get_by_role("checkbox")).to_have_count(left)
        expect_focus()
    reach("Delete home")
    page.keyboard.press("Enter")
    expect(home).to_have_count(0)
    expect_focus()
    reach("Rename work")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Rename work")).to_be_focused()


def test_markup_in_data_is_text(serve, visit, copy):
    def change(path: str, edit: Callable) -> None:
        file = copy / "data" / path
        data = json.loads(file.read_text(encoding="utf-8"))
        edit(data)
        file.write_text(json.dumps(data), encoding="utf-8")

    creed = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6"
    change("cinema/movies.json", lambda data: data[creed].update(title=MARKUP, director=MARKUP))
    change("cinema/users.json", lambda data: data["chris_rivers"].update(name=MARKUP))
    change("todo/users.json", lambda data: data["meera"].update(name=MARKUP))
    change("todo/lists.json", lambda data: data.update(meera={MARKUP: [MARKUP, "a & b"]}))
    page = visit(f"{serve(folder=copy).url}/#chris_rivers&date=20151201&todo=meera")
    for name in ("Now showing", "Your bookings"):
        expect(page.get_by_role("region", name=name).get_by_role("link", name=MARKUP)).to_be_visible()
    todo = page.get_by_role("region", name="To-do")
    expect(todo.get_by_role("checkbox", name=MARKUP)).to_be_visible()
    expect(todo.get_by_role("heading", name=MARKUP)).to_be_visible()
    for label in ("User", "To-do user"):
        expect(page.get_by_label(label, exact=True).locator("option:checked")).to_have_text(MARKUP)
    expect(page.locator("img")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 375, 768, 1280, 2560])
def test_long_words_do_not_make_the_page_scroll_sideways(serve, visit, copy, width):
    file = copy / "data/todo/lists.json"
    file.write_text(json.dumps({"saurabh_badhwar": {"x" * 200: ["y" * 900]}}), encoding="utf-8")
    view = {"viewport": {"width": width, "height": 900}}
    page = visit(f"{serve(folder=copy).url}/#dwight_schrute&todo=saurabh_badhwar", **view)
    expect_loaded(page)
    assert widths(page)[0] <= width


def test_movement_is_reduced_for_those_who_ask_for_that(serve, visit):
    page = loaded(serve, visit, reduced_motion="reduce")
    moving = page.evaluate(
        """[...document.querySelectorAll("*")].filter((element) => {
            const { animationDuration, animationName, transitionDuration } = getComputedStyle(element);
            return (animationName !== "none" && parseFloat(animationDuration) > 0.01)
                || parseFloat(transitionDuration) > 0.01;
        }).length"""
    )
    assert moving == 0
