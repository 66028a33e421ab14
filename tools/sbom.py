#!/usr/bin/env python3
"""Writes what the programs are made of, as CycloneDX 1.5 in JSON: the same bytes for the same Cargo.lock and date.

tools/sbom.py METADATA LOCK BUNDLED >sbom.cdx.json

METADATA is what `cargo metadata` printed, LOCK is Cargo.lock, BUNDLED the folder of libraries that come as they are.
"""

import hashlib
import json
import os
import pathlib
import re
import sys
import time
import tomllib
import uuid

# What is shipped; the tests are not.
PROGRAMS = ["impetus-supervisor", "impetus-gateway", "impetus-worker-gguf", "impetus-worker-candle", "impetus-worker-onnx"]


def shipped(metadata):
    """The packages that the programs are built of, by their ids, and what each depends on."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    packages = {package["id"]: package for package in metadata["packages"]}
    left = [package["id"] for package in metadata["packages"] if package["name"] in PROGRAMS]
    edges = {}
    while left:
        package = left.pop()
        if package in edges:
            continue
        # What only tests need has no other kind than "dev".
        edges[package] = sorted(
            dependency["pkg"]
            for dependency in nodes[package]["deps"]
            if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"])
        )
        left.extend(edges[package])
    return packages, edges


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums):
    described = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    # Some crates still write "MIT/Apache-2.0", which SPDX does not know.
    if package.get("license"):
        described["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", package["license"])}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package.get("repository"):
        described["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return described


def library(path):
    """A library that was fetched as it is, such as libonnxruntime.so.1.31.1."""
    name, _, version = path.name.partition(".so.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "type": "library",
        "bom-ref": f"file:{path.name}",
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def main():
    metadata = json.loads(pathlib.Path(sys.argv[1]).read_text())
    lock = tomllib.loads(pathlib.Path(sys.argv[2]).read_text())
    checksums = {(p["name"], p["version"]): p["checksum"] for p in lock["package"] if "checksum" in p}
    packages, edges = shipped(metadata)
    version = next(p["version"] for p in metadata["packages"] if p["name"] == PROGRAMS[0])
    bundled = sorted(path for path in pathlib.Path(sys.argv[3]).glob("*") if ".so" in path.name or path.suffix == ".dylib")
    components = [component(packages[package], checksums) for package in edges] + [library(path) for path in bundled]
    components.sort(key=lambda component: component["bom-ref"])
    of_programs = sorted(purl(packages[package]) for package in edges if packages[package]["name"] in PROGRAMS)
    dependencies = [
        {"ref": purl(packages[package]), "dependsOn": [purl(packages[other]) for other in others]}
        for package, others in edges.items()
    ]
    dependencies.append({"ref": "impetus", "dependsOn": of_programs + [f"file:{path.name}" for path in bundled]})
    dependencies.sort(key=lambda dependency: dependency["ref"])
    content = json.dumps([components, dependencies], sort_keys=True)
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(content.encode()).hexdigest())}",
        "version": 1,
        "metadata": {
            "timestamp": date,
            "component": {"type": "application", "bom-ref": "impetus", "name": "impetus", "version": version},
        },
        "components": components,
        "dependencies": dependencies,
    }
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
