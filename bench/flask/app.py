r"""Cinema 3 in Flask: one application per service, which speak HTTP/1.1 over
kept connections.

The benchmark compares the components with it, so it does the same work: the
same routes, bodies and headers, the same requests to siblings, every answer
serialised when it is asked for. The service `showtimes`, the To-Do Manager and
the answer to a CORS preflight are left out. What differs comes from WSGI and
werkzeug: an encoded slash parts two segments, and a query that is not UTF-8 is
no error.

    pip install -r bench/flask/requirements.txt
    export DATA=$PWD/data/cinema MOVIES=http://127.0.0.1:4001 BOOKINGS=http://127.0.0.1:4002
    serve() {
        gunicorn --chdir bench/flask --workers 2 --worker-class gthread --threads 8 \
            --keep-alive 30 --bind 127.0.0.1:$2 "app:create('$1')" &
    }
    serve movies 4001; serve bookings 4002; serve users 4003
    curl http://127.0.0.1:4003/users/dwight_schrute/suggested
"""

import json
import os
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from urllib.parse import quote, urlencode

import requests
from flask import Flask, Response, abort, g, request
from requests.adapters import HTTPAdapter
from werkzeug.exceptions import HTTPException

# How many movies one request may ask for.
MAX_MOVIES = 100
# How many movies are suggested.
SUGGESTIONS = 3
# How long a sibling may take to connect, and then for each part of its answer,
# in seconds.
DEADLINE = 2
# How many connections to each sibling are kept: no less than threads.
CONNECTIONS = 32
# The longest path segment that is looked at, in bytes.
MAX_SEGMENT = 256


def create(service):
    """The application of one service, with its data file read."""
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    app.before_request(name_request)
    app.before_request(check_path)
    app.after_request(add_headers)
    app.register_error_handler(HTTPException, problem)
    text = Path(os.environ["DATA"], f"{service}.json").read_text(encoding="utf-8")
    {"movies": movies, "bookings": bookings, "users": users}[service](app, json.loads(text))
    return app


def movies(app, known):
    """The films that the theatre knows."""
    best_first = sorted(known.values(), key=lambda m: (-m["rating"], m["title"], m["id"]))
    ranking = [movie | {"uri": uri(movie["id"])} for movie in best_first]
    by_id = {movie["id"]: movie for movie in ranking}

    @app.get("/movies")
    def some_movies():
        ids = request.args.getlist("id")
        if len(ids) > MAX_MOVIES:
            abort(
                400,
                f"The query parameter `id` is given {len(ids)} times; "
                f"at most {MAX_MOVIES} movies can be chosen.",
            )
        return reply({id: known[id] for id in ids if id in known} if ids else known)

    @app.get("/movies/top")
    def top_movies():
        limit = number("limit", default=3, least=1, most=MAX_MOVIES)
        offset = number("offset", default=0, least=0)
        return reply(ranking[offset : offset + limit])

    @app.get("/movies/<id>")
    def movie(id):
        if id not in by_id:
            abort(404, f"No movie has the id `{id}`. GET /movies lists them all.")
        return reply(by_id[id])


def bookings(app, known):
    """Who has booked which films, and for when."""

    @app.get("/bookings")
    def all_bookings():
        return reply(known)

    @app.get("/bookings/<username>")
    def bookings_of(username):
        if username not in known:
            abort(404, f"No bookings of `{username}`. GET /bookings lists them all.")
        return reply(known[username])


