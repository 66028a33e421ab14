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
ollama_listen = "{ollama}"

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


# Where Ollama's clients look for it; some look nowhere else.
OLLAMA_PORT = 11434


@contextlib.contextmanager
def at(url, programs):
    """The base URLs (without /v1) of the server at `url`, or of one that lives as long as the context: its own, and that
    for Ollama's clients."""
    if url:
        base = url.rstrip("/").removesuffix("/v1")
        yield base, base
        return
    with tempfile.TemporaryDirectory(prefix="impetus-clients-") as folder:
        listen, ollama = (f"127.0.0.1:{free_port(wanted)}" for wanted in (0, OLLAMA_PORT))
        settings = pathlib.Path(folder, "impetus.toml")
        settings.write_text(SETTINGS.format(listen=listen, ollama=ollama, bundled=pathlib.Path("bundled").resolve()), encoding="utf-8")
        command = [pathlib.Path(programs, "supervisor").resolve(), "--config", settings]
        with open(pathlib.Path(folder, "out"), "w+", encoding="utf-8") as out:
            child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
            try:
                wait_until_ready(child, f"http://{listen}", out)
                yield f"http://{listen}", f"http://{ollama}"
            finally:
                child.send_signal(signal.SIGTERM)
                child.wait(timeout=60)


def free_port(wanted=0):
    """The port that is wanted, or another one where somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
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
