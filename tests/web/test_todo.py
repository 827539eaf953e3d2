"""To-do: the lists of a user."""

import json
import urllib.request

import pytest
from playwright.sync_api import Locator, Page, expect

# Who has the lists `home` and `work`.
USER = "/#chris_rivers&todo=saurabh_badhwar"
HOME = ["Buy milk", "Look for pest control service", "Get a new carpet"]


def todo(page: Page) -> Locator:
    return page.get_by_role("region", name="To-do")


def list_of(page: Page, name: str) -> Locator:
    return todo(page).get_by_role("article", name=name, exact=True)


def expect_items(page: Page, name: str, items: list[str]) -> None:
    """Waits until the list shows exactly those items, and they are saved."""
    boxes = list_of(page, name).get_by_role("checkbox")
    expect(boxes).to_have_count(len(items))
    for box, item in zip(boxes.all(), items, strict=True):
        expect(box).to_have_accessible_name(item)
    expect(list_of(page, name)).not_to_have_attribute("aria-busy", "true")


def add(page: Page, name: str, item: str) -> None:
    field = list_of(page, name).get_by_label(f"New item of {name}")
    field.fill(item)
    field.press("Enter")


def stored(url: str, name: str, user: str = "saurabh_badhwar") -> list[str]:
    with urllib.request.urlopen(f"{url}/todo/lists/{user}/{name}") as response:
        return json.load(response)


def test_items_are_added_ticked_off_and_moved_and_reloads_keep_that(serve, visit):
    url = serve().url
    page = visit(url + USER)
    expect_items(page, "home", HOME)
    add(page, "home", "Water the plants")
    expect_items(page, "home", [*HOME, "Water the plants"])
    list_of(page, "home").get_by_role("checkbox", name="Buy milk").click()
    expect_items(page, "home", [*HOME[1:], "Water the plants"])
    list_of(page, "home").get_by_role("button", name="Move Water the plants up").click()
    moved = [HOME[1], "Water the plants", HOME[2]]
    for _ in range(2):
        expect_items(page, "home", moved)
        page.reload()
    assert stored(url, "home") == moved


def test_of_two_equal_items_only_the_one_that_is_ticked_off_goes(serve, visit):
    url = serve().url
    page = visit(url + USER)
    add(page, "home", "Buy milk")
    expect_items(page, "home", [*HOME, "Buy milk"])
    list_of(page, "home").get_by_role("checkbox", name="Buy milk").first.click()
    expect_items(page, "home", [*HOME[1:], "Buy milk"])
    assert stored(url, "home") == [*HOME[1:], "Buy milk"]


def test_the_last_item_can_be_ticked_off_and_the_empty_list_stays(serve, visit):
    page = visit(serve().url + USER)
    for item in ("Complete the blogpost", "Create presentation for meeting"):
        list_of(page, "work").get_by_role("checkbox", name=item).click()
        expect(list_of(page, "work").get_by_role("checkbox", name=item)).to_have_count(0)
    page.reload()
    expect_items(page, "work", [])


def test_a_list_is_made_renamed_and_deleted(serve, visit):
    url = serve().url
    page = visit(url + USER)
    todo(page).get_by_label("New list").fill("errands")
    todo(page).get_by_role("button", name="Create", exact=True).click()
    expect_items(page, "errands", [])
    add(page, "errands", "Post the letter")
    expect_items(page, "errands", ["Post the letter"])
    page.get_by_role("button", name="Rename errands").click()
    page.get_by_label("New name").fill("a/b c%")
    page.get_by_role("button", name="OK", exact=True).click()
    expect_items(page, "a/b c%", ["Post the letter"])
    expect(list_of(page, "errands")).to_have_count(0)
    page.reload()
    expect_items(page, "a/b c%", ["Post the letter"])
    page.get_by_role("button", name="Delete a/b c%").click()
    expect(list_of(page, "a/b c%")).to_have_count(0)
    page.reload()
    expect_items(page, "home", HOME)
    expect(list_of(page, "a/b c%")).to_have_count(0)


