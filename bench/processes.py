"""How a side is started, watched and stopped."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import BinaryIO

ROOT = Path(__file__).resolve().parents[1]
# Everything that a run leaves behind, except the results.
FOLDER = ROOT / "target/bench"


@dataclass(frozen=True)
class Command:
    """One process, and the port at which it serves some services."""

    port: int
    services: tuple[str, ...]
    arguments: list[str | Path]
    environment: dict[str, str] = field(default_factory=dict)


class Ended(Exception):
    """A process ended, or never listened."""


@dataclass(frozen=True)
class Running:
    """Processes that have been started."""

    ports: dict[str, int]
    processes: list[subprocess.Popen[bytes]]
    log: Path
    # When they were started, by `perf_counter`.
    since: float

    def port(self, path: str) -> int:
        """The port at which a path is served."""
        service = path.split("/")[1]
        return self.ports[service]

    def require_alive(self) -> None:
        for process in self.processes:
            if process.poll() is not None:
                raise Ended(f"a process ended with {process.returncode}; see {self.log}")

    def memory(self) -> int:
        """What they and the processes that they started have resident, in
        bytes; what some of them share counts for each."""
        groups = {str(process.pid) for process in self.processes}
        listed = subprocess.check_output(["ps", "-A", "-o", "pgid=", "-o", "rss="], text=True)
        rows = (line.split() for line in listed.splitlines())
        return sum(int(kilobytes) * 1024 for group, kilobytes in rows if group in groups)


@contextmanager
def running(
    name: str, commands: list[Command], home: Path | None = None, patience: int = 120
) -> Iterator[Running]:
    """Processes from when all of them listen to the end of the context; `name`
    is that of their log, and `patience` in seconds."""
    # Some keep what they compile below the home directory: not the user's, so
    # that no other run matters. To catch backtraces would cost some of them time.
    environment = os.environ | {"HOME": str(home or FOLDER / "home")}
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "RUST_BACKTRACE"):
        environment.pop(variable, None)
    log = FOLDER / f"{name}.log"
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        since = perf_counter()
        processes = [stack.enter_context(process(c, environment, output)) for c in commands]
        ports = {service: command.port for command in commands for service in command.services}
        started = Running(ports, processes, log, since)
        for command in commands:
            while not listens(command.port):
                started.require_alive()
                if perf_counter() - since > patience:
                    raise Ended(f"no process listens at port {command.port}; see {log}")
                sleep(0.001)
        yield started


@contextmanager
def process(
    command: Command, environment: dict[str, str], output: BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    # In a group of its own, to find what it starts, and so that Ctrl-C is for
    # the benchmark alone, which then stops it.
    started = subprocess.Popen(
        command.arguments,
        env=environment | command.environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        try:
            started.terminate()
            with suppress(subprocess.TimeoutExpired):
                started.wait(10)
        finally:
            # Whatever is left of the group.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
