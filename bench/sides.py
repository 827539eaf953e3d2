"""The sides of the comparison."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from answers import ROUTES
from build import Programs
from processes import ROOT, Command, Running, free_port, running

SERVICES = ("movies", "bookings", "users")


@dataclass(frozen=True)
class Side:
    key: str
    name: str
    # What serves the application in a folder.
    commands: Callable[[Path], list[Command]]
    routes: tuple[str, ...] = tuple(ROUTES)
    # Whether it keeps what it compiles for the next start.
    caches: bool = False

    def start(self, app: Path, home: Path | None = None) -> AbstractContextManager[Running]:
        return running(f"{self.key}-{app.name}", self.commands(app), home)


def sides(programs: Programs) -> list[Side]:
    """Those that this machine can have; the others are compared with the first."""
    found = [Side("host", "this application", lambda app: host(programs.host, app), caches=True)]
    if spin := programs.spin:
        found.append(Side("spin", "Spin", lambda app: spin_up(spin, app), caches=True))
    if wasmtime := programs.wasmtime:
        # It serves one component.
        commands = lambda app: wasmtime_serve(wasmtime, app)
        found.append(Side("wasmtime", "wasmtime serve", commands, routes=("one",), caches=True))
    found.append(Side("native", "native", lambda app: native(programs.native, app)))
    gunicorn = programs.venv / "bin/gunicorn"
    found.append(Side("flask", "Flask", lambda app: flask(gunicorn, app, {})))
    # As the classic did it: a request for each movie that is booked.
    commands = lambda app: flask(gunicorn, app, {"ONE_BY_ONE": "1"})
    found.append(Side("one-by-one", "Flask, one by one", commands, routes=("bookings",)))
    return found


def host(program: Path, app: Path) -> list[Command]:
    port = free_port()
    arguments = [program, "--no-build", "--quiet", "--from", app, "--listen", f"127.0.0.1:{port}"]
    return [Command(port, SERVICES, arguments)]


def spin_up(program: str, app: Path) -> list[Command]:
    port = free_port()
    arguments = [program, "up", "--quiet", "--from", app, "--listen", f"127.0.0.1:{port}"]
    return [Command(port, SERVICES, arguments)]


def wasmtime_serve(program: str, app: Path) -> list[Command]:
    port = free_port()
    # What the component needs, and the faster of its allocators.
    flags = ["-Scli", "-Sp3", "-Wcomponent-model-async", "-Opooling-allocator"]
    where = ["--addr", f"127.0.0.1:{port}", "--dir", f"{app}/data::/data"]
    component = app / "target/wasm32-wasip2/release/movies.wasm"
    return [Command(port, ("movies",), [program, "serve", *flags, *where, component])]


def native(program: Path, app: Path) -> list[Command]:
    ports = {service: free_port() for service in SERVICES}
    siblings = [f"--{service}=127.0.0.1:{ports[service]}" for service in ("movies", "bookings")]

    def command(service: str) -> Command:
        where: list[str | Path] = [
            "--listen",
            f"127.0.0.1:{ports[service]}",
            "--data",
            app / "data/cinema",
        ]
        asks = siblings if service == "users" else []
        return Command(ports[service], (service,), [program, service, *where, *asks])

    return [command(service) for service in SERVICES]


def flask(gunicorn: Path, app: Path, environment: dict[str, str]) -> list[Command]:
    ports = {service: free_port() for service in SERVICES}
    urls = {service.upper(): f"http://127.0.0.1:{port}" for service, port in ports.items()}
    environment = environment | urls | {"DATA": str(app / "data/cinema")}
    # As bench/flask/app.py says, with a worker for every core.
    workers = str(max(2, os.cpu_count() or 2))
    options = ["--worker-class", "gthread", "--threads", "8", "--keep-alive", "30"]

    def command(service: str) -> Command:
        where: list[str | Path] = [
            "--chdir",
            ROOT / "bench/flask",
            "--bind",
            f"127.0.0.1:{ports[service]}",
        ]
        arguments = [gunicorn, "--workers", workers, *options, *where, f"app:create('{service}')"]
        return Command(ports[service], (service,), arguments, environment)

    return [command(service) for service in SERVICES]
