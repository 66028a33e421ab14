"""A server of its own for the clients, with the bundled model in a folder that is gone afterwards."""

import contextlib
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

# Seconds that a server may take to listen.
START_S = 60

# Coding agents send up to 80 KB before the first word of the user; the bundled model has small tokens.
SETTINGS = """
[gateway]
listen = "{listen}"

[supervisor]
runtime_dir = "run"
state_dir = "state"

[models]
dirs = ["{bundled}"]
default = "impetus-tiny"

[[model]]
name = "impetus-tiny"
context = 49152
slots = 2
"""


@contextlib.contextmanager
def at(url, programs):
    """The base URL (without /v1) of the server at `url`, or of one that lives as long as the context."""
    if url:
        yield url.rstrip("/").removesuffix("/v1")
        return
    with tempfile.TemporaryDirectory(prefix="impetus-clients-") as folder:
        listen = f"127.0.0.1:{free_port()}"
        settings = pathlib.Path(folder, "impetus.toml")
        settings.write_text(SETTINGS.format(listen=listen, bundled=pathlib.Path("bundled").resolve()), encoding="utf-8")
        command = [pathlib.Path(programs, "supervisor").resolve(), "--config", settings]
        with open(pathlib.Path(folder, "out"), "w+", encoding="utf-8") as out:
            child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
            try:
                wait_until_ready(child, f"http://{listen}", out)
                yield f"http://{listen}"
            finally:
                child.send_signal(signal.SIGTERM)
                child.wait(timeout=60)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(child, url, out):
    deadline = time.monotonic() + START_S
    while child.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    out.seek(0)
    raise SystemExit(f"the server did not come up:\n{out.read()}")
