"""To-do: the lists of a user."""

import json
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from requests_held import hold, wait_for

# Who has the lists `home` and `work`.
USER = "/#chris_rivers&todo=saurabh_badhwar"
HOME = ["Buy milk", "Look for pest control service", "Get a new carpet"]


def todo(page: Page) -> Locator:
    return page.get_by_role("region", name="To-do")


def list_of(page: Page, name: str) -> Locator:
    return todo(page).get_by_role("article", name=name, exact=True)


def expect_items(page: Page, name: str, items: list[str]) -> None:
    """Waits until the list has exactly those items that are not done, and they are saved."""
    rows = list_of(page, name).get_by_role("listitem").filter(has_not=page.get_by_text("Undo"))
    expect(rows).to_have_count(len(items))
    for row, item in zip(rows.all(), items, strict=True):
        expect(row.get_by_role("checkbox")).to_have_accessible_name(item)
    expect(list_of(page, name)).not_to_have_attribute("aria-busy", "true")


def opened(serve: Callable, visit: Callable) -> tuple[str, Page]:
    """The address of a server, and its page once it shows the lists."""
    url = serve().url
    page = visit(url + USER)
    expect_items(page, "home", HOME)
    return url, page


def add(page: Page, name: str, item: str) -> None:
    field = list_of(page, name).get_by_label(f"New item of {name}")
    field.fill(item)
    field.press("Enter")


def tick(page: Page, name: str, item: str) -> None:
    list_of(page, name).get_by_role("checkbox", name=item, exact=True).first.click()


def rename(page: Page, name: str, to: str) -> None:
    page.get_by_role("button", name=f"Rename {name}").click()
    page.get_by_label("New name").fill(to)
    page.get_by_role("button", name="OK", exact=True).click()


def replace(url: str, name: str, items: list[str] | None, user: str = "saurabh_badhwar") -> None:
    """Saves or deletes a list as somebody else."""
    body = None if items is None else json.dumps(items).encode()
    request = urllib.request.Request(
        f"{url}/todo/lists/{user}/{name}",
        body,
        {"Content-Type": "application/json"},
        method="DELETE" if items is None else "PUT",
    )
    urllib.request.urlopen(request).close()


def stored(url: str, name: str, user: str = "saurabh_badhwar") -> list[str]:
    with urllib.request.urlopen(f"{url}/todo/lists/{user}/{name}") as response:
        return json.load(response)


def test_items_are_added_ticked_off_and_moved_and_reloads_keep_that(serve, visit):
    url, page = opened(serve, visit)
    add(page, "home", "Water the plants")
    expect_items(page, "home", [*HOME, "Water the plants"])
    tick(page, "home", "Buy milk")
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
    tick(page, "home", "Buy milk")
    expect_items(page, "home", [*HOME[1:], "Buy milk"])
    assert stored(url, "home") == [*HOME[1:], "Buy milk"]


def test_the_last_item_can_be_ticked_off_and_the_empty_list_stays(serve, visit):
    page = visit(serve().url + USER)
    for item in ("Complete the blogpost", "Create presentation for meeting"):
        tick(page, "work", item)
    expect_items(page, "work", [])
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
    rename(page, "errands", "a/b c%")
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
    rename(page, "work", "home")
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
    ("mine", "theirs", "merged"),
    [
        # The same item, which the list then has no more.
        ("Buy milk", HOME[1:], HOME[1:]),
        # Another one: both are gone.
        ("Buy milk", HOME[:1] + HOME[2:], HOME[2:]),
        # One of two equal ones, of which the other one stays.
        ("Buy milk", [*HOME, "Buy milk"], [*HOME[1:], "Buy milk"]),
        # In the order of the server.
        ("Buy milk", ["First", *HOME[::-1]], ["First", *HOME[:0:-1]]),
    ],
)
@pytest.mark.parametrize("has_saved", [False, True])
def test_what_two_people_tick_off_is_gone_and_nobody_is_asked(
    serve, visit, mine, theirs, merged, has_saved
):
    url, page = opened(serve, visit)
    if has_saved:
        # So that the page knows the version.
        add(page, "home", "Read")
        expect_items(page, "home", [*HOME, "Read"])
        theirs, merged = [*theirs, "Read"], [*merged, "Read"]
    replace(url, "home", theirs)
    tick(page, "home", mine)
    expect_items(page, "home", merged)
    expect(list_of(page, "home")).not_to_contain_text("Somebody else")
    assert stored(url, "home") == merged


