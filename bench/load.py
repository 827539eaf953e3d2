"""The requests that are compared, and the load that is made of them."""

import http.client
import json
import re
import subprocess
from typing import Any

from sides import Side

MOVIE = "/movies/267eedb8-0f5d-42d5-8f43-72426b9fb3e6"
USER = "/users/dwight_schrute"
# What is requested, by its name in the results.
PATHS = {
    "/movies/<id>": MOVIE,
    "/movies": "/movies",
    "a 404": "/movies/nope",
    "a 304": MOVIE,
    "/users/<username>/bookings": f"{USER}/bookings",
    "/users/<username>/suggested": f"{USER}/suggested",
}
FAN_OUTS = ("/users/<username>/bookings", "/users/<username>/suggested")
# Headers that each server chooses, or each response.
OWN_HEADERS = {
    "connection",
    "date",
    "etag",
    "keep-alive",
    "server",
    "server-timing",
    "x-request-id",
}

# per_second, p50_ms and p99_ms; of writes also errors.
Figures = dict[str, float]


def routes(side: Side) -> list[str]:
    """The names of the requests that a server can answer."""
    return [name for name, path in PATHS.items() if path.split("/")[1] in side.ports]


def conditions(side: Side, name: str) -> dict[str, str]:
    """The headers of a request: those that get a 304."""
    return {"If-None-Match": get(side, MOVIE)[1]["etag"]} if name == "a 304" else {}


def get(side: Side, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict, str]:
    return send(side, "GET", path, headers or {})


def send(side: Side, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict, str]:
    connection = http.client.HTTPConnection("127.0.0.1", side.port(path), timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    received = {name.lower(): value for name, value in response.getheaders()}
    body = response.read().decode()
    connection.close()
    return response.status, received, body


def responses(side: Side) -> dict[str, Any]:
    """The response to each request, without what may differ between servers."""
    found = {}
    for name in routes(side):
        status, headers, body = get(side, PATHS[name], conditions(side, name))
        # A 304 may repeat the headers of the content, or not.
        own = OWN_HEADERS | ({"content-length", "content-type"} if status == 304 else set())
        found[name] = (status, {h: v for h, v in headers.items() if h not in own}, body)
    return found


def wrk(side: Side, name: str, connections: int, seconds: int) -> Figures:
    """Sends each request as soon as the one before on its connection is answered."""
    path = PATHS[name]
    options = [f"-t{min(connections, 2)}", f"-c{connections}", f"-d{seconds}s"]
    for header, value in conditions(side, name).items():
        options += ["-H", f"{header}: {value}"]
    report, figures = run_wrk(side, [*options, f"http://127.0.0.1:{side.port(path)}{path}"])
    total = int(re.findall(r"(\d+) requests in", report)[0])
    refused = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", report)))
    if refused != (total if name == "a 404" else 0):
        raise SystemExit(f"Error: {side.name} answered {name} wrongly under load:\n{report}")
    return figures


def run_wrk(side: Side, options: list[str]) -> tuple[str, Figures]:
    """What wrk reports, and the figures in it."""
    report = run(["wrk", "--latency", "--timeout", "30s", *options])
    if "Socket errors" in report:
        raise SystemExit(f"Error: {side.name} lost connections under load:\n{report}")
    per_second = float(re.findall(r"Requests/sec: +([\d.]+)", report)[0])
    times = {
        f"p{percent}_ms": float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
        for percent, number, unit in re.findall(r"^ +(50|99)% +([\d.]+)(us|ms|s) *$", report, re.M)
    }
    return report, {"per_second": per_second} | times


def oha(side: Side, name: str, connections: int, seconds: int, rate: float) -> Figures:
    """Sends `rate` requests per second. A request that has to wait for a connection
    counts from when it was due."""
    path = PATHS[name]
    command = ["oha", "--no-tui", "--output-format", "json", "--latency-correction", "-w"]
    command += [f"-c{connections}", f"-z{seconds}s", f"-q{rate:.0f}"]
    report = json.loads(run([*command, f"http://127.0.0.1:{side.port(path)}{path}"]))
    answered = report["statusCodeDistribution"]
    if set(answered) != {"200"} or report["errorDistribution"]:
        raise SystemExit(f"Error: {side.name} answered {name} not always with 200: {answered}")
    times = report["latencyPercentiles"]
    figures = {f"{percent}_ms": 1000 * times[percent] for percent in ("p50", "p99")}
    return {"per_second": report["summary"]["requestsPerSec"]} | figures


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
