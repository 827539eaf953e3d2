"""The load generator, wrk."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("report.lua")
ERRORS = ("connect", "read", "write", "timeout")


class Failed(Exception):
    """A measurement that is worth nothing."""


def require_wrk() -> None:
    if not shutil.which("wrk"):
        raise SystemExit(
            "Error: wrk is missing, which generates the load; install it with "
            "`apt-get install wrk` or `brew install wrk`"
        )


def wrk(
    url: str, connections: int, seconds: int, status: int, headers: dict[str, str]
) -> dict[str, Any]:
    """Sends requests for `seconds`, each as soon as the one before it on its
    connection is answered.

    Raises Failed if one of them gets no answer, or one with another status.
    """
    threads = min(connections, 2)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += ["--latency", "-s", str(SCRIPT), url]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = run.stdout.splitlines()
    if run.returncode != 0 or not lines:
        raise Failed(f"{url}: wrk ended with {run.returncode}: {run.stderr.strip()}")
    report = json.loads(lines[-1])
    errors = {kind: report[kind] for kind in ERRORS if report[kind]}
    # All or none: what exactly they say is checked before and after.
    if report["status above 399"] != (report["requests"] if status > 399 else 0):
        errors["status above 399"] = report["status above 399"]
    if errors or not report["requests"]:
        counted = ", ".join(f"{kind}: {count}" for kind, count in errors.items())
        raise Failed(
            f"{url}, {connections} connections: {report['requests']} answers; "
            f"errors: {counted or 'none'}"
        )
    return {
        "per_second": report["requests"] / report["us"] * 1e6,
        "p50_us": report["p50_us"],
        "p99_us": report["p99_us"],
    }