def test_what_two_people_add_or_move_is_merged(serve, visit):
    url, page = opened(serve, visit)
    replace(url, "home", ["Theirs", *HOME])
    add(page, "home", "Mine")
    expect_items(page, "home", ["Theirs", *HOME, "Mine"])
    replace(url, "home", ["Theirs", *HOME, "Mine", "Later"])
    list_of(page, "home").get_by_role("button", name="Move Mine up").click()
    moved = ["Theirs", *HOME[:2], "Mine", HOME[2], "Later"]
    expect_items(page, "home", moved)
    assert stored(url, "home") == moved


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_list_that_somebody_else_has_changed_is_not_deleted_without_a_question(
    serve, visit, is_kept
):
    url, page = opened(serve, visit)
    replace(url, "home", [*HOME, "Theirs"])
    page.get_by_role("button", name="Delete home").click()
    expect(list_of(page, "home")).to_contain_text("Somebody else has changed “home”.")
    choice = "Keep theirs" if is_kept else "Delete it anyway"
    list_of(page, "home").get_by_role("button", name=choice).click()
    if is_kept:
        expect_items(page, "home", [*HOME, "Theirs"])
        assert stored(url, "home") == [*HOME, "Theirs"]
    else:
        expect(list_of(page, "home")).to_have_count(0)
        expect(todo(page)).to_contain_text("Deleted “home”.")


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
    expect(field).to_have_attribute("maxlength", "1000")
    # Longer than the field itself would take.
    field.evaluate("field => { field.removeAttribute('maxlength'); field.value = 'x'.repeat(1001) }")
    field.press("Enter")
    expect(list_of(page, "home")).to_contain_text("at most 1000 are allowed")
    expect(field).to_have_value("x" * 1001)


def test_what_is_typed_while_a_save_is_under_way_is_saved_after_it(serve, visit):
    url, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/home", "PUT")
    typed = ["milk", "eggs", "flour"]
    for item in typed:
        add(page, "home", item)
        expect(list_of(page, "home").get_by_label("New item of home")).to_have_value("")
    tags = []
    for count in range(1, 4):
        wait_for(page, held, count)
        sent = held[-1].request
        assert json.loads(sent.post_data) == [*HOME, *typed[:count]]
        tags.append(sent.headers["if-match"])
        with page.expect_response("**/todo/lists/saurabh_badhwar/home") as answer:
            held[-1].continue_()
        tags.append(answer.value.headers["etag"])
    # Each is saved over the version that the one before has made.
    assert (tags[2], tags[4]) == (tags[1], tags[3])
    expect_items(page, "home", [*HOME, *typed])
    assert stored(url, "home") == [*HOME, *typed]


def test_after_a_failure_nothing_more_is_saved_and_all_can_be_tried_again(serve, visit):
    url, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/home", "PUT")
    add(page, "home", "milk")
    add(page, "home", "eggs")
    field = list_of(page, "home").get_by_label("New item of home")
    field.fill("flour")
    wait_for(page, held, 1)
    held[0].fulfill(status=503, body="")
    expect(list_of(page, "home")).to_contain_text("503")
    expect(field).to_have_value("flour")
    # Another save would have been sent before that of another list.
    add(page, "work", "Read")
    expect_items(page, "work", ["Complete the blogpost", "Create presentation for meeting", "Read"])
    assert len(held) == 1
    assert stored(url, "home") == HOME
    page.unroute("**/todo/lists/saurabh_badhwar/home")
    list_of(page, "home").get_by_role("button", name="Try again").click()
    expect_items(page, "home", [*HOME, "milk", "eggs"])
    assert stored(url, "home") == [*HOME, "milk", "eggs"]
    expect(list_of(page, "home")).not_to_contain_text("503")


def test_the_name_of_a_list_that_is_typed_while_another_one_is_made_stays(serve, visit):
    page = visit(serve().url + USER)
    held = hold(page, "**/todo/lists/saurabh_badhwar/first", "PUT")
    field = todo(page).get_by_label("New list")
    field.fill("first")
    field.press("Enter")
    expect(field).to_have_value("")
    field.fill("second")
    wait_for(page, held, 1)
    held[0].continue_()
    expect_items(page, "first", [])
    expect(field).to_have_value("second")
    expect(field).to_be_focused()


