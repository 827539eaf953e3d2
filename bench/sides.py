"""The servers that are compared: how they are built, started and stopped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

ROOT = Path(__file__).resolve().parents[1]
# What a run leaves behind, except its results.
FOLDER = ROOT / "target/bench"
# Where each server starts with a new database.
STATE = FOLDER / "state"
DATABASE = STATE / "sqlite_db.db"
SERVICES = ("bookings", "movies", "showtimes", "users")
HOST = ROOT / "target/host/host"
NATIVE = FOLDER / "native/release/native"
NATIVE_COMPOSED = FOLDER / "native-composed/release/native"
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


def applications(folder: Path) -> list[Side]:
    """The servers of the whole application in `folder`, chained and composed."""
    port = free_port()
    one = dict.fromkeys(SERVICES, port)
    options: Arguments = ["--listen", f"127.0.0.1:{port}", "--quiet", "--state-dir", STATE]
    servers: dict[str, Arguments] = {"": [HOST, "--no-build"]}
    if shutil.which("spin"):
        servers["Spin"] = ["spin", "up"]
    return [
        Side(name, [[*server, *options, "--from", folder / manifest]], one)
        for spin, server in servers.items()
        for name, manifest in (
            (spin or "together", "spin.toml"),
            (f"{spin}, composed".removeprefix(", "), "spin.composed.toml"),
        )
    ]


def without_database() -> list[Side]:
    """The servers of a copy of the application that has no database."""
    folder = FOLDER / "without-database"
    for name in ("spin.toml", "spin.composed.toml"):
        manifest = (ROOT / name).read_text(encoding="utf-8")
        for component in tomllib.loads(manifest)["component"].values():
            for pattern in (component["source"], *component["files"]):
                for path in ROOT.glob(pattern):
                    copy = folder / path.relative_to(ROOT)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, copy)
        lines = manifest.splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith("sqlite_databases")]
        (folder / name).write_text("".join(kept), encoding="utf-8")
    return applications(folder)


def sides() -> list[Side]:
    """The servers that this machine can run. The others are compared with the first."""
    found = applications(ROOT)
    # From here on, each service is a process of its own.
    ports = {service: free_port() for service in SERVICES}
    urls = {service.upper(): f"http://127.0.0.1:{port}" for service, port in ports.items()}
    options = ["--no-build", "--quiet", "--from", ROOT, "--state-dir", STATE]
    processes: list[Arguments] = [
        [HOST, *options, "--component-id", service, "--listen", f"127.0.0.1:{port}"]
        for service, port in ports.items()
    ]
    environment = {f"SPIN_VARIABLE_{service}_URL": url for service, url in urls.items()}
    found.append(Side("apart", processes, ports, environment))

    processes = [[NATIVE, service, f"127.0.0.1:{port}"] for service, port in ports.items()]
    environment = {"SQLITE_DB": str(DATABASE), "WRITE_TOKEN": ""}
    apart = environment | {f"{service}_URL": url for service, url in urls.items()}
    found.append(Side("native", processes, ports, apart))
    address = f"127.0.0.1:{free_port()}"
    one = dict.fromkeys(SERVICES, int(address.split(":")[1]))
    composed = environment | {f"{service}_URL": f"http://{address}" for service in urls}
    found.append(Side("native, composed", [[NATIVE_COMPOSED, "all", address]], one, composed))

    # Flask only reads, so nobody asks it for showtimes.
    ports = {service: port for service, port in ports.items() if service != "showtimes"}
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
    native += ["--features", "composed", "--target-dir", FOLDER / "native-composed"]
    run("cargo", "build", "--release", *native)
    run(sys.executable, "-m", "venv", FOLDER / "venv")
    pip = FOLDER / "venv/bin/pip"
    run(pip, "install", "--quiet", "--requirement", ROOT / "bench/flask/requirements.txt")
    # The components are those that `cargo run` or the tests have built.
    port = free_port()
    for manifest in ("spin.toml", "spin.composed.toml"):
        command: Arguments = [HOST, "--from", ROOT / manifest, "--listen", f"127.0.0.1:{port}"]
        with started(Side("build", [command], {"movies": port})):
            pass


def run(*command: str | Path) -> None:
    print("+", *command, file=sys.stderr)
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise SystemExit(f"Error: `{' '.join(map(str, command))}` failed")


@contextmanager
def started(side: Side, cache: Path | None = None) -> Iterator[list[int]]:
    """The processes of `side`, from when all of them listen to the end of the
    context. Gives their ids. Compiled components are kept in `cache`. What the server
    before has stored is removed."""
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
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


def cpu_seconds(groups: list[int]) -> float:
    """The time of a core that the processes of these groups have used; 0 where the system
    does not say it as Linux does (proc_pid_stat(5))."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may have spaces: group, user time, system time.
            fields = path.read_text(encoding="utf-8").rpartition(") ")[2].split()
            if int(fields[2]) in groups:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
