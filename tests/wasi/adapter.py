"""Runs the official tests of WASI (https://github.com/WebAssembly/wasi-testsuite) against
the host of this repository: host/README.md says how.

Each test is a component; its manifest is written to a folder of its own.
"""

import json
import tempfile
from pathlib import Path

HOST = Path(__file__).parents[2] / "target" / "debug" / "host"
FOLDERS = []


def get_name():
    return "host"


def get_version():
    return "of this repository"


def get_wasi_versions():
    return ["wasm32-wasip3"]


def get_wasi_worlds():
    return ["wasi:http/service"]


def compute_argv(test_path, args_env_root, proposals, wasi_world, wasi_version):
    _, environment, _ = args_env_root
    folder = tempfile.TemporaryDirectory()
    FOLDERS.append(folder)
    entries = ", ".join(f"{name} = {json.dumps(value)}" for name, value in environment.items())
    Path(folder.name, "spin.toml").write_text(f"""
        spin_manifest_version = 2
        application.name = "test"
        trigger.http = [{{ route = "/...", component = "test" }}]
        [component.test]
        source = {json.dumps(str(Path(test_path).resolve()))}
        environment = {{ {entries} }}
        allowed_outbound_hosts = ["*://*:*"]
    """)
    # The tests look for the address in the first line of standard error.
    swap = 'exec "$0" "$@" 1>&2 2>/dev/null'
    options = ["--no-build", "--from", folder.name, "--listen", "127.0.0.1:0"]
    return ["bash", "-c", swap, str(HOST), *options]
