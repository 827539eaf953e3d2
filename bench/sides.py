"""The servers that are compared: how they are built, started and stopped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

ROOT = Path(__file__).resolve().parents[1]
# What a run leaves behind, except its results.
FOLDER = ROOT / "target/bench"
SERVICES = ("bookings", "movies", "users")
HOST = ROOT / "target/host/host"
NATIVE = FOLDER / "native/release/native"
GUNICORN = FOLDER / "venv/bin/gunicorn"

Arguments = list[str | Path]


@dataclass
class Side:
    """A server: one process, or one for each service."""

    name: str
    processes: list[Arguments]
    # The port of each service that it has.
    ports: dict[str, int]
    environment: dict[str, str] = field(default_factory=dict)

    def port(self, path: str) -> int:
        return self.ports[path.split("/")[1]]


def sides() -> list[Side]:
    """The servers that this machine can run. The others are compared with the first."""
    port = free_port()
    one = dict.fromkeys(SERVICES, port)
    listen: Arguments = ["--listen", f"127.0.0.1:{port}", "--quiet", "--from", ROOT]
    found = [Side("this application", [[HOST, "--no-build", *listen]], one)]
    if shutil.which("spin"):
        found.append(Side("spin up", [["spin", "up", *listen]], one))
    if shutil.which("wasmtime"):
        # It serves one component. The first three options are what it needs, the
        # last one makes it faster.
        options = ["-Scli", "-Sp3", "-Wcomponent-model-async", "-Opooling-allocator"]
        options += ["--addr", f"127.0.0.1:{port}", "--dir", f"{ROOT}/data::data"]
        component = ROOT / "target/wasm32-wasip2/release/movies.wasm"
        serve: Arguments = ["wasmtime", "serve", *options, component]
        found.append(Side("wasmtime serve", [serve], {"movies": port}))

    ports = {service: free_port() for service in SERVICES}
    at = [f"{service}=127.0.0.1:{port}" for service, port in ports.items()]
    found.append(Side("native", [[NATIVE, service, *at] for service in SERVICES], ports))

    urls = {service.upper(): f"http://127.0.0.1:{port}" for service, port in ports.items()}
    environment = urls | {"DATA": str(ROOT / "data/cinema")}
    workers = ["--workers", str(os.cpu_count()), "--worker-class", "gthread", "--threads", "8"]
    gunicorn = [GUNICORN, "--chdir", ROOT / "bench/flask", *workers, "--keep-alive", "30"]
    flask: list[Arguments] = [
        [*gunicorn, "--bind", f"127.0.0.1:{port}", f"app:create('{service}')"]
        for service, port in ports.items()
    ]
    found.append(Side("Flask", flask, ports, environment))
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def build() -> None:
    os.environ.pop("CARGO_TARGET_DIR", None)
    FOLDER.mkdir(parents=True, exist_ok=True)
    run("cargo", "build", "--profile", "host", "--bin", "host")
    native = ["--locked", "--manifest-path", ROOT / "bench/native/Cargo.toml"]
    run("cargo", "build", "--release", *native, "--target-dir", FOLDER / "native")
    run(sys.executable, "-m", "venv", FOLDER / "venv")
    pip = FOLDER / "venv/bin/pip"
    run(pip, "install", "--quiet", "--requirement", ROOT / "bench/flask/requirements.txt")
    # The host builds the components before it serves.
    port = free_port()
    with started(Side("build", [[HOST, "--listen", f"127.0.0.1:{port}"]], {"movies": port})):
        pass


def run(*command: str | Path) -> None:
    print("+", *command, file=sys.stderr)
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise SystemExit(f"Error: `{' '.join(map(str, command))}` failed")


@contextmanager
def started(side: Side, cache: Path | None = None) -> Iterator[list[int]]:
    """The processes of `side`, from when all of them listen to the end of the
    context. Gives their ids. Compiled components are kept in `cache`."""
    environment = os.environ | side.environment
    if cache:
        environment |= {"HOME": str(cache)}
        environment |= {f"XDG_{kind}_HOME": str(cache) for kind in ("CACHE", "CONFIG")}
    # Backtraces would slow down errors.
    environment.pop("RUST_BACKTRACE", None)
    log = FOLDER / f"{side.name}.log"
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        processes = []
        for arguments in side.processes:
            # In a group of its own, so that Ctrl-C does not stop it before the benchmark.
            process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            stack.callback(stop, process)
            processes.append(process)
        deadline = monotonic() + 3600
        while not all(listens(port) for port in side.ports.values()):
            if monotonic() > deadline or any(process.poll() is not None for process in processes):
                raise SystemExit(f"Error: {side.name} does not listen; see {log}")
            sleep(0.005)
        # Another program may have taken the port.
        if any(process.poll() is not None for process in processes):
            raise SystemExit(f"Error: {side.name} ended; see {log}")
        yield [process.pid for process in processes]


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    # What is left of its group.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def resident_mb(groups: list[int]) -> int:
    """What the processes of these groups have resident, in MB."""
    listed = subprocess.check_output(["ps", "-A", "-o", "pgid=", "-o", "rss="], text=True)
    rows = (map(int, line.split()) for line in listed.splitlines())
    return round(sum(kib for group, kib in rows if group in groups) * 1024 / 1e6)
