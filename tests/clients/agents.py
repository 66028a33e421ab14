"""Clients that are programs: coding agents, run without a terminal in a small repository of their own."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import typing

import install
import libraries
import server
from report import FAIL, NOCALL, PASS, SKIP, Check

# Seconds for one run of an agent.
LIMIT = 240
QUESTION = "count from 1 to 5"
ORDER = "Use your shell tool to run exactly this command: echo done > proof.txt"
FILE = 'def hello():\n    return "hi"\n'
COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class NotHere(Exception):
    """It cannot be run on this machine, at this time."""


@dataclasses.dataclass
class Place:
    """Where an agent runs, and for which server."""

    home: pathlib.Path
    repository: pathlib.Path
    url: str
    model: str


@dataclasses.dataclass
class Agent:
    """A coding agent. `prepare` writes its configuration and gives its command line, to which the order is added, and
    its environment."""

    name: str
    title: str
    version: str
    prepare: typing.Callable
    packages: tuple = ()
    requirements: str = ""
    # An order that makes it do something else than run a command.
    order: str = ORDER
    # Whether it looks for a server where Ollama is.
    speaks_ollama: bool = False

    def run(self, url, model):
        with tempfile.TemporaryDirectory(prefix=f"impetus-{self.name}-") as folder:
            place = Place(pathlib.Path(folder, "home"), pathlib.Path(folder, "repository"), url, model)
            repository(place)
            try:
                command, environment = self.prepare(place)
            except NotHere as reason:
                return [Check("run", SKIP, str(reason))]
            environment = {**libraries.clean(), "HOME": str(place.home), **environment}
            # Agents chat in streams alone.
            said = [self.asked(place, command, environment, name, QUESTION) for name in ("chat",)]
            said.append(dataclasses.replace(said[0], name="stream"))
            return [*said, self.ordered(place, command, environment)]

    def asked(self, place, command, environment, name, question):
        code, out, err = ended(place, [*command, question], environment)
        if code != 0:
            return Check(name, FAIL, f"exit {code}: {err[-160:] or out[-160:]}")
        if not re.search(r"\w", out) or "Error" in err:
            return Check(name, FAIL, f"exit 0 without an answer: {err[-160:]}")
        return Check(name, PASS, out[-100:])

    def ordered(self, place, command, environment):
        code, out, err = ended(place, [*command, self.order], environment)
        if code != 0:
            return Check("tool", FAIL, f"exit {code}: {err[-160:] or out[-160:]}")
        proof, file = place.repository / "proof.txt", place.repository / "hello.py"
        has_run = proof.exists() or file.read_text(encoding="utf-8") != FILE
        return Check("tool", PASS, "it ran") if has_run else Check("tool", NOCALL, out[-100:])


def repository(place):
    place.home.mkdir()
    place.repository.mkdir()
    (place.repository / "hello.py").write_text(FILE, encoding="utf-8")
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    for command in (["init", "-q", "."], ["add", "-A"], [*who, "commit", "-qm", "begin"]):
        subprocess.run(["git", *command], cwd=place.repository, check=True)


def ended(place, command, environment):
    """Runs an agent to its end; its exit status, its output and its errors. What it leaves behind is ended, too."""
    child = subprocess.Popen(
        command,
        cwd=place.repository,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = child.communicate(timeout=LIMIT)
        code = child.returncode
    except subprocess.TimeoutExpired:
        code, out, err = "none", "", f"no end after {LIMIT} s"
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()
    return code, COLOURS.sub("", out).strip(), COLOURS.sub("", err).strip()


def binary(package, name):
    return install.APPS / package / "node_modules/.bin" / name


def loopback():
    return {"NODE_OPTIONS": f"--require={install.HERE / 'checks/loopback.cjs'}"}


def aider(place):
    options = "--yes-always --no-check-update --no-show-release-notes --analytics-disable --no-show-model-warnings"
    options += " --no-pretty --no-gitignore --no-detect-urls --no-suggest-shell-commands --no-auto-commits"
    command = [install.APPS / "aider/bin/aider", "--model", f"openai/{place.model}", *options.split()]
    environment = {
        "OPENAI_API_BASE": f"{place.url}/v1",
        "OPENAI_API_KEY": "none",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    return [*command, "--edit-format", "whole", "hello.py", "--message"], environment


def continue_cli(place, otherwise=None):
    file = place.home / "config.yaml"
    model = {"name": "local", "provider": "openai", "model": place.model, "apiBase": f"{place.url}/v1"}
    model |= {"apiKey": "none", "roles": ["chat"], "capabilities": ["tool_use"]}
    model |= otherwise or {}
    # JSON is YAML.
    file.write_text(json.dumps({"name": "local", "version": "1.0.0", "schema": "v1", "models": [model]}))
    environment = {"CONTINUE_TELEMETRY_ENABLED": "0", "CONTINUE_CLI_ENABLE_TELEMETRY": "0", **loopback()}
    return [binary("continue", "cn"), "--config", file, "--allow", "Bash", "-p"], environment


def continue_ollama(place):
    return continue_cli(place, {"provider": "ollama", "apiBase": place.url})


def cline(place):
    program = binary("cline", "cline")
    url = ["-b", f"{place.url}/v1"]
    auth = [program, "auth", "-p", "openai-compatible", "-k", "none", "-m", place.model, *url]
    ended(place, auth, {**libraries.clean(), "HOME": str(place.home)})
    return [program, "-P", "openai-compatible", "-m", place.model, "-t", str(LIMIT)], {}


def cline_ollama(place):
    if not place.url.endswith(f":{server.OLLAMA_PORT}"):
        raise NotHere(f"it looks for Ollama at port {server.OLLAMA_PORT} alone, which another program has")
    program = binary("cline", "cline")
    auth = [program, "auth", "-p", "ollama", "-k", "none", "-m", place.model]
    ended(place, auth, {**libraries.clean(), "HOME": str(place.home)})
    return [program, "-P", "ollama", "-m", place.model, "-t", str(LIMIT)], {}


def claude(place):
    """With a tool of a server of its own, which the bundled model can call, in place of the 50 KB of instructions and tools
    that it brings: these are beyond the model."""
    proof = place.repository / "proof.txt"
    weather = {"command": "python3", "args": [str(install.HERE.resolve() / "checks/weather_mcp.py"), str(proof)]}
    servers = place.home / "mcp.json"
    servers.write_text(json.dumps({"mcpServers": {"weather": {"type": "stdio", **weather}}}))
    models = ("MODEL", "SMALL_FAST_MODEL", "DEFAULT_HAIKU_MODEL")
    off = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY", "DISABLE_AUTOUPDATER")
    environment = {
        **{f"ANTHROPIC_{name}": place.model for name in models},
        **{name: "1" for name in (*off, "DISABLE_ERROR_REPORTING")},
        "ANTHROPIC_BASE_URL": place.url,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CONFIG_DIR": str(place.home / "claude"),
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "512",
    }
    tools = ["--mcp-config", servers, "--strict-mcp-config", "--allowedTools", "mcp__weather__get_weather"]
    small = ["--tools", "", "--system-prompt", "You are a helpful assistant."]
    return [binary("claude", "claude"), *small, *tools, "-p"], environment


def opencode(place):
    models = {place.model: {"name": "Local", "limit": {"context": 32768, "output": 512}}}
    options = {"baseURL": f"{place.url}/v1", "apiKey": "none"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "Local", "options": options, "models": models}
    settings = {
        "model": f"local/{place.model}",
        "small_model": f"local/{place.model}",
        "autoupdate": False,
        "share": "disabled",
        "permission": {"bash": "allow", "edit": "allow"},
        "provider": {"local": provider},
    }
    (place.home / "opencode.json").write_text(json.dumps(settings))
    off = ("AUTOUPDATE", "MODELS_FETCH", "DEFAULT_PLUGINS", "LSP_DOWNLOAD")
    environment = {f"OPENCODE_DISABLE_{name}": "1" for name in off}
    return [binary("opencode", "opencode"), "run"], {
        **environment,
        "OPENCODE_CONFIG": str(place.home / "opencode.json"),
    }


def codex(place):
    folder = place.home / "codex"
    folder.mkdir()
    lines = [f'model = "{place.model}"', 'model_provider = "local"', 'approval_policy = "never"']
    lines += ['sandbox_mode = "danger-full-access"', "check_for_update_on_startup = false", "[analytics]"]
    lines += ["enabled = false", "[model_providers.local]", 'name = "local"', f'base_url = "{place.url}/v1"']
    lines += ['env_key = "LOCAL_KEY"', 'wire_api = "responses"', ""]
    (folder / "config.toml").write_text("\n".join(lines))
    command = [binary("codex", "codex"), "exec", "--skip-git-repo-check"]
    return command, {"CODEX_HOME": str(folder), "LOCAL_KEY": "none"}


ALL = (
    Agent(
        "aider",
        "Aider",
        "0.86.2",
        aider,
        requirements="aider",
        order='Change hello() in hello.py so that it returns "hello".',
    ),
    Agent("continue", "Continue's CLI", "1.5.47", continue_cli, packages=("node", "continue")),
    Agent("cline", "Cline's CLI", "3.0.65", cline, packages=("node", "cline")),
    Agent(
        "continue-ollama",
        "Continue's CLI, as of Ollama",
        "1.5.47",
        continue_ollama,
        packages=("node", "continue"),
        speaks_ollama=True,
    ),
    Agent(
        "cline-ollama", "Cline's CLI, as of Ollama", "3.0.65", cline_ollama, packages=("node", "cline"), speaks_ollama=True
    ),
    Agent(
        "claude",
        "Claude Code",
        "2.1.329",
        claude,
        packages=("node", "claude"),
        order="What is the weather in Paris?",
    ),
    Agent("opencode", "opencode", "1.18.33", opencode, packages=("node", "opencode")),
    Agent("codex", "Codex", "0.169.0", codex, packages=("node", "codex")),
)
