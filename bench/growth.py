"""How the figures of this application and of its native peer grow with the data."""

from contextlib import ExitStack
from itertools import product
from pathlib import Path

from answers import FAN_OUTS, ROUTES, get
from build import app_folder, many_bookings, many_movies
from measure import Row, one_run, say, targets
from sides import Side

MOVIES = (20, 2_000, 200_000)
BOOKINGS = (5, 500, 50_000)
# How many movies there are to book, while the bookings grow.
BOOKABLE = 2_000


def growth(sides: list[Side], target: Path, rounds: int, seconds: int) -> list[Row]:
    say("making the data of the growth")
    movies = {
        size: app_folder(f"movies-{size}", target, movies=many_movies(size)) for size in MOVIES
    }
    bookable = many_movies(BOOKABLE)
    bookings = {
        size: app_folder(
            f"bookings-{size}",
            target,
            movies=bookable,
            bookings=many_bookings(size, list(bookable)),
        )
        for size in BOOKINGS
    }
    of_movies = grown("movies", sides, movies, ["one", "404", *FAN_OUTS], rounds, seconds)
    return of_movies + grown("bookings", sides, bookings, ["bookings"], rounds, seconds)


def grown(
    what: str,
    sides: list[Side],
    apps: dict[int, Path],
    routes: list[str],
    rounds: int,
    seconds: int,
) -> list[Row]:
    """The first request of a fresh instance, and then the latency of one
    connection."""
    rows: dict[tuple[int, str, str], Row] = {}
    for (size, app), side in product(apps.items(), sides):
        say(f"first requests: {side.name}, {size} {what}")
        first = [first_request(side, app, routes[0]) for _ in range(rounds)]
        for key in routes:
            row: Row = {"of": what, "size": size, "side": side.key, "route": key, "rounds": []}
            rows[size, side.key, key] = row
        rows[size, side.key, routes[0]]["first"] = first
    with ExitStack() as stack:
        found = [
            (size, target)
            for (size, app), side in product(apps.items(), sides)
            for target in targets(side, stack.enter_context(side.start(app)), routes, app)
        ]
        for _, target in found:
            one_run(target, 1, 1)
        for number in range(rounds):
            say(f"growth of the {what}, round {number + 1}")
            for size, target in found:
                side, _, key, _ = target
                rows[size, side.key, key]["rounds"].append(one_run(target, 1, seconds))
    return [row for row in rows.values() if row["rounds"]]


def first_request(side: Side, app: Path, key: str) -> float:
    path = ROUTES[key].path
    with side.start(app) as started:
        seconds = get(started.port(path), path).seconds
        targets(side, started, [key], app)
        return seconds
