"""What the application is meant to reach."""

from collections.abc import Iterator
from statistics import median
from typing import Any

from answers import FAN_OUTS, ROUTES
from report import Results, of_load


def goals(results: Results) -> list[dict[str, Any]]:
    """Each goal of which there are figures, and whether it is reached."""
    found = []

    def goal(name: str, value: float | None, least: float | None = None, most: float | None = None):
        if value is not None:
            ok = value >= least if least is not None else value <= most
            wanted = f"at least {least}" if least is not None else f"at most {most}"
            found.append({"goal": name, "is": value, "wanted": wanted, "ok": ok})

    for side, route, least in throughput_goals(results["sides"]):
        mine, theirs = (of_load(results, s, route, 32, "per_second") for s in ("host", side))
        name = f"{ROUTES[route].name}, connections: 32, throughput : {results['sides'].get(side)}"
        goal(name, mine / theirs if mine and theirs else None, least=least)
    for route, most in (("one", 2.0), *((route, 1.2) for route in FAN_OUTS)):
        mine, theirs = (of_load(results, s, route, 1, "p50_us") for s in ("host", "native"))
        name = f"{ROUTES[route].name}, connections: 1, p50 : native"
        goal(name, mine / theirs if mine and theirs else None, most=most)
    for row in results.get("load", ()):
        if row["side"] == "host":
            where = ("host", row["route"], row["connections"])
            p50, p99 = (of_load(results, *where, figure) for figure in ("p50_us", "p99_us"))
            name = f"{ROUTES[row['route']].name}, connections: {row['connections']}, p99 : p50"
            goal(name, p99 / p50, most=5)
    for route in ("one", "404", *FAN_OUTS):
        small, large = (of_growth(results, "host", n, route) for n in (20, 200_000))
        name = f"{ROUTES[route].name}, p50 with 200,000 movies : with 20"
        goal(name, large / small if small and large else None, most=1.3)
    for id, size in results["component sizes"].items():
        goal(f"size of {id}, kB", size / 1e3, most=200)
    for row in results.get("start", ()):
        if row["side"] == "host":
            goal("warm start, s", median(row["warm"]), most=0.15)
    for row in results.get("memory", ()):
        if row["side"] == "host":
            goal("memory at rest, MB", row["rest"] / 1e6, most=60)
    return found


def throughput_goals(sides: dict[str, str]) -> Iterator[tuple[str, str, float]]:
    """A side, a route, and how many times its throughput is wanted."""
    yield from (("wasmtime", "one", 1.3), ("spin", "one", 2.5))
    yield from (("flask", "one", 10), ("native", "one", 0.5))
    for route in FAN_OUTS:
        classic = "one-by-one" if route == "bookings" and "one-by-one" in sides else "flask"
        yield from (("spin", route, 4), (classic, route, 40), ("native", route, 0.5))


def of_growth(results: Results, side: str, size: int, route: str) -> float | None:
    """The median p50 with so many movies, in microseconds."""
    for row in results.get("growth", ()):
        if (row["of"], row["side"], row["size"], row["route"]) == ("movies", side, size, route):
            return median(run["p50_us"] for run in row["rounds"])
    return None
