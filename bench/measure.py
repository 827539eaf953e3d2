"""What is measured."""

import sys
import tempfile
import threading
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from answers import FAN_OUTS, MOVIE, ROUTES, USER, Wrong, check, get
from load import Failed, wrk
from processes import FOLDER, Ended, Running
from sides import Side

CONNECTIONS = (1, 32, 256)
Row = dict[str, Any]
# A route of a side, and the headers that the request needs.
Target = tuple[Side, Running, str, dict[str, str]]


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def targets(side: Side, started: Running, routes: list[str], app: Path) -> list[Target]:
    """Those of the routes that a side has, once it has answered them rightly."""
    mine = [key for key in routes if key in side.routes]
    data = app / "data/cinema"
    try:
        headers = {key: check(started.port(ROUTES[key].path), key, data) for key in mine}
    finally:
        # Another server may have taken the port.
        started.require_alive()
    return [(side, started, key, headers[key]) for key in mine]


def is_right(side: Side, app: Path, routes: list[str]) -> bool:
    say(f"the answers of {side.name}")
    try:
        with side.start(app) as started:
            targets(side, started, routes, app)
            return True
    except (Wrong, Ended) as error:
        say(f"WRONG: {side.name} is left out: {error}")
        return False


def one_run(target: Target, connections: int, seconds: int) -> Row:
    side, started, key, headers = target
    route = ROUTES[key]
    url = f"http://127.0.0.1:{started.port(route.path)}{route.path}"
    try:
        started.require_alive()
        return wrk(url, connections, seconds, route.status, headers)
    except (Failed, Ended) as error:
        raise Failed(f"{side.name}, {route.name}: {error}") from None


def load(sides: list[Side], app: Path, routes: list[str], rounds: int, seconds: int) -> list[Row]:
    """Throughput and latency, the sides in turns so that what else the machine
    does hits all alike."""
    with ExitStack() as stack:
        found = [
            target
            for side in sides
            for target in targets(side, stack.enter_context(side.start(app)), routes, app)
        ]
        for target in found:
            one_run(target, 32, 1)
        found.sort(key=lambda target: routes.index(target[2]))
        rows: dict[tuple[str, int, str], Row] = {}
        for number, key, connections in product(range(rounds), routes, CONNECTIONS):
            say(f"round {number + 1}: {ROUTES[key].name}, connections: {connections}")
            for target in found:
                side = target[0]
                if target[2] == key:
                    row: Row = {
                        "route": key,
                        "connections": connections,
                        "side": side.key,
                        "rounds": [],
                    }
                    row = rows.setdefault((key, connections, side.key), row)
                    row["rounds"].append(one_run(target, connections, seconds))
                    # What a slow side has still queued must not weigh on the next.
                    sleep(connections / 100)
        return list(rows.values())


def starts(side: Side, app: Path, quick: bool) -> Row:
    """Seconds from starting a side to the first answer: with nothing compiled
    before (cold), and with all of it."""
    say(f"starting {side.name}")

    def start(home: Path) -> float:
        with side.start(app, home) as started:
            get(started.port("/movies/"), f"/movies/{MOVIE}")
            seconds = perf_counter() - started.since
            targets(side, started, ["one"], app)
            return seconds

    cold = []
    for _ in range((1 if quick else 3) if side.caches else 0):
        with tempfile.TemporaryDirectory(prefix="bench-") as empty:
            cold.append(start(Path(empty)))
    home = FOLDER / "home"
    start(home)
    return {"side": side.key, "cold": cold, "warm": [start(home) for _ in range(2 if quick else 5)]}


def memory(side: Side, app: Path, seconds: int) -> Row:
    """Bytes resident after one request to each service that is measured, and the
    most while 32 connections ask for a fan-out."""
    say(f"memory of {side.name}")
    with side.start(app) as started:
        for path in (f"/movies/{MOVIE}", f"/bookings/{USER}", f"/users/{USER}"):
            if path.split("/")[1] in started.ports:
                get(started.port(path), path)
        rest = started.memory()
        key = FAN_OUTS[0] if FAN_OUTS[0] in side.routes else side.routes[0]
        done = threading.Event()
        peaks = [rest]

        def watch() -> None:
            while not done.wait(0.1):
                peaks.append(started.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            one_run((side, started, key, {}), 32, seconds)
        finally:
            done.set()
            watcher.join()
        return {"side": side.key, "rest": rest, "load": max(peaks), "load route": key}
