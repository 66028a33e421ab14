"""Puts the clients into .tools/apps/: Python ones into virtual environments, from requirements with hashes; Node ones
from package-lock.json, with a Node of their own, since several want a newer one than systems have."""

import os
import pathlib
import shutil
import subprocess
import sys
import venv
import zlib

HERE = pathlib.Path(__file__).parent
APPS = pathlib.Path(".tools/apps").resolve()
NODE = APPS / "node/node_modules/node/bin"


def ensure(client):
    """Installs what the client needs where it is not there; says why it cannot, or nothing."""
    try:
        if client.requirements:
            python(client.requirements)
        for package in client.packages:
            node(package)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"it could not be installed: {error}"
    return None


def python(name):
    """The virtual environment of `requirements/<name>.txt`."""
    wanted = HERE / "requirements" / f"{name}.txt"
    folder = APPS / name
    if is_there(folder, wanted):
        return
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", wanted], folder)
    stamp(folder, wanted)


def node(name):
    """The folder of `packages/<name>`, with its modules."""
    source, folder = HERE / "packages" / name, APPS / name
    wanted = source / "package-lock.json"
    if is_there(folder, wanted):
        return
    if name != "node":
        node("node")
    npm = shutil.which("npm") or sys.exit("npm was not found: install Node.js, or name clients that are Python")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in source.iterdir():
        shutil.copy(file, folder)
    run([npm, "install", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    stamp(folder, wanted)


def run(command, folder):
    path = f"{NODE}{os.pathsep}{os.environ['PATH']}" if NODE.exists() else os.environ["PATH"]
    print(f"installing into {folder}", flush=True)
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True, stdout=subprocess.DEVNULL)


def is_there(folder, wanted):
    mark = folder / ".installed"
    return mark.exists() and mark.read_text() == checksum(wanted)


def stamp(folder, wanted):
    (folder / ".installed").write_text(checksum(wanted))


def checksum(file):
    return str(zlib.crc32(file.read_bytes()))
