"""The requests that are measured, and the answers that they must get."""

import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

MOVIE = "267eedb8-0f5d-42d5-8f43-72426b9fb3e6"
USER = "dwight_schrute"
SUGGESTIONS = 3


@dataclass(frozen=True)
class Route:
    """A request that is measured."""

    name: str
    path: str
    status: int = 200
    content_type: str = "application/json"


ROUTES = {
    "one": Route("one resource", f"/movies/{MOVIE}"),
    "list": Route("list", "/movies"),
    "404": Route("not found", "/movies/nope", 404, "application/problem+json"),
    "304": Route("not modified", f"/movies/{MOVIE}", 304),
    "bookings": Route("fan-out: bookings", f"/users/{USER}/bookings"),
    "suggested": Route("fan-out: suggested", f"/users/{USER}/suggested"),
}
FAN_OUTS = ("bookings", "suggested")


class Wrong(Exception):
    """There is no answer, or it is not the one that the data call for."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float


def get(port: int, path: str, headers: dict[str, str] | None = None) -> Answer:
    """One request over a connection of its own, timed from connecting to the
    last byte; raises Wrong."""
    start = perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        body = response.read()
        return Answer(response.status, response.headers, body, perf_counter() - start)
    except (OSError, http.client.HTTPException) as error:
        raise Wrong(f"{path}: {error!r}") from None
    finally:
        connection.close()


def check(port: int, key: str, data: Path) -> dict[str, str]:
    """Checks the answer of one server to a route, and returns the headers that
    the request needs; raises Wrong."""
    route = ROUTES[key]
    headers = {}
    if key == "304":
        etag = get(port, route.path).headers["ETag"]
        if not etag:
            raise Wrong(f"{route.path} has no ETag")
        headers = {"If-None-Match": etag}
    answer = get(port, route.path, headers)
    what = f"{route.path} ({route.name})"
    if answer.status != route.status:
        raise Wrong(f"{what}: status {answer.status} and not {route.status}")
    if key == "304":
        if answer.body:
            raise Wrong(f"{what}: has a body")
        return headers
    if answer.headers.get_content_type() != route.content_type:
        raise Wrong(f"{what}: content type {answer.headers['Content-Type']}")
    try:
        value = json.loads(answer.body)
    except ValueError as error:
        raise Wrong(f"{what}: {error}") from None
    if key == "404":
        # How it is worded is up to each side.
        if set(value) != {"type", "title", "status", "detail", "instance"}:
            raise Wrong(f"{what}: a problem with the members {sorted(value)}")
        value = {"status": value["status"], "instance": value["instance"]}
    if value != expected(key, data):
        raise Wrong(f"{what}: {answer.body[:300].decode(errors='replace')}")
    return headers


def expected(key: str, data: Path) -> Any:
    """What the data files in the folder `data` call for."""
    movies = read(data, "movies")
    booked = read(data, "bookings")[USER]
    match key:
        case "one":
            return movies[MOVIE] | {"uri": uri(MOVIE)}
        case "list":
            return movies
        case "404":
            return {"status": 404, "instance": ROUTES[key].path}
        case "bookings":
            return {date: [described(movies[id]) for id in ids] for date, ids in booked.items()}
        case "suggested":
            seen = {id for ids in booked.values() for id in ids}
            unseen = [movie for movie in movies.values() if movie["id"] not in seen]
            unseen.sort(key=lambda movie: (-movie["rating"], movie["title"], movie["id"]))
            return [described(movie) for movie in unseen[:SUGGESTIONS]]
    raise KeyError(key)


def described(movie: dict[str, Any]) -> dict[str, Any]:
    """A movie as the service `users` shows it."""
    return {"title": movie["title"], "rating": movie["rating"], "uri": uri(movie["id"])}


def uri(id: str) -> str:
    return f"/movies/{id}"


def read(data: Path, name: str) -> Any:
    return json.loads((data / f"{name}.json").read_text(encoding="utf-8"))
