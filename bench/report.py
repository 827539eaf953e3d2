"""The results as tables."""

from statistics import median
from typing import Any

from answers import ROUTES

Results = dict[str, Any]


def of_load(results: Results, side: str, route: str, connections: int, figure: str) -> float | None:
    """The median of one figure of the load."""
    for row in results.get("load", ()):
        if (row["side"], row["route"], row["connections"]) == (side, route, connections):
            return median(run[figure] for run in row["rounds"])
    return None


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def short(number: float | None, unit: str = "") -> str:
    """A number with two or three digits that say something."""
    if number is None:
        return ""
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return f"{number:,.{digits}f}{unit}"


def milliseconds(us: float | None) -> str:
    return "" if us is None else short(us / 1000)


def megabytes(count: float) -> str:
    return short(count / 1e6)


def seconds(times: list[float]) -> str:
    return f"{median(times):.3f}" if times else ""


def tables(results: Results) -> str:
    names = results["sides"]
    machine = ", ".join(f"{name}: {value}" for name, value in results["machine"].items())
    parts = [machine, f"Rounds: {results['rounds']} of {results['seconds']} s; all are medians."]
    if load := results.get("load"):
        others = [side for side in names if side != "host"]
        head = ["request", "connections", "this application: answers/s", "p50, ms", "p99, ms"]
        head += [f"{names[side]}: answers/s (ratio)" for side in others]
        rows = []
        for route, connections in dict.fromkeys((r["route"], r["connections"]) for r in load):
            mine, p50, p99 = (
                of_load(results, "host", route, connections, figure)
                for figure in ("per_second", "p50_us", "p99_us")
            )
            row = [ROUTES[route].name, str(connections)]
            row += [short(mine), milliseconds(p50), milliseconds(p99)]
            for side in others:
                theirs = of_load(results, side, route, connections, "per_second")
                ratio = f" ({short(mine / theirs)})" if mine and theirs else ""
                row.append(short(theirs) + ratio)
            rows.append(row)
        parts += ["The ratio is that of this application to the other side.", table(head, rows)]
    alone = {row["side"]: row for part in ("start", "memory") for row in results.get(part, ())}
    if alone:
        start = {row["side"]: row for row in results.get("start", ())}
        memory = {row["side"]: row for row in results.get("memory", ())}
        head = ["side", "cold start, s", "warm start, s", "memory at rest, MB", "under load, MB"]
        rows = []
        for side in alone:
            row = [names[side]]
            times = start.get(side, {"cold": [], "warm": []})
            row += [seconds(times["cold"]), seconds(times["warm"])]
            bytes = memory.get(side)
            row += [megabytes(bytes["rest"]), megabytes(bytes["load"])] if bytes else ["", ""]
            rows.append(row)
        parts.append(table(head, rows))
    if grown := results.get("growth"):
        head = ["growth", "request", "side", "size", "p50, ms", "p99, ms", "first request, ms"]
        rows = []
        for row in grown:
            first = median(row["first"]) * 1e6 if "first" in row else None
            p50, p99 = (median(run[us] for run in row["rounds"]) for us in ("p50_us", "p99_us"))
            name = [row["of"], ROUTES[row["route"]].name, names[row["side"]]]
            times = [milliseconds(p50), milliseconds(p99), milliseconds(first)]
            rows.append([*name, f"{row['size']:,}", *times])
        rows.sort(key=lambda row: (row[0] != "movies", row[1], row[2] != names["host"]))
        parts.append(table(head, rows))
    sizes = results["component sizes"].items()
    parts.append(table(["component", "kB"], [[id, short(size / 1e3)] for id, size in sizes]))
    rows = [
        [goal["goal"], short(goal["is"]), goal["wanted"], "ok" if goal["ok"] else "MISSED"]
        for goal in results["goals"]
    ]
    parts += ["Goals", table(["goal", "is", "wanted", ""], rows)]
    return "\n\n".join(parts)
