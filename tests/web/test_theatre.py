"""Who are you, Now showing, Your bookings, You might like."""

import json
import re
import urllib.request

import pytest
from playwright.sync_api import Locator, Page, expect

from requests_held import hold, wait_for

CREED = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6"
DATE = "20151201"


def part(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name)


def show(page: Page, title: str) -> Locator:
    """The row of a movie in Now showing."""
    link = page.get_by_role("link", name=title, exact=True)
    return part(page, "Now showing").get_by_role("listitem").filter(has=link)


def book(url: str, username: str, date: str = DATE, movie: str = CREED) -> None:
    """Books as somebody else."""
    request = urllib.request.Request(f"{url}/bookings/{username}/{date}/{movie}", method="PUT")
    with urllib.request.urlopen(request) as response:
        assert response.status == 201


def test_the_chosen_user_is_in_the_address_and_kept_by_reloads_and_links(serve, visit):
    url = serve().url
    page = visit(url)
    page.get_by_label("User", exact=True).select_option("dwight_schrute")
    expect(page).to_have_url(f"{url}/#dwight_schrute")
    for _ in range(2):
        expect(page.get_by_label("User", exact=True)).to_have_value("dwight_schrute")
        expect(part(page, "Your bookings").get_by_role("link", name="Creed")).to_be_visible()
        page.reload()
    linked = visit(f"{url}/#chris_rivers")
    expect(linked.get_by_label("User", exact=True)).to_have_value("chris_rivers")
    linked.goto(f"{url}/#michael_scott")
    expect(linked.get_by_label("User", exact=True)).to_have_value("michael_scott")
    expect(part(linked, "Your bookings")).to_contain_text("No bookings yet.")


def test_a_user_that_does_not_exist_is_named_and_another_one_can_be_chosen(serve, visit):
    page = visit(f"{serve().url}/#nobody")
    expect(page.get_by_text("There is no user “nobody”.")).to_be_visible()
    page.get_by_label("User", exact=True).select_option("chris_rivers")
    expect(part(page, "Your bookings").get_by_role("link", name="Creed")).to_be_visible()


def test_the_movies_of_each_date_are_shown_best_rated_first_with_their_directors(serve, visit):
    url = serve().url
    with urllib.request.urlopen(f"{url}/movies") as movies, urllib.request.urlopen(
        f"{url}/showtimes"
    ) as shows:
        movies, shows = json.load(movies), json.load(shows)
    page = visit(url)
    dates = part(page, "Now showing").get_by_role("radio")
    expect(dates).to_have_count(len(shows))
    expect(dates.first).to_be_checked()
    for number, date in enumerate(sorted(shows)):
        dates.nth(number).check(force=True)
        shown = sorted(
            (movies[id] for id in shows[date]),
            key=lambda movie: (-movie["rating"], movie["title"]),
        )
        rows = part(page, "Now showing").get_by_role("list").first.get_by_role("listitem")
        expect(rows).to_have_count(len(shown))
        for row, movie in zip(rows.all(), shown, strict=True):
            for text in (movie["title"], movie["director"], f"{movie['rating']:.1f}"):
                expect(row).to_contain_text(text)


def test_a_booking_is_there_after_a_reload_until_it_is_cancelled(serve, visit):
    page = visit(f"{serve().url}/#michael_scott&date={DATE}")
    suggested = part(page, "You might like")
    expect(suggested.get_by_role("link", name="Creed")).to_be_visible()
    page.get_by_role("button", name="Book Creed", exact=True).click()
    for _ in range(2):
        expect(show(page, "Creed")).to_contain_text("Booked")
        expect(show(page, "Creed")).to_contain_text("of 100 seats left")
        expect(part(page, "Your bookings").get_by_role("link", name="Creed")).to_be_visible()
        expect(suggested.get_by_role("link", name="Creed")).to_have_count(0)
        page.reload()
    page.get_by_role("button", name="Cancel Creed", exact=True).click()
    for _ in range(2):
        expect(page.get_by_role("button", name="Book Creed", exact=True)).to_be_visible()
        expect(part(page, "Your bookings")).to_contain_text("No bookings yet.")
        page.reload()


