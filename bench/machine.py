"""What the figures were measured on."""

import os
import platform
import subprocess
from pathlib import Path

from build import Programs
from processes import ROOT

PACKAGES = """
from importlib.metadata import version
print("Flask", version("flask"), "on gunicorn", version("gunicorn"))
"""


def machine(programs: Programs) -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    facts = {
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "commit": first_line("git", "describe", "--always", "--dirty"),
        "rustc": first_line("rustc", "--version"),
        "python": platform.python_version(),
        "flask": first_line(programs.venv / "bin/python", "-c", PACKAGES),
        "wrk": first_line("wrk", "--version"),
    }
    for name, program in (("spin", programs.spin), ("wasmtime", programs.wasmtime)):
        if program:
            facts[name] = first_line(program, "--version")
    return facts


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return first_line("sysctl", "-n", "machdep.cpu.brand_string")
    lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
    models = (value.strip() for name, _, value in lines if name.strip() == "model name")
    return next(models, platform.machine())


def first_line(*command: str | Path) -> str:
    # wrk says its version and fails.
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = run.stdout.splitlines()
    return lines[0].partition(" [")[0] if lines else "unknown"