def users(app, known):
    """Who goes to this theatre, what they have booked, and what they might like."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    # Or it looks for a proxy and a .netrc with every request.
    session.trust_env = False
    threads = ThreadPoolExecutor(CONNECTIONS)
    one_by_one = os.environ.get("ONE_BY_ONE") == "1"

    @app.get("/users")
    def all_users():
        return reply(known)

    @app.get("/users/<username>")
    def one_user(username):
        return reply(user(username))

    @app.get("/users/<username>/bookings")
    def bookings_of(username):
        user(username)
        booked = booked_by(username)
        if not booked:
            abort(404, f"The user `{username}` has no bookings.")
        found = movies_of(distinct(booked))
        dates = booked.items()
        return reply({date: [describe(id, found.get(id)) for id in ids] for date, ids in dates})

    @app.get("/users/<username>/suggested")
    def suggestions_for(username):
        user(username)
        # Both siblings are asked at once; the thread gets the request's context,
        # which has its id.
        asked = threads.submit(copy_context().run, booked_by, username)
        ranking = top_movies(0)
        booked = distinct(asked.result())
        if len(ranking) == MAX_MOVIES:
            for offset in range(MAX_MOVIES, len(booked) + SUGGESTIONS, MAX_MOVIES):
                ranking += top_movies(offset)
        unseen = [movie for movie in ranking if movie["id"] not in booked]
        return reply([describe(movie["id"], movie) for movie in unseen[:SUGGESTIONS]])

    def user(username):
        if username not in known:
            abort(404, f"No user is called `{username}`. GET /users lists them all.")
        return known[username]

    def booked_by(username):
        """What `bookings` says of a user who exists: nothing, if they have none."""
        return ask("bookings", f"/bookings/{quote(username, safe='')}") or {}

    def movies_of(ids):
        """The movies of `ids`, asked for a hundred at a time, or one by one as
        Cinema 3 used to."""
        if one_by_one:
            found = {id: ask("movies", uri(id)) for id in ids}
            return {id: movie for id, movie in found.items() if movie}
        found = {}
        for start in range(0, len(ids), MAX_MOVIES):
            query = urlencode({"id": ids[start : start + MAX_MOVIES]}, doseq=True)
            found |= ask_found("movies", f"/movies?{query}")
        return found

    def top_movies(offset):
        """One page of the movies, best first."""
        return ask_found("movies", f"/movies/top?limit={MAX_MOVIES}&offset={offset}")

    def ask(sibling, path):
        """What a sibling has at `path`, or None if it has nothing there."""
        url = os.environ[sibling.upper()] + path
        try:
            answer = session.get(url, headers={"X-Request-Id": g.request_id}, timeout=DEADLINE)
        except requests.Timeout:
            abort(504, f"The service `{sibling}` did not answer in time; try again later.")
        except requests.RequestException:
            answer = None
        if answer is None or answer.status_code >= 500:
            abort(503, f"The service `{sibling}` is not available; try again later.")
        if answer.status_code == 404:
            return None
        if answer.status_code != 200 or answer.headers.get("Content-Type") != "application/json":
            nonsense(sibling)
        try:
            return answer.json()
        except requests.JSONDecodeError:
            nonsense(sibling)

    def ask_found(sibling, path):
        """As `ask`, for what there must be."""
        answer = ask(sibling, path)
        return nonsense(sibling) if answer is None else answer


def nonsense(sibling):
    abort(502, f"The service `{sibling}` gave an answer that makes no sense.")


def distinct(bookings):
    return sorted({id for ids in bookings.values() for id in ids})


def describe(id, movie):
    """A movie as `users` shows it; of one that `movies` does not know, only
    where it would be."""
    movie = movie or {"title": None, "rating": None}
    return {"title": movie["title"], "rating": movie["rating"], "uri": uri(id)}


def uri(id):
    return f"/movies/{quote(id, safe='')}"


def number(name, default, least, most=None):
    """The number that the query gives to `name`, or `default`."""
    values = request.args.getlist(name)
    if not values:
        return default
    # Digits alone: `int` would take a sign and more. The request line is too
    # short for more of them than it takes.
    if len(values) == 1 and re.fullmatch("[0-9]+", values[0]):
        value = int(values[0])
        if least <= value and (most is None or value <= most):
            return value
    wanted = f"of at least {least}" if most is None else f"from {least} to {most}"
    abort(400, f"The query parameter `{name}` must be one whole number {wanted}.")


def name_request():
    """Takes the request's id over, or makes one."""
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if re.fullmatch("[!-~]{1,128}", given) else str(uuid.uuid4())


def check_path():
    # What stands for bytes that are not UTF-8.
    if "\ufffd" in request.path:
        abort(400, "A segment of the path is not UTF-8 once it is percent-decoded.")
    if any(len(segment.encode()) > MAX_SEGMENT for segment in request.path.split("/")):
        abort(400, f"A segment of the path is longer than {MAX_SEGMENT} bytes.")


def reply(value):
    """A success, or a 304 for a client that has it already."""
    response = Response(pretty(value), mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)


def problem(error):
    """Every answer that is not a success (RFC 9457)."""
    details = {
        404: "No service answers at this path. GET / lists every route.",
        405: "This path answers to GET, HEAD, OPTIONS.",
        500: "The service can't answer; its log says why.",
    }
    types = {502: "SiblingNonsense", 503: "SiblingUnavailable", 504: "SiblingTimeout"}
    type_ = types.get(error.code)
    is_own = error.description != type(error).description
    document = {
        "detail": error.description if is_own else details.get(error.code, error.description),
        # Not decoded, as `request.path` is.
        "instance": request.environ["RAW_URI"].partition("?")[0],
        "status": error.code,
        "title": error.name,
        "type": f"/openapi.json#/components/responses/{type_}" if type_ else "about:blank",
    }
    response = Response(pretty(document), error.code, mimetype="application/problem+json")
    if error.code == 405:
        response.headers["Allow"] = "GET, HEAD, OPTIONS"
    return response


def add_headers(response):
    """Adds the headers that every response has."""
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "etag, x-request-id"
    return response


def pretty(value):
    """JSON as people read it. Of the numbers, integers stay as they stand in the
    data, and all others take the shortest form that reads as the same."""
    return json.dumps(value, ensure_ascii=False, indent=4, sort_keys=True) + "\n"
