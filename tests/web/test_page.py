"""The front page as a whole: what it loads, shows, and says when something fails."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from time import monotonic
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Locator, Page, expect

from requests_held import hold, wait_for

PARTS = ("Now showing", "Your bookings", "You might like", "To-do", "What just happened")
MARKUP = "<img src=x onerror=alert(1)>"
VIEWS = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
    "narrow": {"viewport": {"width": 320, "height": 700}},
    "wide": {"viewport": {"width": 2560, "height": 1440}},
}


def expect_loaded(page: Page) -> None:
    for name in PARTS:
        expect(page.get_by_role("region", name=name).get_by_role("listitem").first).to_be_visible()


def loaded(serve: Callable, visit: Callable, *options: str, **view) -> Page:
    page = visit(f"{serve(*options).url}/#dwight_schrute&date=20151201&todo=saurabh_badhwar", **view)
    expect_loaded(page)
    return page


def service(page: Page, id: str) -> Locator:
    """A service in the picture."""
    picture = page.get_by_role("group", name="The services")
    return picture.get_by_role("button", name=re.compile(f"^{id} "))


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
    for part in page.locator(".app, .happened, .dates label").all():
        assert part.evaluate("part => part.scrollWidth <= part.clientWidth"), part
    service(page, "bookings").click()
    page.get_by_role("button", name="Dates of Room").click()
    expect(page.get_by_role("dialog", name="Room")).to_be_visible()
    check_accessibility(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Rename home").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check_accessibility(page)
    assert widths(page)[0] <= available


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


def test_a_server_that_is_gone_is_an_error_until_it_is_back(serve, visit):
    server = serve()
    page = visit(f"{server.url}/#dwight_schrute&date=20151201&todo=saurabh_badhwar")
    expect_loaded(page)
    server.stop()
    page.get_by_role("button", name="Book The Good Dinosaur").click()
    shows = page.get_by_role("region", name="Now showing")
    expect(shows).to_contain_text("can’t be reached")
    page.get_by_label("User", exact=True).select_option("chris_rivers")
    expect(page.get_by_role("region", name="Your bookings")).to_contain_text("can’t be reached")
    serve("--listen", server.url.removeprefix("http://"))
    expect(page.get_by_role("region", name="Your bookings").get_by_role("link")).to_be_visible()
    expect(page.get_by_text("can’t be reached")).to_have_count(0)


@pytest.mark.skipif("WEB_SERVER" in os.environ, reason="only the local host has --apart")
def test_a_process_that_is_killed_again_and_again_takes_only_the_parts_that_need_it(serve, visit):
    server = serve("--apart")
    page = visit(f"{server.url}/#dwight_schrute&date=20151201&todo=saurabh_badhwar")
    expect_loaded(page)
    suggestions = page.get_by_role("region", name="You might like")
    children = ["--parent", str(server.process.pid)]
    for username in ("chris_rivers", "michael_scott", "chris_rivers"):
        subprocess.run(["pkill", "-KILL", *children, "--full", "component-id movies"], check=True)
        page.get_by_label("User", exact=True).select_option(username)
        expect(suggestions).to_contain_text("The service `movies` is not available; try again later.")
        expect(page.get_by_role("region", name="To-do").get_by_role("article")).to_have_count(2)
        deadline = monotonic() + 20
        while not page.request.get(f"{server.url}/movies").ok:
            assert monotonic() < deadline, "no other process"
        suggestions.get_by_role("button", name="Try again").click()
        expect(suggestions.get_by_role("listitem").first).to_be_visible()


def test_the_token_is_asked_for_once_and_kept_for_the_tab(serve, visit, check_accessibility):
    page = loaded(serve, visit, "--variable", "write_token=secret")
    shows = page.get_by_role("region", name="Now showing")
    book = shows.get_by_role("button", name="Book The Good Dinosaur")
    book.click()
    dialog = page.get_by_role("dialog")
    check_accessibility(page)
    dialog.get_by_role("button", name="Cancel").click()
    expect(shows).to_contain_text("Nothing is changed without the token.")
    expect(book).to_be_focused()
    book.click()
    for token in ("wrong", "secret"):
        dialog.get_by_role("textbox").fill(token)
        dialog.get_by_role("button", name="OK").click()
        if token == "wrong":
            expect(dialog).to_contain_text("wrong")
    expect(shows.get_by_role("button", name="Cancel The Good Dinosaur")).to_be_visible()
    page.reload()
    with page.expect_response(lambda one: one.request.method == "PUT" and one.ok):
        page.get_by_role("article", name="home").get_by_role("checkbox").first.click()
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
    for item in ("Buy milk", "Look for pest control service", "Get a new carpet"):
        reach(item)
        page.keyboard.press("Space")
        expect(home.get_by_role("checkbox", name=item)).to_be_checked()
        expect_focus()
    reach("Undo Get a new carpet")
    page.keyboard.press("Enter")
    expect(home.get_by_role("checkbox", name="Get a new carpet")).not_to_be_checked()
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


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_what_lights_up_moves_only_for_those_who_like_that(serve, visit, motion):
    page = loaded(serve, visit, reduced_motion=motion)
    page.evaluate(
        """() => {
            globalThis.moves = 0;
            addEventListener("animationstart", () => { globalThis.moves += 1; });
        }"""
    )
    page.get_by_role("button", name="Book The Good Dinosaur").click()
    expect(page.locator("#arrow-bookings-showtimes")).to_have_class(re.compile("lit"))
    # An animation begins with one of the next frames.
    page.wait_for_timeout(500)
    assert (page.evaluate("moves") > 0) == (motion == "no-preference")


def test_the_picture_has_each_service_and_an_arrow_for_each_that_another_one_asks(serve, visit):
    url = serve().url
    page = visit(url)
    picture = page.get_by_role("group", name="The services")
    api = page.request.get(f"{url}/openapi.json").json()
    expect(picture.get_by_role("button")).to_have_count(len(api["x-services"]))
    asked = {
        (id, sibling)
        for id, about in api["x-services"].items()
        for path, item in api["paths"].items()
        for operation in item.values()
        if "x-asks" in operation and owner(api, path) == id
        for sibling in operation["x-asks"]
    }
    arrows = picture.locator("path.arrow").evaluate_all("all => all.map(({ id }) => id)")
    assert set(arrows) == {f"arrow-{id}-{sibling}" for id, sibling in asked}
    expect(picture.locator("path.store")).to_have_count(2)
    # In words, too.
    expect(service(page, "users")).to_have_accessible_name(re.compile("asks bookings and movies"))


def owner(api: dict, path: str) -> str:
    """The id of the service that answers at `path`."""
    routes = {route: id for id, about in api["x-services"].items() for route in about["routes"]}
    return routes[max((route for route in routes if f"{path}/".startswith(f"{route}/")), key=len)]


def test_requests_light_up_their_way(serve, visit):
    page = loaded(serve, visit)
    page.wait_for_load_state("networkidle")
    # What is shown together are the answers of one second.
    page.wait_for_timeout(1000)
    page.get_by_label("User", exact=True).select_option("chris_rivers")
    expect(page.locator("#arrow-users-movies")).to_have_class(re.compile("lit$"))
    expect(page.locator("path.lit")).to_have_count(2)
    expect(service(page, "users")).to_have_accessible_name(re.compile("Just now: [0-9.]+ ms"))
    expect(service(page, "todo-users")).not_to_have_class(re.compile("lit"))


def test_a_sibling_that_failed_is_red_and_said_to_have_failed(serve, visit, copy):
    (copy / "data/cinema/movies.json").write_text("no movies today", encoding="utf-8")
    page = visit(f"{serve(folder=copy).url}/#chris_rivers&date=20151201")
    suggestions = page.get_by_role("region", name="You might like")
    suggestions.get_by_role("button", name="Try again").click()
    for failed in (service(page, "movies"), page.locator("#arrow-users-movies")):
        expect(failed).to_have_class(re.compile("failed"))
    expect(service(page, "movies")).to_contain_text("failed")
    expect(page.locator("#arrow-users-bookings")).to_have_class(re.compile("lit$"))
    rows = page.locator("li.record").filter(has_text="/users/chris_rivers/suggested")
    expect(rows.first).to_contain_text("movies failed")


@pytest.mark.parametrize("width", [320, 2560])
def test_a_service_shows_its_routes_its_data_and_its_source(serve, visit, width):
    page = visit(serve().url, viewport={"width": width, "height": 900})
    service(page, "bookings").focus()
    page.keyboard.press("Enter")
    expect(service(page, "bookings")).to_have_attribute("aria-expanded", "true")
    details = page.locator("#service")
    for text in (
        "PUT /bookings/{username}/{date}/{movie}",
        "GET /seats/{date}",
        "data/cinema/bookings.json",
        "components/bookings/src/lib.rs",
    ):
        expect(details).to_contain_text(text)
    assert widths(page)[0] <= width
    page.keyboard.press("Enter")
    expect(details).not_to_contain_text("components/bookings/src/lib.rs")


def test_the_times_are_those_of_the_requests_even_after_many(serve, visit):
    page = visit("about:blank")
    page.route("**/movies", lambda route: route.fulfill(status=503, body=""))
    page.goto(f"{serve().url}/#chris_rivers&date=20151201")
    shows = page.get_by_role("region", name="Now showing")
    expect(shows).to_contain_text("503")
    page.unroute("**/movies")
    # The browser notes no more of them.
    page.evaluate("performance.setResourceTimingBufferSize(1)")
    held = hold(page, "**/movies", "GET")
    shows.get_by_role("button", name="Try again").click()
    wait_for(page, held, 1)
    page.wait_for_timeout(300)
    held[0].continue_()
    expect(shows.get_by_role("link", name="Creed")).to_be_visible()
    times = page.locator("li.record").filter(has_text="/movies").locator(".request .time")
    assert float(times.first.inner_text().removesuffix(" ms")) >= 300


def test_without_javascript_the_page_says_so_and_links_to_the_api(serve, visit):
    page = visit(serve().url, java_script_enabled=False)
    expect(page.get_by_text("This page needs JavaScript.")).to_be_visible()
    expect(page.get_by_role("link", name="The API", exact=True)).to_have_attribute("href", "/api")
    expect(page.get_by_role("heading", name="Now showing")).to_be_hidden()


def test_the_times_have_bars_with_forced_colours_too(serve, visit):
    page = loaded(serve, visit, forced_colors="active")
    bar = page.locator(".bar").first
    colours = [one.evaluate("one => getComputedStyle(one).backgroundColor") for one in (bar, page.locator("body"))]
    assert colours[0] != colours[1]


def test_the_page_of_the_api_begins_with_its_routes(serve, visit):
    page = visit(f"{serve().url}/api", viewport={"width": 1280, "height": 720})
    first = page.get_by_role("link", name="/movies", exact=True).bounding_box()
    assert first["y"] < page.get_by_text("Every path answers").bounding_box()["y"]
