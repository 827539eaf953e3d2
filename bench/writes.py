"""The writes that are compared, and the disk that they wait for."""

import json
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

from load import Figures, get, run_wrk, send
from sides import DATABASE, STATE, Side, started

# The size of a page of SQLite, and of how many its log consists before it begins anew.
PAGE, PAGES = 4096, 1000
SYNC_SECONDS = 2


def writes(side: Side, cache: Path, connections: int, seconds: int) -> dict[str, Figures]:
    """The figures of a server with a new database, over one connection and over many."""
    with started(side, cache):
        made, free = bookings(side)
        # When wrk stops, the server still has requests, whose bookings must not surprise
        # the next load.
        first = free[0]
        warm_up, one, many = (free[start::3] for start in (1, 2, 3))
        status, _, body = send(side, "PUT", first, {})
        if status != 201:
            raise SystemExit(f"Error: {side.name} answered PUT {first} with {status}: {body}")
        book_and_cancel(side, warm_up, 1, 1)
        figures = {
            "1 connection": book_and_cancel(side, one, 1, seconds),
            f"{connections} connections": book_and_cancel(side, many, connections, seconds),
        }
    check_database(side, made | {first}, 1 + 1 + connections)
    return figures


def bookings(side: Side) -> tuple[set[str], list[str]]:
    """The paths of all bookings, and of those that can still be made."""
    users, shows, booked = (
        json.loads(get(side, path)[2]) for path in ("/users", "/showtimes", "/bookings")
    )

    def paths(user: str, dates: dict[str, list[str]]) -> list[str]:
        return [f"/bookings/{user}/{date}/{id}" for date, ids in dates.items() for id in ids]

    made = {path for user, dates in booked.items() for path in paths(user, dates)}
    return made, [path for user in users for path in paths(user, shows) if path not in made]


def book_and_cancel(side: Side, paths: list[str], connections: int, seconds: int) -> Figures:
    """Makes and cancels the bookings at `paths`, each connection its own, in turns. What
    is not answered with 201 or 204 is an error."""
    if len(paths) < connections:
        raise SystemExit(f"Error: the data have bookings for at most {len(paths)} connections")
    options = [f"-t{connections}", f"-c{connections}", f"-d{seconds}s"]
    options += ["-s", str(Path(__file__).with_name("writes.lua"))]
    url = f"http://127.0.0.1:{side.port(paths[0])}"
    report, figures = run_wrk(side, [*options, url, "--", str(connections), *paths])
    return figures | {"errors": int(re.findall(r"^Errors: (\d+)$", report, re.M)[0])}


def check_database(side: Side, made: set[str], most: int) -> None:
    """Checks what `side`, which has stopped, leaves behind: the bookings that were `made`
    before the load, and of the load at `most` so many, since no connection has two."""
    with closing(sqlite3.connect(DATABASE)) as database:
        state = [*database.execute("PRAGMA journal_mode"), *database.execute("PRAGMA quick_check")]
        rows = database.execute("SELECT username, date, movie FROM bookings")
        kept = {"/".join(("/bookings", *row)) for row in rows}
    lost, more = made - kept, kept - made
    if state != [("wal",), ("ok",)] or lost or len(more) > most:
        raise SystemExit(f"Error: {side.name} left {state}, {len(lost)} lost, {len(more)} more")


def syncs() -> Figures:
    """How fast the disk of the databases is: overwrites a page and waits for the disk,
    with the system call of SQLite, again and again."""
    times: list[float] = []
    with (STATE / "pages").open("wb", buffering=0) as file:
        file.write(bytes(PAGE * PAGES))
        os.fsync(file.fileno())
        end = perf_counter() + SYNC_SECONDS
        while (since := perf_counter()) < end:
            os.pwrite(file.fileno(), bytes(PAGE), PAGE * (len(times) % PAGES))
            os.fsync(file.fileno())
            times.append(1000 * (perf_counter() - since))
    p99 = sorted(times)[len(times) * 99 // 100]
    return {"per_second": len(times) / SYNC_SECONDS, "p50_ms": median(times), "p99_ms": p99}
