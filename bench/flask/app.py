"""Cinema 3 in Flask: one application for each service. They keep the connections to
their siblings.

The time-out holds for each request to a sibling, and not for all of them. The
limits of the components on bodies, paths and bookings are left out.

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

# The most movies of one request.
PAGE_SIZE = 100
SUGGESTIONS = 3
# In seconds.
SIBLING_TIMEOUT = 2
# To each sibling: no fewer than threads.
CONNECTIONS = 32
# The `type` of a problem, by status.
TYPES = {502: "SiblingBadResponse", 503: "SiblingUnavailable", 504: "SiblingTimeout"}


def create(service):
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    app.before_request(name_request)
    app.after_request(add_headers)
    app.register_error_handler(HTTPException, problem)
    text = Path(os.environ["DATA"], f"{service}.json").read_text(encoding="utf-8")
    {"movies": movies, "bookings": bookings, "users": users}[service](app, json.loads(text))
    return app


def movies(app, known):
    best_first = sorted(known.values(), key=lambda m: (-m["rating"], m["title"], m["id"]))
    ranking = [movie | {"uri": uri(movie["id"])} for movie in best_first]
    by_id = {movie["id"]: movie for movie in ranking}

    @app.get("/movies")
    def list_movies():
        ids = request.args.getlist("id")
        if len(ids) > PAGE_SIZE:
            abort(
                400,
                f"The query parameter `id` is given {len(ids)} times; "
                f"at most {PAGE_SIZE} are allowed.",
            )
        return success({id: known[id] for id in ids if id in known} if ids else known)

    @app.get("/movies/top")
    def rank_movies():
        limit = number("limit", default=3, least=1, most=PAGE_SIZE)
        offset = number("offset", default=0, least=0, most=10**18)
        return success(ranking[offset : offset + limit])

    @app.get("/movies/<id>")
    def show_movie(id):
        if id not in by_id:
            abort(404, f"No movie has the id `{id}`. GET /movies lists them all.")
        return success(by_id[id])


def bookings(app, known):
    @app.get("/bookings")
    def list_bookings():
        return success(known)

    @app.get("/bookings/<username>")
    def show_bookings(username):
        if username not in known:
            abort(404, f"`{username}` has no bookings. GET /bookings lists them all.")
        return success(known[username])


def users(app, known):
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=CONNECTIONS))
    # Otherwise each request looks for a proxy and a .netrc.
    session.trust_env = False
    threads = ThreadPoolExecutor(CONNECTIONS)

    @app.get("/users")
    def list_users():
        return success(known)

    @app.get("/users/<username>")
    def show_user(username):
        return success(find_user(username))

    @app.get("/users/<username>/bookings")
    def show_bookings_of(username):
        find_user(username)
        booked = fetch_bookings(username)
        if not booked:
            abort(404, f"The user `{username}` has no bookings.")
        ids = distinct(booked)
        found = {}
        for start in range(0, len(ids), PAGE_SIZE):
            query = urlencode({"id": ids[start : start + PAGE_SIZE]}, doseq=True)
            found |= fetch_required("movies", f"/movies?{query}")
        dates = booked.items()
        return success({date: [describe(id, found.get(id)) for id in ids] for date, ids in dates})

    @app.get("/users/<username>/suggested")
    def suggest_movies_to(username):
        find_user(username)
        # Concurrently. The thread gets the context of the request, with its id.
        fetched = threads.submit(copy_context().run, fetch_bookings, username)
        ranking = fetch_ranking(0)
        booked = distinct(fetched.result())
        if len(ranking) == PAGE_SIZE:
            for offset in range(PAGE_SIZE, len(booked) + SUGGESTIONS, PAGE_SIZE):
                ranking += fetch_ranking(offset)
        unseen = [movie for movie in ranking if movie["id"] not in booked]
        return success([describe(movie["id"], movie) for movie in unseen[:SUGGESTIONS]])

    def find_user(username):
        if username not in known:
            abort(404, f"No user is called `{username}`. GET /users lists them all.")
        return known[username]

    def fetch_bookings(username):
        return fetch("bookings", f"/bookings/{quote(username, safe='')}") or {}

    def fetch_ranking(offset):
        return fetch_required("movies", f"/movies/top?limit={PAGE_SIZE}&offset={offset}")

    def fetch(sibling, path):
        """What a sibling has at `path`, or None if there is nothing."""
        url, headers = os.environ[sibling.upper()] + path, {"X-Request-Id": g.request_id}
        try:
            response = session.get(url, headers=headers, timeout=SIBLING_TIMEOUT)
            if response.status_code == 404:
                return None
            if response.status_code < 500:
                is_json = response.headers.get("Content-Type") == "application/json"
                return response.json() if response.ok and is_json else refuse(sibling)
        except requests.Timeout:
            abort(504, f"The service `{sibling}` did not answer in time; try again later.")
        except requests.JSONDecodeError:
            refuse(sibling)
        except requests.RequestException:
            pass
        abort(503, f"The service `{sibling}` is not available; try again later.")

    def fetch_required(sibling, path):
        value = fetch(sibling, path)
        return refuse(sibling) if value is None else value

    def refuse(sibling):
        abort(502, f"The service `{sibling}` sent a response that can't be used.")


def distinct(bookings):
    return sorted({id for ids in bookings.values() for id in ids})


def describe(id, movie):
    movie = movie or {"title": None, "rating": None}
    return {"title": movie["title"], "rating": movie["rating"], "uri": uri(id)}


def uri(id):
    return f"/movies/{quote(id, safe='')}"


def number(name, default, least, most):
    values = request.args.getlist(name)
    if not values:
        return default
    if len(values) == 1 and re.fullmatch("[0-9]{1,18}", values[0]):
        if least <= int(values[0]) <= most:
            return int(values[0])
    abort(400, f"The query parameter `{name}` must be one whole number from {least} to {most}.")


def name_request():
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if re.fullmatch("[!-~]{1,128}", given) else str(uuid.uuid4())


def success(value):
    response = Response(pretty(value), mimetype="application/json")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    return response.make_conditional(request)


def problem(error):
    """A problem document (RFC 9457)."""
    document = {
        "detail": error.description,
        "instance": request.path,
        "status": error.code,
        "title": error.name,
        "type": "about:blank",
    }
    headers = {"Cache-Control": "no-store"}
    if name := TYPES.get(error.code):
        document["type"] = f"/openapi.json#/components/responses/{name}"
    if error.code in (503, 504):
        headers["Retry-After"] = "1"
    return Response(pretty(document), error.code, headers, mimetype="application/problem+json")


def add_headers(response):
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = "etag, retry-after, x-request-id"
    return response


def pretty(value):
    return json.dumps(value, ensure_ascii=False, indent=4, sort_keys=True) + "\n"
