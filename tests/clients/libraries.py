"""Clients that are libraries: a program in checks/ does with each what its users do, and says a line for each check."""

import dataclasses
import os
import subprocess

import install
from report import FAIL, NOCALL, PASS, Check

# Seconds for all checks of one library.
LIMIT = 120


@dataclasses.dataclass
class Library:
    """A library and the program that uses it."""

    name: str
    title: str
    version: str
    check: str
    requirements: str = ""
    packages: tuple = ()
    # Whether it looks for a server where Ollama is.
    speaks_ollama: bool = False

    def run(self, url, model):
        program = [install.APPS / self.requirements / "bin/python"] if self.requirements else node()
        command = [*program, install.HERE / "checks" / self.check, f"{url}/v1", model]
        modules = str(install.APPS / "libraries/node_modules")
        environment = {**clean(), "MODULES": modules, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        try:
            ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return [Check("run", FAIL, f"no end after {LIMIT} s")]
        lines = [line.split(" ", 2) for line in ended.stdout.splitlines()]
        checks = [Check(name, verdict, why) for verdict, name, why in lines if verdict in (PASS, FAIL, NOCALL)]
        return checks or [Check("run", FAIL, ended.stderr[-160:])]


def node():
    """Node, which finds no host but this one."""
    return [install.NODE / "node", "--require", install.HERE / "checks/loopback.cjs"]


def clean():
    """An environment with nothing of the user's in it, from which no way leads out."""
    nowhere = "http://127.0.0.1:9"
    return {
        "PATH": f"{install.NODE}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "HTTPS_PROXY": nowhere,
        "https_proxy": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "DO_NOT_TRACK": "1",
    }


ALL = (
    Library("openai-python", "openai (Python)", "3.52.0", "openai_python.py", requirements="openai-python"),
    Library("openai-npm", "openai (npm)", "7.55.0", "openai_npm.mjs", packages=("node", "libraries")),
    Library("ollama-python", "ollama (Python)", "0.6.3", "ollama_python.py", requirements="ollama", speaks_ollama=True),
    Library("ollama-npm", "ollama (npm)", "0.6.4", "ollama_npm.mjs", packages=("node", "libraries"), speaks_ollama=True),
    Library("anthropic-python", "anthropic (Python)", "2.11.0", "anthropic_python.py", requirements="anthropic"),
    Library("ai-sdk", "Vercel AI SDK", "7.0.173", "ai_sdk.mjs", packages=("node", "libraries")),
    Library("langchain", "LangChain", "langchain-openai 1.7.3", "langchain_openai_client.py", requirements="langchain"),
    Library("litellm", "LiteLLM", "1.106.2", "litellm_client.py", requirements="litellm"),
    Library("instructor", "instructor", "1.17.0", "instructor_client.py", requirements="instructor"),
)
