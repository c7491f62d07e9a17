#!/usr/bin/env python3
"""The bill of materials of the binary, as CycloneDX 1.5: `make.py [BINARY] >gapmend.cdx.json`.

What cargo resolves for this machine's kind: what is linked in is `required`, what only runs while
it is built is `excluded`, and what only the tests need is left out. The same commit makes the same
bytes. Needs cargo, git and Python 3.11.
"""

import json
import re
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = "gapmend"
SOURCE_FILE = re.compile(rb"/registry/src/[^/]+/([A-Za-z0-9_-]+?)-([0-9]+\.[^/]+)/")


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def tree(edges: str) -> set:
    """The packages on these edges, as `cargo tree` tells them: it knows what the tests alone switch on."""
    lines = run("cargo", "tree", "--locked", "--prefix=none", f"--edges={edges}", "--format={p}").splitlines()
    named = (line.split() for line in lines if line and not line.startswith("["))
    return {(name, version.removeprefix("v")) for name, version, *_ in named}


def purl(package: dict) -> str:
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package: dict, sums: dict, is_linked: bool) -> dict:
    made = {
        "type": "library", "bom-ref": purl(package), "name": package["name"], "version": package["version"],
        "purl": purl(package), "scope": "required" if is_linked else "excluded",
        # Old packages write their choice of licences with a slash.
        "licenses": [{"expression": package["license"].replace("/", " OR ")}],
        "hashes": [{"alg": "SHA-256", "content": sums[package["name"], package["version"]]}],
    }
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


def edges(node: dict, packages: dict) -> dict:
    is_of_tests = lambda to: all(kind["kind"] == "dev" for kind in to["dep_kinds"])
    wanted = (to["pkg"] for to in node["deps"] if to["pkg"] in packages and not is_of_tests(to))
    return {"ref": purl(packages[node["id"]]), "dependsOn": sorted({purl(packages[id]) for id in wanted})}


def bill() -> dict:
    host = next(line.split()[1] for line in run("rustc", "-vV").splitlines() if line.startswith("host:"))
    known = json.loads(run("cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={host}"))
    built, linked = tree("normal,build"), tree("normal,no-proc-macro")
    packages = {one["id"]: one for one in known["packages"] if (one["name"], one["version"]) in built}
    ours = next(one for one in packages.values() if one["name"] == OURS)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    sums = {(one["name"], one["version"]): one.get("checksum") for one in lock["package"]}
    revision, made_at = run("git", "log", "-1", "--format=%H %ct").split()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"{OURS}:{revision}:{host}").urn,
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(made_at), timezone.utc).isoformat(),
            "component": {
                "type": "application", "bom-ref": purl(ours), "name": OURS,
                "version": ours["version"], "purl": purl(ours),
                "licenses": [{"expression": ours["license"]}],
                "properties": [{"name": "gapmend:revision", "value": revision},
                               {"name": "gapmend:target", "value": host}],
            },
        },
        "components": [component(one, sums, (one["name"], one["version"]) in linked)
                       for one in sorted(packages.values(), key=purl) if one is not ours],
        "dependencies": sorted((edges(node, packages) for node in known["resolve"]["nodes"]
                                if node["id"] in packages), key=lambda one: one["ref"]),
    }


def all_is_listed(binary: Path, made: dict):
    linked = {one["purl"] for one in made["components"] if one["scope"] == "required"}
    found = SOURCE_FILE.findall(binary.read_bytes())
    named = {f"pkg:cargo/{name.decode()}@{version.decode()}" for name, version in found}
    if not named or named - linked:
        raise SystemExit(f"{binary} names {len(named)} packages; not listed are {sorted(named - linked)}")
    print(f"{binary} names {len(named)} packages, and all are listed", file=sys.stderr)


def main():
    made = bill()
    for binary in sys.argv[1:]:
        all_is_listed(Path(binary), made)
    json.dump(made, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
