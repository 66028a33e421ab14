"""What a client's checks came to, and the table of docs/clients.md."""

import dataclasses
import pathlib
import re

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"
# The transport is fine, and the model answered without calling the tool. A model of 2.6 million parameters does so when
# it is shown the tools of a coding agent; no server can help it.
NOCALL = "NOCALL"

PAGE = pathlib.Path("docs/clients.md")
BEGIN, END = "<!-- table: tests/clients/run.py --write -->", "<!-- end of table -->"
COLUMNS = ("chat", "stream", "tool")


@dataclasses.dataclass
class Check:
    """One check: its name, its verdict, and the reason or what was answered."""

    name: str
    verdict: str
    why: str = ""

    def __post_init__(self):
        self.why = re.sub(r"\s+", " ", self.why).strip()[:160]


@dataclasses.dataclass
class Row:
    """All checks of one client."""

    client: object
    checks: list
    seconds: float

    def tell(self):
        for check in self.checks:
            name = f"{self.client.name}.{check.name}"
            print(f"{check.verdict:6} {name:28} {self.seconds:5.0f} s  {check.why}", flush=True)

    def cell(self, column):
        found = [check for check in self.checks if check.name == column or check.name == "install"]
        return found[0].verdict if found else "–"

    def rest(self):
        """The checks beyond the columns, and the reasons of what did not pass."""
        others = [check for check in self.checks if check.name not in COLUMNS]
        passed = [check.name for check in others if check.verdict == PASS]
        reasons = [f"{c.name}: {c.verdict}, {escape(c.why)}" for c in self.checks if c.verdict in (FAIL, SKIP)]
        silent = ["the model answered without the tool"] if any(c.verdict == NOCALL for c in self.checks) else []
        return "; ".join([*([", ".join(passed)] if passed else []), *silent, *reasons])


def escape(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def line(row):
    cells = [row.client.title, row.client.version, *map(row.cell, COLUMNS), row.rest()]
    return "| " + " | ".join(cells) + " |"


def write(rows, clients):
    """Puts `rows` into the page's table, which keeps those of other clients that are still there, in the order of
    `clients`."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    former, _, after = rest.partition(END)
    heading, rule, *kept = former.strip().split("\n")
    lines = {told.split("|")[1].strip(): told for told in kept}
    lines |= {row.client.title: line(row) for row in rows}
    known = [lines[client.title] for client in clients if client.title in lines]
    table = "\n".join([heading, rule, *known])
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
