"""The results as the tables of bench/README.md, whose figures `tests/api/numbers.rs`
compares with results.json."""

from typing import Any

PROCESSES = {
    "first_start_s": "first start, s",
    "next_start_s": "next start, s",
    "mb_at_rest": "at rest, MB",
    "mb_after_fan_outs": "after a minute of fan-outs, MB",
}


def tables(results: dict[str, Any]) -> str:
    sides = list(results["processes"])
    first = sides[0]
    load, fixed = results["load"], results["fixed_rate"]
    without, writes = results["without_database"], results["writes"]

    def rate(by_side: dict[str, Any], side: str) -> str:
        if side not in by_side:
            return ""
        per_second = by_side[side]["per_second"]
        own = by_side[first]["per_second"]
        ratio = "" if side == first else f" ({per_second / own:.2f})"
        errors = by_side[side].get("errors")
        return f"{per_second:,}{ratio}" + (f", {errors} failed" if errors else "")

    def times(by_side: dict[str, Any], side: str) -> str:
        return "{p50_ms}, {p99_ms}".format(**by_side[side]) if side in by_side else ""

    def cpu(by_side: dict[str, Any], side: str) -> str:
        return str(by_side[side]["cpu_us"]) if side in by_side else ""

    def gain(name: str, side: str) -> str:
        per_second = without[name][side]["per_second"]
        return f"{per_second:,} ({per_second / load[name][side]['per_second']:.2f})"

    rates = [[code(name), *(rate(row, side) for side in sides)] for name, row in load.items()]
    waits = [[code(name), *(times(row, side) for side in sides)] for name, row in load.items()]
    cores = [[code(name), *(cpu(row, side) for side in sides)] for name, row in load.items()]
    readers = list(next(iter(without.values()), {}))
    bare = [[code(name), *(gain(name, side) for side in readers)] for name in without]
    writers = list(next(iter(writes.values()), {}))
    written = [[name, *(rate(row, side) for side in writers)] for name, row in writes.items()]
    write_waits = [[name, *(times(row, side) for side in writers)] for name, row in writes.items()]
    peers = list(next(iter(fixed.values()), {}))
    steady = [
        [code(name), f"{row[first]['per_second']:,}", *(times(row, side) for side in peers)]
        for name, row in fixed.items()
    ]
    processes = [
        [label, *(str(results["processes"][side].get(figure, "")) for side in sides)]
        for figure, label in PROCESSES.items()
    ]
    return "\n\n".join(
        [
            table(["requests/s", *sides], rates),
            table(["p50, p99 in ms", *sides], waits),
            table(["CPU for each request in µs", *sides], cores),
            table(["p50, p99 in ms at a fixed rate", "requests/s", *peers], steady),
            table(["requests/s without a database", *readers], bare),
            table(["writes/s", *writers], written),
            table(["p50, p99 in ms of writes", *writers], write_waits),
            table(["a server", *sides], processes),
        ]
    )


def code(name: str) -> str:
    """A path in backticks, so that `<id>` is no HTML."""
    return f"`{name}`" if name.startswith("/") else name


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
