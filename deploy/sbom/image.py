#!/usr/bin/env python3
"""The bill of materials of the image: `image.py BILL ROOT >gapmend-image.cdx.json`.

BILL is the binary's, as deploy/sbom makes it; ROOT is the image's root, whose Debian packages
deploy/container/rootfs.sh has listed in var/lib/dpkg/status.d.
"""

import json
import sys
import uuid
from email.parser import HeaderParser
from pathlib import Path


def component(status: Path) -> dict:
    fields = HeaderParser().parsestr(status.read_text())
    name, version, architecture = (fields[key] for key in ("Package", "Version", "Architecture"))
    purl = f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={architecture}"
    made = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "scope": "required"}
    source = (fields["Source"] or name).split()[0]
    return {**made, "properties": [{"name": "debian:source", "value": source}]}


def main(bill: str, root: str):
    made = json.loads(Path(bill).read_text())
    packages = [component(status) for status in sorted(Path(root, "var/lib/dpkg/status.d").iterdir())]
    if not packages:
        raise SystemExit(f"{root} lists no Debian package")
    made["serialNumber"] = uuid.uuid5(uuid.UUID(made["serialNumber"].removeprefix("urn:uuid:")), "image").urn
    made["components"] += packages
    made["dependencies"] += [{"ref": package["bom-ref"]} for package in packages]
    print(f"the image holds files of {', '.join(package['name'] for package in packages)}", file=sys.stderr)
    json.dump(made, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
