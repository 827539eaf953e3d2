"""What is built before anything is measured: the programs of the sides, and the
folders of the application that they serve."""

import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
import uuid
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from answers import USER, read
from processes import FOLDER, ROOT, Command, free_port, running


@dataclass(frozen=True)
class Programs:
    """What there is to start."""

    # Cargo's folder.
    target: Path
    # That of Python's packages.
    venv: Path
    host: Path
    native: Path
    spin: str | None = field(default_factory=lambda: shutil.which("spin"))
    wasmtime: str | None = field(default_factory=lambda: shutil.which("wasmtime"))


def build() -> Programs:
    metadata = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    target = Path(json.loads(subprocess.check_output(metadata, cwd=ROOT))["target_directory"])
    venv = FOLDER / "venv"
    programs = Programs(target, venv, target / "host/host", target / "host/native")
    # The components are built from another folder: as an absolute path, it is the
    # same one from there.
    os.environ["CARGO_TARGET_DIR"] = str(target)
    run("cargo", "build", "--profile", "host", "--package", "host", "--package", "native")
    run(sys.executable, "-m", "venv", venv)
    requirements = ["--requirement", ROOT / "bench/requirements.txt"]
    pip = [venv / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    run(*pip, "install", *requirements)
    build_components(programs)
    return programs


def run(*command: str | Path) -> None:
    print("+", *command, file=sys.stderr)
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise SystemExit(f"Error: `{' '.join(map(str, command))}` failed")


def build_components(programs: Programs) -> None:
    # As `cargo run` does it, which knows where to get a compiler from.
    port = free_port()
    app = app_folder("app", programs.target)
    arguments = [programs.host, "--from", app, "--listen", f"127.0.0.1:{port}"]
    print("+", *arguments, file=sys.stderr)
    # Compilers are kept in the user's home directory.
    with running("build", [Command(port, (), arguments)], home=Path.home(), patience=3600):
        pass


def component_sizes(app: Path) -> dict[str, int]:
    """The size of each component, in bytes."""
    manifest = tomllib.loads((app / "spin.toml").read_text(encoding="utf-8"))
    components = manifest["component"].items()
    return {id: (app / component["source"]).stat().st_size for id, component in components}


def app_folder(name: str, target: Path, **data: Any) -> Path:
    """A copy of the application with other data of Cinema 3; of the binaries,
    only a link."""
    app = FOLDER / name
    shutil.rmtree(app, ignore_errors=True)
    shutil.copytree(ROOT / "data", app / "data")
    for path in ("spin.toml", "components/home/openapi.json"):
        (app / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, app / path)
    (app / "target").symlink_to(target)
    for file, value in data.items():
        text = json.dumps(value, ensure_ascii=False, indent=4)
        (app / f"data/cinema/{file}.json").write_text(text, encoding="utf-8")
    return app


def many_movies(count: int) -> dict[str, Any]:
    """The movies of the theatre and others like them, `count` in all."""
    movies = read(ROOT / "data/cinema", "movies")
    # The same ones each time.
    chance = random.Random(count)
    while len(movies) < count:
        id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        number = len(movies)
        movies[id] = {
            "id": id,
            "title": f"Movie {number}",
            "director": f"Director {number % 1000}",
            "rating": chance.randint(10, 100) / 10,
        }
    return movies


def many_bookings(count: int, movies: list[str]) -> dict[str, Any]:
    """The bookings of the theatre, but `count` of the user who is asked for: ten
    for each date, of as many movies as there are."""
    by_date: dict[str, list[str]] = {}
    for number in range(count):
        day = date(2015, 12, 1) + timedelta(days=number // 10)
        by_date.setdefault(f"{day:%Y%m%d}", []).append(movies[number % len(movies)])
    return read(ROOT / "data/cinema", "bookings") | {USER: by_date}
