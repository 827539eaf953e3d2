"""Compares this application with its peers.

    python3 bench/run.py

builds the servers, starts each alone, checks that it answers as the first one does, loads
it, prints the tables of bench/README.md, and writes bench/results.json and
bench/comparison.svg. With options, it writes to target/bench. The databases are in
target/bench, so writes wait for the disk of that folder. Needs Python 3.11, wrk (a package
of Debian and of Homebrew) and oha (`cargo install --locked oha`). `spin` takes part if it is
on the PATH. Takes half an hour once everything is built, on a machine that should do nothing
else.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from load import FAN_OUTS, MOVIE, Figures, get, oha, responses, routes, wrk
from picture import picture
from report import tables
from sides import (
    DATABASE,
    FOLDER,
    ROOT,
    Side,
    build,
    cpu_seconds,
    resident_mb,
    sides,
    started,
    without_database,
)
from writes import syncs, writes

# The servers and requests that are also measured at a fixed rate.
STEADY_SIDES = ("together", "composed", "native")
STEADY_ROUTES = ("/movies/<id>", *FAN_OUTS)
# Which server does not write.
READER = "Flask"

# The figures of all rounds, by request and server.
Rounds = defaultdict[str, defaultdict[str, list[Figures]]]


def measure(servers: list[Side], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The medians of all rounds. In a round, each server runs in turn, so that what
    else the machine does hits all of them. What they compile is kept in `folder`."""
    load: Rounds = defaultdict(lambda: defaultdict(list))
    steady: Rounds = defaultdict(lambda: defaultdict(list))
    without: Rounds = defaultdict(lambda: defaultdict(list))
    written: Rounds = defaultdict(lambda: defaultdict(list))
    disk: list[Figures] = []
    connections, seconds = options.connections, options.seconds
    expected: dict[str, Any] = {}
    processes = {}
    readers = without_database()
    for side in servers:
        say(f"starts and memory: {side.name}")
        processes[side.name] = process_figures(side, folder / side.name, options, expected)
    for number in range(options.rounds):
        say(f"round {number + 1} of {options.rounds}")
        for side in servers:
            with started(side, folder / side.name) as groups:
                for name in routes(side):
                    wrk(side, name, connections, 1)
                    before = cpu_seconds(groups)
                    figures = wrk(side, name, connections, seconds)
                    cpu = cpu_seconds(groups) - before
                    figures["cpu_us"] = 1e6 * cpu / (figures["per_second"] * seconds)
                    load[name][side.name].append(figures)
        for side in (side for side in servers if side.name in STEADY_SIDES):
            with started(side, folder / side.name):
                for name in STEADY_ROUTES:
                    rate = load[name][STEADY_SIDES[0]][0]["per_second"] / 2
                    wrk(side, name, connections, 1)
                    steady[name][side.name].append(oha(side, name, connections, seconds, rate))
        for side in readers:
            with started(side, folder / side.name):
                for name in FAN_OUTS:
                    wrk(side, name, connections, 1)
                    without[name][side.name].append(wrk(side, name, connections, seconds))
            if DATABASE.exists():
                raise SystemExit(f"Error: {side.name} has a database without being allowed one")
        for side in (side for side in servers if side.name != READER):
            figures = writes(side, folder / side.name, connections, seconds)
            for name, run in figures.items():
                written[name][side.name].append(run)
            disk.append(syncs())
    written["1 connection"]["fsync"] = disk
    speeds = [run["per_second"] for run in disk]
    return {
        # The largest p99 of a request and server, divided by the least.
        "p99_spread": rounded(max(spreads(load))),
        # The same for how often the disk can be waited for in a second.
        "fsync_spread": rounded(max(speeds) / min(speeds)),
        "load": medians(load),
        "fixed_rate": medians(steady),
        "without_database": medians(without),
        "writes": medians(written),
        "processes": processes,
    }


def process_figures(
    side: Side, cache: Path, options: argparse.Namespace, expected: dict[str, Any]
) -> Figures:
    """How long a server takes to its first answer, and what it has resident. Its
    responses must be `expected`, which are those of the first server."""
    cache.mkdir()
    figures = {"first_start_s": seconds_to_answer(side, cache)}
    figures["next_start_s"] = seconds_to_answer(side, cache)
    with started(side, cache) as groups:
        found = responses(side)
        for name, response in found.items():
            if response != expected.setdefault(name, response):
                raise SystemExit(f"Error: {side.name}, {name}: {response}, not {expected[name]}")
        figures["mb_at_rest"] = resident_mb(groups)
        if FAN_OUTS[0] in found:
            wrk(side, FAN_OUTS[0], options.connections, options.memory_seconds)
            figures["mb_after_fan_outs"] = resident_mb(groups)
    return figures


def seconds_to_answer(side: Side, cache: Path) -> float:
    since = perf_counter()
    with started(side, cache):
        get(side, MOVIE)
        return rounded(perf_counter() - since)


def medians(rounds: Rounds) -> dict[str, dict[str, Figures]]:
    """Of all figures, except that errors are added up."""

    def of(runs: list[Figures]) -> Figures:
        columns = {name: [run[name] for run in runs] for name in runs[0]}
        return {
            name: sum(column) if name == "errors" else rounded(median(column))
            for name, column in columns.items()
        }

    return {
        name: {side: of(runs) for side, runs in by_side.items()}
        for name, by_side in rounds.items()
    }


def spreads(rounds: Rounds) -> list[float]:
    """The largest p99 of all rounds divided by the least, for each request and server."""
    every = (runs for by_side in rounds.values() for runs in by_side.values())
    p99 = ([run["p99_ms"] for run in runs] for runs in every)
    return [max(times) / min(times) for times in p99]


def rounded(number: float) -> float:
    """To three digits, or to a whole number."""
    return round(number) if number >= 100 else float(f"{number:.3g}")


def machine() -> dict[str, str]:
    def first_line(*command: str) -> str:
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return run.stdout.partition("\n")[0].partition(" [")[0]

    tools = [tool for tool in ("rustc", "wrk", "oha", "spin") if shutil.which(tool)]
    return {
        "commit": first_line("git", "describe", "--always", "--dirty"),
        "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
    } | {tool: first_line(tool, "--version") for tool in tools}


def say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--seconds", type=int, default=4, help="of each load (default: 4)")
    parser.add_argument("--memory-seconds", type=int, default=60, help="of fan-outs (default: 60)")
    parser.add_argument("--connections", type=int, default=32, help="(default: 32)")
    options = parser.parse_args()
    # Whoever ends this ends the servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for tool, install in (("wrk", "apt-get install wrk"), ("oha", "cargo install --locked oha")):
        if not shutil.which(tool):
            raise SystemExit(f"Error: {tool} is missing; install it with `{install}`")
    build()
    with tempfile.TemporaryDirectory(prefix="bench-") as cache:
        measured = measure(sides(), options, Path(cache))
    results = {"machine": machine()} | vars(options) | measured
    folder = ROOT / "bench" if options == parser.parse_args([]) else FOLDER
    written = json.dumps(results, indent=1) + "\n"
    (folder / "results.json").write_text(written, encoding="utf-8")
    (folder / "comparison.svg").write_text(picture(results), encoding="utf-8")
    print(tables(results))


if __name__ == "__main__":
    main()