def test_a_slow_save_shows_no_list_twice_after_another_user_was_chosen(serve, visit):
    _, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/home", "PUT")
    tick(page, "home", "Buy milk")
    wait_for(page, held, 1)
    page.get_by_label("To-do user").select_option("aniket")
    expect(list_of(page, "school")).to_be_visible()
    page.get_by_label("To-do user").select_option("saurabh_badhwar")
    expect(list_of(page, "work")).to_be_visible()
    held[0].continue_()
    expect_items(page, "home", HOME[1:])
    expect(list_of(page, "home")).to_have_count(1)


def test_a_list_that_was_deleted_for_one_user_is_no_matter_of_another(serve, visit):
    _, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/home", "DELETE")
    page.get_by_role("button", name="Delete home").click()
    wait_for(page, held, 1)
    page.get_by_label("To-do user").select_option("aniket")
    page.get_by_label("To-do user").focus()
    expect(list_of(page, "school")).to_be_visible()
    with page.expect_response("**/todo/lists/saurabh_badhwar/home"):
        held[0].continue_()
    expect(page.get_by_role("status")).to_have_text("Deleted “home”.")
    expect(page.get_by_label("To-do user")).to_be_focused()
    expect(todo(page).get_by_role("button", name="Undo")).to_have_count(0)
    page.get_by_label("To-do user").select_option("saurabh_badhwar")
    expect(list_of(page, "work")).to_be_visible()
    expect(list_of(page, "home")).to_have_count(0)


def test_a_deleted_list_can_be_had_back(serve, visit):
    url = serve().url
    page = visit(url + USER)
    page.get_by_role("button", name="Delete home").click()
    undo = todo(page).get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    undo.click()
    expect_items(page, "home", HOME)
    assert stored(url, "home") == HOME


def test_a_ticked_item_is_saved_at_once_and_shown_as_done_until_it_can_be_undone_no_more(
    serve, visit
):
    url = serve().url
    page = visit(url + USER)
    for is_undone in (True, False):
        with page.expect_response(lambda one: one.request.method == "PUT" and one.ok):
            tick(page, "home", "Buy milk")
        assert stored(url, "home") == HOME[1:]
        done = list_of(page, "home").get_by_role("checkbox", name="Buy milk")
        expect(done).to_be_checked()
        if is_undone:
            list_of(page, "home").get_by_role("button", name="Undo Buy milk").click()
            expect_items(page, "home", HOME)
            expect(done).not_to_be_checked()
            assert stored(url, "home") == HOME
    # Somebody who is at it may still undo it.
    page.get_by_label("New list").focus()
    page.mouse.move(0, 0)
    expect(done).to_have_count(0, timeout=15_000)


