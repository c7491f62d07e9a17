#!/usr/bin/env python3
"""Holds a bill of materials against CycloneDX's own schema, Cargo.toml and Cargo.lock:
`check.py gapmend.cdx.json`. Needs the package `cyclonedx-python-lib[json-validation]`.
"""

import json
import sys
import tomllib
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    text = Path(sys.argv[1]).read_text()
    wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
    if wrong:
        raise SystemExit(f"not CycloneDX 1.5: {wrong}")
    bill = json.loads(text)
    ours = bill["metadata"]["component"]["purl"]
    listed = {one["purl"]: one for one in bill["components"]}
    linked = {purl for purl, one in listed.items() if one["scope"] == "required"}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    sums = {f"pkg:cargo/{one['name']}@{one['version']}": one.get("checksum") for one in lock}
    for purl, one in listed.items():
        if one["hashes"][0]["content"] != sums.get(purl):
            raise SystemExit(f"{purl}: its sum is not that of Cargo.lock")
    tops = next(one for one in bill["dependencies"] if one["ref"] == ours)["dependsOn"]
    chosen = tomllib.loads((ROOT / "Cargo.toml").read_text())["dependencies"]
    if {purl.split("/")[1].split("@")[0] for purl in tops} != set(chosen):
        raise SystemExit(f"it says that gapmend needs {tops}, and Cargo.toml says {sorted(chosen)}")
    reached, open_ones = {ours}, [ours]
    needs = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    while open_ones:
        new = set(needs[open_ones.pop()]) - reached
        reached |= new
        open_ones += new
    if reached != set(listed) | {ours}:
        raise SystemExit(f"the list and the graph differ in {sorted(reached ^ (set(listed) | {ours}))}")
    print(f"bill of materials: {len(listed)} packages are built, {len(linked)} of them linked in; it is CycloneDX 1.5")
    return 0


if __name__ == "__main__":
    sys.exit(main())
