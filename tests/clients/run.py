#!/usr/bin/env python3
"""Real clients against this server: each is installed from its registry at a pinned version, unmodified, and made to
chat, to chat in a stream and, where it can, to call a tool of the bundled model.

    tests/clients/run.py [CLIENT ...]            all of them, or those named
        --programs DIR     where `supervisor` and the others are (default: target/release)
        --url URL          a server that runs already, instead of one of its own
        --model NAME       the model to ask for (default: impetus-tiny)
        --write            put what was found into the table of docs/clients.md

Prints a line for each check and ends with the number of failures. What is installed stays in .tools/apps/."""

import argparse
import sys
import time

import agents
import install
import libraries
import report
import server

CLIENTS = {client.name: client for client in (*libraries.ALL, *agents.ALL)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", choices=[[], *CLIENTS], metavar="CLIENT", help=", ".join(CLIENTS))
    parser.add_argument("--programs", default="target/release")
    parser.add_argument("--url")
    parser.add_argument("--model", default="impetus-tiny")
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    chosen = [CLIENTS[name] for name in options.clients] or list(CLIENTS.values())
    rows = []
    with server.at(options.url, options.programs) as (url, ollama):
        for client in chosen:
            began = time.monotonic()
            missing = install.ensure(client)
            base = ollama if client.speaks_ollama else url
            checks = [report.Check("install", report.SKIP, missing)] if missing else client.run(base, options.model)
            rows.append(report.Row(client, checks, time.monotonic() - began))
            rows[-1].tell()
    if options.write:
        report.write(rows, CLIENTS.values())
    failures = sum(check.verdict == report.FAIL for row in rows for check in row.checks)
    print(f"{failures} failures in {len(rows)} clients")
    return min(failures, 99)


if __name__ == "__main__":
    sys.exit(main())