def test_a_list_cannot_take_the_name_of_another_one(serve, visit):
    url = serve().url
    page = visit(url + USER)
    page.get_by_role("button", name="Rename work").click()
    page.get_by_label("New name").fill("home")
    page.get_by_role("button", name="OK", exact=True).click()
    expect(todo(page)).to_contain_text("There is already a list “home”.")
    assert stored(url, "home") == HOME
    assert len(stored(url, "work")) == 2


def test_the_lists_are_those_of_the_chosen_user(serve, visit):
    page = visit(serve().url + USER)
    page.get_by_label("To-do user").select_option("aniket")
    for _ in range(2):
        expect_items(page, "school", ["Complete homework", "Prepare for test"])
        page.reload()
    page.get_by_label("To-do user").select_option("luckas")
    expect(todo(page)).to_contain_text("No lists yet.")


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ("Keep mine", [*HOME, "Mine"]),
        ("Keep theirs", [*HOME, "Theirs"]),
        ("Keep both", [*HOME, "Theirs", "Mine"]),
    ],
)
def test_if_somebody_else_was_faster_both_versions_are_shown_and_none_is_lost(
    serve, visit, choice, kept
):
    url = serve().url
    page, other = visit(url + USER), visit(url + USER)
    expect_items(page, "home", HOME)
    add(other, "home", "Theirs")
    expect_items(other, "home", [*HOME, "Theirs"])
    add(page, "home", "Mine")
    conflict = list_of(page, "home")
    expect(conflict).to_contain_text("Somebody else has changed “home”.")
    for text in ("Yours", "Theirs", "Mine"):
        expect(conflict.get_by_text(text, exact=True).first).to_be_visible()
    assert stored(url, "home") == [*HOME, "Theirs"]
    conflict.get_by_role("button", name=choice).click()
    expect_items(page, "home", kept)
    assert stored(url, "home") == kept


def test_a_version_that_was_saved_before_is_written_over_only_if_it_is_still_there(serve, visit):
    url = serve().url
    page, other = visit(url + USER), visit(url + USER)
    # Both have saved the list before, so both know its tag.
    add(page, "home", "First")
    expect_items(page, "home", [*HOME, "First"])
    other.reload()
    add(other, "home", "Theirs")
    expect_items(other, "home", [*HOME, "First", "Theirs"])
    list_of(page, "home").get_by_role("checkbox", name="Buy milk").click()
    expect(list_of(page, "home")).to_contain_text("Somebody else has changed “home”.")
    assert stored(url, "home") == [*HOME, "First", "Theirs"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_list_that_somebody_else_has_deleted_can_be_made_again_or_let_go(serve, visit, is_kept):
    url = serve().url
    page, other = visit(url + USER), visit(url + USER)
    expect_items(page, "home", HOME)
    other.get_by_role("button", name="Delete home").click()
    expect(list_of(other, "home")).to_have_count(0)
    add(page, "home", "Mine")
    expect(list_of(page, "home")).to_contain_text("Somebody else has deleted “home”.")
    choice = "Create it again" if is_kept else "Let it go"
    list_of(page, "home").get_by_role("button", name=choice).click()
    if is_kept:
        expect_items(page, "home", [*HOME, "Mine"])
        assert stored(url, "home") == [*HOME, "Mine"]
    else:
        expect(list_of(page, "home")).to_have_count(0)


def test_an_item_that_is_refused_is_an_error_where_it_was_added(serve, visit):
    page = visit(serve().url + USER)
    field = list_of(page, "home").get_by_label("New item of home")
    # Longer than the field itself would take.
    field.evaluate("field => { field.removeAttribute('maxlength'); field.value = 'x'.repeat(1001) }")
    field.press("Enter")
    expect(list_of(page, "home")).to_contain_text("at most 1000 are allowed")
    expect(field).to_have_value("x" * 1001)