def test_a_double_click_moves_an_item_two_places(serve, visit):
    url = serve().url
    page = visit(url + USER)
    list_of(page, "home").get_by_role("button", name="Move Get a new carpet up").dblclick()
    moved = [HOME[2], *HOME[:2]]
    expect_items(page, "home", moved)
    assert stored(url, "home") == moved


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (" ", "more than spaces"),
        (".", "can’t be “.” or “..”"),
        (" ..", "can’t be “.” or “..”"),
        ("x" * 257, "at most 256 characters"),
    ],
)
def test_what_is_wrong_with_a_name_is_said_before_anything_is_sent(serve, visit, name, problem):
    _, page = opened(serve, visit)
    sent = hold(page, "**/todo/lists/**", "PUT")
    field = todo(page).get_by_label("New list")
    expect(field).to_have_attribute("maxlength", "256")
    field.evaluate("(field, name) => { field.removeAttribute('maxlength'); field.value = name }", name)
    field.press("Enter")
    expect(todo(page)).to_contain_text(problem)
    expect(field).to_have_value(name)
    page.get_by_role("button", name="Rename home").click()
    answer = page.get_by_label("New name")
    answer.evaluate("(field, name) => { field.removeAttribute('maxlength'); field.value = name }", name)
    page.get_by_role("button", name="OK", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text(problem)
    assert sent == []


def test_a_list_whose_name_no_address_can_have_is_shown_and_cannot_be_changed(serve, visit, copy):
    file = copy / "data/todo/lists.json"
    lists = {"saurabh_badhwar": {"..": ["There"], "home": HOME}}
    file.write_text(json.dumps(lists), encoding="utf-8")
    page = visit(serve(folder=copy).url + USER)
    expect(list_of(page, "..")).to_contain_text("There")
    expect(list_of(page, "..")).to_contain_text("can’t be changed")
    expect(list_of(page, "..").get_by_role("button")).to_have_count(0)
    tick(page, "home", "Buy milk")
    expect_items(page, "home", HOME[1:])


def test_a_rename_of_a_list_that_somebody_else_changes_loses_nothing(serve, visit):
    url, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/house", "PUT")
    rename(page, "home", "house")
    wait_for(page, held, 1)
    replace(url, "home", [*HOME, "Theirs"])
    held[0].continue_()
    expect(list_of(page, "home")).to_contain_text("“house” exists now, but “home” is not deleted.")
    assert (stored(url, "home"), stored(url, "house")) == ([*HOME, "Theirs"], HOME)


def test_what_others_have_saved_is_shown_when_the_tab_gets_the_focus_but_over_no_edit(serve, visit):
    url, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/work", "PUT")
    tick(page, "work", "Complete the blogpost")
    wait_for(page, held, 1)
    field = list_of(page, "home").get_by_label("New item of home")
    field.fill("not saved yet")
    replace(url, "home", ["Theirs"])
    replace(url, "work", ["Theirs, too", "Complete the blogpost"])
    with page.expect_response("**/todo/users/saurabh_badhwar/lists"):
        page.evaluate("dispatchEvent(new Event('focus'))")
    expect_items(page, "home", ["Theirs"])
    expect(field).to_have_value("not saved yet")
    expect(list_of(page, "work")).not_to_contain_text("Theirs, too")
    held[0].continue_()
    wait_for(page, held, 2)
    held[1].continue_()
    expect_items(page, "work", ["Theirs, too"])


def test_an_item_that_two_people_add_is_there_twice_and_each_is_its_own(serve, visit):
    url, page = opened(serve, visit)
    replace(url, "home", ["milk", *HOME])
    add(page, "home", "milk")
    expect_items(page, "home", ["milk", *HOME, "milk"])
    tick(page, "home", "milk")
    expect_items(page, "home", [*HOME, "milk"])
    assert stored(url, "home") == [*HOME, "milk"]


def test_a_rename_does_not_delete_what_was_added_meanwhile(serve, visit):
    url, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/house", "PUT")
    rename(page, "home", "house")
    wait_for(page, held, 1)
    add(page, "home", "eggs")
    expect_items(page, "home", [*HOME, "eggs"])
    held[0].continue_()
    expect(list_of(page, "home")).to_contain_text("“home” is not deleted.")
    assert stored(url, "home") == [*HOME, "eggs"]


def test_a_list_that_is_being_deleted_takes_no_edit(serve, visit):
    url, page = opened(serve, visit)
    held = hold(page, "**/todo/lists/saurabh_badhwar/home", "DELETE")
    page.get_by_role("button", name="Delete home").click()
    wait_for(page, held, 1)
    held[0].fulfill(status=503, body="")
    expect(list_of(page, "home")).to_contain_text("503")
    expect(list_of(page, "home")).to_contain_text("Buy milk")
    expect(list_of(page, "home").get_by_label("New item of home")).to_have_count(0)
    list_of(page, "home").get_by_role("button", name="Discard").click()
    expect_items(page, "home", HOME)


def test_an_edit_that_could_not_be_sent_is_saved_when_the_server_is_back(serve, visit):
    server = serve()
    page = visit(server.url + USER)
    expect_items(page, "home", HOME)
    address = server.url.removeprefix("http://")
    server.stop()
    tick(page, "home", "Buy milk")
    expect(list_of(page, "home")).to_contain_text("can’t be reached")
    serve("--listen", address)
    expect(page.get_by_text("can’t be reached")).to_have_count(0)
    expect_items(page, "home", HOME[1:])
    assert stored(server.url, "home") == HOME[1:]


def test_a_list_that_somebody_else_has_deleted_first_can_be_had_back_too(serve, visit):
    url, page = opened(serve, visit)
    replace(url, "home", None)
    page.get_by_role("button", name="Delete home").click()
    todo(page).get_by_role("button", name="Undo").click()
    expect_items(page, "home", HOME)
    assert stored(url, "home") == HOME
