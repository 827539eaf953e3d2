"""The comparison as a picture: requests per second of each server, a chart for each kind of
request. It brings its own background and colours, for light and for dark pages."""

from html import escape
from typing import Any

# The servers, from top to bottom, and those that this repository compares.
SIDES = ("Flask", "Spin", "apart", "together", "composed", "native")
OWN = ("apart", "together", "composed")
WIDTH, LABEL, BAR, ROW, GAP = 420, 80, 250, 22, 26

STYLE = """
    rect.page { fill: #ffffff; stroke: #d0d7de; }
    text { fill: #1f2328; font: 13px system-ui, sans-serif; }
    text.title { font-weight: 600; }
    rect.own { fill: #8250df; }
    rect.peer { fill: #6e7781; }
    @media (prefers-color-scheme: dark) {
        rect.page { fill: #0d1117; stroke: #30363d; }
        text { fill: #e6edf3; }
        rect.own { fill: #a371f7; }
        rect.peer { fill: #8b949e; }
    }
"""


def picture(results: dict[str, Any]) -> str:
    """The SVG."""
    load, writes = results["load"], results["writes"]
    charts = [
        ("One resource: /movies/<id>", load["/movies/<id>"]),
        ("A fan-out: /users/<username>/bookings", load["/users/<username>/bookings"]),
        ("A fan-out: /users/<username>/suggested", load["/users/<username>/suggested"]),
        ("Writes: bookings and cancellations", list(writes.values())[-1]),
    ]
    height = GAP + ROW * (len(SIDES) + 1)
    parts = [
        chart(title, by_side, GAP + WIDTH * (number % 2), GAP + height * (number // 2))
        for number, (title, by_side) in enumerate(charts)
    ]
    width, height = 2 * WIDTH + GAP, 2 * height + GAP
    values = "; ".join(
        f"{title}: " + ", ".join(f"{side} {by_side[side]['per_second']:,}" for side in shown(by_side))
        for title, by_side in charts
    )
    page = f'<rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6"/>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' aria-labelledby="title description">'
    )
    lines = [
        head,
        '<title id="title">Requests per second, more is better</title>',
        f'<desc id="description">{escape(values)}</desc>',
        f"<style>{STYLE}</style>",
        page,
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def shown(by_side: dict[str, Any]) -> list[str]:
    return [side for side in SIDES if side in by_side]


def chart(title: str, by_side: dict[str, Any], left: int, top: int) -> str:
    """A bar for each server, as long as it answers requests in a second."""
    most = max(by_side[side]["per_second"] for side in shown(by_side))
    lines = [f'<text class="title" x="{left}" y="{top + 10}">{escape(title)}</text>']
    for row, side in enumerate(SIDES):
        middle = top + ROW * (row + 1) + 8
        lines.append(f'<text x="{left}" y="{middle}">{side}</text>')
        if side not in by_side:
            lines.append(f'<text x="{left + LABEL}" y="{middle}">-</text>')
            continue
        per_second = by_side[side]["per_second"]
        length = max(1, round(BAR * per_second / most))
        kind = "own" if side in OWN else "peer"
        lines.append(
            f'<rect class="{kind}" x="{left + LABEL}" y="{middle - 12}" width="{length}" height="15"/>'
        )
        end = left + LABEL + length + 6
        lines.append(f'<text x="{end}" y="{middle}">{per_second:,}</text>')
    return "\n".join(lines)
