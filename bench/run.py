"""Compares this application with its peers.

    python3 bench/run.py

builds and starts each side, sends all of them the same requests, prints what
came out as tables, and writes bench/results.json and bench/results.svg; with an
option, it writes them to target/bench. Needs Python 3.11 and wrk; `spin` and
`wasmtime` are measured where they are on the PATH. Takes some 25 minutes once
everything is built, on a machine that should have nothing else to do.
"""

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from answers import ROUTES, Wrong
from build import app_folder, build, component_sizes
from goals import goals
from growth import growth
from load import Failed, require_wrk
from machine import machine
from measure import is_right, load, memory, say, starts
from processes import FOLDER, Ended
from report import tables
from sides import sides

HERE = Path(__file__).resolve().parent
PARTS = ("load", "start", "memory", "growth")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="of each turn (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one round of one second, as a trial")
    parser.add_argument("--routes", nargs="+", choices=ROUTES, default=list(ROUTES))
    parser.add_argument("--sides", nargs="+", metavar="SIDE", help="the host, and these sides only")
    parser.add_argument("--skip", nargs="+", choices=PARTS, default=[], help="parts to leave out")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds = chosen.seconds = 1
    # Nothing less than a whole run goes into the repository.
    whole = chosen == parser.parse_args([])
    chosen.folder = HERE if whole else FOLDER
    return chosen


def main() -> None:
    chosen = options()
    require_wrk()
    # So that whoever stops this stops the sides too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    FOLDER.mkdir(parents=True, exist_ok=True)
    programs = build()
    app = app_folder("app", programs.target)
    found = sides(programs)
    if unknown := set(chosen.sides or ()) - {side.key for side in found}:
        raise SystemExit(f"Error: no such side here: {', '.join(sorted(unknown))}")
    if chosen.sides:
        found = [side for side in found if side.key in ("host", *chosen.sides)]
    found = [side for side in found if is_right(side, app, chosen.routes)]
    if not any(side.key == "host" for side in found):
        raise SystemExit("Error: without this application there is nothing to compare")
    # The others differ from these in what they do for a fan-out, and only there.
    whole = [side for side in found if "one" in side.routes]

    results: dict[str, Any] = {
        "machine": machine(programs),
        "rounds": chosen.rounds,
        "seconds": chosen.seconds,
        "sides": {side.key: side.name for side in found},
        "component sizes": component_sizes(app),
    }
    try:
        if "start" not in chosen.skip:
            results["start"] = [starts(side, app, chosen.quick) for side in whole]
        if "memory" not in chosen.skip:
            results["memory"] = [memory(side, app, chosen.seconds) for side in whole]
        if "load" not in chosen.skip:
            results["load"] = load(found, app, chosen.routes, chosen.rounds, chosen.seconds)
        if "growth" not in chosen.skip:
            grown = [side for side in found if side.key in ("host", "native")]
            results["growth"] = growth(grown, programs.target, chosen.rounds, chosen.seconds)
    except (Failed, Ended, Wrong) as error:
        raise SystemExit(f"Error: {error}") from None

    results["goals"] = goals(results)
    written = chosen.folder / "results.json"
    written.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    plot = [programs.venv / "bin/python", HERE / "plot.py", written, written.with_suffix(".svg")]
    subprocess.run(plot, check=True)
    print(tables(results))
    say(f"wrote {written} and {written.with_suffix('.svg')}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