def test_a_booking_can_be_cancelled_where_the_bookings_are_listed(serve, visit):
    page = visit(f"{serve().url}/#chris_rivers&date={DATE}")
    part(page, "Your bookings").get_by_role("button", name="Cancel Creed").click()
    expect(part(page, "Your bookings")).to_contain_text("No bookings yet.")
    expect(page.get_by_role("button", name="Book Creed", exact=True)).to_be_visible()


def test_changes_are_announced(serve, visit):
    page = visit(f"{serve().url}/#michael_scott&date={DATE}")
    page.get_by_role("button", name="Book Creed", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Booked Creed on Tue, 1 Dec 2015.")


def test_a_write_in_progress_is_shown_and_not_sent_twice(serve, visit):
    page = visit(f"{serve().url}/#michael_scott&date={DATE}")
    held = hold(page, "**/bookings/michael_scott/**", "PUT")
    row = show(page, "Creed")
    before = row.bounding_box()
    page.get_by_role("button", name="Book Creed", exact=True).click()
    expect(row).to_contain_text("Booking…")
    assert row.bounding_box() == before, "the row jumps"
    page.get_by_role("button", name="Book Creed", exact=True).click(force=True)
    # The second request would have arrived before this one.
    page.get_by_role("button", name="Book The Danish Girl").click()
    wait_for(page, held, 2)
    assert [CREED in route.request.url for route in held] == [True, False]
    for route in held:
        route.continue_()
    expect(row).to_contain_text("Booked")


def test_a_show_that_is_sold_out_says_so_and_takes_no_booking(serve, visit):
    server = serve("--variable", "seats=5")
    book(server.url, "michael_scott")
    page = visit(f"{server.url}/#peter_curley&date={DATE}")
    expect(show(page, "Creed")).to_contain_text("Sold out")
    button = page.get_by_role("button", name="Book Creed", exact=True)
    expect(button).to_be_disabled()


def test_a_seat_that_somebody_else_was_faster_to_book_is_an_error_where_it_was_clicked(
    serve, visit
):
    server = serve("--variable", "seats=6")
    book(server.url, "michael_scott")
    page = visit(f"{server.url}/#peter_curley&date={DATE}")
    expect(show(page, "Creed")).to_contain_text("1 of 6 seats left")
    book(server.url, "pam_beesly")
    page.get_by_role("button", name="Book Creed", exact=True).click()
    expect(show(page, "Creed")).to_contain_text("All 6 seats are booked.")
    expect(show(page, "Creed")).to_contain_text("Sold out")


def test_without_a_database_the_page_says_so_and_offers_no_writes(serve, visit, copy):
    manifest = copy / "spin.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(re.sub("(?m)^sqlite_databases.*\n", "", text), encoding="utf-8")
    page = visit(f"{serve(folder=copy).url}/#chris_rivers&date={DATE}")
    expect(show(page, "Creed")).to_contain_text("Booked")
    for name in ("Now showing", "To-do"):
        expect(part(page, name)).to_contain_text("Without a database")
    writes = page.get_by_role("button", name=re.compile("Book|Cancel|Add|Create|Delete|Rename"))
    expect(writes).to_have_count(0)
    expect(part(page, "To-do").get_by_role("checkbox")).to_have_count(0)


def test_a_booking_that_arrives_late_counts_for_the_user_who_looks_by_then(serve, visit):
    page = visit(f"{serve().url}/#michael_scott&date={DATE}")
    expect(show(page, "Creed")).to_contain_text("96 of 100 seats left")
    held = hold(page, "**/bookings/michael_scott/**", "PUT")
    page.get_by_role("button", name="Book Creed", exact=True).click()
    wait_for(page, held, 1)
    page.get_by_label("User", exact=True).select_option("peter_curley")
    held[0].continue_()
    expect(show(page, "Creed")).to_contain_text("95 of 100 seats left")


def test_without_showtimes_nobody_asks_for_the_seats_of_no_date(serve, visit, copy):
    (copy / "data/cinema/showtimes.json").write_text("no shows today", encoding="utf-8")
    page = visit("about:blank")
    paths = []
    page.on("request", lambda request: paths.append(request.url))
    page.goto(f"{serve(folder=copy).url}/#chris_rivers")
    part(page, "Your bookings").get_by_role("button", name="Cancel Creed").click()
    expect(part(page, "Your bookings")).to_contain_text("No bookings yet.")
    page.wait_for_load_state("networkidle")
    assert not [path for path in paths if "/seats" in path]


def test_a_movie_opens_in_the_page_and_can_be_booked_on_each_of_its_dates(serve, visit):
    page = visit(f"{serve().url}/#michael_scott&date={DATE}")
    show(page, "Creed").get_by_role("link").click()
    dialog = page.get_by_role("dialog", name="Creed")
    for text in ("Ryan Coogler", "8.8", "96 of 100 seats left", "Wed, 2 Dec 2015"):
        expect(dialog).to_contain_text(text)
    dialog.get_by_role("button", name="Book Creed on Wed, 2 Dec 2015").click()
    expect(dialog.get_by_role("button", name="Cancel Creed on Wed, 2 Dec 2015")).to_be_focused()
    page.keyboard.press("Escape")
    expect(show(page, "Creed").get_by_role("link")).to_be_focused()
    expect(part(page, "Your bookings")).to_contain_text("Wed, 2 Dec 2015")


def test_what_is_suggested_can_be_booked_from_there(serve, visit):
    page = visit(f"{serve().url}/#michael_scott&date={DATE}")
    suggested = part(page, "You might like").get_by_role("listitem").first
    title = suggested.get_by_role("link").inner_text()
    suggested.get_by_role("button", name=f"Dates of {title}").click()
    page.get_by_role("dialog", name=title).get_by_role("button", name="Book").first.click()
    # What opened the dialog is gone.
    expect(page.locator("#suggestions").get_by_text(title, exact=True)).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Now showing")).to_be_focused()
    expect(part(page, "Your bookings").get_by_role("link", name=title)).to_be_visible()


def test_what_others_have_booked_is_shown_when_the_tab_gets_the_focus(serve, visit):
    url = serve().url
    page = visit(f"{url}/#michael_scott&date={DATE}")
    expect(show(page, "Creed")).to_contain_text("96 of 100 seats left")
    book(url, "peter_curley")
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(show(page, "Creed")).to_contain_text("95 of 100 seats left")


def test_a_message_goes_with_its_cause(serve, visit):
    server = serve("--variable", "seats=6")
    book(server.url, "pam_beesly")
    page = visit(f"{server.url}/#peter_curley&date={DATE}")
    expect(show(page, "Creed")).to_contain_text("1 of 6 seats left")
    book(server.url, "michael_scott")
    page.get_by_role("button", name="Book Creed", exact=True).click()
    expect(show(page, "Creed")).to_contain_text("All 6 seats are booked.")
    path = f"{server.url}/bookings/michael_scott/{DATE}/{CREED}"
    urllib.request.urlopen(urllib.request.Request(path, method="DELETE")).close()
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(show(page, "Creed")).to_contain_text("1 of 6 seats left")
    expect(show(page, "Creed")).not_to_contain_text("All 6 seats")


@pytest.mark.parametrize("width", [320, 768, 1120, 1280, 1800, 2560])
def test_each_date_takes_one_line_and_none_is_alone_in_its_row(serve, visit, width):
    page = visit(serve().url, viewport={"width": width, "height": 900})
    dates = part(page, "Now showing").get_by_role("group", name="Date").locator("label")
    expect(dates).to_have_count(6)
    boxes = [date.bounding_box() for date in dates.all()]
    assert {box["height"] for box in boxes} == {boxes[0]["height"]}
    assert boxes[0]["height"] < 60
    for date in dates.all():
        assert date.evaluate("date => date.scrollWidth <= date.clientWidth"), "it is cut off"
    rows = [box["y"] for box in boxes]
    assert rows.count(rows[-1]) > 1, "the last date is alone"
