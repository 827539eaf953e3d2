"""Draws the results: `plot.py results.json results.svg`."""

import json
import sys
from math import floor, log10
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from answers import ROUTES

COLOURS = {
    "host": "#c2410c",
    "spin": "#1d4ed8",
    "wasmtime": "#6d28d9",
    "native": "#374151",
    "flask": "#0f766e",
    "one-by-one": "#84cc16",
}
STYLE = {
    # Text stays text: a small file, in the reader's own font.
    "svg.fonttype": "none",
    # The same file for the same results.
    "svg.hashsalt": "bench",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
}


def plain(number: float, _: Any = None) -> str:
    return f"{number:,.0f}" if number >= 1 else f"{number:g}"


def throughput(axes: Axes, results: dict[str, Any], connections: int = 32) -> None:
    """A group of bars for each request, one for each side."""
    rows = [row for row in results["load"] if row["connections"] == connections]
    routes = [key for key in ROUTES if any(row["route"] == key for row in rows)]
    sides = [side for side in results["sides"] if any(row["side"] == side for row in rows)]
    thickness = 0.85 / len(sides)
    named = set()
    for place, route in enumerate(routes):
        here = {row["side"]: row for row in rows if row["route"] == route}
        shown = [side for side in sides if side in here]
        for number, side in enumerate(shown):
            value = median(run["per_second"] for run in here[side]["rounds"])
            y = place + (number - (len(shown) - 1) / 2) * thickness
            label = None if side in named else results["sides"][side]
            named.add(side)
            axes.barh(y, value, thickness * 0.9, color=COLOURS[side], label=label)
            axes.text(value * 1.06, y, plain(value), va="center", fontsize=7)
    axes.set_yticks(range(len(routes)), [ROUTES[key].name for key in routes])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xscale("log")
    least = min(median(run["per_second"] for run in row["rounds"]) for row in rows)
    axes.set_xlim(left=10 ** floor(log10(least)))
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_title(f"answers per second, {connections} connections", loc="left")
    # In the order of the sides, below the bars.
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    order = [results["sides"][side] for side in sides]
    axes.legend(
        [handles[name] for name in order],
        order,
        loc="upper center",
        bbox_to_anchor=(0.4, -0.06),
        ncols=3,
        fontsize=8,
    )


def growth(axes: Axes, results: dict[str, Any]) -> None:
    """A line for each request: solid for this application, dashed for native."""
    rows = [row for row in results["growth"] if row["of"] == "movies"]
    colours = dict(zip(ROUTES, plt.colormaps["tab10"].colors, strict=False))
    for side, dashes in (("host", "-"), ("native", ":")):
        for route in dict.fromkeys(row["route"] for row in rows):
            points = sorted(
                (row["size"], median(run["p50_us"] for run in row["rounds"]) / 1000)
                for row in rows
                if (row["side"], row["route"]) == (side, route)
            )
            if points:
                label = f"{ROUTES[route].name}, {results['sides'][side]}"
                line = {"color": colours[route], "linestyle": dashes, "marker": "."}
                axes.plot(*zip(*points, strict=True), label=label, **line)
    axes.set_xscale("log")
    axes.set_yscale("log")
    sizes = sorted({row["size"] for row in rows})
    axes.set_xticks(sizes, [plain(size) for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlabel("movies")
    axes.set_title("p50 of one connection, ms", loc="left")
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.12), ncols=1, fontsize=8)


def main(source: str, target: str) -> None:
    with open(source, encoding="utf-8") as file:
        results = json.load(file)
    parts = [part for part in ("load", "growth") if results.get(part)]
    draw = {"load": throughput, "growth": growth}
    ratios = {"load": 5, "growth": 4}
    with plt.rc_context(STYLE):
        # 900 px wide; on white, for readers whose pages are dark.
        figure, axes = plt.subplots(
            1,
            max(1, len(parts)),
            figsize=(9.4, 6.2),
            squeeze=False,
            facecolor="white",
            layout="constrained",
            width_ratios=[ratios[part] for part in parts] or None,
        )
        for part, place in zip(parts, axes[0], strict=False):
            draw[part](place, results)
        figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
